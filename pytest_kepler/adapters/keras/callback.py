"""Our Keras callback: once an epoch, it writes the epoch's numbers to the recorder."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

from pytest_kepler.adapters.keras.logs import plain, shortest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_kepler.adapters.base import Recorder


def make(recorder: Recorder, conclude: Callable[[], None] = lambda: None) -> Any:
    """Return a callback that records each epoch, and ends a training that is hopeless.

    Parameters
    ----------
    recorder : Recorder
        Gets logs, seconds and learning rate, and tells whether to go on.
    conclude : callable, optional
        Called when the training is over.
    """
    return _callback_class()(recorder, conclude)


@functools.cache
def _callback_class() -> Any:
    import keras

    # No batch hook: Keras then neither waits for a batch's numbers nor calls us for it.
    class KeplerCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
        """Writes each epoch's numbers as stepped metrics; the step is Keras' epoch, from 0."""

        def __init__(self, recorder: Recorder, conclude: Callable[[], None]) -> None:
            super().__init__()
            self._recorder, self._conclude = recorder, conclude
            self._started_at = 0.0
            self._epoch = -1

        def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002  # Keras names it
            self._recorder.start()

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
            self._epoch = epoch
            self._started_at = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            values = plain(logs)
            if "learning_rate" not in values:  # a scheduler's callback has put it there
                values |= _learning_rate(self.model)
            values["epoch_seconds"] = time.perf_counter() - self._started_at
            self._recorder.curve(values, epoch)
            self._recorder.progress(epoch + 1, (self.params or {}).get("epochs"), values)
            if self._recorder.is_hopeless(values):
                self.model.stop_training = True

        def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
            if getattr(self.model, "stop_training", False):
                self._recorder.facts({"stopped_epoch": self._epoch})
            self._conclude()

    return KeplerCallback


def _learning_rate(model: Any) -> dict[str, float]:
    rate = getattr(getattr(model, "optimizer", None), "learning_rate", None)
    try:
        return {} if rate is None else {"learning_rate": shortest(float(rate))}
    except (TypeError, ValueError):  # an optimizer of the user's own
        return {}
