"""K710 inference-is-random: two answers for the same rows that differ.

What it looks at
    Two predictions of the trained model for the same rows.
Why it matters
    Dropout or augmentation is active where it should not be, and metrics vary by chance.
What it cannot see
    Randomness that is meant, as in Monte-Carlo dropout: waive it there. Autoencoders, which
    may draw what they decode, are left out.
Source
    https://keras.io/api/layers/regularization_layers/dropout/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.answers import largest_difference
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import is_reconstruction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import BehaviourView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K710"]


def check(behaviour: BehaviourView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if asking twice gives two answers."""
    if is_reconstruction(behaviour.data):
        raise NotApplicable("an autoencoder may draw what it decodes")
    difference = largest_difference(*behaviour.twice)
    if difference > limits["tol"]:
        yield INFO.finding(
            f"Two predictions for the same rows differ, by up to {difference:.2g} "
            "standard deviations.",
            location="predictions",
            measured={"difference": difference, "n": len(behaviour.predictions)},
            threshold={"tol": limits["tol"]},
            fix="Call random layers with training=False when predicting.",
            basis="batch",
        )
