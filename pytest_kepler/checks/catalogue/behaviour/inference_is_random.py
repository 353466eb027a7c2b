"""K710 inference-is-random: two answers for the same rows that differ.

What it looks at
    Two predictions of the trained model for the same rows.
Why it matters
    Dropout or augmentation is active where it should not be, and metrics vary by chance.
What it cannot see
    Randomness that is meant, as in Monte-Carlo dropout: waive it there.
Source
    https://keras.io/api/layers/regularization_layers/dropout/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import BehaviourView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K710"]


def check(behaviour: BehaviourView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if asking twice gives two answers."""
    first, second = behaviour.predictions, behaviour.predict()
    if first.shape != second.shape:
        raise NotApplicable("the two predictions have different shapes")
    if first.dtype.kind in "biuf":
        difference = _difference(first.astype(np.float64), second.astype(np.float64))
    else:
        difference = float(np.mean(first != second))
    if difference > limits["tol"]:
        yield INFO.finding(
            f"Two predictions for the same rows differ, by up to {difference:.2g} "
            "standard deviations.",
            location="predictions",
            measured={"difference": difference, "n": len(first)},
            threshold={"tol": limits["tol"]},
            fix="Call random layers with training=False when predicting.",
            basis="batch",
        )


def _difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the largest difference in standard deviations of the answers."""
    finite = np.isfinite(first) & np.isfinite(second)
    if not finite.any():
        raise NotApplicable("no answer is finite")
    scale = float(first[finite].std()) or 1.0
    return float(np.abs(first[finite] - second[finite]).max()) / scale
