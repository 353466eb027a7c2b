"""K609 metric-hides-minority: a search that is judged by accuracy on lopsided classes.

What it looks at
    The ``scoring`` of a search over a classifier, and the share of the commonest class.
Why it matters
    Always answering the commonest class scores as well as most candidates, so that the search
    cannot tell a model from none.
What it cannot see
    Metrics that you compute yourself.
Source
    https://scikit-learn.org/stable/modules/model_evaluation.html#balanced-accuracy-score
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import require_classification

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K609"]


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a warning if candidates are told apart by accuracy alone, and it cannot."""
    validation = fit.model.cross_validation
    model = fit.model.model
    if validation is None or not hasattr(model, "scoring"):
        raise NotApplicable("nothing is searched for")
    if validation.scoring not in (None, "accuracy") or fit.model.learns != "classifier":
        raise NotApplicable("the search is not judged by accuracy")
    data = fit.data.labelled
    task = require_classification(data)
    levels, codes = data.target.codes
    counts = np.bincount(codes, minlength=len(levels))
    share = float(counts.max(initial=0) / max(len(codes), 1))
    if share < limits["share"] or len(levels) < 2:  # noqa: PLR2004 - K319 tells of one class
        return
    yield INFO.finding(
        f"{validation.owner} compares candidates by accuracy, and always answering "
        f"{levels[counts.argmax()]} has an accuracy of {share:.1%}.",
        location=f"scoring of {validation.owner}",
        measured={"share": share, "n": len(codes)},
        threshold={"share": limits["share"]},
        fix='Search by scoring="balanced_accuracy", "f1" or "average_precision".',
        basis="static",
        is_inferred=task.is_inferred,
    )
