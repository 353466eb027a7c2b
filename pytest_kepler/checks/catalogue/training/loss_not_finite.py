"""K509 loss-not-finite: a loss or a metric that became NaN or infinite.

What it looks at
    Every value of every curve.
Why it matters
    After a NaN every weight is NaN: nothing was learned from there on.
What it cannot see
    Which step of the epoch it was.
Source
    https://keras.io/api/callbacks/terminate_on_nan/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.checks.codes import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import HistoryView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K509"]


def check(history: HistoryView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each curve that leaves the finite numbers."""
    del limits
    broken = {
        name: int(np.argmax(~np.isfinite(curve)))
        for name, curve in history.curves.items()
        if not np.isfinite(curve).all()
    }
    any_loss = any("loss" in name for name in broken)
    for name, epoch in broken.items():
        curve = history.curves[name]
        is_loss = "loss" in name
        yield INFO.finding(
            f"{name!r} is {curve[epoch]} in epoch {epoch + 1} of {len(curve)}.",
            # A metric alone may be undefined, as precision is where nothing was predicted.
            severity="error" if is_loss or any_loss else "note",
            location=f"epoch {epoch + 1}",
            measured={
                "values not finite": int((~np.isfinite(curve)).sum()),
                "value before": float(curve[epoch - 1]) if epoch else None,
            },
            threshold={"values not finite": 0},
            fix="Look for values in the data that are not finite, then lower the learning rate.",
            basis="history",
        )
