"""Frames, columns and sparse matrices as canonical content: pandas, polars, Arrow, SciPy.

Nothing here imports its library: who holds a frame has imported it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_kepler.errors import UnreadableValueError
from pytest_kepler.identity.arrays import feed, feed_texts, read_array, sequence
from pytest_kepler.identity.framing import Framed, Item, Kind, kind_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_kepler.identity.framing import Leaf, Row, Walk


def kind_of(cls: type, roots: frozenset[str]) -> Kind | None:
    """Return how values of `cls` are read if it is a frame, a column or a sparse matrix.

    Parameters
    ----------
    cls : type
        The class of the value.
    roots : frozenset of str
        The packages that made it and its bases.
    """
    found = _pandas_kind(cls) if "pandas" in roots else None
    if found is None and "polars" in roots:
        found = kind_in(_POLARS, "polars", cls)
    if found is None and "pyarrow" in roots:
        found = kind_in(_ARROW, "pyarrow", cls)
    if found is None and "scipy" in roots:
        found = kind_in(_SCIPY, "scipy.sparse", cls)
    return found


def _loaded(name: str) -> Any:
    return sys.modules.get(name)


# pandas


def _class_name(value: object) -> str:
    # A subclass of a frame, as geopandas has, is not the frame.
    return type(value).__qualname__


def _frame(value: Any) -> Walk:
    framed = Framed("pandas.DataFrame").text(_class_name(value)).count(*value.shape)
    framed.add((yield ".columns", value.columns))
    framed.add((yield ".index", value.index))
    for position, name in enumerate(value.columns):
        framed.add((yield Item(name), value.iloc[:, position].array))
    return framed.leaf()


def _series(value: Any) -> Walk:
    framed = Framed("pandas.Series").text(_class_name(value))
    framed.add((yield ".name", value.name))
    framed.add((yield ".index", value.index))
    framed.add((yield ".array", value.array))
    return framed.leaf()


def _multi_index(value: Any) -> Walk:
    framed = Framed("pandas.MultiIndex").count(value.nlevels)
    for level in range(value.nlevels):
        framed.add((yield f".levels[{level}]", value.get_level_values(level)))
    return framed.leaf()


def _index(value: Any) -> Walk:
    framed = Framed("pandas.Index")
    framed.add((yield ".name", value.name))
    if value.dtype == object or _is_text(value.dtype):
        # Labels of the same words are object in pandas 2 and str in pandas 3.
        return (yield from sequence(framed.text("labels"), value.tolist()))
    framed.text("values").add((yield ".array", value.array))
    return framed.leaf()


def _is_text(dtype: object) -> bool:
    return isinstance(dtype, _loaded("pandas").StringDtype)


def _extension_array(value: Any) -> Leaf | Walk:
    dtype = value.dtype
    if isinstance(dtype, np.dtype):
        return read_array(np.asarray(value))
    framed = Framed("pandas.array").count(len(value))
    for name, read in _EXTENSIONS.items():
        if name in {cls.__name__ for cls in type(dtype).__mro__}:
            return read(framed.text(name), value)
    return sequence(framed.text(str(dtype)), np.asarray(value, dtype=object).tolist())


def _numpy_column(_framed: Framed, value: Any) -> Leaf | Walk:
    return read_array(value.to_numpy())


def _categorical(framed: Framed, value: Any) -> Walk:
    framed.count(int(value.ordered)).add((yield ".categories", value.categories))
    feed(framed, value.codes)
    return framed.leaf()


def _zoned(framed: Framed, value: Any) -> Leaf:
    framed.text(str(value.dtype.tz), value.dtype.unit)
    feed(framed, np.asarray(value, dtype=f"M8[{value.dtype.unit}]"))
    return framed.leaf()


def _nullable(framed: Framed, value: Any) -> Leaf:
    framed.text(value.dtype.name).raw(value.isna())
    feed(framed, value.to_numpy(dtype=value.dtype.numpy_dtype, na_value=0))
    return framed.leaf()


def _texts(framed: Framed, value: Any) -> Leaf:
    framed.text(value.dtype.name)
    if hasattr(value, "__arrow_array__") and value.dtype.storage == "pyarrow":
        _feed_arrow_texts(framed, _chunks(value.__arrow_array__()))
        return framed.leaf()
    missing = value.isna()
    _feed_missing(framed, missing)
    known = zip(value.to_numpy(dtype=object).tolist(), missing.tolist(), strict=True)
    feed_texts(framed, ["" if is_missing else text for text, is_missing in known])
    return framed.leaf()


def _arrow_column(framed: Framed, value: Any) -> Leaf:
    _feed_arrow(framed, value.__arrow_array__())
    return framed.leaf()


def _intervals(framed: Framed, value: Any) -> Walk:
    framed.text(value.closed).add((yield ".left", value.left))
    framed.add((yield ".right", value.right))
    return framed.leaf()


def _periods(framed: Framed, value: Any) -> Leaf:
    framed.text(value.dtype.freq.freqstr)
    feed(framed, value.asi8)
    return framed.leaf()


def _sparse_column(framed: Framed, value: Any) -> Walk:
    framed.add((yield ".fill_value", value.fill_value))
    framed.add((yield "", value.to_dense()))
    return framed.leaf()


_EXTENSIONS = {
    "NumpyEADtype": _numpy_column,
    "CategoricalDtype": _categorical,
    "DatetimeTZDtype": _zoned,
    "BaseMaskedDtype": _nullable,
    "StringDtype": _texts,
    "ArrowDtype": _arrow_column,
    "IntervalDtype": _intervals,
    "PeriodDtype": _periods,
    "SparseDtype": _sparse_column,
}


def _missing(value: object) -> Leaf:
    return Framed("pandas missing").text(type(value).__name__).leaf()


def _timestamp(value: Any) -> Walk:
    zone = "" if value.tz is None else str(value.tz)
    framed = Framed("pandas.Timestamp").text(zone).count(value.fold)
    return framed.add((yield "", value.to_datetime64())).leaf()


def _timedelta(value: Any) -> Walk:
    return Framed("pandas.Timedelta").add((yield "", value.to_timedelta64())).leaf()


def _period(value: Any) -> Leaf:
    return Framed("pandas.Period").text(value.freqstr).count(value.ordinal).leaf()


def _interval(value: Any) -> Walk:
    framed = Framed("pandas.Interval").text(value.closed)
    framed.add((yield ".left", value.left))
    return framed.add((yield ".right", value.right)).leaf()


def _categorical_dtype(value: Any) -> Walk:
    framed = Framed("pandas.CategoricalDtype").count(int(bool(value.ordered)))
    return framed.add((yield ".categories", value.categories)).leaf()


def _dtype_by_name(value: object) -> Leaf:
    return Framed("pandas dtype").text(type(value).__name__, str(value)).leaf()


def _offset(value: Any) -> Leaf:
    return Framed("pandas offset").text(value.freqstr).leaf()


_PANDAS: Sequence[Row] = (
    ("DataFrame", "data", _frame),
    ("Series", "data", _series),
    ("MultiIndex", "data", _multi_index),
    ("Index", "data", _index),
    ("api.extensions.ExtensionArray", "data", _extension_array),
    ("Timestamp", "value", _timestamp),
    ("Timedelta", "value", _timedelta),
    ("Period", "value", _period),
    ("Interval", "value", _interval),
    ("CategoricalDtype", "value", _categorical_dtype),
    ("api.extensions.ExtensionDtype", "value", _dtype_by_name),
    ("offsets.BaseOffset", "value", _offset),
)


def _pandas_kind(cls: type) -> Kind | None:
    pandas = _loaded("pandas")
    # NaT is of a class without a public name, and derives from datetime.
    if hasattr(pandas, "NaT") and cls in (type(pandas.NA), type(pandas.NaT)):
        return Kind(f"pandas.{cls.__name__}", _missing, asked=False)
    return kind_in(_PANDAS, "pandas", cls)


# Arrow


def _table(value: Any) -> Walk:
    framed = Framed("pyarrow.Table").count(value.num_rows, value.num_columns)
    for name, column in zip(value.schema.names, value.columns, strict=True):
        framed.text(name).add((yield Item(name), column))
    return framed.leaf()


def _arrow_array(value: Any) -> Leaf:
    framed = Framed("pyarrow.Array")
    _feed_arrow(framed, value)
    return framed.leaf()


def _arrow_scalar(value: Any) -> Leaf:
    framed = Framed("pyarrow.Scalar")
    _feed_arrow(framed, _loaded("pyarrow").array([value.as_py()], type=value.type))
    return framed.leaf()


def _arrow_type(value: Any) -> Leaf:
    return Framed("pyarrow type").text(type(value).__name__, str(value)).leaf()


def _arrow_buffer(value: Any) -> Leaf:
    return Framed("pyarrow.Buffer").count(value.size).raw(value).leaf()


def _chunks(value: Any) -> list[Any]:
    return list(value.chunks) if hasattr(value, "chunks") else [value]


def _feed_arrow(framed: Framed, value: Any) -> None:
    """Add an Arrow array by its logical content; how it is cut into chunks does not count."""
    import pyarrow as pa

    of, types = value.type, pa.types
    framed.text(str(of)).count(len(value))
    chunks = [chunk for chunk in _chunks(value) if len(chunk)]
    if types.is_null(of) or not chunks:
        return
    if isinstance(of, pa.BaseExtensionType):
        _feed_arrow(framed, pa.chunked_array([chunk.storage for chunk in chunks]))
    elif types.is_string(of) or types.is_large_string(of) or types.is_string_view(of):
        _feed_arrow_texts(framed, chunks)
    elif types.is_boolean(of) or types.is_integer(of) or types.is_floating(of):
        _feed_arrow_numbers(framed, chunks)
    elif types.is_temporal(of) and of.bit_width in _INTEGERS:
        integers = getattr(pa, _INTEGERS[of.bit_width])()
        _feed_arrow_numbers(framed, [chunk.view(integers) for chunk in chunks])
    else:
        _feed_arrow_compound(framed, chunks)


#: Integers that hold dates and times, by their bits.
_INTEGERS = {32: "int32", 64: "int64"}


def _feed_arrow_missing(framed: Framed, chunks: Sequence[Any]) -> None:
    if not any(chunk.null_count for chunk in chunks):
        framed.count(sum(map(len, chunks)), 0)
        return
    masks = [chunk.is_null().to_numpy(zero_copy_only=False) for chunk in chunks]
    _feed_missing(framed, np.concatenate([np.zeros(0, dtype=np.bool_), *masks]))


def _feed_missing(framed: Framed, mask: Any) -> None:
    n_missing = int(mask.sum())
    framed.count(len(mask), n_missing)
    if n_missing:
        framed.raw(np.ascontiguousarray(mask))


def _feed_arrow_numbers(framed: Framed, chunks: Sequence[Any]) -> None:
    import pyarrow as pa

    _feed_arrow_missing(framed, chunks)
    for chunk in chunks:
        # What lies under a null is whatever was in memory.
        zero = False if pa.types.is_boolean(chunk.type) else 0
        values = chunk.fill_null(zero) if chunk.null_count else chunk
        feed(framed, values.to_numpy(zero_copy_only=False))


def _feed_arrow_texts(framed: Framed, chunks: Sequence[Any]) -> None:
    import pyarrow as pa

    _feed_arrow_missing(framed, chunks)
    known = [chunk.cast(pa.large_string()) for chunk in chunks]
    known = [chunk.fill_null("") if chunk.null_count else chunk for chunk in known]
    spans = [_arrow_span(chunk) for chunk in known]
    for chunk, (ends, octets) in zip(known, spans, strict=True):
        framed.raw(_lengths(chunk, ends, octets))
    framed.count(sum(octets.nbytes for _, octets in spans))
    for _, octets in spans:
        framed.raw(octets)


def _arrow_span(chunk: Any) -> tuple[Any, memoryview]:
    """Return where the texts of a chunk end, and the bytes that all of them take."""
    _, offsets, octets = chunk.buffers()
    if octets is None:
        return np.zeros(len(chunk) + 1, dtype=np.int64), memoryview(b"")
    ends = np.frombuffer(offsets, dtype=np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
    return ends, memoryview(octets)[ends[0] : ends[-1]]


def _lengths(chunk: Any, ends: Any, octets: memoryview) -> Any:
    """Return the lengths in characters: those in bytes where each character is one."""
    import pyarrow.compute as pc

    if not octets.nbytes or np.frombuffer(octets, dtype=np.int8).min() >= 0:
        return np.diff(ends)
    return pc.utf8_length(chunk).to_numpy().astype("<i8", copy=False)


def _feed_arrow_compound(framed: Framed, chunks: list[Any]) -> None:
    import pyarrow as pa

    of, types = chunks[0].type, pa.types
    if types.is_dictionary(of):
        _feed_arrow_dictionary(framed, pa.chunked_array(chunks).unify_dictionaries())
        return
    _feed_arrow_missing(framed, chunks)
    array = pa.concat_arrays(chunks)
    if types.is_struct(of):
        for part in array.flatten():
            _feed_arrow(framed, part)
    elif types.is_list(of) or types.is_large_list(of) or types.is_fixed_size_list(of):
        feed(framed, np.asarray(array.value_lengths().fill_null(0), dtype="<i8"))
        _feed_arrow(framed, array.flatten())
    elif types.is_map(of):
        lengths = [0 if items is None else len(items) for items in array.to_pylist()]
        feed(framed, np.asarray(lengths, dtype="<i8"))
        _feed_arrow(framed, array.keys)
        _feed_arrow(framed, array.items)
    elif types.is_binary(of) or types.is_large_binary(of) or types.is_fixed_size_binary(of):
        _feed_octets(framed, array.to_pylist())
    elif types.is_decimal(of):
        feed_texts(framed, ["" if number is None else str(number) for number in array.to_pylist()])
    else:
        msg = f"an Arrow array of {of}"
        raise UnreadableValueError(msg)


def _feed_octets(framed: Framed, values: Iterable[bytes | None]) -> None:
    known = [value or b"" for value in values]
    framed.raw(np.fromiter(map(len, known), dtype="<i8", count=len(known))).raw(b"".join(known))


def _feed_arrow_dictionary(framed: Framed, value: Any) -> None:
    _feed_arrow(framed, value.chunk(0).dictionary)
    import pyarrow as pa

    _feed_arrow_numbers(framed, [chunk.indices.cast(pa.int64()) for chunk in value.chunks])


_ARROW: Sequence[Row] = (
    ("Table", "data", _table),
    ("RecordBatch", "data", _table),
    ("ChunkedArray", "data", _arrow_array),
    ("Array", "data", _arrow_array),
    ("Buffer", "data", _arrow_buffer),
    ("Scalar", "value", _arrow_scalar),
    ("DataType", "value", _arrow_type),
    ("Field", "value", _arrow_type),
    ("Schema", "value", _arrow_type),
)


# polars


def _polars_frame(value: Any) -> Walk:
    framed = Framed("polars.DataFrame").count(*value.shape)
    for column in value.get_columns():
        framed.add((yield Item(column.name), column))
    return framed.leaf()


def _polars_series(value: Any) -> Leaf | Walk:
    framed = Framed("polars.Series").text(value.name)
    if value.dtype == _loaded("polars").Object:
        return sequence(framed.text("Object"), value.to_list())
    _feed_polars(framed, value)
    return framed.leaf()


def _polars_type(value: object) -> Leaf:
    return Framed("polars type").text(str(value)).leaf()


def _feed_polars(framed: Framed, value: Any) -> None:
    pl = _loaded("polars")
    of = value.dtype
    name = type(of).__name__
    framed.text(name if name in {"Enum", "Categorical"} else str(of))
    _feed_missing(framed, value.is_null().to_numpy())
    if name in _POLARS_COLUMNS:
        _POLARS_COLUMNS[name](framed, value)
    elif of == pl.Boolean or (of.is_numeric() and of.is_decimal() is False) or of.is_temporal():
        physical = value.to_physical()
        feed(framed, physical.fill_null(False if of == pl.Boolean else 0).to_numpy())
    elif of != pl.Null:
        msg = f"a polars column of {of}"
        raise UnreadableValueError(msg)


def _polars_texts(framed: Framed, value: Any) -> None:
    feed_texts(framed, value.cast(_loaded("polars").String).fill_null("").to_list())


def _polars_octets(framed: Framed, value: Any) -> None:
    _feed_octets(framed, value.to_list())


def _polars_enum(framed: Framed, value: Any) -> None:
    # The numbers behind the categories depend on what the process saw before.
    categories = value.dtype.categories.to_list()
    feed_texts(framed.count(len(categories)), categories)
    _polars_texts(framed, value)


def _polars_lists(framed: Framed, value: Any) -> None:
    lengths = value.list.len().fill_null(0)
    feed(framed, lengths.cast(_loaded("polars").Int64).to_numpy())
    _feed_polars(framed, value.filter(lengths > 0).explode())


def _polars_arrays(framed: Framed, value: Any) -> None:
    _polars_lists(framed, value.arr.to_list())


def _polars_struct(framed: Framed, value: Any) -> None:
    for name in value.struct.fields:
        _feed_polars(framed.text(name), value.struct.field(name))


_POLARS_COLUMNS = {
    "String": _polars_texts,
    "Binary": _polars_octets,
    "Categorical": _polars_texts,
    "Enum": _polars_enum,
    "Decimal": _polars_texts,
    "Int128": _polars_texts,
    "UInt128": _polars_texts,
    "List": _polars_lists,
    "Array": _polars_arrays,
    "Struct": _polars_struct,
}


_POLARS: Sequence[Row] = (
    ("DataFrame", "data", _polars_frame),
    ("Series", "data", _polars_series),
    ("DataType", "value", _polars_type),
)


# SciPy


def _sparse(value: Any) -> Walk:
    # `*` of a matrix is not that of an array, so the family counts; the format does not.
    family = "matrix" if isinstance(value, _loaded("scipy.sparse").spmatrix) else "array"
    framed = Framed("sparse").text(family).count(value.ndim, *value.shape)
    if value.ndim != 2:  # noqa: PLR2004 - only the coordinate format has other dimensions
        return (yield from _coordinates(framed, value))
    rows = value.tocsr()
    if not rows.has_canonical_format:
        rows = rows.copy() if rows is value or _shares(rows, value) else rows
        rows.sum_duplicates()
    for part in (rows.indptr, rows.indices):
        feed(framed.count(len(part)), part.astype("<i8", copy=False))
    framed.add((yield ".data", rows.data))
    return framed.leaf()


def _shares(rows: Any, value: Any) -> bool:
    return hasattr(value, "data") and np.may_share_memory(rows.data, value.data)


def _coordinates(framed: Framed, value: Any) -> Walk:
    points = value.tocoo(copy=True)
    points.sum_duplicates()
    order = np.lexsort(tuple(reversed(points.coords)))
    for axis in points.coords:
        feed(framed.count(len(axis)), axis[order].astype("<i8", copy=False))
    framed.add((yield ".data", points.data[order]))
    return framed.leaf()


_SCIPY: Sequence[Row] = (("sparray", "data", _sparse), ("spmatrix", "data", _sparse))
