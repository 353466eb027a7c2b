"""Training and measuring Keras 3 models, on arrays, dicts of arrays, tf.data and generators."""

from __future__ import annotations

import contextlib
import sys
import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters import metrics
from pytest_kepler.adapters.base import Evaluated, Fitted
from pytest_kepler.adapters.keras import callback, describe, logs
from pytest_kepler.errors import ExperimentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_kepler.adapters.base import Recorder

FRAMEWORK: Final = describe.FRAMEWORK

_CROSSENTROPIES: Final = frozenset(
    {
        "sparsecategoricalcrossentropy",
        "categoricalcrossentropy",
        "categoricalfocalcrossentropy",
        "binarycrossentropy",
        "binaryfocalcrossentropy",
    }
)
_REGRESSIONS: Final = frozenset(
    {
        "mse",
        "mae",
        "mape",
        "msle",
        "meansquarederror",
        "meanabsoluteerror",
        "meanabsolutepercentageerror",
        "meansquaredlogarithmicerror",
        "huber",
        "logcosh",
    }
)

#: A batch of features and labels; weights may follow.
_WITH_LABELS: Final = 2

#: Between Keras' float32 and our float64, the same accuracy differs by less.
_ROUNDING: Final = 1e-5


def fit(model: Any, X: Any, y: Any, fit_kwargs: Mapping[str, Any], recorder: Recorder) -> Fitted:
    """Train a model with a callback of ours behind the user's; quiet unless asked otherwise."""
    compiled = describe.compilation(model)
    settings = {"verbose": 0, **fit_kwargs}
    users = settings.pop("callbacks", None)
    callbacks = _with_ours(users, callback.make(recorder), model)
    data = (X,) if y is None else (X, y)
    if y is None and _is_stream(X):
        # Streams are never shuffled by Keras, which warns of its own default.
        settings.setdefault("shuffle", False)
    model.fit(*data, callbacks=callbacks, **settings)
    _record_early_stopping(getattr(callbacks, "callbacks", callbacks), recorder)
    return Fitted(model, describe.record(model, compiled))


def _with_ours(users: Any, ours: Any, model: Any) -> Any:
    """Put our callback last, so that it sees what the others add to an epoch's logs."""
    if users is None:
        return [ours]
    if hasattr(users, "append") and hasattr(users, "callbacks"):  # a CallbackList of Keras
        ours.set_model(model)
        users.append(ours)
        return users
    return [*users, ours] if isinstance(users, list | tuple) else [users, ours]


def _record_early_stopping(callbacks: list[Any], recorder: Recorder) -> None:
    import keras

    for each in callbacks:
        if isinstance(each, keras.callbacks.EarlyStopping):
            recorder.facts(
                {
                    "early_stopping": {"monitor": each.monitor, "patience": each.patience},
                    "best_epoch": each.best_epoch,
                    "restored_best_weights": each.best_weights is not None,
                }
            )


def evaluate(model: Any, X: Any, y: Any) -> Evaluated:
    """Return loss and compiled metrics by Keras' names, and the usual metrics of the task.

    The task is told by the loss: a crossentropy over one output is a classification, a squared or
    absolute error over one column a regression. Of anything else (several outputs, sequences, a
    generator, a loss of the user's own) there is what Keras gives.
    """
    data = (X,) if y is None else (X, y)
    own = logs.plain(model.evaluate(*data, verbose=0, return_dict=True))
    usual = _usual(model, X, y)
    left_out = dict(usual.left_out)
    for name, value in usual.metrics.items():
        if name not in own or abs(own[name] - value) < _ROUNDING:
            own[name] = value  # where both have it and agree, ours is exact
        else:
            # What the user compiled stands; Keras takes logits above one half as positive.
            left_out[name] = f"Keras' own differs from {value:.6g}, computed from the predictions"
    return Evaluated(own, left_out)


def _usual(model: Any, X: Any, y: Any) -> Evaluated:
    loss = getattr(model, "loss", None)
    name = _normal(loss)
    has_one_output = len(getattr(model, "outputs", None) or [None]) == 1
    if name not in _CROSSENTROPIES | _REGRESSIONS or not has_one_output:
        return Evaluated({})
    batches = _batches(X) if y is None else None
    if batches is not None:
        true, pred = _predict_batches(model, batches)
    elif _is_one_array(y):
        true, pred = metrics.column(y), None
    else:
        return Evaluated({})
    if true is None or not _is_one_column(true, name):
        return Evaluated({})
    pred = model.predict(X, verbose=0) if pred is None else pred
    if not isinstance(pred, np.ndarray) or len(pred) != len(true):
        return Evaluated({})
    pred = metrics.column(pred) if pred.ndim > 1 and pred.shape[-1] == 1 else pred
    if name in _REGRESSIONS:
        return metrics.regression(true, pred) if pred.shape == true.shape else Evaluated({})
    return _classification(true, pred, is_logits=_from_logits(loss))


def _is_one_array(y: Any) -> bool:
    if y is None or isinstance(y, dict | tuple):
        return False
    return not (isinstance(y, list) and any(np.ndim(item) for item in y))


def _is_one_column(true: Any, loss: str) -> bool:
    """Tell whether there is one label or number a row; one-hot rows are one label."""
    if true.dtype.kind not in "biuf" or not len(true):
        return False
    return true.ndim == 1 or (true.ndim == metrics.BINARY and loss.startswith("categorical"))


def _batches(X: Any) -> Iterable[Any] | None:
    """Return the batches of a stream that ends and can be read again, else None."""
    dataset = getattr(getattr(sys.modules.get("tensorflow"), "data", None), "Dataset", None)
    if dataset is not None and isinstance(X, dataset):
        # Unknown or endless is negative: it may be a source that can be read once.
        return X if int(X.cardinality()) > 0 else None
    if _is_py_dataset(X) and X.num_batches:
        return (X[position] for position in range(X.num_batches))
    return None


def _is_stream(X: Any) -> bool:
    is_arrays = hasattr(X, "shape") or isinstance(X, dict | list | tuple)
    return not is_arrays and not _is_py_dataset(X)


def _is_py_dataset(X: Any) -> bool:
    import keras

    return isinstance(X, keras.utils.PyDataset)


def _predict_batches(model: Any, batches: Iterable[Any]) -> tuple[Any, Any]:
    """Return labels and predictions in the same order, whatever order the stream has this time."""
    true, pred = [], []
    for batch in batches:
        if not isinstance(batch, tuple) or len(batch) < _WITH_LABELS or not _is_one_array(batch[1]):
            return None, None
        true.append(np.asarray(batch[1]))
        pred.append(model.predict_on_batch(batch[0]))
    if not true or not all(isinstance(part, np.ndarray) for part in pred):
        return None, None
    return metrics.column(np.concatenate(true)), np.concatenate(pred)


def _normal(loss: Any) -> str:
    name = describe.loss_name(loss)
    return name.replace("_", "").lower() if isinstance(name, str) else ""


def _from_logits(loss: Any) -> bool:
    config: dict[str, Any] = getattr(loss, "get_config", dict)()
    return bool(config.get("from_logits", False))


def _classification(true: Any, pred: Any, *, is_logits: bool) -> Evaluated:
    pred = pred.astype(np.float64)
    if pred.ndim == 1:
        if true.ndim > 1:
            return Evaluated({})
        positive = 1 / (1 + np.exp(-np.clip(pred, -500, 500))) if is_logits else pred
        probabilities = np.column_stack([1 - positive, positive])
        # As Keras: one half is the negative class.
        labels = (positive > 0.5).astype(np.int64)  # noqa: PLR2004
    elif pred.ndim == metrics.BINARY:
        probabilities = _softmax(pred) if is_logits else pred
        labels = probabilities.argmax(axis=1)
    else:
        return Evaluated({})
    true = true.argmax(axis=1) if true.ndim > 1 else true.astype(np.int64)
    classes = np.arange(probabilities.shape[1])
    return metrics.classification(true, labels, classes=classes, probabilities=probabilities)


def _softmax(logits: Any) -> Any:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def suffix(model: Any) -> str:  # noqa: ARG001  # every Keras model has the same
    """Return ``.keras``."""
    return ".keras"


def dump(model: Any, path: Path) -> None:
    """Write the model with its optimizer's state."""
    with _quiet():
        model.save(path)


def load(path: Path, *, trusted: bool = False) -> Any:
    """Read a model; its custom layers must be registered with Keras.

    Raises
    ------
    ExperimentError
        If it holds code, such as a ``Lambda`` layer, and is not trusted.
    """
    import keras

    with _quiet():
        try:
            return keras.saving.load_model(path, safe_mode=not trusted)
        except ValueError as error:
            if trusted or "unsafe_deserialization" not in str(error):
                raise
            raise ExperimentError(
                f"{path.name} holds code, such as a Lambda layer. If you know who wrote it, load "
                "it with trusted=True."
            ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep from the user that Keras reads its variables in a way that NumPy deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
