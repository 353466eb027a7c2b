"""K401 deep-saturating-stack: several sigmoid layers in a row, or many tanh layers.

What it looks at
    Hidden Dense and convolution layers that follow each other with a sigmoid or tanh each, and
    no normalisation or skip connection between.
Why it matters
    Each sigmoid passes on at most a quarter of the gradient: after four the first layers stand
    still.
What it cannot see
    Gates and attention, which are left alone, and models whose graph cannot be seen.
Source
    Glorot and Bengio (2010), https://proceedings.mlr.press/v9/glorot10a.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.checks.codes import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_kepler.adapters.views import FitView, Layer
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K401"]
_MANY_TANH = 8


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each run of saturating layers that is too long."""
    layers = fit.model.layers
    depths = {"sigmoid": int(limits["depth"]), "tanh": _MANY_TANH}
    runs: dict[int, list[str]] = {}
    for position, layer in enumerate(layers):
        # The last layer's activation belongs to the loss.
        if layer.activation not in depths or layer.n_readers == 0:
            continue
        before = _saturating_before(layers, position)
        run = [*runs.pop(before, []), layer.name] if before is not None else [layer.name]
        runs[position] = run
    for position, run in runs.items():
        activation = layers[position].activation
        if len(run) >= depths[activation]:
            yield INFO.finding(
                f"{len(run)} {activation} layers follow each other, from {run[0]!r} to "
                f"{run[-1]!r}: next to no gradient reaches the first.",
                location=f"{run[0]!r} to {run[-1]!r}",
                measured={"layers": len(run)},
                threshold={"depth": depths[activation]},
                fix="Use a ReLU-like activation, or normalisation between the layers.",
                basis="static",
            )


def _saturating_before(layers: Sequence[Layer], position: int) -> int | None:
    """Return the layer with the same activation that alone feeds a layer."""
    activation, layer = layers[position].activation, layers[position]
    while len(layer.inputs) == 1:
        position = layer.inputs[0]
        layer = layers[position]
        if layer.n_readers != 1:
            return None
        if layer.activation == activation:
            return position
        if layer.kind not in {"passive", "dense", "conv"} or layer.activation != "linear":
            return None
    return None
