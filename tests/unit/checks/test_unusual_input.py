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
from sklearn.svm import SVC

from pytest_kepler.checks import families
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
