"""K701 cannot-learn-one-batch: a network that cannot learn even a few rows by heart.

What it looks at
    The best loss in twenty steps of Adam on 32 rows, against the same with one and the same input
    for all rows. Where the inputs help nothing, a larger and a smaller rate are tried.
Why it matters
    Who cannot learn 32 rows by heart will not learn thousands: a broken path from the inputs to
    the loss, dead or saturated layers.
What it cannot see
    Losses of the user's own, long sequences, and targets so far from the outputs that twenty
    steps cannot reach them.
Source
    Karpathy (2019), A Recipe for Training Neural Networks
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import is_reconstruction
from pytest_kepler.checks.priors import few_rows_floor, few_rows_prior

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FewRows, FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding, Severity

INFO = CHECKS["K701"]
_REACHED = 1.2
_LONG = 100
_LATELY = 5
_NOTICED = 0.01


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if the inputs do not help to learn a few rows."""
    probe = fit.probe
    floor, prior = few_rows_floor(fit, probe), few_rows_prior(fit, probe)
    if not probe.has_distinct_rows or prior - floor <= 0.05 * max(abs(prior), 1e-9):
        raise NotApplicable("the few rows are all alike")
    if _is_long_sequence(fit):
        raise NotApplicable(f"sequences of more than {_LONG} steps are not learned in 20 steps")
    shares = []
    for run in probe.few_rows:
        real, constant = float(np.nanmin(run.real)), float(np.nanmin(run.constant))
        # A constant answer that is not the best one yet says nothing of the inputs.
        if np.isfinite(constant) and constant <= _REACHED * prior:
            shares.append((max(real - floor, 0.0) / max(constant - floor, 1e-12), real, constant))
    if not shares:
        raise NotApplicable("twenty steps are too few to tell")
    share, real, constant = min(shares)
    severity: Severity = "error" if share > limits["error"] else "warning"
    if is_reconstruction(fit.data):
        # A bottleneck, or what is drawn in it, is slow to be of use.
        severity, share = "warning", share if share > limits["error"] else 0.0
    if share > limits["warn"]:
        if any(_is_setting_off(run, prior - floor) for run in probe.few_rows):
            raise NotApplicable("the loss has just begun to fall after twenty steps")
        yield INFO.finding(
            f"On a few rows the loss falls to {real:.3g} with their inputs, and to "
            f"{constant:.3g} with one input for all: the inputs help nothing.",
            severity=severity,
            location="32 rows of the training data",
            measured={"share": share, "start": probe.loss},
            threshold={"share": limits[severity.removesuffix("ing")]},
            fix="Look for dead or saturated layers, stopped gradients and inputs that lead "
            "nowhere.",
            basis="probe",
        )


def _is_setting_off(run: FewRows, scale: float) -> bool:
    """Tell whether the inputs begin to help: the loss leaves that of one input faster and faster.

    So it does where a network starts with small weights. In a dead one the two stay together.
    """
    gap = run.constant - run.real
    if len(gap) <= _LATELY or not np.isfinite(gap).all():
        return False
    is_lowest = run.real[-1] <= run.real.min()
    return bool(is_lowest and gap[-1] > _NOTICED * scale and gap[-1] > 1.5 * gap[-1 - _LATELY])


def _is_long_sequence(fit: FitView) -> bool:
    if not any(layer.kind == "recurrent" for layer in fit.model.layers):
        return False
    return any(len(shape) > 1 and shape[1] > _LONG for shape in _shapes(fit))


def _shapes(fit: FitView) -> list[tuple[int, ...]]:
    return [tuple(getattr(block.source, "shape", ())) for block in fit.data.blocks]
