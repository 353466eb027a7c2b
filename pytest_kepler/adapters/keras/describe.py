"""What the journal keeps of a Keras model: layers, optimizer, loss."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.adapters.base import ModelRecord
from pytest_kepler.adapters.keras.logs import shortest
from pytest_kepler.adapters.plain import class_name, jsonable

if TYPE_CHECKING:
    from collections.abc import Mapping

FRAMEWORK: Final = "keras"

#: Entries of a layer's configuration that say nothing about what it computes.
_LEFT_OUT: Final = frozenset({"name", "trainable", "dtype", "layers", "build_input_shape"})


def compilation(model: Any) -> dict[str, Any]:
    """Return optimizer, loss and metrics as they are now: training may change the learning rate."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return {}
    settings: Mapping[str, Any] = {}
    with contextlib.suppress(NotImplementedError, AttributeError):
        settings = _plain_entries(optimizer.get_config())
    return {
        "optimizer": {"class": type(optimizer).__name__, **settings},
        "loss": loss_name(getattr(model, "loss", None)),
    }


def loss_name(loss: Any) -> Any:
    """Return a loss by name: ``mse``, ``SparseCategoricalCrossentropy``, one for each output."""
    if loss is None or isinstance(loss, str):
        return loss
    if isinstance(loss, dict):
        return {str(output): loss_name(of_output) for output, of_output in loss.items()}
    if isinstance(loss, list | tuple):
        return [loss_name(of_output) for of_output in loss]
    return getattr(loss, "__name__", None) or type(loss).__name__


def record(model: Any, compiled: Mapping[str, Any]) -> ModelRecord:
    """Describe a model; `compiled` is what `compilation` said before it trained."""
    layers = summary(model)
    optimizer = dict(compiled.get("optimizer", {}))
    params: dict[str, Any] = {
        "n_layers": len(layers),
        "optimizer": optimizer.pop("class", None),
        "loss": compiled.get("loss"),
    }
    params |= {f"optimizer.{name}": value for name, value in optimizer.items()}
    return ModelRecord(
        FRAMEWORK,
        class_name(type(model)),
        params,
        _count(model),
        {"layers": layers, **compiled},
    )


def summary(model: Any) -> list[dict[str, Any]]:
    """Return one entry a layer in order: class, name, settings, output shape, weights."""
    return [_layer(layer) for layer in getattr(model, "layers", [])]


def _layer(layer: Any) -> dict[str, Any]:
    config: Mapping[str, Any] = {}
    # A layer of the user's own may have no configuration.
    with contextlib.suppress(NotImplementedError, AttributeError, TypeError):
        config = layer.get_config()
    shape = None
    with contextlib.suppress(AttributeError, ValueError, RuntimeError):  # used twice, or not built
        shape = jsonable(layer.output.shape)
    entry = {
        "class": type(layer).__name__,
        "name": layer.name,
        **_plain_entries(config),
        "output_shape": shape,
        "params": _count(layer),
    }
    inner = getattr(layer, "layers", None)
    return {**entry, "layers": summary(layer)} if isinstance(inner, list) and inner else entry


def _plain_entries(config: Mapping[str, Any]) -> dict[str, Any]:
    """Keep numbers, texts and shapes; initializers and the like are nested, defaults are None."""
    return {
        name: shortest(value) if isinstance(value, float) else jsonable(value)
        for name, value in config.items()
        if value is not None and name not in _LEFT_OUT and not isinstance(value, dict)
    }


def _count(part: Any) -> int | None:
    try:
        return int(part.count_params())
    except (ValueError, AttributeError, RuntimeError):  # not built yet
        return None
