"""K407 softmax-over-one: a softmax over a single unit, which is always 1.

What it looks at
    The output's softmax and the size of the axis that it normalises.
Why it matters
    The answer is 1 for every row, whatever the network learns; on TensorFlow the loss can
    fall all the same.
What it cannot see
    A softmax that the model's own code computes.
Source
    https://keras.io/api/layers/activations/#softmax-function
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K407"]


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each output softmax over an axis of size 1."""
    del limits
    for output in fit.model.outputs:
        if output.activation == "softmax" and output.axis_size == 1:
            yield INFO.finding(
                "The softmax is over one unit: the output is 1 for every row.",
                location=place(output),
                measured={"units": 1},
                threshold={"units": 2},
                fix="Use a sigmoid with one unit, or as many units as there are classes.",
                basis="static",
            )
