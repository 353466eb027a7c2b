"""K612 estimator-vs-target: a classifier for amounts, or a regressor for names.

What it looks at
    What a scikit-learn estimator says it learns, and the values of the target.
Why it matters
    The fit fails, or learns a class for each number.
What it cannot see
    Whether whole numbers are counts, grades or classes: both kinds of model may be right.
Source
    https://scikit-learn.org/stable/glossary.html#term-classifiers
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView, Target
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K612"]
_PROBE = 5_000


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield an error if the estimator cannot learn such a target."""
    if fit.model.framework != "sklearn" or not fit.model.learns:
        raise NotApplicable("the model does not say what it learns")
    target = fit.data.target
    values = target.flat
    if fit.model.learns == "classifier" and target.is_numeric:
        yield from _amounts(fit.model.name, target, limits)
    elif fit.model.learns == "regressor" and values.dtype.kind in "OUS":
        if "TransformedTargetRegressor" in repr(type(fit.model.model)):
            raise NotApplicable("the target is transformed first")
        words = [str(value) for value in values[:_PROBE].tolist() if not _is_number(value)]
        if words:
            yield INFO.finding(
                f"{fit.model.name} learns numbers, but the target holds text.",
                location=f"{target.name}: {listed(list(dict.fromkeys(map(repr, words))))}",
                measured={"texts": len(words), "n": target.n_rows},
                threshold={"texts": 0},
                fix="Use a classifier, or turn the target into numbers.",
            )


def _amounts(name: str, target: Target, limits: Limits) -> Iterator[Finding]:
    numbers = target.flat[~target.missing.reshape(target.flat.shape)]
    if numbers.dtype.kind != "f" or not np.isfinite(numbers).all():
        return
    fractions = np.unique(numbers[numbers != np.floor(numbers)])
    if len(fractions) <= limits["max-fractions"]:
        return
    yield INFO.finding(
        f"{name} learns classes, but the target has {len(fractions):,} different fractions.",
        location=f"{target.name}: {listed([f'{value:g}' for value in fractions[:6].tolist()])}",
        measured={"fractions": len(fractions), "n": target.n_rows},
        threshold={"max-fractions": limits["max-fractions"]},
        fix="Use a regressor, or cut the target into classes.",
    )


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]  # what cannot be read raises
    except (TypeError, ValueError):
        return False
    return True
