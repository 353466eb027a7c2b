"""K317 bad-sample-weights: weights that are no numbers, negative, or all zero.

What it looks at
    The argument ``sample_weight`` of a fit.
Why it matters
    One NaN in the weights makes the loss NaN; a negative weight rewards mistakes; where one
    row has most of the weight, the model learns that row.
What it cannot see
    Whether the weights mean what they should.
Source
    https://scikit-learn.org/stable/glossary.html#term-sample_weight
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import DataView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K317"]
_FIX = "Repair the weights: one number of zero or more a row."
_MIN_ROWS = 100


def check(data: DataView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if the weights cannot be meant."""
    given = data.extras.get("sample_weight")
    if given is None:
        raise NotApplicable("no sample weights were given")
    weights = np.asarray(given)
    if weights.dtype.kind not in "biuf" or weights.ndim != 1:
        raise NotApplicable("the sample weights are not one number a row")
    numbers = weights.astype(np.float64)
    for message, measured in _faults(numbers):
        yield INFO.finding(
            message,
            location="sample_weight",
            measured={**measured, "n": len(numbers)},
            threshold={"weights": "finite, at least 0, not all 0"},
            fix=_FIX,
        )
        return
    largest = float(numbers.max(initial=0.0) / max(numbers.sum(), 1e-300))
    if len(numbers) >= _MIN_ROWS and largest > limits["max-row-share"]:
        yield INFO.finding(
            f"Row {int(numbers.argmax()):,} has {largest:.0%} of the whole weight.",
            severity="warning",
            location="sample_weight",
            measured={"row share": largest, "n": len(numbers)},
            threshold={"max-row-share": limits["max-row-share"]},
            fix="Check how the weights are computed, or clip them.",
        )


def _faults(weights: NDArray[np.float64]) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield what is wrong with the weights, the worst first, with what was measured."""
    n_lost, n_negative = int((~np.isfinite(weights)).sum()), int((weights < 0).sum())
    for count, word in ((n_lost, "not finite"), (n_negative, "negative")):
        if count:
            are = "is" if count == 1 else "are"
            message = f"{plural(count, 'sample weight')} of {len(weights):,} {are} {word}."
            yield message, {word: count}
    if len(weights) and not weights.any():
        yield "All sample weights are zero.", {"largest": 0.0}
