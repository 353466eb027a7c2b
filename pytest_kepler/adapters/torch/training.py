"""Measuring torch modules; training those that have a ``fit`` of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters import generic, metrics
from pytest_kepler.adapters.base import Evaluated, Fitted, ModelRecord
from pytest_kepler.adapters.plain import class_name
from pytest_kepler.adapters.torch.inputs import call, flat, read_loader, rows_of, tensors, to_numpy
from pytest_kepler.adapters.torch.view import view
from pytest_kepler.adapters.views import NotApplicable, is_loader, is_tensor, read_blocks
from pytest_kepler.errors import ExperimentError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_kepler.adapters.base import Recorder
    from pytest_kepler.adapters.views import Array

FRAMEWORK: Final = "torch"

_ROWS_AT_ONCE: Final = 1_024
_MATRIX_RANK: Final = 2
_SUM_OFF: Final = 1e-3


def fit(model: Any, X: Any, y: Any, fit_kwargs: Mapping[str, Any], recorder: Recorder) -> Fitted:
    """Call the module's own ``fit``, as some that extend torch have."""
    fitted = generic.fit(model, X, y, fit_kwargs, recorder)
    return Fitted(fitted.model, record(fitted.model))


def record(model: Any) -> ModelRecord:
    """Describe a module by its class, its layers and the number of its weights."""
    layers = [
        {
            "class": type(module).__name__,
            "name": name,
            "settings": module.extra_repr(),
            "params": sum(one.numel() for one in module.parameters()),
        }
        for name, module in model.named_modules()
        if not any(True for _ in module.children())
    ]
    n_weights = sum(one.numel() for one in model.parameters())
    params = {"n_layers": len(layers)}
    return ModelRecord(FRAMEWORK, class_name(type(model)), params, n_weights, {"layers": layers})


def evaluate(model: Any, X: Any, y: Any) -> Evaluated:
    """Measure a module in inference mode by the usual metrics of the task.

    Whole numbers as target are classes where the module gives a score for each, or one score of
    which the sign or, behind a sigmoid, the half decides. Floating-point targets of the shape of
    the outputs are numbers, unless all are 0 or 1.

    Raises
    ------
    ExperimentError
        If the task cannot be told from outputs and target.
    """
    if not _has_forward(model):
        return generic.evaluate(model, X, y)
    is_whole = True
    try:
        if is_loader(X):
            X, y, is_whole = read_loader(X)
        outputs = predict(model, X)
    except NotApplicable as reason:
        raise ExperimentError(f"experiment.evaluate: {reason}. {_OTHERWISE}") from reason
    if y is None or not is_whole:
        what = "y is missing" if y is None else "the dataset is no TensorDataset"
        raise ExperimentError(f"experiment.evaluate: {what}. {_OTHERWISE}")
    true = metrics.column(to_numpy(y) if is_tensor(y) else y)
    found = _measured(model, X, true, outputs)
    if found is None:
        raise ExperimentError(
            f"experiment.evaluate cannot tell what outputs of the shape {outputs.shape} and a "
            f"target of the shape {true.shape} mean. {_OTHERWISE}"
        )
    return found


_OTHERWISE: Final = (
    "Compute the metrics in your own loop and hand them over: experiment.log(accuracy=…)."
)


def predict(model: Any, X: Any) -> Array:
    """Return the output of a module for all rows, in inference mode; its mode is then as before.

    Raises
    ------
    NotApplicable
        If it gives more than one tensor.
    """
    import torch

    n_rows = read_blocks(X)[0].n_rows
    modes = [(module, module.training) for module in model.modules()]
    parts = []
    try:
        model.eval()
        with torch.no_grad():
            for start in range(0, n_rows, _ROWS_AT_ONCE):
                rows = rows_of(X, slice(start, start + _ROWS_AT_ONCE))
                found = list(flat(call(model, tensors(rows, model))))
                if len(found) != 1:
                    raise NotApplicable(f"the module gives {len(found)} tensors, not one")
                parts.append(to_numpy(found[0]))
    finally:
        for module, is_training in modes:
            module.training = is_training
    return np.concatenate(parts)


def _has_forward(model: Any) -> bool:
    import torch

    return type(model).forward is not torch.nn.Module.forward


def _measured(model: Any, X: Any, true: Array, outputs: Array) -> Evaluated | None:
    pred = metrics.column(outputs)
    is_label = true.ndim == 1 and (true.dtype.kind in "iub" or bool(np.isin(true, (0, 1)).all()))
    if is_label and pred.ndim == _MATRIX_RANK and true.dtype.kind in "iub":
        scores = _shares(pred.astype(np.float64))
        classes = np.arange(pred.shape[1])
        return metrics.classification(
            true.astype(np.int64), scores.argmax(axis=1), classes=classes, probabilities=scores
        )
    if is_label and pred.ndim == 1 and np.isin(true, (0, 1)).all():
        positive = _positive(model, X, pred.astype(np.float64))
        return metrics.classification(
            true.astype(np.int64),
            (positive > 0.5).astype(np.int64),  # noqa: PLR2004 - as likely as not
            classes=np.arange(2),
            probabilities=np.column_stack([1 - positive, positive]),
        )
    if pred.shape == true.shape and true.ndim <= _MATRIX_RANK and true.dtype.kind in "iuf":
        is_multilabel = true.ndim == _MATRIX_RANK and bool(np.isin(true, (0, 1)).all())
        return None if is_multilabel else metrics.regression(true, pred)
    return None


def _shares(scores: Array) -> Array:
    """Return probabilities of classes out of probabilities, their logarithms, or scores."""
    sums = scores.sum(axis=1)
    if (scores >= 0).all() and np.abs(sums - 1).max(initial=0.0) <= _SUM_OFF:
        return scores
    exponents = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Array = exponents / exponents.sum(axis=1, keepdims=True)
    return shares


def _positive(model: Any, X: Any, scores: Array) -> Array:
    """Return the probability of the second class, out of one number a row."""
    if ((scores >= 0) & (scores <= 1)).all() and _ends_in_sigmoid(model, X):
        return scores
    return np.asarray(1 / (1 + np.exp(-np.clip(scores, -500, 500))))


def _ends_in_sigmoid(model: Any, X: Any) -> bool:
    try:
        return view(model, X).outputs[0].activation == "sigmoid"
    except NotApplicable:
        return False


def suffix(model: Any) -> str:
    """Refuse: weights are kept as safetensors, which is no format of a module as a whole."""
    return generic.suffix(model)


def dump(model: Any, path: Path) -> None:
    """Refuse, as `suffix` does."""
    generic.dump(model, path)


def load(path: Path, *, trusted: bool = False) -> Any:
    """Refuse: nothing was saved."""
    return generic.load(path, trusted=trusted)
