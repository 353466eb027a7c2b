"""Rows like the user's: what is kept of the data, in every kind of container."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine

from pytest_kepler.checks.likeness import STEPS, Likeness, Place, values_of
from pytest_kepler.errors import KeplerUsageError

load_penguins = pytest.importorskip("palmerpenguins").load_penguins
PENGUINS = load_penguins()
FRAMES = {
    "penguins": PENGUINS,
    "iris": load_iris(as_frame=True).data,
    "wine": load_wine(as_frame=True).data,
    "cancer": load_breast_cancer(as_frame=True).data,
}


def drawn(X, n=2_000, seed=0):
    likeness, rng = Likeness(X), np.random.default_rng(seed)
    places = [
        Place(
            int(rng.integers(likeness.n_rows)),
            int(rng.integers(likeness.n_neighbours)),
            int(rng.integers(STEPS + 1)),
        )
        for _ in range(n)
    ]
    return likeness.rows(places)


@pytest.mark.parametrize("name", FRAMES)
def test_correlations_are_kept(name):
    X = FRAMES[name]
    mine = drawn(X).corr(numeric_only=True).to_numpy()
    theirs = X.corr(numeric_only=True).to_numpy()
    assert np.abs(mine - theirs).mean() < 0.06
    assert np.abs(mine - theirs).max() < 0.2


@pytest.mark.parametrize("name", FRAMES)
def test_drawn_numbers_stay_within_the_range_and_are_not_all_known(name):
    X, rows = FRAMES[name].select_dtypes("number"), drawn(FRAMES[name])
    assert (rows[X.columns].min() >= X.min()).all()
    assert (rows[X.columns].max() <= X.max()).all()
    first = X.columns[0]
    assert not rows[first].dropna().isin(X[first]).all()


def test_categories_appear_only_in_combinations_that_were_seen():
    names = ["species", "island", "sex", "year"]
    seen = set(PENGUINS[names].astype(str).itertuples(index=False))
    assert set(drawn(PENGUINS)[names].astype(str).itertuples(index=False)) <= seen


def test_missing_values_are_as_frequent_as_in_the_data():
    rows = drawn(PENGUINS)
    assert np.abs(rows.isna().mean() - PENGUINS.isna().mean()).max() < 0.03
    assert rows["sex"].isna().any()


def test_whole_numbers_stay_whole_whatever_their_dtype():
    assert (drawn(PENGUINS)["body_mass_g"].dropna() % 1 == 0).all()
    digits = load_digits().data
    assert (drawn(digits) % 1 == 0).all()


def test_numbers_of_few_values_take_only_those():
    codes = pd.DataFrame({"code": [1, 5, 10] * 40, "x": np.random.default_rng(0).normal(size=120)})
    assert set(drawn(codes)["code"]) == {1, 5, 10}


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda X: X, id="pandas"),
        pytest.param(lambda X: X.convert_dtypes(), id="nullable"),
        pytest.param(
            lambda X: X.convert_dtypes(dtype_backend="pyarrow"),
            id="arrow",
            marks=pytest.mark.skipif(find_spec("pyarrow") is None, reason="needs pyarrow"),
        ),
        pytest.param(lambda X: X.astype({"species": "category", "year": "Int16"}), id="category"),
        pytest.param(lambda X: X.set_axis([*"aabcdefg"], axis=1), id="a name twice"),
        pytest.param(lambda X: X.set_index("year", append=True), id="labels of two levels"),
    ],
)
def test_a_pandas_frame_keeps_its_columns_and_dtypes(make):
    X = make(PENGUINS)
    rows = drawn(X, 200)
    assert list(rows.columns) == list(X.columns)
    assert list(rows.dtypes) == list(X.dtypes)
    assert list(rows.index) == list(range(200))


def test_a_polars_frame_keeps_its_schema():
    pl = pytest.importorskip("polars")
    X = pl.from_pandas(PENGUINS).with_columns(pl.col("species").cast(pl.Categorical))
    rows = drawn(X, 200)
    assert isinstance(rows, pl.DataFrame)
    assert rows.schema == X.schema
    assert rows["sex"].null_count() > 0


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int64"])
def test_an_array_keeps_its_dtype_and_shape(dtype):
    images = load_digits().images.astype(dtype)
    rows = drawn(images, 50)
    assert rows.dtype == images.dtype
    assert rows.shape == (50, 8, 8)


def test_an_array_of_objects_keeps_what_is_in_it():
    X = PENGUINS.to_numpy(dtype=object)
    rows = drawn(X, 100)
    assert rows.dtype == object
    assert {type(value) for value in rows[:, 0]} == {str}


def test_the_data_is_not_changed():
    X = PENGUINS.copy()
    likeness = Likeness(X)
    rows = likeness.rows([Place(3, 1, 5)])
    likeness.with_change(rows, 0, lambda _: "Adelie")
    pd.testing.assert_frame_equal(X, PENGUINS)


def test_the_first_place_is_a_real_and_typical_row():
    likeness = Likeness(PENGUINS)
    first = likeness.rows([Place(0)])
    at = likeness.position(Place(0))
    assert first.iloc[0].to_dict() == PENGUINS.iloc[at].to_dict()
    numbers = PENGUINS.select_dtypes("number")
    off = (first.iloc[0][numbers.columns] - numbers.median()).abs() / numbers.std()
    assert (off < 1).all()


def test_a_single_row_is_its_own_neighbour():
    one = PENGUINS.head(1)
    assert Likeness(one).rows([Place(0, 0, 9)]).equals(one)


@pytest.mark.parametrize(
    ("X", "why"),
    [
        (PENGUINS.head(0), "shape (0, 8)"),
        (np.empty((4, 0)), "shape (4, 0)"),
        (np.arange(3), "an array of rank 1"),
        ([[1, 2], [3, 4]], "got list"),
        (PENGUINS["year"], "got Series"),
        (iter([1]), "got list_iterator"),
    ],
)
def test_what_has_no_rows_to_draw_from_is_refused(X, why):
    with pytest.raises(KeplerUsageError, match=why.replace("(", r"\(").replace(")", r"\)")):
        Likeness(X)


def test_the_values_of_a_column_are_read_from_each_container():
    pl = pytest.importorskip("polars")
    expected = PENGUINS["species"].tolist()
    assert values_of(PENGUINS, 0) == expected
    assert values_of(pl.from_pandas(PENGUINS), 0) == expected
    assert values_of(PENGUINS.to_numpy(dtype=object), 0) == expected
