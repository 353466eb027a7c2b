"""Choosing the rows that a probe trains on, in whatever form the user gave them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters.views import NotApplicable, as_array, is_frame, is_series

if TYPE_CHECKING:
    from pytest_kepler.adapters.views import Array

_MATRIX_RANK: Final = 2


def chosen_rows(labels: Any, n_rows: int, limit: int) -> Array:
    """Return `limit` positions: each class in turn where there are classes, else at random.

    The order is one that mixes the classes, so that the first few rows have each of them.
    """
    order = np.random.default_rng(0).permutation(n_rows)
    classes = _classes(labels, n_rows)
    if classes is None:
        return order[:limit]
    shuffled = classes[order]
    # The place of each row among those of its class: all firsts, then all seconds.
    by_class = np.argsort(shuffled, kind="stable")
    starts = np.searchsorted(shuffled[by_class], shuffled[by_class])
    turn = np.empty(n_rows, dtype=np.int64)
    turn[by_class] = np.arange(n_rows) - starts
    return np.asarray(order[np.argsort(turn, kind="stable")][:limit])


def _classes(labels: Any, n_rows: int) -> Array | None:
    """Return the class of each row, or None where the labels are no classes."""
    if isinstance(labels, Mapping | list | tuple):
        return None
    try:
        values = as_array(labels)
    except NotApplicable:
        return None
    if len(values) != n_rows or values.dtype.kind not in "biuf":
        return None
    if values.ndim == _MATRIX_RANK and values.shape[1] > 1:
        values = values.argmax(axis=1) if (values.sum(axis=1) == 1).all() else values
    flat = values.reshape(-1)
    if len(flat) != n_rows:
        return None
    levels, codes = np.unique(flat, return_inverse=True)
    return codes.reshape(-1) if len(levels) <= max(20.0, np.sqrt(n_rows)) else None


def picked(value: Any, rows: Array | slice) -> Any:
    """Return some rows of an array, table, tensor, or of each in a mapping or sequence."""
    if isinstance(value, Mapping):
        return {name: picked(part, rows) for name, part in value.items()}
    if isinstance(value, list | tuple) and value and hasattr(value[0], "shape"):
        return type(value)(picked(part, rows) for part in value)
    if is_frame(value) or is_series(value):
        return np.asarray(value.iloc[rows] if hasattr(value, "iloc") else value[rows])
    return as_array(value)[rows]
