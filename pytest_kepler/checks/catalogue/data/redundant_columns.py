"""K301 redundant-columns: two columns that say the same.

What it looks at
    The correlation of numeric columns over complete rows, for at most 200 columns of largest
    spread. Pairs of yes-or-no columns, pixels and sparse matrices are left out.
Why it matters
    An exact copy makes coefficients and importances arbitrary, and often is the same
    quantity in another unit, or a copy by mistake.
What it cannot see
    A column that follows from several others.
Source
    https://scikit-learn.org/stable/modules/linear_model.html, on collinearity
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import COLUMNS_SHOWN, is_homogeneous, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Block, DataView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K301"]
_MAX_COLUMNS = 200
_MIN_ROWS = 30
_BINARY = 2


def check(data: DataView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for the pairs of columns that are copies of each other."""
    data.require_rows()
    if data.ordered:
        raise NotApplicable("the rows are ordered: lags of one series are alike by nature")
    block = data.block
    if block.is_sparse:
        raise NotApplicable("a sparse matrix is not read column by column")
    matrix = block.matrix
    if matrix.shape[1] < 2:  # noqa: PLR2004 - one column has no pair
        raise NotApplicable("there are no two numeric columns")
    if is_homogeneous(block):
        raise NotApplicable("neighbouring pixels are alike by nature")
    chosen = _columns_of_interest(block)
    r, n_complete = _correlations(matrix[:, chosen])
    if n_complete < _MIN_ROWS:
        raise NotApplicable(f"fewer than {_MIN_ROWS} rows are complete")
    binary = block.distinct[chosen] <= _BINARY
    r[np.outer(binary, binary)] = 0.0
    left, right = np.nonzero(np.triu(np.abs(r) >= limits["min-r"], k=1))
    for i, j in list(zip(left.tolist(), right.tolist(), strict=True))[:COLUMNS_SHOWN]:
        names = [block.called(block.numeric_labels[chosen[k]]) for k in (i, j)]
        yield INFO.finding(
            f"The same is said by {names[0]} and {names[1]}: each follows from the other.",
            location=f"{names[0]} and {names[1]}",
            measured={"r": float(r[i, j]), "n": n_complete},
            threshold={"min-r": limits["min-r"]},
            fix="Drop one of the two.",
            basis=block.basis,
        )
    if len(left) > COLUMNS_SHOWN:
        yield INFO.finding(
            f"{plural(len(left) - COLUMNS_SHOWN, 'more pair')} of columns say the same.",
            location=block.name,
            measured={"pairs": len(left)},
            threshold={"min-r": limits["min-r"]},
            fix="Drop one of each pair.",
            basis=block.basis,
        )


def _columns_of_interest(block: Block) -> NDArray[np.int64]:
    """Return the varying, mostly complete columns; the 200 of largest spread if there are more."""
    stats = block.stats
    # Rounding leaves a constant column with a spread of its own: far below its size.
    varying = stats.sd > 1e-12 * np.maximum(1.0, np.abs(stats.mean))
    complete = stats.n_finite >= 0.5 * len(block.matrix)
    chosen = np.flatnonzero(varying & complete)
    if len(chosen) > _MAX_COLUMNS:
        widest = np.argsort(stats.sd[chosen])[::-1][:_MAX_COLUMNS]
        chosen = np.sort(chosen[widest])
    return chosen


def _correlations(matrix: NDArray[Any]) -> tuple[NDArray[np.float64], int]:
    """Return the correlations over complete rows, and how many rows are complete."""
    n, d = matrix.shape
    step = max(1, 1_000_000 // max(1, d))
    shift = np.zeros(d)
    total, products, count = np.zeros(d), np.zeros((d, d)), 0
    for start in range(0, n, step):
        part = matrix[start : start + step].astype(np.float64)
        part = part[np.isfinite(part).all(axis=1)]
        if not len(part):
            continue
        if not count:
            # Products of numbers far from zero lose their digits: count from the first mean.
            shift = part.mean(axis=0)
        part -= shift
        total += part.sum(axis=0)
        products += part.T @ part
        count += len(part)
    if not count:
        return np.zeros((d, d)), 0
    mean = total / count
    covariance = products / count - np.outer(mean, mean)
    sd = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    scale = np.outer(sd, sd)
    r = np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0)
    return r, count
