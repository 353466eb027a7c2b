"""Frames, columns and sparse matrices: logical content counts, its storage does not."""

from __future__ import annotations

import datetime as dt
import decimal

import numpy as np
import pytest

from pytest_kepler.errors import UnreadableValueError
from pytest_kepler.identity.fingerprint import fingerprint, read

pd = pytest.importorskip("pandas")

COLUMNS = {
    "floats": [1.0, None, 3.0],
    "integers": [1, 2, 3],
    "booleans": [True, False, True],
    "texts": pd.array(["ä", None, "c"], dtype="str"),
    "nullable texts": pd.array(["ä", None, "c"], dtype="string"),
    "objects": pd.Series(["a", 1, [2]], dtype=object),
    "object texts": pd.Series(["a", None, "c"], dtype=object),
    "categories": pd.Categorical(["b", None, "a"], categories=["b", "a"]),
    "dates": pd.date_range("2026", periods=3),
    "zoned": pd.date_range("2026", periods=3, tz="Europe/Berlin"),
    "spans": pd.to_timedelta([1, 2, 3], unit="s"),
    "periods": pd.period_range("2026", periods=3, freq="D"),
    "intervals": pd.interval_range(0, 3),
    "Int64": pd.array([1, None, 3], dtype="Int64"),
    "boolean": pd.array([True, None, False], dtype="boolean"),
    "Float64": pd.array([1.5, None, 3.5], dtype="Float64"),
    "sparse": pd.arrays.SparseArray([0, 0, 1]),
}


def frame(**columns):
    return pd.DataFrame(columns or COLUMNS)


@pytest.mark.parametrize("name", COLUMNS)
def test_each_kind_of_column_survives_a_copy_and_shows_a_change(name):
    column = pd.Series(COLUMNS[name], name="x")
    parts = pd.concat([column[:1], column[1:]])
    assert fingerprint(column.copy(deep=True)) == fingerprint(column)
    assert fingerprint(parts) == fingerprint(column)
    swapped = column.iloc[[2, 1, 0]].set_axis(column.index)
    assert (fingerprint(swapped) == fingerprint(column)) == (name == "booleans")
    assert fingerprint(column.iloc[[0, 1, 1]].set_axis(column.index)) != fingerprint(column)


def test_the_whole_frame_survives_a_copy_and_parts_put_together():
    whole = frame()
    assert fingerprint(whole) == fingerprint(whole.copy())
    assert fingerprint(whole) == fingerprint(pd.concat([whole[:1], whole[1:]]))
    found = read(whole)
    assert (found.is_data, found.kind, found.shape) == (True, "pandas.DataFrame", whole.shape)


def changed(change):
    table = frame(a=[1, 2, 3], b=["x", "y", "z"])
    return change(table)


CHANGES = {
    "nothing": lambda table: table,
    "a value": lambda table: table.assign(a=[1, 2, 4]),
    "a column's name": lambda table: table.rename(columns={"a": "c"}),
    "the order of columns": lambda table: table[["b", "a"]],
    "the order of rows": lambda table: table.iloc[[1, 0, 2]],
    "the order of values": lambda table: table.iloc[[1, 0, 2]].reset_index(drop=True),
    "a dtype": lambda table: table.astype({"a": "int32"}),
    "another integer": lambda table: table.astype({"a": "Int64"}),
    "the index": lambda table: table.set_axis([1, 2, 3]),
    "the index' name": lambda table: table.rename_axis("id"),
    "the columns' name": lambda table: table.rename_axis(columns="id"),
    "one row less": lambda table: table[:2],
    "categories": lambda table: table.astype({"b": "category"}),
    "a row twice": lambda table: table.iloc[[0, 1, 1]].set_axis(table.index),
    "a series": lambda table: table["a"],
    "another series": lambda table: table["a"].rename("c"),
    "a dict": dict,
    "an array": lambda table: table.to_numpy(),
}


def test_every_change_of_a_frame_counts():
    hashes = {name: fingerprint(changed(change)) for name, change in CHANGES.items()}
    assert len(set(hashes.values())) == len(hashes), hashes


def test_attributes_and_frequency_of_an_index_do_not_count():
    dates = pd.date_range("2026", periods=3)
    plain = frame(a=[1, 2, 3]).set_axis(dates)
    noted = frame(a=[1, 2, 3]).set_axis(
        pd.DatetimeIndex(list(dates), freq=None).as_unit(dates.unit)
    )
    noted.attrs["source"] = "here"
    assert plain.index.freq is not None
    assert noted.index.freq is None
    assert fingerprint(plain) == fingerprint(noted)


def test_a_range_index_is_the_integers_it_stands_for():
    assert fingerprint(frame(a=[1, 2])) == fingerprint(frame(a=[1, 2]).set_axis(np.arange(2)))


def test_labels_are_the_same_as_objects_and_as_texts():
    texts = pd.Index(["a", "b"], dtype="str")
    assert fingerprint(texts) == fingerprint(texts.astype(object))


def test_the_order_of_categories_counts():
    def column(categories, ordered=False):
        return pd.Series(pd.Categorical(["a", "b"], categories=categories, ordered=ordered))

    found = [column(["a", "b"]), column(["b", "a"]), column(["a", "b", "c"])]
    found.append(column(["a", "b"], ordered=True))
    assert len({fingerprint(one) for one in found}) == 4


def test_what_holds_a_column_of_texts_does_not_count():
    pytest.importorskip("pyarrow")
    for family in ("string", "str"):
        values = ["ä", None, "", "long " * 50]
        na_value = pd.NA if family == "string" else np.nan
        stored = [
            pd.Series(values, dtype=pd.StringDtype(storage, na_value=na_value))
            for storage in ("python", "pyarrow")
        ]
        assert fingerprint(stored[0]) == fingerprint(stored[1])
        assert fingerprint(stored[1][1:]) == fingerprint(stored[0][1:])


def test_what_lies_under_a_missing_number_does_not_count():
    def integers(hidden):
        return pd.arrays.IntegerArray(np.array([1, hidden]), np.array([False, True]))

    assert fingerprint(pd.Series(integers(2))) == fingerprint(pd.Series(integers(3)))


def test_levels_that_are_not_used_do_not_count():
    whole = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["x", "y"])
    part = whole[:2]
    assert fingerprint(part) == fingerprint(part.remove_unused_levels())
    assert fingerprint(part) != fingerprint(whole[2:])


def test_pandas_scalars_are_read():
    values = [
        pd.NaT,
        pd.NA,
        pd.Timestamp("2026"),
        pd.Timestamp("2026", tz="UTC"),
        pd.Timedelta(1, "s"),
        pd.Period("2026", "M"),
        pd.Interval(0, 1),
        pd.CategoricalDtype(["a"]),
        pd.offsets.Day(2),
    ]
    assert len({fingerprint(value) for value in values}) == len(values)


def test_an_object_in_a_column_that_cannot_be_read_is_named():
    table = frame(a=[1], b=pd.Series([iter([])], dtype=object))
    with pytest.raises(UnreadableValueError, match=r"^value\['b'\]\[0\]: an iterator"):
        fingerprint(table)


ARROW = {
    "integers": [1, None, 3],
    "floats": [1.5, None, float("nan")],
    "booleans": [True, None, False],
    "texts": ["ä", None, "c"],
    "octets": [b"a", None, b""],
    "dates": [dt.date(2026, 1, 1), None, dt.date(2026, 1, 2)],
    "times": [dt.time(1), None, dt.time(2)],
    "stamps": [dt.datetime(2026, 1, 1), None, dt.datetime(2026, 1, 2)],  # noqa: DTZ001
    "spans": [dt.timedelta(1), None, dt.timedelta(2)],
    "decimals": [decimal.Decimal("1.5"), None, decimal.Decimal("2.5")],
    "lists": [[1, 2], None, []],
    "structures": [{"a": 1, "b": "x"}, None, {"a": 2, "b": None}],
}


@pytest.mark.parametrize("name", ARROW)
@pytest.mark.parametrize("library", ["pyarrow", "polars"])
def test_chunks_do_not_count_and_elements_do(library, name):
    values = ARROW[name]
    if library == "pyarrow":
        pa = pytest.importorskip("pyarrow")
        whole = pa.chunked_array([pa.array(values)])
        parts = pa.chunked_array([whole.chunk(0)[:1], whole.chunk(0)[1:]])
    else:
        pl = pytest.importorskip("polars")
        whole = pl.Series("x", values)
        parts = pl.concat([whole[:1], whole[1:]], rechunk=False)
    assert fingerprint(parts) == fingerprint(whole)
    assert len({fingerprint(one) for one in (whole, whole[:2], whole[1:], whole[0:0])}) == 4
    assert read(whole).is_data


def test_special_arrow_types_are_read():
    pa = pytest.importorskip("pyarrow")
    arrays = [
        pa.array(["a", None, "a"]).dictionary_encode(),
        pa.array([[1, 2], None], pa.list_(pa.int64(), 2)),
        pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
        pa.array(["a", "much longer than inline"], pa.string_view()),
        pa.nulls(3),
    ]
    for array in arrays:
        assert fingerprint(array) == fingerprint(pa.concat_arrays([array]))
    assert len({fingerprint(array) for array in arrays}) == len(arrays)
    maps = [pa.array([[("a", n)]], pa.map_(pa.string(), pa.int64())) for n in (1, 2)]
    assert fingerprint(maps[0]) != fingerprint(maps[1])
    pair = pa.array([[("a", 1)], [("b", 2)]], maps[0].type)
    assert fingerprint(pair[:1]) == fingerprint(maps[0])


def test_an_arrow_table_counts_with_its_names():
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": [1, 2], "b": ["x", "y"]})
    assert fingerprint(table) == fingerprint(pa.concat_tables([table[:1], table[1:]]))
    assert fingerprint(table) != fingerprint(table.rename_columns(["a", "c"]))
    assert fingerprint(table) != fingerprint(table.select(["b", "a"]))


def test_special_polars_types_are_read():
    pl = pytest.importorskip("polars")
    enum = pl.Series(["x", None, "y"], dtype=pl.Enum(["y", "x"]))
    columns = [
        enum,
        enum.cast(pl.Enum(["x", "y"])),
        enum.cast(pl.Categorical),
        pl.Series([[1, 2], None], dtype=pl.Array(pl.Int64, 2)),
        pl.Series([1, None], dtype=pl.Int128),
        pl.Series([None]),
        pl.Series([object, int], dtype=pl.Object),
    ]
    assert len({fingerprint(column) for column in columns}) == len(columns)
    with pytest.raises(UnreadableValueError, match="a polars LazyFrame"):
        fingerprint(pl.DataFrame({"a": [1]}).lazy())


def test_the_format_of_a_sparse_matrix_does_not_count():
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.random_array((20, 30), density=0.2, rng=0, format="csr")
    for layout in ("csc", "coo", "lil", "dok", "bsr"):
        assert fingerprint(matrix.asformat(layout)) == fingerprint(matrix)
    changes = [matrix, matrix.T, matrix * 2, matrix.astype("f4"), sparse.csr_matrix(matrix)]
    assert len({fingerprint(change) for change in changes}) == len(changes)


def test_a_sparse_matrix_is_left_as_it_was():
    sparse = pytest.importorskip("scipy.sparse")
    twice = sparse.coo_array(([1.0, 2.0], ([0, 0], [1, 1])), shape=(1, 2))
    unsorted = sparse.csr_array(([1.0, 2.0], [1, 0], [0, 2]), shape=(1, 2))
    assert fingerprint(twice) == fingerprint(sparse.csr_array([[0, 3.0]]))
    assert fingerprint(unsorted) == fingerprint(sparse.csr_array([[2.0, 1.0]]))
    assert twice.nnz == 2
    assert unsorted.indices.tolist() == [1, 0]


def test_a_sparse_array_may_have_another_number_of_axes():
    sparse = pytest.importorskip("scipy.sparse")
    arrays = [sparse.coo_array(np.array(row)) for row in ([0, 1.0], [1.0, 0], [0, 2.0])]
    assert len({fingerprint(array) for array in arrays}) == 3


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (["é", "ab"], ["éa", "b"]),  # the same bytes, cut elsewhere
        (["", "ab"], ["ab", ""]),
        (["a", "bé"], ["ab", "é"]),
        ([None, "a"], ["", "a"]),
        (["é", ""], ["", "é"]),
    ],
)
def test_arrow_texts_are_told_apart_however_their_bytes_run_together(left, right):
    pa = pytest.importorskip("pyarrow")
    whole = pa.array([*left, *right])
    first, second = whole[: len(left)], whole[len(left) :]
    assert fingerprint(first) != fingerprint(second)
    for part, texts in ((first, left), (second, right)):
        column = pd.Series(texts, dtype=pd.StringDtype("python"))
        assert fingerprint(part.to_pandas().astype(column.dtype)) == fingerprint(column)
        cut = pa.chunked_array([texts[:1], texts[1:]], pa.string())
        assert fingerprint(pa.chunked_array([part])) == fingerprint(cut)
