"""Adapters: one folder a framework, imported when a model of that framework is met."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pytest_kepler.errors import ExperimentError

if TYPE_CHECKING:
    from pytest_kepler.adapters.base import Adapter

__all__ = ["find", "require_loaded"]


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
    if _is_instance(model, "keras", "Model"):
        from pytest_kepler.adapters.keras import training as keras

        return keras
    if _is_instance(model, "sklearn.base", "BaseEstimator"):
        from pytest_kepler.adapters.sklearn import training as sklearn

        return sklearn
    from pytest_kepler.adapters import generic

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
            "torch module: train it in a loop of your own, with experiment.check(model, X, y) "
            "before it and experiment.log(loss=…, step=…) inside it."
        )
    return (
        f"{use} needs a model with fit and predict (scikit-learn, Keras, or any object that has "
        f"them), got {short(model)}."
    )
