"""K406 from-logits-mismatch: the loss expects logits and gets probabilities, or the reverse.

What it looks at
    The output's activation, whether the loss takes logits (Keras' ``from_logits``, torch's
    CrossEntropyLoss and BCEWithLogitsLoss) or logarithms (NLLLoss), and the outputs on the first
    rows.
Why it matters
    A softmax on top of a softmax learns slowly and answers timidly; the logarithm of what is
    no probability gives a wrong loss.
What it cannot see
    Losses and training steps of the user's own.
Source
    https://keras.io/api/losses/probabilistic_losses/, on from_logits
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import FitView, Output
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K406"]
_CROSSENTROPIES = {"binary", "categorical", "sparse"}
_SQUASHING = {"softmax", "sigmoid", "hard_sigmoid"}
_TOLERANCE = 1e-6


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each cross-entropy that gets the other kind of output."""
    outputs = fit.model.outputs
    losses = [output.loss for output in outputs]
    if not any(loss is not None and loss.kind in _CROSSENTROPIES for loss in losses):
        raise NotApplicable("no loss is a cross-entropy of the library's own")
    for i, output in enumerate(outputs):
        if output.loss is None or output.loss.kind not in _CROSSENTROPIES:
            continue
        if output.loss.is_logarithmic:
            yield from _no_logarithms(output, fit, i)
        elif output.loss.from_logits and output.activation in _SQUASHING:
            yield _activated_twice(output, fit.model.backend)
        elif not output.loss.from_logits and output.activation not in _SQUASHING:
            yield from _never_activated(output, fit, i, limits)


def _activated_twice(output: Output, backend: str) -> Finding:
    # The TensorFlow backend finds the logits behind a last activation and uses those.
    is_harmless = (
        backend == "tensorflow" and output.is_fused and output.activation != "hard_sigmoid"
    )
    return INFO.finding(
        f"The loss takes logits, but the output already is a {output.activation}"
        + (": TensorFlow undoes it, other backends do not." if is_harmless else "."),
        severity="warning" if is_harmless else "error",
        location=place(output),
        measured={"activation": output.activation, "from_logits": True},
        threshold={"from_logits": False},
        fix=f"Take the {output.activation} away: {output.loss.name} applies its own."
        if backend == "torch" and output.loss is not None
        else f"Drop activation={output.activation!r}, or pass from_logits=False to the loss.",
        basis="static",
    )


def _no_logarithms(output: Output, fit: FitView, i: int) -> Iterator[Finding]:
    values = fit.model.batch_outputs[i].astype(np.float64)
    highest = float(values.max())
    if output.activation == "log_softmax" or not highest > _TOLERANCE:
        return
    name = output.loss.name if output.loss is not None else "the loss"
    yield INFO.finding(
        f"{name} takes logarithms of probabilities, which are never positive, but the outputs "
        f"go up to {highest:.3g}.",
        location=place(output),
        measured={"highest": highest, "n": len(values)},
        threshold={"highest": 0.0},
        fix="End with a LogSoftmax, or give the scores themselves to CrossEntropyLoss.",
        basis="batch",
    )


def _never_activated(output: Output, fit: FitView, i: int, limits: Limits) -> Iterator[Finding]:
    values = fit.model.batch_outputs[i].astype(np.float64)
    if not np.isfinite(values).all():
        raise NotApplicable("the outputs on the first rows are not finite")
    kind = output.loss.kind if output.loss is not None else ""
    share = _share_off(values, limits, is_categorical=kind in {"categorical", "sparse"})
    if share <= limits["share"]:
        return
    activation = "sigmoid" if kind == "binary" else "softmax"
    yield INFO.finding(
        "The loss takes probabilities, but the outputs are none: "
        f"they range from {values.min():.3g} to {values.max():.3g}.",
        location=place(output),
        measured={
            "share of rows": share,
            "lowest": float(values.min()),
            "highest": float(values.max()),
            "n": len(values),
        },
        threshold={"share of rows": limits["share"]},
        fix=f"Pass the scores to BCEWithLogitsLoss, or end with a {activation}."
        if fit.model.framework == "torch"
        else f"Pass from_logits=True to the loss, or give the last layer a {activation}.",
        basis="batch",
    )


def _share_off(values: NDArray[np.float64], limits: Limits, *, is_categorical: bool) -> float:
    """Return the share of rows that are no probabilities."""
    flat = values.reshape(-1, values.shape[-1]) if values.ndim > 1 else values[:, None]
    off = ((flat < -_TOLERANCE) | (flat > 1 + _TOLERANCE)).any(axis=1)
    if off.any():
        # One value outside [0, 1] shows that nothing keeps the outputs inside.
        return max(float(off.mean()), 2 * limits["share"])
    if is_categorical and flat.shape[1] > 1:
        off |= np.abs(flat.sum(axis=1) - 1) > limits["max-sum-off"]
    return float(off.mean())
