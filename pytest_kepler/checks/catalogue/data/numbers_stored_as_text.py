"""K314 numbers-stored-as-text: a column of texts that are numbers, but for a few.

What it looks at
    Columns of text with more than 20 distinct values, nearly all of which read as numbers.
    Codes of fixed width or with leading zeros, such as postal codes, are left alone.
Why it matters
    One stray word in a file turns a whole column into text: it is one-hot encoded into
    thousands of columns, or dropped.
What it cannot see
    Numbers with units or thousands separators.
Source
    https://pandas.pydata.org/docs/user_guide/io.html#na-values
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import Column, DataView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K314"]
_NUMBER: Final = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
_CODE: Final = re.compile(r"\d+")
_MIN_WIDTH = 3
_MANY = 20
_PROBE = 100


def check(data: DataView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each column of numbers that is read as text."""
    data.require_rows()
    if not any(block.is_table for block in data.blocks):
        raise NotApplicable("X is no table")
    for block in data.blocks:
        for column in block.columns if block.is_table else ():
            share, others = _reading(column)
            if share < limits["min-number-share"]:
                continue
            yield INFO.finding(
                f"Column {column.name!r} holds numbers as text"
                + (f", but for {listed([repr(one) for one in others], 3)}." if others else "."),
                location=f"column {column.name!r}",
                measured={"share": share, "n": block.n_rows},
                threshold={"min-number-share": limits["min-number-share"]},
                fix="Read the column as numbers, and what is none as missing.",
            )


def _reading(column: Column) -> tuple[float, list[str]]:
    """Return the share of rows whose text reads as a number, and the texts that do not."""
    if column.kind != "text":
        return 0.0, []
    levels = column.levels
    probe = [str(value) for value in levels.values[:_PROBE]]
    if sum(bool(_NUMBER.fullmatch(text)) for text in probe) < 0.5 * len(probe):
        return 0.0, []
    texts = [str(value) for value in levels.values]
    are_numbers = np.array([bool(_NUMBER.fullmatch(text)) for text in texts], dtype=bool)
    numbers = [text for text, is_number in zip(texts, are_numbers, strict=True) if is_number]
    if len(numbers) <= _MANY or _are_codes(numbers):
        return 0.0, []
    share = float(levels.counts[are_numbers].sum() / max(levels.counts.sum(), 1))
    return share, [
        text for text, is_number in zip(texts, are_numbers, strict=True) if not is_number
    ]


def _are_codes(texts: list[str]) -> bool:
    if any(len(text) > 1 and text.startswith("0") and text.isdigit() for text in texts):
        return True
    widths = {len(text) for text in texts}
    is_fixed = len(widths) == 1 and min(widths) >= _MIN_WIDTH
    return is_fixed and all(_CODE.fullmatch(text) for text in texts)
