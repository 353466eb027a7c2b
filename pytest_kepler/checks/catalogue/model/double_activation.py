"""K411 double-activation: two activations at the output with nothing to learn between.

What it looks at
    A softmax or sigmoid at the output, and what it reads: the activation of the layer before. A
    loss that takes logits applies the softmax or sigmoid itself.
Why it matters
    A softmax of a softmax is nearly flat; one of a ReLU cannot tell the classes below zero apart.
What it cannot see
    Layers of the user's own between the two.
Source
    Nikanjam et al. (2022), NeuraLint, https://doi.org/10.1145/3470006
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_kepler.adapters.views import FitView, Layer
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K411"]
_LAST = {"softmax", "sigmoid", "log_softmax"}
_BEFORE = {"softmax", "sigmoid", "tanh", "relu", "relu6", "log_softmax"}
#: What cuts scores and is no probability: softmax and sigmoid are K406's.
_BENDING = {"tanh", "relu", "relu6"}


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each output with two activations in a row."""
    del limits
    layers = fit.model.layers
    for last in layers:
        if last.n_readers or last.kind != "activation" or last.activation not in _LAST:
            continue
        before = _activation_before(layers, last)
        if before is not None:
            yield INFO.finding(
                f"The {last.activation} of {last.name!r} gets what {before.name!r} has made of it "
                f"with a {before.activation}.",
                location=f'output layer "{last.name}"',
                measured={"before": before.activation},
                threshold={"before": "linear"},
                fix=f"Take the {before.activation} of {before.name!r} away.",
                basis="static",
            )
    for output in fit.model.outputs:
        if output.loss is None or not output.loss.from_logits or output.activation not in _BENDING:
            continue
        yield INFO.finding(
            f"{output.loss.name} takes scores of any size, but a {output.activation} has cut them.",
            location=place(output),
            measured={"before": output.activation},
            threshold={"before": "linear"},
            fix=f"Take the {output.activation} of the last layer away.",
            basis="static",
        )


def _activation_before(layers: Sequence[Layer], layer: Layer) -> Layer | None:
    while len(layer.inputs) == 1:
        layer = layers[layer.inputs[0]]
        if layer.activation in _BEFORE and layer.kind in {"activation", "dense", "conv"}:
            return layer
        if layer.kind != "passive":
            return None
    return None
