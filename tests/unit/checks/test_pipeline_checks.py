"""The checks of estimators, searches and batches: loud on a fault, silent on the nearest traps."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC

from pytest_kepler import checks
from pytest_kepler.checks.config import CheckConfig

load_penguins = pytest.importorskip("palmerpenguins").load_penguins
IRIS, WINE = load_iris(return_X_y=True), load_wine(return_X_y=True)
CANCER, DIGITS = load_breast_cancer(return_X_y=True), load_digits(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
PENGUINS = load_penguins().dropna().reset_index(drop=True)
TABLE, SPECIES = PENGUINS.drop(columns="species"), PENGUINS["species"]
SEEDS = (0, 1)


def found_in(code, model, X, y=None, **fit_kwargs):
    found = checks.model(model, X, y, select=code, config=CheckConfig(notes=True), **fit_kwargs)
    assert "K000" not in {one.code for one in found}
    return found


def search(model=None, cv=None, **options):
    return GridSearchCV(SVC() if model is None else model, {}, cv=cv, **options)


def encoded(encoder, *columns, after=(), model=None):
    chosen = make_column_transformer((encoder, list(columns)), remainder="drop")
    return make_pipeline(chosen, *after, SVC() if model is None else model)


def shuffled(data, seed):
    X, y = data
    order = np.random.default_rng(seed).permutation(len(y))
    return (X.iloc[order], y.iloc[order]) if hasattr(X, "iloc") else (X[order], y[order])


def with_rare(n_rare, seed=0):
    """Return penguins of which a few live on an island of their own."""
    X = TABLE.copy()
    rows = np.random.default_rng(seed).choice(len(X), n_rare, replace=False)
    X.loc[rows, "island"] = "Elephant"
    return X, SPECIES


def with_owners(n_owners):
    return TABLE.assign(owner=[f"owner {k % n_owners}" for k in range(len(TABLE))]), SPECIES


def in_time(data):
    X, y = data
    return pd.DataFrame(X, index=pd.date_range("2026-01-01", periods=len(X))), y


def lopsided(share, seed=0):
    X, y = CANCER
    n_rare = round((1 - share) / share * 357)
    kept = np.random.default_rng(seed).choice(np.flatnonzero(y == 0), n_rare, replace=False)
    rows = np.r_[np.flatnonzero(y == 1), kept]
    return X[rows], y[rows]


LOUD = [
    *[
        (
            "K603",
            "error",
            lambda s=s: (
                search(encoded(OneHotEncoder(), "island"), KFold(5, shuffle=True, random_state=0)),
                *with_rare(1, s),
                {},
            ),
        )
        for s in SEEDS
    ],
    ("K603", "warning", lambda: (search(encoded(OneHotEncoder(), "island")), *with_rare(3), {})),
    ("K603", "warning", lambda: (search(encoded(OrdinalEncoder(), "island")), *with_rare(4), {})),
    ("K604", "warning", lambda: (encoded(OneHotEncoder(), "owner"), *with_owners(101), {})),
    ("K606", "error", lambda: (search(cv=KFold(3)), *IRIS, {})),
    ("K606", "error", lambda: (search(cv=KFold(3)), *WINE, {})),
    ("K606", "error", lambda: (SVC(), *IRIS, {"cv": KFold(3)})),
    ("K606", "warning", lambda: (search(cv=KFold(5)), *IRIS, {})),
    ("K606", "warning", lambda: (search(cv=TimeSeriesSplit(3)), *IRIS, {})),
    *[
        (
            "K607",
            "error",
            lambda s=s: (
                search(cv=KFold(5, shuffle=True, random_state=s)),
                *WINE,
                {"groups": np.arange(178) // 4},
            ),
        )
        for s in SEEDS
    ],
    ("K608", "warning", lambda: (search(), *in_time(WINE), {})),
    ("K608", "warning", lambda: (search(cv=KFold(5)), *in_time(CANCER), {})),
    *[("K609", "warning", lambda s=s: (search(), *lopsided(0.95, s), {})) for s in SEEDS],
    ("K611", "warning", lambda: (encoded(OrdinalEncoder(), "island"), TABLE, SPECIES, {})),
    (
        "K611",
        "warning",
        lambda: (
            encoded(
                OrdinalEncoder(),
                "island",
                "sex",
                after=[StandardScaler()],
                model=KNeighborsClassifier(),
            ),
            TABLE,
            SPECIES,
            {},
        ),
    ),
    ("K612", "error", lambda: (LogisticRegression(), DIABETES[0], DIABETES[1] + 0.5, {})),
    (
        "K612",
        "error",
        lambda: (make_pipeline(StandardScaler(), SVC()), WINE[0][:, 1:], WINE[0][:, 0], {}),
    ),
    ("K612", "error", lambda: (LinearRegression(), TABLE[["bill_length_mm"]], SPECIES, {})),
    ("K102", "error", lambda: (SGDClassifier(shuffle=False), *IRIS, {})),
    (
        "K102",
        "error",
        lambda: (
            make_pipeline(StandardScaler(), MLPClassifier(shuffle=False)),
            TABLE[["bill_length_mm"]],
            SPECIES,
            {},
        ),
    ),
    ("K316", "warning", lambda: (MLPRegressor(solver="sgd"), DIABETES[0], DIABETES[1] * 1e3, {})),
    ("K316", "warning", lambda: (MLPRegressor(solver="sgd"), WINE[0], 1e4 + WINE[0][:, 0], {})),
]

SILENT = [
    (
        "K603",
        lambda: (
            search(encoded(OneHotEncoder(), "island"), KFold(5, shuffle=True, random_state=0)),
            *shuffled((TABLE, SPECIES), 0),
            {},
        ),
    ),
    (
        "K603",
        lambda: (
            search(encoded(OneHotEncoder(handle_unknown="ignore"), "island")),
            *with_rare(1),
            {},
        ),
    ),
    (
        "K603",
        lambda: (
            search(
                encoded(
                    OneHotEncoder(categories=[["Biscoe", "Dream", "Torgersen", "Elephant"]]),
                    "island",
                )
            ),
            *with_rare(1),
            {},
        ),
    ),
    ("K603", lambda: (encoded(OneHotEncoder(), "island"), *with_rare(1), {})),
    ("K604", lambda: (encoded(OneHotEncoder(), "owner"), *with_owners(100), {})),
    ("K604", lambda: (encoded(OneHotEncoder(min_frequency=5), "owner"), *with_owners(200), {})),
    ("K606", lambda: (search(cv=5), *IRIS, {})),
    ("K606", lambda: (search(cv=StratifiedKFold(3)), *IRIS, {})),
    ("K606", lambda: (search(cv=KFold(3, shuffle=True, random_state=0)), *IRIS, {})),
    ("K606", lambda: (search(cv=KFold(5)), *shuffled(IRIS, 0), {})),
    ("K606", lambda: (search(cv=ShuffleSplit(3)), *IRIS, {})),
    ("K607", lambda: (search(cv=GroupKFold(5)), *WINE, {"groups": np.arange(178) // 4})),
    ("K607", lambda: (search(cv=KFold(5)), *WINE, {})),
    ("K608", lambda: (search(cv=TimeSeriesSplit(5)), *in_time(WINE), {})),
    ("K608", lambda: (search(), *WINE, {})),
    ("K608", lambda: (search(cv=[(np.arange(100), np.arange(100, 178))]), *in_time(WINE), {})),
    ("K609", lambda: (search(), *lopsided(0.85), {})),
    ("K609", lambda: (search(scoring="balanced_accuracy"), *lopsided(0.95), {})),
    (
        "K611",
        lambda: (
            encoded(OrdinalEncoder(), "island", model=RandomForestClassifier()),
            TABLE,
            SPECIES,
            {},
        ),
    ),
    ("K611", lambda: (encoded(OrdinalEncoder(), "sex"), TABLE, SPECIES, {})),
    (
        "K611",
        lambda: (
            encoded(OrdinalEncoder(categories=[["Torgersen", "Biscoe", "Dream"]]), "island"),
            TABLE,
            SPECIES,
            {},
        ),
    ),
    (
        "K611",
        lambda: (encoded(OrdinalEncoder(), "island", after=[OneHotEncoder()]), TABLE, SPECIES, {}),
    ),
    ("K612", lambda: (LogisticRegression(), *IRIS, {})),
    ("K612", lambda: (LogisticRegression(), IRIS[0], IRIS[1].astype(float), {})),
    ("K612", lambda: (LinearRegression(), *IRIS, {})),
    ("K612", lambda: (LinearRegression(), IRIS[0], IRIS[1].astype(str), {})),
    ("K102", lambda: (SGDClassifier(), *IRIS, {})),
    ("K102", lambda: (SGDClassifier(shuffle=False), *shuffled(IRIS, 0), {})),
    ("K102", lambda: (SGDClassifier(shuffle=False), *in_time(IRIS), {})),
    ("K102", lambda: (SVC(), *IRIS, {})),
    ("K316", lambda: (MLPRegressor(), DIABETES[0], DIABETES[1] * 1e3, {})),
    ("K316", lambda: (MLPRegressor(solver="sgd"), *DIABETES, {})),
]


@pytest.mark.parametrize(("code", "severity", "make"), LOUD)
def test_a_fault_is_found(code, severity, make):
    model, X, y, fit_kwargs = make()
    found = found_in(code, model, X, y, **fit_kwargs)
    assert {(one.code, one.severity) for one in found} == {(code, severity)}
    assert all(one.message and one.location and one.fix and one.threshold for one in found)


@pytest.mark.parametrize(("code", "make"), SILENT)
def test_traps_are_silent(code, make):
    model, X, y, fit_kwargs = make()
    assert found_in(code, model, X, y, **fit_kwargs) == []


def test_a_fold_that_fails_is_what_was_foretold():
    X, y = with_rare(1)
    model = search(encoded(OneHotEncoder(), "island"), KFold(5), error_score="raise")
    assert found_in("K603", model, X, y)
    with pytest.raises(ValueError, match="unknown categories"):
        model.fit(X, y)


def test_the_first_unlearned_class_is_named():
    (found,) = found_in("K606", search(cv=KFold(3)), *IRIS)
    assert found.measured == {"folds": 3, "of": 3}
    assert found.location == "cv of GridSearchCV, fold 0: class 0"


def test_folds_are_looked_at_without_drawing_them():
    class Counting(KFold):
        calls = 0

        def split(self, *arguments):
            self.calls += 1
            return super().split(*arguments)

    splitter, state = Counting(3), np.random.get_state()[1].copy()  # noqa: NPY002
    assert found_in("K606", search(cv=splitter), *IRIS)
    assert splitter.calls == 0
    found_in("K606", search(cv=ShuffleSplit(3, random_state=np.random.RandomState(0))), *IRIS)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_folds_that_can_be_read_once_are_not_read():
    splits = iter([(np.arange(100), np.arange(100, 150))])
    assert found_in("K606", search(cv=splits), *IRIS) == []
    assert len(list(splits)) == 1


@pytest.mark.parametrize(
    "columns",
    [
        ["island", "sex"],
        [0, 5],
        slice("island", "island"),
        slice(0, 1),
        make_column_selector(dtype_exclude=np.number),
        np.array([True, False, False, False, False, True, False]),
        "island",
    ],
    ids=["names", "positions", "slice-of-names", "slice", "selector", "mask", "one"],
)
def test_the_columns_of_a_step_are_followed_however_they_are_chosen(columns):
    chosen = make_column_transformer(
        (SimpleImputer(strategy="most_frequent"), ["sex"]), (OrdinalEncoder(), columns)
    )
    found = found_in("K611", make_pipeline(chosen, SVC()), TABLE, SPECIES)
    assert [one.location.partition(":")[0] for one in found] == ["column 'island'"]


def test_an_encoder_behind_an_imputer_sees_the_same_columns():
    branch = make_pipeline(SimpleImputer(strategy="most_frequent"), OrdinalEncoder())
    model = make_pipeline(make_column_transformer((branch, ["island"])), SVC())
    assert len(found_in("K611", model, TABLE, SPECIES)) == 1


@pytest.mark.parametrize(
    ("model", "count"),
    [
        (LogisticRegression(max_iter=5), 1),
        (make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)), 0),
        (make_pipeline(StandardScaler(), MLPClassifier(max_iter=3, random_state=0)), 1),
        (MLPClassifier(max_iter=3, early_stopping=True, random_state=0), 0),
        (SGDClassifier(max_iter=3, tol=None), 0),
        (HistGradientBoostingClassifier(max_iter=3), 0),
        (GridSearchCV(LogisticRegression(max_iter=5), {}, cv=2), 1),
        (RandomForestClassifier(5), 0),
    ],
)
def test_a_fit_that_ran_out_of_iterations_is_told(model, count):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(*CANCER)
    assert len(checks.behaviour(model, *CANCER, select="K610")) == count
