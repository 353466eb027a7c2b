"""Whether a Keras model's weights are still those that their initializers gave."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters.views import Frozen, NotApplicable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_kepler.adapters.views import Array

#: Layers with a kernel, whose initializer says how it spreads.
_KERNEL_LAYERS: Final = {
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Dense",
}
_STD_ERRORS: Final = 5.0
_FRESH_SHARE: Final = 0.9
_MATRIX_RANK: Final = 2
_ROUNDING: Final = 1e-5
#: Where Keras cuts a normal distribution, in the standard deviations of what is left.
_TRUNCATED_AT: Final = 2 / 0.87962566
#: Where a uniform distribution ends, in its standard deviations.
_UNIFORM_END: Final = 3**0.5


def is_mostly_initial(model: Any) -> bool:
    """Tell whether at least 90 % of the weights in kernels are as their initializers made them."""
    fresh = total = 0
    for layer in model._flatten_layers():  # noqa: SLF001 - nested models included
        if type(layer).__name__ == "BatchNormalization" and not _is_untrained_norm(layer):
            return False
        kernel = getattr(layer, "kernel", None)
        is_known = type(layer).__name__ in _KERNEL_LAYERS and hasattr(layer, "kernel_initializer")
        if kernel is None or not is_known:
            continue
        size = int(np.prod(kernel.shape))
        total += size
        fresh += size if _is_initial(layer, kernel) else 0
    return total == 0 or fresh >= _FRESH_SHARE * total


def read_frozen(model: Any) -> Frozen:
    """Return what of a built model is never trained but comes before something that is.

    What stands behind everything that is trained is left out: of two networks that are trained
    against each other, the second stands still while the first learns. So are embeddings.
    """
    owners = [layer for layer in _leaves(model) if layer._trainable_variables]  # noqa: SLF001 - its own
    trained = [i for i, layer in enumerate(owners) if layer.trainable_variables]
    if not trained:
        raise NotApplicable("no layer is trained")
    frozen = [
        layer
        for layer in owners[: trained[-1]]
        if not layer.trainable_variables and type(layer).__name__ != "Embedding"
    ]
    kernels = [(layer, one) for layer in frozen for one in _kernels(layer)]
    size = sum(int(np.prod(one.shape)) for layer in frozen for one in layer.variables)
    are_drawn = all(_is_drawn(layer, one) for layer, one in kernels)
    return Frozen(
        layers=[str(layer.name) for layer in frozen],
        n_kernels=len(kernels),
        share=size / max(1, int(model.count_params())),
        is_initial=are_drawn and _shows_no_training(frozen, kernels),
    )


def _leaves(layer: Any) -> Iterator[Any]:
    """Yield the layers that hold no others, in the order of the graph."""
    inner = layer._layers  # noqa: SLF001 - Keras' own way to them changes their order
    if not inner:
        yield layer
    for one in inner:
        yield from _leaves(one)


def _kernels(layer: Any) -> list[Any]:
    return [
        one
        for one in layer.variables
        if "kernel" in str(one.name) and len(one.shape) >= _MATRIX_RANK
    ]


def _initializer_of(layer: Any, kernel: Any) -> Any:
    # ``depthwise_kernel`` comes from ``depthwise_initializer``, ``kernel`` from its own or that.
    part = str(kernel.name).removesuffix("kernel")
    own = getattr(layer, f"{part or 'kernel_'}initializer", None)
    return own or getattr(layer, "depthwise_initializer", None)


def _is_drawn(layer: Any, kernel: Any) -> bool:
    """Tell whether a kernel is as if drawn at random, with no value beyond the distribution."""
    initializer = _initializer_of(layer, kernel)
    expected = _initial_sd(initializer, tuple(kernel.shape))
    if not expected:
        return False
    values = _values(kernel)
    error = expected / np.sqrt(2 * values.size)
    is_as_wide = abs(float(values.std()) - expected) <= _STD_ERRORS * error + 1e-3 * expected
    end = _end_of(initializer)
    limit = np.inf if end is None else end * expected * (1 + _ROUNDING)
    return bool(is_as_wide and np.abs(values).max() <= limit)


def _shows_no_training(layers: Sequence[Any], kernels: Sequence[tuple[Any, Any]]) -> bool:
    """Tell whether something that a first training step would change is as it was made.

    A spread alone says little: a short training hardly changes it.
    """
    norms = [one for one in layers if type(one).__name__ == "BatchNormalization"]
    biases = [one.bias for one in layers if _begins_at_zero(one)]
    if not all(map(_is_untrained_norm, norms)) or any((_values(one) != 0).any() for one in biases):
        return False
    has_ends = any(_end_of(_initializer_of(*one)) is not None for one in kernels)
    return bool(norms or biases or has_ends)


def _begins_at_zero(layer: Any) -> bool:
    is_zero = type(getattr(layer, "bias_initializer", None)).__name__ == "Zeros"
    return is_zero and getattr(layer, "bias", None) is not None


def _is_untrained_norm(layer: Any) -> bool:
    if not layer.built:
        return True
    mean, variance = _values(layer.moving_mean), _values(layer.moving_variance)
    return bool((mean == 0).all() and (variance == 1).all())


def _is_initial(layer: Any, kernel: Any) -> bool:
    """Tell whether a kernel's spread is what its initializer gives."""
    expected = _initial_sd(layer.kernel_initializer, tuple(kernel.shape))
    if expected is None:
        return True
    values = _values(kernel)
    error = expected / np.sqrt(2 * values.size)
    return bool(abs(float(values.std()) - expected) <= _STD_ERRORS * error + 1e-3 * expected)


def _initial_sd(initializer: Any, shape: tuple[int, ...]) -> float | None:
    """Return the spread that an initializer gives, or None if it cannot be told."""
    config = initializer.get_config() if hasattr(initializer, "get_config") else {}
    name = type(initializer).__name__
    if "scale" in config and "mode" in config:
        return _variance_scaling_sd(config, shape)
    known: dict[str, float] = {
        "Zeros": 0.0,
        "Ones": 0.0,
        "Constant": 0.0,
        "RandomNormal": float(config.get("stddev") or 0.0),
    }
    if name in {"GlorotUniform", "GlorotNormal"}:
        return _variance_scaling_sd({"scale": 1.0, "mode": "fan_avg"}, shape)
    if name in {"HeUniform", "HeNormal"}:
        return _variance_scaling_sd({"scale": 2.0, "mode": "fan_in"}, shape)
    if name in {"LecunUniform", "LecunNormal"}:
        return _variance_scaling_sd({"scale": 1.0, "mode": "fan_in"}, shape)
    return known.get(name)


def _variance_scaling_sd(config: Mapping[str, Any], shape: tuple[int, ...]) -> float:
    field_size = int(np.prod(shape[:-2])) if len(shape) > _MATRIX_RANK else 1
    fan_in, fan_out = shape[-2] * field_size, shape[-1] * field_size
    fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    return float(np.sqrt(config["scale"] / max(1.0, fans[config["mode"]])))


def _end_of(initializer: Any) -> float | None:
    """Return the largest value of an initializer in its standard deviations; None for no end."""
    name = type(initializer).__name__
    kind = str(initializer.get_config().get("distribution", name)).lower()
    if "uniform" in kind:
        return _UNIFORM_END
    if "truncated" in kind or name in {"GlorotNormal", "HeNormal", "LecunNormal"}:
        return _TRUNCATED_AT
    return None


def _values(variable: Any) -> Array:
    # A variable itself is an array of the old kind to NumPy, which warns; its value is not.
    array: Array = sys.modules["keras"].ops.convert_to_numpy(variable.value)
    return array
