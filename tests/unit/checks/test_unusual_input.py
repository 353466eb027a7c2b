"""Whatever people hold: no check crashes, and what can be read once stays unread."""

from __future__ import annotations

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.svm import SVC, OneClassSVM

from pytest_kepler import checks, gate
from pytest_kepler.checks import codes, families
from pytest_kepler.checks.config import CheckConfig

pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")
N = 40
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=(N, 3))
EVERYTHING = CheckConfig(notes=True)

FEATURES = {
    "nothing": None,
    "a text": "hello",
    "a number": np.array(3.0),
    "a set": {1, 2},
    "an empty list": [],
    "no rows": np.empty((0, 3)),
    "no columns": np.empty((N, 0)),
    "an empty frame": pd.DataFrame(),
    "a frame without columns": pd.DataFrame(index=range(N)),
    "a frame without rows": pd.DataFrame({"a": [], "b": pd.Series([], dtype=str)}),
    "one row": pd.DataFrame({"a": [1.0], "b": ["x"]}),
    "ragged": [[1], [1, 2]] * 20,
    "mixed": [[1, "a", None]] * N,
    "mixed in a column": pd.DataFrame({"a": [1, "b", None, 2.5] * 10}),
    "objects": np.array([[1, 2.5], [None, 3]] * 20, dtype=object),
    "objects of rank 3": np.empty((N, 2, 2), dtype=object),
    "only NaN": np.full((N, 3), np.nan),
    "a column of NaN": pd.DataFrame({"a": [np.nan] * N, "b": NUMBERS[:, 0]}),
    "a column of None": pd.DataFrame({"a": [None] * N}),
    "infinite": np.full((N, 3), np.inf),
    "huge": np.full((N, 3), 1e308),
    "complex": NUMBERS * 1j,
    "half": NUMBERS.astype(np.float16),
    "long": NUMBERS.astype(np.longdouble),
    "yes or no": NUMBERS > 0,
    "bytes": np.array([b"a", b"b"] * 20),
    "rank 1": NUMBERS[:, 0],
    "images": RNG.normal(size=(N, 4, 4, 3)),
    "records": np.array([(1, 2.0, "a")] * N, dtype=[("a", int), ("b", float), ("c", "U3")]),
    "masked": np.ma.masked_array(NUMBERS, mask=NUMBERS > 1),
    "days": np.array(["2026-01-01"] * N, dtype="M8[D]"),
    "dates": pd.DataFrame({"d": pd.date_range("2026", periods=N), "x": NUMBERS[:, 0]}),
    "zoned": pd.DataFrame({"d": pd.date_range("2026", periods=N, tz="UTC")}),
    "durations": pd.DataFrame({"d": pd.to_timedelta(range(N), unit="h")}),
    "periods": pd.DataFrame({"d": pd.period_range("2026", periods=N, freq="D")}),
    "intervals": pd.DataFrame({"d": pd.interval_range(0, N)}),
    "categories": pd.DataFrame(
        {"a": pd.Categorical(["a", "b"] * 20), "b": pd.Categorical([1, 2] * 20)}
    ),
    "nullable": pd.DataFrame(
        {
            "a": pd.array([1, None] * 20, dtype="Int64"),
            "b": pd.array([True, None] * 20, dtype="boolean"),
            "c": pd.array(["x", None] * 20, dtype="string"),
        }
    ),
    "arrow": pd.DataFrame({"a": NUMBERS[:, 0], "b": ["x", "y"] * 20}).convert_dtypes(
        dtype_backend="pyarrow"
    ),
    "arrow dates": pd.DataFrame(
        {"a": pd.array([dt.date(2026, 1, 1)] * N, dtype=pd.ArrowDtype(pa.date32()))}
    ),
    "equal names": pd.DataFrame(NUMBERS, columns=["a", "a", "b"]),
    "names of two levels": pd.DataFrame(
        NUMBERS[:, :2], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])
    ),
    "numbers as names": pd.DataFrame(NUMBERS),
    "an index of two levels": pd.DataFrame(
        NUMBERS, index=pd.MultiIndex.from_product([range(4), range(10)])
    ),
    "an index of times": pd.DataFrame(NUMBERS, index=pd.date_range("2026", periods=N)),
    "a name that is empty": pd.DataFrame({"": ["", ""] * 20}),
    "half a character": pd.DataFrame({"a": pd.Series(["\ud800", "b"] * 20, dtype=object)}),
    "large whole numbers": pd.DataFrame({"a": [2**70, 1] * 20}),
    "decimals": pd.DataFrame({"a": [decimal.Decimal("1.1")] * N}),
    "lists in cells": pd.DataFrame({"a": [[1, 2]] * N, "b": [{}] * N, "c": [(1,)] * N}),
    "polars": pl.DataFrame(
        {
            "a": NUMBERS[:, 0],
            "b": ["x", None] * 20,
            "c": [[1]] * N,
            "d": [{"a": 1}] * N,
            "e": [dt.date(2026, 1, 1)] * N,
            "f": pl.Series([None] * N),
            "g": pl.Series([decimal.Decimal("1.5")] * N),
        }
    ),
    "a lazy frame": pl.LazyFrame({"a": [1]}),
    "sparse rows": sparse.csr_matrix(NUMBERS > 0.5),
    "sparse triples": sparse.coo_matrix(NUMBERS > 0.5),
    "sparse columns": sparse.csc_array(NUMBERS > 0.5),
    "sparse without rows": sparse.csr_matrix((0, 3)),
    "a sparse frame": pd.DataFrame.sparse.from_spmatrix(sparse.csr_matrix(NUMBERS > 0.5)),
    "several inputs": {"image": np.zeros((N, 4, 4, 3)), "text": ["some text"] * N},
}
TARGETS = [
    None,
    3,
    [],
    [1, 2],
    ["a", "b"] * 20,
    [1] * N,
    [1, None] * 20,
    [1, "a"] * 20,
    [[1, 2], [3]] * 20,
    np.full(N, np.nan),
    NUMBERS[:, 0],
    NUMBERS[:, :2],
    np.eye(2)[[0, 1] * 20],
    {"a": [1] * N, "b": [0] * N},
    pd.Series(["a", "b"] * 20, dtype="category"),
    pd.Series(pd.date_range("2026", periods=N)),
    pd.DataFrame({"y": [0, 1] * 20}),
    pl.Series(["a", "b"] * 20),
    [object()] * N,
]


def examine(X, y):
    """Run every family on the same values, in all their parts."""
    yield families.examine_data(X, y, None, EVERYTHING)
    yield families.examine_data(X, y, SVC(), EVERYTHING, {"sample_weight": y})
    yield families.examine_split(X, X, y, y, None, None, EVERYTHING)
    for held_out in ({"validation_split": 0.5}, {"validation_data": (X, y)}):
        yield families.examine_validation(X, y, held_out, SVC(), EVERYTHING)
    for model in (GridSearchCV(SVC(), {}, cv=KFold(2)), LinearRegression()):
        yield families.examine_model(model, X, y, {"groups": y}, EVERYTHING)


@pytest.mark.parametrize("name", FEATURES)
def test_no_check_crashes(name):
    crashed = {
        one.message
        for target in TARGETS
        for outcome in examine(FEATURES[name], target)
        for one in outcome.findings
        if one.code == "K000"
    }
    assert crashed == set()


@pytest.mark.parametrize("part", ["X", "y", "validation_data"])
def test_what_can_be_read_once_is_left_unread(part):
    rows = iter([[1.0], [2.0]])
    given = {"X": NUMBERS, "y": [0, 1] * 20, "validation_data": None} | {part: rows}
    X, y = given["X"], given["y"]
    list(examine(X, y))
    families.examine_validation(
        X, y, {"validation_data": given["validation_data"]}, SVC(), EVERYTHING
    )
    assert list(rows) == [[1.0], [2.0]]


def test_what_a_mask_hides_is_missing():
    values = NUMBERS.copy()
    values[3, 1] = np.inf
    hidden = np.ma.masked_array(values, mask=np.isinf(values))
    found = families.examine_data(hidden, None, None, EVERYTHING).findings
    assert [one.measured["rows"] for one in found if one.code == "K304"] == [[3]]
    assert "missing" in found[0].message


def test_what_cannot_be_judged_says_why():
    outcome = families.examine_data((row for row in NUMBERS), None, None, EVERYTHING)
    assert outcome.findings == []
    assert set(outcome.not_applicable.values()) >= {
        "a generator cannot be looked at without consuming it"
    }


# --- One case each, and what is answered --------------------------------------------------


def told(found):
    return [(one.code, one.severity) for one in found]


def why(outcome, code):
    return outcome.not_applicable[code]


def test_before_a_fit_an_empty_frame_has_nothing_to_judge_and_says_so():
    outcome = families.examine_data(pd.DataFrame({"a": []}), [], None, CheckConfig())
    assert outcome.findings == []
    assert why(outcome, "K301") == why(outcome, "K304") == "there are no rows"


def test_a_single_row_is_neither_constant_nor_repeated():
    assert checks.data(pd.DataFrame({"a": [1.0], "b": ["x"]}), [1]) == []


def test_one_class_is_an_error_for_those_that_learn_classes():
    assert told(checks.data(NUMBERS, ["a"] * N)) == [("K319", "error")]
    assert checks.data(NUMBERS, ["a"] * N, model=OneClassSVM()) == []


def test_a_column_of_objects_is_read_by_what_is_in_it():
    numbers = pd.DataFrame({"a": pd.Series([1.5, 2.5, None, 4.0] * 10, dtype=object)})
    (found,) = checks.data(numbers.assign(b=NUMBERS[:, 0]))
    assert (found.code, found.measured["missing"]) == ("K304", 10)


def test_a_column_of_mixed_types_is_told():
    mixed = pd.DataFrame({"a": [*range(38), "unknown", "none"], "b": NUMBERS[:, 0]})
    (found,) = checks.data(mixed)
    assert found.code == "K324"


def test_lists_of_different_lengths_are_no_table():
    outcome = families.examine_data([[1], [1, 2]] * 20, None, None, CheckConfig())
    assert set(outcome.not_applicable.values()) >= {"the rows have different lengths"}


def test_a_generator_is_not_consumed_and_its_checks_say_why():
    rows = (row for row in NUMBERS)
    assert checks.data(rows) == []
    assert len(list(rows)) == N


def test_a_target_of_texts_is_a_choice_of_classes():
    rare = ["cat"] * 380 + ["dog"] * 10 + ["cow"] * 10
    X = RNG.normal(size=(400, 2))
    assert told(checks.data(X, rare)) == [("K311", "warning")]


def test_several_targets_are_judged_one_by_one():
    targets = np.c_[NUMBERS[:, 0], np.ones(N)]
    (found,) = checks.data(NUMBERS, targets)
    assert (found.code, found.severity, found.location) == ("K319", "warning", "target y, column 1")
    targets[3, 0] = np.nan
    assert ("K305", "error") in told(checks.data(NUMBERS, targets))


def test_an_image_that_is_to_be_made_may_have_pixels_that_are_always_black():
    images = RNG.random((N, 8, 8))
    images[:, 0] = 0
    assert checks.data(NUMBERS, images) == []
    assert checks.data(NUMBERS, images.reshape(N, -1)) == []
    assert told(checks.data(NUMBERS, np.zeros((N, 8, 8)))) == [("K319", "error")]


def test_rare_counts_that_one_side_lacks_are_not_taken_for_classes():
    rng = np.random.default_rng(0)
    fired = 0
    for _ in range(30):
        X = rng.normal(size=(1_000, 3))
        counts = rng.poisson(np.exp(0.5 * X[:, 0])).astype("float32")
        found = checks.split(X[:800], X[800:], counts[:800], counts[800:])
        fired += any(one.code == "K109" for one in found)
    assert fired == 0


def test_a_common_number_that_test_lacks_is_told():
    labels = np.array([0, 1, 2] * 100)
    X = RNG.normal(size=(300, 2))
    keep = labels[200:] != 2
    found = checks.split(X[:200], X[200:][keep], labels[:200], labels[200:][keep])
    assert ("K109", "warning") in told(found)


def test_a_model_that_cannot_be_asked_is_an_error_and_no_crash():
    found = checks.behaviour(SVC(), NUMBERS, [0, 1] * 20)
    assert [(one.name, one.severity) for one in found] == [("model-not-asked", "error")]
    assert "NotFittedError" in found[0].message


def test_a_check_that_crashes_in_a_fit_does_not_block_it(monkeypatch):
    def crash(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(codes.CHECKS["K301"].load(), "check", crash)
    verdict = gate.examine_fit(
        SVC(), NUMBERS, [0, 1] * 20, {}, config=CheckConfig(), today=dt.date(2026, 11, 25)
    )
    assert verdict.blocking == []
    assert [(one.code, one.location) for one in verdict.findings] == [("K000", "K301")]
    assert verdict.not_applicable["K301"] == "the check crashed"


def test_a_model_that_cannot_answer_is_no_crash_of_a_check():
    class Refusing:
        def predict(self, X):  # noqa: ARG002
            raise ValueError("no neighbours found")

    found = checks.behaviour(Refusing(), np.zeros((40, 2)), np.arange(40) % 2)
    assert [one.name for one in found] == ["model-not-asked"]
    assert "predict raised ValueError: no neighbours found" in found[0].message
