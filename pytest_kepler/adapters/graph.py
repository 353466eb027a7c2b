"""Questions about the layers of a network, whatever library they are from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_kepler.adapters.views import Array, Layer

#: Activations of which a unit can be dead or saturated.
WATCHED: Final = {"relu", "relu6", "sigmoid", "tanh"}
#: Where a value of these stands near an end: beyond 5 before the activation.
ENDS: Final = {
    "sigmoid": (0.0066929, 0.9933071),
    "tanh": (-0.9999092, 0.9999092),
}
#: Beside the largest of a matrix, a weight of this size does nothing.
_NOTHING: Final = 1e-3
#: Of even or normal weights one in a thousand is so small.
_SMALL_SHARE: Final = 0.2
_MATRIX_RANK: Final = 2
#: Layers between an activation and the product that makes it a gate.
_GATE_DEPTH: Final = 6
_BEFORE_GATE: Final = {"activation", "conv", "dense", "passive"}


def is_normalised(layers: Sequence[Layer], position: int) -> bool:
    """Tell whether a BatchNorm stands anywhere before a layer."""
    waiting, seen = list(layers[position].inputs), set[int]()
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        if layers[one].kind == "batchnorm":
            return True
        seen.add(one)
        waiting += layers[one].inputs
    return False


def is_gate(layers: Sequence[Layer], position: int) -> bool:
    """Tell whether what a layer gives ends in a product with something else."""
    frontier = {position}
    for _ in range(_GATE_DEPTH):
        frontier = {i for i, one in enumerate(layers) if frontier & set(one.inputs)}
        if any(layers[i].class_name == "Multiply" for i in frontier):
            return True
        frontier = {i for i in frontier if layers[i].kind in _BEFORE_GATE}
    return False


def first_weighted(layers: Sequence[Layer]) -> list[int]:
    """Return the positions of the weighted layers without a weighted layer before them."""
    behind: list[bool] = []
    first = []
    for position, layer in enumerate(layers):
        covered = any(behind[source] for source in layer.inputs)
        if layer.is_trainable and not covered:
            first.append(position)
        behind.append(covered or layer.is_trainable)
    return first


def has_small_weights(weights: Iterable[Array]) -> bool:
    """Tell whether in some matrix many weights are next to nothing: decayed, or cut out."""
    for one in weights:
        if one.ndim < _MATRIX_RANK or one.dtype.kind != "f":
            continue
        sizes = np.abs(one)
        if np.mean(sizes <= _NOTHING * sizes.max(initial=0.0)) > _SMALL_SHARE and sizes.any():
            return True
    return False
