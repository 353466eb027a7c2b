"""K112 split-distinguishable: a model that can tell test rows from training rows.

What it looks at
    How well a forest of 50 trees tells which side a row is from, on folds that it was not trained
    on and at most 1,000 rows a side: the area under its ROC curve, which is 0.5 where the sides
    are alike. 0.1 and four standard errors are granted. Asked only where no single column and no
    shared row tells of the split already, and where scikit-learn is imported.
Why it matters
    Rows that can be told from those of training are of another kind: a score on them says little
    about either.
What it cannot see
    Why the sides differ. Columns of text, and rows in time order, which differ by nature.
Source
    https://arxiv.org/abs/1610.06545
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import is_unnamed_and_wide, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Block, SplitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K112"]
_MIN_ROWS: Final = 30
_MOST_ROWS: Final = 1_000
_MOST_COLUMNS: Final = 200
_TREES: Final = 50
_LEAF: Final = 5
_FOLDS: Final = 3
_SHOWN: Final = 3


def check(split: SplitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if the sides can be told apart."""
    if "sklearn" not in sys.modules:
        raise NotApplicable("scikit-learn is not imported")
    split.require_rows()
    if split.train.ordered or split.test.ordered:
        raise NotApplicable("the rows are ordered")
    train, test = split.train.block, split.test.block
    if train.is_sparse or test.is_sparse or train.numeric_labels != test.numeric_labels:
        raise NotApplicable("the sides have no dense columns of numbers in common")
    ours, theirs = _numbers(train), _numbers(test)
    if min(len(ours), len(theirs)) < _MIN_ROWS or not ours.shape[1]:
        raise NotApplicable(f"a side has fewer than {_MIN_ROWS} rows, or no numbers")
    if ours.shape[1] > _MOST_COLUMNS or is_unnamed_and_wide(train):
        raise NotApplicable("a plain array with many columns, such as pixels")
    area, weights = _told_apart(ours, theirs)
    n, m = len(ours), len(theirs)
    # The spread of the area where the sides are alike: that of the Mann-Whitney statistic.
    error = float(np.sqrt((n + m + 1) / (12 * n * m)))
    limit = 0.5 + max(limits["min-gain"], limits["errors"] * error)
    if area > limit:
        names = [train.numeric_labels[k] for k in np.argsort(-weights, kind="stable")[:_SHOWN]]
        yield INFO.finding(
            f"A forest tells test rows from training rows with an area under the curve of "
            f"{area:.3g}.",
            location=f"column {listed(names)}",
            measured={"area": area, "n": n + m},
            threshold={"area": limit},
            fix="Shuffle before the split, or leave out the columns that encode it.",
            basis="baseline",
        )


def _numbers(block: Block) -> NDArray[np.float64]:
    rows = block.matrix
    if len(rows) > _MOST_ROWS:
        chosen = np.random.default_rng(0).choice(len(rows), _MOST_ROWS, replace=False)
        rows = rows[np.sort(chosen)]
    values = rows.astype(np.float64)
    # A forest wants 32 bits; what is missing or endless is a value like any other here.
    return np.nan_to_num(np.clip(values, -1e30, 1e30), nan=-1e30)


def _told_apart(
    ours: NDArray[np.float64], theirs: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Return the area under the curve out of fold, and how much each column had to do with it."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    rows = np.concatenate([ours, theirs])
    side = np.repeat([0, 1], [len(ours), len(theirs)])
    scores, weights = np.zeros(len(rows)), np.zeros(rows.shape[1])
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    for learned, asked in folds.split(rows, side):
        forest = RandomForestClassifier(_TREES, min_samples_leaf=_LEAF, random_state=0)
        forest.fit(rows[learned], side[learned])
        scores[asked] = forest.predict_proba(rows[asked])[:, 1]
        weights += forest.feature_importances_
    return float(roc_auc_score(side, scores)), weights
