"""K502 gradient-vanishes-by-depth: kernels that learn thousands of times less than others.

What it looks at
    The gradients of all kernels in four steps of Adam: the smallest against the largest. Only
    models with fresh weights.
Why it matters
    Layers far from the loss stay as they are; the network is as shallow as the rest of it.
What it cannot see
    Biases, embeddings, and outputs of which the losses count very differently.
Source
    Zhang et al. (2021), AutoTrainer, https://doi.org/10.1109/ICSE43902.2021.00043
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.priors import require_fresh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding, Severity

INFO = CHECKS["K502"]
_LEAST_SIZE = 1e-8
_EVEN = 10.0


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if some kernel's gradient is next to nothing beside another's."""
    probe = fit.probe
    require_fresh(fit)
    weights = probe.output_weights
    if weights and max(weights) > _EVEN * min(weights):
        raise NotApplicable("the outputs' losses count very differently")
    largest = {
        one.path: float(one.gradients.max())
        for one in probe.weights
        if one.role == "kernel" and one.size > _LEAST_SIZE and one.gradients.max() > 0
    }
    if len(largest) < 2:  # noqa: PLR2004 - one kernel has none beside it
        raise NotApplicable("there are not several kernels with a gradient")
    least, most = min(largest, key=largest.__getitem__), max(largest, key=largest.__getitem__)
    ratio = largest[least] / largest[most]
    if ratio < limits["warn"]:
        severity: Severity = "error" if ratio < limits["error"] else "warning"
        yield INFO.finding(
            f"The gradient of {least} is {ratio:.1g} of that of {most}.",
            severity=severity,
            location=least,
            measured={"ratio": ratio, "n": probe.n_rows},
            threshold={"ratio": limits[severity.removesuffix("ing")]},
            fix="Use ReLU-like activations, normalisation layers or skip connections.",
            basis="probe",
        )
