"""K601 preprocessing-saw-test-rows: a scaler that was fitted before the split.

What it looks at
    Whether the columns of both splits *together* have mean 0 and spread 1 exactly, or range
    from 0 to 1 exactly, while those of train alone do not.
Why it matters
    The training rows know something of the test rows. The harm of a scaler is small; that of
    a feature selection made in the same place is not.
What it cannot see
    Other transformers, and scalers whose rows were not all kept.
Source
    https://scikit-learn.org/stable/common_pitfalls.html#data-leakage
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import continuous, shares_a_grid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Block, SplitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K601"]
_MIN_ROWS = 50
#: One column of this kind may have been published so.
_MIN_COLUMNS = 2
_MIN_TRAIN_MEAN = 1e-3
_MIN_RANGE_COLUMNS = 5
_TRAIN_HITS = 0.9


def check(split: SplitView, limits: Limits) -> Iterator[Finding]:
    """Yield one finding if the two splits are exactly normalised only together."""
    split.require_rows()
    train, test = split.train.block, split.test.block
    if train.is_sparse or test.is_sparse:
        raise NotApplicable("a sparse matrix is not read column by column")
    if train.matrix.shape[1] != test.matrix.shape[1]:
        raise NotApplicable("the splits have different columns")
    if train.n_rows + test.n_rows < _MIN_ROWS:
        raise NotApplicable(f"there are fewer than {_MIN_ROWS} rows")
    if train.rows is not None or test.rows is not None:
        raise NotApplicable("of so many rows only a sample is looked at")
    mask = continuous(train) & (train.stats.sd > 0)
    if int(mask.sum()) < _MIN_COLUMNS:
        raise NotApplicable(f"fewer than {_MIN_COLUMNS} columns take many values")
    # A column whose mean happens to be the same in train says nothing of where it was scaled.
    telling = mask & (np.abs(train.stats.mean) >= _MIN_TRAIN_MEAN)
    if int(telling.sum()) >= _MIN_COLUMNS:
        standard = float(_is_standard_together(train, test, limits)[telling].mean())
        if standard >= limits["share"]:
            yield _finding(standard, telling, limits, "mean 0 and spread 1")
            return
    if int(mask.sum()) < _MIN_RANGE_COLUMNS or shares_a_grid(train):
        return
    together, alone = _is_ranged(train, test), _is_ranged(train, train)
    # Where train alone reaches both ends of nearly all columns, the ends are the data's own.
    if together[mask].mean() >= limits["share"] and alone[mask].mean() < _TRAIN_HITS:
        yield _finding(float(together[mask].mean()), mask, limits, "a range from 0 to 1")


def _is_standard_together(train: Block, test: Block, limits: Limits) -> NDArray[np.bool_]:
    ours, theirs = train.stats, test.stats
    n = np.maximum(ours.n_finite + theirs.n_finite, 2)
    mean = (ours.n_finite * ours.mean + theirs.n_finite * theirs.mean) / n
    squares = ours.n_finite * (np.square(ours.sd) + np.square(ours.mean - mean))
    squares += theirs.n_finite * (np.square(theirs.sd) + np.square(theirs.mean - mean))
    # Some scale by n, others by n - 1.
    off = np.minimum(np.abs(np.sqrt(squares / n) - 1), np.abs(np.sqrt(squares / (n - 1)) - 1))
    is_centred = np.abs(mean) <= limits["max-mean-ratio"] * np.abs(ours.mean)
    return np.asarray(is_centred & (off <= limits["max-sd-off"]))


def _is_ranged(train: Block, test: Block) -> NDArray[np.bool_]:
    tolerance = 1e-6  # float32 leaves 1 at 0.99999994
    low = np.minimum(train.stats.low, test.stats.low)
    high = np.maximum(train.stats.high, test.stats.high)
    return np.asarray((np.abs(low) <= tolerance) & (np.abs(high - 1) <= tolerance))


def _finding(share: float, mask: NDArray[np.bool_], limits: Limits, what: str) -> Finding:
    return INFO.finding(
        f"{share:.0%} of {int(mask.sum()):,} columns have {what} over train and test together, "
        "not over train alone: a scaler was fitted before the split.",
        location="X of both splits",
        measured={"share": share, "columns": int(mask.sum())},
        threshold={"share": limits["share"]},
        fix="Split first, and put the scaler in the model: make_pipeline(StandardScaler(), …).",
    )
