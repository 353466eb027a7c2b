"""K204 input-scale-wrong-for-first-layer: inputs too large, or too small, for the network.

What it looks at
    The size of what the first weighted layer computes from the first rows, before its
    activation. Scaling inside the model counts as scaling. Only models with fresh weights.
Why it matters
    Pre-activations of 100 saturate every unit and make the first steps enormous; the same
    network learns at once when its inputs are standardised.
What it cannot see
    Single columns that are too large among many, and models whose graph cannot be seen.
Source
    LeCun, Bottou, Orr and Müller (1998), Efficient BackProp, section 4.3
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import DataView, FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding, Severity

INFO = CHECKS["K204"]


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each first layer whose pre-activations have a wrong size."""
    signals = fit.model.first_signals
    if not fit.model.is_fresh:
        raise NotApplicable("the weights are not fresh")
    for signal in signals:
        severity: Severity
        if signal.rms > limits["error-high"]:
            severity = "error"
        elif signal.rms > limits["warn-high"] or signal.rms < limits["warn-low"]:
            severity = "warning"
        else:
            continue
        if signal.is_normalised:
            severity = "note"  # the normalisation that follows sets the scale right
        size = "large" if signal.rms > 1 else "small"
        yield INFO.finding(
            f"The inputs are too {size}: what the layer computes from them is of the order of "
            f"{signal.rms:.3g}, where about 1 is healthy.",
            severity=severity,
            location=f"layer {signal.layer!r}{_largest(fit.data) if size == 'large' else ''}",
            measured={"rms": signal.rms, "n": signal.n_rows},
            threshold=dict(limits),
            fix="Standardise the inputs (fit on train), or add a Normalization or Rescaling layer.",
            basis="batch",
        )


def _largest(data: DataView) -> str:
    """Return the largest input columns with their ranges, in words."""
    try:
        block = data.block
        stats = block.stats
    except NotApplicable:
        return ""
    if not len(stats.sd):
        return ""
    order = np.argsort(np.square(stats.mean) + np.square(stats.sd))[::-1][:3].tolist()
    columns = [
        f"column {block.numeric_labels[j]} ({stats.low[j]:.3g} to {stats.high[j]:.3g})"
        for j in order
    ]
    return f"; {', '.join(columns)}"
