"""K514: units that training put out of use."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, optimizers, regularizers
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from pytest_kepler import checks
from pytest_kepler.checks.config import CheckConfig
from tests.optional import HAS_TORCH, needs_torch

if HAS_TORCH:
    import torch
    from torch import nn
    from torch.nn.utils import prune


X, y = load_digits(return_X_y=True)
X = (X / 16).astype("float32")
X, y, TEST_X, TEST_y = X[:1200], y[:1200], X[1200:], y[1200:]
SPARSE = "sparse_categorical_crossentropy"
NOTES = CheckConfig(notes=True)


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(3)
    if HAS_TORCH:
        torch.manual_seed(3)


def network(*stack, rate=1e-3, epochs=1, optimizer=None):
    model = keras.Sequential([keras.Input((64,)), *stack, layers.Dense(10, "softmax")])
    model.compile(optimizer or optimizers.Adam(rate), SPARSE)
    if epochs:
        model.fit(X, y, epochs=epochs, verbose=0)
    return model


def hidden(activation="relu", width=64, **options):
    return layers.Dense(width, activation, **options)


def with_dead(model, share=0.8, layer=0):
    """Return a model in which a share of a layer's units answers 0 to everything."""
    kernel, bias = model.layers[layer].get_weights()
    bias[: round(share * len(bias))] = -50
    model.layers[layer].set_weights([kernel, bias])
    return model


def gated():
    inputs = keras.Input((64,))
    gate = layers.Dense(16, "relu", name="gate")(inputs)
    x = layers.Multiply()([layers.Dense(16)(inputs), gate])
    model = keras.Model(inputs, layers.Dense(10, "softmax")(x))
    model.compile("adam", SPARSE)
    model.fit(X, y, epochs=1, verbose=0)
    kernel, bias = model.get_layer("gate").get_weights()
    model.get_layer("gate").set_weights([kernel, bias - 50])
    return model


def pruned():
    model = with_dead(network(hidden()))
    kernel, bias = model.layers[0].get_weights()
    kernel[:, :51] = 0
    model.layers[0].set_weights([kernel, bias])
    return model


def told(model, features=TEST_X, target=TEST_y, **options):
    found = checks.behaviour(model, features, target, select="K514", config=NOTES, **options)
    return [(one.code, one.severity) for one in found]


def test_a_rate_that_is_too_large_puts_units_out_of_use():
    model = network(hidden(width=128), hidden(width=128), rate=0.3, epochs=3)
    found = checks.behaviour(model, TEST_X, TEST_y, select="K514")
    assert {one.severity for one in found} == {"warning"}
    assert found[0].location.startswith("layer 'dense")
    assert found[0].measured["share"] >= 0.7
    assert found[0].measured["accuracy"] < 0.8
    assert found[0].measured["n"] == 256


def test_only_the_layer_that_is_dead_is_told():
    model = with_dead(network(hidden(), hidden()), layer=1)
    (found,) = checks.behaviour(model, TEST_X, TEST_y, select="K514")
    assert found.location == f"layer {model.layers[1].name!r}"


def test_answers_that_are_nearly_right_make_it_a_note():
    model = with_dead(network(hidden(width=512), epochs=8), share=0.75)
    model.layers[0].trainable = False
    model.compile("adam", SPARSE)
    model.fit(X, y, epochs=30, verbose=0)
    assert told(model, X, y) == [("K514", "note")]


def test_without_a_target_it_is_a_warning():
    assert told(with_dead(network(hidden())), target=None) == [("K514", "warning")]


@pytest.mark.parametrize(
    "make",
    [
        lambda: network(hidden(), hidden(), epochs=10),
        lambda: network(hidden(width=512), rate=0.01, epochs=10),
        lambda: with_dead(network(hidden()), share=0.6),
        lambda: with_dead(network(hidden("elu"))),
        lambda: with_dead(network(hidden("leaky_relu"))),
        lambda: with_dead(network(hidden(width=6))),
        lambda: with_dead(network(hidden(kernel_regularizer=regularizers.L1(1e-3)))),
        lambda: with_dead(network(hidden(activity_regularizer=regularizers.L1(1e-3)))),
        lambda: with_dead(
            network(hidden(), optimizer=optimizers.AdamW(1e-3, weight_decay=1e-2)),
        ),
        lambda: with_dead(network(hidden(), epochs=0)),
        gated,
        pruned,
    ],
    ids=[
        "sound",
        "wide and fast",
        "below the limit",
        "ELU",
        "leaky ReLU",
        "few units",
        "an L1 penalty",
        "a penalty on the activity",
        "weight decay",
        "not trained",
        "a gate",
        "pruned",
    ],
)
def test_sound_networks_and_traps_are_silent(make):
    assert told(make()) == []


def test_rows_that_cannot_show_it_are_not_judged():
    model = with_dead(network(hidden()))
    order = np.argsort(TEST_y, kind="stable")
    assert told(model, TEST_X[:200], TEST_y[:200]) == []
    assert told(model, TEST_X[order], TEST_y[order]) == []
    assert told(LogisticRegression(max_iter=1000).fit(X, y)) == []


def test_the_edge_is_where_the_limit_says():
    model = with_dead(network(hidden()))
    (found,) = checks.behaviour(model, TEST_X, TEST_y, select="K514")
    share = found.measured["share"]
    assert told(model, K514={"dead_share": share}) == [("K514", "warning")]
    assert told(model, K514={"dead_share": share + 1e-6}) == []


def test_a_convolution_is_judged_by_its_channels():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, "softmax"),
        ]
    )
    model.compile("adam", SPARSE)
    model.fit(X.reshape(-1, 8, 8, 1), y, epochs=1, verbose=0)
    images = TEST_X.reshape(-1, 8, 8, 1)
    assert told(model, images) == []
    assert told(with_dead(model), images) == [("K514", "warning")]


# --- torch --------------------------------------------------------------------------------


def torch_network(rate=1e-3, n_steps=60, activation="ReLU"):
    model = nn.Sequential(nn.Linear(64, 64), getattr(nn, activation)(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(n_steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(torch.as_tensor(X)), torch.as_tensor(y)).backward()
        optimizer.step()
    return model


def torch_dead(model):
    with torch.no_grad():
        model[0].bias[:50] -= 50
    return model


def torch_pruned():
    model = torch_dead(torch_network())
    prune.random_unstructured(model[0], name="weight", amount=0.3)
    return model


@needs_torch
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: torch_network(n_steps=150), []),
        (lambda: torch_dead(torch_network()), [("K514", "warning")]),
        (lambda: torch_network(rate=2.0, n_steps=30), [("K514", "warning")]),
        (lambda: torch_dead(torch_network(activation="GELU")), []),
        (torch_pruned, []),
    ],
    ids=["sound", "dead", "a rate of 2", "GELU", "pruned"],
)
def test_a_torch_module_is_judged_alike(make, expected):
    assert told(make()) == expected


def test_the_model_is_as_before():
    model = with_dead(network(hidden()))
    before = [one.copy() for one in model.get_weights()]
    checks.behaviour(model, TEST_X, TEST_y, select="K514")
    assert all(map(np.array_equal, before, model.get_weights()))
