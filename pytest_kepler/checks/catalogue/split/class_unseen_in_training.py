"""K109 class-unseen-in-training: test rows of a class that the model never meets.

What it looks at
    The labels of both splits; also classes of which no row is tested.
Why it matters
    A model cannot answer what it has not seen: these rows are lost, whatever is learned.
What it cannot see
    Classes of which train has too few rows.
Source
    https://scikit-learn.org/stable/modules/cross_validation.html#stratification
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import listed, plural, task_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import DataView, SplitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K109"]
_ONE_CLASS = 1


def check(split: SplitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for classes that only one split has."""
    task = task_of(split.train)
    if task.kind != "classification":
        raise NotApplicable(f"the task is {task.kind}")
    train, test = _counts(split.train), _counts(split.test)
    if len(train) == _ONE_CLASS:
        raise NotApplicable("train has one class, as in the search for outliers")
    unseen = {label: n for label, n in test.items() if label not in train}
    # Whole numbers were taken for classes: with many of them only in test, they are amounts.
    if task.is_inferred and _are_numbers(unseen) and len(unseen) > max(1, len(train) // 2):
        raise NotApplicable("the target may be an amount, not a class")
    if unseen:
        rows = sum(unseen.values())
        yield INFO.finding(
            f"{plural(rows, 'test row')} of {sum(test.values()):,} "
            f"{'is' if rows == 1 else 'are'} of a class that train does not have.",
            location=f"class {listed(list(unseen))}",
            measured={"classes": len(unseen), "rows": rows},
            threshold={"classes": 0},
            fix="Stratify the split, or leave the class out of both.",
            is_inferred=task.is_inferred,
        )
    absent = [label for label, n in train.items() if label not in test and n >= limits["min-rows"]]
    if absent:
        yield INFO.finding(
            f"{plural(len(absent), 'class')} of {len(train):,} "
            f"{'is' if len(absent) == 1 else 'are'} not tested.".replace("classs", "classes"),
            severity="warning",
            location=f"class {listed(absent)}",
            measured={"classes": len(absent)},
            threshold={"min-rows": limits["min-rows"]},
            fix="Stratify the split.",
            is_inferred=task.is_inferred,
        )


def _counts(data: DataView) -> dict[Any, int]:
    target = data.target
    if target.is_one_hot:
        codes = target.numbers.argmax(axis=1)
        labels, counts = np.unique(codes, return_counts=True)
    else:
        levels, codes = target.codes
        labels, counts = levels, np.bincount(codes, minlength=len(levels))
    return dict(zip(labels.tolist(), counts.tolist(), strict=True))


def _are_numbers(labels: dict[Any, int]) -> bool:
    return all(isinstance(label, int | float) for label in labels)
