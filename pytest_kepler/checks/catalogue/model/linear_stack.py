"""K412 linear-stack: two layers with nothing nonlinear between them.

What it looks at
    Pairs of Dense, or of convolution layers, with only Dropout, Flatten, BatchNorm and the
    like between. A narrow middle (a bottleneck) is left alone.
Why it matters
    Two linear layers can do no more than one: the second is wasted, most often because an
    activation was forgotten.
What it cannot see
    Layers of the user's own, convolutions in networks that have some that take each channel
    alone, and models whose graph cannot be seen.
Source
    Goodfellow, Bengio and Courville (2016), Deep Learning, chapter 6
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.checks.codes import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_kepler.adapters.views import FitView, Layer
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K412"]
_LINEAR_BETWEEN = {"passive", "batchnorm"}


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each pair of layers that is one linear layer."""
    del limits
    layers = fit.model.layers
    has_bottlenecks = any(_is_by_channel(layer) for layer in layers)
    for second in layers:
        first = _layer_before(layers, second)
        if first is None or not _is_wasteful(first, second):
            continue
        if first.kind == "conv" and has_bottlenecks:
            continue
        yield INFO.finding(
            f"There is nothing nonlinear between {first.name!r} and {second.name!r}: together "
            "they are one linear layer.",
            location=f"{first.name!r} and {second.name!r}",
            measured={"activation": "linear", "units": first.units},
            threshold={"activation": "nonlinear"},
            fix="Put an activation between them, such as a ReLU.",
            basis="static",
        )


def _is_by_channel(layer: Layer) -> bool:
    """Tell whether a convolution takes each channel alone: its neighbours are linear by design."""
    return layer.kind == "grouped conv" or layer.class_name.startswith("Depthwise")


def _layer_before(layers: Sequence[Layer], layer: Layer) -> Layer | None:
    """Return the weighted layer that alone feeds `layer`, through linear layers only."""
    while len(layer.inputs) == 1:
        before = layers[layer.inputs[0]]
        if before.n_readers != 1:
            return None
        if before.kind not in _LINEAR_BETWEEN:
            return before
        layer = before
    return None


def _is_wasteful(first: Layer, second: Layer) -> bool:
    is_pair = first.kind in {"dense", "conv"} and first.class_name == second.class_name
    if not is_pair or first.activation != "linear":
        return False
    if not (first.is_trainable and second.is_trainable):
        return False
    if first.units is None or first.width_in is None or second.units is None:
        return False
    if first.units == 1:
        return False
    # A middle narrower than both ends is a bottleneck, which is a model of its own. To one
    # unit everything is wide.
    return first.units >= min(first.width_in, max(second.units, 2))
