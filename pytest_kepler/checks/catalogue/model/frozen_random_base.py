"""K211 frozen-random-base: a frozen base of a network whose weights were never loaded.

What it looks at
    The layers that are not trained and come before some that are: they hold most of the network's
    parameters in two kernels or more, all of these are as their initializers drew them, biases are
    still 0, and the statistics of every BatchNorm are still 0 and 1.
Why it matters
    A base is frozen because it has learned something elsewhere. Features of random weights are
    what the rest of the network is trained on where the loading was forgotten.
What it cannot see
    Bases that were loaded in part, initializers of the user's own, frozen embeddings, and models
    that are no longer fresh. Random features that are meant have to be waived.
Source
    https://keras.io/guides/transfer_learning/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import listed
from pytest_kepler.checks.priors import require_fresh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K211"]
_MIN_KERNELS = 2


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if most of a network is frozen as it was drawn."""
    frozen = fit.model.frozen
    require_fresh(fit)
    is_base = frozen.n_kernels >= _MIN_KERNELS and frozen.share > limits["max-random-share"]
    if is_base and frozen.is_initial:
        yield INFO.finding(
            f"{frozen.share:.0%} of the parameters are frozen as their initializers drew them, in "
            f"front of what is trained.",
            location=f"layers {listed(frozen.layers)}",
            measured={"share": frozen.share, "kernels": frozen.n_kernels},
            threshold={
                "max-random-share": limits["max-random-share"],
                "kernels": _MIN_KERNELS,
            },
            fix="Load the weights of the base, or let it be trained.",
            basis="static",
        )
