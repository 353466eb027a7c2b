"""K308 conflicting-labels: equal rows with different labels.

What it looks at
    Rows that are equal in all features and hold enough to tell a repetition from an accident,
    in a choice of one class.
Why it matters
    No model can answer two ways to one question: a join went wrong, a column is missing, or
    the labels are noisy.
What it cannot see
    Wrong labels of rows that are not repeated.
Source
    https://docs.deepchecks.com/stable/tabular/auto_checks/data_integrity/plot_conflicting_labels.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import continuous, listed, plural, require_classification
from pytest_kepler.checks.rows import equal_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import DataView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding, Severity

INFO = CHECKS["K308"]
_SHOWN = 3
_FEW_COLUMNS = 3


def check(data: DataView, limits: Limits) -> Iterator[Finding]:
    """Yield one finding if too many rows contradict each other."""
    data.require_aligned()
    task = require_classification(data.labelled)
    if _is_coarse(data):
        raise NotApplicable("with so few columns, rows are equal by rounding")
    equal = equal_rows(data)
    if not equal.n_telling:
        raise NotApplicable("the rows hold too little to tell a copy from an accident")
    levels, codes = data.target.codes
    if not len(equal.rows):
        return
    # A row without a label contradicts no other.
    has_label = ~data.target.missing.reshape(-1)[equal.rows]
    of_row = codes[equal.rows]
    lowest = np.minimum.reduceat(np.where(has_label, of_row, len(levels)), equal.starts)
    highest = np.maximum.reduceat(np.where(has_label, of_row, -1), equal.starts)
    conflicts = lowest < highest
    sizes = np.diff([*equal.starts, len(equal.rows)])
    n_rows = int(np.add.reduceat(has_label, equal.starts, dtype=np.int64)[conflicts].sum())
    share = n_rows / equal.n_telling
    if n_rows < limits["min-conflicts"] or share <= limits["warn-share"]:
        return
    # That a target of whole numbers is a class was guessed: too little to block anything.
    is_bad = share > limits["error-share"] and not task.is_inferred
    severity: Severity = "error" if is_bad else "warning"
    shown = []
    for k in np.flatnonzero(conflicts)[:_SHOWN].tolist():
        part = slice(equal.starts[k], equal.starts[k] + sizes[k])
        rows = equal.rows[part][has_label[part]]
        pair = rows[[np.argmin(codes[rows]), np.argmax(codes[rows])]].tolist()
        shown.append(" and ".join(f"{row} ({levels[codes[row]]})" for row in pair))
    yield INFO.finding(
        f"{plural(n_rows, 'row')} of {equal.n_telling:,} have an equal row with another label.",
        severity=severity,
        location=f"rows {listed(shown, _SHOWN)}",
        measured={"share": share, "rows in conflict": n_rows, "n": equal.n_telling},
        threshold={"warn-share": limits["warn-share"], "error-share": limits["error-share"]},
        fix="Look for a join that went wrong, a missing column, or labels that disagree.",
        is_inferred=task.is_inferred,
    )


def _is_coarse(data: DataView) -> bool:
    """Tell whether all that is known of a row is a few rounded measurements."""
    if len(data.blocks) != 1 or data.block.is_sparse or data.block.matrix.shape[1] > _FEW_COLUMNS:
        return False
    block = data.block
    is_all = not block.is_table or len(block.columns) == block.matrix.shape[1]
    distinct = block.distinct[continuous(block)]
    n_looked_at = min(len(block.matrix), 5_000)
    return is_all and bool(len(distinct)) and bool((distinct < 0.5 * n_looked_at).all())
