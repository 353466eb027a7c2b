"""K706 row-order-changes-prediction: answers that depend on where a row stands.

What it looks at
    The answers for the same rows in their order and in another.
Why it matters
    A prediction must not depend on its neighbours: statistics of the batch are in use, or a state
    is carried from row to row.
What it cannot see
    Ordered data, stateful networks and models of whole sets, where order is meant.
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

INFO = CHECKS["K706"]


def check(behaviour: BehaviourView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if the answers move when the rows do."""
    if behaviour.data.ordered:
        raise NotApplicable("the rows are ordered")
    if largest_difference(*behaviour.twice) > limits["tol"]:
        raise NotApplicable("two answers for the same rows differ")
    n = behaviour.n_asked
    order = np.random.default_rng(0).permutation(n)
    straight = behaviour.ask(np.arange(n))
    moved = behaviour.ask(order)
    difference = largest_difference(straight[order], moved)
    if difference > limits["tol"]:
        yield INFO.finding(
            f"In another order the same rows get other answers, by up to {difference:.2g} standard "
            "deviations.",
            location="predictions",
            measured={"difference": difference, "n": n},
            threshold={"tol": limits["tol"]},
            fix="Call BatchNorm with training=False, and carry no state from row to row.",
            basis="batch",
        )
