"""All of keras.applications, with weights=None, on small images: no check may call one faulty.

Each is given the values that it asks for, and 128 images of digits, 80 pixels wide. One that takes
longer than the limit, to be made or to be looked at, is left and said so.
"""

from __future__ import annotations

import contextlib
import signal
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import programs

if TYPE_CHECKING:
    from collections.abc import Iterator

N_ROWS = 128
#: A digit has 8 pixels: 80 are enough for every one of the networks.
ZOOM = 10
#: They scale the values 0 to 255 themselves.
_SCALING = ("ConvNeXt", "EfficientNet", "MobileNetV3")
SECONDS = 120


def names() -> list[str]:
    """Return the names of all networks."""
    import keras

    return [name for name in sorted(vars(keras.applications)) if name[0].isupper()]


def make(name: str) -> programs.Program:
    """Return a network about to be trained on digits."""
    import keras

    keras.utils.set_random_seed(0)
    X, y = programs.loaded("digits")
    X, y = X[:N_ROWS].reshape(-1, 8, 8, 1) / 16, y[:N_ROWS]
    X = np.repeat(X, ZOOM, axis=1).repeat(ZOOM, axis=2).repeat(3, axis=3).astype("float32")
    X = X * 255 if name.startswith(_SCALING) else X * 2 - 1
    network = getattr(keras.applications, name)
    model = network(weights=None, input_shape=X.shape[1:], classes=10)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return programs.Program(model, X, y, fit_kwargs={"batch_size": 32})


class TooLong(Exception):  # noqa: N818 - an outcome
    """The limit is over."""


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise `TooLong` when the time is over, at the next step in Python."""

    def stop(*_: Any) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def timed(name: str) -> tuple[programs.Program, float]:
    """Return a program and how long it took to make."""
    began = time.perf_counter()
    program = make(name)
    return program, time.perf_counter() - began
