"""K415 nothing-to-train: a fit of a model without trainable weights.

What it looks at
    The number of trainable parameters, and whether a torch optimizer holds them.
Why it matters
    Training runs, the curves are flat, and nothing was learned: everything was frozen, or the
    model has no weights.
What it cannot see
    Weights that are trainable but that the loss does not reach: K506 does. A base that was
    trained before may be left out of the optimizer.
Source
    https://keras.io/guides/transfer_learning/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K415"]
_MOST = 0.5
_UNFREEZE = (
    "Set layer.trainable = True where it should learn, and compile again.",
    "Call requires_grad_(True) on what should learn, before the optimizer is made.",
)


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if there is nothing to train."""
    del limits
    trainable, total = fit.model.n_parameters
    if trainable == 0:
        what = f"all {total:,} parameters are frozen" if total else "the model has no parameters"
        yield INFO.finding(
            f"There is nothing to train: {what}.",
            location="trainable weights",
            measured={"trainable": trainable, "parameters": total},
            threshold={"trainable": 1},
            fix=_UNFREEZE[fit.model.framework == "torch"],
            basis="static",
        )
        return
    forgotten = fit.model.forgotten_weights
    if forgotten:
        yield from _forgotten(fit, forgotten)


def _forgotten(fit: FitView, paths: Sequence[str]) -> Iterator[Finding]:
    """Yield a finding for weights that no optimizer holds: all, or some that were never trained."""
    n_weights = fit.model.n_trainable_weights
    is_all = len(paths) == n_weights
    if not is_all and not fit.model.is_fresh:
        return  # a base that was trained before is often left to itself
    yield INFO.finding(
        "The optimizer holds none of the model's weights."
        if is_all
        else f"The optimizer does not hold {len(paths)} of {n_weights} weights, which stay random: "
        f"{listed(paths)}.",
        severity="error" if len(paths) > _MOST * n_weights else "warning",
        location="optimizer",
        measured={"weights left out": len(paths), "weights": n_weights},
        threshold={"weights left out": 0},
        fix="Make the optimizer from model.parameters(), after the model has its final layers; or "
        "freeze what is not to learn: weight.requires_grad_(False).",
        basis="static",
    )
