"""K405 output-units-vs-classes: not as many outputs as the labels need.

What it looks at
    The units of the last layer and the classes that occur in the labels.
Why it matters
    With too few units a class can never be answered; on a GPU the loss may be NaN without an
    error.
What it cannot see
    Classes that do not occur in these rows. More units than classes are no fault.
Source
    https://keras.io/api/losses/probabilistic_losses/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import outputs_with_targets, place, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView, Output, Target
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K405"]
_MATRIX = 2
_BINARY = 2


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each output with too few units, or another width than its labels."""
    del limits
    for output, target in outputs_with_targets(fit):
        if output.rank != _MATRIX or output.loss is None or output.units is None:
            continue
        if not target.is_numeric:
            continue
        if output.loss.kind == "sparse":
            yield from _too_few_units(output, target)
        elif output.loss.kind in {"categorical", "binary"}:
            yield from _other_width(output, target)


def _too_few_units(output: Output, target: Target) -> Iterator[Finding]:
    ignored = output.loss.ignore_class if output.loss else None
    if target.values.ndim > 1 and target.values.shape[-1] > 1:
        return
    classes = np.unique(target.values)
    n_classes = len(classes[classes != ignored]) if ignored is not None else len(classes)
    whole = target.values.dtype.kind in "biu" or bool((classes == np.floor(classes)).all())
    if whole and output.units is not None and output.units < n_classes:
        yield _finding(output, n_classes)


def _other_width(output: Output, target: Target) -> Iterator[Finding]:
    values = target.values
    width = values.shape[1] if values.ndim == _MATRIX else 1
    if width == 1 and output.units == 1:
        n_classes = len(np.unique(values))
        are_classes = bool((values == np.floor(target.numbers)).all()) and n_classes <= max(
            20, np.sqrt(len(values))
        )
        if output.loss and output.loss.kind == "binary" and are_classes and n_classes > _BINARY:
            yield _finding(output, n_classes)
        return
    is_categorical_number = output.loss is not None and (
        output.loss.kind == "categorical" and width == 1
    )
    if width != output.units and not is_categorical_number:
        fix = f"Give the last layer {width} units."
        if width == 1:
            fix = "Give the last layer 1 unit with a sigmoid, or use a sparse categorical loss."
        yield INFO.finding(
            f"The labels have {plural(width, 'column')}, the last layer has {output.units} units.",
            location=place(output),
            measured={"units": output.units},
            threshold={"units": width},
            fix=fix,
            basis="static",
        )


def _finding(output: Output, n_classes: int) -> Finding:
    return INFO.finding(
        f"The labels have {n_classes} classes, the last layer has {output.units} "
        f"{'unit' if output.units == 1 else 'units'}.",
        location=place(output),
        measured={"units": output.units},
        threshold={"units": n_classes},
        fix=f"Give the last layer {n_classes} units.",
    )
