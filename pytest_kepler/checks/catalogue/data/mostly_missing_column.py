"""K318 mostly-missing-column: a feature that hardly any row has.

What it looks at
    The share of missing values of each column of a table.
Why it matters
    An imputer fills it with one number, so that it becomes a constant with noise.
What it cannot see
    Missing values under another name (see K313).
Source
    https://scikit-learn.org/stable/modules/impute.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import COLUMNS_SHOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import DataView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K318"]
_MIN_ROWS = 20


def check(data: DataView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each column that is nearly empty."""
    data.require_rows()
    tables = [block for block in data.blocks if block.is_table and block.n_rows >= _MIN_ROWS]
    if not tables:
        raise NotApplicable(f"X is no table of {_MIN_ROWS} rows or more")
    for block in tables:
        shares = [(column.name, float(column.missing.mean())) for column in block.columns]
        # A column that is empty altogether is constant: K306 tells of it.
        found = [(name, share) for name, share in shares if limits["share"] <= share < 1]
        for name, share in found[:COLUMNS_SHOWN]:
            yield INFO.finding(
                f"Column {name!r} is missing in {share:.1%} of the rows.",
                location=f"column {name!r}",
                measured={"share": share, "n": block.n_rows},
                threshold={"share": limits["share"]},
                fix="Drop the column, or keep only whether it is missing (MissingIndicator).",
            )
