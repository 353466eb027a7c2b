"""K507 learning-rate-too-high: steps of the optimizer that make the loss explode.

What it looks at
    Twenty steps of the model's own optimizer on one batch: whether the loss ends as no number or
    far above its start, and how far one step moves the weights. For boosting, whether a tree
    counts more than once.
Why it matters
    With steps that are too large the network is thrown about, or ends in NaN.
What it cannot see
    Rates that callbacks set, schedules that raise the rate later, and what a loop of torch does
    to the gradients; that it clips them, it can be told: clip_norm=1.0.
Source
    https://cs231n.github.io/neural-networks-3/#ratio
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import sets_the_rate
from pytest_kepler.checks.priors import prior_loss, require_fresh

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_kepler.adapters.views import FitView, Probe
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding, Severity

INFO = CHECKS["K507"]
_BOOSTING = ("GradientBoosting", "XGBClassifier", "XGBRegressor", "XGBRanker", "LGBM")
_RECENT = 3
_LEARNED = 0.9
_LANDING = 30.0


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if the loss explodes, or the weights move too far."""
    boosting = [one for one in fit.model.estimators if _boosts_too_much(one, limits)]
    if boosting:
        yield _too_much(boosting[0], limits)
        return
    probe = fit.probe
    if probe.user is None:
        raise NotApplicable(probe.why_no_user_run)
    if sets_the_rate(fit):
        raise NotApplicable("a callback sets the learning rate")
    user = probe.user
    start = float(user.losses[0])
    if not np.isfinite(start):
        raise NotApplicable("the loss is no number from the start")
    worst = float(np.max(user.losses)) if np.isfinite(user.losses).all() else np.inf
    update = float(np.median(user.updates)) if len(user.updates) else 0.0
    measured = {"loss": start, "largest loss": worst, "update": update, "rate": user.rate}
    base = max(start, _prior(fit, probe))
    if not np.isfinite(worst) or (base > 0 and worst > limits["blow-up"] * base):
        # A loss that is soon far below its start was a hard landing, not an explosion.
        end = float(np.mean(user.losses[-_RECENT:]))
        is_back = end < _LEARNED * start and worst < _LANDING * base
        told = f"rises to {worst:.3g}" if np.isfinite(worst) else "ends in NaN or infinity"
        yield _finding(
            f"In {len(user.losses) - 1} steps on one batch the loss {told}, from {start:.3g}.",
            "warning" if is_back else "error",
            measured,
            {"blow-up": limits["blow-up"]},
        )
    elif update > limits["max-update"]:
        yield _finding(
            f"One step moves the weights by {update:.0%} of their size.",
            "warning",
            measured,
            {"max-update": limits["max-update"]},
        )


def _boosts_too_much(estimator: Any, limits: Limits) -> bool:
    rate = getattr(estimator, "learning_rate", None)
    is_boosting = any(word in type(estimator).__name__ for word in _BOOSTING)
    return is_boosting and isinstance(rate, int | float) and rate > limits["max-boosting-rate"]


def _too_much(estimator: Any, limits: Limits) -> Finding:
    name, rate = type(estimator).__name__, float(estimator.learning_rate)
    return INFO.finding(
        f"{name} adds {rate:g} times what each tree says: it overshoots at every round.",
        severity="warning",
        location=f"learning_rate of {name}",
        measured={"rate": rate},
        threshold={"max-boosting-rate": limits["max-boosting-rate"]},
        fix="Use a learning rate of 0.3 or less, with more trees.",
        basis="static",
    )


def _prior(fit: FitView, probe: Probe) -> float:
    try:
        return prior_loss(fit, probe)
    except NotApplicable:
        require_fresh(fit)
        return 0.0


def _finding(
    message: str, severity: Severity, measured: Mapping[str, float], threshold: Mapping[str, float]
) -> Finding:
    return INFO.finding(
        message,
        severity=severity,
        location="optimizer",
        measured=measured,
        threshold=threshold,
        fix="Divide the learning rate by 10, and scale the inputs.",
        basis="probe",
    )
