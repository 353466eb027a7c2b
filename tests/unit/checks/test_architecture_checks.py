"""Checks of layers, activations, metrics and callbacks: loud on a fault, silent on traps."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits

from pytest_kepler import checks

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    keras = pytest.importorskip("keras")
    pytest.importorskip("tensorflow")

layers, callbacks, metrics = keras.layers, keras.callbacks, keras.metrics
X, y = load_digits(return_X_y=True)
X = (X / 16).astype("float32")
ONE_HOT = np.eye(10)[y]
FACTS = np.stack([y % 2, y > 4, y % 3 == 0], axis=1).astype("float32")
DIABETES_X, DIABETES_y = load_diabetes(return_X_y=True)
SIGNED = X * 2 - 1
SPARSE, CATEGORICAL = "sparse_categorical_crossentropy", "categorical_crossentropy"
BINARY = "binary_crossentropy"
LOGITS = keras.losses.BinaryCrossentropy(from_logits=True)


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(5)


def network(loss, *stack, shape=(64,), **options):
    model = keras.Sequential([keras.Input(shape), *stack])
    model.compile(loss=loss, **options)
    return model


def dense(units, activation=None):
    return layers.Dense(units, activation)


def classifier(*last, loss=SPARSE, **options):
    return network(loss, dense(24, "relu"), *last, **options)


def chain(activation, depth, between=tuple):
    parts = [part for _ in range(depth) for part in (dense(24, activation), *between())]
    return network(SPARSE, *parts, dense(10, "softmax"))


def regression(activation=None, **options):
    parts = dense(16, "relu"), dense(1, activation)
    return network("mse", *parts, shape=(10,), **options)


def excited():
    inputs = keras.Input((64,))
    x = dense(32, "relu")(inputs)
    for _ in range(3):
        x = layers.Multiply()([x, dense(32, "sigmoid")(x)])
    model = keras.Model(inputs, dense(10, "softmax")(x))
    model.compile(loss=SPARSE)
    return model


def images(shape, data_format="channels_last"):
    conv = layers.Conv2D(4, 3, data_format=data_format)
    pool = layers.GlobalAveragePooling2D(data_format=data_format)
    return network(SPARSE, conv, layers.ReLU(), pool, dense(10, "softmax"), shape=shape)


def watching(*watchers, **options):
    model = classifier(dense(10, "softmax"), metrics=["accuracy"])
    return model, X, y, {"callbacks": list(watchers), **options}


def stopping(monitor, **options):
    return callbacks.EarlyStopping(monitor=monitor, **options)


LOUD = [
    ("K401", "warning", lambda: (chain("sigmoid", 3), X, y)),
    ("K401", "warning", lambda: (chain("sigmoid", 4, lambda: [layers.Dropout(0.1)]), X, y)),
    (
        "K401",
        "warning",
        lambda: (chain(None, 3, lambda: [layers.Activation("sigmoid")]), X, y),
    ),
    ("K401", "warning", lambda: (chain("tanh", 8), X, y)),
    ("K402", "error", lambda: (regression("tanh"), DIABETES_X, DIABETES_y)),
    ("K408", "error", lambda: (classifier(dense(3, "softmax"), loss=CATEGORICAL), X, FACTS)),
    ("K408", "error", lambda: (classifier(dense(10, "sigmoid"), loss=CATEGORICAL), X, ONE_HOT)),
    ("K408", "warning", lambda: (classifier(dense(10, "softmax"), loss=BINARY), X, ONE_HOT)),
    ("K408", "warning", lambda: (classifier(dense(10, "sigmoid"), loss=BINARY), X, ONE_HOT)),
    ("K409", "warning", lambda: (classifier(dense(10, "softmax"), loss="mse"), X, ONE_HOT)),
    (
        "K409",
        "warning",
        lambda: (classifier(dense(1, "sigmoid"), loss="mae", metrics=["accuracy"]), X, y % 2),
    ),
    ("K411", "error", lambda: (classifier(dense(10, "relu"), layers.Softmax()), X, y)),
    ("K411", "error", lambda: (classifier(dense(10, "softmax"), layers.Softmax()), X, y)),
    (
        "K411",
        "error",
        lambda: (classifier(dense(10, "sigmoid"), layers.Activation("softmax")), X, y),
    ),
    ("K413", "error", lambda: (regression(metrics=["accuracy"]), DIABETES_X, DIABETES_y / 3)),
    (
        "K413",
        "error",
        lambda: (classifier(dense(10, "softmax"), metrics=[metrics.Accuracy()]), X, y),
    ),
    (
        "K413",
        "error",
        lambda: (classifier(dense(10, "softmax"), metrics=[metrics.BinaryAccuracy()]), X, y),
    ),
    (
        "K413",
        "error",
        lambda: (
            classifier(
                dense(10, "softmax"),
                loss=CATEGORICAL,
                metrics=[metrics.SparseCategoricalAccuracy()],
            ),
            X,
            ONE_HOT,
        ),
    ),
    (
        "K413",
        "warning",
        lambda: (classifier(dense(1), loss=LOGITS, metrics=[metrics.BinaryAccuracy()]), X, y % 2),
    ),
    ("K414", "error", lambda: (classifier(dense(10, "softmax"), layers.Dropout(0.5)), X, y)),
    (
        "K414",
        "error",
        lambda: (classifier(dense(10), layers.Dropout(0.5), layers.Softmax()), X, y),
    ),
    ("K414", "warning", lambda: (classifier(layers.Dropout(0.95), dense(10, "softmax")), X, y)),
    (
        "K417",
        "warning",
        lambda: (images((3, 40, 40)), np.zeros((40, 3, 40, 40), "float32"), y[:40]),
    ),
    ("K424", "error", lambda: watching(stopping("val_loss"))),
    ("K424", "error", lambda: watching(stopping("val_loss", mode="max"), validation_split=0.2)),
    ("K424", "error", lambda: watching(stopping("val_accuracy", mode="min"), validation_split=0.2)),
    (
        "K424",
        "error",
        lambda: watching(callbacks.ModelCheckpoint("best.keras", save_best_only=True)),
    ),
    ("K424", "error", lambda: watching(callbacks.ReduceLROnPlateau())),
]

SILENT = [
    ("K401", lambda: (chain("sigmoid", 2), X, y)),
    ("K401", lambda: (chain("tanh", 4), X, y)),
    ("K401", lambda: (chain("sigmoid", 4, lambda: [layers.BatchNormalization()]), X, y)),
    ("K401", lambda: (excited(), X, y)),
    ("K402", lambda: (classifier(dense(64, "tanh"), loss="mse"), X, SIGNED)),
    ("K402", lambda: (regression(), DIABETES_X, DIABETES_y)),
    ("K408", lambda: (classifier(dense(3, "sigmoid"), loss=BINARY), X, FACTS)),
    ("K408", lambda: (classifier(dense(10, "softmax"), loss=CATEGORICAL), X, ONE_HOT)),
    ("K408", lambda: (classifier(dense(10, "softmax"), loss=CATEGORICAL), X, ONE_HOT * 0.9 + 0.01)),
    ("K408", lambda: (classifier(dense(2, "softmax"), loss=BINARY), X, np.eye(2)[y % 2])),
    ("K408", lambda: (classifier(dense(64, "sigmoid"), loss=BINARY), X, X)),
    ("K409", lambda: (classifier(dense(1, "sigmoid"), loss="mse"), X, (y % 2) * 1.0)),
    ("K409", lambda: (classifier(dense(64, "sigmoid"), loss="mse"), X, X)),
    ("K409", lambda: (classifier(dense(1), loss="mse"), X, y * 1.0)),
    ("K411", lambda: (classifier(dense(10), layers.Softmax()), X, y)),
    (
        "K411",
        lambda: (
            classifier(dense(10, "relu"), layers.BatchNormalization(), layers.Softmax()),
            X,
            y,
        ),
    ),
    ("K413", lambda: (classifier(dense(10, "softmax"), metrics=["accuracy"]), X, y)),
    ("K413", lambda: (regression(metrics=["mae"]), DIABETES_X, DIABETES_y / 3)),
    ("K413", lambda: (network("mse", dense(1), metrics=["accuracy"]), X, y * 1.0)),
    (
        "K413",
        lambda: (
            classifier(dense(1), loss=LOGITS, metrics=[metrics.BinaryAccuracy(threshold=0.0)]),
            X,
            y % 2,
        ),
    ),
    ("K414", lambda: (classifier(layers.Dropout(0.5), dense(10, "softmax")), X, y)),
    ("K414", lambda: (classifier(dense(10, "softmax"), layers.Dropout(0.0)), X, y)),
    (
        "K414",
        lambda: (
            network(
                SPARSE,
                layers.Conv2D(10, 3),
                layers.Dropout(0.5),
                layers.GlobalAveragePooling2D(),
                layers.Softmax(),
                shape=(8, 8, 1),
            ),
            X.reshape(-1, 8, 8, 1),
            y,
        ),
    ),
    ("K417", lambda: (images((40, 40, 3)), np.zeros((40, 40, 40, 3), "float32"), y[:40])),
    ("K424", lambda: watching(stopping("val_loss"), validation_split=0.2)),
    ("K424", lambda: watching(stopping("loss"))),
    ("K424", lambda: watching(callbacks.ModelCheckpoint("all.keras"))),
    (
        "K424",
        lambda: watching(stopping("val_f1"), callbacks.LambdaCallback(), validation_split=0.2),
    ),
]


def examine(made, code):
    model, features, target, *fit = made
    return checks.model(model, features, target, select=code, **(fit[0] if fit else {}))


@pytest.mark.parametrize(("code", "severity", "make"), LOUD)
def test_a_fault_is_found(code, severity, make):
    found = examine(make(), code)
    assert [(one.code, one.severity) for one in found] == [(code, severity)]
    assert all(one.message and one.location and one.fix and one.threshold for one in found)


@pytest.mark.parametrize(("code", "make"), SILENT)
def test_sound_models_and_traps_are_silent(code, make):
    assert examine(make(), code) == []


def test_a_second_softmax_is_told_once():
    model = classifier(dense(10, "softmax"), layers.Softmax())
    found = checks.model(model, X, y)
    assert [one.code for one in found if one.severity == "error"] == ["K411"]
