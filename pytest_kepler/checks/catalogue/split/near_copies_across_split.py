"""K106 near-copies-across-split: test rows that are training rows with a little noise.

What it looks at
    The distance from test rows to their nearest training row, in standardised columns that
    take many values, on at most 4,000 rows a side; exact copies are left to K105.
Why it matters
    Augmented or resampled copies of a training row are no test of anything.
What it cannot see
    Copies of rows that are not among the 4,000; shifted or turned images.
Source
    https://docs.cleanlab.ai/stable/cleanlab/datalab/guide/issue_type_description.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import SHOWN, continuous, plural
from pytest_kepler.checks.rows import shared_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Block, SplitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

    Numbers = NDArray[np.floating[Any]]

INFO = CHECKS["K106"]
_MAX_ROWS = 4_000
_MAX_COLUMNS = 200
_MIN_COLUMNS = 4
_MIN_TRAIN_ROWS = 50
_CHUNK_ROWS = 1_000
_MOSTLY_EQUAL = 0.5
_TIMES_OWN = 3.0
#: Up to this many columns, differences of products are exact enough only in double precision.
_NARROW = 50


def check(split: SplitView, limits: Limits) -> Iterator[Finding]:
    """Yield one finding if too many test rows lie too near to a training row."""
    split.require_rows()
    train, test = split.train.block, split.test.block
    if split.train.ordered or split.time is not None:
        raise NotApplicable("the rows are ordered: neighbours in time are alike by nature")
    if train.is_sparse or test.is_sparse:
        raise NotApplicable("a sparse matrix is left as it is")
    if train.matrix.shape[1] != test.matrix.shape[1]:
        raise NotApplicable("the splits have different columns")
    chosen = _columns(train)
    if len(chosen) < _MIN_COLUMNS:
        raise NotApplicable(f"fewer than {_MIN_COLUMNS} columns take many values")
    ours, our_rows = _standardised(train, train, chosen, np.empty(0, dtype=np.int64))
    copies = shared_rows(split).test_rows
    theirs, their_rows = _standardised(test, train, chosen, copies)
    if len(ours) < _MIN_TRAIN_ROWS or len(theirs) < limits["min-rows"]:
        raise NotApplicable("there are too few complete rows")
    own, _ = _nearest(ours, ours, is_same=True)
    typical = float(np.median(own))
    if np.mean(own == 0) >= _MOSTLY_EQUAL or typical == 0:
        raise NotApplicable("most rows have an equal row")
    distances, partners = _nearest(theirs, ours, is_same=False)
    near = np.flatnonzero(distances < limits["radius"] * typical)
    share = len(near) / len(theirs)
    own_share = float(np.mean(own < limits["radius"] * typical))
    if (
        len(near) < limits["min-rows"]
        or share <= limits["share"]
        or share <= _TIMES_OWN * own_share
    ):
        return
    pairs = [
        f"test {their_rows[i]:,} ≈ train {our_rows[partners[i]]:,}" for i in near[:SHOWN].tolist()
    ]
    yield INFO.finding(
        f"{plural(len(near), 'test row')} of {len(theirs):,} "
        f"{'lies' if len(near) == 1 else 'lie'} {1 / limits['radius']:.0f} times nearer to a "
        "training row than training rows lie to each other.",
        location=", ".join(pairs),
        measured={"share": share, "same inside train": own_share, "pairs": pairs},
        threshold={"share": limits["share"], "radius": limits["radius"]},
        fix="Split before augmenting or resampling, or by where the rows come from.",
        basis=f"data: {len(ours):,} training and {len(theirs):,} test rows, seed 0",
    )


def _columns(block: Block) -> NDArray[np.int64]:
    chosen = np.flatnonzero(continuous(block) & (block.stats.sd > 0))
    if len(chosen) > _MAX_COLUMNS:
        widest = np.argsort(block.stats.sd[chosen], kind="stable")[::-1][:_MAX_COLUMNS]
        chosen = np.sort(chosen[widest])
    return chosen


def _standardised(
    block: Block, train: Block, chosen: NDArray[np.int64], left_out: NDArray[np.int64]
) -> tuple[Numbers, NDArray[np.int64]]:
    """Return complete rows in the units of train's spreads, and their positions."""
    positions = np.arange(block.n_rows) if block.rows is None else block.rows
    kept = np.flatnonzero(~np.isin(positions, left_out))
    if len(kept) > _MAX_ROWS:
        kept = np.sort(np.random.default_rng(0).choice(kept, _MAX_ROWS, replace=False))
    rows = block.matrix[kept][:, chosen].astype(np.float64)
    rows = (rows - train.stats.mean[chosen]) / train.stats.sd[chosen]
    complete = np.isfinite(rows).all(axis=1)
    dtype = np.float64 if len(chosen) <= _NARROW else np.float32
    return rows[complete].astype(dtype), positions[kept[complete]]


def _nearest(
    rows: Numbers, reference: Numbers, *, is_same: bool
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the distance to the nearest reference row, another than itself, and which it is."""
    partners = np.empty(len(rows), dtype=np.int64)
    lengths = np.square(reference).sum(axis=1)
    for start in range(0, len(rows), _CHUNK_ROWS):
        part = rows[start : start + _CHUNK_ROWS]
        # |a - b|² less |a|², which is the same for all b.
        scores = lengths - 2 * (part @ reference.T)
        if is_same:
            own = np.arange(len(part))
            scores[own, start + own] = np.inf
        partners[start : start + _CHUNK_ROWS] = scores.argmin(axis=1)
    differences = rows.astype(np.float64) - reference[partners]
    return np.sqrt(np.square(differences).sum(axis=1)), partners
