"""Each check of a model before training: loud on a fault, silent on sound models and traps."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from pytest_kepler import checks

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    keras = pytest.importorskip("keras")
    tf = pytest.importorskip("tensorflow")

layers = keras.layers
WINE_X, WINE_y = load_wine(return_X_y=True)
IRIS_X, IRIS_y = load_iris(return_X_y=True)
CANCER_X, CANCER_y = load_breast_cancer(return_X_y=True)
DIABETES_X, DIABETES_y = load_diabetes(return_X_y=True)
X, y = load_digits(return_X_y=True)
X = (X / 16).astype("float32")
IMAGES, SERIES = X.reshape(-1, 8, 8, 1), X.reshape(-1, 8, 8)
ONE_HOT = np.eye(10)[y]
SPARSE = "sparse_categorical_crossentropy"
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def dense(units, activation=None, **options):
    return layers.Dense(units, activation=activation, **options)


def network(loss, *stack, shape=(64,)):
    model = keras.Sequential([keras.Input(shape), *stack])
    model.compile(loss=loss)
    return model


def digits_net(loss, *head, middle=("relu",)):
    return network(loss, *(dense(16, name) for name in middle), *head)


def of_wine(*stack, built=True):
    model = keras.Sequential([*([keras.Input((13,))] if built else []), *stack])
    model.add(dense(3, "softmax"))
    model.compile(loss=SPARSE)
    return model


def adapted():
    layer = layers.Normalization()
    layer.adapt(WINE_X)
    return layer


def trained(model):
    model.fit(X[:64], y[:64], verbose=0)
    return model


class Subclassed(keras.Model):
    def __init__(self, activation=None):
        super().__init__()
        self.first, self.last = dense(16, "relu"), dense(10, activation)

    def call(self, inputs):
        return self.last(self.first(inputs))


def subclassed(activation):
    model = Subclassed(activation)
    model.compile(loss=SPARSE)
    model(X[:2])
    return model


def batches(rows, size, **options):
    return tf.data.Dataset.from_tensor_slices((X[:rows], y[:rows])).batch(size, **options)


def residual():
    inputs = keras.Input((64,))
    x = dense(64, "relu")(inputs)
    branch = layers.BatchNormalization(gamma_initializer="zeros")(dense(64)(x))
    x = layers.ReLU()(layers.Add()([x, branch]))
    model = keras.Model(inputs, dense(10, "softmax")(x))
    model.compile(loss=SPARSE)
    return model


def two_outputs(first_loss=SPARSE):
    inputs = keras.Input((64,))
    x = dense(16, "relu")(inputs)
    model = keras.Model(inputs, [dense(10, "softmax")(x), dense(1)(x)])
    model.compile(loss=[first_loss, "mse"])
    return model


LOUD = [
    ("K101", "error", lambda: (digits_net(SPARSE), batches(5, 32, drop_remainder=True))),
    ("K404", "error", lambda: (digits_net(SPARSE, dense(10, "softmax")), X, ONE_HOT)),
    ("K404", "error", lambda: (digits_net("categorical_crossentropy", dense(10, "softmax")), X, y)),
    ("K404", "error", lambda: (two_outputs(), X, [ONE_HOT, X.sum(axis=1)])),
    ("K405", "error", lambda: (digits_net(SPARSE, dense(9, "softmax")), X, y)),
    ("K405", "error", lambda: (digits_net("bce", dense(1, "sigmoid")), X, y)),
    ("K405", "error", lambda: (digits_net("bce", dense(3, "sigmoid")), X, ONE_HOT)),
    ("K405", "error", lambda: (digits_net("bce", dense(2, "softmax")), X, y % 2)),
    ("K406", "warning", lambda: (digits_net(LOGITS, dense(10, "softmax")), X, y)),
    (
        "K406",
        "error",
        lambda: (digits_net(LOGITS, dense(10, "softmax"), layers.Reshape((10,))), X, y),
    ),
    ("K406", "error", lambda: (digits_net(SPARSE, dense(10)), X, y)),
    ("K406", "error", lambda: (digits_net(SPARSE, dense(10, "relu")), X, y)),
    ("K406", "error", lambda: (subclassed(None), X, y)),
    ("K407", "error", lambda: (digits_net("bce", dense(1, "softmax")), X, y % 2)),
    ("K312", "error", lambda: (digits_net(SPARSE, dense(10, "softmax")), X, y + 1)),
    ("K312", "warning", lambda: (digits_net(SPARSE, dense(20, "softmax")), X, y * 2)),
    ("K410", "error", lambda: (digits_net("bce", dense(1, "sigmoid")), X, 2 * (y % 2) - 1)),
    (
        "K410",
        "error",
        lambda: (network("bce", dense(1, "sigmoid"), shape=(10,)), DIABETES_X, DIABETES_y),
    ),
    (
        "K403",
        "error",
        lambda: (network("mse", dense(1, "sigmoid"), shape=(10,)), DIABETES_X, DIABETES_y),
    ),
    (
        "K403",
        "error",
        lambda: (network("mae", dense(1, "relu"), shape=(10,)), DIABETES_X, -DIABETES_y),
    ),
    (
        "K412",
        "warning",
        lambda: (digits_net(SPARSE, dense(10, "softmax"), middle=("relu", None)), X, y),
    ),
    (
        "K412",
        "warning",
        lambda: (network("mse", dense(8), dense(1), shape=(10,)), DIABETES_X, DIABETES_y),
    ),
    ("K204", "error", lambda: (of_wine(dense(16, "relu")), WINE_X, WINE_y)),
    ("K204", "error", lambda: (of_wine(dense(16, "relu"), built=False), WINE_X, WINE_y)),
    (
        "K204",
        "error",
        lambda: (
            network(
                SPARSE,
                layers.Conv2D(4, 3, activation="relu"),
                layers.Flatten(),
                dense(10, "softmax"),
                shape=(8, 8, 1),
            ),
            IMAGES * 255,
            y,
        ),
    ),
    (
        "K204",
        "error",
        lambda: (
            network(SPARSE, layers.LSTM(8), dense(10, "softmax"), shape=(8, 8)),
            SERIES * 255,
            y,
        ),
    ),
    ("K204", "warning", lambda: (digits_net(SPARSE, dense(10, "softmax")), X / 1e5, y)),
    ("K303", "warning", lambda: (SVC(), WINE_X, WINE_y)),
    ("K303", "warning", lambda: (MLPClassifier(), WINE_X, WINE_y)),
    ("K303", "warning", lambda: (GridSearchCV(KNeighborsClassifier(), {}), CANCER_X, CANCER_y)),
    ("K303", "warning", lambda: (LogisticRegression(), CANCER_X, CANCER_y)),
]

SILENT = [
    ("K101", lambda: (digits_net(SPARSE), batches(64, 32, drop_remainder=True))),
    ("K404", lambda: (digits_net("categorical_crossentropy", dense(10, "softmax")), X, ONE_HOT)),
    ("K404", lambda: (digits_net(SPARSE, dense(10, "softmax")), X, y[:, None])),
    ("K404", lambda: (two_outputs(), X, [y, X.sum(axis=1)])),
    ("K405", lambda: (digits_net(SPARSE, dense(12, "softmax")), X, y)),
    ("K405", lambda: (digits_net("bce", dense(1, "sigmoid")), X, y % 2)),
    ("K406", lambda: (digits_net(LOGITS, dense(10)), X, y)),
    ("K406", lambda: (digits_net(SPARSE, dense(10), layers.Softmax()), X, y)),
    ("K406", lambda: (digits_net(SPARSE, dense(10, "softmax"), layers.Dropout(0.1)), X, y)),
    ("K406", lambda: (subclassed("softmax"), X, y)),
    ("K406", lambda: (digits_net(lambda _, p: keras.ops.mean(p), dense(10)), X, y)),
    ("K407", lambda: (digits_net("mse", dense(1)), X, y)),
    ("K312", lambda: (digits_net(SPARSE, dense(20, "softmax")), X, y)),
    (
        "K312",
        lambda: (
            digits_net(
                keras.losses.SparseCategoricalCrossentropy(ignore_class=-1), dense(10, "softmax")
            ),
            X,
            np.where(np.arange(len(y)) % 10 == 3, -1, y),
        ),
    ),
    ("K410", lambda: (digits_net("bce", dense(64, "sigmoid")), X, X)),
    ("K403", lambda: (digits_net("mse", dense(64, "sigmoid")), X, X)),
    (
        "K403",
        lambda: (
            network("poisson", dense(1, "exponential"), shape=(10,)),
            DIABETES_X,
            DIABETES_y,
        ),
    ),
    ("K412", lambda: (digits_net("mse", dense(8), dense(64), middle=()), X, X)),
    ("K412", lambda: (residual(), X, y)),
    (
        "K412",
        lambda: (
            network(
                SPARSE,
                layers.DepthwiseConv2D(3),
                layers.Conv2D(8, 1),
                layers.BatchNormalization(),
                layers.ReLU(),
                layers.Flatten(),
                dense(10, "softmax"),
                shape=(8, 8, 1),
            ),
            IMAGES,
            y,
        ),
    ),
    ("K204", lambda: (of_wine(adapted(), dense(16, "relu")), WINE_X, WINE_y)),
    ("K204", lambda: (of_wine(adapted(), dense(16, "relu"), built=False), WINE_X, WINE_y)),
    ("K204", lambda: (of_wine(dense(16), layers.BatchNormalization()), WINE_X, WINE_y)),
    ("K204", lambda: (trained(digits_net(SPARSE, dense(10, "softmax"))), X * 255, y)),
    (
        "K204",
        lambda: (
            keras.Sequential([layers.Embedding(999, 4), layers.GlobalAveragePooling1D()]),
            X * 900,
            y,
        ),
    ),
    ("K303", lambda: (make_pipeline(StandardScaler(), SVC()), WINE_X, WINE_y)),
    ("K303", lambda: (make_pipeline(FunctionTransformer(), SVC()), WINE_X, WINE_y)),
    ("K303", lambda: (SVC(), IRIS_X, IRIS_y)),
    ("K303", lambda: (SVC(), X * 16, y)),
    ("K303", lambda: (SVC(kernel="linear"), WINE_X, WINE_y)),
    ("K303", lambda: (DecisionTreeClassifier(), WINE_X, WINE_y)),
    ("K303", lambda: (GaussianNB(), WINE_X, WINE_y)),
    ("K303", lambda: (LogisticRegression(C=np.inf), WINE_X, WINE_y)),
]


@pytest.mark.parametrize(("code", "severity", "make"), LOUD)
def test_a_fault_is_found(code, severity, make):
    found = checks.model(*make(), select=code)
    assert [(one.code, one.severity) for one in found] == [(code, severity)]
    assert all(one.message and one.location and one.fix and one.threshold for one in found)


@pytest.mark.parametrize(("code", "make"), SILENT)
def test_sound_models_and_traps_are_silent(code, make):
    assert checks.model(*make(), select=code) == []


def test_one_fault_of_an_output_is_told_once():
    model = digits_net("bce", dense(1, "softmax"))
    assert [one.code for one in checks.model(model, X, y)] == ["K405"]


def test_the_limit_of_the_first_layer_can_be_changed():
    model = digits_net(SPARSE, dense(10, "softmax"))
    assert checks.model(model, X * 16, y, select="K204", limits={"warn_high": 1.0})


def test_a_batch_larger_than_the_data_is_only_a_note():
    model = digits_net(SPARSE, dense(10, "softmax"))
    assert checks.model(model, X, y, batch_size=4096) == []


def test_no_row_to_train_on_is_an_error():
    model = digits_net(SPARSE, dense(10, "softmax"))
    found = checks.model(model, X[:1], y[:1], batch_size=32, validation_split=0.9, select="K101")
    assert [one.severity for one in found] == ["error"]


@pytest.mark.parametrize("make", [residual, two_outputs, lambda: subclassed(None)])
def test_weights_and_random_states_are_as_before(make):
    model = make()
    variables = [one.value.numpy().copy() for one in model.variables]
    python, numpy = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    uids = keras.src.backend.common.global_state.get_global_attribute("object_name_uids")
    names = dict(uids)
    checks.model(model, X, y)
    for before, after in zip(variables, model.variables, strict=True):
        np.testing.assert_array_equal(before, after.value.numpy())
    assert random.getstate() == python
    np.testing.assert_array_equal(np.random.get_state()[1], numpy)  # noqa: NPY002
    assert dict(uids) == names


def test_a_model_that_is_not_built_stays_so():
    model = of_wine(dense(16, "relu"), built=False)
    checks.model(model, WINE_X, WINE_y)
    assert not model.built


def test_a_subclassed_model_with_unbuilt_layers_stays_so():
    model = Subclassed()
    model.compile(loss=SPARSE)
    model.built = True
    assert checks.model(model, X, y) == []
    assert not model.first.built


def test_a_stateful_network_is_not_called():
    model = keras.Sequential(
        [keras.Input(batch_shape=(32, 8, 8)), layers.LSTM(4, stateful=True), dense(10)]
    )
    model.compile(loss=SPARSE)
    assert checks.model(model, SERIES[:64], y[:64], select="K406") == []


def test_a_shuffled_dataset_gives_its_arrays_and_keeps_its_order():
    def make():
        data = tf.data.Dataset.from_tensor_slices((X * 255, y)).shuffle(2000, seed=1)
        return data.batch(32).prefetch(2)

    looked_at, left_alone = make(), make()
    model = digits_net(SPARSE, dense(10, "softmax"))
    assert [one.code for one in checks.model(model, looked_at)] == ["K204"]
    for (_, ours), (_, theirs) in zip(looked_at.take(2), left_alone.take(2), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_dataset_that_maps_is_read_in_its_first_batches():
    data = batches(320, 32).map(lambda rows, labels: (rows * 255, labels))
    model = digits_net(SPARSE, dense(10, "softmax"))
    assert [one.code for one in checks.model(model, data)] == ["K204"]


def test_a_dataset_from_a_generator_is_never_read():
    def rows():
        raise AssertionError
        yield

    data = tf.data.Dataset.from_generator(
        rows, output_signature=(tf.TensorSpec((64,)), tf.TensorSpec(()))
    ).batch(2)
    assert checks.model(digits_net(SPARSE, dense(10, "softmax")), data) == []
    assert checks.data(data) == []


def test_dropout_that_stays_active_is_found():
    class AlwaysDropping(layers.Layer):
        def __init__(self):
            super().__init__()
            self.dropout = layers.Dropout(0.5)

        def call(self, inputs):
            return self.dropout(inputs, training=True)

    model = digits_net(SPARSE, AlwaysDropping(), dense(10, "softmax"))
    assert "K710" in {one.code for one in checks.behaviour(model, X, y)}
    plain = digits_net(SPARSE, layers.Dropout(0.5), dense(10, "softmax"))
    assert "K710" not in {one.code for one in checks.behaviour(plain, X, y)}
