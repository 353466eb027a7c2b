"""K404 crossentropy-form-vs-labels: one-hot labels for a sparse loss, or the reverse.

What it looks at
    The shape of the labels and the form of the cross-entropy that was compiled.
Why it matters
    The loss compares wrong numbers, or fails with a message about shapes.
What it cannot see
    Labels that a dataset makes on the fly.
Source
    https://keras.io/api/losses/probabilistic_losses/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import outputs_with_targets, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView, Output, Target
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K404"]
_MATRIX = 2


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each output whose labels have the other form."""
    del limits
    for output, target in outputs_with_targets(fit):
        if output.rank != _MATRIX or output.loss is None or output.units is None:
            continue
        shape = target.values.shape
        width = shape[1] if len(shape) == _MATRIX else 1
        if output.loss.kind == "sparse" and len(shape) == _MATRIX and width > 1:
            yield _finding(
                output,
                target,
                f"{output.loss.name} takes one class number a row, but the labels have {width} "
                "columns.",
                "Use categorical_crossentropy, or take the class numbers: y.argmax(axis=1).",
            )
        if output.loss.kind == "categorical" and width == 1 and output.units > 1:
            yield _finding(
                output,
                target,
                f"{output.loss.name} takes one-hot labels, but there is one number a row.",
                "Use sparse_categorical_crossentropy, or make the labels one-hot: "
                "keras.utils.to_categorical(y).",
            )


def _finding(output: Output, target: Target, message: str, fix: str) -> Finding:
    columns = target.values.shape[1] if target.values.ndim == _MATRIX else 1
    return INFO.finding(
        message,
        location=place(output),
        measured={"label columns": columns, "units": output.units},
        threshold={"label columns": 1 if columns > 1 else output.units},
        fix=fix,
        basis="static",
    )
