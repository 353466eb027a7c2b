"""K103 class-shares-differ: a split that changed the mix of the classes.

What it looks at
    The share of each class in both splits. Both must hold: a difference that matters, and one
    that chance does not make.
Why it matters
    The test metric answers for another mix than the model was trained on.
What it cannot see
    Whether the mix was changed on purpose; then say so by groups or times.
Source
    https://scikit-learn.org/stable/modules/cross_validation.html#stratification
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import class_counts, listed, task_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import SplitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K103"]


def check(split: SplitView, limits: Limits) -> Iterator[Finding]:
    """Yield one finding if the share of a class differs too much to be chance."""
    task = task_of(split.train)
    if task.kind != "classification":
        raise NotApplicable(f"the task is {task.kind}")
    if split.time is not None or split.train.ordered:
        raise NotApplicable("the split is by time")
    train, test = class_counts(split.train), class_counts(split.test)
    n_train, n_test = sum(train.values()), sum(test.values())
    if not n_train or not n_test:
        raise NotApplicable("a split has no rows")
    shared = [label for label in train if label in test]  # K109 tells of the others
    if len(shared) * 2 < len(train):
        raise NotApplicable("the splits share too few classes")
    differing = []
    for label in shared:
        ours, theirs = train[label] / n_train, test[label] / n_test
        pooled = (train[label] + test[label]) / (n_train + n_test)
        error = np.sqrt(pooled * (1 - pooled) * (1 / n_train + 1 / n_test))
        gap = abs(ours - theirs)
        if gap > limits["min-diff"] and gap > limits["min-errors"] * error:
            differing.append((gap, f"{label} ({ours:.1%} of train, {theirs:.1%} of test)"))
    if not differing:
        return
    differing.sort(reverse=True)
    is_grouped = split.groups is not None
    yield INFO.finding(
        "The classes have other shares in the test split than in train, by up to "
        f"{differing[0][0]:.1%} of the rows.",
        severity="note" if is_grouped else "warning",
        location=f"class {listed([text for _, text in differing])}",
        measured={"diff": float(differing[0][0]), "n": n_test},
        threshold={"min-diff": limits["min-diff"], "min-errors": limits["min-errors"]},
        fix="Stratify the split: train_test_split(…, stratify=y).",
        is_inferred=task.is_inferred,
    )
