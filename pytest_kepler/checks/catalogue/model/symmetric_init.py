"""K205 symmetric-init: units of a layer that start equal, and may stay equal.

What it looks at
    Kernels whose units all have the same incoming weights at the start: an error where they
    still have them after four steps of Adam, a warning where they begin as one constant and
    come apart because the next layer is random.
Why it matters
    Units that start equal and get equal gradients are one unit, however wide the layer is.
What it cannot see
    Zeros that come apart in the first step, such as those of a head, are sound.
Source
    Goodfellow, Bengio and Courville (2016), Deep Learning, section 8.4
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_kepler.adapters.views import FitView, Weight
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding, Severity

INFO = CHECKS["K205"]


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for the kernels whose units stay equal, and one for those that begin so."""
    del limits
    begin = [one for one in fit.probe.weights if one.columns_equal[0]]
    stay = [one for one in begin if one.columns_equal[1]]
    if stay:
        yield _finding(stay, "error", "and keep them when trained")
        return
    # A layer of zeros is meant: a head, or a branch that begins as nothing.
    part = [one for one in begin if not one.columns_equal[1] and one.size > 0]
    if part:
        yield _finding(part, "warning", "and only what follows tells them apart")


def _finding(weights: Sequence[Weight], severity: Severity, how: str) -> Finding:
    paths = [one.path for one in weights]
    return INFO.finding(
        f"All units of {listed(paths)} have the same weights, {how}.",
        severity=severity,
        location=listed(paths),
        measured={"kernels": len(paths), "value": weights[0].size},
        threshold={"kernels": 0},
        fix="Leave the initializer to its default, which is random.",
        basis="probe",
    )
