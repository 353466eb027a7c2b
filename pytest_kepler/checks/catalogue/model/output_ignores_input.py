"""K208 output-ignores-input: outputs that are the same for every row, and stay so when trained.

What it looks at
    The spread of the outputs over the rows, relative to their size, before training and after
    three steps of Adam, in inference and in training mode. Only models with fresh weights.
Why it matters
    What does not depend on the inputs cannot learn from them: dead or saturated layers, or an
    input that leads nowhere.
What it cannot see
    One output among several that ignores the inputs.
Source
    Karpathy (2019), A Recipe for Training Neural Networks
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
    from pytest_kepler.records import Finding

INFO = CHECKS["K208"]


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if no output varies over the rows."""
    probe = fit.probe
    if not probe.has_distinct_rows:
        raise NotApplicable("all rows of the batch are equal")
    require_fresh(fit)
    # A head of zeros is constant at the start only, and a large step may kill a sound network.
    variation = max(probe.variation)
    if variation < limits["min-variation"]:
        yield INFO.finding(
            f"The outputs hardly depend on the inputs: over {probe.n_rows:,} rows their relative "
            f"spread is {variation:.2g}.",
            location="outputs",
            measured={"relative spread": variation, "n": probe.n_rows},
            threshold={"min-variation": limits["min-variation"]},
            fix="Look for dead or saturated layers, and for inputs that are not connected.",
            basis="probe",
        )
