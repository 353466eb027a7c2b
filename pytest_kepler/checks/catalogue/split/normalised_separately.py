"""K104 normalised-separately: a scaler that was fitted once more, on the test split.

What it looks at
    Whether the columns of both splits have mean 0 and spread 1 exactly, or range from 0 to 1
    exactly. A scaler that was fitted on train leaves the test split a little off.
Why it matters
    The test rows are described by each other, which no single new row can be; and the two
    splits no longer mean the same by the same number.
What it cannot see
    A scaler fitted on all rows before the split.
Source
    https://scikit-learn.org/stable/common_pitfalls.html#inconsistent-preprocessing
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import continuous, listed, shares_a_grid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Block, SplitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K104"]
_MIN_ROWS = 20
_MIN_RANGE_COLUMNS = 5
_WORST = 3
_FIX = "Fit the scaler on train and only transform the test split, or put it in a Pipeline."


def check(split: SplitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if both splits are exactly normalised."""
    split.require_rows()
    train, test = split.train.block, split.test.block
    if train.is_sparse or test.is_sparse:
        raise NotApplicable("a sparse matrix is not read column by column")
    if train.matrix.shape[1] != test.matrix.shape[1]:
        raise NotApplicable("the splits have different columns")
    if min(len(train.matrix), len(test.matrix)) < _MIN_ROWS:
        raise NotApplicable(f"a split has fewer than {_MIN_ROWS} rows")
    mask = continuous(train) & (train.stats.sd > 0)
    if not mask.any():
        raise NotApplicable("no column takes many values")
    standard = _is_standard(train, limits) & _is_standard(test, limits)
    if standard[mask].mean() >= limits["share"] and not _rows_are_standard(test):
        yield _finding(test, mask, standard, limits, "mean 0 and spread 1")
        return
    ranged = _is_ranged(train) & _is_ranged(test)
    is_wide = int(mask.sum()) >= _MIN_RANGE_COLUMNS and not shares_a_grid(train)
    if is_wide and ranged[mask].mean() >= limits["share"]:
        yield _finding(test, mask, ranged, limits, "a range from 0 to 1")


def _is_standard(block: Block, limits: Limits) -> NDArray[np.bool_]:
    stats = block.stats
    n = np.maximum(stats.n_finite, 2)
    # Some scale by n, others by n - 1.
    sample_sd = stats.sd * np.sqrt(n / (n - 1))
    off = np.minimum(np.abs(stats.sd - 1), np.abs(sample_sd - 1))
    return np.asarray((np.abs(stats.mean) <= limits["max-mean"]) & (off <= limits["max-sd-off"]))


def _is_ranged(block: Block) -> NDArray[np.bool_]:
    tolerance = 1e-6  # float32 leaves 1 at 0.99999994
    stats = block.stats
    return np.asarray((np.abs(stats.low) <= tolerance) & (np.abs(stats.high - 1) <= tolerance))


def _rows_are_standard(block: Block) -> bool:
    """Tell whether each *row* was normalised: that uses nothing of the other rows."""
    rows = block.matrix[:200].astype(np.float64)
    if rows.shape[1] < 3:  # noqa: PLR2004 - two values are ±1 after any normalisation
        return False
    return bool(
        np.nanmean(np.abs(rows.mean(axis=1)) <= 1e-3) >= 0.9  # noqa: PLR2004
        and np.nanmean(np.abs(rows.std(axis=1) - 1) <= 1e-2) >= 0.9  # noqa: PLR2004
    )


def _finding(
    test: Block,
    mask: NDArray[np.bool_],
    exact: NDArray[np.bool_],
    limits: Limits,
    what: str,
) -> Finding:
    columns = np.flatnonzero(mask & exact)
    shown = columns[np.argsort(np.abs(test.stats.mean[columns]))][:_WORST].tolist()
    names = [
        f"{test.numeric_labels[j]!r} (test mean {test.stats.mean[j]:.2g}, "
        f"sd {test.stats.sd[j]:.4g})"
        for j in shown
    ]
    share = float(exact[mask].mean())
    return INFO.finding(
        f"{len(columns):,} of {int(mask.sum()):,} columns have {what} exactly in both splits: "
        "each split was scaled by itself.",
        location=f"columns {listed(names)}",
        measured={"share": share, "n": len(test.matrix)},
        threshold={"share": limits["share"]},
        fix=_FIX,
        basis=test.basis,
    )
