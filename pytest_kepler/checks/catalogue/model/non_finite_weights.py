"""K209 non-finite-weights: weights that are not numbers.

What it looks at
    All weights of the model, its statistics, and the state of its optimizer.
Why it matters
    One weight that is no number makes every answer none, and training cannot mend it.
What it cannot see
    Weights that become infinite during training: the loss tells then.
Source
    https://numpy.org/doc/stable/reference/generated/numpy.isfinite.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import listed, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K209"]


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if some weight is NaN or infinite."""
    del limits
    counts = {
        path: int(values.size - np.isfinite(values).sum())
        for path, values in fit.model.variables
        if values.dtype.kind == "f"
    }
    bad = {path: count for path, count in counts.items() if count}
    if bad:
        yield INFO.finding(
            f"{plural(sum(bad.values()), 'weight')} in {listed(list(bad))} "
            f"{'is' if sum(bad.values()) == 1 else 'are'} not a finite number.",
            location=listed(list(bad)),
            measured={"weights": sum(bad.values())},
            threshold={"weights": 0},
            fix="Load the weights again, and look for the step at which the loss became NaN.",
            basis="static",
        )
