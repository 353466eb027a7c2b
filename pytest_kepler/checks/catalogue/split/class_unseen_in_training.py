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

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import class_counts, listed, plural, task_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import SplitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K109"]
_ONE_CLASS = 1
_MANY_NUMBERS = 20
#: So many rows are expected of a class that a random split has all but surely some (0.7 % not).
_EXPECTED = 5


def check(split: SplitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for classes that only one split has."""
    task = task_of(split.train)
    if task.kind != "classification":
        raise NotApplicable(f"the task is {task.kind}")
    train, test = class_counts(split.train), class_counts(split.test)
    if len(train) == _ONE_CLASS:
        raise NotApplicable("train has one class, as in the search for outliers")
    unseen = {label: n for label, n in test.items() if label not in train}
    is_rare = bool(unseen) and max(unseen.values()) < limits["min-rows"]
    # Whole numbers were taken for classes: where many, or rare ones, are unseen, they are counts.
    is_odd = is_rare or len(unseen) > max(1, len(train) // 2) or len(train) > _MANY_NUMBERS
    if task.is_inferred and _are_numbers(train) and is_odd:
        raise NotApplicable("the target may be a count, not a class")
    if unseen:
        rows = sum(unseen.values())
        yield INFO.finding(
            f"{plural(rows, 'test row')} of {sum(test.values()):,} "
            f"{'is' if rows == 1 else 'are'} of a class that train does not have.",
            # A random split, too, leaves the few rows of a rare class on one side.
            severity="warning" if is_rare else "error",
            location=f"class {listed(list(unseen))}",
            measured={"classes": len(unseen), "rows": rows},
            threshold={"classes": 0, "min-rows": limits["min-rows"]},
            fix="Stratify the split, or leave the class out of both.",
            is_inferred=task.is_inferred,
        )
    absent = [label for label, n in train.items() if label not in test and n >= limits["min-rows"]]
    if absent and task.is_inferred and _are_numbers(train):
        # A rare count may miss a side by chance; a class that is cut off has many rows.
        share = sum(test.values()) / max(sum(train.values()), 1)
        absent = [label for label in absent if share * train[label] >= _EXPECTED]
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


def _are_numbers(labels: dict[Any, int]) -> bool:
    return all(isinstance(label, int | float) for label in labels)
