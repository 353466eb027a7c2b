"""What counts as a number in `experiment.log`, and how nested metrics are flattened."""

from __future__ import annotations

import decimal
import numbers
import operator
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pytest_kepler.adapters.plain import short
from pytest_kepler.errors import MetricError

#: Kinds of dtypes that hold durations and dates.
_TIMES: Final = "mM"


def number(name: str, value: Any) -> float:
    """Return a metric's value as a plain float or int.

    Parameters
    ----------
    name : str
        The metric, for the error's sentence.
    value : bool, int, float, NumPy scalar, Decimal, Fraction or 0-d tensor
        Tensors of TensorFlow, Keras, torch and JAX alike, on any device.

    Raises
    ------
    MetricError
        If it is anything else; the sentence names the metric and what it got.
    """
    kind = type(value)
    if kind is float or kind is int:
        return _in_range(name, value)
    found = _unwrap(value)
    if found is None:
        raise MetricError(_refusal(name, value))
    if isinstance(found, numbers.Integral):
        return _in_range(name, int(found))
    return _in_range(name, float(found))


def _in_range(name: str, value: float) -> float:
    # The journal holds doubles.
    try:
        float(value)
    except OverflowError:
        raise MetricError(f"metric {name!r} is too large for a number of 64 bits") from None
    return value


def _unwrap(value: Any) -> Any | None:
    """Return the real number in a scalar or 0-d tensor, or None if there is none."""
    # NumPy counts a duration as a whole number.
    if getattr(getattr(value, "dtype", None), "kind", "f") in _TIMES:
        return None
    if isinstance(value, numbers.Real | decimal.Decimal):
        return value
    try:
        if len(tuple(value.shape)) > 0:
            return None
        if hasattr(value, "detach"):  # torch warns of gradients otherwise
            value = value.detach()
        found = value.item() if hasattr(value, "item") else value.numpy().item()
    except (AttributeError, NotImplementedError, TypeError, ValueError):
        return None  # no tensor, or a symbolic one, which has no value yet
    return found if isinstance(found, numbers.Real) else None


def _refusal(name: str, value: Any) -> str:
    hint = ""
    if isinstance(getattr(value, "shape", None), tuple):
        hint = ": log one number of it, or save it with experiment.save"
    elif isinstance(value, list | tuple | set):
        hint = ": log each with its step, or save it with experiment.save"
    return f"metric {name!r} must be a number, got {short(value)}{hint}"


def flatten(metrics: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield name and value of each metric; the names of nested mappings are joined by ``/``."""
    for key, value in metrics.items():
        name = prefix + metric_name(key)
        if isinstance(value, Mapping):
            yield from flatten(value, f"{name}/")
        else:
            yield name, value


def metric_name(key: Any) -> str:
    """Return a metric's name; whole numbers (classes, folds) are names as well.

    Raises
    ------
    MetricError
        If it is empty, or neither text nor a whole number.
    """
    if isinstance(key, str):
        if key.strip():
            return key
    elif isinstance(key, numbers.Integral):
        return str(int(key))
    raise MetricError(f"a metric's name must be text that is not empty, got {short(key)}")


def whole_step(step: Any) -> int:
    """Return a step as a plain int.

    Raises
    ------
    MetricError
        If it is no whole number from 0 on.
    """
    if type(step) is int and step >= 0:  # nearly always
        return step
    try:
        found = -1 if isinstance(step, bool) else operator.index(step)
    except TypeError:
        found = -1
    if found < 0:
        raise MetricError(f"step must be a whole number from 0 on, got {short(step)}")
    return found
