"""K311 class-imbalance: a class that is rare, and nothing that makes up for it.

What it looks at
    The counts of the classes; class weights, sample weights, samplers and the metric of a
    search, where the model is known.
Why it matters
    A model that never answers the rare class looks accurate.
What it cannot see
    How you judge the model: balanced accuracy, F1 or precision and recall make it visible.
Source
    https://scikit-learn.org/stable/modules/model_evaluation.html#balanced-accuracy-score
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import listed, makes_up_for_imbalance, require_classification

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import DataView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K311"]
_LONG_TAIL = 50
_WEIGHTS = ("class_weight", "sample_weight")


def check(data: DataView, limits: Limits) -> Iterator[Finding]:
    """Yield one finding if the rarest class is far rarer than the commonest."""
    data.require_aligned()
    data = data.labelled
    task = require_classification(data)
    if data.model is not None and data.model.is_unsupervised:
        raise NotApplicable("the model does not learn classes")
    levels, codes = data.target.codes
    if len(levels) < 2:  # noqa: PLR2004 - K319 tells of one class
        raise NotApplicable("there is one class")
    if task.is_inferred and data.target.is_numeric and len(levels) > 2:  # noqa: PLR2004 - yes and no are classes
        raise NotApplicable("the target may be a count, not a class")
    counts = np.bincount(codes, minlength=len(levels))
    # In a long tail the commonest class says little: compare with the middle one.
    reference = float(np.median(counts) if len(levels) > _LONG_TAIL else counts.max())
    ratio = float(counts.min()) / reference
    if ratio >= limits["ratio"]:
        return
    order = np.argsort(counts, kind="stable")
    shown = [f"{levels[k]} ({counts[k]:,})" for k in [*order[:2], order[-1]][: len(levels)]]
    is_handled = data.model is not None and makes_up_for_imbalance(data.model)
    is_handled |= any(data.extras.get(name) is not None for name in _WEIGHTS)
    yield INFO.finding(
        f"The rarest class has {counts.min():,} rows, {ratio:.2g} times as many as the "
        f"{'middle' if len(levels) > _LONG_TAIL else 'commonest'} one.",
        severity="note" if is_handled else "warning",
        location=f"class {listed(list(dict.fromkeys(shown)))}",
        measured={"ratio": ratio, "n": len(codes)},
        threshold={"ratio": limits["ratio"]},
        fix="Stratify splits, weight the classes, and judge by balanced accuracy or F1.",
        is_inferred=task.is_inferred,
    )
