"""K115 rows-misaligned: features and target that do not belong together row by row.

What it looks at
    The number of rows of everything that must have a value a row, and the index labels of
    pandas objects: of data, of either side of a split, and of what is evaluated.
Why it matters
    scikit-learn and Keras pair rows by position and ignore the index: a target in another
    order trains on wrong labels without a word.
What it cannot see
    Plain arrays in a wrong order.
Source
    https://pandas.pydata.org/docs/user_guide/indexing.html
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import SHOWN, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import DataView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K115"]


def check(data: DataView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if lengths differ, or if the index labels do."""
    del limits
    if data.unreadable:
        raise NotApplicable(data.unreadable)
    if len(data.lengths) < 2:  # noqa: PLR2004 - one thing cannot be out of step
        raise NotApplicable("there is nothing to compare the rows with")
    if len(set(data.lengths.values())) > 1:
        names = ", ".join(f"{name} has {n:,}" for name, n in data.lengths.items())
        yield INFO.finding(
            f"The numbers of rows differ: {names}.",
            location=" and ".join(data.lengths),
            measured={f"rows of {name}": n for name, n in data.lengths.items()},
            threshold={"rows": "equal"},
            fix="Select the same rows of each, in the same order.",
            basis="static",
        )
        return
    for block in data.blocks:
        for target in data.targets:
            yield from _compare(block.name, block.index, target.name, target.index)


def _compare(name: str, index: Any, other: str, other_index: Any) -> Iterator[Finding]:
    if index is None or other_index is None or index.equals(other_index):
        return
    both = f"{name} and {other}"
    if not (index.is_unique and other_index.is_unique):
        yield INFO.finding(
            f"The index labels of {both} differ, and some occur more than once.",
            severity="note",
            location=f"index of {both}",
            fix="Reset the index of both after selecting the rows.",
            basis="static",
        )
        return
    shared = index.intersection(other_index)
    if len(shared) == len(index):
        positions = np.flatnonzero(np.asarray(index) != np.asarray(other_index))
        labels = [str(index[i]) for i in positions[:SHOWN]]
        yield INFO.finding(
            f"{both} have the same index labels in different orders, at {len(positions):,} of "
            f"{len(index):,} rows.",
            location=f"index of {both}, labels {listed(labels)}",
            measured={"rows out of order": len(positions)},
            threshold={"rows out of order": 0},
            fix=f"Put the target in the features' order: {other} = {other}.loc[{name}.index].",
            basis="static",
        )
        return
    pandas = sys.modules["pandas"]
    # One side that was numbered anew cannot be compared with the other by label.
    if isinstance(index, pandas.RangeIndex) or isinstance(other_index, pandas.RangeIndex):
        return
    labels = [str(label) for label in index.difference(other_index, sort=False)[:SHOWN]]
    yield INFO.finding(
        f"{len(index) - len(shared):,} of {len(index):,} index labels of {name} do not occur in "
        f"{other}.",
        location=f"index of {both}, labels {listed(labels)}",
        measured={"labels missing": len(index) - len(shared)},
        threshold={"labels missing": 0},
        fix=f"Select the same rows of both: {other} = {other}.loc[{name}.index].",
        basis="static",
    )
