"""K307 id-like-column: a feature that numbers or names the rows.

What it looks at
    Columns of whole numbers and of text in tables, if (nearly) every row has its own value:
    numbers that count or have a name such as ``id``, and texts that are codes.
Why it matters
    A model can learn rows by heart from it, and nothing that holds for new rows; sorted
    data gives the label away.
What it cannot see
    Ids in plain arrays, and ids of groups of rows.
Source
    https://docs.deepchecks.com/stable/tabular/auto_checks/data_integrity/plot_identifier_label_correlation.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import Column, DataView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K307"]
_MIN_ROWS = 100
_MIN_TOKEN = 8
_PROBE = 200
_FILLED = 0.3
_NAMED: Final = re.compile(r"(.*[_ .\-])?(id|ids|uuid|guid|index|idx|key|rowid|unnamed: ?\d+)")
_CAMEL: Final = re.compile(r".*[a-z](ID|Id|UUID|Key|Index)")
_TIME: Final = re.compile(r".*(time|date|year|month|week|day|hour|epoch|second|step|stamp).*|t")


def check(data: DataView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each column that tells the rows apart and says no more."""
    block = data.block
    if not block.is_table or block.names is None:
        raise NotApplicable("X is no table with names")
    if block.n_rows < _MIN_ROWS:
        raise NotApplicable(f"there are fewer than {_MIN_ROWS} rows")
    if data.model is not None and data.model.column_steps and _chooses_columns(data):
        raise NotApplicable("the model chooses its columns")
    if len(block.columns) == 1:
        raise NotApplicable("there is one feature")
    for column in block.columns:
        why = _reason(column, limits["unique-share"])
        if why:
            yield INFO.finding(
                f"Column {column.name!r} names the rows: {why}.",
                location=f"column {column.name!r}",
                measured={"unique-share": _unique_share(column), "n": block.n_rows},
                threshold={"unique-share": limits["unique-share"]},
                fix="Drop it from the features; keep it as the index, or to split by.",
            )


def _chooses_columns(data: DataView) -> bool:
    steps = data.model.column_steps if data.model is not None else ()
    return any(step.columns is not None for step in steps)


def _reason(column: Column, limit: float) -> str:
    """Return why a column is an id; empty if it is none."""
    if column.kind == "text":
        if _are_codes(column) and _unique_share(column) >= limit:
            return f"nearly every row has a code of its own, such as {column.levels.values[0]!r}"
        return ""
    if column.kind != "numeric" or not _is_integral(column) or _unique_share(column) < limit:
        return ""
    name = column.name
    is_named = bool(_NAMED.fullmatch(name.lower()) or _CAMEL.fullmatch(name))
    if is_named:
        return "nearly every row has a whole number of its own"
    # A count of days or steps is a trend, not a number.
    is_trend = _TIME.fullmatch(name.lower()) is not None
    return "its whole numbers count them" if _counts(column) and not is_trend else ""


def _are_codes(column: Column) -> bool:
    """Tell whether the texts are single words with a digit in them, not names or sentences."""
    probe = [str(value) for value in column.values[:_PROBE].tolist() if value is not None]
    return bool(probe) and all(
        len(text) >= _MIN_TOKEN and not re.search(r"\s", text) and re.search(r"\d", text)
        for text in probe
    )


def _is_integral(column: Column) -> bool:
    values = column.values
    if values.dtype.kind in "iu":
        return True
    probe = values[:_PROBE]
    return bool(np.isfinite(probe).all() and (probe == np.floor(probe)).all())


def _unique_share(column: Column) -> float:
    values = column.values
    if column.kind == "text":
        return len(column.levels.values) / len(values)
    # A column that repeats much in its first rows repeats much in all of them.
    head = values[:10_000]
    if len(np.unique(head)) < 0.9 * len(head):
        return len(np.unique(head)) / len(head)
    return len(np.unique(values)) / len(values)


def _counts(column: Column) -> bool:
    """Tell whether the values fill a range in equal steps, but for rows that were left out."""
    steps = np.diff(np.unique(column.values.astype(np.int64)))
    if not len(steps):
        return False
    # Measurements that are all different leave most of their range empty.
    n_places = steps.sum() // np.gcd.reduce(steps) + 1
    return bool((len(steps) + 1) / n_places >= _FILLED)
