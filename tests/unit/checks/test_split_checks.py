"""Each check of a split: loud on a fault, silent on sound splits and on its nearest trap."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from pytest_kepler import checks
from pytest_kepler.checks import families
from pytest_kepler.checks.config import CheckConfig
from pytest_kepler.errors import KeplerUsageError

load_penguins = pytest.importorskip("palmerpenguins").load_penguins

DATA = {
    "iris": load_iris(return_X_y=True),
    "wine": load_wine(return_X_y=True),
    "cancer": load_breast_cancer(return_X_y=True),
    "diabetes": load_diabetes(return_X_y=True),
    "digits": load_digits(return_X_y=True),
}


def split(name, seed=0, **options):
    return train_test_split(*DATA[name], random_state=seed, **options)


def with_copies(name, share, seed=0):
    X_train, X_test, y_train, y_test = split(name, seed)
    count = int(share * len(X_test))
    X_test = X_test.copy()
    X_test[:count] = X_train[:count]
    return X_train, X_test, y_train, y_test


def scaled(name, scaler, *, together=False, seed=0, only_train=False):
    X_train, X_test, *labels = split(name, seed)
    fitted = scaler().fit(X_train)
    X_test_scaled = fitted.transform(X_test) if together else scaler().fit_transform(X_test)
    return fitted.transform(X_train), X_test if only_train else X_test_scaled, *labels


def penguin_frames():
    frame = load_penguins().dropna()
    return train_test_split(frame.drop(columns="species"), frame["species"], random_state=0)


def frames(change):
    X_train, X_test, y_train, y_test = penguin_frames()
    return X_train, change(X_test), y_train, y_test


def unstratified(dropped):
    X, y = DATA["iris"]
    kept = y != dropped
    return X[kept], X, y[kept], y


def categorical():
    X = np.random.default_rng(0).integers(0, 2, (400, 4))
    return X[:300], X[300:], None, None


def repeated_everywhere():
    X = np.tile(DATA["wine"][0], (6, 1))
    return *train_test_split(X, random_state=0), None, None


def lopsided(name, seed=0):
    """Return a split of which the test side lost most rows of one class."""
    X_train, X_test, y_train, y_test = split(name, seed, test_size=0.4)
    kept = (y_test != 0) | (np.arange(len(y_test)) % 4 == 0)
    return X_train, X_test[kept], y_train, y_test[kept]


def sorted_by(name, column):
    X, y = DATA[name]
    order = np.argsort(X[:, column], kind="stable")
    cut = int(0.75 * len(X))
    return X[order[:cut]], X[order[cut:]], y[order[:cut]], y[order[cut:]]


def shifted(name, by=1.0, seed=0):
    """Return a split of which one column of the test side is moved by some spreads."""
    X_train, X_test, *labels = split(name, seed)
    X_test = X_test.copy()
    X_test[:, 0] += by * X_train[:, 0].std()
    return X_train, X_test, *labels


def noisy_copies(name, share, noise, seed=0):
    X_train, X_test, *labels = split(name, seed)
    rng = np.random.default_rng(seed)
    count = int(share * len(X_test))
    X_test = X_test.copy()
    X_test[:count] = X_train[:count] + noise * X_train.std(axis=0) * rng.normal(
        size=(count, X_train.shape[1])
    )
    return X_train, X_test, *labels


def scaled_before(name, scaler, seed=0):
    X, y = DATA[name]
    return train_test_split(scaler().fit_transform(X), y, random_state=seed)


def renamed_islands(X):
    return X.assign(island=np.where(np.arange(len(X)) % 2, "Dream", "Torgersen"))


def without_sex(X):
    return X.assign(sex=X.sex.where(np.arange(len(X)) % 2 == 0))


LOUD = [
    ("K103", "warning", lambda: lopsided("cancer")),
    ("K103", "warning", lambda: lopsided("cancer", seed=1)),
    ("K106", "warning", lambda: noisy_copies("wine", 0.2, 0.002)),
    ("K106", "warning", lambda: noisy_copies("cancer", 0.1, 0.002, seed=1)),
    ("K111", "warning", lambda: shifted("cancer")),
    ("K111", "warning", lambda: shifted("diabetes", seed=1)),
    ("K111", "warning", lambda: sorted_by("diabetes", 2)),
    ("K111", "warning", lambda: frames(renamed_islands)),
    ("K111", "warning", lambda: frames(without_sex)),
    ("K601", "warning", lambda: scaled_before("wine", StandardScaler)),
    ("K601", "warning", lambda: scaled_before("cancer", StandardScaler, seed=1)),
    ("K601", "warning", lambda: scaled_before("cancer", MinMaxScaler)),
    ("K105", "error", lambda: with_copies("wine", 0.2)),
    ("K105", "error", lambda: with_copies("digits", 0.1)),
    ("K105", "warning", lambda: with_copies("digits", 0.03)),
    ("K105", "warning", repeated_everywhere),
    ("K105", "error", lambda: frames(lambda X: pd.concat([X, penguin_frames()[0].head(9)]))),
    ("K105", "error", lambda: tuple(map(sparse.csr_matrix, with_copies("digits", 0.2)[:2]))),
    ("K104", "error", lambda: scaled("wine", StandardScaler)),
    ("K104", "error", lambda: scaled("cancer", MinMaxScaler, seed=1)),
    ("K116", "error", lambda: scaled("wine", StandardScaler, only_train=True)),
    ("K116", "error", lambda: scaled("cancer", MinMaxScaler, only_train=True)),
    ("K109", "error", lambda: unstratified(2)),
    ("K109", "warning", lambda: unstratified(2)[1::-1] + unstratified(2)[:1:-1]),
    ("K117", "error", lambda: frames(lambda X: X.drop(columns="sex"))),
    ("K117", "error", lambda: frames(lambda X: X[sorted(X.columns)])),
    ("K117", "error", lambda: frames(lambda X: X.assign(year=X.year.astype(str)))),
    ("K117", "error", lambda: (DATA["wine"][0], DATA["wine"][0][:, :5])),
    ("K110", "error", lambda: (DATA["wine"][0], DATA["wine"][0])),
    ("K110", "error", lambda: (DATA["wine"][0], DATA["wine"][0][40:])),
    ("K110", "error", lambda: (DATA["wine"][0], DATA["wine"][0][::-1].copy())),
]

SILENT = [
    ("K103", lambda: split("cancer", stratify=DATA["cancer"][1])),
    ("K103", lambda: split("diabetes")),
    ("K103", lambda: (*lopsided("iris")[:2], np.arange(90) % 2, np.arange(44) % 2)),
    ("K106", lambda: with_copies("wine", 0.2)),  # exact copies: K105
    ("K106", lambda: noisy_copies("wine", 0.2, 0.2)),
    ("K106", lambda: (*split("iris")[:2],)),
    ("K106", lambda: (np.round(np.random.default_rng(0).normal(size=(300, 5))), np.zeros((60, 5)))),
    ("K111", lambda: shifted("cancer", by=0.1)),
    ("K111", lambda: scaled("wine", StandardScaler, only_train=True)),  # that is K116
    ("K111", lambda: (np.c_[np.arange(200)], np.c_[np.arange(200, 260)])),
    ("K111", lambda: (DATA["iris"][0][:60], DATA["iris"][0][125:])),  # 25 rows are too few
    ("K601", lambda: scaled("wine", StandardScaler, together=True)),
    ("K601", lambda: scaled("cancer", MinMaxScaler, together=True)),
    ("K601", lambda: split("diabetes")),  # shipped with mean 0, but not with spread 1
    ("K601", lambda: (DATA["digits"][0][:900] / 16, DATA["digits"][0][900:] / 16)),
    ("K105", categorical),
    ("K104", lambda: scaled("wine", StandardScaler, together=True)),
    ("K104", lambda: (np.c_[DATA["digits"][0][:900] / 16], DATA["digits"][0][900:] / 16)),
    ("K116", lambda: scaled("wine", StandardScaler, together=True)),
    ("K116", lambda: (sparse.csr_matrix(DATA["digits"][0]), sparse.csr_matrix(DATA["digits"][0]))),
    ("K109", lambda: split("diabetes")),
    ("K109", lambda: (*split("iris")[:2], np.zeros(112), np.arange(38) % 2)),
    ("K117", lambda: frames(lambda X: X.assign(year=X.year.astype(float)))),
    ("K110", lambda: (DATA["wine"][0][:100], DATA["wine"][0][100:])),
    ("K110", lambda: with_copies("wine", 0.3)),
]


@pytest.mark.parametrize(("code", "severity", "make"), LOUD)
def test_a_fault_is_found(code, severity, make):
    found = checks.split(*make(), select=code)
    assert {(one.code, one.severity) for one in found} == {(code, severity)}
    assert all(one.message and one.location and one.fix and one.threshold for one in found)


@pytest.mark.parametrize(("code", "make"), SILENT)
def test_traps_are_silent(code, make):
    assert checks.split(*make(), select=code) == []


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", DATA)
def test_a_random_split_of_real_data_is_silent(name, seed):
    stratify = None if name == "diabetes" else DATA[name][1]
    assert checks.split(*split(name, seed, stratify=stratify)) == []


def test_the_pairs_of_shared_rows_are_right():
    X_train, X_test = np.random.default_rng(0).normal(size=(2, 40, 3))
    X_test[[4, 8, 15]] = X_train[[16, 23, 39]]
    (found,) = checks.split(X_train, X_test, select="K105")
    assert found.measured["pairs"] == [
        "test 4 = train 16",
        "test 8 = train 23",
        "test 15 = train 39",
    ]
    assert found.measured["share"] == 3 / 40


def test_minus_zero_and_equal_missing_values_are_equal_rows():
    rng = np.random.default_rng(0)
    X_train = rng.normal(size=(40, 4))
    X_train[:, 1], X_train[:, 2] = 0.0, np.nan
    X_test = np.concatenate([X_train[:5], rng.normal(size=(35, 4))])
    X_test[:5, 1] = -0.0
    (found,) = checks.split(X_train, X_test, select="K105")
    assert found.measured["rows"] == 5


def test_the_same_values_in_other_columns_are_other_rows():
    X = np.random.default_rng(0).normal(size=(40, 4))
    assert checks.split(X, X[:, ::-1].copy(), select="K105") == []


def test_a_split_that_is_the_training_data_is_told_once():
    X = DATA["cancer"][0]
    assert [one.code for one in checks.split(X, X.copy()[::-1])] == ["K110"]


@pytest.mark.parametrize(("groups", "count"), [("site", 1), (([1, 2], [3, 4]), 0), (None, 0)])
def test_only_declared_groups_are_compared(groups, count):
    train = pd.DataFrame({"x": [0.1, 0.2], "site": ["a", "b"]})
    test = pd.DataFrame({"x": [0.3, 0.4], "site": ["b", "c"]})
    assert len(checks.split(train, test, groups=groups, select="K107")) == count


def test_a_group_column_that_is_not_there_is_a_usage_error():
    frame = pd.DataFrame({"site": ["a"]})
    with pytest.raises(KeplerUsageError, match="no column 'sites': did you mean 'site'"):
        checks.split(frame, frame, groups="sites")


@pytest.mark.parametrize(("cut", "count"), [(70, 0), (30, 1)])
def test_test_rows_older_than_train_are_found(cut, count):
    times = pd.date_range("2026-01-01", periods=100)
    train, test = (times[:70], times[cut:]) if count == 0 else (times[cut:], times[:cut])
    found = checks.split(np.zeros((70, 1)), np.zeros((30, 1)), time=(train, test), select="K108")
    assert len(found) == count


@pytest.mark.parametrize(("copies", "count"), [(4, 0), (5, 1)])
def test_five_near_copies_are_no_accident(copies, count):
    parts = noisy_copies("cancer", copies / 143, 0.001)
    assert len(checks.split(*parts, select="K106")) == count


def test_the_pairs_of_near_copies_are_right():
    rng = np.random.default_rng(0)
    X_train, X_test = rng.normal(size=(200, 6)), rng.normal(size=(60, 6))
    X_test[[3, 9, 20, 41, 42]] = X_train[[7, 8, 100, 150, 199]] + 1e-3
    (found,) = checks.split(X_train, X_test, select="K106")
    assert found.measured["pairs"] == [
        f"test {test} ≈ train {train}"
        for test, train in zip([3, 9, 20, 41, 42], [7, 8, 100, 150, 199], strict=True)
    ]


@pytest.mark.parametrize(("n_more", "count"), [(499, 0), (501, 1)])
def test_a_share_must_differ_by_more_than_five_points(n_more, count):
    # 4 standard errors are 2.8 points here, so that the 5 points decide.
    y_train = np.repeat(["a", "b"], 5_000)
    y_test = np.repeat(["a", "b"], [5_000 + n_more, 5_000 - n_more])
    X = np.zeros((10_000, 1))
    assert len(checks.split(X, X + 1, y_train, y_test, select="K103")) == count


@pytest.mark.parametrize(("n_more", "count"), [(25, 0), (27, 1)])
def test_a_share_must_differ_by_more_than_chance(n_more, count):
    # 4 standard errors are 15.5 points here.
    y_train = np.repeat(["a", "b"], 5_000)
    y_test = np.repeat(["a", "b"], [84 + n_more, 84 - n_more])
    X_train, X_test = np.zeros((10_000, 1)), np.ones((168, 1))
    assert len(checks.split(X_train, X_test, y_train, y_test, select="K103")) == count


@pytest.mark.parametrize(("n_off", "count"), [(199, 0), (201, 1)])
def test_the_gap_of_a_column_must_exceed_a_fifth(n_off, count):
    train = np.arange(1000.0) / 7  # no whole numbers: those would be an id
    test = np.r_[train[n_off:], train[-1] + 1 + np.arange(n_off) / 7]
    assert len(checks.split(np.c_[train], np.c_[test], select="K111")) == count


@pytest.mark.parametrize("declared", [{"time": True}, {"groups": True}])
def test_drift_that_time_or_groups_explain_is_a_note(declared):
    X_train, X_test, *_ = shifted("cancer")
    pairs = {name: (np.zeros(len(X_train)), np.ones(len(X_test))) for name in declared}
    (found,) = checks.split(X_train, X_test, select="K111", config=CheckConfig(notes=True), **pairs)
    assert found.severity == "note"


def test_the_chance_of_a_gap_is_that_of_scipy():
    from scipy import stats

    from pytest_kepler.checks.catalogue.split import features_drift

    rng = np.random.default_rng(0)
    for shift in (0.0, 0.1, 0.2, 0.3):
        ours, theirs = rng.normal(size=300), rng.normal(shift, size=200)
        gap, p = features_drift._ks(ours, theirs)
        expected = stats.ks_2samp(ours, theirs, method="asymp")
        assert gap == pytest.approx(expected.statistic)
        assert p == pytest.approx(expected.pvalue, rel=0.3, abs=0.02)
    for statistic, degrees in ((3.0, 1), (30.0, 4), (20.0, 20), (80.0, 49)):
        p = features_drift._chi_squared_tail(statistic, degrees)
        assert p == pytest.approx(stats.chi2.sf(statistic, degrees), rel=1)


def test_a_lower_limit_finds_more():
    parts = with_copies("digits", 0.008)
    assert checks.split(*parts, select="K105") == []
    assert checks.split(*parts, select="K105", warn_share=0.005)


@pytest.mark.parametrize(("copies", "severity"), [(22, "warning"), (23, "error")])
def test_the_limit_of_shared_rows_is_a_share_above_five_percent(copies, severity):
    # 450 test rows: 22 are 4.9 %, 23 are 5.1 %.
    (found,) = checks.split(*with_copies("digits", copies / 450), select="K105")
    assert (found.measured["rows"], found.severity) == (copies, severity)


# --- K112: sides that only several columns together tell apart -----------------------------


def cut_along_a_minor_axis(X, axis=-2, share=0.7):
    """Return the rows on the two sides of a plane that no single column shows."""
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    along = scaled @ np.linalg.svd(scaled, full_matrices=False)[2][axis]
    is_test = along > np.quantile(along, share)
    return X[~is_test], X[is_test]


def test_sides_that_only_columns_together_tell_apart_are_found():
    X = load_iris().data
    found = checks.split(*cut_along_a_minor_axis(X))
    assert [(one.code, one.severity) for one in found] == [("K112", "warning")]
    assert found[0].measured["area"] > found[0].threshold["area"] > 0.6


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_diabetes])
def test_random_sides_cannot_be_told_apart(load, seed):
    X = load().data
    order = np.random.default_rng(seed).permutation(len(X))
    half = len(X) // 2
    assert checks.split(X[order[:half]], X[order[half:]], select="K112") == []


def test_a_split_by_time_is_not_asked_whether_it_can_be_told_apart():
    train, test = cut_along_a_minor_axis(load_iris().data)
    days = pd.date_range("2026-01-01", periods=len(train) + len(test))
    frames = (
        pd.DataFrame(train, index=days[: len(train)]),
        pd.DataFrame(test, index=days[len(train) :]),
    )
    assert checks.split(*frames, select="K112") == []


def test_the_limit_of_what_can_be_told_apart_can_be_set():
    parts = cut_along_a_minor_axis(load_iris().data)
    (found,) = checks.split(*parts, select="K112")
    above = found.measured["area"] - 0.5 + 0.001
    assert checks.split(*parts, select="K112", min_gain=above) == []
    assert checks.split(*parts, select="K112", min_gain=above - 0.002) != []


def test_without_scikit_learn_the_sides_are_not_told_apart(monkeypatch):
    monkeypatch.delitem(sys.modules, "sklearn")
    view = families.examine_split(
        *cut_along_a_minor_axis(load_iris().data), None, None, None, None, CheckConfig()
    )
    assert view.not_applicable["K112"] == "scikit-learn is not imported"
