"""K306 constant-column: features with one and the same value in every row.

What it looks at
    Every column, a missing value counted as a value. Pixels, spectra and other arrays in one
    unit are silent unless all columns are constant.
Why it matters
    Such a column says nothing, and often tells of a join or a filter that went wrong.
What it cannot see
    Columns that are constant in all but a few rows.
Source
    https://scikit-learn.org/stable/modules/feature_selection.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import (
    COLUMNS_SHOWN,
    is_homogeneous,
    is_unnamed_and_wide,
    listed,
    plural,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import Block, Column, DataView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding, Severity

INFO = CHECKS["K306"]
_FIX = "Drop the column, or check the join or filter that produced it."
_MIN_ROWS = 10


def check(data: DataView, limits: Limits) -> Iterator[Finding]:
    """Yield one finding for the constant columns of each input."""
    data.require_rows()
    for block in data.blocks:
        if block.n_rows >= _MIN_ROWS and not block.is_sparse:
            yield from _in_block(block, limits)
    if all(block.is_sparse for block in data.blocks):
        raise NotApplicable("in a sparse matrix, empty columns are ordinary")


def _in_block(block: Block, limits: Limits) -> Iterator[Finding]:
    constant, width = _constant_columns(block)
    if not constant:
        return
    share = len(constant) / width
    severity: Severity = "warning"
    if len(constant) < width and is_homogeneous(block):
        return
    # A single column is no proof of a broken table, however large its share.
    if share >= limits["error-share"] and len(constant) > 1:
        severity = "error"
    elif is_unnamed_and_wide(block) or _is_intercept(constant):
        # Pixels that were standardised look like this: their border is always black.
        severity = "note"
    names = [f"{name!r} (always {value})" for name, value in constant]
    yield INFO.finding(
        f"{plural(len(constant), 'column')} of {width:,} "
        f"{'has' if len(constant) == 1 else 'have'} one value in all {block.n_rows:,} rows.",
        severity=severity,
        location=f"{block.name}, column {listed(names, COLUMNS_SHOWN)}",
        measured={"columns": len(constant), "share": share, "n": block.n_rows},
        threshold={"columns": 0, "error-share": limits["error-share"]},
        fix=_FIX,
        basis=block.basis,
    )


def _constant_columns(block: Block) -> tuple[list[tuple[str, Any]], int]:
    """Return (name and value of each constant column, the number of columns)."""
    if block.is_table:
        found = [(column.name, _first(column)) for column in block.columns if _is_constant(column)]
        return found, len(block.columns)
    matrix = block.matrix
    if not matrix.shape[1]:
        return [], int(np.prod(block.source.shape[1:]))
    stats = block.stats
    spread = (stats.low == stats.high) & (stats.n_finite == len(matrix))
    empty = stats.n_finite == 0
    positions = np.flatnonzero(spread | empty).tolist()
    return [(block.labels[j], matrix[0, j]) for j in positions], matrix.shape[1]


def _is_constant(column: Column) -> bool:
    missing = column.missing
    if missing.all():
        return True
    if missing.any():
        return False
    first = column.values[0]
    try:
        return bool(np.all(column.values == first))
    except (TypeError, ValueError):
        return False


def _first(column: Column) -> Any:
    return "missing" if column.missing[0] else column.values[0]


def _is_intercept(constant: list[tuple[str, Any]]) -> bool:
    return (
        len(constant) == 1
        and isinstance(constant[0][1], int | float | np.number)
        and (constant[0][1] == 1)
    )
