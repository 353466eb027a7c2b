"""K603 unknown-category-fails: an encoder that will meet a category it has never seen.

What it looks at
    OneHotEncoder and OrdinalEncoder with ``handle_unknown="error"`` in a cross-validated
    model: the categories of both sides of each fold.
Why it matters
    The fold fails, hours into a search; so does the model on the first new category.
What it cannot see
    Categories of rows that are not here.
Source
    https://scikit-learn.org/stable/modules/preprocessing.html#encoding-categorical-features
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.estimators import cross_validation_of, encoders, folds, n_folds
from pytest_kepler.checks.predicates import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_kepler.adapters.views import Column, FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.checks.estimators import Fold
    from pytest_kepler.records import Finding

INFO = CHECKS["K603"]
_BINARY = 2


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each column with categories that a fold does not learn."""
    del limits
    validation = cross_validation_of(fit)
    n_splits = n_folds(validation)
    known: Sequence[Fold] = ()
    try:
        known = folds(validation, fit)
    except NotApplicable:
        if n_splits is None:
            raise
    for encoder, columns in encoders(fit, ("OneHotEncoder", "OrdinalEncoder")):
        step = encoder.step
        if step.handle_unknown != "error" or not _learns_categories(step):
            continue
        for column in columns:
            if len(column.levels.values) > _BINARY:
                yield from _judge(column, known, n_splits or 0, type(step).__name__)


def _learns_categories(step: object) -> bool:
    categories = getattr(step, "categories", "auto")
    return isinstance(categories, str) and categories == "auto"


def _judge(column: Column, known: Sequence[Fold], n_splits: int, encoder: str) -> Iterator[Finding]:
    levels = column.levels
    unseen: set[int] = set()
    for train, test in known:
        unseen |= set(levels.codes[test].tolist()) - set(levels.codes[train].tolist())
    rare = [k for k in np.flatnonzero(levels.counts < n_splits).tolist() if not known]
    chosen = sorted(unseen - {-1}) or rare
    if not chosen:
        return
    shown = [f"{levels.values[k]!r} ({levels.counts[k]:,})" for k in chosen]
    if unseen:
        message = f"{encoder} meets categories in a fold that it did not learn, and then fails."
    else:
        message = (
            f"Some categories have fewer rows than there are folds: {encoder} fails on new ones."
        )
    yield INFO.finding(
        message,
        severity="error" if unseen else "warning",
        location=f"column {column.name!r}: {listed(shown)}",
        measured={"categories": len(chosen), "n": len(levels.codes)},
        threshold={"categories": 0},
        fix='Set handle_unknown="ignore" or "infrequent_if_exist", or name all categories.',
    )
