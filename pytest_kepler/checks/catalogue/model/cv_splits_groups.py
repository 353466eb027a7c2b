"""K607 cv-splits-groups: folds with rows of one declared group on both sides.

What it looks at
    The argument ``groups`` of a fit beside the folds of a search, or of ``cv=``.
Why it matters
    Rows of one patient, user or recording resemble each other: the model recognises them.
What it cannot see
    Groups that nobody declared.
Source
    https://scikit-learn.org/stable/modules/cross_validation.html#group-cv
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.estimators import cross_validation_of, folds
from pytest_kepler.checks.predicates import listed, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K607"]


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield one finding if a fold cuts through a group."""
    given = fit.fit_kwargs.get("groups")
    if given is None:
        raise NotApplicable("no groups were declared")
    validation = cross_validation_of(fit)
    try:
        groups = np.asarray(given)
    except ValueError as error:
        raise NotApplicable("the groups are not one value a row") from error
    if groups.ndim != 1 or len(groups) != fit.data.block.n_rows:
        raise NotApplicable("the groups are not one value a row")
    known = folds(validation, fit)
    shared: set[object] = set()
    n_folds = 0
    for train, test in known:
        both = set(groups[train].tolist()) & set(groups[test].tolist())
        n_folds += bool(both)
        shared |= both
    if len(shared) <= limits["max-shared"]:
        return
    yield INFO.finding(
        f"{plural(len(shared), 'group')} {'has' if len(shared) == 1 else 'have'} rows on both "
        f"sides of {plural(n_folds, 'fold')}.",
        location=f"{type(validation.splitter).__name__}, group {listed(sorted(shared, key=str))}",
        measured={"groups": len(shared), "folds": n_folds},
        threshold={"max-shared": limits["max-shared"]},
        fix="Keep groups whole: cv=GroupKFold().",
    )
