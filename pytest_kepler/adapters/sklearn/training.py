"""Training and measuring scikit-learn's estimators, pipelines, meta-estimators and searches."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters import generic, metrics
from pytest_kepler.adapters.base import Evaluated, Fitted, ModelRecord
from pytest_kepler.adapters.plain import class_name, jsonable
from pytest_kepler.errors import ExperimentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_kepler.adapters.base import Recorder

FRAMEWORK: Final = "sklearn"

#: How deep an estimator may lie inside others.
_MAX_NESTING: Final = 8
#: Learned attributes that are arrays of weights, or lists of them.
_WEIGHTS: Final = ("coef_", "intercept_", "coefs_", "intercepts_", "dual_coef_")
#: Of the classes that make a file one to be trusted.
_SHOWN: Final = 3


def fit(model: Any, X: Any, y: Any, fit_kwargs: Mapping[str, Any], recorder: Recorder) -> Fitted:
    """Fit an estimator; record its curves, a search's candidates, and what did not converge."""
    recorder.start()
    with convergence_warnings(recorder):
        result = model.fit(X, **fit_kwargs) if y is None else model.fit(X, y, **fit_kwargs)
    # Estimators of other packages may return nothing.
    fitted = model if result is None else result
    _record_curves(fitted, recorder)
    return Fitted(fitted, record(fitted), _record_search(fitted, recorder))


@contextlib.contextmanager
def convergence_warnings(recorder: Recorder) -> Iterator[None]:
    """Record convergence warnings as a fact, on their way to whoever shows warnings."""
    from sklearn.exceptions import ConvergenceWarning

    messages: list[str] = []
    show = warnings.showwarning

    def note_and_show(
        message: Warning | str, category: type[Warning], *place: Any, **more: Any
    ) -> None:
        if issubclass(category, ConvergenceWarning) and str(message) not in messages:
            messages.append(str(message))
        show(message, category, *place, **more)

    # Not catch_warnings: it would forget which warnings were shown already, and show them again.
    warnings.showwarning = note_and_show
    try:
        yield
    finally:
        warnings.showwarning = show
        if messages:
            recorder.facts({"convergence_warnings": messages})


def record(model: Any) -> ModelRecord:
    """Describe an estimator by its class and its parameters, those of its parts included."""
    try:
        params = jsonable(model.get_params(deep=True))
    except (AttributeError, TypeError, RuntimeError):  # an estimator with a broken __init__
        params = {}
    return ModelRecord(FRAMEWORK, class_name(type(model)), params, _n_weights(_inner(model)))


def _inner(model: Any) -> Any:
    """Return the estimator that learns: inside pipelines, searches, target transformers."""
    for _ in range(_MAX_NESTING):
        inner = _last_step(model)
        for attribute in ("best_estimator_", "regressor_"):
            # Not by truth: an ensemble without members is false.
            inner = getattr(model, attribute, None) if inner is None else inner
        if inner is None:
            return model
        model = inner
    return model


def _last_step(model: Any) -> Any | None:
    """Return the last step of a pipeline; None where there is none, or it passes data through."""
    steps = getattr(model, "steps", None)
    if not isinstance(steps, list) or not steps or not isinstance(steps[-1], tuple):
        return None
    last = steps[-1][1]
    return None if isinstance(last, str) else last


def _n_weights(estimator: Any) -> int | None:
    arrays: list[Any] = []
    for name in _WEIGHTS:
        with contextlib.suppress(Exception):  # coef_ is a property that raises for some kernels
            value = getattr(estimator, name)
            arrays += value if isinstance(value, list) else [value]
    return sum(int(np.size(array)) for array in arrays) or None


def _record_curves(model: Any, recorder: Recorder) -> None:
    estimator = _inner(model)
    curves = {name: values for name, values in _curves(estimator) if len(values)}
    for step in range(max(map(len, curves.values()), default=0)):
        at_step = {
            name: float(values[step]) for name, values in curves.items() if step < len(values)
        }
        recorder.curve(at_step, step)
    n_iter = getattr(estimator, "n_iter_", None)
    if n_iter is not None:
        recorder.facts({"n_iter": jsonable(n_iter)})


def _curves(estimator: Any) -> Iterator[tuple[str, Any]]:
    """Yield what an estimator keeps of each iteration, by the name of what it is."""
    is_staged = hasattr(estimator, "estimators_")
    for attribute, name in (
        ("loss_curve_", "loss"),
        ("validation_scores_", "validation_score"),
        # Gradient boosting calls its loss a score; histogram boosting keeps the negative loss.
        ("train_score_", "loss" if is_staged else "train_score"),
        ("validation_score_", "validation_score"),
    ):
        values = getattr(estimator, attribute, None)
        if values is not None and np.ndim(values) == 1:
            yield name, values


def _record_search(model: Any, recorder: Recorder) -> dict[str, float]:
    """Record a search's candidates as a table; return what it found as metrics."""
    search = _search(model)
    if search is None:
        return {}
    table = search.cv_results_
    scorer = search.refit if isinstance(search.refit, str) else "score"
    best = getattr(search, "best_index_", None)
    facts: dict[str, Any] = {
        "search": class_name(type(search)),
        "search_candidates": _candidates(table, scorer),
    }
    found: dict[str, float] = {}
    if best is not None:
        facts["best_params"] = jsonable(table["params"][best])
        found["best_index"] = int(best)
    if f"mean_test_{scorer}" in table and best is not None:
        found["best_score"] = float(table[f"mean_test_{scorer}"][best])
    recorder.facts(facts)
    return found


def _search(model: Any) -> Any | None:
    """Return the search: the model itself, or the last step of a pipeline."""
    for candidate in (model, _last_step(model)):
        if hasattr(candidate, "cv_results_"):
            return candidate
    return None


def _candidates(table: Mapping[str, Any], scorer: str) -> list[dict[str, Any]]:
    columns = {
        "mean": f"mean_test_{scorer}",
        "std": f"std_test_{scorer}",
        "rank": f"rank_test_{scorer}",
        "fit_seconds": "mean_fit_time",
        "iteration": "iter",
        "n_resources": "n_resources",
    }
    # With several scorers and none to refit by, each has columns of its own.
    others = [key for key in table if key.startswith("mean_test_") and key != columns["mean"]]
    columns |= {key.removeprefix("mean_test_"): key for key in others}
    present = {name: table[key] for name, key in columns.items() if key in table}
    return [
        {
            "params": jsonable(params),
            **{name: _item(values[row]) for name, values in present.items()},
        }
        for row, params in enumerate(table["params"])
    ]


def _item(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def evaluate(model: Any, X: Any, y: Any) -> Evaluated:
    """Measure by the metrics of the task, or by the estimator's own ``score``.

    Classifiers: accuracy, balanced accuracy, f1, precision, recall, and with probabilities log
    loss and area under the ROC curve. Regressors: r2, rmse, mae. Anything else, and labels in
    several columns: ``score``.
    """
    from sklearn.base import is_classifier, is_regressor

    true = None if y is None else metrics.column(y)
    if true is not None and is_classifier(model) and true.ndim == 1:
        return _evaluate_classifier(model, X, true)
    if true is not None and is_regressor(model):
        pred = metrics.column(model.predict(X))
        _refuse_other_shape(model, true, pred)
        return metrics.regression(true, pred)
    return generic.score(model, X, y)


def _evaluate_classifier(model: Any, X: Any, true: Any) -> Evaluated:
    pred = metrics.column(model.predict(X))
    _refuse_other_shape(model, true, pred)
    classes = getattr(model, "classes_", None)
    probabilities, scores = None, None
    if hasattr(model, "predict_proba"):
        probabilities = np.asarray(model.predict_proba(X))
    elif (
        hasattr(model, "decision_function")
        and classes is not None
        and len(classes) == metrics.BINARY
    ):
        scores = np.asarray(model.decision_function(X)).reshape(-1)
    if classes is None or (probabilities is not None and probabilities.ndim != metrics.BINARY):
        return metrics.classification(true, pred)
    return metrics.classification(
        true, pred, classes=np.asarray(classes), probabilities=probabilities, scores=scores
    )


def _refuse_other_shape(model: Any, true: Any, pred: Any) -> None:
    if true.shape != pred.shape:
        raise ExperimentError(
            f"experiment.evaluate: {type(model).__name__} predicts shape {pred.shape}, but y has "
            f"shape {true.shape}: hand over the X and y of the same rows."
        )


def suffix(model: Any) -> str:
    """Return ``.skops``; the package skops must be installed."""
    import importlib.util

    if importlib.util.find_spec("skops") is None:
        raise ExperimentError(
            f"experiment.save needs the package skops to write {class_name(type(model))}, and it "
            "is not installed: pip install 'pytest-kepler[sklearn]'."
        )
    return ".skops"


def dump(model: Any, path: Path) -> None:
    """Write an estimator with skops: no code runs when it is read back."""
    from skops import io

    io.dump(model, path)


def load(path: Path, *, trusted: bool = False) -> Any:
    """Read an estimator.

    Raises
    ------
    ExperimentError
        If it holds classes that skops does not know to be harmless, and is not trusted.
    """
    from skops import io

    unknown = io.get_untrusted_types(file=path)
    if unknown and not trusted:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        raise ExperimentError(
            f"{path.name} holds {', '.join(unknown[:_SHOWN])}{more}, which skops does not know to "
            "be harmless. If you know who wrote it, load it with trusted=True."
        )
    return io.load(path, trusted=unknown)
