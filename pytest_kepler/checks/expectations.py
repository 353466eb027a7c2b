"""What a user expects of a model's answers, tried on rows like the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from pytest_kepler.adapters import views
from pytest_kepler.adapters.views import Expectation, NotApplicable
from pytest_kepler.checks.likeness import STEPS, Likeness, Place, replaced, values_of
from pytest_kepler.errors import KeplerUsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Array, BehaviourView, Floats

_DIRECTIONS: Final = ("increasing", "decreasing")
_MATRIX_RANK: Final = 2
_TWO: Final = 2
#: Rows of the user's that an expectation is tried on, and as many between them.
_TRIED: Final = 128
#: Other values that a broken pair is tried with, to find the nearest.
_OTHERS: Final = 64
_COLUMNS_SHOWN: Final = 12


# --- Reading what is expected --------------------------------------------------------------


def read_expectations(X: Any, invariant_to: Any, monotone: Any) -> tuple[Expectation, ...]:
    """Return the expectations of a call.

    Parameters
    ----------
    X : DataFrame or ndarray
        Held-out rows, with the columns that the expectations name.
    invariant_to : name, iterable of names, or mapping of names to changes
        Columns that must not matter. A change is a function of a value, or a mapping of values
        to others; without one, a column takes the values of other rows.
    monotone : mapping of names to "increasing" or "decreasing"
        Columns with which the answer may only rise, or only fall.

    Raises
    ------
    KeplerUsageError
        If a column is not there, or an expectation cannot be read.
    """
    if not isinstance(monotone, Mapping):
        msg = f'monotone= is {{column: "increasing" or "decreasing"}}, got {monotone!r}.'
        raise KeplerUsageError(msg)
    changes = invariant_to if isinstance(invariant_to, Mapping) else _unchanged(invariant_to)
    if not changes and not monotone:
        return ()
    labels = _labels(X)
    found = []
    for name, change in changes.items():
        at = _place(name, labels, "invariant_to")
        found.append(Expectation("invariant", at, labels[at], _change(name, change)))
    for name, direction in monotone.items():
        if direction not in _DIRECTIONS:
            msg = f'monotone: {name!r} is "increasing" or "decreasing", not {direction!r}.'
            raise KeplerUsageError(msg)
        at = _place(name, labels, "monotone")
        _require_numbers(X, at, labels[at])
        found.append(Expectation(direction, at, labels[at]))
    return tuple(found)


def _unchanged(names: Any) -> dict[Any, None]:
    if isinstance(names, str | int):
        return {names: None}
    if not isinstance(names, Iterable):
        raise KeplerUsageError(f"invariant_to= names one or more columns, got {names!r}.")
    return dict.fromkeys(names)


def _labels(X: Any) -> tuple[str, ...]:
    if views.is_frame(X):
        return tuple(str(label) for label in X.columns)
    if isinstance(X, np.ndarray) and X.ndim == _MATRIX_RANK:
        return tuple(str(j) for j in range(X.shape[1]))
    what = type(X).__name__
    msg = f"Expectations about columns need a DataFrame or an array of rank 2, got {what}."
    raise KeplerUsageError(msg)


def _place(name: Any, labels: Sequence[str], argument: str) -> int:
    if str(name) in labels:
        return labels.index(str(name))
    raise KeplerUsageError(f"{argument}: X has no column {name!r}: {nearest(str(name), labels)}")


def _change(name: Any, change: Any) -> Callable[[Any], Any] | None:
    if change is None or callable(change):
        return cast("Callable[[Any], Any] | None", change)
    if isinstance(change, Mapping):
        return lambda value: change.get(value, value)
    msg = (
        f"invariant_to: what {name!r} changes to is a function of a value, or a mapping of values "
        f"to others, got {change!r}."
    )
    raise KeplerUsageError(msg)


def _require_numbers(X: Any, at: int, label: str) -> None:
    (block,) = views.read_blocks(views.take_rows(X, 1_000))
    if block.columns[at].kind not in {"numeric", "bool"}:
        msg = f"monotone: column {label!r} holds no numbers, and has no up and down."
        raise KeplerUsageError(msg)


def require_one_number(answers: Array) -> None:
    """See to it that a model gives one number a row, which can rise or fall.

    Raises
    ------
    KeplerUsageError
        If it chooses among more than two classes, or answers in words.
    """
    width = answers.shape[-1] if answers.ndim > 1 else 1
    if width > _TWO or answers.dtype.kind not in "biuf":
        what = f"{width} numbers a row" if width > _TWO else "no numbers"
        msg = f"monotone: the model gives {what}, and what should rise with a column is not clear."
        raise KeplerUsageError(msg)


# --- Trying an expectation -----------------------------------------------------------------------


class NeverTriedError(Exception):
    """No row could break an expectation; the message says why, in a few words."""


@dataclass(frozen=True)
class Trial:
    """What came of an expectation: how many pairs were tried, how many broke it, and the simplest.

    ``worst`` is how far an answer moved at most, in `unit`; ``example`` is empty if none did.
    """

    n_pairs: int
    n_broken: int
    worst: float
    unit: str
    example: tuple[str, ...]


@dataclass(frozen=True)
class _Rows:
    """Rows before and after a change, with the answers for both."""

    before: Any
    after: Any
    answers: Array
    changed: Array


class Trials:
    """Tries expectations on a model.

    Parameters
    ----------
    behaviour : BehaviourView
        The model and the rows.
    tolerance : float
        How far an answer may move: as a probability, or in standard deviations of the answers.
    """

    def __init__(self, behaviour: BehaviourView, tolerance: float) -> None:
        if behaviour.answer is None:
            raise NotApplicable("the model cannot be asked about other rows")
        self._answer = behaviour.answer
        self._tolerance = tolerance
        self._likeness = Likeness(behaviour.rows)
        self._are_probabilities = behaviour.predict_proba is not None
        self._rng = np.random.default_rng(0)

    def run(self, expectation: Expectation) -> Trial:
        """Return what came of an expectation.

        Raises
        ------
        NeverTriedError
            If its column takes one value, or the change of it leaves every value as it is.
        """
        places = self._places()
        pairs = self._tried_at(expectation, places)
        is_other = self._differ(expectation, pairs)
        if not is_other.any():
            # A change of what is rare may have met none of these rows.
            places = self._changed_places(expectation)
            pairs = self._tried_at(expectation, places)
            is_other = self._differ(expectation, pairs)
        moved = self._moved(expectation, pairs)
        broken = np.flatnonzero(is_other & (moved > self._tolerance))
        example = self._simplest(expectation, places, pairs, broken) if len(broken) else ()
        unit = "probability" if self._are_probabilities else "standard deviations"
        worst = float(moved[broken].max()) if len(broken) else 0.0
        return Trial(int(is_other.sum()), len(broken), worst, unit, example)

    def _places(self) -> list[Place]:
        """Return real rows, the most typical first, and then places between them."""
        n = self._likeness.n_rows
        ranks = np.sort(self._rng.choice(n, min(n, _TRIED), replace=False))
        real = [Place(int(rank)) for rank in ranks]
        between = [
            Place(
                int(self._rng.integers(n)),
                int(self._rng.integers(self._likeness.n_neighbours)),
                int(self._rng.integers(1, STEPS)),
            )
            for _ in real
        ]
        return real + sorted(between, key=lambda place: place.rank)

    def _tried_at(self, expectation: Expectation, places: Sequence[Place]) -> _Rows:
        rows = self._likeness.rows(places)
        return self._pairs(expectation, rows, self._other_positions(expectation, len(places)))

    def _changed_places(self, expectation: Expectation) -> list[Place]:
        """Return real rows, the most typical first, whose value the change makes another."""
        if expectation.change is None:
            raise NeverTriedError("it takes one value")
        places = [Place(rank) for rank in range(self._likeness.n_rows)]
        rows = self._likeness.rows(places)
        changed = self._likeness.with_change(rows, expectation.column, expectation.change)
        before, after = (values_of(part, expectation.column) for part in (rows, changed))
        found = [
            place
            for place, one, other in zip(places, before, after, strict=True)
            if not _is_same(one, other)
        ]
        if not found:
            raise NeverTriedError("the change leaves every value as it is")
        return found[:_TRIED]

    def _other_positions(self, expectation: Expectation, n: int) -> NDArray[np.int64]:
        return self._rng.choice(self._representatives(expectation), n)

    def _representatives(self, expectation: Expectation) -> NDArray[np.int64]:
        """Return the positions of rows that have each value of a column once."""
        column = self._likeness.columns[expectation.column]
        present = np.flatnonzero(~column.missing)
        if not len(present):
            raise NeverTriedError("it has no value")
        codes = column.levels.codes if column.values.dtype.kind == "O" else column.values
        return present[np.unique(codes[present], return_index=True)[1]]

    def _pairs(self, expectation: Expectation, rows: Any, positions: NDArray[np.int64]) -> _Rows:
        if expectation.change is not None:
            other = self._likeness.with_change(rows, expectation.column, expectation.change)
        else:
            other = self._likeness.with_values_of(rows, expectation.column, positions)
        is_free = expectation.kind == "invariant"
        before, after = (rows, other) if is_free else _in_order(rows, other, expectation.column)
        return _Rows(before, after, self._answer(before), self._answer(after))

    def _differ(self, expectation: Expectation, pairs: _Rows) -> NDArray[np.bool_]:
        before = values_of(pairs.before, expectation.column)
        after = values_of(pairs.after, expectation.column)
        return np.array(
            [not _is_same(one, other) for one, other in zip(before, after, strict=True)], dtype=bool
        )

    def _moved(self, expectation: Expectation, pairs: _Rows) -> Floats:
        """Return for each pair how far the answer moved against the expectation."""
        first, second = pairs.answers, pairs.changed
        if first.dtype.kind not in "biuf":
            differs: Array = np.asarray(first != second).reshape(len(first), -1)
            return np.asarray(differs.any(axis=1), dtype=np.float64)
        one, other = (part.astype(np.float64).reshape(len(part), -1) for part in (first, second))
        scale = 1.0 if self._are_probabilities else float(one.std()) or 1.0
        if expectation.kind == "invariant":
            moved = np.abs(other - one).max(axis=1)
        else:
            fall = (one - other)[:, -1]
            moved = fall if expectation.kind == "increasing" else -fall
        return np.asarray(np.where(np.isfinite(moved), moved, 0.0) / scale)

    def _simplest(
        self,
        expectation: Expectation,
        places: Sequence[Place],
        pairs: _Rows,
        broken: NDArray[np.int64],
    ) -> tuple[str, ...]:
        """Show the most typical row that breaks an expectation, with the least change that does."""
        first = int(broken[0])
        place, at = places[first], first
        if expectation.change is None:
            row = self._likeness.rows([place])
            others = self._representatives(expectation)
            if len(others) > _OTHERS:
                others = self._rng.choice(others, _OTHERS, replace=False)
            many = self._likeness.rows([place] * len(others))
            tried = self._pairs(expectation, many, self._nearest_first(expectation, row, others))
            theirs = self._moved(expectation, tried)
            hits = np.flatnonzero(self._differ(expectation, tried) & (theirs > self._tolerance))
            if len(hits):
                pairs, at = tried, int(hits[0])
        return self._lines(expectation, place, pairs, at)

    def _nearest_first(
        self, expectation: Expectation, row: Any, others: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        column = self._likeness.columns[expectation.column]
        if column.kind not in {"numeric", "bool"}:
            counts = column.levels.counts[column.levels.codes[others]]
            return others[np.argsort(-counts, kind="stable")]
        away = np.abs(
            column.values[others].astype(np.float64) - _numbers(row, expectation.column)[0]
        )
        return others[np.argsort(away, kind="stable")]

    def _lines(
        self, expectation: Expectation, place: Place, pairs: _Rows, at: int
    ) -> tuple[str, ...]:
        position = np.array([at])
        before, after = (views.rows_at(part, position) for part in (pairs.before, pairs.after))
        named = [
            f"{label} {_shown(values_of(before, j)[0])}"
            for j, label in enumerate(self._likeness.labels)
            if j != expectation.column
        ]
        if len(named) > _COLUMNS_SHOWN:
            named = [*named[:_COLUMNS_SHOWN], f"and {len(named) - _COLUMNS_SHOWN} more"]
        which = "" if place.steps else f"row {self._likeness.position(place)}: "
        label, column = expectation.label, expectation.column
        said = (
            f"{label} {_shown(values_of(part, column)[0])} gives {_shown_all(answer)}"
            for part, answer in ((before, pairs.answers[at]), (after, pairs.changed[at]))
        )
        return f"{which}{', '.join(named)}", "; ".join(said)


def _numbers(rows: Any, column: int) -> Floats:
    values = values_of(rows, column)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _in_order(rows: Any, other: Any, column: int) -> tuple[Any, Any]:
    """Return the rows with the lower, and with the higher of two values in one column."""
    both = list(zip(values_of(rows, column), values_of(other, column), strict=True))
    is_down = _numbers(rows, column) > _numbers(other, column)
    if not is_down.any():
        return rows, other
    low = [pair[int(down)] for pair, down in zip(both, is_down, strict=True)]
    high = [pair[int(not down)] for pair, down in zip(both, is_down, strict=True)]
    return replaced(rows, column, low), replaced(rows, column, high)


def _is_same(one: Any, other: Any) -> bool:
    both_missing = bool(views.missing_of(np.array([one, other], dtype=object)).all())
    return both_missing or bool(one == other)


def _shown(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    return repr(value) if isinstance(value, str) else str(value)


def _shown_all(answer: Any) -> str:
    values = np.atleast_1d(answer)
    if values.size == _TWO and values.dtype.kind == "f" and np.isclose(values.sum(), 1):
        values = values[-1:]  # the probability of the second of two classes
    words = ", ".join(_shown(value.item()) for value in values.reshape(-1)[:_COLUMNS_SHOWN])
    return words if values.size == 1 else f"({words})"
