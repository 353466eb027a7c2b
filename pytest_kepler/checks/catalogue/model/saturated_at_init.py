"""K210 saturated-at-init: sigmoid or tanh units at their ends before training.

What it looks at
    The share of values of each hidden sigmoid or tanh on the first rows that lie beyond 5
    before the activation. Only fresh weights; gates are left out.
Why it matters
    At its ends a sigmoid is flat: next to no gradient passes through.
What it cannot see
    Gates inside LSTM, GRU and attention, and models whose graph cannot be seen.
Source
    Glorot and Bengio (2010), https://proceedings.mlr.press/v9/glorot10a.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.priors import require_fresh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K210"]
_SATURATING = {"sigmoid", "tanh"}


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each hidden layer that is mostly saturated."""
    signals = [one for one in fit.model.layer_signals if one.activation in _SATURATING]
    signals = [one for one in signals if not one.is_gate]
    if not signals:
        raise NotApplicable("there is no hidden sigmoid or tanh")
    require_fresh(fit)
    for signal in signals:
        if signal.saturated > limits["share"]:
            yield INFO.finding(
                f"{signal.saturated:.0%} of the values are at an end of the {signal.activation}.",
                location=f"layer {signal.layer!r}",
                measured={"share": signal.saturated, "n": signal.n_rows},
                threshold={"share": limits["share"]},
                fix="Scale the inputs, and use the default initializer (glorot_uniform).",
                basis="batch",
            )
