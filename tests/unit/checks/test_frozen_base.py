"""K211: a frozen base whose weights were never loaded."""

from __future__ import annotations

import keras
import pytest
from keras import initializers, layers
from sklearn.datasets import load_digits

from pytest_kepler import checks
from tests.optional import HAS_TORCH, needs_torch

if HAS_TORCH:
    import torch
    from torch import nn


X, y = load_digits(return_X_y=True)
X = (X / 16).astype("float32")
IMAGES = X.reshape(-1, 8, 8, 1)
SPARSE = "sparse_categorical_crossentropy"


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(5)
    if HAS_TORCH:
        torch.manual_seed(5)


def conv_base(**options):
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, use_bias=False, **options),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.SeparableConv2D(32, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
        ]
    )


def dense_base(**options):
    hidden = [layers.Dense(64, "relu", **options) for _ in range(2)]
    return keras.Sequential([keras.Input((64,)), *hidden])


def with_head(base, n_frozen=None):
    for layer in base.layers[:n_frozen]:
        layer.trainable = False
    model = keras.Sequential([base, layers.Dense(10, "softmax")])
    model.compile(loss=SPARSE)
    return model


def learned(base, features, epochs=1):
    """Return a base that a short training has hardly changed."""
    model = keras.Sequential([base, layers.Dense(10, "softmax")])
    model.compile("adam", SPARSE)
    model.fit(features, y, epochs=epochs, verbose=0)
    return base


def two_against_each_other():
    judge = keras.Sequential(
        [keras.Input((64,)), layers.Dense(128, "relu"), layers.Dense(64, "relu"), layers.Dense(1)]
    )
    judge.trainable = False
    inputs = keras.Input((64,))
    model = keras.Model(inputs, judge(layers.Dense(64, "sigmoid")(inputs)))
    model.compile(loss="mse")
    return model


def fitted_head():
    model = with_head(dense_base())
    model.fit(X, y, epochs=1, verbose=0)
    return model


def frozen_words():
    model = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Embedding(1000, 32, trainable=False),
            layers.GlobalAveragePooling1D(),
            layers.Dense(10, "softmax"),
        ]
    )
    model.compile(loss=SPARSE)
    return model


def functional():
    inputs = keras.Input((64,))
    base = dense_base(kernel_initializer=initializers.RandomNormal(stddev=0.05))
    base.trainable = False
    model = keras.Model(inputs, layers.Dense(10, "softmax")(base(inputs)))
    model.compile(loss=SPARSE)
    return model


@pytest.mark.parametrize(
    ("make", "features"),
    [
        (lambda: with_head(conv_base()), IMAGES),
        (lambda: with_head(conv_base(kernel_initializer="he_normal")), IMAGES),
        (lambda: with_head(dense_base()), X),
        (functional, X),
    ],
)
def test_a_base_that_was_never_loaded_is_told(make, features):
    (found,) = checks.model(make(), features, y, select="K211")
    assert (found.code, found.severity) == ("K211", "warning")
    assert found.measured["share"] > 0.5
    assert found.location.startswith("layers ")
    assert "frozen" in found.message


@pytest.mark.parametrize(
    ("make", "features"),
    [
        (lambda: with_head(learned(conv_base(), IMAGES)), IMAGES),
        (lambda: with_head(learned(dense_base(), X)), X),
        (lambda: with_head(dense_base(kernel_initializer="orthogonal")), X),
        (lambda: with_head(dense_base(kernel_initializer=initializers.Constant(0.1))), X),
        (lambda: with_head(dense_base(), n_frozen=0), X),
        (lambda: with_head(dense_base(), n_frozen=1), X),
        (
            lambda: with_head(
                dense_base(
                    use_bias=False, kernel_initializer=initializers.RandomNormal(stddev=0.05)
                )
            ),
            X,
        ),
        (two_against_each_other, X),
        (frozen_words, X),
        (fitted_head, X),
    ],
    ids=[
        "trained for one epoch",
        "trained for one epoch, dense",
        "an initializer that cannot be told",
        "one constant",
        "nothing frozen",
        "one kernel of random features",
        "nothing that training would show in",
        "the judge of a generator",
        "an embedding",
        "no longer fresh",
    ],
)
def test_a_base_that_may_be_meant_is_left_alone(make, features):
    target = features if make is two_against_each_other else y
    assert checks.model(make(), features, target, select="K211") == []


def test_a_base_that_was_loaded_in_part_is_left_alone():
    base = dense_base()
    base.layers[1].set_weights(learned(dense_base(), X, epochs=5).layers[1].get_weights())
    assert checks.model(with_head(base), X, y, select="K211") == []


def test_the_edge_is_where_the_limit_says():
    model = with_head(dense_base())
    (found,) = checks.model(model, X, y, select="K211")
    for limit, count in ((found.measured["share"] * 0.99, 1), (found.measured["share"], 0)):
        limits = {"K211": {"max_random_share": limit}}
        assert len(checks.model(model, X, y, select="K211", limits=limits)) == count


# --- torch --------------------------------------------------------------------------------


def torch_base():
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())


def torch_conv_base():
    base = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 16, 3, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, bias=False),
        nn.BatchNorm2d(32),
        nn.Flatten(),
        nn.AvgPool1d(16),
    )
    for one in base.modules():
        if isinstance(one, nn.Conv2d):
            nn.init.kaiming_normal_(one.weight, mode="fan_out", nonlinearity="relu")
    return base


def zero_biased():
    base = torch_base()
    for one in base:
        if isinstance(one, nn.Linear):
            nn.init.xavier_normal_(one.weight)
            nn.init.zeros_(one.bias)
    return base


def torch_learned(base, n_steps=12):
    model = nn.Sequential(base, nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(n_steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(torch.as_tensor(X)), torch.as_tensor(y)).backward()
        optimizer.step()
    return base


def decayed(base):
    """Return a base that only a decay of the weights has changed."""
    with torch.no_grad():
        for one in base.parameters():
            one.mul_(0.98)
    return base


def torch_model(base, width=64, *, is_frozen=True):
    base.requires_grad_(requires_grad=not is_frozen)
    return nn.Sequential(base, nn.Linear(width, 10))


def torch_told(model):
    found = checks.model(model, X, y, select="K211", loss=nn.CrossEntropyLoss())
    return [(one.code, one.severity) for one in found]


@needs_torch
@pytest.mark.parametrize(
    ("make", "width"), [(torch_base, 64), (torch_conv_base, 32), (zero_biased, 64)]
)
def test_a_torch_base_that_was_never_loaded_is_told(make, width):
    assert torch_told(torch_model(make(), width)) == [("K211", "warning")]


@needs_torch
@pytest.mark.parametrize(
    "make",
    [
        lambda: torch_model(torch_learned(torch_base())),
        lambda: torch_model(torch_learned(zero_biased(), n_steps=2)),
        lambda: torch_model(decayed(torch_base())),
        lambda: torch_model(torch_base(), is_frozen=False),
        lambda: nn.Sequential(nn.Linear(64, 64), nn.Sigmoid(), torch_base().requires_grad_(False)),
    ],
    ids=["trained", "trained for two steps", "decayed", "nothing frozen", "frozen behind"],
)
def test_a_torch_base_that_may_be_meant_is_left_alone(make):
    assert torch_told(make()) == []
