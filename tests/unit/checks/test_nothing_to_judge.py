"""A gate that judged nothing does not pass: it says what is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from pytest_kepler import checks, gate
from pytest_kepler.checks.config import CheckConfig
from pytest_kepler.errors import KeplerUsageError

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X, y = X[:200], y[:200]
MODEL = LogisticRegression(max_iter=5_000).fit(X, y)
NO_ROWS = [[], {}, np.empty((0, 3)), pd.DataFrame(), X[:0]]


# --- Rows ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", NO_ROWS, ids=["list", "dict", "array", "frame", "cut"])
@pytest.mark.parametrize(
    "judge",
    [
        checks.data,
        lambda rows: checks.split(rows, X, None, y),
        lambda rows: checks.split(X, rows, y, None),
        lambda rows: checks.model(SVC(), rows, []),
        lambda rows: checks.behaviour(MODEL, rows, []),
    ],
    ids=["data", "train", "test", "model", "behaviour"],
)
def test_no_rows_are_a_mistake(judge, rows):
    with pytest.raises(KeplerUsageError, match=r"X\w* has no rows, so nothing can be judged"):
        judge(rows)


def test_no_columns_are_a_mistake():
    with pytest.raises(KeplerUsageError, match="X has no columns"):
        checks.data(X[[]], y)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("abc", "'abc'"),
        (None, "None"),
        (3, "3"),
        (np.array(3.0), "a single value"),
        (SVC(), "an SVC"),
    ],
)
def test_what_has_no_rows_is_named(given, named):
    with pytest.raises(KeplerUsageError, match=rf"data needs rows as X: .*, got {named}\."):
        checks.data(given)
    with pytest.raises(KeplerUsageError, match=rf"split needs rows as X_test: .*, got {named}\."):
        checks.split(X, given)


def test_a_split_without_targets_is_none():
    assert "K115" not in {one.code for one in checks.split(X[:100], X[100:])}


def test_the_gate_of_a_fit_is_no_stricter():
    verdict = gate.examine_fit(
        SVC(), X[:0], y[:0], {}, config=CheckConfig(), today=pd.Timestamp("2026-11-25").date()
    )
    assert verdict.blocking == []


# --- Models -------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["abc", None, 3, X])
def test_what_is_no_model_is_named(model):
    with pytest.raises(KeplerUsageError, match="model needs a model with fit, got"):
        checks.model(model, X, y)
    with pytest.raises(KeplerUsageError, match="behaviour needs a model with predict, got"):
        checks.behaviour(model, X, y)


def test_a_class_is_no_model():
    with pytest.raises(KeplerUsageError, match=r"got the class SVC: make one, SVC\(\)"):
        checks.model(SVC, X, y)


@pytest.mark.parametrize(
    ("model", "rows", "said"),
    [
        (LogisticRegression(), X, "predict raised NotFittedError"),
        (MODEL, X[list(X)[:5]], "predict raised ValueError: The feature names"),
        (MODEL, y, "predict raised ValueError: Expected a 2-dimensional"),
    ],
    ids=["not fitted", "other columns", "the target"],
)
def test_a_model_that_cannot_answer_is_one_error(model, rows, said):
    found = checks.behaviour(model, rows, y)
    assert [(one.code, one.name, one.severity) for one in found] == [
        ("K000", "model-not-asked", "error")
    ]
    assert said in found[0].message


def test_it_fails_a_test_and_can_be_left_out():
    sanity = gate.Sanity(CheckConfig())
    with pytest.raises(AssertionError, match=r'K000 error .*\n.*\n.*ignore=\["K000"\]'):
        sanity.behaviour(LogisticRegression(), X, y)
    assert sanity.behaviour(LogisticRegression(), X, y, ignore=["K000"]) == []


def test_different_refusals_have_a_line_each():
    class Refusing:
        def predict(self, rows):
            raise ValueError(f"no answer for {len(rows)} rows")

    found = checks.behaviour(Refusing(), X, y)
    assert len(found) > 1
    assert len({one.message for one in found}) == len(found)
    assert len(gate.report(found).splitlines()) == len(found) + 1


def test_a_method_that_is_only_declared_refuses_nothing():
    class Base:
        def predict_proba(self, rows):
            raise NotImplementedError

        def predict(self, rows):
            return MODEL.predict(rows)

    assert checks.behaviour(Base(), X, y) == []


def test_expectations_of_a_model_that_cannot_answer_are_told_as_that():
    found = checks.behaviour(LogisticRegression(), X, monotone={"mean radius": "increasing"})
    assert [one.name for one in found] == ["model-not-asked"]


def test_a_target_that_is_too_short_is_refused_with_both_numbers():
    with pytest.raises(KeplerUsageError, match="a target for each row: X has 200, y has 50"):
        checks.behaviour(MODEL, X, y[:50])


# --- Curves -------------------------------------------------------------------------------


@pytest.mark.parametrize("history", [{}, [], {"loss": []}, {"loss": [], "val_loss": []}])
def test_a_history_without_an_epoch_is_a_mistake(history):
    with pytest.raises(KeplerUsageError, match="a history of one epoch or more"):
        checks.training(history)


def test_one_epoch_is_a_history():
    assert checks.training({"loss": [0.5]}) == []


# --- Networks -----------------------------------------------------------------------------


def test_a_network_that_cannot_be_called_on_the_rows_is_an_error():
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.Linear(30, 1), torch.nn.Sigmoid())
    rows = X.to_numpy(dtype="float32")
    found = checks.behaviour(network, rows[:, :5], select="K711", y=y.to_numpy())
    assert [(one.name, one.severity) for one in found] == [("model-not-asked", "error")]
    assert "cannot be called on the first rows" in found[0].message
    asked = checks.behaviour(network, rows, select="K711", y=y.to_numpy())
    assert "model-not-asked" not in {one.name for one in asked}
