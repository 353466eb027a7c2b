"""How good answers are as a whole: one number, beside what guessing would reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable, Target
from pytest_kepler.checks import scores

if TYPE_CHECKING:
    from pytest_kepler.adapters.views import Array, DataView


@dataclass(frozen=True, slots=True)
class Quality:
    """A number that is 1 for answers without an error.

    Attributes
    ----------
    name : {"accuracy", "explained variance"}
    value : float
    guessing : float
        What the commonest class, or the mean, reaches.
    error : float
        The mean error of a row: the share of wrong classes, or the squared error.
    """

    name: str
    value: float
    guessing: float
    error: float

    @property
    def skill(self) -> float:
        """How far the answers go from guessing, 0, to being right throughout, 1."""
        return (self.value - self.guessing) / (1 - self.guessing)


def quality_of(data: DataView, rows: Array, answers: Array) -> Quality:
    """Return how good the answers for the rows at some positions are.

    Raises
    ------
    NotApplicable
        If the task is neither a choice of a class nor numbers, or the target does not vary.
    """
    target = data.target
    part = Target(target.name, target.values[rows])
    if scores.is_choice(data):
        labels = scores.labels_of(target)[rows]
        share = float(np.unique(labels, return_counts=True)[1].max() / len(labels))
        if share == 1.0:
            raise NotApplicable("there is one class")
        value = float(scores.right_answers(labels, answers).mean())
        return Quality("accuracy", value, share, 1 - value)
    error = float(scores.squared_errors(part, answers).mean())
    spread = float(scores.distances_from_mean(part).mean())
    if spread == 0:
        raise NotApplicable("the target does not vary")
    return Quality("explained variance", 1 - error / spread, 0.0, error)
