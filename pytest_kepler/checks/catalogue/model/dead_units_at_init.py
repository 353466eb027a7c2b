"""K206 dead-units-at-init: units of a ReLU layer that give 0 for every row before training.

What it looks at
    The share of units, or channels, of each hidden ReLU that are 0 for all of the first rows.
    Only models with fresh weights; gates, which are few units on averaged inputs, are left out.
Why it matters
    A unit that is 0 for all rows gets no gradient: it stays dead.
What it cannot see
    Batches of fewer than 128 rows, layers after a BatchNorm, and models whose graph cannot be
    seen.
Source
    Lu, Shin, Su and Karniadakis (2020), https://doi.org/10.4208/cicp.OA-2020-0165
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.priors import require_fresh

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_kepler.adapters.views import FirstSignal, FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding, Severity

INFO = CHECKS["K206"]
_MIN_ROWS = 128
_MIN_UNITS = 8
_LARGE_INPUT = 30.0
_RELUS = {"relu", "relu6"}


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each hidden ReLU layer that is mostly dead."""
    signals = [one for one in fit.model.layer_signals if one.activation in _RELUS]
    signals = [one for one in signals if one.n_units >= _MIN_UNITS]
    signals = [one for one in signals if not one.is_gate and not one.is_normalised]
    if not signals:
        raise NotApplicable("there is no hidden ReLU layer")
    require_fresh(fit)
    if signals[0].n_rows < _MIN_ROWS:
        raise NotApplicable(f"there are fewer than {_MIN_ROWS} rows")
    if any(signal.rms > _LARGE_INPUT for signal in _first_signals(fit)):
        raise NotApplicable("the inputs are too large")
    for signal in signals:
        severity: Severity = "error" if signal.dead >= limits["error-share"] else "warning"
        if signal.dead >= limits["warn-share"]:
            yield INFO.finding(
                f"{signal.dead:.0%} of the {signal.n_units:,} units give 0 for every row.",
                severity=severity,
                location=f"layer {signal.layer!r}",
                measured={"share": signal.dead, "n": signal.n_rows},
                threshold=dict(limits),
                fix="Start the biases at 0, and use the default or the he_normal initializer.",
                basis="batch",
            )


def _first_signals(fit: FitView) -> Sequence[FirstSignal]:
    try:
        return fit.model.first_signals
    except NotApplicable:
        return ()  # an embedding sees the inputs first
