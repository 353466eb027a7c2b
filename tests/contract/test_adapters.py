"""What every adapter promises, whatever the framework."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from pytest_kepler import adapters
from pytest_kepler.errors import ExperimentError
from pytest_kepler.testing import AdapterContract


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


@pytest.mark.parametrize("thing", [None, 3, "model", [], object(), lambda: None])
def test_what_is_no_model_is_refused_by_name(thing):
    with pytest.raises(ExperimentError, match=r"experiment\.fit needs a model"):
        adapters.find(thing)
