"""K416 regularisation-dominates: penalties on the weights that are larger than the loss itself.

What it looks at
    The sum of the weights' penalties at the start against the loss on a batch.
Why it matters
    The network first shrinks its weights, and learns from the data only what little is left.
What it cannot see
    Weight decay in the optimizer, and penalties on activities.
Source
    https://keras.io/api/layers/regularizers/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K416"]


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if the penalties outweigh the loss."""
    penalties = fit.model.penalties
    if not penalties:
        raise NotApplicable("no weight has a penalty")
    loss, total = fit.probe.loss, sum(penalties.values())
    if loss > 0 and total / loss > limits["ratio"]:
        path, largest = max(penalties.items(), key=lambda pair: pair[1])
        yield INFO.finding(
            f"The penalties are {total:.3g} where the loss is {loss:.3g}; that of {path} is "
            f"{largest:.3g}.",
            location=path,
            measured={"ratio": total / loss, "n": fit.probe.n_rows},
            threshold={"ratio": limits["ratio"]},
            fix="Lower the regularizers' factors: 1e-5 to 1e-2 are usual.",
            basis="probe",
        )
