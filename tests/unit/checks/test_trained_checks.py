"""Checks of trained models beside their training rows, shuffled rows, and saved copies."""

from __future__ import annotations

import pickle
import random
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeRegressor

from pytest_kepler import checks
from pytest_kepler.checks import families
from pytest_kepler.checks.config import CheckConfig
from pytest_kepler.errors import KeplerUsageError

NOTES = CheckConfig(notes=True)
CANCER = load_breast_cancer(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
DIGITS = load_digits(return_X_y=True)


def halves(data, seed=0, share=0.5):
    X, y = data
    stratify = y if len(np.unique(y)) <= 10 else None
    return train_test_split(X, y, test_size=share, random_state=seed, stratify=stratify)


def codes_of(model, parts, code, **given):
    X, X_test, y, y_test = parts
    found = checks.behaviour(model, X_test, y_test, X_train=X, y_train=y, select=code, **given)
    return [(one.code, one.severity) for one in found]


def not_applicable(model, parts, code):
    X, X_test, y, y_test = parts
    settings = families.settings("behaviour", None, code, (), {})
    outcome = families.examine_behaviour(model, X_test, y_test, settings, trained_on=(X, y))
    return outcome.not_applicable.get(code, "")


def answering(answer):
    """Return a model whose answers are a function of the rows."""
    return type("Answering", (), {"predict": lambda _, X: answer(X)})()


# --- What was given of the training -------------------------------------------------------


def test_without_training_rows_two_checks_do_not_apply():
    X, X_test, y, y_test = halves(CANCER)
    model = RandomForestClassifier(10, random_state=0).fit(X, y)
    settings = families.settings("behaviour", None, ["K513", "K703"], (), {})
    outcome = families.examine_behaviour(model, X_test, y_test, settings)
    assert set(outcome.not_applicable) == {"K513", "K703"}
    assert set(outcome.not_applicable.values()) == {"no training rows were given"}


@pytest.mark.parametrize("given", [{"X_train": CANCER[0]}, {"y_train": CANCER[1]}])
def test_training_rows_without_their_target_are_a_usage_error(given):
    with pytest.raises(KeplerUsageError, match="belong together"):
        checks.behaviour(LogisticRegression(), *CANCER, **given)


def test_training_rows_and_targets_of_other_lengths_are_a_usage_error():
    X, y = CANCER
    with pytest.raises(KeplerUsageError, match="X_train has 569, y_train has 500"):
        checks.behaviour(LogisticRegression(), X, y, X_train=X, y_train=y[:500])


def test_a_loader_brings_the_target_of_the_training_rows_along():
    torch = pytest.importorskip("torch")
    X, X_test, y, y_test = halves(CANCER)
    model = make_pipeline(StandardScaler(), RandomForestClassifier(20, random_state=0)).fit(X, y)
    dataset = torch.utils.data.TensorDataset(torch.as_tensor(X), torch.as_tensor(y))
    settings = families.settings("behaviour", None, ["K513", "K703"], (), {})
    for source in (dataset, torch.utils.data.DataLoader(dataset, batch_size=16)):
        given = {"trained_on": (source, None)}
        outcome = families.examine_behaviour(model, X_test, y_test, settings, **given)
        assert outcome.not_applicable == {}


def test_a_dataset_of_held_out_rows_is_not_asked_row_by_row():
    tensorflow = pytest.importorskip("tensorflow")
    X, y = CANCER
    dataset = tensorflow.data.Dataset.from_tensor_slices((X, y)).batch(32)
    reason = "the rows cannot be asked one by one"
    for code in ("K703", "K708", "K709"):
        parts = (X, dataset, y, None)
        assert not_applicable(RandomForestClassifier(5).fit(X, y), parts, code) == reason


@pytest.mark.parametrize("kind", ["numpy", "pandas", "polars"])
def test_what_was_given_is_the_same_afterwards(kind):
    library = pytest.importorskip(kind)
    kind = getattr(library, "DataFrame", np.asarray)
    X, X_test, y, y_test = halves(CANCER)
    model = RandomForestClassifier(5, random_state=0).fit(X, y)
    given = [kind(X.copy()), kind(X_test.copy()), y.copy(), y_test.copy()]
    states = random.getstate(), repr(np.random.get_state())  # noqa: NPY002 - the global state
    before = pickle.dumps((model, given))
    settings = families.settings("behaviour", None, ["K513", "K703", "K708", "K709"], (), {})
    trained_on = {"trained_on": (given[0], given[2])}
    outcome = families.examine_behaviour(model, given[1], given[3], settings, **trained_on)
    assert outcome.not_applicable == {}
    assert pickle.dumps((model, given)) == before
    assert (random.getstate(), repr(np.random.get_state())) == states  # noqa: NPY002


# --- K513 ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_training_rows_that_are_not_scaled_are_found(seed):
    X, X_test, y, y_test = halves(CANCER, seed)
    scaler = StandardScaler().fit(X)
    model = LogisticRegression().fit(scaler.transform(X), y)
    parts = (X, scaler.transform(X_test), y, y_test)
    assert codes_of(model, parts, "K513") == [("K513", "warning")]


@pytest.mark.parametrize("seed", [0, 1])
def test_training_targets_of_other_rows_are_found(seed):
    X, X_test, y, y_test = halves(DIABETES, seed)
    model = Ridge().fit(X, y)
    wrong = np.random.default_rng(seed).permutation(y) + 200
    assert codes_of(model, (X, X_test, wrong, y_test), "K513") == [("K513", "warning")]


def test_a_loss_that_is_far_less_is_found_where_the_accuracy_is_alike():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    # One column says how sure the model is: of all training rows less.
    X, X_test = np.c_[y, np.full(400, 0.6)], np.c_[y, np.full(400, 0.9)]

    class Sure:
        classes_ = np.array([0, 1])

        def predict(self, X):
            return X[:, 0].astype(int)

        def predict_proba(self, X):
            second = np.where(X[:, 0] == 1, X[:, 1], 1 - X[:, 1])
            return np.c_[1 - second, second]

    (found,) = checks.behaviour(Sure(), X_test, y, X_train=X, y_train=y, select="K513")
    assert found.measured["log loss"] == pytest.approx(-np.log(0.9))
    assert found.measured["log loss of training rows"] == pytest.approx(-np.log(0.6))
    X[:, 1] = 0.89
    assert checks.behaviour(Sure(), X_test, y, X_train=X, y_train=y, select="K513") == []


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("model", "data"),
    [
        (make_pipeline(StandardScaler(), LogisticRegression()), CANCER),
        (RandomForestClassifier(20, random_state=0), DIGITS),
        (Ridge(), DIABETES),
    ],
)
def test_sound_models_are_no_better_on_rows_that_they_have_not_seen(model, data, seed):
    X, X_test, y, y_test = halves(data, seed)
    assert codes_of(model.fit(X, y), (X, X_test, y, y_test), "K513") == []


@pytest.mark.parametrize(("n_wrong", "is_found"), [(30, False), (39, False), (41, True)])
def test_a_lead_of_two_hundredths_is_granted(n_wrong, is_found):
    y, y_test = np.arange(2000) % 2, np.arange(1000) % 2
    given = np.where(np.arange(2000) < n_wrong, 1 - y, y)
    model = answering(lambda rows: rows[:, 0])
    found = codes_of(model, (given[:, None], y_test[:, None], y, y_test), "K513")
    assert bool(found) == is_found


def test_training_rows_are_a_sample_of_many():
    asked = []
    model = answering(lambda rows: asked.append(len(rows)) or np.zeros(len(rows), dtype=int))
    # Sorted by class: the first rows would have one class alone.
    y, y_test = np.repeat([0, 1], 5_000), np.arange(300) % 2
    parts = (np.zeros((10_000, 1)), np.zeros((300, 1)), y, y_test)
    assert codes_of(model, parts, "K513") == []
    assert not_applicable(model, parts, "K513") == ""
    assert asked[:2] == [300, 2_000]


def test_balanced_training_rows_are_no_harder_than_imbalanced_held_out_ones():
    rng = np.random.default_rng(0)
    # The common class is easy, the rare one a guess; in training both are as common.
    y, y_test = np.arange(2000) % 2, (np.arange(1000) % 10 == 0) * 1
    X, X_test = (
        np.where((one == 1) & (rng.random(len(one)) < 0.5), 1 - one, one)[:, None]
        for one in (y, y_test)
    )
    model = answering(lambda rows: rows[:, 0])
    right = [float(np.mean(model.predict(a) == b)) for a, b in ((X, y), (X_test, y_test))]
    assert right[1] > right[0] + 0.1
    assert codes_of(model, (X, X_test, y, y_test), "K513") == []


def test_few_held_out_rows_or_rows_in_time_are_not_compared_with_training_rows():
    X, X_test, y, y_test = halves(CANCER)
    model = answering(lambda rows: np.zeros(len(rows), dtype=int))
    few = (X, X_test[:199], y, y_test[:199])
    assert not_applicable(model, few, "K513") == "there are fewer than 200 held-out rows"
    index = pd.date_range("2026-01-01", periods=len(X_test))
    ordered = (pd.DataFrame(X), pd.DataFrame(X_test, index=index), y, y_test)
    assert not_applicable(model, ordered, "K513") == "the rows are ordered"


# --- K703 ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("model", "data"),
    [
        # Without scaling and with hardly an epoch.
        (MLPClassifier((8,), max_iter=2, random_state=0, solver="sgd"), CANCER),
        (MLPRegressor(hidden_layer_sizes=(20,), max_iter=40, random_state=0), DIABETES),
        (GradientBoostingRegressor(n_estimators=500, max_depth=6, random_state=0), DIABETES),
    ],
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_who_is_beaten_by_a_linear_model_is_told(model, data, seed):
    X, X_test, y, y_test = halves(data, seed)
    found = codes_of(model.fit(X, y), (X, X_test, y, y_test), "K703")
    assert found == [("K703", "warning")]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("model", "data"),
    [
        (RandomForestClassifier(50, random_state=0), CANCER),
        (make_pipeline(StandardScaler(), MLPClassifier((16,), tol=1e-3, random_state=0)), CANCER),
    ],
)
def test_who_is_as_good_as_a_linear_model_is_not_accused(model, data, seed):
    X, X_test, y, y_test = halves(data, seed)
    parts = (X, X_test, y, y_test)
    assert codes_of(model.fit(X, y), parts, "K703") == []
    assert not_applicable(model, parts, "K703") == ""


def test_categories_are_encoded_for_the_linear_model():
    rng = np.random.default_rng(0)
    colour = rng.choice(["red", "green", "blue", None], 600)
    frame = pd.DataFrame({"colour": colour, "noise": rng.normal(size=600)})
    y = (colour == "red") * 1
    parts = train_test_split(frame, y, random_state=0)
    encode = make_column_transformer((OneHotEncoder(), ["colour"]), remainder="passthrough")
    # Trained on labels of others rows, as the linear model is not.
    model = make_pipeline(encode, RandomForestClassifier(20, random_state=0))
    model.fit(parts[0], rng.permutation(parts[2]))
    assert codes_of(model, parts, "K703") == [("K703", "warning")]
    assert codes_of(model.fit(parts[0], parts[2]), parts, "K703") == []


def test_who_gives_up_accuracy_for_the_rare_class_is_not_accused():
    rng = np.random.default_rng(0)
    y = (rng.random(4000) < 0.1) * 1
    X = rng.normal(size=(4000, 4)) + 0.8 * y[:, None]
    parts = train_test_split(X, y, random_state=0)
    model = RandomForestClassifier(50, max_depth=4, class_weight="balanced", random_state=0)
    model.fit(parts[0], parts[2])
    linear = LogisticRegression().fit(parts[0], parts[2])
    assert linear.score(parts[1], parts[3]) > model.score(parts[1], parts[3]) + 0.02
    assert codes_of(model, parts, "K703") == []


def test_who_predicts_a_quantile_is_not_compared_with_a_mean():
    parts = halves(DIABETES)
    model = GradientBoostingRegressor(loss="quantile", alpha=0.9).fit(parts[0], parts[2])
    assert "no network" in not_applicable(model, parts, "K703")


@pytest.mark.parametrize(
    "model", [LogisticRegression(max_iter=5000), MLPClassifier(activation="identity", tol=1)]
)
def test_a_linear_model_is_not_compared_with_itself(model):
    X, X_test, y, y_test = halves(CANCER)
    parts = (StandardScaler().fit_transform(X), X_test, y, y_test)
    assert "no network" in not_applicable(model.fit(parts[0], y), parts, "K703")


def test_texts_are_not_read_by_a_linear_model():
    texts = pd.DataFrame({"text": [f"row number {i}" for i in range(400)]})
    y = np.arange(400) % 2
    model = make_pipeline(
        FunctionTransformer(len_of_texts), RandomForestClassifier(5, random_state=0)
    )
    parts = train_test_split(texts, y, random_state=0)
    assert not_applicable(model.fit(parts[0], parts[2]), parts, "K703").endswith("holds text")


def len_of_texts(frame):
    return frame["text"].str.len().to_numpy()[:, None]


# --- K708 ---------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [CANCER, DIABETES])
def test_who_knows_the_targets_by_their_place_is_found(data):
    X, y = data
    model = answering(lambda rows: y[: len(rows)])
    (found,) = checks.behaviour(model, X, y, select="K708")
    assert (found.code, found.severity) == ("K708", "error")
    assert found.measured["shuffled"] == 1


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("model", "data"),
    [
        (RandomForestClassifier(20, random_state=0), DIGITS),
        (RandomForestClassifier(20, max_depth=1, random_state=0), CANCER),
        (Ridge(), DIABETES),
        (Ridge(alpha=100), DIABETES),
    ],
)
def test_who_answers_from_the_rows_is_sound(model, data, seed):
    X, X_test, y, y_test = halves(data, seed)
    assert checks.behaviour(model.fit(X, y), X_test, y_test, select="K708") == []


def test_a_far_value_that_meets_a_far_value_by_chance_is_no_fault():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 5))
    y = np.exp(X[:, 0] + 1.5 * rng.normal(size=3000))
    # This split of heavy tails has a score that does not fall when the rows are shuffled.
    X, X_test, y, y_test = train_test_split(X, y, test_size=202, random_state=7)
    model = DecisionTreeRegressor(max_depth=2, random_state=0).fit(X, y)
    assert checks.behaviour(model, X_test, y_test, select="K708") == []


def test_who_knows_classes_of_text_by_their_place_is_found():
    X, y = CANCER
    names = np.array(["benign", "malign"])[y]
    model = answering(lambda rows: names[: len(rows)])
    assert [one.code for one in checks.behaviour(model, X, names, select="K708")] == ["K708"]


def test_who_is_no_better_than_guessing_is_left_to_another_check():
    X, y = CANCER
    parts = (X, X, y, y)
    model = answering(lambda rows: np.ones(len(rows), dtype=int))
    assert not_applicable(model, parts, "K708") == "the model is no better than guessing"


# --- K709 ---------------------------------------------------------------------------------


class Forgetful(LogisticRegression):
    """An estimator whose shift is not part of what it saves."""

    def fit(self, X, y):
        super().fit(X, y)
        self.shift = X.mean(axis=0)
        return self

    def predict_proba(self, X):
        return super().predict_proba(X - getattr(self, "shift", 0.0))

    def __getstate__(self):
        return {name: value for name, value in super().__getstate__().items() if name != "shift"}


@pytest.mark.filterwarnings("ignore")
def test_an_estimator_that_forgets_a_state_is_found():
    X, y = CANCER
    (found,) = checks.behaviour(Forgetful().fit(X / 100, y), X / 100, y, select="K709")
    assert (found.code, found.severity) == ("K709", "error")
    assert found.measured["difference"] > 0.01


class Shifted(BaseEstimator):
    """An estimator that adds what it does not save."""

    def __init__(self, shift=0.0):
        self.shift = shift

    def predict(self, X):
        return X[:, 0] + self.shift

    def __getstate__(self):
        return {"shift": 0.0}


@pytest.mark.parametrize(("shift", "is_found"), [(0.9e-5, False), (1.1e-5, True)])
def test_a_hundred_thousandth_of_a_standard_deviation_is_granted(shift, is_found):
    X = np.tile([[-1.0], [1.0]], (50, 1))
    assert bool(checks.behaviour(Shifted(shift), X, select="K709")) == is_found


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(5),
        make_pipeline(StandardScaler(), SVC(probability=True)),
        GridSearchCV(make_pipeline(StandardScaler(), KNeighborsClassifier()), {}),
    ],
)
@pytest.mark.filterwarnings("ignore:The `probability` parameter")
def test_an_estimator_is_the_same_when_it_is_loaded(model):
    X, y = DIGITS
    np.random.seed(3)  # noqa: NPY002 - the global state is what is looked at
    random.seed(3)
    model.fit(X, y)
    before = random.getstate(), np.random.get_state()[1].tolist(), set(sys.modules)  # noqa: NPY002
    assert checks.behaviour(model, X, y, select="K709") == []
    after = random.getstate(), np.random.get_state()[1].tolist(), set(sys.modules)  # noqa: NPY002
    assert after[:2] == before[:2]
    assert after[2] - before[2] <= {name for name in after[2] if name.startswith("pytest_kepler")}


def test_an_estimator_with_a_lambda_is_a_note_with_the_library_s_words():
    X, y = CANCER
    model = make_pipeline(FunctionTransformer(lambda rows: rows / 100), RandomForestClassifier(5))
    (found,) = checks.behaviour(model.fit(X, y), X, y, select="K709", config=NOTES)
    assert found.severity == "note"
    assert "it cannot be saved: " in found.message
    assert "lambda" in found.message


def test_a_model_that_is_too_large_is_not_saved(monkeypatch):
    from pytest_kepler.adapters import reloading

    monkeypatch.setattr(reloading, "_MOST_BYTES", 1_000)
    parts = halves(DIGITS)
    model = RandomForestClassifier(5).fit(parts[0], parts[2])
    assert "too large" in not_applicable(model, parts, "K709")


def test_only_its_author_knows_how_an_object_of_its_own_is_saved():
    X, y = CANCER
    model = answering(lambda rows: rows[:, 0])
    assert "only its author" in not_applicable(model, (X, X, y, y), "K709")


def test_an_estimator_of_xgboost_is_the_same_when_it_is_loaded():
    xgboost = pytest.importorskip("xgboost")
    X, y = DIGITS
    frame = pd.DataFrame(X[:300]).assign(group=pd.Categorical(["a", "b", "c"] * 100))
    model = xgboost.XGBClassifier(n_estimators=5, enable_categorical=True).fit(frame, y[:300])
    settings = families.settings("behaviour", None, "K709", (), {})
    outcome = families.examine_behaviour(model, frame, y[:300], settings)
    assert outcome.passed == ["K709"]


def test_a_torch_module_cannot_be_made_anew():
    torch = pytest.importorskip("torch")
    X, y = CANCER
    module = torch.nn.Linear(30, 1)
    assert "class's arguments" in not_applicable(module, (X, X, y, y), "K709")


def trained(layers, X, y, *parts, **options):
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([layers.Input((X.shape[1],)), *parts])
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", **options)
    model.fit(X, y, epochs=2, verbose=0)
    return model


def test_a_keras_model_is_the_same_when_it_is_loaded(tmp_path, monkeypatch):
    keras = pytest.importorskip("keras")
    monkeypatch.chdir(tmp_path)
    layers, (X, y) = keras.layers, DIGITS
    X = (X / 16).astype("float32")
    dense = (layers.Dense(16, "relu"), layers.BatchNormalization(), layers.Dense(10, "softmax"))
    model = trained(layers, X, y, *dense, metrics=["accuracy"])
    name, weights = layers.Dense(1).name, [one.copy() for one in model.get_weights()]
    state = random.getstate()
    settings = families.settings("behaviour", None, ["K513", "K703", "K708", "K709"], (), {})
    parts = {"trained_on": (X[:900], y[:900])}
    outcome = families.examine_behaviour(model, X[900:], y[900:], settings, **parts)
    assert "K709" in outcome.passed
    assert outcome.not_applicable == {}
    assert all(map(np.array_equal, weights, model.get_weights()))
    assert random.getstate() == state
    assert layers.Dense(1).name == f"dense_{int(name.rpartition('_')[2]) + 1}"
    assert list(tmp_path.iterdir()) == []


def test_a_keras_model_is_compared_with_a_linear_one_unless_it_is_linear():
    keras = pytest.importorskip("keras")
    layers, (X, y) = keras.layers, CANCER
    parts = halves((X.astype("float32"), y))
    # Unscaled rows and hardly an epoch.
    deep = trained(layers, parts[0], parts[2], layers.Dense(4, "tanh"), layers.Dense(2, "softmax"))
    assert codes_of(deep, parts, "K703") == [("K703", "warning")]
    single = trained(layers, parts[0], parts[2], layers.Dense(2, "softmax"))
    assert not_applicable(single, parts, "K703") == "the model is linear itself"


def test_a_keras_layer_that_forgets_a_setting_is_found():
    keras = pytest.importorskip("keras")

    @keras.saving.register_keras_serializable("forgetful")
    class Scale(keras.layers.Layer):
        def __init__(self, factor=1.0, **options):
            super().__init__(**options)
            self.factor = factor

        def call(self, inputs):
            return inputs * self.factor

        def get_config(self):
            return {"name": self.name}

    X, y = (DIGITS[0] / 16).astype("float32"), DIGITS[1]
    parts = (Scale(5.0), keras.layers.Dense(10, "softmax"))
    model = trained(keras.layers, X, y, *parts)
    (found,) = checks.behaviour(model, X, y, select="K709")
    assert (found.code, found.severity) == ("K709", "error")


def test_a_keras_layer_that_is_not_registered_is_a_note():
    keras = pytest.importorskip("keras")

    class Twice(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2

    X, y = (DIGITS[0] / 16).astype("float32"), DIGITS[1]
    model = trained(keras.layers, X, y, Twice(), keras.layers.Dense(10, "softmax"))
    (found,) = checks.behaviour(model, X, y, select="K709", config=NOTES)
    assert (found.code, found.severity) == ("K709", "note")
    assert "cannot be loaded: TypeError" in found.message
