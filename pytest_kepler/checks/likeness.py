"""Rows like those of a table: real ones, and ones between a real row and a near neighbour."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters import views
from pytest_kepler.errors import KeplerUsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Array, Column, Floats

    Positions = NDArray[np.int64]

#: Rows that new ones are made of; of a larger table, a sample.
MODEL_ROWS: Final = 2_000
#: How many steps there are from a row to its neighbour.
STEPS: Final = 16
_NEIGHBOURS: Final = 5
#: Numbers of so few distinct values are codes or counts: only those that were seen are drawn.
_FEW_VALUES: Final = 10
_WIDEST: Final = 200
_RANK: Final = 2


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row lies: so many steps from the row of a rank towards one of its neighbours.

    Rank 0 is the most typical row, and no step is the row itself: smaller is simpler.
    """

    rank: int
    neighbour: int = 0
    steps: int = 0


class Likeness:
    """What the rows of a table are like, and more rows of that kind.

    A row between two takes its numbers from the line between them, and everything else (texts,
    codes, dates, and what is missing) from the nearer one. So ranges, dtypes, missing values,
    whole numbers and the categories that go together are those of the table, and correlations
    are kept, because the two rows are close.

    Parameters
    ----------
    X : DataFrame of pandas or polars, or ndarray of shape (n_rows, ...)
        The rows.

    Raises
    ------
    KeplerUsageError
        If `X` is nothing of that kind, or has no rows.
    """

    def __init__(self, X: Any) -> None:
        _require_rows(X)
        self._X = _sample(X)
        (block,) = views.read_blocks(self._X)
        self.labels = block.labels
        self.columns: Sequence[Column] = block.columns
        self.n_rows = block.n_rows

    @property
    def n_neighbours(self) -> int:
        """How many neighbours each row has."""
        return int(self._neighbours.shape[1])

    @cached_property
    def ranked(self) -> Positions:
        """The positions of the rows, the most typical first."""
        off = np.zeros(self.n_rows)
        for column in self._scaled:
            off += np.square(column)
        for codes in self._coded:
            off += codes != np.bincount(codes).argmax()
        return np.argsort(off, kind="stable")

    def rows(self, places: Sequence[Place]) -> Any:
        """Return the rows at some places, in the form of the table."""
        near, far, share = self._between(places)
        drawn = _take(self._X, near)
        moved = share > 0
        if not moved.any():
            return drawn
        for position in self._continuous:
            values = self.columns[position].values.astype(np.float64)
            here, there = values[near], values[far]
            usable = moved & np.isfinite(here) & np.isfinite(there)
            mixed = (1 - share) * here + share * there
            drawn = _put(
                drawn, position, np.rint(mixed) if self._whole[position] else mixed, usable
            )
        return drawn

    def with_values_of(self, rows: Any, column: int, positions: Positions) -> Any:
        """Return the rows with one column as other rows of the table have it."""
        return _replace(rows, column, _take(self._X, positions))

    def with_change(self, rows: Any, column: int, change: Callable[[Any], Any]) -> Any:
        """Return the rows with one column as `change` makes it, value by value."""
        values = [change(value) for value in values_of(rows, column)]
        return replaced(rows, column, values)

    def position(self, place: Place) -> int:
        """Return which row of the table the row at a place takes its categories from."""
        return int(self._between([place])[0][0])

    # Inside

    def _between(self, places: Sequence[Place]) -> tuple[Positions, Positions, Floats]:
        """Return (nearer row, farther row, share of the way to it) for each place."""
        rank, neighbour, steps = (
            np.array([getattr(place, name) for place in places], dtype=np.int64)
            for name in ("rank", "neighbour", "steps")
        )
        start = self.ranked[rank]
        end = self._neighbours[start, neighbour]
        is_past_half = 2 * steps > STEPS
        near, far = np.where(is_past_half, end, start), np.where(is_past_half, start, end)
        return near, far, np.where(is_past_half, STEPS - steps, steps) / STEPS

    @cached_property
    def _continuous(self) -> tuple[int, ...]:
        """The positions of the columns of numbers that lie on a line."""
        return tuple(
            position
            for position, column in enumerate(self.columns)
            if column.kind == "numeric" and len(np.unique(column.values)) > _FEW_VALUES
        )

    @cached_property
    def _whole(self) -> dict[int, bool]:
        found = {}
        for position in self._continuous:
            values = self.columns[position].values.astype(np.float64)
            finite = values[np.isfinite(values)]
            found[position] = bool((finite == np.floor(finite)).all())
        return found

    @cached_property
    def _scaled(self) -> list[Floats]:
        """The columns of numbers, centred and scaled; what is missing stands in the middle."""
        found = []
        for column in self.columns:
            if column.kind not in {"numeric", "bool"}:
                continue
            values = column.values.astype(np.float64)
            finite = np.isfinite(values)
            spread = float(values[finite].std()) if finite.any() else 0.0
            if spread > 0:
                centred = (values - float(np.median(values[finite]))) / spread
                found.append(np.where(finite, centred, 0.0))
        return found[:_WIDEST]

    @cached_property
    def _coded(self) -> list[Positions]:
        """The other columns, and where numbers are missing, as numbers of their values."""
        found = []
        for column in self.columns:
            if column.kind in {"numeric", "bool"}:
                missing = column.missing
                if missing.any():
                    found.append(missing.astype(np.int64))
            else:
                found.append(column.levels.codes + 1)
        return found[:_WIDEST]

    @cached_property
    def _neighbours(self) -> Positions:
        """The positions of the nearest other rows of each row, the nearest first."""
        if self.n_rows == 1:
            return np.zeros((1, 1), dtype=np.int64)
        apart = np.zeros((self.n_rows, self.n_rows))
        if self._scaled:
            points = np.column_stack(self._scaled)
            squares = np.square(points).sum(axis=1)
            apart += squares[:, None] + squares[None, :] - 2 * points @ points.T
        for codes in self._coded:
            apart += codes[:, None] != codes[None, :]
        np.fill_diagonal(apart, np.inf)
        n_kept = min(_NEIGHBOURS, self.n_rows - 1)
        return np.argsort(apart, axis=1, kind="stable")[:, :n_kept]


def values_of(rows: Any, column: int) -> list[Any]:
    """Return the values of one column of a table, in its own types."""
    if hasattr(rows, "iloc"):
        return list(rows.iloc[:, column])
    if views.is_frame(rows):
        values: list[Any] = rows.get_columns()[column].to_list()
        return values
    return list(_matrix(rows)[:, column])


def _require_rows(X: Any) -> None:
    is_array = isinstance(X, np.ndarray) and X.ndim >= _RANK and X.dtype.names is None
    if not is_array and not views.is_frame(X):
        what = f"an array of rank {X.ndim}" if isinstance(X, np.ndarray) else type(X).__name__
        msg = f"Rows are drawn from a DataFrame, or an array of rank 2 or more, got {what}."
        raise KeplerUsageError(msg)
    if 0 in X.shape:
        msg = f"Rows are drawn from data, and X has shape {X.shape}: nothing to draw from."
        raise KeplerUsageError(msg)


def _sample(X: Any) -> Any:
    if X.shape[0] <= MODEL_ROWS:
        return X
    chosen = np.random.default_rng(0).choice(X.shape[0], MODEL_ROWS, replace=False)
    return views.rows_at(X, np.sort(chosen))


def _matrix(rows: Array) -> Array:
    return rows.reshape(len(rows), -1)


def _take(X: Any, positions: Positions) -> Any:
    taken = views.rows_at(X, positions)
    # Two copies of a row would have one label.
    return taken.reset_index(drop=True) if hasattr(taken, "iloc") else taken


def _put(rows: Any, column: int, values: Floats, where: NDArray[np.bool_]) -> Any:
    """Return `rows` with some numbers of one column in place of others, in its own dtype."""
    if not where.any():
        return rows
    if hasattr(rows, "iloc"):
        series = rows.iloc[:, column].copy()
        kind = getattr(series.dtype, "numpy_dtype", series.dtype)
        series.iloc[np.flatnonzero(where)] = values[where].astype(kind)
        rows.isetitem(column, series)
        return rows
    if views.is_frame(rows):
        kept = zip(values_of(rows, column), values.tolist(), where.tolist(), strict=True)
        return replaced(rows, column, [new if is_new else old for old, new, is_new in kept])
    _matrix(rows)[where, column] = values[where].astype(rows.dtype)
    return rows


def _replace(rows: Any, column: int, others: Any) -> Any:
    """Return `rows` with one column of `others`, row by row."""
    if hasattr(rows, "iloc"):
        changed = rows.copy()
        changed.isetitem(column, others.iloc[:, column])
        return changed
    if views.is_frame(rows):
        return rows.with_columns(others.get_columns()[column])
    changed = rows.copy()
    _matrix(changed)[:, column] = _matrix(others)[:, column]
    return changed


def replaced(rows: Any, column: int, values: list[Any]) -> Any:
    """Return `rows` with the values of one column given, in its own dtype."""
    if hasattr(rows, "iloc"):
        old = rows.iloc[:, column]
        changed = rows.copy()
        changed.isetitem(column, type(old)(values, index=rows.index, dtype=old.dtype))
        return changed
    if views.is_frame(rows):
        old = rows.get_columns()[column]
        if old.dtype.is_integer():
            values = [value if value is None else round(value) for value in values]
        return rows.with_columns(sys.modules["polars"].Series(old.name, values, dtype=old.dtype))
    changed = rows.copy()
    _matrix(changed)[:, column] = values
    return changed
