"""A torch loss as the checks see it, and as the probe calls it."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.adapters.views import Loss, is_tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_kepler.adapters.views import LossKind

#: Losses of torch by the names of their functions.
_KINDS: Final[Mapping[str, LossKind]] = {
    "binary_cross_entropy": "binary",
    "binary_cross_entropy_with_logits": "binary",
    "cross_entropy": "sparse",
    "gaussian_nll_loss": "numeric",
    "huber_loss": "numeric",
    "l1_loss": "numeric",
    "mse_loss": "numeric",
    "nll_loss": "sparse",
    "poisson_nll_loss": "numeric",
    "smooth_l1_loss": "numeric",
}
_FUNCTIONS: Final = {
    "BCELoss": "binary_cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits",
    "CrossEntropyLoss": "cross_entropy",
    "GaussianNLLLoss": "gaussian_nll_loss",
    "HuberLoss": "huber_loss",
    "L1Loss": "l1_loss",
    "MSELoss": "mse_loss",
    "NLLLoss": "nll_loss",
    "PoissonNLLLoss": "poisson_nll_loss",
    "SmoothL1Loss": "smooth_l1_loss",
}
_OF_LOGITS: Final = {"binary_cross_entropy_with_logits", "cross_entropy"}
_SETTINGS: Final = ("weight", "pos_weight", "ignore_index", "label_smoothing", "reduction")


@dataclass(frozen=True, slots=True)
class Called:
    """What was given as a loss: its function's name, and its settings.

    ``name`` is empty for a loss of the user's own.
    """

    name: str
    shown: str
    settings: Mapping[str, Any]

    @property
    def reduction(self) -> str:
        """How the losses of the rows become one: ``mean``, ``sum`` or ``none``."""
        return str(self.settings.get("reduction") or "mean")


def look_at(given: Any) -> Called:
    """Return what is known of a loss: a module or function of torch, bare or as a partial."""
    if isinstance(given, functools.partial):
        inner = look_at(given.func)
        return Called(inner.name, inner.shown, {**inner.settings, **given.keywords})
    kind = type(given)
    if kind.__module__.startswith("torch.nn.") and kind.__name__ in _FUNCTIONS:
        settings = {name: getattr(given, name, None) for name in _SETTINGS}
        return Called(_FUNCTIONS[kind.__name__], kind.__name__, settings)
    name = str(getattr(given, "__name__", kind.__name__))
    is_ours = str(getattr(given, "__module__", "")).startswith("torch") and name in _KINDS
    return Called(name if is_ours else "", name, {})


def read(given: Any, labels: Any, output_shape: tuple[int, ...]) -> Loss:
    """Return a loss as the checks see it.

    Parameters
    ----------
    labels : object or None
        What it is given beside the outputs: a cross-entropy takes class numbers, or shares.
    output_shape : tuple of int
        Of the outputs on some rows.
    """
    called = look_at(given)
    if not called.name:
        return Loss("custom", called.shown)
    settings, kind = called.settings, _KINDS[called.name]
    if called.name == "cross_entropy" and _are_shares(labels, output_shape):
        kind = "categorical"
    ignored = settings.get("ignore_index", -100) if kind == "sparse" else None
    return Loss(
        kind,
        called.shown,
        from_logits=called.name in _OF_LOGITS,
        ignore_class=ignored if isinstance(ignored, int) else None,
        smoothing=float(settings.get("label_smoothing") or 0.0),
        is_logarithmic=called.name == "nll_loss",
    )


def _are_shares(labels: Any, output_shape: tuple[int, ...]) -> bool:
    shape = tuple(getattr(labels, "shape", ()))
    if len(shape) != len(output_shape) or shape[1:] != output_shape[1:] or len(shape) < 2:  # noqa: PLR2004 - rows, classes
        return False
    # An array of whole numbers can still be made floating on its way to the loss.
    return not is_tensor(labels) or bool(labels.is_floating_point())


def plain(given: Any) -> Callable[[Any, Any], Any]:
    """Return the loss as a mean over all rows and classes alike, whatever weights it was given."""
    called = look_at(given)
    if not called.name:
        return functools.partial(_mean_of, copied(given))
    import torch

    function = getattr(torch.nn.functional, called.name)
    kept = {
        name: value
        for name, value in called.settings.items()
        if name in {"ignore_index", "label_smoothing"} and value is not None
    }
    return functools.partial(function, **kept)


def of_user(given: Any, n_rows: int, batch_size: int | None) -> Callable[[Any, Any], Any]:
    """Return the loss of the user's own, as large as on a batch of the user's size."""
    called, loss = look_at(given), copied(given)
    if called.reduction != "sum":
        return functools.partial(_mean_of, loss)
    share = min(1.0, (batch_size or n_rows) / n_rows)
    return lambda outputs, labels: loss(outputs, labels) * share


def copied(given: Any) -> Any:
    """Return a copy of a loss that has weights of its own; a function stays what it is."""
    return copy.deepcopy(given) if hasattr(given, "parameters") else given


def _mean_of(loss: Any, outputs: Any, labels: Any) -> Any:
    found = loss(outputs, labels)
    return found.mean() if found.ndim else found
