"""K413 metric-mismatch: a metric that means nothing for what is learned.

What it looks at
    The metrics of a model with one output, against its loss and its labels: accuracy of numbers,
    equality with probabilities, a threshold on scores, one-hot labels for a sparse metric.
Why it matters
    The figure that decides which model is kept stands near 0, or near 1, whatever was learned.
What it cannot see
    Metrics of the user's own. The plain string "accuracy" suits every classification.
Source
    https://keras.io/api/metrics/accuracy_metrics/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import is_reconstruction, outputs_with_targets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView, Metric, Output, Target
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding, Severity

INFO = CHECKS["K413"]
_ACCURACIES = {
    "accuracy",
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
}
_THRESHOLDED = {"BinaryAccuracy", "Precision", "Recall"}
_MANY_VALUES = 20
_HALF = 0.5
_TWO = 2
_PLAIN = "Use the string 'accuracy'."


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each metric that does not suit the labels."""
    del limits
    pairs = list(outputs_with_targets(fit))
    if len(pairs) != 1:
        raise NotApplicable("there are several outputs")
    output, target = pairs[0]
    if not fit.model.metrics:
        raise NotApplicable("there are no metrics of Keras' own")
    for metric in fit.model.metrics:
        told = _judge(metric, output, target)
        if told is not None:
            severity, message, fix = told
            if is_reconstruction(fit.data):
                severity = "warning"
            yield INFO.finding(
                message,
                severity=severity,
                location=f"metric {metric.name!r}",
                measured={"metric": metric.kind},
                threshold={"loss": output.loss.name if output.loss is not None else ""},
                fix=fix,
                basis="static",
            )


def _judge(metric: Metric, output: Output, target: Target) -> tuple[Severity, str, str] | None:
    loss, kind = output.loss, metric.kind
    if loss is None or not target.is_numeric:
        return None
    told: tuple[Severity, str, str] | None = None
    if kind in _ACCURACIES and loss.kind == "numeric" and _are_numbers(target):
        told = (
            "error",
            f"The {metric.name} counts predictions that equal the target, which numbers never do.",
            "Use 'mae', 'mse' or R2Score.",
        )
    elif kind == "Accuracy" and output.activation in {"softmax", "sigmoid"}:
        told = (
            "error",
            "Accuracy() counts probabilities that equal the labels, which they hardly ever do.",
            _PLAIN,
        )
    elif kind == "BinaryAccuracy" and loss.kind == "sparse" and (output.units or 0) > _TWO:
        told = (
            "error",
            "BinaryAccuracy compares each class's score with the number of the class.",
            _PLAIN,
        )
    elif kind == "SparseCategoricalAccuracy" and loss.kind == "categorical":
        told = (
            "error",
            "SparseCategoricalAccuracy takes class numbers, but the labels are one-hot.",
            _PLAIN,
        )
    elif kind in _THRESHOLDED and metric.threshold == _HALF and loss.from_logits:
        told = (
            "warning",
            f"The {metric.name} cuts at 0.5 what are logits, which are cut at 0.",
            f"Pass threshold 0 to {kind}, or use a sigmoid and from_logits=False.",
        )
    return told


def _are_numbers(target: Target) -> bool:
    values = target.numbers[np.isfinite(target.numbers)]
    return bool((values != np.floor(values)).any()) and len(np.unique(values)) > _MANY_VALUES
