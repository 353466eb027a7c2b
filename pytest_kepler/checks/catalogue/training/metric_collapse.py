"""K512 metric-collapse: a training metric that ends far below its best.

What it looks at
    The training accuracy of ten epochs or more: its end against its best, and its last quarter
    against the one before.
Why it matters
    The training came apart: a step too far, and what was learned is gone.
What it cannot see
    Schedules with restarts and curricula look the same for a while: waive it there.
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

INFO = CHECKS["K512"]
_MIN_EPOCHS = 10
_QUARTERS = 4


def check(history: HistoryView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each training metric that collapsed."""
    curves = {
        name: curve
        for name, curve in history.curves.items()
        if "acc" in name and not name.startswith("val_") and len(curve) >= _MIN_EPOCHS
    }
    if not curves:
        raise NotApplicable(f"there is no training accuracy of {_MIN_EPOCHS} epochs")
    for name, curve in curves.items():
        quarter = len(curve) // _QUARTERS
        lost = float(np.nanmax(curve) - curve[-1])
        last, before = curve[-quarter:].mean(), curve[-2 * quarter : -quarter].mean()
        if lost > limits["drop"] and last < before:
            yield INFO.finding(
                f"The {name} ends at {curve[-1]:.3g}, {lost:.3g} below its best.",
                location=f"epoch {int(np.nanargmax(curve)) + 1}",
                measured={"drop": lost},
                threshold={"drop": limits["drop"]},
                fix="Lower the learning rate, and restore the best weights.",
                basis="history",
            )
