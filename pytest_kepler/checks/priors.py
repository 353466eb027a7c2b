"""What a loss would be without learning anything, and what it can be at best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.predicates import ABSOLUTE, HALF_SQUARED, SQUARED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Array, FitView, Loss, Probe

CROSSENTROPIES: Final = {"sparse", "categorical", "binary"}
_TINY: Final = 1e-12


def require_fresh(fit: FitView) -> None:
    """Raise `NotApplicable` unless the weights are as their initializers made them."""
    if not fit.model.is_fresh:
        raise NotApplicable("the weights are not fresh")


def usual_losses(fit: FitView) -> Sequence[Loss]:
    """Return the loss of each output; not applicable where one is the user's own or missing."""
    losses = [loss for loss in fit.model.losses if loss is not None]
    if not losses or len(losses) < len(fit.model.losses):
        raise NotApplicable("an output has no loss")
    if any(loss.kind == "custom" for loss in losses):
        raise NotApplicable("the loss is the user's own")
    return losses


def prior_loss(fit: FitView, probe: Probe) -> float:
    """Return the loss of the best constant answer on the probe's rows.

    Raises
    ------
    NotApplicable
        If it cannot be told for some output.
    """
    return _total(fit, probe, probe.labels, _prior)


def few_rows_prior(fit: FitView, probe: Probe) -> float:
    """Return the loss of the best constant answer on the few rows learned by heart."""
    return _total(fit, probe, probe.few_labels, _prior)


def few_rows_floor(fit: FitView, probe: Probe) -> float:
    """Return the least loss that any answer has on the few rows learned by heart."""
    return _total(fit, probe, probe.few_labels, _floor)


def _total(fit: FitView, probe: Probe, labels: Sequence[Array], measure: Any) -> float:
    losses = usual_losses(fit)
    if len(losses) != len(labels) or len(probe.output_weights) != len(losses):
        raise NotApplicable("there are not as many targets as outputs")
    parts = zip(losses, labels, probe.output_weights, fit.model.outputs, strict=True)
    return float(
        sum(weight * measure(loss, one, output.units) for loss, one, weight, output in parts)
    )


def _prior(loss: Loss, labels: Array, units: int | None) -> float:
    if loss.kind == "sparse":
        return _entropy(shares_of_classes(loss, labels))
    if loss.kind in CROSSENTROPIES:
        soft = _smoothed(loss, labels, units)
        if loss.kind == "categorical":
            return _entropy(soft.reshape(-1, soft.shape[-1]).mean(axis=0))
        return float(_binary_entropy(soft.mean(axis=0)).mean())
    numbers = labels.astype(np.float64)
    name = loss.name.lower()
    if name in SQUARED | HALF_SQUARED:
        spread = float(numbers.var(axis=0).mean())
        return spread if name in SQUARED else spread / 2
    if name in ABSOLUTE:
        return float(np.abs(numbers - np.median(numbers, axis=0)).mean())
    raise NotApplicable(f"what {loss.name} is without learning is not known")


def _floor(loss: Loss, labels: Array, units: int | None) -> float:
    if loss.kind == "sparse":
        return 0.0
    if loss.kind == "categorical":
        soft = _smoothed(loss, labels, units)
        return float(np.mean([_entropy(row) for row in soft.reshape(-1, soft.shape[-1])]))
    if loss.kind == "binary":
        return float(_binary_entropy(_smoothed(loss, labels, units)).mean())
    if loss.name.lower() == "poisson":
        numbers = np.maximum(labels.astype(np.float64), _TINY)
        return float((numbers - numbers * np.log(numbers)).mean())
    return 0.0


def shares_of_classes(loss: Loss, labels: Array) -> NDArray[np.float64]:
    """Return the share of each class among integer labels."""
    flat = labels.reshape(-1).astype(np.int64)
    if loss.ignore_class is not None:
        flat = flat[flat != loss.ignore_class]
    if not len(flat) or flat.min() < 0:
        raise NotApplicable("the labels are no classes from 0")
    return np.asarray(np.bincount(flat) / len(flat))


def _smoothed(loss: Loss, labels: Array, units: int | None) -> NDArray[np.float64]:
    numbers = labels.astype(np.float64)
    if not loss.smoothing:
        return numbers
    n_classes = 2 if loss.kind == "binary" else units or labels.shape[-1]
    return np.asarray(numbers * (1 - loss.smoothing) + loss.smoothing / n_classes)


def _entropy(shares: NDArray[np.float64]) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())


def _binary_entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    p = np.clip(shares, _TINY, 1 - _TINY)
    return np.asarray(-(p * np.log(p) + (1 - p) * np.log(1 - p)))
