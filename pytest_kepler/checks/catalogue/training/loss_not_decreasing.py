"""K511 loss-not-decreasing: a training loss that stays where it began.

What it looks at
    The first and the lowest training loss, from five epochs on.
Why it matters
    Nothing was learned: frozen weights, a rate that is too low, or a broken loss.
What it cannot see
    Models that were good before the training began.
Source
    Karpathy (2019), A Recipe for Training Neural Networks
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import HistoryView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K511"]
_MIN_EPOCHS = 5


def check(history: HistoryView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if the loss hardly fell."""
    loss = history.curves.get("loss")
    if loss is None or len(loss) < _MIN_EPOCHS:
        raise NotApplicable(f"there is no training loss of {_MIN_EPOCHS} epochs")
    if not np.isfinite(loss).all() or loss[0] == 0:
        raise NotApplicable("the loss is not finite, or zero from the start")
    drop = float((loss[0] - loss.min()) / abs(loss[0]))
    if drop < limits["min-drop"]:
        yield INFO.finding(
            f"The training loss fell from {loss[0]:.3g} to {loss.min():.3g} in {len(loss)} epochs.",
            location=f"epochs 1 to {len(loss)}",
            measured={"drop": drop, "last": float(loss[-1])},
            threshold={"min-drop": limits["min-drop"]},
            fix="Raise the learning rate, and check that the layers are trainable.",
            basis="history",
        )
