"""K605 and K613: coefficients that are one choice of many, and draws that nobody seeded."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import (
    Lasso,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
)
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RandomizedSearchCV,
    ShuffleSplit,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeRegressor

from pytest_kepler import checks, gate
from pytest_kepler.checks.config import CheckConfig

load_penguins = pytest.importorskip("palmerpenguins").load_penguins
DIABETES, IRIS = load_diabetes(return_X_y=True), load_iris(return_X_y=True)
REAL = {
    "iris": IRIS,
    "wine": load_wine(return_X_y=True),
    "breast cancer": load_breast_cancer(return_X_y=True),
    "diabetes": DIABETES,
    "digits": load_digits(return_X_y=True),
}
PENGUINS = load_penguins().dropna()
TABLE, MASS = PENGUINS.drop(columns="body_mass_g"), PENGUINS["body_mass_g"]
WORDS = ["species", "island", "sex"]
NOTES = CheckConfig(notes=True)
SEEDS = (0, 1)


def found_in(code, model, X, y, config=NOTES, **fit_kwargs):
    found = checks.model(model, X, y, select=code, config=config, **fit_kwargs)
    assert "K000" not in {one.code for one in found}
    return [one.severity for one in found]


# --- K605 collinear-coefficients ----------------------------------------------------------


def with_total(noise=0.0, seed=0):
    """Return the diabetes data with a column that is the sum of three others."""
    X, y = DIABETES
    total = X[:, 2:5].sum(axis=1)
    total += noise * total.std() * np.random.default_rng(seed).normal(size=len(total))
    return np.c_[X, total], y


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "model",
    [
        LinearRegression(),
        make_pipeline(StandardScaler(), LinearRegression()),
        Ridge(alpha=0),
        PoissonRegressor(alpha=0),
        GridSearchCV(LinearRegression(), {"fit_intercept": [True, False]}),
    ],
)
def test_a_column_that_is_the_sum_of_others_is_told(model, seed):
    X, y = with_total()
    order = np.random.default_rng(seed).permutation(len(y))
    assert found_in("K605", model, X[order], y[order]) == ["warning"]


def test_the_columns_that_follow_from_each_other_are_named():
    X, y = with_total()
    (found,) = checks.model(LinearRegression(), X, y, select="K605")
    assert found.location == "column '2', '3', '4', '10'"
    assert found.measured["columns"] == 4
    assert found.measured["condition"] > found.threshold["max-cond"] == 1e8


@pytest.mark.parametrize(
    ("noise", "expected"), [(0.0, ["warning"]), (1e-9, ["warning"]), (1e-7, ["note"]), (1, [])]
)
def test_the_limit_is_a_condition_of_a_hundred_million(noise, expected):
    X, y = with_total(noise)
    rows = X[:, [0, 1, 2, 3, 4, 10]]  # of the others, some inflate each other as they are
    assert found_in("K605", LinearRegression(), rows, y) == expected


@pytest.mark.parametrize(
    "model",
    [
        Ridge(),
        Lasso(),
        LinearRegression(positive=True),
        DecisionTreeRegressor(),
        RandomForestRegressor(),
        make_pipeline(PolynomialFeatures(2), LinearRegression()),
        make_pipeline(SelectKBest(k=5), LinearRegression()),
    ],
)
def test_a_penalty_a_tree_and_columns_that_are_made_or_chosen_are_silent(model):
    assert found_in("K605", model, *with_total()) == []


@pytest.mark.parametrize("name", REAL)
def test_real_columns_are_a_note_at_most(name):
    X, y = REAL[name]
    model = LinearRegression() if name == "diabetes" else LogisticRegression(C=np.inf)
    assert set(found_in("K605", model, X, y)) <= {"note"}
    assert found_in("K605", model, X, y, CheckConfig()) == []


def test_columns_that_inflate_each_other_are_counted():
    (found,) = checks.model(
        LogisticRegression(C=np.inf), *IRIS, select="K605", config=NOTES, limits={}
    )
    assert (found.severity, found.measured["columns"]) == ("note", 2)


def test_dummies_that_sum_to_one_are_a_note_for_predictions_are_as_good():
    X = pd.get_dummies(TABLE)
    assert found_in("K605", LinearRegression(), X, MASS) == ["note"]
    assert found_in("K605", LinearRegression(), X, MASS, CheckConfig()) == []
    X = pd.get_dummies(TABLE[WORDS], drop_first=True)
    assert found_in("K605", LinearRegression(), X, MASS) == []


@pytest.mark.parametrize(
    ("encoder", "model", "expected"),
    [
        (OneHotEncoder(), LinearRegression(), ["note"]),
        (OneHotEncoder(handle_unknown="ignore"), LinearRegression(), ["note"]),
        (OneHotEncoder(drop="first"), LinearRegression(), []),
        (OneHotEncoder(), LinearRegression(fit_intercept=False), []),
        (OneHotEncoder(), Ridge(), []),
    ],
)
def test_an_encoder_that_keeps_every_category_is_a_note(encoder, model, expected):
    pipeline = make_pipeline(make_column_transformer((encoder, WORDS)), model)
    assert found_in("K605", pipeline, TABLE, MASS) == expected


def test_a_copy_is_k301_s_and_pixels_and_wide_tables_are_left_alone():
    X, y = DIABETES
    rows = X[:, [0, 1, 2, 3]]
    assert found_in("K605", LinearRegression(), np.c_[rows, rows[:, 0]], y) == []
    pixels = np.repeat(load_digits().images.reshape(-1, 64), 2, axis=1)
    pixels = np.c_[pixels, pixels[:, 10] + pixels[:, 20]]
    assert found_in("K605", LinearRegression(), pixels, load_digits().target) == []
    few = slice(0, 20)
    assert found_in("K605", LinearRegression(), *(part[few] for part in with_total())) == []
    constant = np.c_[rows, np.ones(len(rows))]
    assert found_in("K605", LinearRegression(), constant, y) == []


def test_rows_with_missing_values_are_left_out():
    X, y = with_total()
    X[::7, 0] = np.nan
    assert found_in("K605", make_pipeline(StandardScaler(), LinearRegression()), X, y) == [
        "warning"
    ]


# --- K613 constant-split-seed -------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "fit_kwargs", "expected"),
    [
        (RandomForestClassifier(), {}, ["note"]),
        (make_pipeline(StandardScaler(), MLPClassifier()), {}, ["note"]),
        (GridSearchCV(SVC(), {}, cv=KFold(3, shuffle=True)), {}, ["note"]),
        (RandomizedSearchCV(SVC(), {"C": [1, 2]}), {}, ["note"]),
        (SVC(), {"cv": ShuffleSplit(3)}, ["note"]),
        (RandomForestClassifier(random_state=0), {}, []),
        (RandomForestClassifier(random_state=np.random.RandomState(0)), {}, []),
        (GridSearchCV(SVC(), {}, cv=KFold(3, shuffle=True, random_state=1)), {}, []),
        (GridSearchCV(SVC(), {}, cv=KFold(3)), {}, []),
        (SVC(), {"cv": GroupKFold(3)}, []),
        (SVC(), {}, []),
        (LogisticRegression(), {}, []),
    ],
)
def test_what_draws_without_a_seed_is_a_note(model, fit_kwargs, expected):
    assert found_in("K613", model, *IRIS, **fit_kwargs) == expected
    assert found_in("K613", model, *IRIS, CheckConfig(), **fit_kwargs) == []


def test_an_experiment_has_seeded_it():
    verdict = gate.examine_fit(
        RandomForestClassifier(),
        *IRIS,
        {},
        config=CheckConfig(notes=True, select=("K613",)),
        today=datetime.now(UTC).date(),
    )
    assert verdict.findings == []
    assert verdict.not_applicable["K613"] == "the experiment seeds NumPy before the fit"
