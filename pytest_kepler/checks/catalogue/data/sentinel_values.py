"""K313 sentinel-values: numbers such as -999, and words such as "NA", that stand for missing.

What it looks at
    Numeric columns in which one of -1, -9, -99, -999, -9999, 9999, 99999 and ±1e30 is not
    rare and lies far outside all other values; texts with two or more spellings of nothing.
Why it matters
    A model takes them for amounts: means, scales and slopes follow them.
What it cannot see
    Other codes, and codes inside the range of the values.
Source
    https://pandas.pydata.org/docs/user_guide/missing_data.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import is_homogeneous, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Block, Column, DataView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K313"]
_SENTINELS: Final = np.array([-1.0, -9.0, -99.0, -999.0, -9999.0, 9999.0, 99999.0, -1e30, 1e30])
_NOTHING: Final = {"", "?", "-", "--", "na", "n/a", "#n/a", "nan", "null", "nil", "none", "missing"}
_MANY = 10_000
_MIN_VALUES = 5
_MIN_ROWS = 30
_FIX = "Turn the value into a missing one when the data is read, and impute it."


def check(data: DataView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each column with a stand-in for missing values."""
    data.require_rows()
    for block in data.blocks:
        if block.is_sparse or block.n_rows < _MIN_ROWS:
            continue
        if block.is_table:
            yield from _in_texts(block)
        if not is_homogeneous(block):
            yield from _in_numbers(block, limits)


def _in_texts(block: Block) -> Iterator[Finding]:
    for column in block.columns:
        if column.kind != "text":
            continue
        spellings = _spellings(column)
        if len(spellings) > 1:
            yield INFO.finding(
                f"Column {column.name!r} spells nothing in {len(spellings)} ways: "
                f"{listed([repr(one) for one in spellings])}.",
                location=f"column {column.name!r}",
                measured={"spellings": len(spellings), "n": block.n_rows},
                threshold={"spellings": 1},
                fix=_FIX,
            )


def _spellings(column: Column) -> list[str]:
    levels = column.levels
    # In columns with many values, one that stands for nothing comes more than once.
    least = 2 if len(levels.values) > _MANY else 1
    texts = [levels.values[k] for k in np.flatnonzero(levels.counts >= least).tolist()]
    are_texts = (text for text in texts if isinstance(text, str))
    return sorted(text for text in are_texts if text.strip().lower() in _NOTHING)


def _in_numbers(block: Block, limits: Limits) -> Iterator[Finding]:
    stats = block.stats
    # A stand-in is the lowest or the highest value, or lies beyond another stand-in.
    ends = np.isin(stats.low, _SENTINELS) | np.isin(stats.high, _SENTINELS)
    for j in np.flatnonzero(ends & (block.distinct > _MIN_VALUES)).tolist():
        values = block.matrix[:, j].astype(np.float64)
        found = _stand_in(values[np.isfinite(values)], limits)
        if found is None:
            continue
        value, share, distance = found
        name = block.called(block.numeric_labels[j])
        yield INFO.finding(
            f"The value {value:g} in {name} lies far from all others: it may stand for missing.",
            location=name,
            measured={"share": share, "iqr": distance, "n": len(values)},
            threshold={
                name: limits[name] for name in ("min-sentinel-share", "max-sentinel-share", "iqr")
            },
            fix=_FIX,
            basis=block.basis,
        )


def _stand_in(values: NDArray[Any], limits: Limits) -> tuple[float, float, float] | None:
    """Return (the value, its share, its distance from the others in their spreads)."""
    others = values[~np.isin(values, _SENTINELS)]
    if len(others) < _MIN_ROWS or len(np.unique(others[:5_000])) < _MIN_VALUES:
        return None
    low, high = float(others.min()), float(others.max())
    quarter, three_quarters = np.percentile(others, [25, 75])
    spread = float(three_quarters - quarter) or float(others.std())
    for value in _SENTINELS.tolist():
        share = float(np.mean(values == value))
        distance = max(low - value, value - high) / spread
        if (
            limits["min-sentinel-share"] <= share <= limits["max-sentinel-share"]
            and distance > limits["iqr"]
        ):
            return value, share, distance
    return None
