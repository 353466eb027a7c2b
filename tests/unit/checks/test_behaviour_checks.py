"""Checks of curves and of what a trained model answers: loud on a fault, silent on traps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pytest_kepler import checks

CANCER, CANCER_y = load_breast_cancer(return_X_y=True)
DIABETES, DIABETES_y = load_diabetes(return_X_y=True)
IRIS, IRIS_y = load_iris(return_X_y=True)
WINE, WINE_y = load_wine(return_X_y=True)
EPOCHS = np.arange(20)
FALLING = 1.0 / (1 + EPOCHS)
#: A validation that is best after five epochs and then gets worse.
TURNING = 0.5 + 0.02 * np.abs(EPOCHS - 5)


class Centred:
    """A model that standardises by the rows it is asked about."""

    def predict(self, X):
        return (X - X.mean(axis=0)).sum(axis=1)


class Counting:
    """A model that adds the position of each row."""

    def predict(self, X):
        return X.sum(axis=1) + 0.1 * np.arange(len(X))


def answers(values):
    return type("Answers", (), {"predict": lambda _, X: values[: len(X)]})()


@pytest.mark.parametrize(
    ("code", "history"),
    [
        (
            "K504",
            {"loss": FALLING, "val_loss": TURNING, "val_accuracy": 0.9 - TURNING / 4},
        ),
        ("K512", {"loss": FALLING, "accuracy": np.r_[np.linspace(0.5, 0.9, 15), [0.5] * 5]}),
    ],
)
def test_a_curve_that_turns_is_found(code, history):
    (found,) = checks.training(history, select=code)
    assert (found.code, found.severity) == (code, "warning")


@pytest.mark.parametrize(
    ("code", "history"),
    [
        # The loss alone rises: the network only gets more certain.
        ("K504", {"loss": FALLING, "val_loss": TURNING, "val_accuracy": 0.9 + 0 * EPOCHS}),
        ("K504", {"loss": FALLING, "val_loss": TURNING}),
        ("K504", {"loss": FALLING, "val_loss": FALLING, "val_accuracy": 1 - FALLING}),
        ("K512", {"loss": FALLING, "accuracy": 1 - FALLING}),
        ("K512", {"loss": FALLING[:5], "accuracy": np.array([0.5, 0.9, 0.5, 0.4, 0.3])}),
    ],
)
def test_sound_curves_are_silent(code, history):
    assert checks.training(history, select=code) == []


def test_who_weights_a_rare_class_is_not_stuck():
    target = (np.arange(1000) % 50 == 0) * 1
    history = {"loss": [0.9, 0.6, 0.4, 0.3, 0.2], "accuracy": [0.5, 0.7, 0.9, 0.95, 0.984]}
    assert checks.training(history, target, select="K510") == []


def test_who_always_answers_the_common_class_is_stuck():
    target = (np.arange(1000) % 10 == 0) * 1
    history = {"loss": [0.9, 0.6, 0.4, 0.33, 0.326], "accuracy": [0.5, 0.9, 0.9, 0.9, 0.9]}
    assert [one.code for one in checks.training(history, target, select="K510")] == ["K510"]


@pytest.mark.parametrize("seed", [0, 1])
def test_who_learned_shuffled_labels_is_no_better_than_a_dummy(seed):
    shuffled = np.random.default_rng(seed).permutation(CANCER_y[:400])
    model = RandomForestClassifier(20, random_state=seed).fit(CANCER[:400], shuffled)
    (found,) = checks.behaviour(model, CANCER[400:], CANCER_y[400:], select="K702")
    assert found.severity == "error"


def test_numbers_that_explain_nothing_are_no_better_than_a_dummy():
    model = Ridge().fit(DIABETES[:300], -DIABETES_y[:300])
    found = checks.behaviour(model, DIABETES[300:], DIABETES_y[300:], select="K702")
    assert [one.code for one in found] == ["K702"]


@pytest.mark.parametrize(
    ("model", "X", "y"),
    [
        (make_pipeline(StandardScaler(), LogisticRegression()), WINE, WINE_y),
        (RandomForestClassifier(20, random_state=0), CANCER, CANCER_y),
        (Ridge(), DIABETES, DIABETES_y),
        (
            RandomForestClassifier(20, random_state=0),
            pd.DataFrame(IRIS),
            np.array(["a", "b", "c"])[IRIS_y],
        ),
    ],
)
def test_sound_models_are_silent(model, X, y):
    order = np.random.default_rng(1).permutation(len(y))
    half = len(y) // 2
    part = X.iloc if isinstance(X, pd.DataFrame) else X
    model.fit(part[order[:half]], y[order[:half]])
    assert checks.behaviour(model, part[order[half:]], y[order[half:]], select="K7") == []


def test_who_finds_rare_events_may_be_right_less_often_than_the_common_answer():
    truth = np.arange(400) % 10 == 0
    eager = truth | (np.arange(400) % 7 == 0)
    assert checks.behaviour(answers(eager * 1), np.zeros((400, 1)), truth * 1, select="K702") == []


@pytest.mark.parametrize("seed", [0, 1])
def test_answers_that_go_along_with_a_noisy_target_have_learned(seed):
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal(200)
    target = signal + 2.5 * rng.standard_normal(200)
    assert checks.behaviour(answers(0.2 * signal), np.zeros((200, 1)), target, select="K702") == []


def test_few_rows_are_not_compared_with_a_dummy():
    model = DummyClassifier().fit(IRIS, IRIS_y)
    assert checks.behaviour(model, IRIS[40:60], IRIS_y[40:60], select="K702") == []


@pytest.mark.parametrize(
    ("code", "model"), [("K706", Counting()), ("K707", Counting()), ("K707", Centred())]
)
def test_answers_that_depend_on_their_neighbours_are_found(code, model):
    (found,) = checks.behaviour(model, IRIS, select=code)
    assert (found.code, found.severity) == (code, "error")


def test_the_order_of_rows_may_matter_where_they_are_ordered():
    days = pd.DataFrame(IRIS, index=pd.date_range("2026-01-01", periods=150))
    model = type("Drift", (), {"predict": lambda _, X: np.cumsum(np.asarray(X)[:, 0])})()
    assert checks.behaviour(model, days, select="K706") == []


def test_only_the_order_matters_to_who_counts():
    assert checks.behaviour(Centred(), IRIS, select="K706") == []
