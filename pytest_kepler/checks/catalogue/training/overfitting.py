"""K504 overfitting: a validation that got worse long before the training ended.

What it looks at
    Ten epochs or more in which the validation loss rose far above its best, the training loss went
    on falling, and a validation metric fell as well.
Why it matters
    The last epochs learned the training rows by heart; the kept model is not the best one.
What it cannot see
    Trainings without a validation metric: a loss that rises alone may only mean certainty.
Source
    Prechelt (1998), Early Stopping, https://doi.org/10.1007/3-540-49430-8_3
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

INFO = CHECKS["K504"]
_MIN_EPOCHS = 10
_LEAST_WAIT = 5


def check(history: HistoryView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if the validation got worse while the training went on."""
    loss, validation = history.curves.get("loss"), history.curves.get("val_loss")
    if loss is None or validation is None or len(validation) < _MIN_EPOCHS:
        raise NotApplicable(f"there are no validation losses of {_MIN_EPOCHS} epochs")
    if not (np.isfinite(loss).all() and np.isfinite(validation).all()):
        raise NotApplicable("the loss is not finite")
    metric = next(
        (name for name in history.curves if name.startswith("val_") and "acc" in name), None
    )
    if metric is None:
        raise NotApplicable("there is no accuracy on validation rows")
    best = int(validation.argmin())
    waited = len(validation) - 1 - best
    long_enough = waited >= max(_LEAST_WAIT, limits["patience-share"] * len(validation))
    rise = float(validation[-1] / validation[best]) if validation[best] > 0 else 0.0
    lost = float(history.curves[metric].max() - history.curves[metric][-1])
    went_on = float(loss[-1]) < float(loss[best])
    if long_enough and went_on and rise > limits["rise"] and lost > limits["min-drop"]:
        yield INFO.finding(
            f"Since epoch {best + 1} the validation loss rose by {rise - 1:.0%}, and {metric} fell "
            f"{lost:.3g} below its best, while the training loss went on falling.",
            location=f"epochs {best + 1} to {len(validation)}",
            measured={"rise": rise, "drop": lost},
            threshold={"rise": limits["rise"], "drop": limits["min-drop"]},
            fix="Stop early and keep the best weights, or regularise.",
            basis="history",
        )
