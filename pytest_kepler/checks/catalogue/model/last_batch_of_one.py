"""K113 last-batch-of-one: a batch normalisation that sees a single row.

What it looks at
    The number of training rows, the batch size, and whether the network normalises over the
    rows of a batch alone: dense layers with batch normalisation.
Why it matters
    The spread of one row is zero: the layer forgets its input in that step, and its moving
    variance is pulled to zero.
What it cannot see
    Datasets that make their own batches.
Source
    https://keras.io/api/layers/normalization_layers/batch_normalization/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K113"]
_MATRIX = 2
#: Layers after which a row may have several positions to normalise over.
_SPREADING = {"conv", "embedding", "recurrent"}


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a warning if the last batch has one row and a layer normalises over rows."""
    del limits
    layers = fit.model.layers
    source = fit.data.block.source
    if len(getattr(source, "shape", ())) != _MATRIX:
        raise NotApplicable("a row is more than one list of numbers")
    if any(layer.kind in _SPREADING for layer in layers):
        raise NotApplicable("the normalisation may run over positions too")
    norms = [layer.name for layer in layers if layer.kind == "batchnorm" and layer.is_trainable]
    if not norms:
        raise NotApplicable("no layer normalises over the batch")
    if not fit.data.complete or fit.source is not source:
        raise NotApplicable("the batches are made elsewhere")
    n_rows = fit.data.block.n_rows
    held_out = fit.fit_kwargs.get("validation_split") or 0
    n_train = int(n_rows * (1 - held_out))
    batch_size = fit.batch_size or fit.model.default_batch_size or 0
    if n_train <= 1 or batch_size <= 1 or n_train % batch_size != 1:
        return
    yield INFO.finding(
        f"The last of the batches of {batch_size:,} has one row, and batch normalisation cannot "
        "tell the spread of one row.",
        location=f'layer "{norms[0]}", batch_size of fit()',
        measured={"rows of the last batch": 1, "rows": n_train, "batch size": batch_size},
        threshold={"rows of the last batch": 2},
        fix="Change the batch size by one, or drop the row.",
        basis="static",
    )
