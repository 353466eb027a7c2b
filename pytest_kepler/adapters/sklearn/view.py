"""A scikit-learn estimator or pipeline as the checks see it."""

from __future__ import annotations

import sys
from typing import Any, Final

from pytest_kepler.adapters.views import ColumnStep, CrossValidation, ModelView

#: Parameters under which a wrapper keeps the estimator that does the work.
_WRAPPED: Final = ("estimator", "base_estimator", "regressor", "classifier")
_UNSUPERVISED: Final = {"", "clusterer", "outlier_detector", "transformer", "density_estimator"}
#: How deep an estimator may lie inside others.
_MAX_NESTING: Final = 8
_MISSING_STEPS: Final = {"SimpleImputer", "KNNImputer", "IterativeImputer", "MissingIndicator"}


def matches(model: object) -> bool:
    """Tell whether `model` is an estimator, without importing scikit-learn."""
    base = sys.modules.get("sklearn.base")
    return base is not None and isinstance(model, base.BaseEstimator)


def view(model: Any) -> ModelView:
    """Return the view of an estimator, with searches, wrappers and pipelines taken apart."""
    steps, estimators = _take_apart(model)
    kinds = {_type_of(estimator) for estimator in estimators}
    return ModelView(
        framework="sklearn",
        model=model,
        name=type(model).__name__,
        steps=tuple(steps),
        estimators=tuple(estimators),
        tolerates_missing=_tolerates_missing(model, steps, estimators),
        is_unsupervised=kinds <= _UNSUPERVISED,
        learns=next(iter(kinds)) if len(kinds) == 1 else "",
        cross_validation=_cross_validation(model),
        column_steps=tuple(_column_steps(model, None, ())),
    )


def fitted_parts(model: Any) -> list[Any]:
    """Return the fitted estimators that answer, inside searches, wrappers and pipelines."""
    for _ in range(_MAX_NESTING):
        inner = getattr(model, "best_estimator_", None)
        if inner is None and hasattr(model, "steps"):
            inner = model.steps[-1][1]
        for name in ("estimator_", "regressor_"):
            inner = getattr(model, name, None) if inner is None else inner
        if inner is None or isinstance(inner, str):
            return [model]
        model = inner
    return [model]


def _cross_validation(model: Any) -> CrossValidation | None:
    """Return how the outermost part that has an argument ``cv`` holds out rows."""
    for _ in range(_MAX_NESTING):
        if hasattr(model, "cv") and getattr(model, "cv", None) != "prefit":
            scoring = getattr(model, "scoring", None)
            return CrossValidation(type(model).__name__, model.cv, scoring)
        inner = model.steps[-1][1] if hasattr(model, "steps") else _wrapped(model)
        if inner is None:
            return None
        model = inner
    return None


def _wrapped(model: Any) -> Any | None:
    """Return the estimator that a wrapper keeps."""
    for name in _WRAPPED:
        inner = getattr(model, name, None)
        if hasattr(inner, "fit"):
            return inner
    return None


def _column_steps(model: Any, columns: Any, after: tuple[Any, ...]) -> list[ColumnStep]:
    """Return the steps that see columns as the user gave them, with what comes after each."""
    if hasattr(model, "steps"):
        found: list[ColumnStep] = []
        steps = [step for _, step in model.steps if step not in (None, "passthrough")]
        for position, step in enumerate(steps):
            found += _column_steps(step, columns, (*steps[position + 1 :], *after))
            if type(step).__name__ not in _MISSING_STEPS:
                break  # the next step sees what this one made of the columns
        return found
    branches = getattr(model, "transformers", None)
    if isinstance(branches, list):
        # A selection inside a selection cannot be followed by its names.
        if columns is not None:
            return []
        parts = [branch for branch in branches if not isinstance(branch[1], str)]
        return [one for _, step, of in parts for one in _column_steps(step, of, after)]
    union = getattr(model, "transformer_list", None)
    if isinstance(union, list):
        parts = [step for _, step in union if not isinstance(step, str)]
        return [one for step in parts for one in _column_steps(step, columns, after)]
    inner = _wrapped(model)
    if inner is not None and columns is None and not hasattr(model, "transform"):
        return _column_steps(inner, None, after)
    return [ColumnStep(model, columns, after)]


def _take_apart(model: Any) -> tuple[list[Any], list[Any]]:
    """Return (the steps before the last, the estimators that do the work)."""
    if hasattr(model, "steps"):
        before = [step for _, step in model.steps[:-1] if step not in (None, "passthrough")]
        last = model.steps[-1][1]
        if last in (None, "passthrough"):
            return before, []
        inner_before, inner = _take_apart(last)
        return before + inner_before, inner
    wrapped = _wrapped(model)
    if wrapped is not None:
        return _take_apart(wrapped)
    named = getattr(model, "estimators", None)
    if isinstance(named, list) and named:
        members = [pair[1] if isinstance(pair, tuple) else pair for pair in named]
        parts = [_take_apart(member) for member in members if hasattr(member, "fit")]
        shared = parts[0][0] if len(parts) == 1 else []
        # Members with a pipeline of their own cannot be judged as one: leave those out.
        alone = [estimator for before, inner in parts for estimator in inner if not before]
        return shared, alone
    return [], [model]


def _tolerates_missing(model: Any, steps: list[Any], estimators: list[Any]) -> bool:
    for step in [*steps, *estimators]:
        name = type(step).__name__
        if name in _MISSING_STEPS or not _is_from_sklearn(step):
            return True
        if name == "ColumnTransformer":
            return True  # each of its branches sees columns of its own: fit decides
        if not _allows_missing(step):
            return False
    return _allows_missing(model) if not estimators else True


def _is_from_sklearn(step: Any) -> bool:
    return type(step).__module__.startswith("sklearn.")


def _tags(step: Any) -> Any:
    utils = sys.modules.get("sklearn.utils")
    get_tags = getattr(utils, "get_tags", None)
    if get_tags is None:
        return None
    try:
        return get_tags(step)
    except Exception:  # noqa: BLE001 - a step of the user's own may answer in any way
        return None


def _allows_missing(step: Any) -> bool:
    tags = _tags(step)
    return True if tags is None else bool(tags.input_tags.allow_nan)


def _type_of(estimator: Any) -> str:
    tags = _tags(estimator)
    return str(getattr(tags, "estimator_type", None) or "")
