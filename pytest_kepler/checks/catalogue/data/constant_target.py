"""K319 constant-target: a target with nothing to learn.

What it looks at
    The distinct values of the target, or its spread if it is a number.
Why it matters
    A model that always answers the same is perfect on such data.
What it cannot see
    A target that is constant in almost all rows; some constant columns of 16 or more, which
    images have.
Source
    https://scikit-learn.org/stable/modules/generated/sklearn.dummy.DummyClassifier.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import is_reconstruction, listed, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import DataView, Target
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K319"]
_MIN_REL_SD = 1e-12
_MIN_ROWS = 2
_IMAGE = 16


def check(data: DataView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each constant target; a warning if there are others."""
    del limits
    if not data.targets:
        raise NotApplicable(data.unreadable or "no target was given")
    if data.model is not None and data.model.is_unsupervised:
        raise NotApplicable("the model learns one class, or none")
    if not data.complete:
        raise NotApplicable("only the first batches of the dataset were read")
    for target in data.targets:
        if target.n_rows < _MIN_ROWS:
            raise NotApplicable("there is only one row")
        columns = _columns(target)
        width = columns.shape[1]
        if width > 1 and is_reconstruction(data):
            raise NotApplicable("the target is the input")
        constant = [j for j in range(width) if _is_constant(columns[:, j])]
        # Pixels of an image that is to be made may well be constant: not all of them.
        if not constant or (width >= _IMAGE and len(constant) < width):
            continue
        is_only = len(data.targets) == 1
        value = f", {columns[0, constant[0]]}," if width == 1 else ""
        which = "The target has" if width == 1 else f"{plural(len(constant), 'target column')} have"
        yield INFO.finding(
            f"{which} the same value{value} in all {target.n_rows:,} rows.",
            severity="error" if len(constant) == width and is_only else "warning",
            location=f"target {target.name}{'' if width == 1 else f', column {listed(constant)}'}",
            measured={"distinct values": 1, "n": target.n_rows},
            threshold={"distinct values": 2},
            fix="Check that this is the right column, and the filter before it.",
        )


def _columns(target: Target) -> NDArray[np.generic]:
    return target.values.reshape(target.n_rows, -1) if target.n_rows else target.values[:, None]


def _is_constant(values: NDArray[np.generic]) -> bool:
    try:
        if np.all(values == values[0]):
            return True
    except (TypeError, ValueError):
        return False
    if values.dtype.kind != "f":
        return False
    numbers = values.astype(np.float64)
    return bool(numbers.std() < _MIN_REL_SD * max(1.0, abs(float(numbers.mean()))))
