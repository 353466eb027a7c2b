"""The usual metrics of classification and regression, equal to scikit-learn's, without it.

A user of Keras alone has no scikit-learn, and these never warn: what is undefined is NaN or left
out with the reason.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pytest_kepler.adapters.base import Evaluated

Floats = npt.NDArray[np.float64]

BINARY: Final = 2


def column(values: Any) -> npt.NDArray[Any]:
    """Return labels or targets as an array, a single column as one dimension."""
    array = np.asarray(values)
    if array.ndim > 1 and array.size == array.shape[0]:
        return array.reshape(-1)
    return array


def classification(
    y_true: npt.NDArray[Any],
    y_pred: npt.NDArray[Any],
    *,
    classes: npt.NDArray[Any] | None = None,
    probabilities: Floats | None = None,
    scores: Floats | None = None,
) -> Evaluated:
    """Return the usual metrics of a classifier.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n_rows,)
        Labels of any one type.
    classes : ndarray of shape (n_classes,), sorted, optional
        The labels that the model knows, in the order of the columns of `probabilities`.
    probabilities : ndarray of shape (n_rows, n_classes), optional
        For `log_loss` and `roc_auc` (for more than two classes one against the rest, macro).
    scores : ndarray of shape (n_rows,), optional
        What a binary classifier without probabilities ranks by, for `roc_auc`.

    Returns
    -------
    Evaluated
        `accuracy`, `balanced_accuracy`, and `f1`, `precision`, `recall` of the larger of two
        labels, or their macro averages over the labels present. A class never predicted has
        precision 0.

    Notes
    -----
    As in scikit-learn: https://scikit-learn.org/stable/modules/model_evaluation.html
    """
    known = y_true[:0] if classes is None else classes
    labels, codes = np.unique(np.concatenate([known, y_true, y_pred]), return_inverse=True)
    n_known, n_rows = len(known), len(y_true)
    true, pred = codes[n_known : n_known + n_rows], codes[n_known + n_rows :]
    metrics = _from_labels(true, pred, len(labels))
    left_out: dict[str, str] = {}
    if probabilities is not None:
        known_codes = codes[:n_known]
        position = np.full(len(labels), -1)
        position[known_codes] = np.arange(n_known)
        _add_probabilistic(metrics, left_out, position[true], probabilities)
    elif scores is not None and len(labels) == BINARY:
        _add_auc(metrics, left_out, true == 1, scores)
    return Evaluated(metrics, left_out)


def _from_labels(
    true: npt.NDArray[np.intp], pred: npt.NDArray[np.intp], n_labels: int
) -> dict[str, float]:
    hits = np.bincount(true[true == pred], minlength=n_labels).astype(np.float64)
    n_true = np.bincount(true, minlength=n_labels)
    n_pred = np.bincount(pred, minlength=n_labels)
    precision, recall = _ratio(hits, n_pred), _ratio(hits, n_true)
    f1 = _ratio(2 * hits, n_true + n_pred)
    # Of two labels the larger is the positive class.
    chosen = np.array([1]) if n_labels == BINARY else np.flatnonzero(n_true + n_pred)
    return {
        "accuracy": float(hits.sum() / len(true)) if len(true) else float("nan"),
        "balanced_accuracy": _mean(recall[n_true > 0]),
        "f1": _mean(f1[chosen]),
        "precision": _mean(precision[chosen]),
        "recall": _mean(recall[chosen]),
    }


def _ratio(above: Floats, below: npt.NDArray[Any]) -> Floats:
    ratio: Floats = np.divide(above, below, out=np.zeros(len(above)), where=below > 0)
    return ratio


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _add_probabilistic(
    metrics: dict[str, float],
    left_out: dict[str, str],
    true: npt.NDArray[np.intp],
    probabilities: Floats,
) -> None:
    """Add `log_loss` and `roc_auc`; `true` holds columns, -1 for a label the model has not."""
    if (true < 0).any():
        reason = "the data holds labels that the model was not trained on"
        left_out.update(log_loss=reason, roc_auc=reason)
        return
    if probabilities.dtype.kind != "f":
        probabilities = probabilities.astype(np.float64)
    smallest = np.finfo(probabilities.dtype).eps
    of_true = probabilities[np.arange(len(true)), true].astype(np.float64)
    metrics["log_loss"] = _mean(-np.log(np.clip(of_true, smallest, 1 - smallest)))
    n_classes = probabilities.shape[1]
    if n_classes == BINARY:
        _add_auc(metrics, left_out, true == 1, probabilities[:, 1])
        return
    missing = n_classes - len(np.unique(true))
    if missing:
        left_out["roc_auc"] = f"{missing} of {n_classes} classes do not occur in the data"
        return
    areas = [roc_auc(true == label, probabilities[:, label]) for label in range(n_classes)]
    metrics["roc_auc"] = float(np.mean(areas))


def _add_auc(
    metrics: dict[str, float],
    left_out: dict[str, str],
    is_positive: npt.NDArray[np.bool_],
    scores: npt.NDArray[Any],
) -> None:
    if is_positive.all() or not is_positive.any():
        left_out["roc_auc"] = "only one class occurs in the data"
    else:
        metrics["roc_auc"] = roc_auc(is_positive, scores)


def roc_auc(is_positive: npt.NDArray[np.bool_], scores: npt.NDArray[Any]) -> float:
    """Return the area under the ROC curve, by ranks; ties count half.

    NaN if a score is NaN. Both classes must occur.
    """
    if np.isnan(scores).any():
        return float("nan")
    _, index, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[index]
    n_positive = int(is_positive.sum())
    n_negative = len(is_positive) - n_positive
    above = ranks[is_positive].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


def regression(y_true: npt.NDArray[Any], y_pred: npt.NDArray[Any]) -> Evaluated:
    """Return `r2`, `rmse` and `mae`; over several outputs the plain mean of each.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        In the unit of the target, as `rmse` and `mae` are.
    """
    true = np.asarray(y_true, dtype=np.float64).reshape(len(y_true), -1)
    pred = np.asarray(y_pred, dtype=np.float64).reshape(len(y_true), -1)
    with np.errstate(all="ignore"):  # a diverged model predicts infinities: NaN is the answer
        error = true - pred
        squared = (error**2).mean(axis=0)
        metrics = {
            "r2": _r2(squared, true.var(axis=0)) if len(true) > 1 else float("nan"),
            "rmse": float(np.sqrt(squared).mean()),
            "mae": float(np.abs(error).mean()),
        }
    return Evaluated(metrics)


def _r2(squared: Floats, variance: Floats) -> float:
    r2 = 1 - squared / variance
    # A constant target has no variance to explain: 1 for a perfect prediction, else 0.
    constant = np.where(squared == 0, 1.0, 0.0)
    return float(np.where(variance == 0, constant, r2).mean())
