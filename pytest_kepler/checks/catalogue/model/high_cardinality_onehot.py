"""K604 high-cardinality-onehot: a column that is spread over hundreds of others.

What it looks at
    How many categories a OneHotEncoder finds in each column, where it does not group rare
    ones.
Why it matters
    Most of the new columns are hardly ever 1: a model learns rows by heart, and needs memory.
What it cannot see
    Encoding that was done before, and encoders of other packages.
Source
    https://scikit-learn.org/stable/modules/preprocessing.html#infrequent-categories
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.estimators import encoders
from pytest_kepler.checks.predicates import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K604"]
_FIX = "Group rare categories (min_frequency=), or encode by the target (TargetEncoder)."


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if one-hot columns outgrow the data."""
    n_rows = fit.data.block.n_rows
    counts: dict[str, int] = {}
    for encoder, columns in encoders(fit, ("OneHotEncoder",)):
        if encoder.step.min_frequency is None and encoder.step.max_categories is None:
            counts |= {column.name: len(column.levels.values) for column in columns}
    wide = {
        name: count
        for name, count in counts.items()
        if count > limits["max-levels"] and count > limits["max-row-share"] * n_rows
    }
    total = sum(counts.values())
    # A few columns on a few rows outnumber them quickly: that is small data, not a fault.
    if not wide and (total <= n_rows or total <= limits["max-levels"]):
        return
    shown = wide or dict(sorted(counts.items(), key=lambda item: -item[1]))
    words = [f"{name!r} ({count:,})" for name, count in shown.items()]
    yield INFO.finding(
        f"One-hot encoding makes {total:,} columns for {n_rows:,} rows.",
        location=f"column {listed(words)}",
        measured={"columns": total, "largest": max(counts.values()), "n": n_rows},
        threshold={
            "max-levels": limits["max-levels"],
            "max-row-share": limits["max-row-share"],
        },
        fix=_FIX,
    )
