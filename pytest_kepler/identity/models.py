"""Models, layers, optimizers and tensors as canonical content: configuration and weights.

Nothing here imports its framework: who holds a model has imported it.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_kepler.errors import UnreadableValueError
from pytest_kepler.identity.framing import Framed, Kind, kind_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_kepler.identity.framing import Leaf, Row, Walk
    from pytest_kepler.identity.objects import Objects

#: ``[layer's name, node, tensor]``.
_HISTORY = 3
#: What `torch.nn.Module` keeps of hooks; they watch a model, they are not it.
_TORCH_HOOKS = re.compile(r"_(non_persistent_buffers_set|is_full_backward_hook|.*hooks.*)$")


class Models:
    """Readers of models and tensors, by library."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._libraries: Mapping[str, Callable[[type], Kind | None]] = {
            "keras": self._keras_kind,
            "tensorflow": _tensorflow_kind,
            "torch": self._torch_kind,
            "sklearn": self._sklearn_kind,
        }

    def kind_of(self, cls: type, roots: frozenset[str]) -> Kind | None:
        """Return how values of `cls` are read if it is a model, a part of one or a tensor."""
        for root, look in self._libraries.items():
            if root in roots:
                found = look(cls)
                if found is not None:
                    return found
        return None

    # scikit-learn

    def _sklearn_kind(self, cls: type) -> Kind | None:
        base = sys.modules.get("sklearn.base")
        if hasattr(base, "BaseEstimator") and issubclass(cls, base.BaseEstimator):  # type: ignore[union-attr]
            return Kind(f"{cls.__module__}.{cls.__qualname__}", self._estimator, "model")
        return None

    def _estimator(self, value: Any) -> Walk:
        framed = Framed("estimator")
        yield from self._objects.class_of(framed, value)
        params = value.get_params(deep=False)
        framed.count(len(params))
        for name in sorted(params):
            framed.text(name).add((yield f".{name}", params[name]))
        results = vars(value).get("cv_results_")
        if isinstance(results, dict):
            # How long a search took is another number each time.
            timeless = {name: part for name, part in results.items() if not name.endswith("_time")}
            framed.text("cv_results_").add((yield ".cv_results_", timeless))
        without = frozenset(params) | {"cv_results_", "refit_time_"}
        yield from self._objects.attributes(framed, value, without=without)
        return framed.leaf()

    # Keras

    def _keras_kind(self, cls: type) -> Kind | None:
        rows: tuple[Row, ...] = (
            ("Model", "model", self._keras_model),
            ("KerasTensor", "model", _refuse_symbolic),
            ("Variable", "model", _keras_variable),
        )
        found = kind_in(rows, "keras", cls)
        if found is None and hasattr(cls, "get_config"):
            return Kind(f"keras.{cls.__name__}", self._keras_part, "model")
        return found

    def _keras_model(self, value: Any) -> Walk:
        framed = Framed("keras.Model")
        yield from self._keras_content(framed, value, _renamed(_layers_of(value)))
        framed.count(int(value.compiled))
        if value.compiled:
            compiled = _canonical(value.get_compile_config(), {})
            framed.add((yield ".compile", compiled))
            framed.add((yield ".optimizer", value.optimizer))
        return framed.leaf()

    def _keras_part(self, value: Any) -> Walk:
        framed = Framed("keras")
        yield from self._keras_content(framed, value, _renamed(_layers_of(value)))
        return framed.leaf()

    def _keras_content(self, framed: Framed, value: Any, names: Mapping[str, str]) -> Walk:
        yield from self._objects.class_of(framed, value)
        try:
            config = value.get_config()
        except NotImplementedError:
            # A subclassed model: its code, its layers and its weights tell what it is.
            framed.text("no config")
            for layer in _children(value):
                framed.add((yield f".{layer.name}", layer))
        else:
            framed.text("config").add((yield ".config", _canonical(config, names)))
        for function in ("function", "fn"):  # of a Lambda layer, a loss, a metric
            framed.add((yield f".{function}", vars(value).get(function)))
        weights = list(getattr(value, "weights", None) or getattr(value, "variables", None) or ())
        framed.count(len(weights))
        for position, weight in enumerate(weights):
            framed.count(int(weight.trainable)).add((yield f".weights[{position}]", weight))
        return framed.leaf()

    # torch

    def _torch_kind(self, cls: type) -> Kind | None:
        rows: tuple[Row, ...] = (
            ("nn.Parameter", "model", _torch_tensor),
            ("Tensor", "data", _torch_tensor),
            ("nn.Module", "model", self._torch_module),
            ("optim.Optimizer", "model", self._torch_optimizer),
            ("Generator", "model", _torch_generator),
            ("dtype", "value", _constant),
            ("device", "value", _constant),
            ("layout", "value", _constant),
            ("memory_format", "value", _constant),
        )
        return kind_in(rows, "torch", cls)

    def _torch_module(self, value: Any) -> Walk:
        framed = Framed("torch.nn.Module")
        yield from self._objects.class_of(framed, value)
        for name, part in sorted(vars(value).items()):
            if _TORCH_HOOKS.match(name) is None:
                framed.text(name).add((yield f".{name}", part))
        return framed.leaf()

    def _torch_optimizer(self, value: Any) -> Walk:
        framed = Framed("torch.optim.Optimizer")
        yield from self._objects.class_of(framed, value)
        framed.add((yield ".state_dict()", value.state_dict()))
        framed.add((yield ".param_groups", value.param_groups))
        return framed.leaf()


def _refuse_symbolic(_value: object) -> Leaf:
    msg = "a symbolic tensor, which has no values yet"
    raise UnreadableValueError(msg)


def _layers_of(value: Any) -> list[Any]:
    flatten = getattr(value, "_flatten_layers", None)
    return list(flatten(include_self=True, recursive=True)) if flatten is not None else [value]


def _children(value: Any) -> list[Any]:
    flatten = getattr(value, "_flatten_layers", None)
    return list(flatten(include_self=False, recursive=False)) if flatten is not None else []


def _renamed(layers: list[Any]) -> dict[str, str]:
    """Return a name by order for each layer that Keras has named itself.

    ``dense_3`` says how many layers this process had made before, nothing of the model.
    """
    names: dict[str, str] = {}
    for layer in layers:
        name = getattr(layer, "name", None)
        if isinstance(name, str) and _is_automatic(name, type(layer).__name__):
            names.setdefault(name, f"#{len(names)}")
    return names


def _is_automatic(name: str, class_name: str) -> bool:
    # Keras' own rule from a class to a name.
    words = re.sub(r"\W+", "", class_name)
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", words)
    words = re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()
    return re.fullmatch(rf"{re.escape(words)}(_\d+)?", name) is not None or (
        re.fullmatch(r"(functional|sequential|model|input_layer|keras_tensor)(_\d+)?", name)
        is not None
    )


def _canonical(config: Any, names: Mapping[str, str]) -> Any:
    """Return a configuration without what numbers the objects of this process."""
    if isinstance(config, dict):
        return {key: _canonical_entry(key, part, config, names) for key, part in config.items()}
    if isinstance(config, list | tuple):
        if len(config) == _HISTORY and isinstance(config[0], str):
            config = [names.get(config[0], config[0]), *config[1:]]
        return [_canonical(part, names) for part in config]
    return config


def _canonical_entry(key: str, part: Any, entry: dict[str, Any], names: Mapping[str, str]) -> Any:
    if key == "name" and isinstance(part, str):
        return names.get(part, part)
    if key == "config" and isinstance(part, dict):
        # Optimizers, losses and metrics are numbered too, and are no layers.
        name, class_name = part.get("name"), str(entry.get("class_name"))
        if isinstance(name, str) and name not in names and _is_automatic(name, class_name):
            part = {**part, "name": "#"}
    return _canonical(part, names)


def _constant(value: object) -> Leaf:
    return Framed("constant").text(type(value).__name__, str(value)).leaf()


def _array_of(value: Any) -> Any:
    return np.asarray(value.numpy())


def _keras_variable(value: Any) -> Walk:
    held = value.value  # of TensorFlow or torch; JAX arrays are converted without a copy
    if type(held).__module__.startswith("jax"):
        held = np.asarray(held)
    return Framed("keras.Variable").add((yield "", held)).leaf()


# TensorFlow


def _tensorflow_tensor(value: Any) -> Leaf | Walk:
    if not hasattr(value, "numpy"):
        return _refuse_symbolic(value)
    return _tensor(_array_of(value))


def _tensor(values: Any) -> Walk:
    return Framed("tensor").add((yield "", values)).leaf()


def _ragged(value: Any) -> Walk:
    framed = Framed("ragged tensor").add((yield ".values", value.values))
    return framed.add((yield ".row_splits", value.row_splits)).leaf()


def _sparse_tensor(value: Any) -> Walk:
    framed = Framed("sparse tensor")
    for name in ("indices", "values", "dense_shape"):
        framed.add((yield f".{name}", getattr(value, name)))
    return framed.leaf()


_TENSORFLOW: Sequence[Row] = (
    ("Variable", "model", _tensorflow_tensor),
    ("Tensor", "data", _tensorflow_tensor),
    ("RaggedTensor", "data", _ragged),
    ("SparseTensor", "data", _sparse_tensor),
    ("DType", "value", _constant),
    ("TensorShape", "value", _constant),
)


def _tensorflow_kind(cls: type) -> Kind | None:
    return kind_in(_TENSORFLOW, "tensorflow", cls)


# torch


def _torch_tensor(value: Any) -> Walk:
    torch = sys.modules["torch"]
    if value.is_meta:
        msg = "a tensor on the meta device, which has no values"
        raise UnreadableValueError(msg)
    plain = value.detach().cpu()
    if plain.layout != torch.strided:
        dense = plain.to_sparse_coo().coalesce()
        framed = Framed("sparse tensor").count(*dense.shape)
        framed.add((yield ".indices", dense.indices()))
        return framed.add((yield ".values", dense.values())).leaf()
    plain = plain.resolve_conj().resolve_neg()
    if plain.dtype == torch.bfloat16:  # NumPy has no such dtype
        framed = Framed("tensor").text(str(plain.dtype))
        return framed.add((yield "", plain.view(torch.int16).numpy())).leaf()
    return Framed("tensor").add((yield "", plain.numpy())).leaf()


def _torch_generator(value: Any) -> Walk:
    return Framed("torch.Generator").add((yield ".state", value.get_state())).leaf()
