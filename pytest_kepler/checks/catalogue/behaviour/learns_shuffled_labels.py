"""K704 learns-shuffled-labels: a procedure that scores well where there is nothing to learn.

What it looks at
    The function given as ``procedure=``, which splits, prepares, trains and scores. It is called
    three times with the target shuffled. The mean score against that of guessing: the share of
    the commonest class, 0 for numbers, or ``chance=`` if you tell it. 0.05 and three standard
    errors are granted; a quarter of the rows is taken to be what it scores on.
Why it matters
    Only a leak scores on noise: features chosen before the split, rows on both sides, a target
    among the features.
What it cannot see
    A leak that the labels are no part of; a score whose guessing level is another, such as the
    area under a curve (0.5), unless ``chance=`` tells it. A loss must be negated.
Source
    https://jmlr.org/papers/v11/ojala10a.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_kepler.adapters import views
from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import class_counts, task_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import BehaviourView, Procedure
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K704"]
_REPEATS: Final = 3
_MIN_ROWS: Final = 120
_TESTED: Final = 0.25


def check(behaviour: BehaviourView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if shuffled labels are learned."""
    procedure = behaviour.procedure
    if procedure is None:
        raise NotApplicable("no procedure was given")
    data = views.read_data(procedure.X, procedure.y)
    n = data.target.n_rows
    if n < _MIN_ROWS:
        raise NotApplicable(f"there are fewer than {_MIN_ROWS} rows")
    is_choice = task_of(data).kind == "classification"
    commonest = max(class_counts(data).values()) / n if is_choice else 0.0
    chance = commonest if procedure.chance is None else procedure.chance
    scores = _scores(procedure, n)
    spread = np.sqrt(max(chance * (1 - chance), _TESTED) / (_TESTED * n))
    error = max(float(spread), float(scores.std(ddof=1))) / np.sqrt(_REPEATS)
    granted = max(limits["margin"], limits["errors"] * error)
    score = float(scores.mean())
    if score > chance + granted:
        yield INFO.finding(
            f"With shuffled labels the procedure still scores {score:.3g}; guessing gives "
            f"{chance:.3g}.",
            location="procedure",
            measured={"score": score, "repeats": _REPEATS, "n": n},
            threshold={"score": chance + granted},
            fix="Choose features, fill and scale after the split, on training rows alone.",
            basis="baseline",
        )


def _scores(procedure: Procedure, n: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    rng = np.random.default_rng(0)
    found = [
        float(procedure.score(procedure.X, _shuffled(procedure.y, rng.permutation(n))))
        for _ in range(_REPEATS)
    ]
    return np.array(found, dtype=np.float64)


def _shuffled(y: object, order: views.Array) -> object:
    """Return a target in another order, with the row labels that it had."""
    shuffled = views.rows_at(y, order)
    index = getattr(y, "index", None)
    return shuffled.set_axis(index) if hasattr(shuffled, "set_axis") else shuffled
