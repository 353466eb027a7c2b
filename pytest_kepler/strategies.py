"""Hypothesis strategies that draw from the user's own data."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pytest_kepler.checks.likeness import STEPS, Likeness, Place
from pytest_kepler.errors import KeplerUsageError

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["rows_like"]


def rows_like(
    X: Any, *, n: int | None = None, min_rows: int = 1, max_rows: int | None = None
) -> SearchStrategy[Any]:
    """Return a strategy of rows like those of `X`, in the same kind of container.

    A drawn row is one of `X`, or lies between one of its rows and a near neighbour: columns,
    dtypes, ranges, whole numbers, missing values, the categories that go together, and
    correlations are those of the data. A counterexample shrinks towards fewer rows and then
    towards a real, typical row.

    Make the strategy once, in a fixture or at the top of a module: it looks at 2,000 rows.

    Parameters
    ----------
    X : DataFrame of pandas or polars, or ndarray of shape (n_rows, ...)
        The data; it is not changed.
    n : int, optional
        How many rows are drawn at a time; 1 if nothing is said.
    min_rows, max_rows : int, optional
        The same as a range; `max_rows` is `min_rows` if it is not given.

    Returns
    -------
    SearchStrategy
        Of tables with new row labels 0, 1, …

    Raises
    ------
    KeplerUsageError
        If `X` has no rows or columns to draw from, the numbers of rows contradict each other, or
        Hypothesis is not installed.

    Examples
    --------
    >>> @given(rows=rows_like(X, n=20))  # doctest: +SKIP
    ... def test_the_order_of_rows_does_not_matter(rows): ...
    """
    fewest, most = _range(n, min_rows, max_rows)
    st = _hypothesis_strategies()
    likeness = Likeness(X)
    place = st.builds(
        Place,
        rank=st.integers(0, likeness.n_rows - 1),
        neighbour=st.integers(0, likeness.n_neighbours - 1),
        steps=st.integers(0, STEPS),
    )
    drawn: SearchStrategy[Any] = st.lists(place, min_size=fewest, max_size=most).map(likeness.rows)
    return drawn


def _range(n: int | None, min_rows: int, max_rows: int | None) -> tuple[int, int]:
    if n is not None:
        if min_rows != 1 or max_rows is not None:
            raise KeplerUsageError("rows_like takes n, or min_rows and max_rows, not both.")
        min_rows = n
    most = min_rows if max_rows is None else max_rows
    if not 1 <= min_rows <= most:
        msg = f"rows_like draws at least 1 row, got from {min_rows} to {most} rows."
        raise KeplerUsageError(msg)
    return min_rows, most


def _hypothesis_strategies() -> Any:
    try:
        return importlib.import_module("hypothesis.strategies")
    except ModuleNotFoundError:
        msg = "rows_like needs Hypothesis: pip install hypothesis."
        raise KeplerUsageError(msg) from None
