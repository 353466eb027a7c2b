"""K107 group-in-both-splits: a declared group with rows on both sides of the split.

What it looks at
    The groups that were declared with ``groups=``. None is ever guessed from a name.
Why it matters
    Rows of one patient, user or recording resemble each other: the model recognises them.
What it cannot see
    Groups that nobody declared.
Source
    Kapoor and Narayanan (2023), https://doi.org/10.1016/j.patter.2023.100804, leakage L3.2
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable, missing_of
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import listed, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import SplitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K107"]


def check(split: SplitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if a group is in both splits."""
    if split.groups is None:
        raise NotApplicable("no groups were declared")
    train, test = (part[~missing_of(part)] for part in split.groups)
    shared = sorted(set(train.tolist()) & set(test.tolist()), key=str)
    if len(shared) <= limits["max-shared"]:
        return
    n_rows = int(np.isin(test, shared).sum())
    yield INFO.finding(
        f"{plural(len(shared), 'group')} {'has' if len(shared) == 1 else 'have'} rows in both "
        f"splits, {n_rows:,} of them in the test split.",
        location=f"group {listed(shared)}",
        measured={"groups": len(shared), "rows": n_rows},
        threshold={"max-shared": limits["max-shared"]},
        fix="Split by group: GroupShuffleSplit or GroupKFold.",
    )
