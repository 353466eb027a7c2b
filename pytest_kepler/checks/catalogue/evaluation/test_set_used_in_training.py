"""K515 test-set-used-in-training: a result on the rows that the training was validated on.

What it looks at
    The rows of ``experiment.evaluate`` without a prefix, beside ``validation_data`` or
    ``eval_set`` of the fits before it: the same object, or equal row by row.
Why it matters
    Early stopping, the best checkpoint and a plateau's learning rate are choices by these rows:
    the result is too good for new ones. Without such a choice it is a warning, since people
    choose by what they watch.
What it cannot see
    Rows that are gone by then, lists, and streams other than the very object; a result of
    validation that has a prefix, ``prefix="val"``, is meant as one.
Source
    Kapoor and Narayanan (2023), https://doi.org/10.1016/j.patter.2023.100804, leakage L1
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.reuse import reuses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.fits import EvaluationView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K515"]


def check(view: EvaluationView, limits: Limits) -> Iterator[Finding]:
    """Yield one finding if the evaluated rows are those that a fit validated on."""
    given = [(fit, held) for fit in view.fits for held in fit.held_out]
    if not given:
        raise NotApplicable("no fit was given rows to validate on")
    # Those that something was chosen by come first: one finding is enough.
    given.sort(key=lambda one: not one[1].chosen_by)
    sets = (((fit, held), held.X()) for fit, held in given)
    for (fit, held), found in reuses(view, sets, limits["min-rows"]):
        if found.share < limits["same-share"] or found.is_by_nature:
            continue
        choice = f", by which {held.chosen_by} chose" if held.chosen_by else ""
        yield INFO.finding(
            f"The evaluated rows are those that the fit validated on{choice}.",
            severity="error" if held.chosen_by else "warning",
            location=f"{held.name} of the fit of {fit.kind}",
            measured={"share": found.share, "n": found.n},
            threshold={"same-share": limits["same-share"]},
            fix="Validate on a part of the training rows; a result of validation is "
            'experiment.evaluate(…, prefix="val").',
        )
        return
