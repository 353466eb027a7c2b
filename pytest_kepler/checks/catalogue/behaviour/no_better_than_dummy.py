"""K702 no-better-than-dummy: a trained model that is no better than guessing.

What it looks at
    The answers for held-out rows: their accuracy against the share of the commonest class and the
    mean of the classes' own accuracies against that of guessing, or the explained variance of
    numbers, and how far they go along with the target, against 0. Two standard errors are
    granted.
Why it matters
    The model has learned nothing that holds for new rows.
What it cannot see
    Fewer than 30 rows, detectors of rare events, and targets that nothing predicts: waive it
    there.
Source
    https://scikit-learn.org/stable/modules/model_evaluation.html#dummy-estimators
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.answers import class_answers
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import task_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import Array, BehaviourView, Target
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K702"]
_MIN_ROWS = 30
_TWO = 2
_COMMON = 0.05
_REPEATS = 200


def check(behaviour: BehaviourView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if the answers are no better than a constant one."""
    target = behaviour.data.target
    task = task_of(behaviour.data)
    if task.kind not in {"classification", "regression"} or behaviour.data.ordered:
        raise NotApplicable(f"the task is {task.kind}")
    answers = behaviour.predictions
    n = min(len(answers), target.n_rows)
    if n < _MIN_ROWS:
        raise NotApplicable(f"there are fewer than {_MIN_ROWS} rows")
    if task.kind == "classification":
        yield from _classes(answers[:n], target, n, limits)
    else:
        yield from _numbers(answers[:n], target, n, limits)


def _classes(answers: Array, target: Target, n: int, limits: Limits) -> Iterator[Finding]:
    truth = (target.numbers.argmax(axis=1) if target.is_one_hot else target.flat)[:n]
    levels, counts = np.unique(truth, return_counts=True)
    given = class_answers(answers)
    if int((counts >= _COMMON * n).sum()) < _TWO:
        raise NotApplicable("only one class is common in these rows")
    if given.shape != truth.shape:
        raise NotApplicable("the answers are not one class a row")
    right = given == truth
    accuracy, majority = float(right.mean()), float(counts.max() / n)
    error = float(np.sqrt(majority * (1 - majority) / n))
    by_class = np.array([right[truth == level].mean() for level in levels])
    chance = 1 / len(levels)
    spread = float(np.sqrt((chance * (1 - chance) / counts).sum())) / len(levels)
    granted = limits["errors"]
    # Who finds the rare classes may be right less often than who always says the common one.
    is_common = accuracy <= majority + granted * error
    if is_common and float(by_class.mean()) <= chance + granted * spread:
        yield INFO.finding(
            f"The accuracy is {accuracy:.3g}; always answering the commonest class gives "
            f"{majority:.3g}.",
            location="predictions",
            measured={"accuracy": accuracy, "mean of classes": float(by_class.mean()), "n": n},
            threshold={"accuracy": majority + granted * error},
            fix="Look whether labels belong to their rows, inputs are scaled, and the loss fell.",
            basis="baseline",
        )


def _numbers(answers: Array, target: Target, n: int, limits: Limits) -> Iterator[Finding]:
    truth = target.numbers.reshape(target.n_rows, -1)[:n]
    given = answers.astype(np.float64).reshape(n, -1)
    if given.shape != truth.shape or not np.isfinite(given).all():
        raise NotApplicable("the answers do not have the shape of the target")
    explained = _explained(truth, given)
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, n, n) for _ in range(_REPEATS)]
    error = float(np.std([_explained(truth[rows], given[rows]) for rows in drawn]))
    # Answers that go with a noisy target have learned something, however little they explain.
    goes_along = _correlation(truth, given) > limits["errors"] / np.sqrt(n)
    if explained <= limits["errors"] * error and not goes_along:
        yield INFO.finding(
            f"The answers explain {explained:.3g} of the target's variance; its mean explains 0.",
            location="predictions",
            measured={"explained": explained, "n": n},
            threshold={"explained": limits["errors"] * error},
            fix="Look whether targets belong to their rows, inputs are scaled, and the loss fell.",
            basis="baseline",
        )


def _explained(truth: Array, given: Array) -> float:
    total = float(np.square(truth - truth.mean(axis=0)).sum())
    return 1 - float(np.square(truth - given).sum()) / total if total > 0 else 0.0


def _correlation(truth: Array, given: Array) -> float:
    both = truth.std(axis=0) * given.std(axis=0)
    products = ((truth - truth.mean(axis=0)) * (given - given.mean(axis=0))).mean(axis=0)
    return float(np.max(np.where(both > 0, products / np.where(both > 0, both, 1.0), 0.0)))
