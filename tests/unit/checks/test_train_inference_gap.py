"""K516: a network that answers far worse in inference than in training mode."""

from __future__ import annotations

import random

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression

from pytest_kepler import checks
from pytest_kepler.adapters import views
from pytest_kepler.checks import families
from pytest_kepler.checks.config import CheckConfig
from tests.optional import HAS_TORCH, needs_torch

if HAS_TORCH:
    import torch
    from torch import nn


X, y = load_digits(return_X_y=True)
X = (X / 16).astype("float32")
X, y, TEST_X, TEST_y = X[:1200], y[:1200], X[1200:], y[1200:]
NUMBERS_X, NUMBERS_y = load_diabetes(return_X_y=True)
NUMBERS_X = (NUMBERS_X / NUMBERS_X.std()).astype("float32")
NUMBERS_y = ((NUMBERS_y - NUMBERS_y.mean()) / NUMBERS_y.std()).astype("float32")
SPARSE = "sparse_categorical_crossentropy"


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(3)
    if HAS_TORCH:
        torch.manual_seed(3)


def network(momentum=0.9, *, n_steps=1000, dropout=0.0, is_frozen=False):
    """Return a network after 114 steps that says that it has taken more."""
    norm = layers.BatchNormalization(momentum=momentum, trainable=not is_frozen)
    stack = [layers.Dense(32), norm, layers.ReLU(), layers.Dropout(dropout)]
    model = keras.Sequential([keras.Input((64,)), *stack, layers.Dense(10, "softmax")])
    return fitted(model, n_steps)


def fitted(model, n_steps=1000):
    model.compile(keras.optimizers.Adam(3e-3), SPARSE)
    if n_steps:
        model.fit(X, y, epochs=3, verbose=0)
        model.optimizer.iterations.assign(n_steps)
    return model


def long_trained():
    """Return a network with Keras' own momentum after 1,000 steps."""
    model = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(32),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dense(10, "softmax"),
        ]
    )
    model.compile("adam", SPARSE)
    model.fit(X, y, batch_size=6, epochs=5, verbose=0)
    return model


def numbers(momentum):
    norm = layers.BatchNormalization(momentum=momentum)
    model = keras.Sequential(
        [keras.Input((10,)), layers.Dense(32, "relu"), norm, layers.Dense(1, "linear")]
    )
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    model.fit(NUMBERS_X * 4, NUMBERS_y, batch_size=32, epochs=12, verbose=0)
    model.optimizer.iterations.assign(1000)
    return model


class OwnStep(keras.Model):
    def train_step(self, data):
        return super().train_step(data)


def own_step():
    inputs = keras.Input((64,))
    norm = layers.BatchNormalization(momentum=0.9999)
    outputs = layers.Dense(10, "softmax")(layers.ReLU()(norm(layers.Dense(32)(inputs))))
    return fitted(OwnStep(inputs, outputs))


def two_outputs():
    inputs = keras.Input((64,))
    x = layers.BatchNormalization(momentum=0.9999)(layers.Dense(16)(inputs))
    model = keras.Model(inputs, [layers.Dense(10, "softmax")(x), layers.Dense(10, "softmax")(x)])
    model.compile("adam", [SPARSE, SPARSE])
    return model


def told(model, features=TEST_X, target=TEST_y, **options):
    return [one.code for one in checks.behaviour(model, features, target, select="K516", **options)]


def test_statistics_that_lag_far_behind_are_told():
    (found,) = checks.behaviour(network(0.9999), TEST_X, TEST_y, select="K516")
    assert (found.code, found.severity) == ("K516", "warning")
    assert found.location.startswith("layers batch_normalization")
    losses = [found.measured[f"loss in {mode} mode"] for mode in ("inference", "training")]
    assert losses[0] > 1.5 * losses[1]
    assert found.measured["gap"] > 0.1


def test_the_errors_of_numbers_are_compared_as_well():
    data = NUMBERS_X * 4, NUMBERS_y
    assert told(numbers(0.9999), *data) == ["K516"]
    assert told(numbers(0.9), *data) == []


@pytest.mark.parametrize(
    "make",
    [
        long_trained,
        network,
        lambda: network(dropout=0.5),
        lambda: network(0.9999, n_steps=999),
        lambda: network(0.9999, n_steps=0),
        lambda: network(0.9999, is_frozen=True),
        own_step,
        two_outputs,
    ],
    ids=[
        "momentum 0.99",
        "momentum 0.9",
        "dropout",
        "999 steps",
        "not trained",
        "frozen statistics",
        "a training step of its own",
        "two outputs",
    ],
)
def test_sound_networks_and_traps_are_silent(make):
    assert told(make()) == []


def test_rows_that_cannot_show_it_are_not_judged():
    model = network(0.9999)
    assert told(model, TEST_X[:99], TEST_y[:99]) == []
    assert told(model, target=None) == []
    assert told(LogisticRegression(max_iter=1000).fit(X, y)) == []


def test_the_rows_that_were_trained_on_are_what_is_asked():
    model = network(0.9999)
    noise = np.random.default_rng(0).integers(0, 10, len(TEST_y))
    assert told(model, TEST_X, noise) == []
    assert told(model, TEST_X, noise, X_train=X, y_train=y) == ["K516"]


@pytest.mark.parametrize("limit", ["max_mode_ratio", "min_mode_gap", "min_steps"])
def test_the_edge_is_where_the_limits_say(limit):
    model = network(0.9999)
    (found,) = checks.behaviour(model, TEST_X, TEST_y, select="K516")
    ratio = found.measured["loss in inference mode"] / found.measured["loss in training mode"]
    edge = {"max_mode_ratio": ratio, "min_mode_gap": found.measured["gap"], "min_steps": 1000}[
        limit
    ]
    assert told(model, K516={limit: edge * 0.999}) == ["K516"]
    assert told(model, K516={limit: edge * 1.001}) == []


def test_nothing_of_the_model_is_changed():
    model = network(0.9999, dropout=0.5)
    variables = [one.value for one in (*model.variables, *model.optimizer.variables)]
    before = [one.numpy().copy() for one in variables]
    states = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002 - the user's state
    assert told(model) == ["K516"]
    after = [one.numpy().copy() for one in variables]
    assert all(map(np.array_equal, before, after))
    assert model.compiled
    assert random.getstate() == states[0]
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002 - as above


# --- torch --------------------------------------------------------------------------------


def torch_network(momentum=0.1, n_steps=1000, dropout=0.0):
    model = nn.Sequential(
        nn.Linear(64, 32),
        nn.BatchNorm1d(32, momentum=momentum),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(32, 10),
    )
    with torch.no_grad():
        model[0].weight *= 5  # what the statistics begin with is far from what they should be
    optimizer = torch.optim.Adam(model.parameters())
    rows = torch.as_tensor(X), torch.as_tensor(y)
    for step in range(n_steps):
        some = slice(16 * (step % 75), 16 * (step % 75) + 16)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(rows[0][some]), rows[1][some]).backward()
        optimizer.step()
    return model


@needs_torch
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, []),
        ({"dropout": 0.5}, []),
        ({"momentum": 1e-4}, ["K516"]),
        ({"momentum": 1e-4, "dropout": 0.2}, ["K516"]),
        ({"momentum": 1e-4, "n_steps": 900}, []),
    ],
)
def test_a_torch_module_is_judged_by_its_accuracy(options, expected):
    assert told(torch_network(**options)) == expected


@needs_torch
def test_nothing_of_a_torch_module_is_changed():
    model = torch_network(1e-4, dropout=0.2).train()
    before = {name: one.clone() for name, one in model.state_dict().items()}
    state = torch.get_rng_state()
    assert told(model) == ["K516"]
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(one.training for one in model.modules())
    assert model[3].p == pytest.approx(0.2)


def test_a_model_that_is_too_large_is_not_cloned(monkeypatch):
    from pytest_kepler.adapters.keras import view

    monkeypatch.setattr(view, "_CLONED_PARAMETERS", 10)
    config = CheckConfig().narrowed(select=["K516"], family="behaviour")
    outcome = families.examine_behaviour(network(n_steps=0), TEST_X, TEST_y, config)
    assert "too large" in outcome.not_applicable["K516"]


def test_estimators_have_no_modes():
    with pytest.raises(views.NotApplicable, match="not a network"):
        views.ModelView("other", None, "").modes(None)
