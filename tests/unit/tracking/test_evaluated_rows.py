"""What an experiment has compared with its fits: its main evaluation alone, after the metrics."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from pytest_kepler.tracking.context import EvaluationError

X = np.arange(12.0).reshape(6, 2)
Y = np.array([0, 0, 0, 1, 1, 1])


class Majority:
    """The smallest thing that can be trained."""

    def fit(self, _X, _y=None, **_more):
        self.classes_ = np.arange(2)
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)

    def score(self, _X, _y=None):
        return 1.0


@pytest.fixture
def seen():
    return []


@pytest.fixture
def experiment(make_experiment, seen):
    return make_experiment(judge_evaluation=seen.append)


def test_the_evaluated_rows_and_the_fits_of_the_model_are_handed_over(experiment, seen):
    model = experiment.fit(Majority(), X, Y, validation_data=(X, Y))
    experiment.evaluate(model, X, Y)
    (view,) = seen
    assert view.X is X
    (fit,) = view.fits
    assert fit.X() is X
    assert fit.model() is model
    assert [held.name for held in fit.held_out] == ["validation_data"]


def test_a_prefix_declares_what_is_measured(experiment, seen):
    model = experiment.fit(Majority(), X, Y)
    experiment.evaluate(model, X, Y, prefix="train")
    assert seen == []


def test_without_a_target_or_a_fit_there_is_nothing_to_compare(experiment, seen):
    experiment.evaluate(Majority().fit(X, Y), X, Y)
    assert seen == []


def test_without_a_target_the_rows_are_not_compared(experiment, seen):
    model = experiment.fit(Majority(), X)
    experiment.evaluate(model, X)
    assert seen == []


def test_a_fit_after_the_evaluation_is_none_of_it(experiment, seen):
    model = experiment.fit(Majority(), X[:3], Y[:3])
    experiment.evaluate(model, X[3:], Y[3:])
    experiment.fit(model, X, Y)
    assert [fit.X().tolist() for fit in seen[0].fits] == [X[:3].tolist()]


def test_a_trial_compares_nothing(make_experiment, seen):
    experiment = make_experiment(judge_evaluation=seen.append, smoke=True)
    experiment.evaluate(experiment.fit(Majority(), X, Y), X, Y)
    assert seen == []


def test_the_metrics_are_logged_and_the_data_is_remembered_before_it_is_judged(make_experiment):
    def judge(view):
        raise EvaluationError("K614", ["finding"])

    experiment = make_experiment(judge_evaluation=judge)
    model = experiment.fit(Majority(), X, Y)
    with pytest.raises(EvaluationError) as caught:
        experiment.evaluate(model, X, Y)
    assert caught.value.findings == ("finding",)
    assert experiment.metrics["accuracy"] == 0.5
    assert experiment.eval_hashes[""]


def test_no_fit_keeps_its_rows_or_its_model_in_memory(experiment):
    rows = X.copy()
    experiment.fit(Majority(), rows, Y)
    (fit,) = experiment._fits
    del rows
    gc.collect()
    assert fit.X() is None
    assert fit.model() is None
