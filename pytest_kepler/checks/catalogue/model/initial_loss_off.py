"""K207 initial-loss-off: a loss before training that is far from that of guessing.

What it looks at
    The loss on a batch of rows, without penalties, against what a network that knows nothing
    should have: the logarithm of the number of classes. Only cross-entropies and fresh weights.
Why it matters
    A start at ten times that loss means a wrong form of loss, a wrong output or unscaled inputs.
What it cannot see
    Regression, focal losses, and losses of the user's own.
Source
    Karpathy (2019), A Recipe for Training Neural Networks
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.priors import (
    CROSSENTROPIES,
    prior_loss,
    require_fresh,
    usual_losses,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView, Probe
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding, Severity

INFO = CHECKS["K207"]
_MANY = 1_000


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if the first loss is far from that of guessing."""
    probe = fit.probe
    require_fresh(fit)
    expected, high = _expected(fit, probe)
    ratio = probe.loss / high
    severity: Severity
    if not np.isfinite(probe.loss) or ratio > limits["error-ratio"]:
        severity = "error"
    elif ratio > limits["warn-ratio"] or _is_low(fit, probe, expected, limits):
        severity = "warning"
    else:
        return
    yield INFO.finding(
        f"Before training the loss is {probe.loss:.3g}, where guessing gives {expected:.3g}.",
        severity=severity,
        location="loss before training",
        measured={"loss": probe.loss, "ratio": probe.loss / expected, "n": probe.n_rows},
        threshold={"ratio": limits["error-ratio" if severity == "error" else "warn-ratio"]},
        fix="Check the form of the loss and of the last layer, the scale of the inputs, and the "
        "initializers.",
        basis="probe",
    )


def _expected(fit: FitView, probe: Probe) -> tuple[float, float]:
    """Return the loss of guessing evenly, and the larger one that still is sound.

    A last bias that is set to how rare a class is costs more on the probe's rows, where every
    class is as common as the others.
    """
    losses = usual_losses(fit)
    outputs = fit.model.outputs
    if any(loss.kind not in CROSSENTROPIES or "ocal" in loss.name for loss in losses):
        raise NotApplicable("the loss is not a plain cross-entropy")
    even = [
        float(np.log(output.units if loss.kind != "binary" and output.units else 2))
        for loss, output in zip(losses, outputs, strict=True)
    ]
    if len(even) != len(probe.output_weights) or min(even) <= 0:
        raise NotApplicable("the number of classes is not known")
    total = float(np.dot(even, probe.output_weights))
    if total <= 0:
        raise NotApplicable("no output's loss counts")
    return total, max(total, _with_shares(fit, probe))


def _with_shares(fit: FitView, probe: Probe) -> float:
    """Return the loss on the probe's rows of answering the shares of all rows' classes."""
    if len(fit.data.targets) != 1 or not fit.data.complete or len(probe.labels) != 1:
        return 0.0
    target = fit.data.target
    if not target.is_numeric or target.values.size != target.n_rows:
        return 0.0
    levels, codes = target.codes
    if len(levels) > _MANY:
        return 0.0
    shares = np.bincount(codes) / len(codes)
    positions = np.searchsorted(levels, probe.labels[0].reshape(-1))
    return float(-np.log(shares[np.minimum(positions, len(shares) - 1)]).mean())


def _is_low(fit: FitView, probe: Probe, expected: float, limits: Limits) -> bool:
    """Tell whether the loss is so small that the labels must be known already."""
    least = min(expected, prior_loss(fit, probe))
    return probe.loss < limits["low-ratio"] * least
