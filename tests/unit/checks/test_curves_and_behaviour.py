"""Checks of training curves and of what a trained model answers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier

from pytest_kepler import checks
from pytest_kepler.errors import KeplerUsageError

X, y = load_digits(return_X_y=True)
FALLING = list(np.geomspace(2.3, 0.1, 12))
PRIOR = np.log(10)


class Answering:
    """A model that answers what it was told to."""

    def __init__(self, *answers, probabilities=None):
        self.answers = list(answers)
        if probabilities is not None:
            self.predict_proba = lambda _: np.asarray(probabilities)

    def predict(self, _):
        return np.asarray(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])


@pytest.mark.parametrize(
    ("history", "codes"),
    [
        ({"loss": FALLING}, set()),
        ({"loss": [*FALLING, np.nan]}, {"K509"}),
        ({"loss": FALLING, "val_loss": [np.inf] * 12}, {"K509"}),
        ([{"loss": value} for value in FALLING], set()),
        ({"loss": [2.3, 0.9, 2.2] * 4}, {"K505"}),
        ({"loss": [2.3] * 6}, {"K511"}),
        ({"loss": [2.3] * 3}, set()),
        ({"train": {"logloss": FALLING}}, set()),
    ],
)
def test_curves_are_judged(history, codes):
    assert {one.code for one in checks.training(history)} == codes


def test_a_metric_alone_that_is_not_a_number_is_only_a_note():
    assert checks.training({"loss": FALLING, "precision": [np.nan] * 12}) == []


@pytest.mark.parametrize(("accuracy", "codes"), [(0.1, {"K510"}), (0.9, set())])
def test_a_loss_at_the_prior_is_judged_with_the_accuracy(accuracy, codes):
    history = {"loss": np.linspace(5.0, PRIOR, 8), "accuracy": [accuracy] * 8}
    assert {one.code for one in checks.training(history, y)} == codes


def test_a_fitted_network_of_scikit_learn_has_a_history():
    fitted = MLPClassifier(max_iter=15, random_state=0)
    with pytest.warns(match="Maximum iterations"):
        fitted.fit(X / 16, y)
    assert checks.training(fitted, y) == []


def test_what_has_no_curves_is_a_usage_error():
    with pytest.raises(KeplerUsageError, match="needs a Keras History or a mapping"):
        checks.training(7)


@pytest.mark.parametrize("model", [LogisticRegression(max_iter=5000), Ridge()])
def test_a_sound_model_behaves(model):
    data = (X / 16, y) if isinstance(model, LogisticRegression) else load_diabetes(return_X_y=True)
    assert checks.behaviour(model.fit(*data), *data) == []


@pytest.mark.parametrize(
    ("model", "data"),
    [(DummyClassifier(), (X, y)), (DummyRegressor(), load_diabetes(return_X_y=True))],
)
def test_one_answer_for_every_row_is_found(model, data):
    assert [one.code for one in checks.behaviour(model.fit(*data), *data)] == ["K711"]


def test_a_detector_of_rare_events_may_always_answer_no():
    rare = np.arange(200) % 50 == 0
    assert checks.behaviour(Answering(np.zeros(200)), np.zeros((200, 1)), rare * 1) == []


def test_answers_that_change_by_themselves_are_found():
    model = Answering(np.arange(60.0), np.arange(60.0) + 0.1)
    found = checks.behaviour(model, np.zeros((60, 1)))
    assert [one.code for one in found] == ["K710"]


@pytest.mark.parametrize(
    ("probabilities", "count"),
    [
        ([[0.2, 0.8]] * 60, 0),
        ([[0.2, 0.9]] * 60, 1),
        ([[-0.1, 1.1]] * 60, 1),
        ([[np.nan, 1.0]] * 60, 1),
    ],
)
def test_probabilities_are_checked(probabilities, count):
    model = Answering(np.arange(60) % 2, probabilities=probabilities)
    found = checks.behaviour(model, np.zeros((60, 1)), np.arange(60) % 2, select="K712")
    assert len(found) == count
