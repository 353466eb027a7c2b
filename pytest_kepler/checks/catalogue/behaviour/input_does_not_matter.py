"""K708 input-does-not-matter: answers that are as right when the rows are exchanged.

What it looks at
    The score for up to 512 held-out rows, accuracy or explained variance, where it is better than
    guessing by more than two standard errors; and the mean of the scores when the rows are
    shuffled against their targets, five times. It must fall by at least one standard error,
    unless the answers go with their rows.
Why it matters
    The answers are right, but not because of what is in the rows: the model knows the targets, or
    their order, by another way, and what it was given does not reach it.
What it cannot see
    Models that are no better than guessing (K702 tells of them), rows in the order of time, and
    fewer than 30 rows.
Source
    https://scikit-learn.org/stable/modules/permutation_importance.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_kepler.adapters import views
from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks import scores
from pytest_kepler.checks.codes import CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_kepler.adapters.views import Array, BehaviourView, Target
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K708"]
_MIN_ROWS: Final = 30
_MAX_ROWS: Final = 512
_REPEATS: Final = 5
_BETTER: Final = 2.0


def check(behaviour: BehaviourView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if shuffled rows are answered as well."""
    behaviour.data.require_aligned()
    if behaviour.predicted is None:
        raise NotApplicable("the rows cannot be asked one by one")
    if behaviour.data.ordered:
        raise NotApplicable("the rows are ordered")
    target, n = behaviour.data.target, min(_MAX_ROWS, behaviour.data.target.n_rows)
    if n < _MIN_ROWS:
        raise NotApplicable(f"there are fewer than {_MIN_ROWS} rows")
    is_choice = scores.is_choice(behaviour.data)
    few = views.Target(target.name, target.values[:n])
    score = _accuracy(few) if is_choice else _explained(few)
    name = "accuracy" if is_choice else "explained variance"
    rows = views.take_rows(behaviour.rows, n)
    answers = behaviour.predict_for(rows)
    value, guessing, error = score(answers)
    if value <= guessing + _BETTER * error:
        raise NotApplicable("the model is no better than guessing")
    rng = np.random.default_rng(0)
    shuffled = []
    for _ in range(_REPEATS):
        order = rng.permutation(n)
        moved = behaviour.predict_for(views.rows_at(rows, order))
        if _follow(answers, moved, order):
            return
        shuffled.append(score(moved)[0])
    mean = float(np.mean(shuffled))
    if value - mean < limits["min-fall"] * error:
        yield INFO.finding(
            f"With the rows shuffled against their targets the {name} is {mean:.3g}; as they "
            f"belong together it is {value:.3g}.",
            location="predictions",
            measured={name: value, "shuffled": mean, "standard error": error, "n": n},
            threshold={"min-fall": limits["min-fall"]},
            fix="Look at what the model is given: it must answer from the rows, not know the "
            "targets or their order.",
            basis="batch",
        )


def _follow(answers: Array, moved: Array, order: Array) -> bool:
    """Tell whether the answers went with their rows rather than stayed in their places.

    Where they did, a score that hardly fell is chance: a far value met a far value.
    """
    if moved.shape != answers.shape:
        raise NotApplicable("the two predictions have different shapes")
    if answers.dtype.kind in "iuf":
        moves, stays = (
            float(np.abs(moved.astype(np.float64) - one).mean())
            for one in (answers[order], answers)
        )
    else:
        moves, stays = (float(np.mean(moved != one)) for one in (answers[order], answers))
    return moves <= stays


def _accuracy(target: Target) -> Callable[[Array], tuple[float, float, float]]:
    labels = scores.labels_of(target)
    commonest = float(np.unique(labels, return_counts=True)[1].max() / len(labels))
    error = float(np.sqrt(commonest * (1 - commonest) / len(labels)))

    def score(answers: Array) -> tuple[float, float, float]:
        return float(scores.right_answers(labels, answers).mean()), commonest, error

    return score


def _explained(target: Target) -> Callable[[Array], tuple[float, float, float]]:
    from_mean = scores.distances_from_mean(target)
    total = float(from_mean.mean())
    if not total:
        raise NotApplicable("the target does not vary")

    def score(answers: Array) -> tuple[float, float, float]:
        gains = (from_mean - scores.squared_errors(target, answers)) / total
        return float(gains.mean()), 0.0, float(gains.std()) / float(np.sqrt(len(gains)))

    return score
