"""Properties as assertions: each holds for a sound model and fails for one that breaks it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from pytest_kepler import properties
from pytest_kepler.errors import KeplerUsageError
from pytest_kepler.strategies import rows_like

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
SOUND = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
HOLDS = {
    "twice": lambda model: properties.answers_the_same_twice(model, X),
    "order": lambda model: properties.ignores_row_order(model, X),
    "batch": lambda model: properties.ignores_batch_size(model, X),
    "guessing": lambda model: properties.beats_guessing(model, X, y),
}


class Random:
    def predict(self, rows):
        return np.random.default_rng().normal(size=len(rows))


class Centred:
    def predict(self, rows):
        return (rows - rows.mean()).sum(axis=1).to_numpy()


class Counting:
    def predict(self, rows):
        return rows.sum(axis=1).to_numpy() + 100 * np.arange(len(rows))


BROKEN = {
    "twice": Random(),
    "order": Counting(),
    "batch": Centred(),
    "guessing": DummyClassifier().fit(X, y),
}


@pytest.mark.parametrize("name", HOLDS)
def test_a_sound_model_has_the_property(name):
    HOLDS[name](SOUND)


@pytest.mark.parametrize("name", HOLDS)
def test_a_model_without_the_property_fails_with_a_finding(name):
    with pytest.raises(AssertionError, match=r"K7\d\d error"):
        HOLDS[name](BROKEN[name])


def test_probabilities_sum_to_one():
    properties.gives_probabilities(SOUND, X)

    class Doubled(DummyClassifier):
        def predict_proba(self, rows):
            return 2 * super().predict_proba(rows)

    with pytest.raises(AssertionError, match="K712"):
        properties.gives_probabilities(Doubled().fit(X, y), X)


def test_claims_are_assertions_with_a_row_that_breaks_them():
    properties.monotone_in(SOUND, X, "worst radius", "decreasing")
    with pytest.raises(AssertionError, match="for example row"):
        properties.monotone_in(SOUND, X, "worst radius", "increasing")
    with pytest.raises(AssertionError, match="for example row"):
        properties.invariant_to(SOUND, X, "worst radius")
    properties.invariant_to(SOUND, X, "worst radius", tolerance=1.0)
    properties.invariant_to(SOUND, X, "worst radius", change=lambda value: value + 1e-9)


def test_a_property_that_cannot_be_judged_is_an_error_and_not_silence():
    with pytest.raises(KeplerUsageError, match=r"K712 could not be judged: .*no probabilities"):
        properties.gives_probabilities(Ridge().fit(X, y), X)
    with pytest.raises(KeplerUsageError, match="fewer than 30 rows"):
        properties.beats_guessing(SOUND, X[:10], y[:10])


def test_a_model_that_cannot_answer_is_named_in_a_property():
    with pytest.raises(KeplerUsageError, match="K706 could not be judged: the model's predict"):
        properties.ignores_row_order(object(), X)


def test_one_batch_is_learned_by_what_is_flexible_enough():
    diabetes = load_diabetes(return_X_y=True)
    properties.learns_one_batch(DecisionTreeRegressor(), *diabetes)
    with pytest.raises(AssertionError, match=r"0\.9 was asked for"):
        properties.learns_one_batch(DummyRegressor(), *diabetes)
    properties.learns_one_batch(SOUND, X, y)
    model = DecisionTreeRegressor()
    properties.learns_one_batch(model, *diabetes)
    assert not hasattr(model, "tree_")


def test_a_procedure_and_a_training_are_judged():
    def procedure(features, target):
        X_train, X_test, y_train, y_test = train_test_split(features, target, random_state=0)
        return SOUND.__sklearn_clone__().fit(X_train, y_train).score(X_test, y_test)

    properties.learns_nothing_from_shuffled_labels(procedure, X, y)
    with pytest.raises(AssertionError, match="K704"):
        properties.learns_nothing_from_shuffled_labels(lambda *_: 1.0, X, y)
    properties.trains_the_same_twice(lambda: SOUND, X)
    with pytest.raises(AssertionError, match="K705"):
        properties.trains_the_same_twice(Random, X)


@settings(
    database=None,
    derandomize=True,
    deadline=None,
    max_examples=20,
    suppress_health_check=list(HealthCheck),
)
@given(rows=rows_like(X, n=16))
def test_a_property_holds_for_rows_that_hypothesis_draws(rows):
    properties.ignores_row_order(SOUND, rows)
    properties.ignores_batch_size(SOUND, rows)


def test_the_guide_lists_every_property():
    guide = (Path(__file__).parents[2] / "docs" / "behaviour.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)\(", guide, re.MULTILINE)
    assert sorted(listed) == sorted(properties.__all__)
