"""K304 non-finite-input: features with missing or infinite values that the model cannot take.

What it looks at
    Every value of every row, and whether the model, or an imputer before it, takes missing
    values. Infinite values are an error for any model.
Why it matters
    One NaN makes every sum NaN: a network's loss is lost in the first step, and most
    estimators refuse the data.
What it cannot see
    Missing values under another name, such as -999 or an empty string.
Source
    https://scikit-learn.org/stable/modules/impute.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import COLUMNS_SHOWN, SHOWN, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_kepler.adapters.views import Block, DataView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding, Severity

INFO = CHECKS["K304"]
_INFINITE = "Replace infinite values: look for a division by zero or the logarithm of zero."
_MISSING = "Impute missing values, with an imputer inside the pipeline, or drop the rows."


def check(data: DataView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each column with infinite, or unwanted missing, values."""
    del limits
    data.require_rows()
    found = [finding for block in data.blocks for finding in _in_block(data, block)]
    found.sort(key=lambda finding: finding.severity)
    yield from found[:COLUMNS_SHOWN]
    rest = found[COLUMNS_SHOWN:]
    if rest:
        yield INFO.finding(
            f"{plural(len(rest), 'more column')} with values that are missing or infinite.",
            severity=rest[0].severity,
            location=data.blocks[0].name,
            measured={"columns": len(found)},
            threshold={"values": 0},
            fix=rest[0].fix,
        )


def _in_block(data: DataView, block: Block) -> Iterator[Finding]:
    if block.is_sparse:
        values = block.source.data
        counts = int(np.isnan(values).sum()), int(np.isinf(values).sum())
        yield from _findings(data, block, f"the stored values of {block.name}", counts, ())
        return
    if not block.is_table:
        yield from _in_array(data, block)
        return
    for column in block.columns:
        mask = column.missing
        n_missing, n_infinite, rows = int(mask.sum()), 0, np.flatnonzero(mask)
        if column.values.dtype.kind == "f":
            are_infinite = np.isinf(column.values)
            n_infinite = int(are_infinite.sum())
            rows = np.flatnonzero(are_infinite) if n_infinite else rows
        yield from _findings(
            data, block, f"column {column.name!r}", (n_missing, n_infinite), rows[:SHOWN]
        )


def _in_array(data: DataView, block: Block) -> Iterator[Finding]:
    shape = getattr(block.source, "shape", ())
    if block.source.dtype.kind not in "fc":
        return
    width = int(np.prod(shape[1:])) if len(shape) > 1 else 1
    missing, infinite = np.zeros(width, dtype=np.int64), np.zeros(width, dtype=np.int64)
    wide = np.complex128 if block.source.dtype.kind == "c" else np.float64
    first_rows: dict[int, list[int]] = {}
    for start, rows in block.chunks():
        # A sum over all is finite unless some value is not: one pass where all is well.
        with np.errstate(invalid="ignore", over="ignore"):
            if np.isfinite(rows.sum(dtype=wide)):
                continue
        missing += np.isnan(rows).sum(axis=0)
        infinite += np.isinf(rows).sum(axis=0)
        bad_rows, bad_columns = np.nonzero(~np.isfinite(rows))
        for row, column in zip(bad_rows.tolist(), bad_columns.tolist(), strict=True):
            kept = first_rows.setdefault(column, [])
            if len(kept) < SHOWN:
                kept.append(start + row)
    for j in np.flatnonzero(missing + infinite).tolist():
        where = f"column {block.labels[j]}" if len(shape) <= 2 else f"value {j} of each row"  # noqa: PLR2004
        yield from _findings(
            data, block, where, (int(missing[j]), int(infinite[j])), first_rows.get(j, ())
        )


def _findings(
    data: DataView, block: Block, where: str, counts: tuple[int, int], rows: Iterable[int]
) -> Iterator[Finding]:
    n_missing, n_infinite = counts
    measured = {
        "missing": n_missing,
        "infinite": n_infinite,
        "rows": [int(row) for row in rows],
        "n": block.n_rows,
    }
    if n_infinite:
        yield INFO.finding(
            f"{plural(n_infinite, 'value')} of {block.n_rows:,} in {where} "
            f"{'is' if n_infinite == 1 else 'are'} infinite.",
            location=where,
            measured=measured,
            threshold={"infinite": 0},
            fix=_INFINITE,
        )
        return
    severity = _severity_of_missing(data, block)
    if n_missing and severity is not None:
        yield INFO.finding(
            f"{plural(n_missing, 'value')} of {block.n_rows:,} in {where} "
            f"{'is' if n_missing == 1 else 'are'} missing.",
            severity=severity,
            location=where,
            measured=measured,
            threshold={"missing": 0},
            fix=_MISSING,
        )


def _severity_of_missing(data: DataView, block: Block) -> Severity | None:
    """Return how bad a missing value is; None if the model takes missing values.

    A table that still has text in it must be prepared before any model can take it, so that
    an imputer may well be on its way: only a warning where no model is known.
    """
    tolerates = data.model.tolerates_missing if data.model is not None else None
    if tolerates:
        return None
    if tolerates is None and block.is_table:
        kinds = {column.kind for column in block.columns}
        return "error" if kinds <= {"numeric", "bool"} else "warning"
    return "error"
