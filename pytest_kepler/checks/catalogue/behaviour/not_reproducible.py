"""K705 not-reproducible: a training that ends elsewhere when it is repeated.

What it looks at
    The function given as ``train=``, which returns a trained model. It is called twice, and both
    models are asked about the same rows.
Why it matters
    Nobody can find out what made a difference if chance makes one of its own.
What it cannot see
    Differences between machines and devices. The function must set its seeds itself.
Source
    https://keras.io/examples/keras_recipes/reproducibility_recipes/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.answers import largest_difference
from pytest_kepler.checks.codes import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import BehaviourView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K705"]


def check(behaviour: BehaviourView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if two trainings answer differently."""
    if behaviour.retrained is None:
        raise NotApplicable("no function that trains was given")
    first, second = behaviour.retrained(), behaviour.retrained()
    difference = largest_difference(first, second)
    if difference > limits["tol"]:
        yield INFO.finding(
            "Trained twice, the model answers the same rows differently, by up to "
            f"{difference:.2g} standard deviations.",
            location="train",
            measured={"difference": difference, "n": len(first)},
            threshold={"tol": limits["tol"]},
            fix="Seed everything that draws: random_state, keras.utils.set_random_seed, shuffling.",
            basis="baseline",
        )
