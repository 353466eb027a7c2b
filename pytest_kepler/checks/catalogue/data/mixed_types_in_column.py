"""K324 mixed-types-in-column: a column of one kind with a few values of another.

What it looks at
    Columns of Python objects: how many values are text, numbers, or something else.
Why it matters
    ``1`` and ``"1"`` are two categories, and a stray word makes numbers unreadable.
What it cannot see
    Files: a reader makes such a column text as a whole (see K314).
Source
    https://docs.deepchecks.com/stable/tabular/auto_checks/data_integrity/plot_mixed_data_types.html
"""

from __future__ import annotations

import numbers
import sys
from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import Column, DataView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K324"]
_MIN_ROWS = 20


def check(data: DataView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each column with a few values of another kind."""
    data.require_rows()
    tables = [block for block in data.blocks if block.is_table and block.n_rows >= _MIN_ROWS]
    if not tables:
        raise NotApplicable(f"X is no table of {_MIN_ROWS} rows or more")
    for block in tables:
        for column in block.columns:
            if column.values.dtype.kind != "O" or column.kind == "date" or _is_pure(column):
                continue
            counts, samples = _kinds(column)
            if len(counts) != 2:  # noqa: PLR2004 - one kind is right, three are a design
                continue
            rare = min(counts, key=lambda kind: counts[kind])
            share = counts[rare] / sum(counts.values())
            if share > limits["max-rare-share"]:
                continue
            usual = max(counts, key=lambda kind: counts[kind])
            yield INFO.finding(
                f"Column {column.name!r} holds {usual}, but {counts[rare]:,} of its values "
                f"{'is' if counts[rare] == 1 else 'are'} {rare}: "
                f"{listed([repr(one) for one in samples[rare]])}.",
                location=f"column {column.name!r}",
                measured={"share": share, "n": block.n_rows},
                threshold={"max-rare-share": limits["max-rare-share"]},
                fix="Bring the column to one type, and what does not fit to missing.",
            )


def _is_pure(column: Column) -> bool:
    """Tell quickly, where pandas is there to do it, whether all values are texts."""
    types = getattr(sys.modules.get("pandas"), "api", None)
    return types is not None and types.types.infer_dtype(column.values, skipna=True) == "string"


def _kinds(column: Column) -> tuple[dict[str, int], dict[str, list[object]]]:
    counts: dict[str, int] = {}
    samples: dict[str, list[object]] = {}
    levels = column.levels
    for value, count in zip(levels.values, np.asarray(levels.counts).tolist(), strict=True):
        kind = _kind(value)
        counts[kind] = counts.get(kind, 0) + count
        samples.setdefault(kind, []).append(value)
    return counts, samples


def _kind(value: object) -> str:
    if isinstance(value, str | bytes):
        return "text"
    return "numbers" if isinstance(value, numbers.Number | np.number) else "other objects"
