"""K514 dead-units-after-training: units of a ReLU layer that training put out of use.

What it looks at
    The share of units, or channels, of each hidden ReLU of a trained network that are 0 for all of
    256 rows. Where the answers are nearly right all the same, it is a note: a wide layer can do
    without most of its units.
Why it matters
    A unit that is 0 for all rows gets no gradient and stays so. A layer loses most of its units to
    steps that are too large.
What it cannot see
    Fewer than 256 rows, rows sorted by their label, gates, and networks whose weights are made
    small or zero on purpose: by a penalty, a decay or pruning.
Source
    Lu, Shin, Su and Karniadakis (2020), https://doi.org/10.4208/cicp.OA-2020-0165
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import label_changes
from pytest_kepler.checks.quality import quality_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import Array, BehaviourView, ModelView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.checks.quality import Quality
    from pytest_kepler.records import Finding, Severity

INFO = CHECKS["K514"]
_MIN_ROWS = 256
_MIN_UNITS = 8
_SORTED = 0.5
_RELUS = {"relu", "relu6"}


def check(behaviour: BehaviourView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each hidden ReLU layer that is mostly dead."""
    model, rows = behaviour.spread
    signals = [one for one in model.layer_signals if one.activation in _RELUS]
    signals = [one for one in signals if one.n_units >= _MIN_UNITS and not one.is_gate]
    if not signals:
        raise NotApplicable("there is no hidden ReLU layer")
    if model.is_fresh:
        raise NotApplicable("the network is not trained")
    if model.is_thinned:
        raise NotApplicable("the weights are made small or zero on purpose")
    if signals[0].n_rows < _MIN_ROWS:
        raise NotApplicable(f"there are fewer than {_MIN_ROWS} rows")
    _require_mixed_rows(behaviour)
    dead = [one for one in signals if one.dead >= limits["dead-share"]]
    quality = _quality(behaviour, model, rows) if dead else None
    is_good = quality is not None and quality.skill >= limits["good-skill"]
    severity: Severity = "note" if is_good else "warning"
    for one in dead:
        measured = {"share": one.dead, "n": one.n_rows}
        if quality is not None:
            measured[quality.name] = quality.value
        yield INFO.finding(
            f"After training, {one.dead:.0%} of the {one.n_units:,} units give 0 for every row.",
            severity=severity,
            location=f"layer {one.layer!r}",
            measured=measured,
            threshold=dict(limits),
            fix="Lower the learning rate, or take leaky_relu and the he_normal initializer.",
            basis="batch",
        )


def _require_mixed_rows(behaviour: BehaviourView) -> None:
    """Raise `NotApplicable` for rows sorted by label: the first of them may be of few classes."""
    targets = behaviour.data.targets
    is_single = len(targets) == 1 and targets[0].values.ndim == 1
    if is_single and label_changes(targets[0]) < _SORTED:
        raise NotApplicable("the rows are sorted by their label")


def _quality(behaviour: BehaviourView, model: ModelView, rows: Array) -> Quality | None:
    """Return how good the answers are; None where nobody can tell."""
    try:
        found = model.batch_outputs
        if len(found) != 1:
            return None
        return quality_of(behaviour.data, rows[: len(found[0])], found[0])
    except NotApplicable:
        return None
