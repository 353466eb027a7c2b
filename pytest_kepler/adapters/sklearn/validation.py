"""Cross-validation with scikit-learn, folds in a shuffled order that the seed fixes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters.sklearn import training

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_kepler.adapters.base import Recorder

#: What scikit-learn calls the duration of scoring: it says nothing of the estimator.
_LEFT_OUT: Final = "score_time"


def cross_validate(  # noqa: PLR0913  # scikit-learn's own arguments, and where to write
    estimator: Any,
    X: Any,
    y: Any,
    *,
    cv: Any,
    scoring: Any,
    seed: int,
    recorder: Recorder,
    options: Mapping[str, Any],
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Return the folds of each metric, and whatever else scikit-learn was asked to return.

    Parameters
    ----------
    cv : int, splitter, iterable or None
        As in scikit-learn, but a number (5 if None) means folds of shuffled rows, stratified for
        classifiers: data often lies in the order of its labels. With ``groups`` they are kept
        together.
    scoring : str, callable, list, dict or None
        As in scikit-learn; by default the metrics of `experiment.evaluate`.
    seed : int
        Shuffles the rows.
    options : mapping of str to object
        Further arguments of ``sklearn.model_selection.cross_validate``.
    """
    from sklearn import model_selection

    with training.convergence_warnings(recorder):
        results = model_selection.cross_validate(
            estimator,
            X,
            y,
            cv=_splitter(estimator, y, cv, seed, has_groups=options.get("groups") is not None),
            scoring=_scorer(scoring),
            # A fold that cannot be fitted is an error of the run, not a NaN in its mean.
            **{"error_score": "raise", **options},
        )
    folds: dict[str, list[float]] = {}
    others: dict[str, Any] = {}
    for key, values in results.items():
        if key == _LEFT_OUT:
            continue
        if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
            folds[_name(key)] = [float(value) for value in values]
        else:
            others[key] = values
    return folds, others


def _name(key: str) -> str:
    if key.startswith("train_"):
        return f"train/{key.removeprefix('train_')}"
    return "fit_seconds" if key == "fit_time" else key.removeprefix("test_")


def _splitter(estimator: Any, y: Any, cv: Any, seed: int, *, has_groups: bool) -> Any:
    from sklearn import model_selection
    from sklearn.base import is_classifier
    from sklearn.utils.multiclass import type_of_target

    if cv is not None and not isinstance(cv, int):
        return cv
    n_splits = 5 if cv is None else cv
    if has_groups:
        return model_selection.GroupKFold(n_splits)
    is_labels = y is not None and is_classifier(estimator)
    if is_labels and type_of_target(y) in {"binary", "multiclass"}:
        return model_selection.StratifiedKFold(n_splits, shuffle=True, random_state=seed)
    return model_selection.KFold(n_splits, shuffle=True, random_state=seed)


def _scorer(scoring: Any) -> Any:
    if scoring is None:
        return usual_metrics
    # One name would come back as `test_score`: in a list it keeps its own.
    return [scoring] if isinstance(scoring, str) else scoring


def usual_metrics(estimator: Any, X: Any, y: Any = None) -> dict[str, float]:
    """Score a fold by the metrics of `experiment.evaluate`; what a fold cannot say is NaN."""
    evaluated = training.evaluate(estimator, X, y)
    return evaluated.metrics | dict.fromkeys(evaluated.left_out, float("nan"))


def mean_and_std(by_fold: list[float]) -> tuple[float, float]:
    """Return the mean and the standard deviation (n - 1) over folds; NaN if a fold is NaN."""
    return float(np.mean(by_fold)), float(np.std(by_fold, ddof=1))
