"""K610 optimizer-not-converged: a fit that stopped because it ran out of iterations.

What it looks at
    ``n_iter_`` beside ``max_iter``, and ``converged_``, of a fitted scikit-learn estimator that
    iterates until it converges.
Why it matters
    The weights are wherever the iterations ended: another scale of the features, or more
    iterations, give another model.
What it cannot see
    Fits that were cut short on purpose: a declared number of epochs (``tol=None``), early
    stopping and warm starts are left alone.
Source
    https://scikit-learn.org/stable/modules/linear_model.html#logistic-regression
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import BehaviourView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K610"]
_FIX = "Scale the features (make_pipeline(StandardScaler(), …)), or raise max_iter."


def check(behaviour: BehaviourView, limits: Limits) -> Iterator[Finding]:
    """Yield a warning for each part of the model that did not converge."""
    del limits
    if behaviour.model.framework != "sklearn":
        raise NotApplicable("the model is no scikit-learn estimator")
    from pytest_kepler.adapters.sklearn.view import fitted_parts

    iterating = [part for part in fitted_parts(behaviour.model.model) if _iterates(part)]
    if not iterating:
        raise NotApplicable("the model does not iterate until it converges")
    for part in iterating:
        n_iter = int(np.max(part.n_iter_))
        has_failed = getattr(part, "converged_", True) is False
        if not has_failed and n_iter < part.max_iter:
            continue
        yield INFO.finding(
            f"{type(part).__name__} stopped after {n_iter:,} iterations without converging.",
            location=type(part).__name__,
            measured={"iterations": n_iter},
            threshold={"max_iter": part.max_iter},
            fix=_FIX,
            basis="static",
        )


def _iterates(part: Any) -> bool:
    """Tell whether `max_iter` is a limit for a part that stops when it has converged."""
    max_iter, n_iter = getattr(part, "max_iter", None), getattr(part, "n_iter_", None)
    if not isinstance(max_iter, int) or max_iter <= 1 or n_iter is None:
        return False
    # Boosting does as many iterations as it was told to.
    if "Boosting" in type(part).__name__ or getattr(part, "tol", None) is None:
        return False
    return not getattr(part, "early_stopping", False) and not getattr(part, "warm_start", False)
