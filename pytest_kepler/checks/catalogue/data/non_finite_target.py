"""K305 non-finite-target: rows without a label, or with an infinite one.

What it looks at
    Every value of the target. Labels of -1 that mark rows as unlabelled are values.
Why it matters
    A single NaN in the target makes the loss NaN and the metric meaningless.
What it cannot see
    Wrong labels, and labels that stand for missing ones without being missing.
Source
    https://scikit-learn.org/stable/common_pitfalls.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import SHOWN, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import DataView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K305"]


def check(data: DataView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each target with missing or infinite values."""
    del limits
    if not data.targets:
        raise NotApplicable(data.unreadable or "no target was given")
    if _has_loss_of_its_own(data):
        raise NotApplicable("a loss of the user's own may mask missing labels")
    for target in data.targets:
        if not target.n_rows:
            continue
        missing = target.missing.reshape(target.n_rows, -1).any(axis=1)
        infinite = np.zeros(target.n_rows, dtype=bool)
        if target.values.dtype.kind == "f":
            infinite |= np.isinf(target.values).reshape(target.n_rows, -1).any(axis=1)
        rows = np.flatnonzero(missing | infinite)
        if not len(rows):
            continue
        n_missing, n_infinite = int(missing.sum()), int(infinite.sum())
        what = "missing" if not n_infinite else "infinite" if not n_missing else "not finite"
        yield INFO.finding(
            f"{plural(len(rows), 'value')} of {target.n_rows:,} in the target "
            f"{'is' if len(rows) == 1 else 'are'} {what}.",
            location=f"target {target.name}",
            measured={
                "missing": n_missing,
                "infinite": n_infinite,
                "rows": rows[:SHOWN].tolist(),
                "n": target.n_rows,
            },
            threshold={"values": 0},
            fix="Drop the rows without a label before splitting.",
        )


def _has_loss_of_its_own(data: DataView) -> bool:
    losses = data.model.losses if data.model is not None else ()
    return any(loss is not None and loss.kind == "custom" for loss in losses)
