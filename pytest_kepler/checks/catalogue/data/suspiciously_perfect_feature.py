"""K310 suspiciously-perfect-feature: one column that alone all but decides the target.

What it looks at
    For classes, the cross-validated balanced accuracy of a small decision tree on each column
    alone; for numbers, the rank correlation. On at most 5,000 rows and 200 columns, and only
    where the column is far ahead of the next one that is not its copy. Rows without a label are
    left out.
Why it matters
    Such a column often was written down after the outcome was known.
What it cannot see
    Whether the column is honest: some problems are easy. It is a question, never an error.
Source
    Kapoor and Narayanan (2023), https://doi.org/10.1016/j.patter.2023.100804, leakage L2
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import require_classification, task_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Block, DataView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K310"]
_MAX_ROWS = 5_000
_MAX_COLUMNS = 200
_MIN_ROWS = 100
_MAX_CLASSES = 8
_DEPTH = 3
_FOLDS = 5
_RELATED_R = 0.9
_FIX = "Ask whether the value of the column is known when the model is used."


def check(data: DataView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if one column alone predicts the target nearly perfectly."""
    data.require_aligned()
    data = data.labelled
    task = task_of(data)
    if task.kind not in {"classification", "regression"}:
        raise NotApplicable(f"the task is {task.kind}")
    block, target = data.block, data.target
    if block.is_sparse:
        raise NotApplicable("a sparse matrix is not read column by column")
    if target.n_rows < _MIN_ROWS:
        raise NotApplicable(f"there are fewer than {_MIN_ROWS} rows")
    if block.matrix.shape[1] < 2:  # noqa: PLR2004 - a lead needs a runner-up
        raise NotApplicable("there are no two numeric columns")
    if block.matrix.shape[1] > _MAX_COLUMNS:
        raise NotApplicable(f"there are more than {_MAX_COLUMNS} columns")
    X, rows = _sampled(block)
    if task.kind == "classification":
        require_classification(data)
        yield from _for_classes(block, X, target.codes[1][rows], limits, task.is_inferred)
    else:
        yield from _for_numbers(block, X, target.numbers.reshape(-1)[rows], limits)


def _sampled(block: Block) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return at most 5,000 rows with the middle in place of missing values, and which rows."""
    matrix = block.matrix
    rows = np.arange(block.n_rows) if block.rows is None else block.rows
    if len(rows) > _MAX_ROWS:
        picked = np.sort(np.random.default_rng(0).choice(len(rows), _MAX_ROWS, replace=False))
        matrix, rows = matrix[picked], rows[picked]
    numbers = matrix.astype(np.float64)
    return np.where(np.isfinite(numbers), numbers, block.stats.mean), rows


def _for_classes(
    block: Block, X: NDArray[Any], codes: NDArray[Any], limits: Limits, is_inferred: bool
) -> Iterator[Finding]:
    n_classes = int(codes.max()) + 1
    counts = np.bincount(codes, minlength=n_classes)
    if not 2 <= n_classes <= _MAX_CLASSES or counts[counts > 0].min() < _FOLDS:  # noqa: PLR2004
        raise NotApplicable(f"it needs 2 to {_MAX_CLASSES} classes of {_FOLDS} rows or more")
    # On the rows that it was grown on, a tree is at its best: enough to rule columns out.
    scores = np.array([_fitted_score(X[:, j], codes, n_classes) for j in range(X.shape[1])])
    best = int(np.argmax(scores))
    if scores[best] < limits["min-score"]:
        return
    held_out = _cross_validated(X[:, best], codes, n_classes)
    runner_up = _runner_up(X, scores, best)
    if held_out >= limits["min-score"] and held_out - runner_up >= limits["min-lead"]:
        name = block.called(block.numeric_labels[best])
        yield INFO.finding(
            f"Nearly perfectly, {name} alone tells the classes apart.",
            location=name,
            measured={"balanced accuracy": held_out, "runner-up": runner_up, "n": len(codes)},
            threshold={"min-score": limits["min-score"], "min-lead": limits["min-lead"]},
            fix=_FIX,
            basis=block.basis,
            is_inferred=is_inferred,
        )


def _runner_up(X: NDArray[Any], scores: NDArray[Any], best: int) -> float:
    """Return the best score of a column that is not a near copy of the best one."""
    centred = X - X.mean(axis=0)
    norms = np.sqrt(np.square(centred).sum(axis=0))
    products = centred.T @ centred[:, best]
    scale = norms * norms[best]
    r = np.divide(products, scale, out=np.zeros_like(scale), where=scale > 0)
    others = np.abs(r) < _RELATED_R
    return float(scores[others].max()) if others.any() else 0.0


def _for_numbers(
    block: Block, X: NDArray[Any], y: NDArray[Any], limits: Limits
) -> Iterator[Finding]:
    if not np.isfinite(y).all():
        raise NotApplicable("the target has missing values")
    ranks = _ranks(y)
    for j in range(X.shape[1]):
        if block.stats.sd[j] == 0:
            continue
        r = abs(float(np.corrcoef(_ranks(X[:, j]), ranks)[0, 1]))
        if r >= limits["min-rank-r"]:
            name = block.called(block.numeric_labels[j])
            yield INFO.finding(
                f"Nearly perfectly, {name} alone puts the rows in the order of the target.",
                location=name,
                measured={"rank correlation": r, "n": len(y)},
                threshold={"min-rank-r": limits["min-rank-r"]},
                fix=_FIX,
                basis=block.basis,
            )


def _ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse.reshape(-1)]


# --- A small decision tree on one column --------------------------------------------------


def _fitted_score(x: NDArray[Any], codes: NDArray[Any], n_classes: int) -> float:
    order = np.argsort(x, kind="stable")
    sorted_x, sorted_codes = x[order], codes[order]
    cuts, labels = _grow(sorted_x, sorted_codes, n_classes)
    return _balanced_accuracy(_answer(sorted_x, cuts, labels), sorted_codes, n_classes)


def _cross_validated(x: NDArray[Any], codes: NDArray[Any], n_classes: int) -> float:
    """Return the balanced accuracy over five stratified folds."""
    answers = np.empty_like(codes)
    # Rows of each class are dealt out in turn, after a shuffle: the folds are stratified.
    shuffled = np.random.default_rng(0).permutation(len(codes))
    by_class = shuffled[np.argsort(codes[shuffled], kind="stable")]
    folds = np.empty(len(codes), dtype=np.int64)
    folds[by_class] = np.arange(len(codes)) % _FOLDS
    for fold in range(_FOLDS):
        inside, outside = folds != fold, folds == fold
        order = np.argsort(x[inside], kind="stable")
        cuts, labels = _grow(x[inside][order], codes[inside][order], n_classes)
        answers[outside] = _answer(x[outside], cuts, labels)
    return _balanced_accuracy(answers, codes, n_classes)


def _grow(
    x: NDArray[Any], codes: NDArray[Any], n_classes: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the thresholds and the class between them of a tree of depth 3, from sorted rows."""
    one_hot = np.eye(n_classes)[codes]
    weights = 1.0 / np.maximum(one_hot.sum(axis=0), 1.0)
    seen = np.vstack([np.zeros(n_classes), np.cumsum(one_hot * weights, axis=0)])
    parts = [(0, len(x))]
    for _ in range(_DEPTH):
        parts = [smaller for part in parts for smaller in _cut(x, seen, *part)]
    edges = [stop for _, stop in parts[:-1]]
    cuts = np.array([(x[stop - 1] + x[stop]) / 2 for stop in edges], dtype=np.float64)
    labels = np.array([int(np.argmax(seen[stop] - seen[start])) for start, stop in parts])
    return cuts, labels


def _cut(x: NDArray[Any], seen: NDArray[Any], start: int, stop: int) -> list[tuple[int, int]]:
    """Return the part cut in two where the classes come apart best, or as it is."""
    places = start + 1 + np.flatnonzero(x[start + 1 : stop] != x[start : stop - 1])
    if not len(places):
        return [(start, stop)]
    left, right = seen[places] - seen[start], seen[stop] - seen[places]
    # Σ pₖ² n on both sides: the larger, the purer (Gini).
    purity = np.square(left).sum(axis=1) / np.maximum(left.sum(axis=1), 1e-12)
    purity += np.square(right).sum(axis=1) / np.maximum(right.sum(axis=1), 1e-12)
    place = int(places[np.argmax(purity)])
    return [(start, place), (place, stop)]


def _answer(x: NDArray[Any], cuts: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.int64]:
    return np.asarray(labels[np.searchsorted(cuts, x, side="left")])


def _balanced_accuracy(answers: NDArray[Any], codes: NDArray[Any], n_classes: int) -> float:
    recalls = [np.mean(answers[codes == k] == k) for k in range(n_classes) if (codes == k).any()]
    return float(np.mean(recalls))
