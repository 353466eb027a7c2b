"""K415 nothing-to-train: a fit of a model without trainable weights.

What it looks at
    The number of trainable parameters.
Why it matters
    Training runs, the curves are flat, and nothing was learned: everything was frozen, or the
    model has no weights.
What it cannot see
    Weights that are trainable but that the loss does not reach: K506 does.
Source
    https://keras.io/guides/transfer_learning/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.checks.codes import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K415"]


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
            fix="Set layer.trainable = True where it should learn, and compile again.",
            basis="static",
        )
