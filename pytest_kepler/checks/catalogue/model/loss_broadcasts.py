"""K418 loss-broadcasts: a loss that compares every output with every label.

What it looks at
    The shapes of outputs and labels on the first rows. Torch's losses of numbers stretch (n, 1)
    and (n,) to (n, n); of a loss of the user's own, what it gives once the labels have the shape
    of the outputs is compared with what it gives for each row alone.
Why it matters
    Nothing fails: the loss is the mean over all pairs of rows, and the best answer to it is the
    mean of the labels for every row.
What it cannot see
    Losses that pair rows by intent are left alone. On its way to a loss of torch an array may get
    another shape: only tensors are sure. Keras lines up the shapes for its own losses and for
    functions; a class derived from its Loss has to do so itself.
Source
    https://pytorch.org/docs/stable/notes/broadcasting.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K418"]


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if the loss pairs outputs with the labels of other rows."""
    del limits
    found = fit.model.broadcast(fit.labels)
    if found is None:
        return
    n_values = int(np.prod(found.outputs))
    yield INFO.finding(
        f"The outputs have the shape {found.outputs} and the labels {found.labels}: the loss "
        "compares each output with the labels of all rows.",
        severity="error" if found.is_certain else "note",
        location=place(fit.model.outputs[0]),
        measured={"output shape": str(found.outputs), "label shape": str(found.labels)},
        threshold={"values": n_values},
        fix="Give the labels the shape of the outputs, y[:, None], or take the last axis of the "
        "outputs away.",
        basis="batch",
    )
