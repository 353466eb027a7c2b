"""K110 test-is-train: the model would be tested on what it was trained on.

What it looks at
    Whether both splits are one object or lie in the same memory, and whether nearly all test
    rows are training rows.
Why it matters
    The test metric then measures memory, not what was learned.
What it cannot see
    A test split that is a changed copy of the training split.
Source
    Kapoor and Narayanan (2023), https://doi.org/10.1016/j.patter.2023.100804, leakage L1.1
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.rows import shared_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import Block, SplitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K110"]
_FIX = "Pass the held-out rows as the test split."
#: Work that an exact answer about overlapping memory may take; beyond it, the rows decide.
_MEMORY_WORK = 10_000
_MIN_ROWS = 10


def check(split: SplitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if the test split is the training split, or a part of it."""
    split.require_rows()
    for train, test in zip(split.train.blocks, split.test.blocks, strict=False):
        if _is_same(train, test):
            yield INFO.finding(
                "The test split is the training split, or lies in its memory.",
                location="test split",
                measured={"share": 1.0},
                threshold={"share": limits["share"]},
                fix=_FIX,
                basis="static",
            )
            return
    shared = shared_rows(split)
    n_test, n_train = split.test.blocks[0].n_rows, split.train.blocks[0].n_rows
    is_part = n_test == n_train or _is_inside(split.train.blocks[0], split.test.blocks[0])
    # Rows without anything to tell them apart are shared by accident.
    if shared.n_test < _MIN_ROWS or not is_part:
        return
    if shared.share > limits["share"]:
        yield INFO.finding(
            f"{len(shared.test_rows):,} of {n_test:,} test rows are training rows.",
            location="test split",
            measured={"share": shared.share, "n": n_test},
            threshold={"share": limits["share"]},
            fix=_FIX,
        )


def _is_same(train: Block, test: Block) -> bool:
    if train.source is test.source:
        return True
    ours, theirs = train.source, test.source
    if not isinstance(ours, np.ndarray) or not isinstance(theirs, np.ndarray):
        return False
    if not np.may_share_memory(ours, theirs):
        return False
    try:
        return bool(np.shares_memory(ours, theirs, max_work=_MEMORY_WORK))  # type: ignore[arg-type] # any count
    except (np.exceptions.TooHardError, RuntimeError):
        return False


def _is_inside(train: Block, test: Block) -> bool:
    """Tell whether the index labels of one split contain those of the other."""
    if train.index is None or test.index is None:
        return False
    return bool(test.index.isin(train.index).all() or train.index.isin(test.index).all())
