"""Reading what a model answers: the class that it names, and how far two answers are apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_kepler.adapters.views import NotApplicable

if TYPE_CHECKING:
    from pytest_kepler.adapters.views import Array

_TWO: Final = 2
_HALF: Final = 0.5


def class_answers(answers: Array) -> Array:
    """Return the class that each answer names, of labels, scores or probabilities."""
    if answers.ndim > 1 and answers.shape[-1] > 1:
        return np.asarray(answers.reshape(len(answers), -1).argmax(axis=1))
    flat = answers.reshape(-1)
    if flat.dtype.kind == "f" and len(np.unique(flat)) > _TWO:
        # Scores of one unit: probabilities are cut at 1/2, logits at 0.
        is_probability = bool((flat >= 0).all() and (flat <= 1).all())
        return np.asarray(flat > (_HALF if is_probability else 0.0))
    return flat


def largest_difference(first: Array, second: Array) -> float:
    """Return the largest difference of two answers, in standard deviations of the first.

    Answers that are no numbers differ by the share of rows that do.
    """
    if first.shape != second.shape:
        raise NotApplicable("the two predictions have different shapes")
    if first.dtype.kind not in "biuf":
        return float(np.mean(first != second))
    one, other = first.astype(np.float64), second.astype(np.float64)
    finite = np.isfinite(one) & np.isfinite(other)
    if not finite.any():
        raise NotApplicable("no answer is finite")
    scale = float(one[finite].std()) or 1.0
    return float(np.abs(one[finite] - other[finite]).max()) / scale
