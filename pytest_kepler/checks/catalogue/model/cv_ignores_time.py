"""K608 cv-ignores-time: folds that learn from the future of what they test.

What it looks at
    Rows with a DatetimeIndex, and a splitter of scikit-learn's other than TimeSeriesSplit.
Why it matters
    Neighbours in time are alike: what is tested was all but seen.
What it cannot see
    Splitters of other packages, which are trusted, and times in a column.
Source
    https://scikit-learn.org/stable/modules/cross_validation.html#time-series-split
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.estimators import cross_validation_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K608"]
_IGNORE_TIME: Final = {
    "KFold",
    "RepeatedKFold",
    "RepeatedStratifiedKFold",
    "ShuffleSplit",
    "StratifiedKFold",
    "StratifiedShuffleSplit",
}


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a warning if rows in the order of time are split without regard to it."""
    del limits
    if not fit.data.ordered:
        raise NotApplicable("the rows are not ordered by time")
    validation = cross_validation_of(fit)
    splitter = validation.splitter
    is_default = splitter is None or isinstance(splitter, int)
    if not is_default and type(splitter).__name__ not in _IGNORE_TIME:
        return
    name = "stratified or plain folds" if is_default else type(splitter).__name__
    yield INFO.finding(
        f"The rows have times as their index, and {name} trains on rows that are newer than "
        "those that are tested.",
        location=f"cv of {validation.owner}" if validation.owner != "cv" else "cv",
        measured={"splitter": name},
        threshold={"splitter": "TimeSeriesSplit"},
        fix="Use TimeSeriesSplit, with a gap as long as you look ahead.",
        basis="static",
    )
