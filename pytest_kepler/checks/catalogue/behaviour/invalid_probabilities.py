"""K712 invalid-probabilities: answers that are called probabilities and are none.

What it looks at
    What `predict_proba`, or a softmax or sigmoid output, answers for the first rows.
Why it matters
    Log-loss, calibration and thresholds are meaningless on numbers that are no probabilities.
What it cannot see
    Whether the probabilities are right.
Source
    https://scikit-learn.org/stable/modules/calibration.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import SHOWN, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import BehaviourView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K712"]
_TOLERANCE = 1e-6


def check(behaviour: BehaviourView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if some answers are no probabilities."""
    values = behaviour.probabilities.astype(np.float64)
    rows = values.reshape(len(values), -1)
    with np.errstate(invalid="ignore"):
        bad = ~np.isfinite(rows).all(axis=1) | (rows < -_TOLERANCE).any(axis=1)
        bad |= (rows > 1 + _TOLERANCE).any(axis=1)
        if _sums_to_one(behaviour, rows.shape[1]):
            bad |= np.abs(rows.sum(axis=1) - 1) > limits["max-sum-off"]
    positions = np.flatnonzero(bad)
    if len(positions):
        yield INFO.finding(
            f"{plural(len(positions), 'row')} of {len(rows):,} "
            f"{'has an answer that is' if len(positions) == 1 else 'have answers that are'} no "
            "probability.",
            location=f"rows {', '.join(str(i) for i in positions[:SHOWN].tolist())}",
            measured={"rows": len(positions), "lowest": float(rows.min()), "n": len(rows)},
            threshold={"rows": 0, "max-sum-off": limits["max-sum-off"]},
            fix="Give the output exactly one softmax or sigmoid, or train on logits as such.",
            basis="batch",
        )


def _sums_to_one(behaviour: BehaviourView, width: int) -> bool:
    """Tell whether the answers for a row are shares of one whole."""
    if width == 1:
        return False
    if behaviour.model.is_network:
        output = behaviour.model.outputs[0]
        return output.activation == "softmax" or (
            output.loss is not None and output.loss.kind in {"categorical", "sparse"}
        )
    targets = behaviour.data.targets
    return not targets or targets[0].values.ndim == 1 or targets[0].is_one_hot
