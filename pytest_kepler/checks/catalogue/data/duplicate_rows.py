"""K302 duplicate-rows: rows that repeat an earlier row, features and label.

What it looks at
    All rows that hold enough to tell a repetition from an accident: a continuous value, many
    numbers, or 64 bytes of text.
Why it matters
    A repeated row counts twice in training, and falls on both sides of a random split.
What it cannot see
    Near copies, and repetitions that are meant: then give them weights, or waive the check.
Source
    https://docs.deepchecks.com/stable/tabular/auto_checks/data_integrity/plot_data_duplicates.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import listed, plural
from pytest_kepler.checks.rows import equal_rows, label_codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import DataView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K302"]
_COMMONEST = 3


def check(data: DataView, limits: Limits) -> Iterator[Finding]:
    """Yield one finding if too many rows repeat an earlier one."""
    data.require_aligned()
    equal = equal_rows(data)
    if not equal.n_telling:
        raise NotApplicable("the rows hold too little to tell a copy from an accident")
    labels = label_codes(data)
    group = np.repeat(np.arange(len(equal.starts)), np.diff([*equal.starts, len(equal.rows)]))
    of_row = group if labels is None else group * (labels.max(initial=0) + 1) + labels[equal.rows]
    _, first, counts = np.unique(of_row, return_index=True, return_counts=True)
    repeated = int((counts - 1).sum())
    share = repeated / equal.n_telling
    if repeated < limits["min-repeats"] or share <= limits["max-share"]:
        return
    commonest = np.argsort(-counts, kind="stable")[:_COMMONEST]
    places = [f"{equal.rows[first[k]]} ({counts[k]:,} times)" for k in commonest.tolist()]
    yield INFO.finding(
        f"{plural(repeated, 'row')} of {equal.n_telling:,} "
        f"{'repeats' if repeated == 1 else 'repeat'} an earlier row"
        f"{'' if labels is None else ', label included'}.",
        location=f"row {listed(places)}",
        measured={"share": share, "repeated": repeated, "n": equal.n_telling},
        threshold={"max-share": limits["max-share"]},
        fix="Drop the copies (before any split), or give the rows weights.",
    )
