"""K614 test-used-for-choice: a result on rows that were fitted on, or chosen by.

What it looks at
    The rows of ``experiment.evaluate`` without a prefix, beside those that the model was fitted
    on, and those of the searches, calibrators, threshold tuners and selectors before it.
Why it matters
    The model, or what was chosen for it, knows the answers: the result is too good.
What it cannot see
    Fits outside ``experiment.fit``, rows that are gone by then, lists and streams; rows that
    were scaled in between. Rows that are equal because the data repeats itself do not count.
Source
    Kapoor and Narayanan (2023), https://doi.org/10.1016/j.patter.2023.100804, leakage L1.1, L1.3
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import plural
from pytest_kepler.checks.reuse import reuses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.fits import EvaluationView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K614"]


def check(view: EvaluationView, limits: Limits) -> Iterator[Finding]:
    """Yield one finding if evaluated rows were in a fit, a choice first."""
    fits = [fit for fit in view.fits if fit.has_target]
    if not fits:
        raise NotApplicable("no fit of a target was recorded")
    fits.sort(key=lambda one: not one.choice)
    for fit, found in reuses(view, ((fit, fit.X()) for fit in fits), limits["min-rows"]):
        name = "choice-share" if fit.choice else "fit-share"
        too_few = found.count < limits["min-rows"] or found.share <= limits[name]
        if too_few or found.is_by_nature:
            continue
        by = fit.choice or fit.kind
        yield INFO.finding(
            f"{plural(found.count, 'evaluated row')} of {found.n:,} "
            f"{'was' if found.count == 1 else 'were'} in the fit of {by}.",
            severity="error" if fit.choice else "warning",
            location=f"fit of {fit.kind}",
            measured={"share": found.share, "rows": found.count, "n": found.n},
            threshold={name: limits[name]},
            fix="Keep the rows that are evaluated out of every fit; a result on training rows is "
            'experiment.evaluate(…, prefix="train").',
        )
        return
