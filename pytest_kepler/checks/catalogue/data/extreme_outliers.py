"""K315 extreme-outliers: a value a thousand times as far out as the others.

What it looks at
    In columns that take many values, the distance of the farthest value from the median, in
    interquartile ranges; where all values are above zero, also on the logarithmic scale.
Why it matters
    It is rarely a measurement: units were mixed up, or a digit slipped. Scales, distances and
    gradients follow it.
What it cannot see
    Outliers below the limit, which is far beyond what heavy tails do.
Source
    https://scikit-learn.org/stable/auto_examples/preprocessing/plot_all_scaling.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import COLUMNS_SHOWN, continuous, minds_outliers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Block, DataView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K315"]
_MIN_ROWS = 30
_MOSTLY_ZERO = 0.5


def check(data: DataView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each column with a value that is out of all proportion."""
    data.require_rows()
    if data.model is not None and not minds_outliers(data.model):
        raise NotApplicable("the model, or a step before it, does not mind outliers")
    for block in data.blocks:
        if block.is_sparse:
            continue
        suspects = _suspects(block)
        found = [one for j in suspects for one in _judge(block, j, limits)]
        yield from found[:COLUMNS_SHOWN]


def _suspects(block: Block) -> list[int]:
    """Return the columns of which an end lies a hundred spreads from the middle half."""
    if len(block.matrix) < _MIN_ROWS or not block.matrix.shape[1]:
        return []
    stats = block.stats
    counts = block.integral & (stats.zero_share > _MOSTLY_ZERO)
    # The standard deviation is pulled along by at most the root of the number of rows.
    reach = np.maximum(stats.high - stats.mean, stats.mean - stats.low)
    far = reach > 5 * np.maximum(stats.sd, 1e-300)
    return [int(j) for j in np.flatnonzero(continuous(block) & ~counts & far)]


def _judge(block: Block, j: int, limits: Limits) -> Iterator[Finding]:
    column = block.matrix[:, j].astype(np.float64)
    values = column[np.isfinite(column)]
    multiple, value = _farthest(values)
    if multiple <= limits["iqr-multiple"]:
        return
    if values.min() > 0:
        on_log_scale, value = _farthest(np.log(values))
        value = float(np.exp(value))
        if on_log_scale <= limits["log-multiple"]:
            return
    position = int(np.argmin(np.abs(column - value)))
    row = position if block.rows is None else int(block.rows[position])
    name = block.called(block.numeric_labels[j])
    yield INFO.finding(
        f"The value {value:.4g} in {name} is {multiple:,.0f} interquartile ranges from the median.",
        location=f"{name}, row {row:,}",
        measured={"iqr-multiple": multiple, "median": float(np.median(values)), "n": len(values)},
        threshold={"iqr-multiple": limits["iqr-multiple"]},
        fix="Look at the row: were units mixed up? Else clip the column or take its logarithm.",
        basis=block.basis,
    )


def _farthest(values: NDArray[Any]) -> tuple[float, float]:
    """Return how many interquartile ranges the farthest value is from the median, and itself."""
    quarter, median, three_quarters = np.percentile(values, [25, 50, 75])
    spread = float(three_quarters - quarter)
    if spread <= 0:
        spread = float(values[values != 0].std()) if (values != 0).any() else 0.0
    if spread <= 0:
        return 0.0, float(median)
    ends = np.array([values.min(), values.max()])
    distances = np.abs(ends - median) / spread
    return float(distances.max()), float(ends[np.argmax(distances)])
