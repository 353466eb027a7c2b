"""What every adapter promises, whatever the framework."""

from __future__ import annotations

import types
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from pytest_kepler import adapters
from pytest_kepler.adapters.views import ModelView
from pytest_kepler.checks import families
from pytest_kepler.errors import ExperimentError, KeplerUsageError
from pytest_kepler.testing import AdapterContract, ViewContract


def nn_module():
    """Return the base of torch's modules, or of nothing where torch is not installed."""
    try:
        from torch import nn
    except ImportError:
        return object
    return nn.Module


class TestGeneric(AdapterContract):
    framework = "generic"

    @pytest.fixture
    def model(self):
        class Threshold:
            def fit(self, X, y):
                self.n_features_ = X.shape[1]
                self.classes_ = np.unique(y)

            def predict(self, X):
                return (X[:, 0] > 0).astype(int)

        return Threshold()


class TestSklearn(AdapterContract):
    framework = "sklearn"

    @pytest.fixture
    def model(self):
        pytest.importorskip("skops")
        from sklearn.neural_network import MLPClassifier

        return MLPClassifier((4,), max_iter=200, tol=0.1, random_state=0)


class TestSklearnSearch(AdapterContract):
    framework = "sklearn"

    @pytest.fixture
    def model(self):
        pytest.importorskip("skops")
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV

        return GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2)


class TestKeras(AdapterContract):
    framework = "keras"
    fit_kwargs: ClassVar[dict[str, Any]] = {"epochs": 2}

    @pytest.fixture
    def model(self):
        pytest.importorskip("tensorflow", exc_type=ImportError)
        keras = pytest.importorskip("keras", exc_type=ImportError)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
        model.compile(optimizer="adam", loss="binary_crossentropy")
        return model


class Learner(nn_module()):
    """A torch module with a training of its own, as some that extend torch have."""

    def __init__(self):
        super().__init__()
        import torch

        self.head = torch.nn.Linear(3, 2)

    def forward(self, x):
        return self.head(x)

    def fit(self, X, y):
        import torch

        X, y = torch.tensor(X), torch.tensor(y)
        optimizer = torch.optim.Adam(self.parameters(), lr=0.1)
        for _ in range(30):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(self.head(X), y).backward()
            optimizer.step()
        return self

    def predict(self, X):
        import torch

        with torch.no_grad():
            return self.head(torch.tensor(X)).argmax(1).numpy()


class TestTorch(AdapterContract):
    framework = "torch"

    @pytest.fixture
    def model(self):
        torch = pytest.importorskip("torch")
        torch.manual_seed(0)
        return Learner()


class TestXGBoost(AdapterContract):
    framework = "xgboost"

    @pytest.fixture
    def model(self):
        pytest.importorskip("skops")
        return pytest.importorskip("xgboost").XGBClassifier(n_estimators=3, n_jobs=1)


@pytest.fixture
def digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype("float32"), y


class TestSklearnView(ViewContract):
    framework = "sklearn"
    code = "K612"

    @pytest.fixture
    def sound(self, digits):
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        return make_pipeline(StandardScaler(), LogisticRegression()), *digits, {}

    @pytest.fixture
    def faulty(self, sound):
        model, X, y, given = sound
        return model, X, y + np.linspace(0, 1, len(y)), given


class TestXGBoostView(ViewContract):
    framework = "sklearn"
    code = "K312"

    @pytest.fixture
    def sound(self, digits):
        return pytest.importorskip("xgboost").XGBClassifier(), *digits, {}

    @pytest.fixture
    def faulty(self, sound):
        model, X, y, given = sound
        return model, X, y + 1, given


class TestKerasView(ViewContract):
    framework = "keras"
    code = "K506"

    @pytest.fixture
    def make(self, digits):
        pytest.importorskip("tensorflow", exc_type=ImportError)
        keras = pytest.importorskip("keras", exc_type=ImportError)

        def make(*before_the_last):
            keras.utils.set_random_seed(0)
            layers = keras.layers
            parts = [layers.Dense(16, "relu"), *before_the_last, layers.Dense(10, "softmax")]
            model = keras.Sequential([keras.Input((64,)), *parts])
            model.compile("adam", "sparse_categorical_crossentropy")
            return model, *digits, {"batch_size": 32}

        return make

    @pytest.fixture
    def sound(self, make):
        return make()

    @pytest.fixture
    def faulty(self, make):
        import keras

        return make(keras.layers.Lambda(keras.ops.stop_gradient))


class TestTorchView(ViewContract):
    framework = "torch"
    code = "K406"

    @pytest.fixture
    def make(self, digits):
        torch = pytest.importorskip("torch")

        def make(*ends):
            torch.manual_seed(0)
            parts = [torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Dropout(0.5)]
            model = torch.nn.Sequential(*parts, torch.nn.Linear(16, 10), *ends)
            optimizer = torch.optim.Adam(model.parameters())
            given = {"loss": torch.nn.CrossEntropyLoss(), "optimizer": optimizer, "batch_size": 32}
            return model, *digits, given

        return make

    @pytest.fixture
    def sound(self, make):
        return make()

    @pytest.fixture
    def faulty(self, make):
        import torch

        return make(torch.nn.Softmax(dim=1))


class Table:
    """A framework that pytest-kepler has never heard of: it looks answers up."""

    FRAMEWORK = "table"

    def __init__(self, n_answers):
        self.n_answers = n_answers

    def fit(self, X, y):
        del X, y


def table_view(model, X, y, fit_kwargs):
    del X, y, fit_kwargs
    return ModelView("other", model, "Table", learns="classifier", estimators=(model,))


@pytest.fixture
def registered(monkeypatch):
    adapter = types.SimpleNamespace(
        FRAMEWORK="table",
        matches=lambda model: isinstance(model, Table),
        view=table_view,
        fit=lambda *_: "fitted",
    )
    monkeypatch.setattr(adapters, "_REGISTERED", [])
    adapters.register(adapter)
    return adapter


def test_an_adapter_of_somebody_else_is_asked_first(registered):
    assert adapters.find(Table(3)) is registered
    view = families.view_model(Table(3), None)
    assert (view.name, view.learns) == ("Table", "classifier")
    assert adapters.find(LogisticRegression()).FRAMEWORK == "sklearn"


def test_an_adapter_registered_again_takes_the_place_of_the_first(registered):
    other = types.SimpleNamespace(**vars(registered))
    adapters.register(other)
    assert adapters.find(Table(3)) is other


def test_an_adapter_that_is_none_is_refused():
    with pytest.raises(KeplerUsageError, match="needs FRAMEWORK, matches"):
        adapters.register(object())


@pytest.mark.parametrize("thing", [None, 3, "model", [], object(), lambda: None])
def test_what_is_no_model_is_refused_by_name(thing):
    with pytest.raises(ExperimentError, match=r"experiment\.fit needs a model"):
        adapters.find(thing)
