"""The checks of tables and labels: loud on a fault, silent on real data and the nearest traps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, StandardScaler
from sklearn.svm import SVC

from pytest_kepler import checks
from pytest_kepler.checks import families
from pytest_kepler.checks.config import CheckConfig

pl = pytest.importorskip("polars")
load_penguins = pytest.importorskip("palmerpenguins").load_penguins
DATA = {
    "iris": load_iris(return_X_y=True, as_frame=True),
    "wine": load_wine(return_X_y=True, as_frame=True),
    "cancer": load_breast_cancer(return_X_y=True, as_frame=True),
    "diabetes": load_diabetes(return_X_y=True, as_frame=True),
    "digits": load_digits(return_X_y=True),
}
PENGUINS = load_penguins()
DATA["penguins"] = PENGUINS.drop(columns="species"), PENGUINS["species"]
SEEDS = (0, 1)


def repeated(name, share, seed=0):
    """Return a dataset with some of its rows, labels included, put in once more."""
    X, y = DATA[name]
    rows = np.random.default_rng(seed).choice(len(X), int(share * len(X)), replace=False)
    if isinstance(X, pd.DataFrame):
        return pd.concat([X, X.iloc[rows]]), pd.concat([y, y.iloc[rows]])
    return np.concatenate([X, X[rows]]), np.concatenate([y, y[rows]])


def contradicted(name, share, seed=0):
    X, y = repeated(name, share, seed)
    y = np.array(y)
    n_old = len(DATA[name][1])
    labels = np.unique(y)
    y[n_old:] = np.roll(labels, 1)[np.searchsorted(labels, y[n_old:])]
    return X, y


def changed(name, column, change, seed=0):
    """Return a dataset of which `change(values, rng)` made a column."""
    X, y = DATA[name]
    values = X[column].to_numpy(dtype=object if X[column].dtype.kind not in "iuf" else None)
    return X.assign(**{column: change(values.copy(), np.random.default_rng(seed))}), y


def added(name, make, seed=0):
    X, y = DATA[name]
    return X.assign(new=make(len(X), np.random.default_rng(seed))), y


def put(value, share):
    def change(values, rng):
        values[rng.random(len(values)) < share] = value
        return values

    return change


def once(value):
    def change(values, rng):
        values[rng.integers(len(values))] = value
        return values

    return change


def survey(seed=0):
    """Return answers that repeat and contradict each other, as answers do."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 3, (400, 4)), np.array(["no", "yes"])[rng.integers(0, 2, 400)]


def rare(n_rare, seed=0):
    """Return the tumours with all but a few of the malignant ones left out."""
    X, y = DATA["cancer"]
    malignant = np.flatnonzero(y == 0)
    kept = np.random.default_rng(seed).choice(malignant, n_rare, replace=False)
    rows = np.sort(np.r_[np.flatnonzero(y == 1), kept])
    return X.iloc[rows], np.array(["malignant", "benign"])[y.iloc[rows]]


def as_text(values, stray=None):
    texts = np.array([f"{value:g}" for value in values], dtype=object)
    if stray is not None:
        texts[3] = stray
    return texts


def codes_of(n, pattern):
    return [pattern.format(k) for k in range(n)]


def with_two_kinds(values, rng):
    del rng
    values = values.astype(object)
    values[[2, 5]] = "unknown"
    return values


LOUD = [
    *[("K302", "warning", lambda s=s: repeated("wine", 0.08, s)) for s in SEEDS],
    ("K302", "warning", lambda: repeated("digits", 0.1)),
    ("K302", "warning", lambda: repeated("penguins", 0.1)),
    *[("K308", "warning", lambda s=s: contradicted("wine", 0.05, s)) for s in SEEDS],
    ("K308", "error", lambda: contradicted("penguins", 0.3)),
    ("K307", "warning", lambda: added("wine", lambda n, _: np.arange(n) * 10 + 7)),
    ("K307", "warning", lambda: added("cancer", lambda n, rng: rng.permutation(n))),
    ("K307", "warning", lambda: added("wine", lambda n, _: codes_of(n, "PATIENT-{:05d}"))),
    ("K307", "warning", lambda: (DATA["wine"][0].reset_index(names="wine_id"), DATA["wine"][1])),
    *[("K311", "warning", lambda s=s: rare(12, s)) for s in SEEDS],
    *[
        ("K313", "warning", lambda s=s: changed("wine", "alcohol", put(-999, 0.05), s))
        for s in SEEDS
    ],
    ("K313", "warning", lambda: changed("cancer", "mean area", put(99999.0, 0.01))),
    (
        "K313",
        "warning",
        lambda: changed("penguins", "island", lambda v, r: put("?", 0.1)(put("NA", 0.1)(v, r), r)),
    ),
    ("K314", "warning", lambda: changed("wine", "alcohol", lambda v, _: as_text(v, "n/a"))),
    ("K314", "warning", lambda: changed("diabetes", "bmi", lambda v, _: as_text(v))),
    *[("K315", "warning", lambda s=s: changed("diabetes", "bmi", once(900.0), s)) for s in SEEDS],
    ("K315", "warning", lambda: changed("wine", "alcohol", once(13_000.0 * 1_000))),
    *[
        ("K318", "warning", lambda s=s: changed("wine", "alcohol", put(np.nan, 0.97), s))
        for s in SEEDS
    ],
    ("K320", "warning", lambda: rare(1)),
    ("K324", "warning", lambda: changed("wine", "alcohol", with_two_kinds)),
    ("K325", "warning", lambda: changed("penguins", "island", once("biscoe"))),
    ("K325", "warning", lambda: changed("penguins", "sex", once("male "))),
]

SILENT = [
    ("K302", survey),
    ("K302", lambda: repeated("wine", 0.04)),
    ("K308", survey),
    ("K308", lambda: contradicted("wine", 0.005)),
    (
        "K308",
        lambda: (np.round(np.random.default_rng(0).normal(size=(400, 2)), 1), ["a", "b"] * 200),
    ),
    ("K308", lambda: repeated("wine", 0.3)),
    ("K307", lambda: added("wine", lambda n, rng: rng.normal(size=n))),
    ("K307", lambda: added("wine", lambda n, rng: rng.choice(10**6, n, replace=False))),
    ("K307", lambda: added("penguins", lambda n, _: codes_of(n, "Braund, Mr. Owen {}"))),
    ("K307", lambda: (DATA["wine"][0].reset_index(names="day"), DATA["wine"][1])),
    ("K307", lambda: (np.c_[np.arange(178), DATA["wine"][0]], DATA["wine"][1])),
    ("K311", lambda: rare(40)),
    ("K311", lambda: (DATA["wine"][0], np.random.default_rng(0).poisson(1, 178))),
    ("K313", lambda: changed("wine", "alcohol", lambda v, r: r.choice([-1, 0, 1], len(v)))),
    ("K313", lambda: changed("penguins", "island", put("NA", 0.1))),
    ("K313", lambda: changed("wine", "alcohol", lambda v, r: np.round(r.normal(0, 9, len(v))))),
    ("K314", lambda: added("wine", lambda n, _: codes_of(n, "{:05d}"))),
    ("K314", lambda: added("wine", lambda n, _: codes_of(n, "9{:03d}"))),
    ("K314", lambda: added("wine", lambda n, _: codes_of(n, "{} kg"))),
    ("K315", lambda: added("wine", lambda n, rng: np.exp(2 * rng.normal(size=n)))),
    ("K315", lambda: added("wine", lambda n, rng: rng.poisson(0.1, n) * 500)),
    ("K318", lambda: changed("wine", "alcohol", put(np.nan, 0.8))),
    ("K320", lambda: rare(2)),
    ("K320", lambda: (DATA["diabetes"][0], DATA["diabetes"][1])),
    ("K324", lambda: changed("wine", "alcohol", lambda v, _: [int(x) if x > 13 else x for x in v])),
    ("K325", lambda: added("wine", lambda n, rng: rng.choice(["Co", "CO", "a", "A"], n))),
]


@pytest.mark.parametrize(("code", "severity", "make"), LOUD)
def test_a_fault_is_found(code, severity, make):
    X, y = make()
    model = SVC() if severity == "error" else None
    found = checks.data(X, y, model=model, select=code)
    assert {(one.code, one.severity) for one in found} == {(code, severity)}
    assert all(one.message and one.location and one.fix and one.threshold for one in found)
    assert all(one.measured for one in found)


@pytest.mark.parametrize(("code", "make"), SILENT)
def test_sound_data_and_traps_are_silent(code, make):
    assert checks.data(*make(), select=code) == []


@pytest.mark.parametrize("name", DATA)
def test_real_data_is_silent_but_for_what_is_missing(name):
    assert {one.code for one in checks.data(*DATA[name])} <= {"K304"}


@pytest.mark.parametrize("make", [pl.from_pandas, lambda frame: frame.convert_dtypes()])
@pytest.mark.parametrize("code", ["K307", "K313", "K314", "K318", "K325"])
def test_tables_of_other_kinds_are_read_alike(code, make):
    X, y = DATA["wine"]
    X = X.assign(
        row_id=np.arange(178),
        ash=put(-999.0, 0.1)(X.ash.to_numpy(copy=True), np.random.default_rng(0)),
        text=as_text(X.alcohol),
        empty=np.where(np.arange(178) < 3, 1.5, np.nan),
        town=["Turin", "turin"] * 89,
    )
    if code == "K318":
        X = X.astype({"empty": object}).where(X.notna(), None).astype({"empty": "Float64"})
    assert {one.code for one in checks.data(make(X), y.to_numpy(), select=code)} == {code}


# --- Limits, each just inside and just outside --------------------------------------------


@pytest.mark.parametrize(("n_repeated", "count"), [(9, 0), (10, 1)])
def test_more_than_one_row_in_twenty_must_repeat(n_repeated, count):
    X, y = DATA["wine"]
    rows = np.r_[: 178 - 0, :n_repeated]  # 9 of 187 are 4.8 %, 10 of 188 are 5.3 %
    assert len(checks.data(X.iloc[rows], y.iloc[rows], select="K302")) == count


@pytest.mark.parametrize(("n_rare", "count"), [(17, 1), (18, 0)])
def test_a_class_is_rare_below_a_twentieth_of_the_commonest(n_rare, count):
    assert len(checks.data(*rare(n_rare), select="K311")) == count  # of 357


@pytest.mark.parametrize(("n_stray", "count"), [(8, 1), (9, 0)])
def test_nineteen_of_twenty_texts_must_be_numbers(n_stray, count):
    texts = as_text(DATA["wine"][0].alcohol)
    texts[:n_stray] = codes_of(n_stray, "word {}")  # 9 of 178 are 5.1 %
    frame = DATA["wine"][0].assign(new=texts)
    assert len(checks.data(frame, select="K314")) == count


@pytest.mark.parametrize(("n_empty", "count"), [(169, 0), (170, 1), (178, 0)])
def test_a_column_is_mostly_missing_from_nineteen_rows_of_twenty(n_empty, count):
    values = DATA["wine"][0].alcohol.to_numpy(copy=True)
    values[:n_empty] = np.nan  # empty altogether, it is a constant column: K306
    assert len(checks.data(DATA["wine"][0].assign(new=values), select="K318")) == count


@pytest.mark.parametrize(("share", "count"), [(0.1, 1), (0.12, 0)])
def test_one_value_in_ten_may_be_of_another_type(share, count):
    values = DATA["wine"][0].alcohol.to_numpy(dtype=object)
    values[: int(share * 178)] = "unknown"
    assert len(checks.data(DATA["wine"][0].assign(new=values), select="K324")) == count


@pytest.mark.parametrize(("multiple", "count"), [(990, 0), (1010, 1)])
def test_an_outlier_is_a_thousand_spreads_away(multiple, count):
    values = np.r_[np.linspace(-1, 1, 2001), float(multiple)]  # the spread is 1, the median 0
    assert len(checks.data(np.c_[values, np.arange(2002)], select="K315")) == count


# --- Models, weights and what was measured ------------------------------------------------


@pytest.mark.parametrize(
    ("model", "count"),
    [
        (SVC(), 1),
        (make_pipeline(StandardScaler(), SVC()), 1),
        (make_pipeline(QuantileTransformer(n_quantiles=100), SVC()), 0),
        (RandomForestClassifier(), 0),
    ],
)
def test_outliers_are_told_to_who_minds_them(model, count):
    X, y = changed("cancer", "mean area", once(1e12))
    assert len(checks.data(X, y, model=model, select="K315")) == count


@pytest.mark.parametrize(
    ("model", "severity"),
    [
        (SVC(), "warning"),
        (SVC(class_weight="balanced"), "note"),
        (GridSearchCV(SVC(), {}, scoring="balanced_accuracy"), "note"),
        (GridSearchCV(SVC(), {}), "warning"),
    ],
)
def test_an_imbalance_that_is_made_up_for_is_a_note(model, severity):
    X, y = rare(12)
    found = checks.data(X, y, model=model, select="K311", config=CheckConfig(notes=True))
    assert [one.severity for one in found] == [severity]


def test_class_weights_of_the_fit_make_up_for_an_imbalance():
    X, y = rare(12)
    given = {"class_weight": {"benign": 1, "malignant": 30}}
    outcome = families.examine_data(X, y, SVC(), CheckConfig(), given)
    assert "K311" not in {one.code for one in outcome.findings}


def test_a_model_that_chooses_its_columns_may_leave_the_id_out():
    X, y = added("wine", lambda n, _: np.arange(n))
    chosen = make_column_transformer((StandardScaler(), ["alcohol", "proline"]))
    model = make_pipeline(chosen, LogisticRegression())
    assert checks.data(X, y, select="K307")
    assert not checks.data(X, y, model=model, select="K307")


@pytest.mark.parametrize(
    ("weights", "severities"),
    [
        (np.ones(178), []),
        (np.r_[np.zeros(100), np.ones(78)], []),
        (np.r_[np.nan, np.ones(177)], ["error"]),
        (np.r_[-1.0, np.ones(177)], ["error"]),
        (np.zeros(178), ["error"]),
        (np.r_[178.0, np.ones(177)], ["warning"]),
        (np.r_[176.0, np.ones(177)], []),
    ],
)
def test_sample_weights_are_finite_positive_and_spread(weights, severities):
    X, y = DATA["wine"]
    outcome = families.examine_data(
        X, y, SVC(), CheckConfig(select=("K317",)), {"sample_weight": weights}
    )
    assert [one.severity for one in outcome.findings] == severities


@pytest.mark.parametrize(("n_splits", "severity"), [(2, None), (5, "warning"), (60, "error")])
def test_folds_need_as_many_rows_of_each_class(n_splits, severity):
    X, y = DATA["wine"]
    rows = np.r_[0:3, 59:130, 130:178] if n_splits < 60 else np.r_[0:50, 60:110, 130:170]
    model = GridSearchCV(SVC(), {}, cv=n_splits)
    found = checks.data(X.iloc[rows], y.iloc[rows], model=model, select="K320")
    assert [one.severity for one in found] == ([severity] if severity else [])


def test_the_repeated_and_the_contradicting_rows_are_named():
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.array(["a", "b"] * 20)
    X[[11, 30]], y[[4, 11, 30]] = X[4], ["a", "b", "a"]
    (conflict,) = checks.data(X, y, select="K308")
    assert conflict.measured["rows in conflict"] == 3
    assert conflict.location == "rows 4 (a) and 11 (b)"
    y[11] = "a"
    X[[6, 7]] = X[5]
    y[[5, 6, 7]] = "b"
    (repeat,) = checks.data(X, y, select="K302")
    assert repeat.measured["repeated"] == 4
    assert "4 (3 times)" in repeat.location
    assert "5 (3 times)" in repeat.location


def test_rows_that_only_hash_alike_are_not_equal(monkeypatch):
    from pytest_kepler.checks import rows

    monkeypatch.setattr(rows, "hash_rows", lambda _: np.zeros(178, dtype=np.uint64))
    assert checks.data(*DATA["wine"], select=["K302", "K308"]) == []


def test_an_id_is_found_though_rows_were_left_out():
    X, y = added("penguins", lambda n, _: np.arange(n))
    model = make_pipeline(OneHotEncoder(), LogisticRegression())
    rows = np.random.default_rng(0).choice(344, 150, replace=False)
    assert checks.data(X.iloc[rows], y.iloc[rows], model=model, select="K307")
