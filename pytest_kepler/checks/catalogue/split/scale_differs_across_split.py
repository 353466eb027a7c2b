"""K116 scale-differs-across-split: one split was prepared in a way the other was not.

What it looks at
    The means and spreads of the numeric columns of both splits.
Why it matters
    A model that was trained on scaled rows answers nonsense for rows that are not.
What it cannot see
    A difference in few columns, or one smaller than a factor of two.
Source
    https://scikit-learn.org/stable/common_pitfalls.html#inconsistent-preprocessing
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import listed, off_scale

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import Block, SplitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K116"]
_MIN_ROWS = 30


def check(split: SplitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if many columns have another scale in the test split."""
    split.require_rows()
    train, test = split.train.block, split.test.block
    if train.is_sparse or test.is_sparse:
        raise NotApplicable("a sparse matrix is not read column by column")
    if train.matrix.shape[1] != test.matrix.shape[1]:
        raise NotApplicable("the splits have different columns")
    if len(test.matrix) < _MIN_ROWS or len(train.matrix) < _MIN_ROWS:
        raise NotApplicable(f"a split has fewer than {_MIN_ROWS} rows")
    off, usable, is_few = off_scale(train, test)
    share = float(off.sum() / usable.sum())
    if share < (1.0 if is_few else limits["share"]):
        return
    # Groups, domains and times differ by nature: a question there, not a fault.
    is_declared = split.groups is not None or split.time is not None or split.train.ordered
    names = [_ranges(train, test, j) for j in np.flatnonzero(off)[:3].tolist()]
    yield INFO.finding(
        f"{int(off.sum()):,} of {int(usable.sum()):,} columns have another scale in the test "
        "split than in train.",
        severity="warning" if is_declared else "error",
        location=f"columns {listed(names)}",
        measured={"share": share, "n": len(test.matrix)},
        threshold={"share": 1.0 if is_few else limits["share"]},
        fix="Apply the same fitted transformer to both splits.",
        basis=test.basis,
    )


def _ranges(train: Block, test: Block, j: int) -> str:
    ours, theirs = train.stats, test.stats
    return (
        f"{train.numeric_labels[j]!r} (train {ours.low[j]:.3g} to {ours.high[j]:.3g}, "
        f"test {theirs.low[j]:.3g} to {theirs.high[j]:.3g})"
    )
