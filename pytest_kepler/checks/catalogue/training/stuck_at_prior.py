"""K510 stuck-at-prior: a training that learned no more than how frequent the classes are.

What it looks at
    The last training loss against the loss of always answering the shares of the classes (or
    the mean), and the training accuracy against that of always answering the largest class.
Why it matters
    The curve falls and levels off as if it had converged, but the inputs were never read.
What it cannot see
    Trainings of fewer than five epochs, and other losses than cross-entropy and mse.
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

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import HistoryView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K510"]
_MIN_EPOCHS = 5
_VERY_COMMON = 0.75
_ACCURACIES = ("accuracy", "acc", "sparse_categorical_accuracy", "categorical_accuracy")


def check(history: HistoryView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if the training stands where guessing stands."""
    loss = history.curves.get("loss")
    if loss is None or len(loss) < _MIN_EPOCHS:
        raise NotApplicable(f"there is no training loss of {_MIN_EPOCHS} epochs")
    if history.target is None:
        raise NotApplicable("the labels were not given: pass y")
    accuracy = next((history.curves[name] for name in _ACCURACIES if name in history.curves), None)
    if accuracy is None:
        raise NotApplicable("there is no training accuracy")
    shares = _shares(history)
    prior = float(-(shares * np.log(shares)).sum())
    majority, n = float(shares.max()), history.target.n_rows
    error = float(np.sqrt(majority * (1 - majority) / n))
    is_stuck = loss[-1] >= (1 - limits["margin"]) * prior
    granted = 2 * error
    is_at_majority = accuracy[-1] <= majority + granted
    if majority > _VERY_COMMON:
        # Beside a very common class the accuracy tells little, and the loss may be weighted:
        # only who always answers that class has just its share.
        granted = error / 2
        is_at_majority = abs(accuracy[-1] - majority) <= granted
    if prior > 0 and is_stuck and is_at_majority:
        yield INFO.finding(
            f"After {len(loss)} epochs the loss is {loss[-1]:.3g} and the accuracy "
            f"{accuracy[-1]:.3g}: always answering the commonest class gives {prior:.3g} and "
            f"{majority:.3g}.",
            location=f"epoch {len(loss)}",
            measured={"loss": float(loss[-1]), "accuracy": float(accuracy[-1]), "n": n},
            threshold={"loss": (1 - limits["margin"]) * prior, "accuracy": majority + granted},
            fix="Scale the inputs, check that labels belong to their rows, lower the rate.",
            basis="history",
        )


def _shares(history: HistoryView) -> NDArray[np.float64]:
    target = history.target
    if target is None:
        raise NotApplicable("the labels were not given: pass y")
    if target.is_one_hot:
        shares = target.numbers.mean(axis=0)
    else:
        levels, codes = target.codes
        shares = np.bincount(codes, minlength=len(levels)) / len(codes)
    return np.asarray(shares[shares > 0])
