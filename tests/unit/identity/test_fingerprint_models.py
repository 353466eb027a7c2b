"""Models count by configuration and weights, and are no data."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from pytest_kepler.errors import UnreadableValueError
from pytest_kepler.identity.fingerprint import fingerprint, read

X = np.random.default_rng(0).normal(size=(40, 3))
Y = np.arange(40) % 2


def different(*values):
    return len({fingerprint(value) for value in values}) == len(values)


class TestScikitLearn:
    @pytest.fixture(autouse=True)
    def library(self):
        pytest.importorskip("sklearn")

    def estimators(self):
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.model_selection import GridSearchCV
        from sklearn.neighbors import KNeighborsClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC

        return [
            SVC(),
            make_pipeline(StandardScaler(), SVC()),
            RandomForestClassifier(3, random_state=0),
            KNeighborsClassifier(algorithm="kd_tree"),
            GridSearchCV(SVC(), {"C": [1, 2]}, cv=2),
        ]

    def test_an_estimator_counts_by_class_and_parameters(self):
        from sklearn.base import clone

        estimators = self.estimators()
        assert different(*estimators)
        for estimator in estimators:
            assert fingerprint(estimator) == fingerprint(clone(estimator))
            assert not read(estimator).is_data

    def test_a_nested_parameter_counts(self):
        pipeline = self.estimators()[1]
        before = fingerprint(pipeline)
        pipeline.set_params(svc__C=2)
        assert fingerprint(pipeline) != before

    def test_what_was_fitted_counts_and_using_it_does_not(self):
        for one, other, third in zip(*(self.estimators() for _ in range(3)), strict=True):
            before = fingerprint(one)
            fitted = fingerprint(one.fit(X, Y))
            assert fitted != before
            assert fingerprint(other.fit(X, Y)) == fitted
            assert fingerprint(third.fit(X[:30], Y[:30])) != fitted
            one.predict(X)
            assert fingerprint(one) == fitted
            assert not read(one).is_data

    def test_a_text_parameter_names_no_file(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        estimator = self.estimators()[0]
        before = fingerprint(estimator)
        (tmp_path / "rbf").write_text("x", encoding="utf-8")
        assert fingerprint(estimator) == before

    def test_a_bunch_of_arrays_is_data(self):
        from sklearn.utils import Bunch

        assert read(Bunch(data=X)).is_data
        assert different(Bunch(data=X), Bunch(data=X + 1), {"data": X})


class TestTorch:
    @pytest.fixture
    def torch(self):
        return pytest.importorskip("torch")

    def network(self, torch, seed=0, rate=0.5):
        torch.manual_seed(seed)
        linear = torch.nn.Linear(3, 4)
        return torch.nn.Sequential(linear, torch.nn.ReLU(), torch.nn.Dropout(rate))

    def test_the_layout_of_a_tensor_does_not_count(self, torch):
        tensor = torch.arange(12.0).reshape(3, 4)
        assert fingerprint(tensor) == fingerprint(tensor.T.contiguous().T)
        assert different(tensor, tensor.double(), tensor.T, tensor + 1, tensor.bfloat16())
        assert different(torch.eye(2).to_sparse(), torch.ones(2, 2).to_sparse())
        assert read(tensor).is_data
        assert read(tensor).shape == (3, 4)

    def test_a_module_counts_by_weights_settings_and_mode(self, torch):
        assert fingerprint(self.network(torch)) == fingerprint(self.network(torch))
        networks = [self.network(torch), self.network(torch, seed=1), self.network(torch, rate=0.1)]
        assert different(*networks, self.network(torch).eval())
        assert not read(networks[0]).is_data

    def test_an_optimizer_counts_by_its_settings(self, torch):
        def optimizer(lr):
            return torch.optim.Adam(self.network(torch).parameters(), lr)

        assert fingerprint(optimizer(0.1)) == fingerprint(optimizer(0.1))
        assert different(optimizer(0.1), optimizer(0.2))

    def test_a_dataset_is_read_and_a_loader_is_refused(self, torch):
        data = torch.utils.data.TensorDataset(torch.ones(2))
        assert read(data).is_data
        with pytest.raises(UnreadableValueError, match="a torch DataLoader"):
            fingerprint(torch.utils.data.DataLoader(data))
        with pytest.raises(UnreadableValueError, match="meta device"):
            fingerprint(torch.ones(1, device="meta"))

    def test_constants_and_functions_are_read(self, torch):
        assert different(torch.float32, torch.float64, torch.device("cpu"))
        assert different(torch.relu, torch.nn.functional.gelu, torch.nn.functional.relu)


class TestKeras:
    @pytest.fixture
    def keras(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TensorFlow's own, as it is loaded
            return pytest.importorskip("keras")

    def network(self, keras, *, seed=0, units=4, activation="relu", lr=0.01):
        keras.utils.set_random_seed(seed)
        layers = keras.layers
        stack = [layers.Dense(units, activation=activation), layers.Softmax(), layers.Dense(2)]
        model = keras.Sequential([keras.Input((3,)), *stack])
        model.compile(keras.optimizers.Adam(lr), "mse", metrics=["mae"])
        return model

    def test_automatic_names_do_not_count(self, keras):
        assert fingerprint(self.network(keras)) == fingerprint(self.network(keras))
        assert fingerprint(keras.layers.Dense(3)) == fingerprint(keras.layers.Dense(3))

    def test_weights_configuration_and_compilation_count(self, keras):
        assert different(
            self.network(keras),
            self.network(keras, seed=1),
            self.network(keras, units=5),
            self.network(keras, activation="tanh"),
            self.network(keras, lr=0.1),
        )
        assert different(keras.layers.Dense(3), keras.layers.Dense(4), keras.layers.ReLU())
        assert different(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.2))

    def test_the_connections_of_a_functional_model_count(self, keras):
        def functional(*, twice):
            keras.utils.set_random_seed(0)
            entry = keras.Input((3,))
            one, two = keras.layers.Dense(3)(entry), keras.layers.Dense(3)(entry)
            total = keras.layers.Add()([two, two] if twice else [one, two])
            return keras.Model(entry, keras.layers.Concatenate()([one, total]))

        assert fingerprint(functional(twice=True)) == fingerprint(functional(twice=True))
        assert different(functional(twice=True), functional(twice=False))

    def test_a_prediction_does_not_count_and_a_change_of_weights_does(self, keras):
        model = self.network(keras)
        before = fingerprint(model)
        model(X)
        assert fingerprint(model) == before
        model.layers[0].bias.assign(np.ones(4))
        assert fingerprint(model) != before
        assert not read(model).is_data

    def test_a_frozen_layer_counts(self, keras):
        frozen = self.network(keras)
        frozen.layers[0].trainable = False
        one_weight = self.network(keras)
        one_weight.layers[0].bias.trainable = False
        assert different(frozen, one_weight, self.network(keras))

    def test_tensors_are_data_and_streams_are_refused(self, keras):
        tf = pytest.importorskip("tensorflow")
        assert read(tf.constant([1.0, 2.0])).is_data
        assert not read(tf.Variable([1.0])).is_data
        assert different(tf.constant([1.0]), tf.constant([2.0]), tf.ragged.constant([[1], []]))
        with pytest.raises(UnreadableValueError, match=r"^value\[0\]: a tf.data.Dataset"):
            fingerprint([tf.data.Dataset.range(3)])
        with pytest.raises(UnreadableValueError, match="a symbolic tensor"):
            fingerprint(keras.Input((3,)))
