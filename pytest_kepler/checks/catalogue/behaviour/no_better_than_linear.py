"""K703 no-better-than-linear: a network or ensemble that a linear model beats.

What it looks at
    The score for held-out rows, accuracy or explained variance, of networks, forests and boosted
    trees, and that of a logistic or ridge regression on up to 5,000 of the rows given as
    ``X_train=`` and ``y_train=``: scaled, with missing values filled and categories one-hot
    encoded. The linear model must be better row by row by more than three standard errors and by
    more than 0.05, and not only in what it minimises itself: also in the mean of the classes'
    accuracies, or in the mean absolute error.
Why it matters
    What the larger model adds is then noise: it is under-trained, badly tuned, or not needed.
What it cannot see
    Images, sequences and texts, for which a linear model says little; more than 50 classes; fewer
    than 50 held-out rows.
Source
    https://scikit-learn.org/stable/modules/linear_model.html
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks import scores
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.estimators import is_ensemble_or_network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import (
        Array,
        BehaviourView,
        Block,
        Column,
        DataView,
        Floats,
        ModelView,
        Target,
    )
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K703"]
_MIN_ROWS: Final = 50
_MAX_ROWS: Final = 5_000
_MAX_CELLS: Final = 2_000_000
_MAX_COLUMNS: Final = 2_000
_MAX_CLASSES: Final = 50
_MAX_LEVELS: Final = 50
_MAX_ITERATIONS: Final = 200
_MATRIX_RANK: Final = 2
#: Layers that read their input as a sequence or an image.
_OF_SEQUENCES: Final = {"conv", "grouped conv", "recurrent", "embedding", "attention"}
_SHAPELESS: Final = {"dense", "activation"}


@dataclass(frozen=True)
class _Compared:
    """The scores of both models, how much better the linear one is, and the standard error."""

    name: str
    ours: float
    linear: float
    lead: float
    error: float
    #: Whether the linear model is better by the other measure too.
    is_confirmed: bool


def check(behaviour: BehaviourView, limits: Limits) -> Iterator[Finding]:
    """Yield a warning if a linear model is better."""
    train = scores.require_trained_on(behaviour)
    _require_worth_comparing(behaviour.model)
    if importlib.util.find_spec("sklearn") is None:
        raise NotApplicable("scikit-learn is not installed")
    data = behaviour.data
    if data.target.n_rows < _MIN_ROWS:
        raise NotApplicable(f"there are fewer than {_MIN_ROWS} held-out rows")
    is_choice = scores.is_choice(data)
    features = _features(train.block, data.block)
    compared = (_of_classes if is_choice else _of_numbers)(behaviour, train, *features)
    granted = max(limits["min-lead"], limits["lead-errors"] * compared.error)
    if compared.lead > granted and compared.is_confirmed:
        model = "logistic" if is_choice else "ridge"
        yield INFO.finding(
            f"The {compared.name} is {compared.ours:.3g}; a {model} regression reaches "
            f"{compared.linear:.3g}.",
            location="predictions",
            measured={
                compared.name: compared.ours,
                "linear": compared.linear,
                "standard error": compared.error,
                "n": data.target.n_rows,
                "n train": len(features[0]),
            },
            threshold={"lead": granted},
            fix="Scale the inputs, train for longer or tune the model; or take the linear one.",
            basis="baseline",
        )


def _require_worth_comparing(model: ModelView) -> None:
    if not is_ensemble_or_network(model):
        raise NotApplicable("the model is no network and no ensemble of trees")
    if not model.is_network:
        return
    try:
        layers = model.layers
    except NotApplicable:  # a class of the user's own: nobody knows what it does
        return
    if any(layer.kind in _OF_SEQUENCES for layer in layers):
        raise NotApplicable("the network reads images or sequences")
    weighted = [layer for layer in layers if layer.kind == "dense"]
    hidden = {layer.activation for layer in layers[:-1] if layer.kind in _SHAPELESS}
    if len(weighted) <= 1 or hidden <= {"linear", ""}:
        raise NotApplicable("the model is linear itself")


# --- Scores -------------------------------------------------------------------------------


def _of_classes(behaviour: BehaviourView, train: DataView, X: Floats, X_test: Floats) -> _Compared:
    from sklearn.linear_model import LogisticRegression

    labels, known = scores.labels_of(behaviour.data.target), scores.labels_of(train.target)
    own = known[_chosen(len(known), len(X))]
    if not 1 < len(np.unique(own)) <= _MAX_CLASSES:
        raise NotApplicable("there is one class, or there are too many")
    ours = scores.right_answers(labels, behaviour.held_out_answers)
    baseline = _fitted(LogisticRegression(max_iter=_MAX_ITERATIONS), X, own)
    theirs = np.asarray(baseline.predict(X_test)) == labels
    lead = theirs.astype(np.float64) - ours
    by_class = [float(lead[labels == one].mean()) for one in np.unique(labels)]
    return _Compared(
        "accuracy",
        float(ours.mean()),
        float(theirs.mean()),
        float(lead.mean()),
        float(lead.std()) / float(np.sqrt(len(lead))),
        # Who weights rare classes gives up accuracy for them, and means to.
        float(np.mean(by_class)) > 0,
    )


def _of_numbers(behaviour: BehaviourView, train: DataView, X: Floats, X_test: Floats) -> _Compared:
    from sklearn.linear_model import Ridge

    target = behaviour.data.target
    own = train.target.numbers[_chosen(train.target.n_rows, len(X))]
    spread = float(scores.distances_from_mean(target).mean())
    if not spread:
        raise NotApplicable("the target does not vary")
    ours = behaviour.held_out_answers
    theirs = np.asarray(_fitted(Ridge(), X, own).predict(X_test)).reshape(ours.shape)
    squares = [scores.squared_errors(target, one) / spread for one in (ours, theirs)]
    lead = squares[0] - squares[1]
    return _Compared(
        "explained variance",
        1 - float(squares[0].mean()),
        1 - float(squares[1].mean()),
        float(lead.mean()),
        float(lead.std()) / float(np.sqrt(len(lead))),
        # Who minimises absolute errors, or those of logarithms, does not aim at squares.
        _mean_absolute(target, ours) > _mean_absolute(target, theirs),
    )


def _mean_absolute(target: Target, answers: Array) -> float:
    return float(scores.absolute_errors(target, answers).mean())


def _fitted(model: Any, X: Floats, y: Array) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    try:
        return make_pipeline(imputer, StandardScaler(), model).fit(X, y)
    except ValueError as error:
        raise NotApplicable(f"the linear model cannot be fitted: {error}") from error


# --- Features -----------------------------------------------------------------------------


def _chosen(n: int, limit: int) -> Array:
    """Return the positions of up to `limit` rows, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, limit)).astype(np.int64))


def _features(train: Block, test: Block) -> tuple[Floats, Floats]:
    """Return the numbers that a linear model is given, for some training and all held-out rows."""
    if train.is_sparse or test.is_sparse:
        raise NotApplicable("a sparse matrix is most often text")
    if train.is_table != test.is_table:
        raise NotApplicable("training and held-out rows have different forms")
    both = _of_table(train, test) if train.is_table else _of_array(train, test)
    X, X_test = (np.where(np.isfinite(one), one, np.nan) for one in both)
    if not 0 < X.shape[1] <= _MAX_COLUMNS or X.shape[1] != X_test.shape[1]:
        raise NotApplicable("there are no columns, too many, or not the same in both")
    return X[_chosen(len(X), min(_MAX_ROWS, _MAX_CELLS // X.shape[1]))], X_test


def _of_array(train: Block, test: Block) -> tuple[Floats, Floats]:
    sources: tuple[Array, Array] = (train.source, test.source)
    if any(one.ndim > _MATRIX_RANK for one in sources):
        raise NotApplicable("the rows are images or sequences")
    if any(one.dtype.kind not in "biuf" for one in sources):
        raise NotApplicable("the rows are no numbers")
    first, second = (one.reshape(len(one), -1).astype(np.float64) for one in sources)
    return first, second


def _of_table(train: Block, test: Block) -> tuple[Floats, Floats]:
    if [one.name for one in train.columns] != [one.name for one in test.columns]:
        raise NotApplicable("training and held-out rows have different columns")
    pairs = [_encoded(own, other) for own, other in zip(train.columns, test.columns, strict=True)]
    found = [pair for pair in pairs if pair is not None]
    if not found:
        raise NotApplicable("no column has numbers or categories")
    return np.column_stack([one for one, _ in found]), np.column_stack([one for _, one in found])


def _encoded(own: Column, other: Column) -> tuple[Floats, Floats] | None:
    """Return a column as numbers, categories one-hot; None for dates and other objects."""
    if own.kind in {"numeric", "bool"} and other.kind in {"numeric", "bool"}:
        first, second = (one.values.astype(np.float64)[:, None] for one in (own, other))
        return first, second
    if own.kind != "text":
        return None
    levels = own.levels.values
    if len(levels) > _MAX_LEVELS:
        raise NotApplicable(f"column {own.name!r} holds text")
    places = {value: place for place, value in enumerate(levels)}
    codes = np.array([places.get(value, -1) for value in other.levels.values] + [-1])
    first, second = (
        (one[:, None] == np.arange(len(levels))).astype(np.float64)
        for one in (own.levels.codes, codes[other.levels.codes])
    )
    return first, second
