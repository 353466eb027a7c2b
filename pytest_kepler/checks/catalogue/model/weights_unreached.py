"""K506 weights-unreached: trainable weights that the loss does not depend on.

What it looks at
    The gradient of every trainable weight in four steps of Adam: none at all, or zero each time.
Why it matters
    A layer beside the path to the loss, a rounding or a stopped gradient on it: the weights stay
    as they are while the rest learns.
What it cannot see
    Weights that few rows reach, such as rare words; one row of a table with a gradient is enough.
Source
    https://www.tensorflow.org/guide/autodiff#getting_a_gradient_of_none
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_kepler.adapters.views import FitView, Probe, Weight
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding, Severity

INFO = CHECKS["K506"]
_ZERO = 1e-12
_MANY = 0.5


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for the kernels that are not reached, and one for other weights."""
    del limits
    probe = fit.probe
    unreached = [one for one in probe.weights if (one.gradients <= _ZERO).all()]
    kernels = [one for one in unreached if one.role != "other"]
    owners = {one.path.rpartition("/")[0] for one in kernels}
    rest = [one for one in unreached if one.role == "other"]
    rest = [one for one in rest if one.path.rpartition("/")[0] not in owners]
    if kernels:
        yield _finding(kernels, _severity(fit, probe, kernels), probe)
    rest = [one for one in rest if not (one.is_connected and "bias" in one.path)]
    if rest:
        yield _finding(rest, "note" if _has_idle_output(fit, probe) else "warning", probe)


def _severity(fit: FitView, probe: Probe, kernels: Sequence[Weight]) -> Severity:
    if _has_idle_output(fit, probe):
        return "note"
    total = sum(one.role != "other" for one in probe.weights)
    # A path that is there but carries nothing may be a gate that happens to be closed.
    is_hard = any(not one.is_connected for one in kernels) or len(kernels) > _MANY * total
    return "error" if is_hard else "warning"


def _has_idle_output(fit: FitView, probe: Probe) -> bool:
    """Tell whether an output has no loss, or one that does not count."""
    return any(loss is None for loss in fit.model.losses) or 0.0 in probe.output_weights


def _finding(weights: Sequence[Weight], severity: Severity, probe: Probe) -> Finding:
    paths = [one.path for one in weights]
    return INFO.finding(
        f"The loss does not depend on {listed(paths)}.",
        severity=severity,
        location=listed(paths),
        measured={"weights": len(paths), "of": len(probe.weights), "n": probe.n_rows},
        threshold={"weights": 0},
        fix="Connect the layer to the output, or freeze it; look for stop_gradient, rounding and "
        "argmax on the way.",
        basis="probe",
    )
