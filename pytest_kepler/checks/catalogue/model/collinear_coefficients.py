"""K605 collinear-coefficients: columns that follow from others, under a model without a penalty.

What it looks at
    The numeric columns that a linear model without a penalty gets as they are, or scaled:
    whether one follows from several others, by the condition number of the standardised
    columns; and one-hot columns that sum to 1 beside an intercept. Pairs that say the same
    (K301) count once.
Why it matters
    The coefficients are one choice of many and mean nothing by themselves. Predictions are as
    good: yes-or-no columns that sum to 1, and variance inflation above 10, are notes.
What it cannot see
    Columns behind other steps; pixels, sparse matrices, and tables with fewer rows than three
    times their columns are left out.
Source
    Belsley, Kuh and Welsch (1980), Regression Diagnostics, chapter 3
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.estimators import is_unpenalised
from pytest_kepler.checks.predicates import is_homogeneous, listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Block, ColumnStep, FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K605"]
#: Steps that leave each column what it is, but for its scale and its missing values.
_KEEP_COLUMNS: Final = {
    "MaxAbsScaler",
    "MinMaxScaler",
    "RobustScaler",
    "SimpleImputer",
    "StandardScaler",
}
_MAX_COLUMNS = 200
_MAX_ROWS = 20_000
_ROWS_A_COLUMN = 3
#: Pairs of columns that K301 tells of.
_SAME = 0.9999
_BINARY = 2
#: Of the directions in which the columns have no spread, a column's part that is not rounding.
_SOME_PART = 1e-6


@dataclass(frozen=True)
class _Design:
    """Standardised columns, and in which directions they hardly vary."""

    names: Sequence[str]
    is_binary: NDArray[np.bool_]
    spreads: NDArray[np.float64]
    directions: NDArray[np.float64]
    n_rows: int

    @property
    def condition(self) -> float:
        """The largest spread over the smallest."""
        return float(self.spreads[0] / max(self.spreads[-1], np.finfo(float).tiny))

    def involved(self, max_condition: float) -> NDArray[np.bool_]:
        """Return the columns that follow from others."""
        lacking = self.spreads * max_condition < self.spreads[0]
        parts = np.square(self.directions[lacking]).sum(axis=0)
        return np.asarray(parts > _SOME_PART)

    @property
    def inflation(self) -> NDArray[np.float64]:
        """How many times the variance of each coefficient is that of a column by itself."""
        weights = self.n_rows / np.square(self.spreads)
        return np.asarray((np.square(self.directions) * weights[:, None]).sum(axis=0))


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield one finding if a coefficient is arbitrary, a note if it is merely unsure."""
    model = fit.model
    if len(model.estimators) != 1 or not is_unpenalised(model.estimators[0]):
        raise NotApplicable("no linear model without a penalty")
    estimator = model.estimators[0]
    encoded = _full_dummies(model.column_steps, estimator)
    if encoded:
        yield INFO.finding(
            "The one-hot columns of each category sum to 1, as the intercept does: the "
            "coefficients are one choice of many.",
            severity="note",
            location=type(estimator).__name__,
            measured={"encoders": encoded},
            threshold={"encoders": 0},
            fix='Drop one column of each: OneHotEncoder(drop="first"), if coefficients are read.',
        )
        return
    if any(type(step).__name__ not in _KEEP_COLUMNS for step in model.steps):
        raise NotApplicable("a step makes other columns of these")
    yield from _of_columns(_design(fit.data.block), type(estimator).__name__, limits)


def _of_columns(design: _Design, name: str, limits: Limits) -> Iterator[Finding]:
    if design.condition > limits["max-cond"]:
        chosen = design.involved(limits["max-cond"])
        is_coding = bool(design.is_binary[chosen].all())
        yield INFO.finding(
            f"Columns follow from each other exactly, and {name} has no penalty: their "
            "coefficients are one choice of many.",
            severity="note" if is_coding else "warning",
            location=f"column {listed(_quoted(design, np.flatnonzero(chosen)))}",
            measured={"condition": design.condition, "columns": int(chosen.sum())},
            threshold={"max-cond": limits["max-cond"]},
            fix="Drop a column that the others give, or use a penalty (Ridge).",
        )
        return
    inflation = design.inflation
    high = np.flatnonzero(inflation > limits["max-vif"])
    if len(high):
        worst = high[np.argsort(-inflation[high])]
        yield INFO.finding(
            f"The coefficients of {name} are unsure, since its columns say nearly the same.",
            severity="note",
            location=f"column {listed(_quoted(design, worst))}",
            measured={"variance inflation": float(inflation.max()), "columns": len(high)},
            threshold={"max-vif": limits["max-vif"]},
            fix="Read no meaning into single coefficients, or use a penalty (Ridge).",
        )


def _quoted(design: _Design, columns: NDArray[np.int64]) -> list[str]:
    return [repr(design.names[k]) for k in columns.tolist()]


def _full_dummies(column_steps: Sequence[ColumnStep], estimator: Any) -> int:
    """Return how many encoders give a column to every category, straight to the model."""
    if not getattr(estimator, "fit_intercept", True):
        return 0
    return sum(
        type(one.step).__name__ == "OneHotEncoder"
        and getattr(one.step, "drop", "first") is None
        and all(type(step).__name__ in _KEEP_COLUMNS for step in one.after[:-1])
        for one in column_steps
    )


def _design(block: Block) -> _Design:
    """Return the standardised numeric columns of complete rows.

    Raises
    ------
    NotApplicable
        If there are too few rows, or columns of which nobody reads coefficients.
    """
    if block.is_sparse:
        raise NotApplicable("a sparse matrix is not read column by column")
    if is_homogeneous(block):
        raise NotApplicable("neighbouring pixels are alike by nature")
    matrix = block.matrix
    if matrix.shape[1] > _MAX_COLUMNS:
        raise NotApplicable(f"there are more than {_MAX_COLUMNS} numeric columns")
    rows = matrix[:: max(1, -(-len(matrix) // _MAX_ROWS))].astype(np.float64)
    rows = rows[np.isfinite(rows).all(axis=1)]
    if not len(rows):
        raise NotApplicable("no row is complete")
    center, spread = rows.mean(axis=0), rows.std(axis=0)
    # Rounding leaves a constant column with a spread of its own: far below its size.
    kept = np.flatnonzero(spread > 1e-12 * np.maximum(1.0, np.abs(center)))
    standard = (rows[:, kept] - center[kept]) / spread[kept]
    kept, standard = _without_copies(kept, standard)
    n, d = standard.shape
    if d < 2 or n < _ROWS_A_COLUMN * d:  # noqa: PLR2004 - one column follows from nothing
        raise NotApplicable("there are too few rows, or no two columns")
    _, spreads, directions = np.linalg.svd(np.linalg.qr(standard, mode="r"))
    names = [block.numeric_labels[k] for k in kept.tolist()]
    return _Design(names, block.distinct[kept] <= _BINARY, spreads, directions, n)


def _without_copies(
    kept: NDArray[np.int64], standard: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Leave out each column that says the same as one before it."""
    r = np.abs(standard.T @ standard) / len(standard)
    is_copy = np.triu(r >= _SAME, k=1).any(axis=0)
    return kept[~is_copy], standard[:, ~is_copy]
