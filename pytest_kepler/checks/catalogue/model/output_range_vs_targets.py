"""K403 output-range-vs-targets: targets that the output can never reach.

What it looks at
    The range of the targets against the range of the last activation, and against what an
    objective of XGBoost takes.
Why it matters
    A sigmoid cannot answer 150, and a ReLU cannot answer -1: those rows are never learned.
What it cannot see
    Outputs of a layer of the user's own.
Source
    https://keras.io/api/layers/activations/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.estimators import of_xgboost
from pytest_kepler.checks.predicates import outputs_with_targets, place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K403"]
_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "exponential": (0.0, np.inf),
    "hard_sigmoid": (0.0, 1.0),
    "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0),
    "sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "softplus": (0.0, np.inf),
}
_TOLERANCE = 1e-6
#: What XGBoost's objectives take.
_OBJECTIVES: Final[Mapping[str, tuple[float, float]]] = {
    "count:poisson": (0.0, np.inf),
    "reg:gamma": (0.0, np.inf),
    "reg:logistic": (0.0, 1.0),
    "reg:squaredlogerror": (-1.0, np.inf),
    "reg:tweedie": (0.0, np.inf),
}


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each output with targets outside its range."""
    estimators = of_xgboost(fit)
    if estimators:
        yield from _for_xgboost(estimators[0], fit, limits)
        return
    # Cross-entropies have checks of their own: only here are targets compared as numbers.
    pairs = [
        (output, target)
        for output, target in outputs_with_targets(fit)
        if output.loss is not None and output.loss.kind == "numeric"
    ]
    if not pairs:
        raise NotApplicable("no loss compares the outputs with the targets as numbers")
    for output, target in pairs:
        known = _RANGES.get(output.activation)
        if known is None or not target.is_numeric:
            continue
        numbers = target.numbers
        low, high = known
        with np.errstate(invalid="ignore"):
            outside = (numbers < low - _TOLERANCE) | (numbers > high + _TOLERANCE)
        share = float(outside.mean()) if outside.size else 0.0
        if share <= limits["share"]:
            continue
        yield INFO.finding(
            f"{share:.0%} of the targets lie outside the range of the {output.activation}, "
            f"{low:g} to {high:g}.",
            location=place(output),
            measured={
                "share": share,
                "lowest": float(np.nanmin(numbers)),
                "highest": float(np.nanmax(numbers)),
            },
            threshold={"share": limits["share"]},
            fix="Give the last layer a linear output, or rescale the targets.",
        )


def _for_xgboost(estimator: Any, fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for an objective that does not take the targets."""
    objective, target = getattr(estimator, "objective", None), fit.data.target
    known = _OBJECTIVES.get(objective) if isinstance(objective, str) else None
    if known is None or fit.model.learns != "regressor" or not target.is_numeric:
        raise NotApplicable("the objective takes any number")
    low, high = known
    numbers = target.numbers
    share = float(((numbers < low) | (numbers > high)).mean()) if numbers.size else 0.0
    if share > limits["share"]:
        yield INFO.finding(
            f"{share:.0%} of the targets lie outside what {objective} takes, {low:g} to {high:g}.",
            location=target.name,
            measured={
                "share": share,
                "lowest": float(np.nanmin(numbers)),
                "highest": float(np.nanmax(numbers)),
            },
            threshold={"share": limits["share"]},
            fix='Use objective="reg:squarederror", or rescale the targets.',
        )
