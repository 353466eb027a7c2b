"""What is evaluated beside what was fitted: loud on reuse, silent on sound work and on chance."""

from __future__ import annotations

import gc
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from pytest_kepler.adapters import fits
from pytest_kepler.checks import families
from pytest_kepler.checks.config import CheckConfig

load_penguins = pytest.importorskip("palmerpenguins").load_penguins
PENGUINS = load_penguins()
SETS = {
    "iris": load_iris(return_X_y=True),
    "wine": load_wine(return_X_y=True),
    "breast cancer": load_breast_cancer(return_X_y=True),
    "digits": load_digits(return_X_y=True),
    "diabetes": load_diabetes(return_X_y=True),
    "penguins": (PENGUINS.drop(columns="species"), PENGUINS["species"]),
}
SEEDS = (0, 1)


class Network:
    """Anything that is trained and has no parts that scikit-learn knows of."""


def search():
    return GridSearchCV(SVC(), {"C": [1, 10]})


CHOICES = {
    "GridSearchCV": search,
    "CalibratedClassifierCV": lambda: CalibratedClassifierCV(SVC()),
    "TunedThresholdClassifierCV": lambda: TunedThresholdClassifierCV(LogisticRegression()),
    "SelectKBest": lambda: make_pipeline(StandardScaler(), SelectKBest(k=2), SVC()),
}


def remember(model, X, y=0, *, learns_on=False, **fit_kwargs):
    return fits.remember(model, X, y, fit_kwargs, learns_on=learns_on)


def found_in(X, model, *past, config=None):
    view = fits.EvaluationView(X, fits.concerning(past, model))
    outcome = families.examine_evaluation(view, config or CheckConfig())
    assert "K000" not in {one.code for one in outcome.findings}
    return [(one.code, one.severity) for one in outcome.findings]


def halves(name, seed=0):
    return train_test_split(*SETS[name], test_size=0.25, random_state=seed)


# --- K614 test-used-for-choice ------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_search_on_all_rows_is_told_of_and_one_on_training_rows_is_not(name, seed):
    X, y = SETS[name]
    X_train, X_test, y_train, _ = halves(name, seed)
    leaking, sound = search(), search()
    assert found_in(X_test, leaking, remember(leaking, X, y)) == [("K614", "error")]
    assert found_in(X_test, sound, remember(sound, X_train, y_train)) == []


@pytest.mark.parametrize("kind", CHOICES)
def test_what_chooses_by_the_evaluated_rows_is_named(kind):
    X, y = SETS["wine"]
    model = CHOICES[kind]()
    view = fits.EvaluationView(halves("wine")[1], [remember(model, X, y)])
    (finding,) = families.examine_evaluation(view, CheckConfig()).findings
    assert finding.severity == "error"
    assert finding.message == f"45 evaluated rows of 45 were in the fit of {kind}."


@pytest.mark.parametrize(
    "model",
    [
        SVC(),
        make_pipeline(StandardScaler(), DecisionTreeClassifier()),
        make_pipeline(VarianceThreshold(), SVC()),
    ],
)
def test_a_plain_fit_on_the_evaluated_rows_is_a_warning(model):
    X, y = SETS["wine"]
    assert found_in(halves("wine")[1], model, remember(model, X, y)) == [("K614", "warning")]


@pytest.mark.parametrize(
    ("n_shared", "expected"),
    [(0, []), (4, []), (5, [("K614", "error")]), (40, [("K614", "error")])],
)
def test_few_equal_rows_are_chance_also_for_a_choice(n_shared, expected):
    X = np.random.default_rng(0).normal(size=(200, 3))
    X_train, X_test = X[:160], np.r_[X[:n_shared], X[160 + n_shared :]]
    model = search()
    assert found_in(X_test, model, remember(model, X_train)) == expected


@pytest.mark.parametrize(
    ("n_shared", "expected"), [(40, []), (41, [("K614", "warning")]), (42, [("K614", "warning")])]
)
def test_a_plain_fit_may_have_a_fifth_of_the_rows(n_shared, expected):
    X = np.random.default_rng(0).normal(size=(600, 3))
    X_test = np.r_[X[:n_shared], X[400 + n_shared :]]
    model = SVC()
    assert found_in(X_test, model, remember(model, X[:400])) == expected


def low_resolution(seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 60, size=(2_000, 2)).astype(float)


COINCIDING = {
    "categories": lambda _seed: PENGUINS[["island", "sex", "year"]],
    "one measured column": lambda _seed: PENGUINS[["bill_length_mm"]],
    "two columns of iris": lambda _seed: SETS["iris"][0][:, 2:],
    "iris in whole centimetres": lambda _seed: SETS["iris"][0].round(),
    "a grid of integers": low_resolution,
    "one decimal": lambda seed: np.random.default_rng(seed).normal(size=(3_000, 2)).round(1),
    "every row thrice": lambda _seed: np.repeat(SETS["diabetes"][0], 3, axis=0),
    "some rows twice": lambda _seed: np.r_[SETS["diabetes"][0], SETS["diabetes"][0][:40]],
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", COINCIDING)
def test_rows_that_coincide_in_a_random_split_are_no_reuse(name, seed):
    X_train, X_test = train_test_split(COINCIDING[name](seed), test_size=0.25, random_state=seed)
    model = search()
    given = {"eval_set": [(X_train, 0)], "early_stopping_rounds": 5}
    assert found_in(X_test, model, remember(model, X_train, **given)) == []


def test_the_very_rows_are_known_whatever_they_hold():
    X = PENGUINS[["island", "sex", "year"]]
    model = search()
    assert found_in(X, model, remember(model, X)) == [("K614", "error")]
    grid = low_resolution(0)
    assert found_in(grid[:500], model, remember(model, grid[:500])) == [("K614", "error")]
    assert found_in(grid[:500], model, remember(model, grid[500:])) == []


def test_a_reconstruction_and_a_fit_without_a_target_are_no_use_of_the_answers():
    X, _ = SETS["wine"]
    X_test = halves("wine")[1]
    model = Network()
    assert found_in(X_test, model, remember(model, X, None)) == []
    assert found_in(X_test, model, remember(model, X, X)) == []


def test_rows_that_are_gone_are_not_kept_for_it():
    X, y = SETS["wine"]
    model, rows = search(), X[np.arange(len(X))]
    past = remember(model, rows, y)
    del rows
    gc.collect()
    outcome = families.examine_evaluation(
        fits.EvaluationView(halves("wine")[1], [past]), CheckConfig()
    )
    assert outcome.findings == []
    assert outcome.not_applicable["K614"] == "the rows of the fit are gone"


@pytest.mark.parametrize("wanted", [slice(20, None), slice(None, None, 2), slice(None, None, -1)])
def test_a_slice_is_known_as_long_as_its_array_is_there(wanted):
    X, y = SETS["digits"]
    model = search()
    past = remember(model, X[wanted], y[wanted])
    assert np.array_equal(past.X(), X[wanted])
    assert found_in(X[wanted][:300], model, past) == [("K614", "error")]


def test_columns_that_differ_and_streams_are_not_compared():
    X, y = SETS["wine"]
    model = search()
    past = remember(model, X[:, :5], y)
    view = fits.EvaluationView(X, [past])
    outcome = families.examine_evaluation(view, CheckConfig())
    assert outcome.not_applicable["K614"] == "the splits have different columns"


def test_rows_that_cannot_be_read_are_the_user_s_own_affair():
    class Rows:
        def __getitem__(self, rows):
            raise RuntimeError("not today")

    past = remember(search(), SETS["wine"][0])
    outcome = families.examine_evaluation(fits.EvaluationView(Rows(), [past]), CheckConfig())
    assert outcome.findings == []
    assert outcome.not_applicable["K614"] == "the evaluated rows cannot be read: not today"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_loop_over_folds_uses_no_row_of_its_last_fold(seed):
    """Earlier folds trained on these rows, and what they learned is forgotten."""
    X, y = SETS["digits"]
    folds = np.random.default_rng(seed).integers(0, 3, size=len(X))
    trained = [X[folds != k] for k in range(3)]
    for make in (search, SVC, lambda: make_pipeline(SelectKBest(k=5), SVC())):
        anew = [make() for _ in trained]
        past = [remember(model, rows, y) for model, rows in zip(anew, trained, strict=True)]
        assert found_in(X[folds == 2], anew[2], *past) == []
        one = make()
        past = [remember(one, rows, y) for rows in trained]
        assert found_in(X[folds == 2], one, *past) == []


def test_a_network_remembers_what_it_was_trained_on_before():
    X, y = SETS["digits"]
    X_train, X_test = X[:1_000], X[1_000:]
    model = Network()
    past = [remember(model, rows, y, learns_on=True) for rows in (X, X_train)]
    assert found_in(X_test, model, *past) == [("K614", "warning")]


def test_what_was_chosen_before_by_another_object_counts_and_what_comes_after_does_not():
    X, y = SETS["wine"]
    X_train, X_test, y_train, _ = halves("wine")
    first, model = search(), SVC(C=10)
    chosen, trained = remember(first, X, y), remember(model, X_train, y_train)
    assert found_in(X_test, model, chosen, trained) == [("K614", "error")]
    assert found_in(X_test, model, trained, chosen) == []


def test_the_best_estimator_and_a_fitted_part_are_the_search_and_the_part():
    X, y = SETS["wine"]
    X_test = halves("wine")[1]
    found = search().fit(X, y)
    assert found_in(X_test, found.best_estimator_, remember(found, X, y)) == [("K614", "error")]
    model = SVC().fit(X, y)
    whole = make_pipeline(StandardScaler(), model)
    assert found_in(X_test, whole, remember(model, X, y)) == [("K614", "warning")]


def test_frames_and_sparse_matrices_are_compared_too():
    sparse = pytest.importorskip("scipy.sparse")
    X, y = SETS["digits"]
    for make in (sparse.csr_matrix, pd.DataFrame):
        whole, model = make(X), search()
        few = whole[:200] if sparse.issparse(whole) else whole.iloc[:200].copy()
        assert found_in(few, model, remember(model, whole, y)) == [("K614", "error")]
        others = whole[200:] if sparse.issparse(whole) else whole.iloc[200:]
        assert found_in(few, model, remember(model, others, y)) == []


# --- K515 test-set-used-in-training -------------------------------------------------------


def callback(name, **attributes):
    """Stand in for one of Keras' callbacks, which are known by the names of their classes."""
    return type(name, (), attributes)()


STOPS = callback("EarlyStopping", monitor="val_loss")
KEEPS = callback("ModelCheckpoint", monitor="val_accuracy", save_best_only=True)
SLOWS = callback("ReduceLROnPlateau", monitor="val_loss")


@pytest.mark.parametrize(
    ("callbacks", "severity"),
    [
        (None, "warning"),
        ([], "warning"),
        (STOPS, "error"),
        ([SLOWS], "error"),
        ([callback("History"), KEEPS], "error"),
        (SimpleNamespace(callbacks=[STOPS]), "error"),
        ([type("Patient", (type(STOPS),), {})()], "error"),
        ([callback("EarlyStopping", monitor="loss")], "warning"),
        ([callback("ModelCheckpoint", monitor="val_loss", save_best_only=False)], "warning"),
    ],
)
@pytest.mark.parametrize("is_copied", [False, True])
def test_evaluated_rows_that_a_training_chose_by(callbacks, severity, is_copied):
    X_train, X_test, y_train, y_test = halves("digits")
    model = Network()
    held = (X_test.copy() if is_copied else X_test, y_test)
    given = {"validation_data": held, "callbacks": callbacks}
    past = remember(model, X_train, y_train, learns_on=True, **given)
    assert found_in(X_test, model, past) == [("K515", severity)]


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_validation_set_of_its_own_is_no_test_set(name, seed):
    X_rest, X_test, y_rest, _ = halves(name, seed)
    X_train, X_val, y_train, y_val = train_test_split(X_rest, y_rest, random_state=seed)
    model = Network()
    given = {"validation_data": (X_val, y_val), "callbacks": [STOPS, KEEPS, SLOWS]}
    assert found_in(X_test, model, remember(model, X_train, y_train, **given)) == []


@pytest.mark.parametrize(("n_others", "expected"), [(4, [("K515", "error")]), (5, [])])
def test_a_hundredth_of_the_rows_may_be_others(n_others, expected):
    X = np.random.default_rng(0).normal(size=(1_000, 3))
    model, held = Network(), X[400:800]
    given = {"validation_data": (held, 0), "callbacks": STOPS}
    past = remember(model, X[:400], **given)
    assert found_in(np.r_[held[n_others:], X[800 : 800 + n_others]], model, past) == expected


def test_a_model_that_is_read_back_is_the_one_that_was_trained():
    X_train, X_test, y_train, y_test = halves("digits")
    given = {"validation_data": (X_test, y_test), "callbacks": [KEEPS]}
    trained, best = Network(), Network()
    assert found_in(X_test, best, remember(trained, X_train, y_train, **given)) == [
        ("K515", "error")
    ]


def test_inputs_by_name_are_the_same_if_their_arrays_are():
    X_train, X_test, y_train, y_test = halves("digits")
    model = Network()
    given = {"validation_data": ({"a": X_test, "b": X_test}, y_test), "callbacks": [STOPS]}
    past = remember(model, {"a": X_train, "b": X_train}, y_train, **given)
    assert found_in({"a": X_test, "b": X_test}, model, past) == [("K515", "error")]


@pytest.mark.parametrize(
    ("options", "order", "expected"),
    [
        ({}, "train test", "warning"),
        ({"early_stopping_rounds": 5}, "train test", "error"),
        ({"early_stopping_rounds": 5}, "test train", "warning"),
    ],
)
def test_xgboost_stops_by_the_last_of_its_sets(options, order, expected):
    xgboost = pytest.importorskip("xgboost")
    X_train, X_test, y_train, y_test = halves("wine")
    sets = {"train": (X_train, y_train), "test": (X_test, y_test)}
    model = xgboost.XGBClassifier(**options)
    past = remember(model, X_train, y_train, eval_set=[sets[name] for name in order.split()])
    assert found_in(X_test, model, past) == [("K515", expected)]


def test_xgboost_stops_by_a_callback_too():
    xgboost = pytest.importorskip("xgboost")
    X_train, X_test, y_train, y_test = halves("wine")
    stops = xgboost.callback.EarlyStopping(rounds=5)
    model = make_pipeline(StandardScaler(), xgboost.XGBClassifier(callbacks=[stops]))
    given = {"xgbclassifier__eval_set": [(X_test, y_test)]}
    assert found_in(X_test, model, remember(model, X_train, y_train, **given)) == [
        ("K515", "error")
    ]


# --- Settings -----------------------------------------------------------------------------


def test_the_checks_are_left_out_and_limited_as_all_others():
    X, y = SETS["wine"]
    model = search()
    past = remember(model, X, y)
    X_test = halves("wine")[1]
    assert found_in(X_test, model, past, config=CheckConfig(ignore=("K6",))) == []
    lenient = CheckConfig(limits={"K614": {"choice-share": 1.0}})
    assert found_in(X_test, model, past, config=lenient) == []
