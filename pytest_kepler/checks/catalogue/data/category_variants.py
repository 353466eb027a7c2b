"""K325 category-variants: one category under several spellings.

What it looks at
    Categories of text columns that are equal but for spaces around them, or for capitals if
    they have three letters or more.
Why it matters
    ``"Male"`` and ``"male "`` become two columns, each with part of the rows.
What it cannot see
    Typing mistakes and synonyms.
Source
    https://docs.deepchecks.com/stable/tabular/auto_checks/data_integrity/plot_string_mismatch.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import Column, DataView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K325"]
_MANY_LEVELS = 1_000
_FREE_TEXT_SHARE = 0.5
_MIN_LETTERS = 3


def check(data: DataView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each column with several spellings of a category."""
    del limits
    data.require_rows()
    if not any(block.is_table for block in data.blocks):
        raise NotApplicable("X is no table")
    for block in data.blocks:
        for column in block.columns if block.is_table else ():
            variants = _variants(column)
            if variants:
                shown = [" and ".join(map(repr, sorted(group))) for group in variants]
                yield INFO.finding(
                    f"Column {column.name!r} has {_categories(len(variants))} under several "
                    f"spellings: {listed(shown, 3)}.",
                    location=f"column {column.name!r}",
                    measured={"categories": len(variants), "n": block.n_rows},
                    threshold={"categories": 0},
                    fix="Bring the spellings together: .str.strip().str.lower().",
                )


def _variants(column: Column) -> list[set[str]]:
    if column.kind != "text":
        return []
    levels = column.levels.values
    if len(levels) > min(_MANY_LEVELS, max(2, _FREE_TEXT_SHARE * len(column.values))):
        return []
    texts = [value for value in levels if isinstance(value, str)]
    groups: dict[str, set[str]] = {}
    for text in texts:
        key = text.strip()
        # Short codes may differ by capitals alone: Co is not CO.
        groups.setdefault(key.casefold() if len(key) >= _MIN_LETTERS else key, set()).add(text)
    return [group for group in groups.values() if len(group) > 1]


def _categories(count: int) -> str:
    return "a category" if count == 1 else f"{count:,} categories"
