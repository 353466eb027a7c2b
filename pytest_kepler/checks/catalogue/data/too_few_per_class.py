"""K320 too-few-per-class: a class with fewer rows than there are folds.

What it looks at
    The counts of the classes beside the number of stratified folds, where a search or
    ``cv=`` makes some; without folds, classes of a single row.
Why it matters
    Some folds have no row of the class: it is not tested there, or not learned.
What it cannot see
    Folds that are made elsewhere.
Source
    https://scikit-learn.org/stable/modules/cross_validation.html#stratification
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.estimators import is_stratified, n_folds
from pytest_kepler.checks.predicates import listed, require_classification

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import DataView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K320"]


def check(data: DataView, limits: Limits) -> Iterator[Finding]:
    """Yield one finding if a class is too rare to be divided."""
    data.require_aligned()
    data = data.labelled
    task = require_classification(data)
    if task.is_inferred and data.target.is_numeric:
        raise NotApplicable("the target may be a count, not a class")
    levels, codes = data.target.codes
    counts = np.bincount(codes, minlength=len(levels))
    if len(levels) < 2:  # noqa: PLR2004 - K319 tells of one class
        raise NotApplicable("there is one class")
    n_splits = _stratified_folds(data)
    least = n_splits or int(limits["min-per-class"])
    few = np.flatnonzero(counts < least)
    if not len(few):
        return
    # scikit-learn refuses to stratify only if no class has as many rows as there are folds.
    is_refused = n_splits is not None and len(few) == len(levels)
    shown = [f"{levels[k]} ({counts[k]:,})" for k in few.tolist()]
    what = f"the {n_splits} folds" if n_splits else "what any split needs"
    yield INFO.finding(
        f"{'Every class has' if is_refused else _some(len(few))} fewer rows than {what}.",
        severity="error" if is_refused else "warning",
        location=f"class {listed(shown)}",
        measured={"rows": int(counts.min()), "classes": len(few)},
        threshold={"rows": least},
        fix="Use fewer folds, or put rare classes together.",
        is_inferred=task.is_inferred,
    )


def _some(count: int) -> str:
    return "A class has" if count == 1 else f"{count:,} classes have"


def _stratified_folds(data: DataView) -> int | None:
    validation = data.model.cross_validation if data.model is not None else None
    if data.model is None or validation is None:
        return None
    if not is_stratified(validation, data.model.learns):
        return None
    return n_folds(validation)
