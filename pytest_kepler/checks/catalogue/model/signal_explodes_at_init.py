"""K202 signal-explodes-at-init: scores of a classifier that are large before training.

What it looks at
    The size of what stands before the last softmax or sigmoid on the first rows. Only models
    with fresh weights, and only where the inputs themselves are of a sound size.
Why it matters
    Scores of 100 make the untrained network certain of wrong answers; it must first unlearn.
What it cannot see
    Regression, models with BatchNorm, and models whose graph cannot be seen.
Source
    Glorot and Bengio (2010), https://proceedings.mlr.press/v9/glorot10a.html
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

INFO = CHECKS["K202"]
_LARGE_INPUT = 5.0


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each output of a classifier whose scores are too large."""
    require_fresh(fit)
    if any(layer.kind == "batchnorm" for layer in fit.model.layers):
        raise NotApplicable("fresh statistics of a BatchNorm are no measure yet")
    if any(signal.rms > _LARGE_INPUT for signal in fit.model.first_signals):
        raise NotApplicable("the inputs are too large")
    for name, rms in fit.model.score_sizes.items():
        if rms > limits["max-logit-rms"]:
            yield INFO.finding(
                f"Before training the scores are of the order of {rms:.3g}, where about 1 is "
                "healthy.",
                location=f'output layer "{name}"',
                measured={"rms": rms},
                threshold={"rms": limits["max-logit-rms"]},
                fix="Use the default initializer (glorot_uniform), or he_normal before a ReLU.",
                basis="batch",
            )
