"""K713 declared-expectation-broken: answers that do what you said they would not.

What it looks at
    What you expect with ``invariant_to=`` and ``monotone=``: 128 of your rows and 128 between them
    are asked twice, the second time with another value in the column. The share of pairs that
    break the expectation, by more than one point of probability or one hundredth of the answers'
    spread. It shows the most typical row that does, with the least change. An expectation that
    no row can break, of a column with one value, say, is an error too: it was never tried.
Why it matters
    A model may be accurate and still answer what the field knows to be wrong.
What it cannot see
    What was not expected, rows unlike those that were given, and models whose answers are random.
Source
    https://aclanthology.org/2020.acl-main.442/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.answers import largest_difference
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.expectations import NeverTriedError, Trials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import BehaviourView, Expectation
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K713"]
_BROKEN: Final = {
    "invariant": "The answers change with {}, which should not matter.",
    "increasing": "The answers fall where {} rises, with which they should rise.",
    "decreasing": "The answers rise where {} rises, with which they should fall.",
}


def check(behaviour: BehaviourView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each expectation that does not hold."""
    if not behaviour.expectations:
        raise NotApplicable("nothing was expected")
    if largest_difference(*behaviour.twice) > limits["tol"]:
        raise NotApplicable("two answers for the same rows differ")
    trials = Trials(behaviour, limits["tol"])
    for expectation in behaviour.expectations:
        try:
            trial = trials.run(expectation)
        except NeverTriedError as reason:
            yield _untried(expectation, str(reason))
            continue
        share = trial.n_broken / trial.n_pairs
        if not trial.example or share <= limits["fail-rate"]:
            continue
        where = f"column {expectation.label!r}"
        yield INFO.finding(
            _BROKEN[expectation.kind].format(where),
            location=where,
            measured={"share of pairs": share, trial.unit: trial.worst, "n": trial.n_pairs},
            threshold={"fail-rate": limits["fail-rate"], "tol": limits["tol"]},
            fix="Leave the column out, constrain the model, or correct the expectation.",
            basis="batch",
            example=trial.example,
        )


def _untried(expectation: Expectation, reason: str) -> Finding:
    """Return the finding of an expectation that no row could break: it must not pass."""
    where = f"column {expectation.label!r}"
    return INFO.finding(
        f"What is expected of {where} was never tried: {reason}.",
        location=where,
        measured={"n": 0},
        fix="Give rows in which it can be seen, or correct the expectation.",
        basis="batch",
    )
