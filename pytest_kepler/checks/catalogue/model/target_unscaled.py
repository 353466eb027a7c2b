"""K316 target-unscaled: a target of large numbers, squared error, and plain gradient descent.

What it looks at
    Mean and spread of the target of a network that minimises the squared error by stochastic
    gradient descent without clipping.
Why it matters
    The gradient grows with the target: the first steps overshoot, and the loss is infinite
    within an epoch.
What it cannot see
    Optimizers that adapt their steps manage; a learning rate that is small enough does, too.
Source
    https://scikit-learn.org/stable/modules/compose.html#transforming-target-in-regression
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import SQUARED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K316"]
_CLIPPING: Final = ("clipnorm", "clipvalue", "global_clipnorm")


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a warning if the target is far from the order of one."""
    if not _descends_plainly(fit):
        raise NotApplicable("no squared error is minimised by plain gradient descent")
    target = fit.data.target
    numbers = target.numbers[~target.missing]
    if not len(numbers) or not np.isfinite(numbers).all():
        raise NotApplicable("the target is empty, or not finite")
    sd, mean = float(numbers.std()), float(numbers.mean())
    offset = abs(mean) / sd if sd > 0 else 0.0
    if sd <= limits["max-sd"] and offset <= limits["max-offset"]:
        return
    yield INFO.finding(
        f"The target has mean {mean:.3g} and spread {sd:.3g}: its squared error makes the steps "
        "of plain gradient descent overshoot.",
        location=target.name,
        measured={"sd": sd, "offset": offset, "n": len(numbers)},
        threshold={"max-sd": limits["max-sd"], "max-offset": limits["max-offset"]},
        fix="Standardise the target, or use Adam, or clip the gradient.",
    )


def _descends_plainly(fit: FitView) -> bool:
    if fit.model.is_network:
        losses = fit.model.losses
        if len(losses) != 1 or losses[0] is None or losses[0].name.lower() not in SQUARED:
            return False
        if not fit.model.is_fresh or any(one.activation != "linear" for one in fit.model.outputs):
            return False
        return _is_plain_sgd(fit.model.optimizer) and not fit.fit_kwargs.get("clip_norm")
    return not _transforms_target(fit.model.model) and any(
        type(one).__name__ == "MLPRegressor" and one.solver == "sgd" for one in fit.model.estimators
    )


def _is_plain_sgd(optimizer: Any) -> bool:
    is_clipped = any(getattr(optimizer, name, None) for name in _CLIPPING)
    return type(optimizer).__name__ == "SGD" and not is_clipped


def _transforms_target(model: Any) -> bool:
    return "TransformedTargetRegressor" in {
        type(model).__name__,
        type(getattr(model, "estimator", None)).__name__,
    }
