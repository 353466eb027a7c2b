"""K117 columns-differ-across-split: the two splits are not the same table.

What it looks at
    Names, order and kinds (numbers, text, dates) of the columns of both tables.
Why it matters
    Models read columns by position: another order or a missing dummy column changes what
    every number means.
What it cannot see
    Columns of plain arrays, which have no names.
Source
    https://scikit-learn.org/stable/common_pitfalls.html#inconsistent-preprocessing
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import Block, Column, SplitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K117"]
_FIX = "Bring the test split to the columns of train: X_test = X_test[X_train.columns]."


def check(split: SplitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each way in which the columns differ."""
    del limits
    split.require_rows()
    pairs = list(zip(split.train.blocks, split.test.blocks, strict=False))
    tables = [(train, test) for train, test in pairs if train.is_table and test.is_table]
    if not tables:
        widths = {(_width(train), _width(test)) for train, test in pairs}
        for ours, theirs in widths:
            if ours != theirs:
                yield _finding(
                    f"The test split has {theirs:,} columns, train has {ours:,}.",
                    "X of both splits",
                )
                return
        raise NotApplicable("the splits are not tables")
    for train, test in tables:
        yield from _compare(train, test)


def _width(block: Block) -> int:
    if block.is_table:
        return len(block.columns)
    shape = block.source.shape
    return int(shape[1]) if len(shape) > 1 else 1


def _compare(train: Block, test: Block) -> Iterator[Finding]:
    ours, theirs = train.names or (), test.names or ()
    missing = [name for name in ours if name not in theirs]
    extra = [name for name in theirs if name not in ours]
    if missing:
        yield _finding(
            f"The test split lacks {len(missing):,} of {len(ours):,} columns.", listed(missing)
        )
    if extra:
        yield _finding(f"The test split has {len(extra):,} columns more.", listed(extra))
    if missing or extra:
        return
    if ours != theirs:
        first = next(name for name, other in zip(ours, theirs, strict=True) if name != other)
        yield _finding("The columns of the two splits stand in different orders.", repr(first))
        return
    for column, other in zip(train.columns, test.columns, strict=True):
        if not _are_alike(column, other):
            yield _finding(
                f"Column {column.name!r} holds {_word(column)} in train, {_word(other)} in test.",
                f"column {column.name!r}",
            )


def _are_alike(column: Column, other: Column) -> bool:
    kinds = {column.kind, other.kind}
    # A column without any value has no kind; yes-or-no is read as a number where some miss.
    empty = column.missing.all() or other.missing.all()
    return bool(empty) or len(kinds) == 1 or kinds == {"bool", "numeric"}


def _word(column: Column) -> str:
    words = {"numeric": "numbers", "bool": "yes or no", "text": "text", "date": "dates"}
    return words.get(column.kind, "mixed values")


def _finding(message: str, location: str) -> Finding:
    return INFO.finding(
        message,
        location=location,
        threshold={"columns": "equal"},
        fix=_FIX,
        basis="static",
    )
