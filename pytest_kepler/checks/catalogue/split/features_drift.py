"""K111 features-drift: features that are distributed differently in the two splits.

What it looks at
    For numbers the largest gap between the two distribution functions (Kolmogorov-Smirnov),
    for categories half the sum of the gaps between shares, and the shares of missing values;
    on at most 20,000 rows a side. The gap must be large, and must not be chance.
Why it matters
    The split is not random: it follows time, place or the label, and the metric answers for
    other rows than the model was trained on.
What it cannot see
    Columns that only drift together, and differences smaller than the limit.
Source
    https://docs.deepchecks.com/stable/tabular/auto_checks/train_test_validation/plot_feature_drift.html
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import listed, off_scale, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Block, Column, SplitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K111"]
_MIN_ROWS = 30
_MAX_ROWS = 20_000
_MAX_COLUMNS = 200
_MAX_LEVELS = 50
_WORST = 3
_BINARY = 2
_ID_SHARE = 0.99

_PREPARED_APART = 0.3


@dataclass(frozen=True, slots=True)
class Gap:
    """How far a column is from itself in the other split, and how likely chance makes that."""

    column: str
    size: float
    chance: float
    limit: str
    text: str


def check(split: SplitView, limits: Limits) -> Iterator[Finding]:
    """Yield one finding for the columns that drift."""
    split.require_rows()
    train, test = split.train.block, split.test.block
    if train.is_sparse or test.is_sparse:
        raise NotApplicable("a sparse matrix is not read column by column")
    if min(train.n_rows, test.n_rows) < _MIN_ROWS:
        raise NotApplicable(f"a split has fewer than {_MIN_ROWS} rows")
    if train.matrix.shape[1] != test.matrix.shape[1] or train.names != test.names:
        raise NotApplicable("the splits have different columns")
    if _is_prepared_apart(train, test):
        raise NotApplicable("the splits have different scales, and K116 tells of that")
    gaps = [*_numeric_gaps(train, test), *_text_gaps(train, test)]
    if not gaps:
        raise NotApplicable("there is no column to compare")
    n_columns = len({gap.column for gap in gaps})
    chance = limits["p"] / n_columns
    found = [gap for gap in gaps if gap.size > limits[gap.limit] and gap.chance < chance]
    if not found:
        return
    found.sort(key=lambda gap: -gap.size)
    drifting = list(dict.fromkeys(gap.column for gap in found))
    # Times, groups and domains differ by nature: said, but no fault.
    is_declared = split.groups is not None or split.time is not None or split.train.ordered
    yield INFO.finding(
        f"{len(drifting):,} of {plural(n_columns, 'column')} "
        f"{'is' if len(drifting) == 1 else 'are'} distributed differently in the test split.",
        severity="note" if is_declared else "warning",
        location=listed([f"{gap.column} ({gap.text})" for gap in found], _WORST),
        measured={"largest gap": found[0].size, "columns": len(drifting), "n": test.n_rows},
        threshold={"min-ks": limits["min-ks"], "p": limits["p"]},
        fix="Shuffle or stratify the split; if it is by time or group, declare time= or groups=.",
        basis=train.basis,
    )


def _is_prepared_apart(train: Block, test: Block) -> bool:
    try:
        off, usable, is_few = off_scale(train, test)
    except NotApplicable:
        return False
    return bool(off.sum() / usable.sum() >= (1.0 if is_few else _PREPARED_APART))


def _numeric_gaps(train: Block, test: Block) -> Iterator[Gap]:
    d = train.matrix.shape[1]
    columns = np.arange(d)
    if d > _MAX_COLUMNS:
        columns = np.sort(np.argsort(train.stats.sd, kind="stable")[::-1][:_MAX_COLUMNS])
    n_looked_at = max(1, min(len(train.matrix), 5_000))
    for j in columns.tolist():
        if train.integral[j] and train.distinct[j] >= _ID_SHARE * n_looked_at:
            continue  # an id, or a date in whole numbers
        ours, theirs = _thin(train.matrix[:, j]), _thin(test.matrix[:, j])
        name = train.called(train.numeric_labels[j])
        yield _missing_gap(~np.isfinite(ours), ~np.isfinite(theirs), name)
        ours, theirs = ours[np.isfinite(ours)], theirs[np.isfinite(theirs)]
        if min(len(ours), len(theirs)) < _MIN_ROWS:
            continue
        if train.distinct[j] <= _BINARY and test.distinct[j] <= _BINARY:
            levels, codes = np.unique(np.concatenate([ours, theirs]), return_inverse=True)
            gap, p = _shares_gap(codes.reshape(-1), len(ours), len(levels))
            yield Gap(name, gap, p, "min-tv", f"share of {levels[-1]:g} differs by {gap:.2f}")
            continue
        gap, p = _ks(ours, theirs)
        medians = f"median {np.median(ours):.3g} in train, {np.median(theirs):.3g} in test"
        yield Gap(name, gap, p, "min-ks", f"gap {gap:.2f}, {medians}")


def _text_gaps(train: Block, test: Block) -> Iterator[Gap]:
    if not train.is_table:
        return
    for ours, theirs in zip(train.columns, test.columns, strict=True):
        if ours.kind != "text" or theirs.kind != "text":
            continue
        name = train.called(ours.name)
        yield _missing_gap(ours.missing, theirs.missing, name)
        counted = _counted(ours, theirs)
        if counted is not None:
            gap, p = _shares_gap_of_counts(*counted)
            yield Gap(name, gap, p, "min-tv", f"gap {gap:.2f} in the shares")


def _counted(
    ours: Column, theirs: Column
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return the counts of each level on both sides; None for free text and near-empty columns."""
    labels = list(dict.fromkeys([*map(str, ours.levels.values), *map(str, theirs.levels.values)]))
    if len(labels) > _MAX_LEVELS:
        return None
    both = []
    for column in (ours, theirs):
        counts = dict.fromkeys(labels, 0.0)
        for value, count in zip(column.levels.values, column.levels.counts, strict=True):
            counts[str(value)] += float(count)
        both.append(np.array(list(counts.values())))
    if min(both[0].sum(), both[1].sum()) < _MIN_ROWS:
        return None
    return both[0], both[1]


def _thin(values: NDArray[Any]) -> NDArray[np.float64]:
    step = max(1, -(-len(values) // _MAX_ROWS))
    return values[::step].astype(np.float64)


# --- Gaps and how likely chance makes them -------------------------------------------------


def _missing_gap(ours: NDArray[np.bool_], theirs: NDArray[np.bool_], name: str) -> Gap:
    m, n = len(ours), len(theirs)
    share, other = float(ours.mean()), float(theirs.mean())
    gap = abs(share - other)
    pooled = (ours.sum() + theirs.sum()) / (m + n)
    error = math.sqrt(pooled * (1 - pooled) * (1 / m + 1 / n))
    p = math.erfc(gap / error / math.sqrt(2)) if error > 0 else 1.0
    text = f"missing {share:.0%} in train, {other:.0%} in test"
    return Gap(name, gap, p, "missing-gap", text)


def _ks(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> tuple[float, float]:
    """Return the largest gap between two empirical distribution functions, and its chance."""
    ours, theirs = np.sort(ours), np.sort(theirs)
    points = np.concatenate([ours, theirs])
    below = np.searchsorted(ours, points, side="right") / len(ours)
    gap = float(np.abs(below - np.searchsorted(theirs, points, side="right") / len(theirs)).max())
    root = math.sqrt(len(ours) * len(theirs) / (len(ours) + len(theirs)))
    # Stephens' correction of the limiting distribution for small samples.
    x = (root + 0.12 + 0.11 / root) * gap
    p = 2 * sum((-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2) for k in range(1, 101))
    return gap, min(1.0, max(0.0, p)) if x > 0.2 else 1.0  # noqa: PLR2004 - the sum has not converged


def _shares_gap(codes: NDArray[np.int64], n_ours: int, n_levels: int) -> tuple[float, float]:
    return _shares_gap_of_counts(
        np.bincount(codes[:n_ours], minlength=n_levels).astype(np.float64),
        np.bincount(codes[n_ours:], minlength=n_levels).astype(np.float64),
    )


def _shares_gap_of_counts(
    ours: NDArray[np.float64], theirs: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the total variation distance of two counts of levels, and its chance (χ²)."""
    m, n = ours.sum(), theirs.sum()
    gap = float(0.5 * np.abs(ours / m - theirs / n).sum())
    total = ours + theirs
    kept = total > 0
    expected = total[kept] * m / (m + n), total[kept] * n / (m + n)
    statistic = float(
        (np.square(ours[kept] - expected[0]) / expected[0]).sum()
        + (np.square(theirs[kept] - expected[1]) / expected[1]).sum()
    )
    return gap, _chi_squared_tail(statistic, int(kept.sum()) - 1)


def _chi_squared_tail(statistic: float, degrees: int) -> float:
    """Return the chance of a larger χ², by Wilson and Hilferty's approximation."""
    if degrees < 1:
        return 1.0
    spread = 2 / (9 * degrees)
    z = ((statistic / degrees) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)
    return 0.5 * math.erfc(z / math.sqrt(2))
