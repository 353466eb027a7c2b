"""K101 batch-exceeds-data: an epoch without a single step.

What it looks at
    The number of rows, the batch size, and the number of batches that a dataset or loader says
    it has.
Why it matters
    A loader that drops its only, incomplete batch trains nothing, without an error.
What it cannot see
    How many batches a generator yields.
Source
    https://www.tensorflow.org/api_docs/python/tf/data/Dataset#batch, on drop_remainder
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_kepler.adapters.views import NotApplicable, is_dataset
from pytest_kepler.checks.codes import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K101"]
_FIX = "Lower the batch size, or do not drop the last, incomplete batch."


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield an error if there are no steps, a note if one batch holds more than all rows."""
    del limits
    steps = _steps(fit.source)
    if steps == 0:
        yield INFO.finding(
            "The dataset has no batch: an epoch trains nothing.",
            location="X of fit()",
            measured={"steps": 0},
            threshold={"steps": 1},
            fix=_FIX,
            basis="static",
        )
        return
    if steps is not None:
        return
    if fit.batch_size is None or fit.data.unreadable:
        raise NotApplicable(fit.data.unreadable or "no batch size was given")
    n_rows = fit.data.blocks[0].n_rows
    held_out = fit.fit_kwargs.get("validation_split") or 0
    n_train = int(n_rows * (1 - held_out)) if isinstance(held_out, float) else n_rows
    if n_train == 0:
        yield INFO.finding(
            "No row is left to train on.",
            location="X of fit()",
            measured={"rows": n_train},
            threshold={"rows": 1},
            fix="Give more rows, or hold out fewer with validation_split.",
            basis="static",
        )
    elif fit.batch_size > n_train:
        yield INFO.finding(
            f"The batch size {fit.batch_size:,} exceeds the {n_train:,} training rows: an epoch "
            "is one step.",
            severity="note",
            location="batch_size of fit()",
            measured={"batch size": fit.batch_size, "rows": n_train},
            threshold={"batch size": n_train},
            fix="Lower the batch size if one step an epoch is not meant.",
            basis="static",
        )


def _steps(source: Any) -> int | None:
    """Return the number of batches that a dataset or a loader says it has."""
    if is_dataset(source):
        cardinality = int(source.cardinality())
        return cardinality if cardinality >= 0 else None
    if hasattr(source, "batch_size") and hasattr(source, "__len__"):
        try:
            return len(source)
        except TypeError:  # a loader of a stream has no length
            return None
    return None
