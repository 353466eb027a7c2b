"""K711 constant-prediction: one and the same answer for every row.

What it looks at
    The answers for held-out rows of which at least two classes are common, or the spread of
    predicted numbers against that of the target.
Why it matters
    The model has learned the commonest class or the mean, and nothing of the inputs.
What it cannot see
    Detectors of rare events, which may rightly answer "no" throughout.
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

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import BehaviourView, Target
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K711"]
_MIN_ROWS = 50
_COMMON = 0.05
_TWO = 2


def check(behaviour: BehaviourView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if every row gets the same answer."""
    target = behaviour.data.target
    task = task_of(behaviour.data)
    if task.kind not in {"classification", "regression"}:
        raise NotApplicable(f"the task is {task.kind}")
    answers = behaviour.predictions
    n = min(len(answers), target.n_rows)
    if answers.dtype.kind == "f" and not np.isfinite(answers).all():
        raise NotApplicable("some answers are not finite")
    if n < _MIN_ROWS:
        raise NotApplicable(f"there are fewer than {_MIN_ROWS} rows")
    if task.kind == "classification":
        yield from _one_class(answers[:n], target, n)
    else:
        yield from _no_spread(answers[:n], target, n, limits)


def _one_class(answers: NDArray[np.generic], target: Target, n: int) -> Iterator[Finding]:
    codes = target.numbers.argmax(axis=1) if target.is_one_hot else target.codes[1]
    counts = np.bincount(codes[:n])
    if int((counts >= _COMMON * n).sum()) < _TWO:
        raise NotApplicable("only one class is common in these rows")
    labels = class_answers(answers)
    distinct = set(labels.tolist())
    if len(distinct) == 1:
        yield INFO.finding(
            f"All {n:,} rows get the same class, {next(iter(distinct))}.",
            location="predictions",
            measured={"classes predicted": 1, "classes": len(counts), "n": n},
            threshold={"classes predicted": 2},
            fix="Scale the inputs, check the last layer and the loss, and the class shares.",
            basis="batch",
        )


def _no_spread(
    answers: NDArray[np.generic], target: Target, n: int, limits: Limits
) -> Iterator[Finding]:
    spread = float(np.std(answers.astype(np.float64)))
    wanted = float(np.std(target.numbers[:n]))
    if wanted > 0 and spread < limits["min-rel-sd"] * wanted:
        yield INFO.finding(
            f"The predictions hardly vary: their spread is {spread:.2g}, that of the target "
            f"{wanted:.2g}.",
            location="predictions",
            measured={"relative spread": spread / wanted, "n": n},
            threshold={"min-rel-sd": limits["min-rel-sd"]},
            fix="Scale the inputs and the target, and train for longer.",
            basis="batch",
        )
