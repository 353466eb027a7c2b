"""K417 channels-misplaced: images whose channels stand where the network expects a width.

What it looks at
    The shape of images that a first two-dimensional convolution reads: 1, 3 or 4 values on the
    second axis, and many on the last.
Why it matters
    The filters slide over channels and rows instead of rows and columns; it trains, badly.
What it cannot see
    Images with as many channels as pixels.
Source
    https://keras.io/api/layers/convolution_layers/convolution2d/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_kepler.adapters.views import FitView, Layer
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K417"]
_CHANNELS = {1, 3, 4}
_IMAGE_RANK = 4
_MANY = 32


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if the first convolution takes a side of the images for their channels."""
    del limits
    shape = tuple(getattr(fit.data.block.source, "shape", ()))
    if len(shape) != _IMAGE_RANK:
        raise NotApplicable("the inputs are no images")
    first = next((one for one in fit.model.layers if one.class_name == "Conv2D"), None)
    if first is None or not _sees_inputs(fit.model.layers, first):
        raise NotApplicable("no convolution sees the images first")
    # What the filters sum over is the axis that the layer takes for the channels.
    if shape[1] in _CHANNELS and shape[-1] > _MANY and first.width_in == shape[-1]:
        yield INFO.finding(
            f"The images have the shape {shape[1:]}: {first.name!r} takes the last axis for "
            f"{shape[-1]} channels.",
            location=f"layer {first.name!r}",
            measured={"channels": shape[-1]},
            threshold={"channels": shape[1]},
            fix="Move the channels to the end: np.moveaxis(X, 1, -1).",
            basis="static",
        )


def _sees_inputs(layers: Sequence[Layer], layer: Layer) -> bool:
    while len(layer.inputs) == 1:
        layer = layers[layer.inputs[0]]
        if layer.kind == "input":
            return True
        if layer.kind != "passive" and layer.class_name not in {"Rescaling", "Normalization"}:
            return False
    return layer.kind == "input"
