"""K707 batch-size-changes-prediction: answers that depend on how many rows are asked at once.

What it looks at
    The answers for some rows asked together and in small parts.
Why it matters
    What is served one row at a time answers otherwise than what was tested.
What it cannot see
    Networks in which rows are meant to attend to each other: waive it there.
Source
    https://keras.io/api/layers/normalization_layers/batch_normalization/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.answers import largest_difference
from pytest_kepler.checks.codes import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import BehaviourView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K707"]
_PART = 7


def check(behaviour: BehaviourView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if a few rows at a time get other answers."""
    if largest_difference(*behaviour.twice) > limits["tol"]:
        raise NotApplicable("two answers for the same rows differ")
    n = min(behaviour.n_asked, 5 * _PART)
    together = behaviour.ask(np.arange(behaviour.n_asked))[:n]
    parts = [behaviour.ask(np.arange(i, min(i + _PART, n))) for i in range(0, n, _PART)]
    difference = largest_difference(together, np.concatenate(parts))
    if difference > limits["tol"]:
        yield INFO.finding(
            f"Asked {_PART} rows at a time, the model answers otherwise, by up to "
            f"{difference:.2g} standard deviations.",
            location="predictions",
            measured={"difference": difference, "n": n},
            threshold={"tol": limits["tol"]},
            fix="Call BatchNorm with training=False; use no statistics of the batch.",
            basis="batch",
        )
