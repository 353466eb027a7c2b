"""K410 crossentropy-for-numbers: a cross-entropy for targets that are no probabilities.

What it looks at
    The range of the targets of a binary or categorical cross-entropy.
Why it matters
    The loss has no minimum where the target lies: it falls for ever, to minus infinity.
What it cannot see
    Whether targets between 0 and 1 are meant as probabilities.
Source
    https://keras.io/api/losses/probabilistic_losses/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import outputs_with_targets, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView, Output, Target
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K410"]
_TOLERANCE = 1e-6


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each cross-entropy whose targets leave [0, 1]."""
    pairs = [
        (output, target)
        for output, target in outputs_with_targets(fit)
        if output.loss is not None and output.loss.kind in {"binary", "categorical"}
    ]
    if not pairs:
        raise NotApplicable("no loss takes probabilities as targets")
    for output, target in pairs:
        if not target.is_numeric or _are_class_numbers(output, target):
            continue
        numbers = target.numbers
        with np.errstate(invalid="ignore"):
            outside = (numbers < -_TOLERANCE) | (numbers > 1 + _TOLERANCE)
        share = float(outside.mean()) if outside.size else 0.0
        if share <= limits["share"]:
            continue
        yield INFO.finding(
            f"{output.loss.name if output.loss else ''} takes targets from 0 to 1, but they "
            f"range from {np.nanmin(numbers):.3g} to {np.nanmax(numbers):.3g}.",
            location=place(output),
            measured={
                "share outside": share,
                "lowest": float(np.nanmin(numbers)),
                "highest": float(np.nanmax(numbers)),
            },
            threshold={"share": limits["share"]},
            fix="Use mse or mae with a linear output for numbers; number classes from 0.",
        )


def _are_class_numbers(output: Output, target: Target) -> bool:
    """Tell whether a categorical loss got class numbers, which another check names."""
    is_categorical = output.loss is not None and output.loss.kind == "categorical"
    return is_categorical and (target.values.ndim == 1 or target.values.shape[-1] == 1)
