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
from pytest_kepler.checks.predicates import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Block, SplitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K116"]
_MIN_ROWS = 30
_FEW_COLUMNS = 3
_MOSTLY_ZERO = 0.9


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
    ours, theirs = train.stats, test.stats
    usable = (ours.sd > 0) & (theirs.sd > 0)
    usable &= (ours.zero_share <= _MOSTLY_ZERO) & (theirs.zero_share <= _MOSTLY_ZERO)
    if not usable.any():
        raise NotApplicable("no numeric column varies in both splits")
    is_few = int(usable.sum()) <= _FEW_COLUMNS
    off = _off(train, test, 10.0 if is_few else 2.0) & usable
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


def _off(train: Block, test: Block, factor: float) -> NDArray[np.bool_]:
    """Return the columns whose spread or mean differs by more than `factor`."""
    ours, theirs = train.stats, test.stats
    larger = np.maximum(ours.sd, theirs.sd)
    smaller = np.maximum(np.minimum(ours.sd, theirs.sd), 1e-300)
    spread = larger > factor * smaller
    return np.asarray(spread | (np.abs(ours.mean - theirs.mean) > factor * larger))


def _ranges(train: Block, test: Block, j: int) -> str:
    ours, theirs = train.stats, test.stats
    return (
        f"{train.numeric_labels[j]!r} (train {ours.low[j]:.3g} to {ours.high[j]:.3g}, "
        f"test {theirs.low[j]:.3g} to {theirs.high[j]:.3g})"
    )
