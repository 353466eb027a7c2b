"""K108 test-before-train: test rows that are older than the newest training row.

What it looks at
    The times that were declared with ``time=``, or the DatetimeIndex of both tables.
Why it matters
    A model that knows the future of its test rows looks better than it will be.
What it cannot see
    Features that were computed with later values.
Source
    Kapoor and Narayanan (2023), https://doi.org/10.1016/j.patter.2023.100804, leakage L3.1
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_kepler.adapters.views import NotApplicable, missing_of
from pytest_kepler.checks.codes import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import SplitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K108"]


def check(split: SplitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if test rows lie before the end of train."""
    train, test = (part[~missing_of(part)] for part in _times(split))
    if not len(train) or not len(test):
        raise NotApplicable("a split has no times")
    newest: Any = train.max()
    share = float(np.mean(test < newest))
    if share <= limits["overlap"]:
        return
    yield INFO.finding(
        f"{share:.0%} of the test rows are older than the newest training row.",
        location=f"train until {newest}, test from {test.min()} to {test.max()}",
        measured={"overlap": share, "n": len(test)},
        threshold={"overlap": limits["overlap"]},
        fix="Split by time: train on what is older, test on what is newer (TimeSeriesSplit).",
    )


def _times(split: SplitView) -> tuple[Any, Any]:
    if split.time is not None:
        return split.time
    if split.train.ordered and split.test.ordered:
        return tuple(np.asarray(side.block.index) for side in (split.train, split.test))  # type: ignore[return-value]
    raise NotApplicable("no time was declared")
