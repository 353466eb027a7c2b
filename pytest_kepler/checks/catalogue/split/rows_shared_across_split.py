"""K105 rows-shared-across-split: training rows that come back in the test split.

What it looks at
    Feature rows of both splits, compared exactly, of which enough is known to tell one from
    another: a continuous value, many numbers, or 64 bytes of text. Labels are not read.
Why it matters
    The model has seen these rows, so the test metric is too good.
What it cannot see
    Near copies, such as a resized image or a reworded sentence.
Source
    Kapoor and Narayanan (2023), https://doi.org/10.1016/j.patter.2023.100804, leakage L1.4
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import SHOWN, plural
from pytest_kepler.checks.rows import shared_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import SplitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding, Severity

INFO = CHECKS["K105"]


def check(split: SplitView, limits: Limits) -> Iterator[Finding]:
    """Yield one finding if too many test rows are training rows."""
    shared = shared_rows(split)
    if not shared.n_test:
        raise NotApplicable("the rows hold too little to tell a copy from an accident")
    count = len(shared.test_rows)
    if count < limits["min-rows"] or shared.share <= limits["warn-share"]:
        return
    is_error = shared.share > limits["error-share"] and shared.is_planted(limits["min-rows"])
    severity: Severity = "error" if is_error else "warning"
    pairs = [
        f"test {test} = train {train}"
        for test, train in zip(
            shared.test_rows[:SHOWN].tolist(), shared.train_rows[:SHOWN].tolist(), strict=True
        )
    ]
    yield INFO.finding(
        f"{plural(count, 'test row')} of {shared.n_test:,} "
        f"{'is a training row' if count == 1 else 'are training rows'} too.",
        severity=severity,
        location="test split",
        measured={
            "share": shared.share,
            "rows": count,
            "share repeated inside train": shared.own_share,
            "pairs": pairs,
            "n": shared.n_test,
        },
        threshold={name: limits[name] for name in ("warn-share", "error-share")},
        fix="Drop duplicate rows before splitting, or split by group.",
    )
