"""A trial: a few rows and steps, to see whether a training runs at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

#: Rows of each class, and in all where there are no classes: enough for ten folds.
_ROWS_OF_A_CLASS: Final = 10
_ROWS: Final = 64
#: With more distinct values a target has no classes.
_MOST_CLASSES: Final = 100
_STEPS: Final = 2
#: What Keras' ``fit`` takes to end early, with the value of a trial.
_KERAS: Final = {"epochs": 1, "steps_per_epoch": _STEPS, "validation_steps": 1}


def few(
    X: Any, y: Any, more: Mapping[str, Any], *, is_keras: bool = False
) -> tuple[Any, Any, dict[str, Any]]:
    """Return a few rows of X and y, and what else a training takes cut to them.

    Every class is among the rows, ten times where it is. Data that cannot be indexed, such as a
    stream, stays as it is; of one of Keras' a few steps are made.

    Parameters
    ----------
    X, y : object
        As `experiment.fit` takes them.
    more : mapping of str to object
        The other arguments: those with as many rows as `X` and validation data are cut too.
    is_keras : bool
        Whether Keras trains: one epoch then, of two steps.
    """
    n = _n_rows(X)
    cut = dict(more)
    if n is not None:
        rows = _rows(y, n)
        cut = {
            name: _take(value, rows) if _n_rows(value) == n else value
            for name, value in cut.items()
        }
        X, y = _take(X, rows), _take(y, rows) if y is not None else None
    held_out = cut.get("validation_data")
    if isinstance(held_out, tuple | list) and held_out and (n_held := _n_rows(held_out[0])):
        target = held_out[1] if len(held_out) > 1 else None
        rows = _rows(target, n_held)
        cut["validation_data"] = tuple(_take(one, rows) for one in held_out)
    if is_keras:
        cut |= _keras_steps(cut, is_stream=n is None)
    return X, y, cut


def _keras_steps(given: Mapping[str, Any], *, is_stream: bool) -> dict[str, Any]:
    steps = {"epochs": int(given.get("initial_epoch") or 0) + _KERAS["epochs"]}
    if is_stream:
        steps["steps_per_epoch"] = _KERAS["steps_per_epoch"]
        held_out = given.get("validation_data")
        if held_out is not None and not isinstance(held_out, tuple):
            steps["validation_steps"] = _KERAS["validation_steps"]
    return steps


def _n_rows(value: Any) -> int | None:
    """Return how many rows a value has; None where they cannot be picked."""
    if isinstance(value, Mapping):
        counts = {_n_rows(one) for one in value.values()}
        return counts.pop() if len(counts) == 1 else None
    shape = getattr(value, "shape", None)
    if shape is not None:
        try:
            return int(shape[0]) if len(shape) and hasattr(value, "__getitem__") else None
        except (TypeError, ValueError):  # a dimension that is not known
            return None
    is_list = isinstance(value, Sequence) and not isinstance(value, str | bytes | tuple)
    return len(value) if is_list else None


def _rows(y: Any, n: int) -> list[int]:
    """Return the first rows of each class, in their order, or the first of all."""
    import numpy as np

    labels = None
    if y is not None and not isinstance(y, Mapping) and _n_rows(y) == n:
        try:
            labels = np.asarray(y)
        except (TypeError, ValueError):
            labels = None
    if labels is None or labels.ndim != 1:
        return list(range(min(n, _ROWS)))
    try:
        classes, places = np.unique(labels, return_inverse=True)
    except TypeError:  # mixed types
        return list(range(min(n, _ROWS)))
    if len(classes) > _MOST_CLASSES or len(classes) > n / 2:
        return list(range(min(n, _ROWS)))
    found = [np.flatnonzero(places == one)[:_ROWS_OF_A_CLASS] for one in range(len(classes))]
    return sorted(int(row) for rows in found for row in rows)


def _take(value: Any, rows: list[int]) -> Any:
    if isinstance(value, Mapping):
        return {name: _take(one, rows) for name, one in value.items()}
    if hasattr(value, "iloc"):
        return value.iloc[rows]
    if type(value).__module__.startswith("pyarrow"):
        return value.take(rows)
    if isinstance(value, list):
        return [value[row] for row in rows]
    if type(value).__module__.partition(".")[0] == "tensorflow":
        import numpy as np

        return np.asarray(value)[rows]
    return value[rows]
