"""XGBoost: its scikit-learn estimators with their curves, and boosters of its own interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters import metrics
from pytest_kepler.adapters.base import Evaluated, Fitted, ModelRecord
from pytest_kepler.adapters.plain import class_name, jsonable
from pytest_kepler.adapters.sklearn import training as sklearn
from pytest_kepler.errors import ExperimentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_kepler.adapters.base import Recorder

FRAMEWORK: Final = "xgboost"

_MATRIX_RANK: Final = 2


def fit(model: Any, X: Any, y: Any, fit_kwargs: Mapping[str, Any], recorder: Recorder) -> Fitted:
    """Fit an estimator; record the curves of its ``eval_set`` and where it stopped.

    Raises
    ------
    ExperimentError
        If it is a booster, which is trained when it is made.
    """
    if _is_booster(model):
        raise ExperimentError(
            "experiment.fit got a Booster, which xgboost.train has trained already: hand over an "
            "XGBClassifier or XGBRegressor, or train it yourself and log its curves with "
            "experiment.log(…, step=round)."
        )
    fit_kwargs = {"verbose": False, **fit_kwargs} if fit_kwargs.get("eval_set") else fit_kwargs
    fitted = sklearn.fit(model, X, y, fit_kwargs, recorder).model
    curves = dict(_curves(getattr(fitted, "evals_result_", None) or {}))
    for step in range(max(map(len, curves.values()), default=0)):
        recorder.curve(
            {name: float(values[step]) for name, values in curves.items() if step < len(values)},
            step,
        )
    if getattr(fitted, "early_stopping_rounds", None):
        recorder.facts({"best_iteration": int(fitted.best_iteration)})
    return Fitted(fitted, record(fitted))


def _curves(found: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield each curve under the name of its set and its metric: ``validation_0/logloss``."""
    for name, of_set in found.items():
        for metric, values in of_set.items():
            yield f"{name}/{metric}", values


def record(model: Any) -> ModelRecord:
    """Describe an estimator by the parameters that were set, a booster by its attributes."""
    if _is_booster(model):
        params = {"n_rounds": model.num_boosted_rounds(), **jsonable(model.attributes())}
        return ModelRecord(FRAMEWORK, class_name(type(model)), params)
    given = {name: value for name, value in model.get_params().items() if value is not None}
    return ModelRecord(FRAMEWORK, class_name(type(model)), jsonable(given))


def evaluate(model: Any, X: Any, y: Any) -> Evaluated:
    """Measure as scikit-learn's estimators are; a booster by what its objective answers.

    Raises
    ------
    ExperimentError
        If a booster has an objective of which the answers are neither probabilities nor numbers.
    """
    if not _is_booster(model):
        return sklearn.evaluate(model, X, y)
    import json

    import xgboost

    learner = json.loads(model.save_config())["learner"]
    objective = learner["objective"]["name"]
    answers = np.asarray(model.predict(xgboost.DMatrix(X)))
    true = metrics.column(y)
    if objective in {"binary:logistic", "multi:softprob"}:
        shares = (
            answers if answers.ndim == _MATRIX_RANK else np.column_stack([1 - answers, answers])
        )
        return metrics.classification(
            true.astype(np.int64),
            shares.argmax(axis=1),
            classes=np.arange(shares.shape[1]),
            probabilities=shares,
        )
    if objective == "multi:softmax":
        return metrics.classification(true.astype(np.int64), answers.astype(np.int64))
    if objective.startswith(("reg:", "count:")) and answers.shape == true.shape:
        return metrics.regression(true, answers)
    raise ExperimentError(
        f"experiment.evaluate knows no metrics for a Booster with the objective {objective!r}: "
        "compute them yourself and hand them over: experiment.log(metric=value)."
    )


def suffix(model: Any) -> str:
    """Return what scikit-learn's estimators have; a booster writes itself.

    Raises
    ------
    ExperimentError
        If it is a booster.
    """
    if _is_booster(model):
        raise ExperimentError(
            "experiment.save does not write a Booster: call booster.save_model(path) with a path "
            "in experiment.dir, and save that Path."
        )
    return sklearn.suffix(model)


def dump(model: Any, path: Path) -> None:
    """Write an estimator with skops."""
    sklearn.dump(model, path)


def load(path: Path, *, trusted: bool = False) -> Any:
    """Read an estimator; skops does not know XGBoost's classes, so the file must be trusted."""
    return sklearn.load(path, trusted=trusted)


def _is_booster(model: Any) -> bool:
    return type(model).__name__ == "Booster"
