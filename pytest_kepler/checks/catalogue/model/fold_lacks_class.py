"""K606 fold-lacks-class: folds that never learn, or never test, a class.

What it looks at
    The classes on both sides of each fold, where a search or ``cv=`` names a splitter whose
    folds are known beforehand.
Why it matters
    Data often lies in the order of its labels: unshuffled folds then hold out whole classes,
    and every score is that of a model that never met them.
What it cannot see
    Folds that are drawn anew each time.
Source
    https://scikit-learn.org/stable/modules/cross_validation.html#stratification
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.estimators import cross_validation_of, folds
from pytest_kepler.checks.predicates import label_changes, listed, plural, require_classification

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.checks.estimators import Fold
    from pytest_kepler.records import Finding

INFO = CHECKS["K606"]
_FIX = "Use StratifiedKFold, or KFold(shuffle=True)."


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield one finding if a fold lacks a class, or the folds follow the order of labels."""
    validation = cross_validation_of(fit)
    task = require_classification(fit.data)
    known = folds(validation, fit)
    levels, codes = fit.data.target.codes
    unlearned = _unlearned(known, codes, len(levels))
    where = f"cv of {validation.owner}" if validation.owner != "cv" else "cv"
    if unlearned:
        fold, label = unlearned[0]
        # One group, or the first stretch of time, may well lack a class.
        is_by_nature = _splits_by_nature(validation.splitter) or fit.data.ordered
        yield INFO.finding(
            f"In {plural(len({fold for fold, _ in unlearned}), 'fold')} of {len(known):,}, a class "
            "is tested that was not learned.",
            severity="warning" if is_by_nature or task.is_inferred else "error",
            location=f"{where}, fold {fold}: class {levels[label]}",
            measured={"folds": len({fold for fold, _ in unlearned}), "of": len(known)},
            threshold={"folds": 0},
            fix=_FIX,
            is_inferred=task.is_inferred,
        )
        return
    ratio = label_changes(fit.data.target)
    if ratio < limits["change-ratio"] and _keeps_order(validation.splitter):
        shares = [
            f"{np.bincount(codes[test], minlength=len(levels)).tolist()}" for _, test in known
        ]
        yield INFO.finding(
            "The rows lie in the order of their labels, and the folds are cut without shuffling.",
            severity="warning",
            location=f"{where}, rows a class in each fold: {listed(shares, 3)}",
            measured={"change-ratio": ratio, "n": len(codes)},
            threshold={"change-ratio": limits["change-ratio"]},
            fix=_FIX,
            is_inferred=task.is_inferred,
        )


def _unlearned(
    known: Sequence[Fold], codes: NDArray[np.int64], n_levels: int
) -> list[tuple[int, int]]:
    """Return (fold, class) wherever a class is tested of which no row is trained on."""
    found = []
    for fold, (train, test) in enumerate(known):
        learned = np.bincount(codes[train], minlength=n_levels) > 0
        tested = np.bincount(codes[test], minlength=n_levels) > 0
        found += [(fold, k) for k in np.flatnonzero(tested & ~learned).tolist()]
    return found


def _splits_by_nature(splitter: object) -> bool:
    name = type(splitter).__name__
    return "Group" in name or name in {"TimeSeriesSplit", "PredefinedSplit"}


def _keeps_order(splitter: object) -> bool:
    return type(splitter).__name__ == "KFold" and not getattr(splitter, "shuffle", False)
