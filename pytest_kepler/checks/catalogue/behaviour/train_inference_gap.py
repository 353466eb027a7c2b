"""K516 train-inference-gap: a trained network that answers far worse than it does in training.

What it looks at
    A network with batch normalisation after 1,000 steps or more, on one batch: of the rows that it
    was trained on, if these were given. Its loss, and its accuracy or explained variance,
    in inference mode against those in training mode, in which the statistics are those of the
    batch. Dropout and noise are off in both.
Why it matters
    The statistics that inference uses are not those of the data: they were averaged over too few
    steps, over batches that are too small, or updated where they should not be.
What it cannot see
    Networks without batch normalisation or with a training step of their own, several outputs,
    fewer than 100 rows, and short trainings: with Keras' momentum of 0.99, the statistics of sound
    networks need more than 500 steps to come close.
Source
    https://keras.io/api/layers/normalization_layers/batch_normalization/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.adapters.views import NotApplicable, spread_over
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import listed
from pytest_kepler.checks.quality import quality_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import BehaviourView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K516"]
_MIN_ROWS = 100


def check(behaviour: BehaviourView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if a network answers a batch far worse in inference than in training mode."""
    rows, data = behaviour.rows, behaviour.data
    if behaviour.trained_on is not None:
        rows, data = behaviour.train_rows, behaviour.trained_on
    model, chosen = spread_over(behaviour.model, rows, data)
    target = data.target
    data.require_aligned()
    modes = model.modes(target.values[chosen])
    if modes.n_steps < limits["min-steps"]:
        raise NotApplicable(f"the statistics were updated {modes.n_steps} times")
    chosen = chosen[: len(modes.inference)]
    if len(chosen) < _MIN_ROWS:
        raise NotApplicable(f"there are fewer than {_MIN_ROWS} rows")
    here, there = (
        quality_of(data, chosen, answers) for answers in (modes.inference, modes.training)
    )
    losses = modes.losses or (here.error, there.error)
    ratio = losses[0] / losses[1] if losses[1] > 0 else float("inf")
    gap = there.value - here.value
    if ratio > limits["max-mode-ratio"] and gap > limits["min-mode-gap"]:
        what = "loss" if modes.losses else "error"
        yield INFO.finding(
            f"On one batch the {here.name} is {here.value:.3g} in inference mode and "
            f"{there.value:.3g} in training mode.",
            location=f"layers {listed(modes.norms)}",
            measured={
                f"{what} in inference mode": losses[0],
                f"{what} in training mode": losses[1],
                "gap": gap,
                "n": len(chosen),
            },
            threshold=dict(limits),
            fix="Lower the momentum of the batch normalisation or train for longer, with larger "
            "batches, and look where training= is set.",
            basis="batch",
        )
