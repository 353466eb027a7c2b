"""K414 dropout-misplaced: dropout on the output, or of nearly everything.

What it looks at
    Dropout layers after the last layer with weights, and the share that each drops.
Why it matters
    Dropped outputs are plainly wrong answers in half of the cases: the loss cannot fall below
    their cost.
What it cannot see
    Dropout that is meant to stay on in prediction: waive it there.
Source
    Srivastava et al. (2014), https://jmlr.org/papers/v15/srivastava14a.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_kepler.adapters.views import FitView, Layer
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding, Severity

INFO = CHECKS["K414"]
_DROPOUTS = {"AlphaDropout", "Dropout", "GaussianDropout"}


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each dropout that is misplaced or drops nearly all."""
    layers = fit.model.layers
    dropouts = [one for one in layers if one.class_name in _DROPOUTS and one.rate]
    if not dropouts:
        raise NotApplicable("there is no dropout")
    at_end = _at_output(layers)
    for layer in dropouts:
        rate = layer.rate or 0.0
        if layer.name in at_end:
            yield _finding(
                layer,
                "error",
                f"The dropout of {layer.name!r} drops {rate:.0%} of the outputs themselves.",
                "Move it before the last layer with weights.",
                limits,
            )
        elif rate >= limits["max-rate"]:
            yield _finding(
                layer,
                "error" if rate >= 1 else "warning",
                f"The dropout of {layer.name!r} drops {rate:.0%} of what it gets.",
                "Lower the rate: 0.1 to 0.5 are usual.",
                limits,
            )


def _finding(layer: Layer, severity: Severity, message: str, fix: str, limits: Limits) -> Finding:
    return INFO.finding(
        message,
        severity=severity,
        location=f"layer {layer.name!r}",
        measured={"rate": layer.rate},
        threshold=dict(limits),
        fix=fix,
        basis="static",
    )


def _at_output(layers: Sequence[Layer]) -> set[str]:
    """Return the layers behind which no layer has weights."""
    found: set[str] = set()
    waiting = [layer for layer in layers if not layer.n_readers]
    while waiting:
        layer = waiting.pop()
        if layer.kind not in {"passive", "activation"}:
            continue
        found.add(layer.name)
        waiting += [layers[position] for position in layer.inputs]
    return found
