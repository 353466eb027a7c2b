"""K309 target-among-features: a column that is the target under another name.

What it looks at
    For classes, columns with exactly as many values as there are classes that map one to one
    onto them; for numbers, columns of which the target is an affine function. Rows without a
    label are left out.
Why it matters
    The model reads the answer, and is useless where the answer is not known.
What it cannot see
    A copy with noise on it (see K310), and the target spread over several columns.
Source
    Kapoor and Narayanan (2023), https://doi.org/10.1016/j.patter.2023.100804, leakage L2
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import task_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Block, DataView, Target
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K309"]
_UNEXPLAINED = 1e-9
_MIN_NUMBERS = 20
_FIX = "Drop the column, or ask whether its value is known when the model is used."


def check(data: DataView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each column that is the target."""
    data.require_aligned()
    data = data.labelled
    task = task_of(data)
    target, block = data.target, data.block
    if task.kind in {"reconstruction", "multilabel"} or target.values.ndim > 1:
        flat = target.values.ndim == 1 or target.values.shape[-1] == 1
        if task.kind in {"reconstruction", "multilabel"} or not flat:
            raise NotApplicable(f"the task is {task.kind}")
    if block.is_sparse:
        raise NotApplicable("a sparse matrix is not read column by column")
    if target.n_rows < limits["min-rows"]:
        raise NotApplicable(f"there are fewer than {limits['min-rows']:g} rows")
    if task.kind == "classification":
        yield from _renamed_classes(block, target, is_inferred=task.is_inferred)
    else:
        yield from _affine_copies(block, target, is_inferred=task.is_inferred)


def _renamed_classes(block: Block, target: Target, *, is_inferred: bool) -> Iterator[Finding]:
    levels, codes = target.codes
    if len(levels) < 2:  # noqa: PLR2004 - one class maps onto any constant
        return
    firsts = np.array([np.argmax(codes == k) for k in range(len(levels))])
    for column in _candidates(block, firsts):
        if column.kind == "other":
            continue
        values = column.values
        of_class = values[firsts]
        try:
            if len(set(of_class.tolist())) != len(levels):
                continue
            matches = values == of_class[codes]
        except TypeError:  # lists in the cells, or missing values of a library's own
            continue
        if not np.all(matches):
            continue
        mapping = ", ".join(
            f"{value}→{level}" for value, level in zip(of_class[:5], levels[:5], strict=True)
        )
        yield INFO.finding(
            f"The class of every row can be read from {block.called(column.name)}.",
            location=block.called(column.name),
            measured={"rows that agree": 1.0, "mapping": mapping, "n": target.n_rows},
            threshold={"rows that agree": 1.0},
            fix=_FIX,
            is_inferred=is_inferred,
        )


def _candidates(block: Block, firsts: NDArray[np.int64]) -> Iterator[Any]:
    """Yield the columns whose values at the first row of each class are all different."""
    if block.is_table or block.source.dtype.kind not in "biuf":
        yield from block.columns
        return
    flat = block.source.reshape(block.n_rows, -1)
    heads = np.sort(flat[firsts], axis=0)
    differ = (np.diff(heads, axis=0) != 0).all(axis=0)
    columns = block.columns
    for j in np.flatnonzero(differ).tolist():
        yield columns[j]


def _affine_copies(block: Block, target: Target, *, is_inferred: bool) -> Iterator[Finding]:
    matrix = block.matrix
    if matrix.shape[1] < 2:  # noqa: PLR2004 - y = 2x - 1 is a lesson, not a leak
        raise NotApplicable("there is only one feature")
    numbers = target.numbers.reshape(-1)
    y = numbers if block.rows is None else numbers[block.rows]
    if not np.isfinite(y).all() or len(np.unique(y[:5000])) < _MIN_NUMBERS:
        raise NotApplicable(f"the target has fewer than {_MIN_NUMBERS} values, or some missing")
    unexplained = _unexplained(matrix, y, block.stats.mean, block.stats.sd)
    complete = block.stats.n_finite == len(matrix)
    for j in np.flatnonzero((unexplained <= _UNEXPLAINED) & complete).tolist():
        name = block.numeric_labels[j]
        yield INFO.finding(
            f"The target is an affine function of {block.called(name)}.",
            location=block.called(name),
            measured={"unexplained variance": max(0.0, float(unexplained[j])), "n": len(y)},
            threshold={"unexplained variance": _UNEXPLAINED},
            fix=_FIX,
            basis=block.basis,
            is_inferred=is_inferred,
        )


def _unexplained(
    matrix: NDArray[Any], y: NDArray[np.float64], mean: NDArray[Any], sd: NDArray[Any]
) -> NDArray[np.float64]:
    """Return 1 - R² of the target on each column alone; 1 for a constant column."""
    centred = (y - y.mean()) / max(float(y.std()), 1e-300)
    dots = np.zeros(matrix.shape[1])
    step = max(1, 1_000_000 // max(1, matrix.shape[1]))
    safe = np.where(sd > 0, sd, 1.0)
    for start in range(0, len(matrix), step):
        part = (matrix[start : start + step] - mean) / safe
        with np.errstate(invalid="ignore"):
            dots += centred[start : start + step] @ np.where(np.isfinite(part), part, 0.0)
    r = dots / len(y)
    return np.where(sd > 0, 1 - np.square(r), 1.0)
