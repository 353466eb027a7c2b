"""Each check of data: loud on a fault, silent on sound data and on its nearest trap."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pytest_kepler import checks

pl = pytest.importorskip("polars")
load_penguins = pytest.importorskip("palmerpenguins").load_penguins
IRIS_X, IRIS_y = load_iris(return_X_y=True)
WINE_X, WINE_y = load_wine(return_X_y=True)
CANCER_X, CANCER_y = load_breast_cancer(return_X_y=True)
DIABETES_X, DIABETES_y = load_diabetes(return_X_y=True)
DIGITS_X, DIGITS_y = load_digits(return_X_y=True)
PENGUINS = load_penguins()
FRAME, SPECIES = PENGUINS.drop(columns="species"), PENGUINS["species"]


def holed(X, value=np.nan, column=2, row=7):
    X = X.copy()
    X[row, column] = value
    return X


def noisy_copy(labels, share, seed):
    rng = np.random.default_rng(seed)
    flipped = rng.random(len(labels)) < share
    return np.where(flipped, 1 - labels, labels) + rng.normal(0, 0.01, len(labels))


def datetime_indexed(X):
    return pd.DataFrame(X, index=pd.date_range("2026-01-01", periods=len(X)))


LOUD = [
    ("K304", "error", lambda: (holed(IRIS_X), IRIS_y)),
    ("K304", "error", lambda: (holed(IRIS_X, np.inf), IRIS_y)),
    ("K304", "error", lambda: (sparse.csr_matrix(holed(IRIS_X)), IRIS_y)),
    ("K304", "error", lambda: (pd.DataFrame(holed(IRIS_X)), IRIS_y)),
    ("K304", "warning", lambda: (FRAME, SPECIES)),
    ("K304", "warning", lambda: (pl.from_pandas(FRAME), SPECIES.to_numpy())),
    ("K305", "error", lambda: (DIABETES_X, holed(DIABETES_y[:, None], column=0)[:, 0])),
    ("K305", "error", lambda: (FRAME, SPECIES.where(SPECIES.index != 3))),
    ("K115", "error", lambda: (IRIS_X, IRIS_y[:-1])),
    ("K115", "error", lambda: (FRAME, SPECIES.sample(frac=1, random_state=0))),
    ("K115", "error", lambda: (FRAME.dropna(), SPECIES.drop(range(5, 16)))),
    ("K309", "error", lambda: (np.c_[IRIS_X, IRIS_y * 10], IRIS_y)),
    ("K309", "error", lambda: (FRAME.assign(kind=SPECIES.str[:2]), SPECIES)),
    ("K309", "error", lambda: (np.c_[DIABETES_X, 3 * DIABETES_y + 1], DIABETES_y)),
    ("K310", "warning", lambda: (np.c_[CANCER_X, noisy_copy(CANCER_y, 0.005, 0)], CANCER_y)),
    ("K310", "warning", lambda: (np.c_[CANCER_X, noisy_copy(CANCER_y, 0.005, 1)], CANCER_y)),
    ("K310", "warning", lambda: (np.c_[DIABETES_X, np.log(DIABETES_y)], DIABETES_y)),
    ("K306", "warning", lambda: (np.c_[WINE_X[:, :6], np.full(178, 7.0)], WINE_y)),
    ("K306", "error", lambda: (np.c_[WINE_X[:, :2], np.full((178, 3), 7.0)], WINE_y)),
    ("K306", "warning", lambda: (FRAME.assign(planet="earth"), SPECIES)),
    ("K301", "warning", lambda: (np.c_[WINE_X, 2.54 * WINE_X[:, 0]], WINE_y)),
    ("K301", "warning", lambda: (FRAME.assign(kg=FRAME.body_mass_g / 1000), SPECIES)),
    ("K319", "error", lambda: (IRIS_X, np.ones(150))),
    ("K319", "error", lambda: (IRIS_X, ["setosa"] * 150)),
    ("K319", "warning", lambda: (IRIS_X, np.c_[IRIS_X[:, 0], np.ones(150)])),
]

SILENT = [
    ("K304", lambda: (IRIS_X, IRIS_y)),
    ("K304", lambda: (FRAME.dropna(), SPECIES[FRAME.notna().all(axis=1)])),
    ("K305", lambda: (IRIS_X, np.where(IRIS_y == 2, -1, IRIS_y))),
    ("K115", lambda: (FRAME, SPECIES.to_numpy())),
    ("K115", lambda: (FRAME.dropna(), SPECIES[FRAME.notna().all(axis=1)].reset_index(drop=True))),
    ("K309", lambda: (IRIS_X, IRIS_y)),
    ("K309", lambda: (np.c_[IRIS_X, IRIS_y == 0], IRIS_y)),
    ("K309", lambda: (2 * DIABETES_y[:, None] - 1, DIABETES_y)),
    ("K309", lambda: (DIGITS_X, DIGITS_X)),
    ("K310", lambda: (IRIS_X, IRIS_y)),
    ("K310", lambda: (CANCER_X, CANCER_y)),
    ("K310", lambda: (np.c_[CANCER_X, noisy_copy(CANCER_y, 0.05, 0)], CANCER_y)),
    ("K306", lambda: (DIGITS_X, DIGITS_y)),
    ("K306", lambda: (load_digits(as_frame=True).data, DIGITS_y)),
    ("K306", lambda: (StandardScaler().fit_transform(DIGITS_X), DIGITS_y)),
    ("K306", lambda: (np.c_[WINE_X[:, :6], np.ones(178)], WINE_y)),
    ("K301", lambda: (CANCER_X, CANCER_y)),
    ("K301", lambda: (pd.get_dummies(FRAME.dropna()), None)),
    ("K301", lambda: (DIGITS_X, DIGITS_y)),
    ("K301", lambda: (datetime_indexed(np.c_[WINE_X, 2 * WINE_X[:, 0]]), None)),
    ("K319", lambda: (IRIS_X, IRIS_y)),
    ("K319", lambda: (DIGITS_X, DIGITS_X)),
]


@pytest.mark.parametrize(("code", "severity", "make"), LOUD)
def test_a_fault_is_found(code, severity, make):
    found = [one for one in checks.data(*make(), select=code) if one.code == code]
    assert {one.severity for one in found} == {severity}
    assert all(one.message and one.location and one.fix and one.threshold for one in found)


@pytest.mark.parametrize(("code", "make"), SILENT)
def test_sound_data_and_traps_are_silent(code, make):
    assert checks.data(*make(), select=code) == []


@pytest.mark.parametrize(
    ("model", "is_fault"),
    [
        (LogisticRegression(), True),
        (make_pipeline(StandardScaler(), LogisticRegression()), True),
        (make_pipeline(SimpleImputer(), LogisticRegression()), False),
        (HistGradientBoostingClassifier(), False),
    ],
)
def test_missing_values_are_judged_by_the_model(model, is_fault):
    found = checks.data(holed(IRIS_X), IRIS_y, model=model, select="K304")
    assert [one.severity for one in found] == (["error"] if is_fault else [])


def test_infinity_is_an_error_for_a_model_that_takes_missing_values():
    model = HistGradientBoostingClassifier()
    assert checks.data(holed(IRIS_X, -np.inf), IRIS_y, model=model, select="K304")


def test_a_constant_target_is_no_fault_for_one_class():
    found = checks.data(CANCER_X, np.ones(569), model=IsolationForest(), select="K319")
    assert found == []


def test_many_columns_with_the_same_fault_end_in_a_count():
    X = np.full((20, 40), np.nan)
    found = checks.data(X, select="K304")
    assert len(found) == 11
    assert found[-1].message.startswith("30 more columns")


def test_the_rows_and_the_counts_of_missing_values_are_named():
    (found,) = checks.data(holed(holed(IRIS_X), row=70), select="K304")
    assert (found.measured["missing"], found.measured["rows"]) == (2, [7, 70])
    assert "column 2" in found.message


def test_a_target_among_the_features_is_told_once():
    found = checks.data(np.c_[IRIS_X, IRIS_y * 10], IRIS_y)
    assert [one.code for one in found] == ["K309"]


def test_labels_that_only_look_like_classes_make_the_answer_inferred():
    (found,) = checks.data(np.c_[IRIS_X, IRIS_y * 10], IRIS_y, select="K309")
    (declared,) = checks.data(
        np.c_[IRIS_X, IRIS_y * 10], IRIS_y, model=LogisticRegression(), select="K309"
    )
    assert (found.confidence, declared.confidence) == ("inferred", "declared")


@pytest.mark.parametrize(
    "X",
    [[[1.0, 2.0]], [[1], [1, 2]], ["a", "b"], iter([[1.0]])],
    ids=["one-row", "ragged", "text", "generator"],
)
def test_odd_input_gives_no_finding_and_no_error(X):
    assert checks.data(X) == []


def test_a_generator_is_not_consumed():
    rows = iter([[1.0], [2.0]])
    checks.data(rows)
    assert list(rows) == [[1.0], [2.0]]


def test_large_data_is_sampled_and_says_so():
    from pytest_kepler.checks.config import CheckConfig

    X = np.c_[np.tile(WINE_X, (3, 1)), np.tile(WINE_X[:, 0], 3) * 2]
    (found,) = checks.data(X, select="K301", config=CheckConfig(sample_rows=200))
    assert found.basis == "data: 200 of 534 rows, seed 0"


def test_nothing_is_changed():
    X, y = holed(IRIS_X), IRIS_y.copy()
    before, state = X.copy(), np.random.get_state()[1].copy()  # noqa: NPY002
    checks.data(X, y)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@pytest.mark.parametrize(
    "X",
    [
        [[1, "a", None]] * 40,
        np.ones((40, 3)) * 1j,
        pl.DataFrame({"lists": [[1, 2]] * 40, "x": np.arange(40.0)}),
        pd.DataFrame({"a": pd.array([1, None] * 20, dtype="Int64"), "b": [{}] * 40}),
        pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "a"]),
        {"image": np.zeros((40, 4, 4, 3)), "text": ["some text"] * 40},
    ],
    ids=["mixed", "complex", "lists", "nullable", "equal-names", "several-inputs"],
)
@pytest.mark.parametrize("target", [None, ["a", "b"] * 20, [1, None] * 20, np.ones((40, 2))])
def test_no_check_crashes_on_unusual_data(X, target):
    found = checks.data(X, target) + checks.split(X, X, target, target)
    assert "K000" not in {one.code for one in found}


def test_an_object_that_fails_when_it_is_read_stops_nothing():
    class Broken:
        def __array__(self, *_, **__):
            raise OSError("the disk is gone")

    assert checks.data(Broken(), IRIS_y) == []
