"""What a user expects of a model: found where it does not hold, silent where it does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import SVC

from pytest_kepler import checks
from pytest_kepler.errors import KeplerUsageError
from pytest_kepler.gate import report

load_penguins = pytest.importorskip("palmerpenguins").load_penguins
PENGUINS = load_penguins().dropna().reset_index(drop=True)
X, MASS, SEX = PENGUINS.drop(columns="body_mass_g"), PENGUINS["body_mass_g"], PENGUINS["sex"]
NUMBERS = X[["bill_length_mm", "bill_depth_mm", "flipper_length_mm"]]


def model(estimator):
    encoded = make_column_transformer(
        (OneHotEncoder(), make_column_selector(dtype_include=["object", "str"])),
        remainder="passthrough",
    )
    return make_pipeline(encoded, estimator)


RIDGE = model(Ridge()).fit(X, MASS)
LOGISTIC = model(LogisticRegression(max_iter=5_000)).fit(X.drop(columns="sex"), SEX)


def found(fitted, rows, **expectations):
    return checks.behaviour(fitted, rows, select="K713", **expectations)


def test_a_column_that_matters_is_found_with_a_typical_row_and_both_answers():
    (one,) = found(RIDGE, X, invariant_to="sex")
    assert (one.code, one.severity, one.location) == ("K713", "error", "column 'sex'")
    assert one.measured["share of pairs"] == 1.0
    row, answers = one.example
    at = int(row.removeprefix("row ").partition(":")[0])
    assert f"bill_length_mm {X['bill_length_mm'][at]:.4g}" in row
    before, after = (
        RIDGE.predict(X.iloc[[at]].assign(sex=sex))[0]
        for sex in (X["sex"][at], {"male": "female", "female": "male"}[X["sex"][at]])
    )
    assert f"gives {before:.4g}" in answers
    assert f"gives {after:.4g}" in answers


def test_the_row_is_shown_below_its_finding_and_kept_out_of_its_message():
    (one,) = found(RIDGE, X, invariant_to="sex")
    assert "for example row" in report([one])
    assert "bill_length_mm" not in one.message


def test_a_column_that_the_model_does_not_have_in_it_does_not_matter():
    ignoring = make_pipeline(
        make_column_transformer(("passthrough", ["flipper_length_mm"])), Ridge()
    ).fit(X, MASS)
    assert found(ignoring, X, invariant_to=["sex", "year"]) == []


def test_a_change_of_ones_own_is_tried_instead_of_other_values():
    far = {"year": lambda year: year + 1_000}
    (one,) = found(RIDGE, X, invariant_to=far)
    assert one.measured["standard deviations"] > 10
    swap = {"island": {"Biscoe": "Dream"}}
    (one,) = found(LOGISTIC, X.drop(columns="sex"), invariant_to=swap)
    assert "island 'Biscoe' gives" in one.example[1]
    assert "island 'Dream' gives" in one.example[1]


@pytest.mark.parametrize(("slope", "expectation"), [(3, "increasing"), (-3, "decreasing")])
def test_a_monotone_model_is_left_in_peace_and_accused_of_the_opposite(slope, expectation):
    fitted = Ridge().fit(NUMBERS, slope * NUMBERS["bill_depth_mm"])
    assert found(fitted, NUMBERS, monotone={"bill_depth_mm": expectation}) == []
    opposite = {"increasing": "decreasing", "decreasing": "increasing"}[expectation]
    (one,) = found(fitted, NUMBERS, monotone={"bill_depth_mm": opposite})
    assert one.measured["share of pairs"] == 1.0


def test_a_constraint_of_the_library_makes_an_expectation_hold():
    free = HistGradientBoostingRegressor(random_state=0).fit(NUMBERS, MASS)
    bound = HistGradientBoostingRegressor(random_state=0, monotonic_cst=[0, 0, 1])
    expectation = {"flipper_length_mm": "increasing"}
    assert found(free, NUMBERS, monotone=expectation) != []
    assert found(bound.fit(NUMBERS, MASS), NUMBERS, monotone=expectation) == []


def test_a_classifier_of_two_classes_is_judged_by_the_probability_of_the_second():
    assert list(LOGISTIC.classes_) == ["female", "male"]
    rows = X.drop(columns="sex")
    assert found(LOGISTIC, rows, monotone={"bill_depth_mm": "increasing"}) == []
    (one,) = found(LOGISTIC, rows, monotone={"bill_depth_mm": "decreasing"})
    assert "probability" in one.measured


def test_labels_are_compared_where_there_are_no_probabilities():
    fitted = SVC().fit(NUMBERS, SEX)
    (one,) = found(fitted, NUMBERS, invariant_to="flipper_length_mm")
    assert "gives 'male'" in one.example[1]


def test_arrays_and_polars_frames_are_read_by_position_and_name():
    pl = pytest.importorskip("polars")
    values = NUMBERS.to_numpy()
    fitted = Ridge().fit(values, MASS)
    (one,) = found(fitted, values, invariant_to=[2])
    assert one.location == "column '2'"

    class OfPolars:
        def predict(self, rows):
            return fitted.predict(rows.to_numpy())

    frame = pl.from_pandas(NUMBERS)
    (one,) = found(OfPolars(), frame, monotone={"flipper_length_mm": "decreasing"})
    assert one.location == "column 'flipper_length_mm'"


def test_an_expectation_may_be_broken_by_one_pair_in_twenty():
    rows = pd.DataFrame({"x": np.linspace(0, 1, 400), "z": np.linspace(1, 2, 400)})

    class Mostly:
        def __init__(self, share):
            self.share = share

        def predict(self, rows):
            return np.where(rows["z"] < 1 + self.share, rows["x"], 0.0)

    assert found(Mostly(0.02), rows, invariant_to="x") == []
    assert found(Mostly(0.2), rows, invariant_to="x") != []
    limit = {"fail_rate": 0.5}
    assert checks.behaviour(Mostly(0.2), rows, select="K713", invariant_to="x", K713=limit) == []


def test_a_tolerance_can_be_set():
    (one,) = found(LOGISTIC, X.drop(columns="sex"), invariant_to="island")
    limit = {"tol": one.measured["probability"] + 0.01}
    rows = X.drop(columns="sex")
    assert checks.behaviour(LOGISTIC, rows, select="K713", invariant_to="island", K713=limit) == []


@pytest.mark.parametrize(
    ("expectations", "why"),
    [
        ({"invariant_to": "sx"}, "no column 'sx': did you mean 'sex'"),
        ({"invariant_to": 3}, "no column 3"),
        ({"invariant_to": 2.5}, "names one or more columns"),
        ({"invariant_to": {"sex": "male"}}, "a function of a value, or a mapping"),
        ({"monotone": ["year"]}, "monotone= is"),
        ({"monotone": {"year": "up"}}, 'is "increasing" or "decreasing", not \'up\''),
        ({"monotone": {"sex": "increasing"}}, "holds no numbers"),
    ],
)
def test_an_expectation_that_cannot_be_read_is_refused_with_a_sentence(expectations, why):
    with pytest.raises(KeplerUsageError, match=why):
        checks.behaviour(RIDGE, X, **expectations)


def test_what_should_rise_among_three_classes_is_asked_back():
    fitted = RandomForestClassifier(5, random_state=0).fit(NUMBERS, PENGUINS["species"])
    with pytest.raises(KeplerUsageError, match="gives 3 numbers a row"):
        checks.behaviour(fitted, NUMBERS, monotone={"bill_depth_mm": "increasing"})
    assert found(fitted, NUMBERS, invariant_to="bill_depth_mm") != []


def test_a_sparse_matrix_has_no_columns_to_expect_things_of():
    from scipy.sparse import csr_matrix

    with pytest.raises(KeplerUsageError, match="need a DataFrame"):
        checks.behaviour(RIDGE, csr_matrix(np.eye(3)), invariant_to=[0])


def test_a_model_that_answers_at_random_breaks_no_expectation_and_keeps_none():
    class Random:
        def predict(self, rows):
            return np.random.default_rng().normal(size=len(rows))

    (one,) = found(Random(), X, invariant_to="sex")
    assert one.message == (
        "What is expected of column 'sex' was never tried: two answers for the same rows differ."
    )
    assert one.example == ()


# --- Expectations that nothing could break ------------------------------------------------


@pytest.mark.parametrize(
    ("expectations", "reason"),
    [
        ({"invariant_to": {"sex": {1: 2}}}, "the change leaves every value as it is"),
        ({"invariant_to": "one"}, "it takes one value"),
        ({"monotone": {"one": "increasing"}}, "it takes one value"),
        ({"invariant_to": "none"}, "it has no value"),
    ],
)
def test_an_expectation_that_no_row_tries_is_an_error_that_says_why(expectations, reason):
    class OfItsColumns:
        def predict(self, rows):
            return RIDGE.predict(rows[X.columns])

    rows = X.assign(one=1.0, none=np.nan)
    (one,) = found(OfItsColumns(), rows, **expectations)
    assert (one.code, one.severity) == ("K713", "error")
    assert one.message.endswith(f"was never tried: {reason}.")


def test_an_expectation_that_is_tried_hides_none_that_is_not():
    rows = X.assign(one=1.0)
    fitted = model(Ridge()).fit(rows.drop(columns="sex"), MASS)
    (one,) = found(fitted, rows.assign(sex=X["sex"]), invariant_to=["sex", "one"])
    assert one.location == "column 'one'"


def test_a_change_of_what_is_rare_is_tried_where_it_occurs():
    class Odd:
        def predict(self, rows):
            return rows[:, 0] + 100 * (rows[:, 1] == 7)

    rows = np.c_[np.linspace(0, 1, 1_500), np.zeros(1_500)]
    rows[3, 1] = 7
    assert found(Odd(), rows, invariant_to={1: {7: 0}})[0].measured["share of pairs"] == 1.0
    rows[3, 1] = 0
    (one,) = found(Odd(), rows, invariant_to={1: {7: 0}})
    assert "never tried" in one.message


def test_a_change_that_fails_is_no_expectation_that_holds():
    found_ = found(RIDGE, X, invariant_to={"sex": lambda value: value / 2})
    assert ("K713", "error") in {(one.code, one.severity) for one in found_}
    assert any("never tried: the check crashed" in one.message for one in found_)


# --- Procedures and repeated training -----------------------------------------------------


def sound(features, target):
    X_train, X_test, y_train, y_test = train_test_split(features, target, random_state=0)
    return LogisticRegression(max_iter=5_000).fit(X_train, y_train).score(X_test, y_test)


def chosen_on_all_rows(features, target):
    noise = np.random.default_rng(0).normal(size=(len(target), 2_000))
    codes = (target == target.iloc[0]).to_numpy()
    score = np.abs((noise * (2 * codes[:, None] - 1)).mean(axis=0))
    return sound(noise[:, np.argsort(-score)[:10]], target)


@pytest.mark.parametrize("seed", range(3))
def test_a_sound_procedure_learns_nothing_from_shuffled_labels(seed):
    target = SEX.sample(frac=1, random_state=seed).set_axis(SEX.index)
    assert checks.behaviour(None, NUMBERS, target, procedure=sound, select="K704") == []


def test_features_that_are_chosen_before_the_split_are_found():
    (one,) = checks.behaviour(None, NUMBERS, SEX, procedure=chosen_on_all_rows, select="K704")
    assert one.measured["score"] > one.threshold["score"] > 0.5


def test_rows_on_both_sides_are_found_where_a_model_can_learn_by_heart():
    def by_heart(features, target):
        both = pd.concat([features] * 2), pd.concat([target] * 2)
        X_train, X_test, y_train, y_test = train_test_split(*both, random_state=0)
        forest = RandomForestClassifier(10, random_state=0).fit(X_train, y_train)
        return forest.score(X_test, y_test)

    (one,) = checks.behaviour(None, NUMBERS, SEX, procedure=by_heart, select="K704")
    assert one.severity == "error"


def test_the_score_of_guessing_can_be_told():
    def half(features, target):
        del features, target
        return 0.9

    expectations = {"procedure": half, "select": "K704"}
    assert checks.behaviour(None, NUMBERS, SEX, **expectations) != []
    assert checks.behaviour(None, NUMBERS, SEX, chance=0.9, **expectations) == []


def test_a_training_without_a_seed_is_found():
    def train(seed):
        return RandomForestClassifier(3, random_state=seed).fit(NUMBERS, SEX)

    rng = np.random.RandomState(0)
    (one,) = checks.behaviour(None, NUMBERS, train=lambda: train(rng), select="K705")
    assert one.measured["difference"] > 0.1
    assert checks.behaviour(None, NUMBERS, train=lambda: train(0), select="K705") == []
