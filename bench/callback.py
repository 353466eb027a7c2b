"""What our Keras callback costs an epoch: the same fit with and without it, in turns.

    python bench/callback.py              prints the ratio, for epochs of three lengths
    python bench/callback.py --pairs 20   more pairs

The two fits of a pair follow each other, in an order that changes from pair to pair, so that what
else the machine does meets both alike. Beside the ratio stands what the callback itself takes at
the end of an epoch, which a busy machine disturbs less. The spool is a real one, on disk.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from pytest_kepler.records import ExperimentSpec
from pytest_kepler.spool import Spool
from pytest_kepler.tracking.context import RunContext
from pytest_kepler.tracking.experiment import Experiment

if TYPE_CHECKING:
    from collections.abc import Callable

N_EPOCHS = 20
ROWS = (1_000, 10_000, 50_000)


def build() -> Any:
    """Return a small network, on which an epoch is as short as it gets."""
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((64,)), layers.Dense(64, "relu"), layers.Dense(10, "softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def seconds(model: Any, features: Any, y: Any, callbacks: list[Any]) -> float:
    """Return how long an epoch takes, the first of a fit aside."""
    began: list[float] = []
    mark = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda *_: began.append(time.perf_counter()),
        on_train_end=lambda *_: began.append(time.perf_counter()),
    )
    model.fit(
        features, y, epochs=N_EPOCHS + 1, batch_size=64, verbose=0, callbacks=[mark, *callbacks]
    )
    return (began[-1] - began[1]) / N_EPOCHS


def timed(callback: Any, spent: list[float]) -> Any:
    """Return the callback, which then notes what it takes at the end of each epoch."""
    inner = callback.on_epoch_end

    def on_epoch_end(epoch: int, logs: Any = None) -> None:
        began = time.perf_counter()
        inner(epoch, logs)
        spent.append(time.perf_counter() - began)

    callback.on_epoch_end = on_epoch_end
    return callback


def measure(experiment: Experiment, n_rows: int, n_pairs: int) -> tuple[float, float, float]:
    """Return (seconds of an epoch without it, median ratio with it, its own seconds)."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(n_rows, 64)).astype("float32")
    y = rng.integers(0, 10, n_rows)
    model = build()
    seconds(model, features, y, [])
    ratios, plain, spent = [], [], list[float]()
    for pair in range(n_pairs):
        runs: list[Callable[[], float]] = [
            lambda: seconds(model, features, y, []),
            lambda: seconds(model, features, y, [timed(experiment.callback, spent)]),
        ]
        first, second = runs if pair % 2 == 0 else runs[::-1]
        found = [first(), second()]
        without, beside = found if pair % 2 == 0 else found[::-1]
        plain.append(without)
        ratios.append(beside / without)
    return statistics.median(plain), statistics.median(ratios), statistics.median(spent)


def main() -> None:
    """Measure and print a line for each length of an epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder), "bench")
        context = RunContext(
            spool=spool,
            run_id="0" * 20,
            session_id="0" * 20,
            params={},
            spec=ExperimentSpec(),
            seed=0,
            folder=Path(folder),
            gate=lambda *_: None,
            fingerprint=lambda _: "",
        )
        experiment = Experiment(context)
        for n_rows in ROWS:
            epoch, ratio, own = measure(experiment, n_rows, options.pairs)
            print(
                f"{n_rows:>6,} rows, an epoch of {1e3 * epoch:7.1f} ms: {ratio - 1:+.1%} with the "
                f"callback (median of {options.pairs} pairs); it takes {1e3 * own:.2f} ms itself, "
                f"{own / epoch:.2%}",
                flush=True,
            )
        spool.close()


if __name__ == "__main__":
    main()
