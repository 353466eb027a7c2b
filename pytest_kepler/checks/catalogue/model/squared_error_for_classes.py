"""K409 squared-error-for-classes: a squared or absolute error where classes are learned.

What it looks at
    The loss of outputs behind a softmax with labels of one class a row, or behind a sigmoid with
    labels of 0 and 1 and a metric of classification.
Why it matters
    The gradient of a certain but wrong answer fades: learning is slow just where it is needed.
What it cannot see
    Losses of the user's own. Training on the Brier score looks the same: waive it there.
Source
    Goodfellow, Bengio and Courville (2016), Deep Learning, section 6.2.2
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import (
    ABSOLUTE,
    SQUARED,
    is_reconstruction,
    outputs_with_targets,
    place,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K409"]


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each output that learns classes by a squared error."""
    del limits
    pairs = [
        (output, target)
        for output, target in outputs_with_targets(fit)
        if output.loss is not None and output.loss.name.lower() in SQUARED | ABSOLUTE
    ]
    if not pairs or is_reconstruction(fit.data):
        raise NotApplicable("no output is judged by a squared or absolute error")
    is_judged = any("accuracy" in name.lower() for name in fit.model.metric_names)
    for output, target in pairs:
        if not target.is_numeric or output.loss is None:
            continue
        of_classes = output.activation == "softmax" and target.is_one_hot
        binary = np.isin(target.values, (0, 1)).all()
        of_one = output.activation == "sigmoid" and is_judged and bool(binary)
        if of_classes or of_one:
            yield INFO.finding(
                f"Classes are learned by {output.loss.name}, behind a {output.activation}.",
                location=place(output),
                measured={"loss": output.loss.name},
                threshold={"loss": "cross-entropy"},
                fix=_fix(fit, of_classes=of_classes),
                basis="static",
            )


def _fix(fit: FitView, *, of_classes: bool) -> str:
    if fit.model.framework == "torch":
        loss, last = ("CrossEntropyLoss", "softmax") if of_classes else ("BCELoss", "")
        return f"Use {loss}" + (f" on the scores, without the {last}." if last else ".")
    return f"Use {'categorical' if of_classes else 'binary'}_crossentropy."
