"""K402 tanh-vs-labels: targets outside the range of a tanh output.

What it looks at
    Targets that are compared as numbers with the output of a tanh.
Why it matters
    A tanh cannot reach what lies outside -1 to 1: the loss has a floor, and the gradient fades.
What it cannot see
    Losses of the user's own.
Source
    https://keras.io/api/layers/activations/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import outputs_with_targets, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K402"]
_TOLERANCE = 1e-6


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each tanh output with targets outside its range."""
    pairs = [pair for pair in outputs_with_targets(fit) if pair[0].activation == "tanh"]
    if not pairs:
        raise NotApplicable("no output has a tanh")
    for output, target in pairs:
        if output.loss is None or output.loss.kind != "numeric" or not target.is_numeric:
            continue
        numbers = target.numbers
        with np.errstate(invalid="ignore"):
            share = float((np.abs(numbers) > 1 + _TOLERANCE).mean()) if numbers.size else 0.0
        if share > limits["share"]:
            yield INFO.finding(
                f"{share:.0%} of the targets lie outside -1 to 1, the range of the tanh.",
                location=place(output),
                measured={
                    "share": share,
                    "lowest": float(np.nanmin(numbers)),
                    "highest": float(np.nanmax(numbers)),
                },
                threshold={"share": limits["share"]},
                fix="Give the last layer a linear output, or rescale the targets to -1 to 1.",
            )
