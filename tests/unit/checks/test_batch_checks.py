"""What a network's fit does with the order of the rows, and with the rows that it holds out."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.model_selection import train_test_split

from pytest_kepler import checks, gate
from pytest_kepler.checks.config import CheckConfig

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

DIGITS_X, DIGITS_y = load_digits(return_X_y=True)
DIGITS_X = (DIGITS_X / 16).astype("float32")
BY_LABEL = np.argsort(DIGITS_y, kind="stable")
SORTED_X, SORTED_y = DIGITS_X[BY_LABEL], DIGITS_y[BY_LABEL]
TWO_RUNS = np.r_[0:48, 200:248]
CANCER_X, CANCER_y = load_breast_cancer(return_X_y=True)
DIABETES_X, DIABETES_y = load_diabetes(return_X_y=True)
LAYERS = keras.layers


def network(width=64, classes=10, *norm):
    model = keras.Sequential(
        [
            LAYERS.Input((width,)),
            LAYERS.Dense(8, activation="relu"),
            *norm,
            LAYERS.Dense(classes, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def regression(optimizer, loss="mse"):
    model = keras.Sequential(
        [LAYERS.Input((10,)), LAYERS.Dense(8, activation="relu"), LAYERS.Dense(1)]
    )
    model.compile(optimizer, loss)
    return model


def found_in(code, model, X, y=None, **fit_kwargs):
    found = checks.model(model, X, y, select=code, **fit_kwargs)
    assert "K000" not in {one.code for one in found}
    return [(one.code, one.severity) for one in found]


def batches(X, y, size=8, shuffle=0):
    dataset = tf.data.Dataset.from_tensor_slices((X, y))
    return (dataset.shuffle(shuffle) if shuffle else dataset).batch(size)


@pytest.mark.parametrize(
    ("fit_kwargs", "expected"),
    [
        ({"shuffle": False}, [("K102", "error")]),
        ({"shuffle": False, "batch_size": 1797}, []),
        ({}, []),
        ({"validation_split": 0.2}, [("K102", "warning")]),
        ({"validation_split": 0.2, "validation_data": (DIGITS_X, DIGITS_y)}, []),
    ],
)
def test_sorted_rows_matter_where_their_order_is_kept(fit_kwargs, expected):
    assert found_in("K102", network(), SORTED_X, SORTED_y, **fit_kwargs) == expected


@pytest.mark.parametrize("seed", [0, 1])
def test_shuffled_rows_may_be_read_in_their_order(seed):
    order = np.random.default_rng(seed).permutation(len(DIGITS_y))
    X, y = DIGITS_X[order], DIGITS_y[order]
    assert found_in("K102", network(), X, y, shuffle=False, validation_split=0.2) == []


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: batches(SORTED_X, SORTED_y), [("K114", "error")]),
        (lambda: batches(SORTED_X[150:250], SORTED_y[150:250], 16), [("K114", "warning")]),
        (lambda: batches(SORTED_X[TWO_RUNS], SORTED_y[TWO_RUNS]), [("K114", "error")]),
        (lambda: batches(DIGITS_X, DIGITS_y), []),
        (lambda: batches(SORTED_X, SORTED_y, shuffle=2000), []),
        (lambda: batches(SORTED_X, SORTED_y, 4), []),
        (lambda: batches(SORTED_X, SORTED_y, 500), []),
    ],
    ids=["sorted", "few-of-both", "pure", "as-shipped", "shuffled", "tiny", "large"],
)
def test_batches_of_one_class_are_found_where_they_can_be_read(make, expected):
    assert found_in("K114", network(), make()) == expected


def test_reading_batches_leaves_a_dataset_as_it_was():
    dataset = batches(SORTED_X, SORTED_y)
    found_in("K114", network(), dataset)
    assert len(list(dataset)) == 225


@pytest.mark.parametrize(
    ("n_rows", "fit_kwargs", "norm", "is_found"),
    [
        (97, {}, LAYERS.BatchNormalization, True),
        (97, {"batch_size": 24}, LAYERS.BatchNormalization, True),
        (97, {"batch_size": 25}, LAYERS.BatchNormalization, False),
        (121, {"validation_split": 0.2}, LAYERS.BatchNormalization, False),
        (122, {"validation_split": 0.2}, LAYERS.BatchNormalization, True),
        (98, {}, LAYERS.BatchNormalization, False),
        (97, {}, LAYERS.LayerNormalization, False),
        (97, {}, lambda: LAYERS.BatchNormalization(trainable=False), False),
    ],
)
def test_a_last_batch_of_one_row_is_no_batch_to_normalise(n_rows, fit_kwargs, norm, is_found):
    model = network(64, 10, norm())
    found = found_in("K113", model, DIGITS_X[:n_rows], DIGITS_y[:n_rows], **fit_kwargs)
    assert found == ([("K113", "warning")] if is_found else [])


def test_images_are_normalised_over_their_positions():
    model = keras.Sequential(
        [
            LAYERS.Input((8, 8, 1)),
            LAYERS.Conv2D(4, 3),
            LAYERS.BatchNormalization(),
            LAYERS.Flatten(),
            LAYERS.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    assert found_in("K113", model, DIGITS_X[:97].reshape(-1, 8, 8, 1), DIGITS_y[:97]) == []


@pytest.mark.parametrize(
    ("optimizer", "loss", "factor", "is_found"),
    [
        ("sgd", "mse", 1.3, True),  # the spread is 77: 100 and 97
        ("sgd", "mse", 1.25, False),
        ("adam", "mse", 1e3, False),
        (keras.optimizers.SGD(clipnorm=1.0), "mse", 1e3, False),
        ("sgd", "mae", 1e3, False),
        ("sgd", "poisson", 1e3, False),
    ],
)
def test_plain_descent_needs_a_target_of_the_order_of_one(optimizer, loss, factor, is_found):
    model = regression(optimizer, loss)
    found = found_in("K316", model, DIABETES_X, DIABETES_y * factor)
    assert found == ([("K316", "warning")] if is_found else [])


# --- What a fit holds out -----------------------------------------------------------------


def verdict(X, y, config=None, *, cache=None, keys=(None, None), **fit_kwargs):
    return gate.examine_fit(
        network(X.shape[1], int(y.max()) + 1),
        X,
        y,
        fit_kwargs,
        config=config or CheckConfig(select=("K1", "K3", "K6")),
        today=dt.datetime.now(tz=dt.UTC).date(),
        cache=cache,
        data_key=keys[0],
        validation_key=keys[1],
    )


def halves(X, y, seed=0):
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed, stratify=y)
    return X_train, y_train, (X_test, y_test)


def mixed(train, other, n_rows):
    return np.concatenate([train[0][:n_rows], other[0]]), np.r_[train[1][:n_rows], other[1]]


def without(data, label):
    X, y = data
    return X[y != label], y[y != label]


def codes(found):
    return {(one.code, one.severity) for one in found.findings}


@pytest.mark.parametrize("seed", [0, 1])
def test_a_sound_validation_split_is_silent(seed):
    X_train, y_train, held_out = halves(DIGITS_X, DIGITS_y, seed)
    assert codes(verdict(X_train, y_train, validation_data=held_out)) == set()
    assert codes(verdict(X_train, y_train, validation_split=0.2)) == set()


def test_rows_scaled_as_one_may_be_cut_by_the_fit():
    X = (CANCER_X - CANCER_X.mean(axis=0)) / CANCER_X.std(axis=0)
    assert codes(verdict(X, CANCER_y, validation_split=0.2)) == set()


@pytest.mark.parametrize(
    ("held_out", "expected"),
    [
        (lambda train, _: train, {("K110", "error")}),
        (lambda train, other: mixed(train, other, 60), {("K105", "error")}),
        (lambda _, other: (other[0] * 16, other[1]), {("K116", "error")}),
        (lambda _, other: without(other, 3), {("K109", "warning"), ("K103", "warning")}),
    ],
    ids=["itself", "copies", "unscaled", "a-class-less"],
)
def test_what_a_fit_validates_on_is_looked_at_beside_what_it_trains_on(held_out, expected):
    X_train, y_train, other = halves(DIGITS_X, DIGITS_y)
    found = verdict(X_train, y_train, validation_data=held_out((X_train, y_train), other))
    assert codes(found)
    assert codes(found) <= expected
    assert all("test split" not in f"{one.message} {one.location}" for one in found.findings)
    assert all(one.location.startswith("validation_data, ") for one in found.findings)


def test_the_last_rows_of_sorted_data_hold_a_class_that_is_never_trained_on():
    found = verdict(SORTED_X, SORTED_y, validation_split=0.2)
    assert ("K109", "error") in codes(found)
    assert any(one.location.startswith("validation_split, ") for one in found.blocking)


def test_checks_that_the_project_leaves_out_stay_out_at_a_fit():
    X_train, y_train, _ = halves(DIGITS_X, DIGITS_y)
    config = CheckConfig(select=("K1", "K3"), ignore=("K1",))
    assert codes(verdict(X_train, y_train, config, validation_data=(X_train, y_train))) == set()


def test_a_grid_looks_once_at_what_it_validates_on(monkeypatch):
    from pytest_kepler.checks import families

    calls = []
    examine = families.examine_validation
    monkeypatch.setattr(
        families, "examine_validation", lambda *given: calls.append(1) or examine(*given)
    )
    X_train, y_train, held_out = halves(DIGITS_X, DIGITS_y)
    cache = {}
    for key in ("one", "one", "two"):
        found = verdict(X_train, y_train, cache=cache, keys=("data", key), validation_data=held_out)
        assert codes(found) == set()
    assert len(calls) == 2


def test_a_dataset_to_validate_on_is_read_if_it_can_be():
    X_train, y_train, held_out = halves(DIGITS_X, DIGITS_y)
    unscaled = batches(held_out[0] * 16, held_out[1])
    assert ("K116", "error") in codes(verdict(X_train, y_train, validation_data=unscaled))
    generator = (part for part in [held_out])
    assert codes(verdict(X_train, y_train, validation_data=generator)) == set()
    assert len(list(generator)) == 1


class Squares(keras.losses.Loss):
    """A loss of a user's own, which does not line up the shapes."""

    def call(self, y_true, y_pred):
        return keras.ops.square(y_true - y_pred)


class Lined(Squares):
    def call(self, y_true, y_pred):
        return super().call(keras.ops.reshape(y_true, keras.ops.shape(y_pred)), y_pred)


class Ranking(keras.losses.Loss):
    """A loss that means to compare each row with each."""

    def call(self, y_true, y_pred):
        ops = keras.ops
        true, pred = ops.reshape(y_true, (-1, 1)), ops.reshape(y_pred, (-1, 1))
        order = ops.sign(true - ops.transpose(true))
        return ops.softplus(-order * (pred - ops.transpose(pred)))


@pytest.mark.parametrize(
    ("loss", "y", "expected"),
    [
        (Squares(), DIABETES_y, [("K418", "error")]),
        (Squares(), DIABETES_y[:, None], []),
        (Lined(), DIABETES_y, []),
        (Ranking(), DIABETES_y, []),
        ("mse", DIABETES_y, []),
        (lambda true, pred: keras.ops.square(true - pred), DIABETES_y, []),
    ],
)
def test_a_loss_that_compares_each_output_with_all_labels_is_an_error(loss, y, expected):
    assert found_in("K418", regression("adam", loss), DIABETES_X, y) == expected
