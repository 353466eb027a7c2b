"""K201 signal-vanishes-at-init: weights so small that nothing reaches them.

What it looks at
    The gradient of every kernel at the start, relative to the kernel, in the training probe.
    Only models with fresh weights whose loss is not small already.
Why it matters
    Signals that shrink from layer to layer leave nothing to learn from: the network stands
    still whatever the rate.
What it cannot see
    Models of which no clone can be made, and losses of the user's own.
Source
    Glorot and Bengio (2010), https://proceedings.mlr.press/v9/glorot10a.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.priors import prior_loss, require_fresh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K201"]
_LEAST_SIZE = 1e-3


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if the gradients of all kernels are next to nothing."""
    probe = fit.probe
    require_fresh(fit)
    if probe.loss < prior_loss(fit, probe) / 2:
        raise NotApplicable("the loss is small already")
    kernels = [one for one in probe.weights if one.role == "kernel"]
    if not kernels:
        raise NotApplicable("there is no kernel")
    relative = {one.path: one.gradients[0] / max(one.size, _LEAST_SIZE) for one in kernels}
    path, largest = max(relative.items(), key=lambda pair: pair[1])
    if largest < limits["min-rel-grad"]:
        yield INFO.finding(
            f"No kernel feels the loss: the largest relative gradient at the start is "
            f"{largest:.2g}, that of {path}.",
            location=f"{len(kernels)} kernels",
            measured={"relative gradient": float(largest), "n": probe.n_rows},
            threshold={"relative gradient": limits["min-rel-grad"]},
            fix="Use the default initializer (glorot_uniform), or he_normal before a ReLU.",
            basis="probe",
        )
