"""K505 noisy-updates: a training loss that goes up about as much as it goes down.

What it looks at
    The sum of all rises of the training loss against its whole fall, from ten epochs on.
Why it matters
    The steps are too large for the valley they are in: a lower rate reaches further down.
What it cannot see
    Noise inside an epoch. Restarts of the learning rate look like noise: waive it there.
Source
    Zhang et al. (2021), AutoTrainer, https://doi.org/10.1109/ICSE43902.2021.00043
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

INFO = CHECKS["K505"]
_MIN_EPOCHS = 10


def check(history: HistoryView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if the rises are large beside the fall."""
    loss = history.curves.get("loss")
    if loss is None or len(loss) < _MIN_EPOCHS:
        raise NotApplicable(f"there is no training loss of {_MIN_EPOCHS} epochs")
    if not np.isfinite(loss).all():
        raise NotApplicable("the loss is not finite")
    fall = float(loss[0] - loss.min())
    if fall <= 0:
        raise NotApplicable("the loss never fell")
    rises = float(np.maximum(np.diff(loss), 0).sum())
    if rises / fall > limits["ratio"]:
        yield INFO.finding(
            f"The training loss rose by {rises:.3g} in all while it fell by {fall:.3g}.",
            location=f"{int((np.diff(loss) > 0).sum())} of {len(loss)} epochs",
            measured={"ratio": rises / fall},
            threshold={"ratio": limits["ratio"]},
            fix="Lower the learning rate, or raise the batch size.",
            basis="history",
        )
