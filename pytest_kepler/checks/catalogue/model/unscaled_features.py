"""K303 unscaled-features: features of very different sizes for a model that minds.

What it looks at
    The spreads of the columns that take many values, if the estimator depends on them and no
    step before it scales. Trees, boosting and naive Bayes do not mind; for networks, K204 asks
    the first layer itself.
Why it matters
    Distances and gradients are ruled by the largest column; the others are hardly read.
What it cannot see
    Scaling inside a step of the user's own, which is trusted.
Source
    https://scikit-learn.org/stable/modules/preprocessing.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.estimators import GRADIENT, KEEP_UNITS, minds_scale
from pytest_kepler.checks.predicates import continuous

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Block, FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K303"]
_NEAR_CONSTANT = 0.01
_BYTE = 255


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if the sizes of the features differ too much for the estimator."""
    if fit.model.is_network:
        raise NotApplicable("K204 looks at the first layer itself")
    sensitive = next((one for one in fit.model.estimators if minds_scale(one)), None)
    if sensitive is None:
        raise NotApplicable("the estimator does not depend on the scale of the features")
    for step in fit.model.steps:
        if type(step).__name__ not in KEEP_UNITS:
            raise NotApplicable(f"{type(step).__name__} before the estimator may scale")
    block = fit.data.block
    if block.is_sparse:
        raise NotApplicable("a sparse matrix is left as it is")
    mask = _measurements(block)
    if not mask.any():
        raise NotApplicable("no column takes many values")
    if _are_bytes(block):
        raise NotApplicable("all columns are in one unit, as pixels are")
    yield from _judge(block, mask, sensitive, limits)


def _judge(
    block: Block, mask: NDArray[np.bool_], estimator: Any, limits: Limits
) -> Iterator[Finding]:
    sd, mean = block.stats.sd, block.stats.mean
    positions = np.flatnonzero(mask)
    widest, narrowest = positions[np.argmax(sd[mask])], positions[np.argmin(sd[mask])]
    ratio = float(sd[widest] / sd[narrowest])
    rms = np.sqrt(np.square(sd) + np.square(mean))
    largest = positions[np.argmax(rms[mask])]
    uses_gradients = type(estimator).__name__ in GRADIENT
    name = type(estimator).__name__
    wide, narrow, large = (
        block.called(block.numeric_labels[j]) for j in (widest, narrowest, largest)
    )
    fix = f"Put a scaler before it: make_pipeline(StandardScaler(), {name}(…))."
    if ratio > limits["max-ratio"]:
        yield INFO.finding(
            f"{name} depends on the scale of the features, and {wide} varies {ratio:,.0f} times as "
            f"much as {narrow}.",
            location=f"{wide} and {narrow}",
            measured={
                "ratio": ratio,
                "largest sd": float(sd[widest]),
                "smallest sd": float(sd[narrowest]),
                "n": len(block.matrix),
            },
            threshold={"max-ratio": limits["max-ratio"]},
            fix=fix,
            basis=block.basis,
        )
    elif uses_gradients and rms[largest] > limits["max-rms"]:
        yield INFO.finding(
            f"{name} is trained by gradients, and the values of {large} are of the order of "
            f"{rms[largest]:,.0f}.",
            location=large,
            measured={"rms": float(rms[largest]), "n": len(block.matrix)},
            threshold={"max-rms": limits["max-rms"]},
            fix=fix,
            basis=block.basis,
        )


def _measurements(block: Block) -> NDArray[np.bool_]:
    """Return the columns that take many values and are not constant but for a few rows."""
    mask = continuous(block) & (block.stats.sd > 0)
    if mask.any():
        mask &= block.stats.sd >= _NEAR_CONSTANT * np.median(block.stats.sd[mask])
    return mask


def _are_bytes(block: Block) -> bool:
    stats = block.stats
    return bool(block.integral.all() and stats.low.min() >= 0 and stats.high.max() <= _BYTE)
