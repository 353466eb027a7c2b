"""K404 crossentropy-form-vs-labels: one-hot labels for a sparse loss, or the reverse.

What it looks at
    The shape of the labels and the form of the cross-entropy; for torch, also the type of labels
    that are tensors.
Why it matters
    The loss compares wrong numbers, or fails with a message about shapes.
What it cannot see
    Labels that a dataset makes on the fly.
Source
    https://keras.io/api/losses/probabilistic_losses/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.adapters.views import is_tensor
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import outputs_with_targets, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView, Output, Target
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K404"]
_MATRIX = 2
_FLOATING = "Take the class numbers: y.argmax(1); or shares as floating-point numbers: y.float()."


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each output whose labels have the other form."""
    del limits
    for output, target in outputs_with_targets(fit):
        if output.loss is None or output.units is None:
            continue
        if output.rank != _MATRIX:
            yield from _floating(output, target, fit)
            continue
        shape = target.values.shape
        width = shape[1] if len(shape) == _MATRIX else 1
        if output.loss.kind == "sparse" and len(shape) == _MATRIX and width > 1:
            yield _finding(
                output,
                target,
                f"{output.loss.name} takes one class number a row, but the labels have {width} "
                "columns.",
                _FLOATING
                if fit.model.framework == "torch"
                else "Use categorical_crossentropy, or take the class numbers: y.argmax(axis=1).",
            )
        elif output.loss.kind == "sparse" and fit.model.framework == "torch":
            yield from _floating(output, target, fit)
            yield from _column(output, target, fit)
        if output.loss.kind == "categorical" and width == 1 and output.units > 1:
            yield _finding(
                output,
                target,
                f"{output.loss.name} takes one-hot labels, but there is one number a row.",
                "Use sparse_categorical_crossentropy, or make the labels one-hot: "
                "keras.utils.to_categorical(y).",
            )


def _floating(output: Output, target: Target, fit: FitView) -> Iterator[Finding]:
    """Yield a finding for class numbers in a tensor of a type that torch refuses."""
    labels = fit.labels
    is_sparse = output.loss is not None and output.loss.kind == "sparse"
    # An array is made a tensor by the loop: of what type, is not seen here.
    if is_sparse and is_tensor(labels) and str(labels.dtype).startswith("torch.float"):
        yield _finding(
            output,
            target,
            f"{output.loss.name if output.loss else ''} takes class numbers as whole numbers, but "
            f"the labels are {labels.dtype}.",
            "Make them whole: y.long().",
        )


def _column(output: Output, target: Target, fit: FitView) -> Iterator[Finding]:
    """Yield a finding for class numbers in a tensor with a column where torch wants none."""
    if is_tensor(fit.labels) and fit.labels.ndim == _MATRIX:
        yield _finding(
            output,
            target,
            f"{output.loss.name if output.loss else ''} takes labels of the shape (rows,), but "
            f"theirs is {tuple(fit.labels.shape)}.",
            "Take the column: y[:, 0].",
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
