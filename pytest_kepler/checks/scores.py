"""How right a model's answers are, row by row: what two sets of answers are compared by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.answers import class_answers
from pytest_kepler.checks.predicates import task_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Array, BehaviourView, DataView, Floats, Target

_LEAST_PROBABILITY: Final = 1e-7
_RANK: Final = 2
_TWO: Final = 2


def is_choice(data: DataView) -> bool:
    """Tell whether one class is chosen for each row, or numbers are predicted.

    Raises
    ------
    NotApplicable
        If the task is neither, or a target is missing.
    """
    kind = task_of(data).kind
    if kind not in {"classification", "regression"}:
        raise NotApplicable(f"the task is {kind}")
    if data.target.missing.any():
        raise NotApplicable("some targets are missing")
    return kind == "classification"


def labels_of(target: Target) -> Array:
    """Return the class of each row; of one-hot labels its position."""
    return np.asarray(target.numbers.argmax(axis=1)) if target.is_one_hot else target.flat


def right_answers(labels: Array, answers: Array) -> NDArray[np.bool_]:
    """Return which rows got their own class.

    Raises
    ------
    NotApplicable
        If the answers name other classes than the labels do.
    """
    given = class_answers(answers)
    if given.shape != labels.shape:
        raise NotApplicable("the answers are not one class a row")
    named, known = set(given.tolist()), set(labels.tolist())
    # Answers of 0 and 1 to labels of -1 and 1, say, are read wrongly rather than wrong.
    if _TWO * len(named & known) <= len(named):
        raise NotApplicable("the answers name other classes than the labels")
    return np.asarray(given == labels)


def squared_errors(target: Target, answers: Array) -> Floats:
    """Return the squared error of each row, the mean over the columns of its target."""
    return np.asarray(np.square(_residuals(target, answers)).mean(axis=1))


def absolute_errors(target: Target, answers: Array) -> Floats:
    """Return the absolute error of each row, the mean over the columns of its target."""
    return np.asarray(np.abs(_residuals(target, answers)).mean(axis=1))


def distances_from_mean(target: Target) -> Floats:
    """Return the squared error that the target's mean would have for each row."""
    truth = target.numbers.reshape(target.n_rows, -1)
    return np.asarray(np.square(truth - truth.mean(axis=0)).mean(axis=1))


def _residuals(target: Target, answers: Array) -> Floats:
    truth = target.numbers.reshape(target.n_rows, -1)
    if answers.dtype.kind not in "biuf" or len(answers) != len(truth):
        raise NotApplicable("the answers are not numbers, one for each row")
    given = answers.astype(np.float64).reshape(len(truth), -1)
    if given.shape != truth.shape or not np.isfinite(given).all():
        raise NotApplicable("the answers do not have the shape of the target")
    return np.asarray(truth - given)


def log_losses(labels: Array, probabilities: Array, classes: Array | None) -> Floats:
    """Return the log loss of each row.

    Parameters
    ----------
    labels : ndarray of shape (n_rows,)
    probabilities : ndarray of shape (n_rows, n_classes), (n_rows, 1) or (n_rows,)
        One column is the probability of the second class.
    classes : ndarray of shape (n_classes,), optional
        The label of each column; without it these are 0, 1, …

    Raises
    ------
    NotApplicable
        If the columns cannot be told apart.
    """
    shares = probabilities.astype(np.float64).reshape(len(probabilities), -1)
    if shares.shape[1] == 1:
        shares = np.column_stack([1 - shares, shares])
    known = np.arange(shares.shape[1]) if classes is None else classes
    if len(known) != shares.shape[1] or len(shares) != len(labels):
        raise NotApplicable("the probabilities are not one for each class")
    columns = (labels[:, None] == known[None, :]).argmax(axis=1)
    if not (known[columns] == labels).all():
        raise NotApplicable("a label is none of the classes that have a probability")
    chosen = shares[np.arange(len(labels)), columns]
    return np.asarray(-np.log(np.clip(chosen, _LEAST_PROBABILITY, 1.0)))


def classes_of(model: Any) -> Array | None:
    """Return the labels that the columns of an estimator's probabilities stand for."""
    found = getattr(model, "classes_", None)
    if found is None or isinstance(found, list):
        return None
    return np.asarray(found)


def require_trained_on(behaviour: BehaviourView) -> DataView:
    """Return the rows that the model was trained on, with their target.

    Raises
    ------
    NotApplicable
        If they were not given, or cannot be looked at.
    """
    if behaviour.trained_on is None:
        raise NotApplicable("no training rows were given")
    behaviour.trained_on.require_aligned()
    behaviour.data.require_aligned()
    ours, theirs = behaviour.data.target, behaviour.trained_on.target
    if ours.values.ndim != theirs.values.ndim or (
        ours.values.ndim == _RANK and ours.values.shape[1] != theirs.values.shape[1]
    ):
        raise NotApplicable("the targets of training and held-out rows have different shapes")
    return behaviour.trained_on
