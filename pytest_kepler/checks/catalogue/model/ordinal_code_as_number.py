"""K611 ordinal-code-as-number: categories numbered by the alphabet, and taken for amounts.

What it looks at
    OrdinalEncoder without ``categories=`` on text with 3 to 50 categories, before a model that
    sums or measures distances and with no one-hot encoding in between.
Why it matters
    The model believes that "red" is three times "blue".
What it cannot see
    Codes that were made before, in the table.
Source
    https://scikit-learn.org/stable/modules/preprocessing.html#encoding-categorical-features
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.estimators import KEEP_UNITS, encoders, reads_numbers_as_amounts
from pytest_kepler.checks.predicates import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import Column, ColumnStep, FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K611"]
_KEEP_ORDER: Final = KEEP_UNITS | {"MaxAbsScaler", "MinMaxScaler", "RobustScaler", "StandardScaler"}


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each column of which the alphabet makes amounts."""
    for encoder, columns in encoders(fit, ("OrdinalEncoder",)):
        reader = _reader(encoder)
        if reader is None or not isinstance(encoder.step.categories, str):
            continue
        for column in columns:
            if not _is_nominal(column, limits):
                continue
            levels = [repr(value) for value in column.levels.values]
            yield INFO.finding(
                f"{reader} reads the numbers of {len(levels)} categories, given in the order of "
                "the alphabet, as amounts.",
                location=f"column {column.name!r}: {listed(sorted(levels))}",
                measured={"categories": len(levels), "n": len(column.values)},
                threshold={name: limits[name] for name in ("min-levels", "max-levels")},
                fix="Use OneHotEncoder, or name the order: OrdinalEncoder(categories=[[…]]).",
            )


def _reader(encoder: ColumnStep) -> str | None:
    """Return the model that reads the codes as they are; None if there is none, or one between."""
    if not encoder.after:
        raise NotApplicable("no model reads the codes")
    *between, last = encoder.after
    if any(type(step).__name__ not in _KEEP_ORDER for step in between):
        return None
    return type(last).__name__ if reads_numbers_as_amounts(last) else None


def _is_nominal(column: Column, limits: Limits) -> bool:
    if column.kind != "text":
        return False
    levels = [str(value) for value in column.levels.values]
    has_some = limits["min-levels"] <= len(levels) <= limits["max-levels"]
    # "1", "2", "3" stand in the order of the alphabet because they are numbers.
    return has_some and not all(level[:1].isdigit() for level in levels)
