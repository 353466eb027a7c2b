"""How many of the evaluated rows a fit has had, apart from rows that are equal by nature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_kepler.adapters.fits import is_same
from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.rows import shared_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_kepler.adapters.fits import EvaluationView


T = TypeVar("T")


@dataclass(frozen=True)
class Reuse:
    """Evaluated rows that a fit has had.

    Attributes
    ----------
    count, n : int
        How many, out of the evaluated rows that could be told from others.
    is_by_nature : bool
        Whether data that repeats itself has as many by chance.
    """

    count: int
    n: int
    is_by_nature: bool = False

    @property
    def share(self) -> float:
        """The share of the evaluated rows."""
        return self.count / self.n


def reuses(
    view: EvaluationView, sets: Iterable[tuple[T, Any]], min_rows: float
) -> Iterator[tuple[T, Reuse]]:
    """Yield how many of the evaluated rows are in each set of rows that can be looked at.

    Parameters
    ----------
    view : EvaluationView
    sets : iterable of (object, features)
        What each set is, and its rows; None where they are gone.
    min_rows : float
        So many rows more than by nature are no accident.

    Raises
    ------
    NotApplicable
        When all is yielded, if no set could be looked at; it says why.
    """
    reason, n_seen = "there are no rows", 0
    for what, X in sets:
        try:
            found = _reuse(view, X, min_rows)
        except NotApplicable as lacking:
            reason = str(lacking)
            continue
        n_seen += 1
        yield what, found
    if not n_seen:
        raise NotApplicable(reason)


def _reuse(view: EvaluationView, X: Any, min_rows: float) -> Reuse:
    if X is None:
        raise NotApplicable("the rows of the fit are gone")
    if is_same(X, view.X):
        n = _n_rows(view.X)
        return Reuse(n, n)
    shared = shared_rows(view.beside(X))
    if not shared.n_test:
        raise NotApplicable("the rows hold too little to tell a copy from an accident")
    return Reuse(len(shared.test_rows), shared.n_test, not shared.is_planted(min_rows))


def _n_rows(X: Any) -> int:
    """Return the number of rows, or 1 of what is one thing: a stream."""
    if isinstance(X, dict):
        X = next(iter(X.values()))
    elif isinstance(X, list | tuple):
        X = X[0]
    shape = getattr(X, "shape", None)
    return int(shape[0]) if shape else 1
