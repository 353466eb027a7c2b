"""Adapters: one folder a framework, imported when a model of that framework is met."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pytest_kepler.errors import ExperimentError, KeplerUsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_kepler.adapters.base import Adapter
    from pytest_kepler.adapters.views import ModelView

__all__ = ["find", "register", "require_loaded", "view_of"]

#: What `register` was given, the newest first.
_REGISTERED: list[Any] = []


def register(adapter: Any) -> None:
    """Make `experiment` and the checks use an adapter for the models that it matches.

    Parameters
    ----------
    adapter : module or object
        With ``FRAMEWORK`` and ``matches(model)``; further what `adapters.base.Adapter` asks for, or
        ``view(model, X, y, fit_kwargs)``, which returns an `adapters.views.ModelView`, or both. It
        is asked before those that come with pytest-kepler. Registered again, it takes the place of
        the one of its framework.

    Raises
    ------
    KeplerUsageError
        If it has neither.
    """
    is_named = isinstance(getattr(adapter, "FRAMEWORK", None), str)
    has_both = callable(getattr(adapter, "matches", None)) and is_named
    if not has_both or not (hasattr(adapter, "fit") or hasattr(adapter, "view")):
        raise KeplerUsageError(
            f"An adapter needs FRAMEWORK, matches(model), and fit or view: {adapter!r} does not "
            "have them."
        )
    kept = [one for one in _REGISTERED if one.FRAMEWORK != adapter.FRAMEWORK]
    _REGISTERED[:] = [adapter, *kept]


def view_of(model: Any, X: Any, y: Any, fit_kwargs: Mapping[str, Any]) -> ModelView | None:
    """Return the view that a registered adapter gives of a model; None where there is none."""
    for adapter in _REGISTERED:
        if hasattr(adapter, "view") and adapter.matches(model):
            found: ModelView = adapter.view(model, X, y, fit_kwargs)
            return found
    return None


def find(model: Any, use: str = "experiment.fit") -> Adapter:
    """Return the adapter of a model's framework.

    Parameters
    ----------
    model : object
        What the user hands over. A user who holds a model has imported its library, so looking
        among the loaded modules is enough: nothing is imported to look.
    use : str
        What the model is wanted for, for the error's sentence.

    Raises
    ------
    ExperimentError
        If no adapter can train such an object.
    """
    for adapter in _REGISTERED:
        if hasattr(adapter, "fit") and adapter.matches(model):
            registered: Adapter = adapter
            return registered
    if _is_instance(model, "keras", "Model"):
        from pytest_kepler.adapters.keras import training as keras

        return keras
    if _is_instance(model, "xgboost", "XGBModel") or _is_instance(model, "xgboost", "Booster"):
        from pytest_kepler.adapters import xgboost

        return xgboost
    if _is_instance(model, "sklearn.base", "BaseEstimator"):
        from pytest_kepler.adapters.sklearn import training as sklearn

        return sklearn
    from pytest_kepler.adapters import generic

    is_module = _is_instance(model, "torch.nn", "Module")
    if is_module and (use != "experiment.fit" or generic.matches(model)):
        from pytest_kepler.adapters.torch import training as torch

        return torch
    if generic.matches(model):
        return generic
    raise ExperimentError(_unknown(model, use))


def require_loaded(package: str, use: str) -> None:
    """See to it that a framework was imported by whoever wants to use it.

    Raises
    ------
    ExperimentError
        If it was not.
    """
    if package not in sys.modules:
        raise ExperimentError(f"{use} is for {package}, which is not imported: import it first.")


def _is_instance(model: Any, module: str, name: str) -> bool:
    loaded = sys.modules.get(module)
    base = getattr(loaded, name, None)
    return isinstance(base, type) and isinstance(model, base)


def _unknown(model: Any, use: str) -> str:
    from pytest_kepler.adapters.plain import article, class_name, short

    if isinstance(model, type):
        return f"{use} needs a model, got the class {class_name(model)}: make one, with ()."
    if _is_instance(model, "torch.nn", "Module"):
        return (
            f"{use} needs a model with fit and predict, got {article(type(model).__name__)}, a "
            "torch module: train it in a loop of your own, with experiment.check(model, X, y, "
            "loss=…, optimizer=…, batch_size=…) before it, experiment.log(loss=…, step=…) inside "
            "it, and experiment.evaluate(model, X_test, y_test) after it."
        )
    return (
        f"{use} needs a model with fit and predict (scikit-learn, Keras, or any object that has "
        f"them), got {short(model)}."
    )
