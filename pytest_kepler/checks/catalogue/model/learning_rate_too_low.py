"""K508 learning-rate-too-low: steps so small that nothing changes, where larger ones would learn.

What it looks at
    Twenty steps of the model's own optimizer on one batch: a loss that stays, weights that hardly
    move, while Adam with a rate of 0.01 learns at once. Only models with fresh weights.
Why it matters
    The training takes a thousand times as long as it must, or seems to have converged.
What it cannot see
    Rates that a schedule or a callback sets, and fine-tuning, where small rates are right.
Source
    https://cs231n.github.io/neural-networks-3/#ratio
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import sets_the_rate
from pytest_kepler.checks.priors import require_fresh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K508"]
_LEARNED = 0.1


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if the optimizer's steps change nothing."""
    probe = fit.probe
    require_fresh(fit)
    user = probe.user
    if user is None:
        raise NotApplicable(probe.why_no_user_run)
    if user.is_scheduled or sets_the_rate(fit):
        raise NotApplicable("the learning rate is scheduled")
    if not len(user.updates) or not np.isfinite(user.losses).all():
        raise NotApplicable("the steps cannot be measured")
    start = float(user.losses[0])
    change = abs(start - float(user.losses[-1])) / max(abs(start), 1e-12)
    update = float(np.median(user.updates))
    learned = [probe.adam_losses, *(run.real for run in probe.few_rows)]
    learns = 1 - min(float(np.min(one) / max(one[0], 1e-12)) for one in learned)
    is_still = change < limits["min-change"] and update < limits["min-update"]
    if is_still and learns >= _LEARNED:
        yield INFO.finding(
            f"In {len(user.losses) - 1} steps the loss changes by {change:.1g} of itself; with "
            f"Adam at 0.01 it falls by {learns:.0%}.",
            location="optimizer",
            measured={"change": change, "update": update, "rate": user.rate},
            threshold={"change": limits["min-change"], "update": limits["min-update"]},
            fix="Raise the learning rate: the optimizer's default is a good start.",
            basis="probe",
        )
