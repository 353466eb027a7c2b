"""Parameters as people read and filter them: flat names, plain values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_kepler.identity.environment import is_secret

_LONGEST = 10_000
#: Python writes no longer ones as decimals.
_LONGEST_INTEGER_BITS = 10_000
_PLAIN = (str, int, float, bool, type(None))


def flatten(params: Mapping[str, Any], redact: Sequence[str] = ()) -> dict[str, Any]:
    """Return parameters with nested ones flattened by dots: ``cfg.optimizer.lr``.

    Parameters
    ----------
    params : mapping of str to value
        As pytest holds them.
    redact : sequence of str
        Patterns of names whose values are replaced by ``[redacted]``.

    Returns
    -------
    dict of str to JSON-able value
    """
    flat: dict[str, Any] = {}
    for name, value in params.items():
        _put(flat, name, value, ())
    return {
        name: "[redacted]" if is_secret(name.rpartition(".")[2], redact) else value
        for name, value in flat.items()
    }


def _put(flat: dict[str, Any], name: str, value: Any, above: tuple[int, ...]) -> None:
    try:
        nested = _nested(value) if id(value) not in above else None
        parts = list(nested.items()) if nested else []
        shown = None if parts else _shown(value)
    except Exception:  # noqa: BLE001  # the value's own code: a property, a __len__ that raises
        parts, shown = [], type(value).__name__
    for key, item in parts:
        _put(flat, f"{name}.{key}", item, (*above, id(value)))
    if not parts:
        flat[name] = shown


def _nested(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, Mapping):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if type(value).__module__.startswith("omegaconf."):
        return dict(value.items()) if hasattr(value, "items") else None
    return None


def _shown(value: Any) -> Any:  # noqa: PLR0911  # one line for each kind of value
    """Return what the journal keeps of a value: itself where JSON has it, else its short text."""
    if isinstance(value, int) and value.bit_length() > _LONGEST_INTEGER_BITS:
        return hex(value)[:_LONGEST]
    if isinstance(value, bool | int | type(None)) or type(value) is float:
        return value
    if isinstance(value, str):
        return str(value)[:_LONGEST]
    if isinstance(value, list | tuple) and all(type(item) in _PLAIN for item in value):
        return list(value)
    if callable(getattr(value, "item", None)) and getattr(value, "shape", None) == ():
        return _shown(value.item())
    if callable(value) and hasattr(value, "__qualname__"):
        return value.__qualname__
    if (shape := getattr(value, "shape", None)) is not None:
        return f"{type(value).__name__}{tuple(shape)}"
    return " ".join(str(value).split())[:_LONGEST]
