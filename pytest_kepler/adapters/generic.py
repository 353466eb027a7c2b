"""Any object with ``fit`` and ``predict`` (or ``score``): the least that training needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters import metrics
from pytest_kepler.adapters.base import Evaluated, Fitted, ModelRecord
from pytest_kepler.adapters.plain import article, class_name, jsonable
from pytest_kepler.errors import ExperimentError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_kepler.adapters.base import Recorder

FRAMEWORK: Final = "generic"

#: Kinds of NumPy dtypes whose values are labels: bool, bytes, object, text.
_LABELS: Final = "bSOUT"


def matches(model: object) -> bool:
    """Tell whether `model` can be trained by a method ``fit``."""
    return callable(getattr(model, "fit", None)) and not isinstance(model, type)


def fit(model: Any, X: Any, y: Any, fit_kwargs: Mapping[str, Any], recorder: Recorder) -> Fitted:
    """Call ``fit``; what it returns is the model, unless it returns nothing."""
    recorder.start()
    result = model.fit(X, **fit_kwargs) if y is None else model.fit(X, y, **fit_kwargs)
    fitted = result if callable(getattr(result, "predict", None)) else model
    return Fitted(fitted, record(fitted))


def record(model: Any) -> ModelRecord:
    """Describe by class and, where it has ``get_params``, by parameters."""
    read = getattr(model, "get_params", None)
    params = jsonable(read()) if callable(read) else {}
    return ModelRecord(FRAMEWORK, class_name(type(model)), params)


def evaluate(model: Any, X: Any, y: Any) -> Evaluated:
    """Compare predictions with labels or with numbers, as `y` has them; else ask ``score``.

    Whole numbers are labels if the model has ``classes_`` or ``predict_proba``.
    """
    if y is not None and callable(getattr(model, "predict", None)):
        true, pred = metrics.column(y), metrics.column(model.predict(X))
        is_classifier = hasattr(model, "classes_") or hasattr(model, "predict_proba")
        if true.shape == pred.shape:
            if true.ndim == 1 and (is_classifier or true.dtype.kind in _LABELS):
                return metrics.classification(true, pred)
            return metrics.regression(true, pred)
    return score(model, X, y)


def score(model: Any, X: Any, y: Any) -> Evaluated:
    """Return what the model says of itself.

    Raises
    ------
    ExperimentError
        If it has no ``score``.
    """
    if not callable(getattr(model, "score", None)):
        raise ExperimentError(
            f"experiment.evaluate knows no metrics for {article(type(model).__name__)}: it has no "
            "score(X, y), and y gives it nothing to compare with. Compute them yourself and hand "
            "them over: experiment.log(metric=value)."
        )
    value = model.score(X) if y is None else model.score(X, y)
    return Evaluated({"score": float(np.asarray(value))})


def suffix(model: Any) -> str:
    """Refuse: how an object of any class is written, only its author knows."""
    raise ExperimentError(
        f"experiment.save cannot write {article(class_name(type(model)))}: write it to a file in "
        "experiment.dir yourself and save that file's Path."
    )


def dump(model: Any, path: Path) -> None:  # noqa: ARG001  # the Protocol's signature
    """Refuse, as `suffix` does."""
    suffix(model)


def load(path: Path, *, trusted: bool = False) -> Any:  # noqa: ARG001  # as above
    """Refuse: nothing was saved."""
    raise ExperimentError(f"{path.name} holds no model that experiment.save wrote.")
