"""K114 batches-single-class: batches that hold one class each.

What it looks at
    The labels of the first 20 batches of a `tf.data` pipeline that can be read without
    changing it; one that shuffles is not read.
Why it matters
    Each step pulls the weights to one class: the model answers the class that it saw last.
What it cannot see
    Shuffle buffers that are too small for the longest run of a class.
Source
    https://www.tensorflow.org/api_docs/python/tf/data/Dataset#shuffle
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_kepler.adapters.views import NotApplicable, is_dataset
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import require_classification

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K114"]
_MIN_BATCH = 8
_MIN_BATCHES = 5
_SHOWN = 3


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if batches hold far fewer classes than the data."""
    if not is_dataset(fit.source):
        raise NotApplicable("X is not a dataset of batches")
    task = require_classification(fit.data)
    from pytest_kepler.adapters.keras.datasets import label_batches

    batches = label_batches(fit.source)
    if len(batches) < 2 or max(map(len, batches)) < _MIN_BATCH:  # noqa: PLR2004
        raise NotApplicable(f"there are no two batches of {_MIN_BATCH} rows")
    # Sorted rows may fill all of the first batches with one class: ask all that is known.
    pooled = max(_mix(np.concatenate(batches)), _mix(fit.data.target.codes[1]))
    if pooled <= 0:
        raise NotApplicable("there is one class")
    ratio = float(np.mean([_mix(batch) for batch in batches])) / pooled
    if ratio >= limits["ratio"]:
        return
    is_pure = all(_mix(batch) == 0 for batch in batches) and len(batches) >= _MIN_BATCHES
    shown = []
    for batch in batches[:_SHOWN]:
        labels, counts = np.unique(batch, return_counts=True)
        shown.append(", ".join(f"{n} of {label}" for label, n in zip(labels, counts, strict=True)))
    yield INFO.finding(
        "Each batch holds one class only." if is_pure else "Most batches hold one class or two.",
        severity="error" if is_pure and not task.is_inferred else "warning",
        location=f"first batches: {'; '.join(shown)}",
        measured={"ratio": ratio, "batches": len(batches)},
        threshold={"ratio": limits["ratio"]},
        fix="Shuffle before batching: dataset.shuffle(n_rows).batch(…).",
        basis="batch",
        is_inferred=task.is_inferred,
    )


def _mix(labels: NDArray[Any]) -> float:
    """Return the chance that two rows of the batch are of two classes."""
    counts = np.unique(labels, return_counts=True)[1]
    return float(1 - np.square(counts / len(labels)).sum())
