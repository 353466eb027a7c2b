"""K408 wrong-activation-for-task: a last activation that does not suit the labels.

What it looks at
    The last activation and the cross-entropy against labels of 0 and 1 in several columns: one in
    each row, or any number.
Why it matters
    A softmax lets the classes compete: two that hold at once cannot both be certain. Sigmoids in
    a categorical loss need not sum to 1, so that the loss can be lowered without learning.
What it cannot see
    Soft labels, and losses of the user's own.
Source
    https://keras.io/api/losses/probabilistic_losses/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import is_reconstruction, outputs_with_targets, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding, Severity

INFO = CHECKS["K408"]
_SEVERAL = 2


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each output whose activation does not suit its labels."""
    pairs = [
        (output, target)
        for output, target in outputs_with_targets(fit)
        if output.loss is not None
        and output.loss.kind in {"categorical", "binary"}
        and not output.loss.from_logits
        and output.rank == _SEVERAL
        and (output.units or 0) > _SEVERAL
        and target.is_numeric
        and target.values.ndim == _SEVERAL
    ]
    if not pairs or is_reconstruction(fit.data):
        raise NotApplicable("no output has labels of 0 and 1 in several columns")
    for output, target in pairs:
        numbers = target.numbers
        if not np.isin(numbers, (0.0, 1.0)).all():
            continue  # soft labels
        several = float((numbers.sum(axis=1) != 1).mean())
        kind = output.loss.kind if output.loss is not None else ""
        told = _judge(output.activation, kind, several > limits["share"])
        if told is not None:
            severity, message, fix = told
            yield INFO.finding(
                message,
                severity=severity,
                location=place(output),
                measured={"share of rows without just one label": several},
                threshold={"share": limits["share"]},
                fix=fix,
            )


def _judge(activation: str, kind: str, is_multilabel: bool) -> tuple[Severity, str, str] | None:
    one_of_many = "Use softmax with categorical_crossentropy."
    if activation == "softmax" and is_multilabel:
        return (
            "error" if kind == "categorical" else "warning",
            "Several labels may hold in one row, but the softmax lets only one be certain.",
            "Use sigmoid with binary_crossentropy.",
        )
    if activation == "sigmoid" and kind == "categorical":
        return (
            "error",
            "The categorical loss gets sigmoids, which do not sum to 1.",
            "Use sigmoid with binary_crossentropy." if is_multilabel else one_of_many,
        )
    if not is_multilabel and kind == "binary" and activation in {"softmax", "sigmoid"}:
        return (
            "warning",
            f"Each row has one label, but binary cross-entropy of a {activation} takes each alone.",
            one_of_many,
        )
    return None
