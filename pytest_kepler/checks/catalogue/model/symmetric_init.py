"""K205 symmetric-init: units of a layer that start equal and stay equal.

What it looks at
    Kernels whose units all have the same incoming weights at the start, and still have them
    after four steps of Adam: all zeros, or one constant.
Why it matters
    Units that start equal and get equal gradients are one unit, however wide the layer is.
What it cannot see
    Equal weights that come apart in the first step, such as a head of zeros: those are sound.
Source
    Goodfellow, Bengio and Courville (2016), Deep Learning, section 8.4
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K205"]


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if some kernel's units stay equal."""
    del limits
    equal = [one for one in fit.probe.weights if all(one.columns_equal)]
    if equal:
        paths = [one.path for one in equal]
        yield INFO.finding(
            f"All units of {listed(paths)} have the same weights, and keep them when trained.",
            location=listed(paths),
            measured={"kernels": len(paths), "value": equal[0].size},
            threshold={"kernels": 0},
            fix="Use a random initializer: the default is glorot_uniform.",
            basis="probe",
        )
