"""Neutral views of data, models and histories: all that a check ever sees.

A view reads what the user holds where it lies. It copies rows only to sample them, never
consumes what can be read once, and never imports a library to find out what it was given.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from pytest_kepler.errors import first_line_of
from pytest_kepler.records import EMPTY

if TYPE_CHECKING:
    from collections.abc import Callable

Array = NDArray[Any]
Floats = NDArray[np.float64]
ColumnKind = Literal["numeric", "bool", "text", "date", "other"]
LossKind = Literal["categorical", "sparse", "binary", "numeric", "custom"]

SAMPLE_ROWS: Final = 100_000
SAMPLE_CELLS: Final = 20_000_000
#: Rows on which the number of distinct values of a column is counted.
DISTINCT_ROWS: Final = 5_000
#: Rows of the batch that models are tried on, and the cells that it may have.
BATCH_ROWS: Final = 256
BATCH_CELLS: Final = 5_000_000
_CHUNK_CELLS = 1_000_000
_MATRIX_RANK = 2


class NotApplicable(Exception):  # noqa: N818 - the third outcome of a check, not an error
    """A check lacks what it needs; the message says what, in a few words."""


#: How the reason begins where a network raised an error.
CANNOT_BE_CALLED: Final = "the model cannot be called on the first rows"


@contextlib.contextmanager
def quiet_failures(what: str = CANNOT_BE_CALLED) -> Iterator[None]:
    """Turn whatever goes wrong inside into `NotApplicable`, with the first line of its message."""
    try:
        yield
    except NotApplicable:
        raise
    except Exception as error:
        raise NotApplicable(f"{what}: {first_line_of(error)}") from error


# --- Columns and blocks -------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """One column: numbers as a numeric array with NaN for missing, anything else as objects."""

    name: str
    kind: ColumnKind
    values: Array
    #: The distinct values, where the library keeps them anyway.
    known: Levels | None = None

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """Which rows have no value: NaN, None, NaT or a library's own missing value."""
        return missing_of(self.values) if self.known is None else self.known.codes < 0

    @cached_property
    def levels(self) -> Levels:
        """The distinct values of a column of texts or other objects, found once."""
        return _levels(self.values) if self.known is None else self.known


@dataclass(frozen=True, slots=True)
class Levels:
    """The distinct values of a column, in the order of their first rows.

    Attributes
    ----------
    values : list
        The distinct values that are not missing; those that have no hash are given as text.
    codes : ndarray of shape (n_rows,)
        For each row the position of its value in `values`; -1 where it is missing.
    counts : ndarray of shape (n_values,)
        How many rows have each value.
    """

    values: list[Any]
    codes: NDArray[np.int64]
    counts: NDArray[np.int64]


def _levels(values: Array) -> Levels:
    pandas = sys.modules.get("pandas")
    try:
        if pandas is not None:
            codes, found = pandas.factorize(values)
            distinct = list(found)
        else:
            codes, distinct = _numbered(values)
    except TypeError:  # lists or mappings in the cells
        codes, distinct = _numbered(np.array([str(value) for value in values], dtype=object))
    counts = np.bincount(codes[codes >= 0], minlength=len(distinct))
    return Levels(distinct, np.asarray(codes, dtype=np.int64), counts.astype(np.int64))


def _numbered(values: Array) -> tuple[NDArray[np.int64], list[Any]]:
    positions: dict[Any, int] = {}
    missing = missing_of(values).tolist()
    codes = [
        -1 if is_missing else positions.setdefault(value, len(positions))
        for value, is_missing in zip(values.tolist(), missing, strict=True)
    ]
    return np.array(codes, dtype=np.int64), list(positions)


@dataclass(frozen=True)
class ColumnStats:
    """Statistics of the numeric columns over the finite values of the sampled rows."""

    mean: Floats
    sd: Floats
    low: Floats
    high: Floats
    zero_share: Floats
    n_finite: NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """One input of a model: an array, a table or a sparse matrix.

    ``names`` are the columns' names where the user gave some; plain arrays have none.
    ``n_rows`` counts all rows, also where a check looks at a sample.
    """

    name: str
    source: Any
    n_rows: int
    names: tuple[str, ...] | None = None
    index: Any = None
    sample_rows: int = SAMPLE_ROWS
    loader: Callable[[], Sequence[Column]] | None = None

    @property
    def is_table(self) -> bool:
        """Whether the block has named columns of possibly different kinds."""
        return self.loader is not None

    @property
    def is_sparse(self) -> bool:
        """Whether the block is a SciPy sparse matrix, which stays sparse."""
        return is_sparse(self.source)

    @cached_property
    def columns(self) -> Sequence[Column]:
        """All columns of a table, or of an array of rank 1 or 2."""
        if self.loader is not None:
            return self.loader()
        if self.is_sparse:
            raise NotApplicable("a sparse matrix is not read column by column")
        matrix = self._flat
        kind = kind_of_dtype(matrix.dtype)
        return [Column(label, kind, matrix[:, j]) for j, label in enumerate(self.labels)]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """How each column is called in a message: its name, or its position."""
        if self.names is not None:
            return self.names
        return tuple(str(j) for j in range(self._flat.shape[1]))

    def called(self, label: str) -> str:
        """Return how a message names a column: by its name in quotes, or by its position."""
        return f"column {label!r}" if self.names is not None else f"column {label}"

    @cached_property
    def numeric_labels(self) -> tuple[str, ...]:
        """The labels of the columns of `matrix`."""
        if not self.is_table:
            return self.labels
        return tuple(column.name for column in self._numeric_columns)

    @cached_property
    def rows(self) -> NDArray[np.int64] | None:
        """The positions of the sampled rows, or None if all rows are looked at."""
        width = max(1, len(self.columns) if self.is_table else self._flat.shape[1])
        limit = max(1, min(self.sample_rows, SAMPLE_CELLS // width))
        if self.n_rows <= limit:
            return None
        chosen = np.random.default_rng(0).choice(self.n_rows, size=limit, replace=False)
        return np.sort(chosen)

    @property
    def basis(self) -> str:
        """What a finding about the sampled rows rests on."""
        if self.rows is None:
            return "data"
        return f"data: {len(self.rows):,} of {self.n_rows:,} rows, seed 0"

    @cached_property
    def matrix(self) -> Array:
        """The numeric columns of the sampled rows, of shape (n_sampled, n_numeric)."""
        if self.is_table:
            columns = [column.values for column in self._numeric_columns]
            if not columns:
                return np.empty((self.n_rows if self.rows is None else len(self.rows), 0))
            picked = columns if self.rows is None else [values[self.rows] for values in columns]
            return np.column_stack([values.astype(np.float64, copy=False) for values in picked])
        if self.is_sparse:
            raise NotApplicable("a sparse matrix is not read column by column")
        flat = self._flat
        if kind_of_dtype(flat.dtype) not in {"numeric", "bool"}:
            return np.empty((flat.shape[0], 0))
        return flat if self.rows is None else flat[self.rows]

    @cached_property
    def stats(self) -> ColumnStats:
        """Mean, spread, range and share of zeros of each numeric column."""
        return column_stats(self.matrix)

    @cached_property
    def middle(self) -> tuple[Floats, Floats]:
        """(median, interquartile range) of each numeric column, on at most 5,000 rows."""
        part = self._thin.astype(np.float64)
        if not part.size:
            return np.zeros(part.shape[1]), np.zeros(part.shape[1])
        finite = np.isfinite(part)
        if finite.all():
            low, median, high = np.percentile(part, [25, 50, 75], axis=0)
        else:
            part = np.where(finite, part, np.nan)
            part[:, ~finite.any(axis=0)] = 0.0
            low, median, high = np.nanpercentile(part, [25, 50, 75], axis=0)
        return median, high - low

    @cached_property
    def distinct(self) -> NDArray[np.int64]:
        """The number of distinct values of each numeric column, on at most 5,000 rows."""
        part = self._thin
        return np.array([len(np.unique(part[:, j])) for j in range(part.shape[1])], dtype=np.int64)

    @cached_property
    def integral(self) -> NDArray[np.bool_]:
        """Which numeric columns hold only whole numbers, on at most 5,000 rows."""
        part = self._thin
        if part.dtype.kind in "biu":
            return np.ones(part.shape[1], dtype=bool)
        with np.errstate(invalid="ignore"):
            whole = (part == np.floor(part)) | np.isnan(part)
        return np.asarray(whole.all(axis=0))

    def chunks(self) -> Iterator[tuple[int, Array]]:
        """Yield (first row, rows) over *all* rows of an array, as a matrix, uncopied."""
        flat = self._flat
        step = max(1, _CHUNK_CELLS // max(1, flat.shape[1]))
        for start in range(0, flat.shape[0], step):
            yield start, flat[start : start + step]

    def take(self, n_rows: int) -> Any:
        """Return the first rows in the form that the user gave."""
        return take_rows(self.source, n_rows)

    @cached_property
    def _thin(self) -> Array:
        matrix = self.matrix
        step = max(1, -(-matrix.shape[0] // DISTINCT_ROWS))
        return matrix[::step]

    @cached_property
    def _flat(self) -> Array:
        array: Array = self.source
        return array.reshape(array.shape[0], -1) if array.size else array.reshape(len(array), 0)

    @cached_property
    def _numeric_columns(self) -> Sequence[Column]:
        return [column for column in self.columns if column.kind in {"numeric", "bool"}]


def column_stats(matrix: Array) -> ColumnStats:
    """Return the statistics of the finite values of each column, in two passes."""
    n, d = matrix.shape
    total, count = np.zeros(d), np.zeros(d, dtype=np.int64)
    zeros, squares = np.zeros(d), np.zeros(d)
    low, high = np.full(d, np.inf), np.full(d, -np.inf)
    parts = list(_row_slices(n, d))
    for rows in parts:
        part = matrix[rows].astype(np.float64)
        sums = part.sum(axis=0)
        if np.isfinite(sums).all():
            finite = None
            count += part.shape[0]
        else:
            finite = np.isfinite(part)
            count += finite.sum(axis=0)
            sums = np.where(finite, part, 0.0).sum(axis=0)
        total += sums
        zeros += (part == 0).sum(axis=0)
        np.minimum(low, _over(part, finite, np.inf).min(axis=0), out=low)
        np.maximum(high, _over(part, finite, -np.inf).max(axis=0), out=high)
    mean = total / np.maximum(count, 1)
    for rows in parts:
        away = matrix[rows] - mean
        if (count < n).any():
            away = np.where(np.isfinite(away), away, 0.0)
        squares += np.einsum("ij,ij->j", away, away)
    divisor = np.maximum(count, 1)
    return ColumnStats(mean, np.sqrt(squares / divisor), low, high, zeros / divisor, count)


def _over(part: Floats, finite: NDArray[np.bool_] | None, filler: float) -> Floats:
    return part if finite is None else np.where(finite, part, filler)


def _row_slices(n: int, d: int) -> Iterator[slice]:
    step = max(1, _CHUNK_CELLS // max(1, d))
    for start in range(0, n, step):
        yield slice(start, start + step)


def kind_of_dtype(dtype: np.dtype[Any]) -> ColumnKind:
    """Return the kind of column that a NumPy dtype makes."""
    kinds: dict[str, ColumnKind] = {"b": "bool", "M": "date", "m": "date", "U": "text", "S": "text"}
    if dtype.kind in "iuf":
        return "numeric"
    return kinds.get(dtype.kind, "other")


def missing_of(values: Array) -> NDArray[np.bool_]:
    """Return which values are missing, for any dtype."""
    if values.dtype.kind in "fc":
        return np.isnan(values)
    if values.dtype.kind in "mM":
        return np.isnat(values)
    if values.dtype.kind != "O":
        return np.zeros(values.shape, dtype=bool)
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        return np.asarray(pandas.isna(values))
    flat = [_is_missing(value) for value in values.ravel()]
    return np.array(flat, dtype=bool).reshape(values.shape)


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124 - NaN


# --- Recognising what the user holds ------------------------------------------------------


def is_sparse(value: object) -> bool:
    """Tell whether `value` is a SciPy sparse matrix or array."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(value))


def is_frame(value: object) -> bool:
    """Tell whether `value` is a pandas or polars frame."""
    return any(isinstance(value, kind) for kind in _classes("DataFrame"))


def is_series(value: object) -> bool:
    """Tell whether `value` is a pandas or polars series."""
    return any(isinstance(value, kind) for kind in _classes("Series"))


def _classes(name: str) -> list[type]:
    loaded = (sys.modules.get("pandas"), sys.modules.get("polars"))
    return [kind for library in loaded if (kind := getattr(library, name, None)) is not None]


def is_tensor(value: object) -> bool:
    """Tell whether `value` is a TensorFlow or torch tensor that can be read as an array."""
    torch, tensorflow = sys.modules.get("torch"), sys.modules.get("tensorflow")
    for library in (torch, tensorflow):
        kind = getattr(library, "Tensor", None)
        if kind is not None and isinstance(value, kind):
            return True
    return False


def is_dataset(value: object) -> bool:
    """Tell whether `value` is a `tf.data.Dataset`."""
    tensorflow = sys.modules.get("tensorflow")
    data = getattr(tensorflow, "data", None)
    return data is not None and isinstance(value, data.Dataset)


def is_loader(value: object) -> bool:
    """Tell whether `value` is a `DataLoader` or `Dataset` of torch."""
    data = getattr(getattr(sys.modules.get("torch"), "utils", None), "data", None)
    return data is not None and isinstance(value, data.DataLoader | data.Dataset)


def take_rows(value: Any, n_rows: int) -> Any:
    """Return the first rows of an array, table, list, or mapping or tuple of those."""
    if isinstance(value, Mapping):
        return {key: take_rows(part, n_rows) for key, part in value.items()}
    if isinstance(value, list | tuple) and value and hasattr(value[0], "shape"):
        return type(value)(take_rows(part, n_rows) for part in value)
    if hasattr(value, "iloc"):
        return value.iloc[:n_rows]
    return value[:n_rows]


def cut_rows(value: Any, at: int) -> tuple[Any, Any]:
    """Return the rows before a position and the others, as views where the type has some."""
    if value is None:
        return None, None
    if isinstance(value, Mapping):
        parts = {key: cut_rows(part, at) for key, part in value.items()}
        return {key: part[0] for key, part in parts.items()}, {
            key: part[1] for key, part in parts.items()
        }
    if isinstance(value, list | tuple) and value and hasattr(value[0], "shape"):
        cut = [cut_rows(part, at) for part in value]
        return type(value)(part[0] for part in cut), type(value)(part[1] for part in cut)
    if hasattr(value, "iloc"):
        return value.iloc[:at], value.iloc[at:]
    if is_sparse(value):
        value = value.tocsr()
    return value[:at], value[at:]


def rows_at(value: Any, rows: Array) -> Any:
    """Return the rows at some positions in the form that the user gave them."""
    if isinstance(value, Mapping):
        return {key: rows_at(part, rows) for key, part in value.items()}
    if isinstance(value, list | tuple) and value and hasattr(value[0], "shape"):
        return type(value)(rows_at(part, rows) for part in value)
    if isinstance(value, list | tuple):
        return [value[i] for i in rows.tolist()]
    if hasattr(value, "iloc"):
        return value.iloc[rows]
    if is_tensor(value):
        return as_array(value)[rows]
    return value[rows]


def _rows_of(source: Any, rows: Array) -> Any:
    return rows_at(source.tocsr() if is_sparse(source) else source, rows)


# --- Reading blocks -----------------------------------------------------------------------


def read_blocks(X: Any, name: str = "X", sample_rows: int = SAMPLE_ROWS) -> tuple[Block, ...]:
    """Return the inputs in `X`; raise `NotApplicable` for what cannot be looked at twice."""
    if isinstance(X, Mapping):
        parts = [(f"{name}[{key!r}]", part) for key, part in X.items()]
    elif isinstance(X, list | tuple) and _is_multi_input(X):
        parts = [(f"{name}[{i}]", part) for i, part in enumerate(X)]
    else:
        parts = [(name, X)]
    return tuple(_block(part, label, sample_rows) for label, part in parts)


def _is_multi_input(X: Sequence[Any]) -> bool:
    return bool(X) and all(
        (isinstance(part, np.ndarray) or is_tensor(part)) and len(part.shape) >= _MATRIX_RANK
        for part in X
    )


def _block(value: Any, name: str, sample_rows: int) -> Block:
    if is_sparse(value):
        return Block(name, value, value.shape[0], sample_rows=sample_rows)
    if is_frame(value):
        return _frame_block(value, name, sample_rows)
    if is_series(value):
        label = str(value.name) if value.name not in (None, "") else "0"
        return Block(
            name,
            value,
            len(value),
            (label,),
            getattr(value, "index", None),
            sample_rows,
            lambda: [_series_column(label, value)],
        )
    array = as_array(value)
    if array.dtype.names is not None:
        return _record_block(array, name, sample_rows)
    if array.dtype.kind == "O":
        return _object_block(array, name, sample_rows)
    return Block(name, array, array.shape[0], sample_rows=sample_rows)


def _frame_block(frame: Any, name: str, sample_rows: int) -> Block:
    names = tuple(str(label) for label in frame.columns)

    def load() -> Sequence[Column]:
        # By position: a pandas frame may have two columns of one name.
        if hasattr(frame, "iloc"):
            series = [frame.iloc[:, j] for j in range(frame.shape[1])]
        else:
            series = frame.get_columns()
        return [_series_column(label, part) for label, part in zip(names, series, strict=True)]

    index = getattr(frame, "index", None)
    return Block(name, frame, frame.shape[0], names, index, sample_rows, load)


def _record_block(array: Array, name: str, sample_rows: int) -> Block:
    names = tuple(array.dtype.names or ())

    def load() -> Sequence[Column]:
        return [Column(label, kind_of_dtype(array[label].dtype), array[label]) for label in names]

    return Block(name, array, len(array), names, None, sample_rows, load)


def _object_block(array: Array, name: str, sample_rows: int) -> Block:
    if array.ndim > _MATRIX_RANK:
        raise NotApplicable(f"{name} is an array of objects of rank {array.ndim}")
    matrix = array.reshape(array.shape[0], -1)
    names = tuple(str(j) for j in range(matrix.shape[1]))

    def load() -> Sequence[Column]:
        return [object_column(label, matrix[:, j]) for j, label in enumerate(names)]

    return Block(name, array, array.shape[0], names, None, sample_rows, load)


def as_array(value: Any) -> Array:
    """Return `value` as an array of rank 1 or more, without a copy where it can be."""
    if isinstance(value, np.ma.MaskedArray):
        array = _unmasked(value)
    elif isinstance(value, np.ndarray):
        array = np.asarray(value)  # a matrix would stay one when its rows are taken
    elif is_tensor(value):
        array = np.asarray(_readable(value) if hasattr(value, "detach") else value)
    elif isinstance(value, list | tuple):
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise NotApplicable("the rows have different lengths") from error
        if array.dtype.kind in "US" and array.ndim == _MATRIX_RANK:
            # np.asarray turns [[1, "a"]] into text: keep each value as it was given.
            array = np.asarray(value, dtype=object)
    elif hasattr(value, "__array__"):
        array = np.asarray(value)
    else:
        raise NotApplicable(f"a {type(value).__name__} cannot be looked at without consuming it")
    if array.ndim == 0:
        raise NotApplicable("a single value has no rows")
    return array


def _readable(tensor: Any) -> Any:
    """Return a torch tensor in memory and of a type that NumPy has."""
    tensor = tensor.detach().cpu()
    return tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor


def _unmasked(value: Any) -> Array:
    """Return a masked array with NaN for what is masked."""
    if value.dtype.kind in "biuf":
        filled: Array = value.astype(np.float64).filled(np.nan)
        return filled
    raise NotApplicable(f"a masked array of {value.dtype} cannot be read")


def _series_column(name: str, series: Any) -> Column:
    dtype = str(series.dtype).lower()
    if hasattr(series, "iloc"):
        return _pandas_column(name, series, dtype)
    return _polars_column(name, series, dtype)


def _pandas_column(name: str, series: Any, dtype: str) -> Column:
    if isinstance(series.dtype, np.dtype):
        values = series.to_numpy()
        if values.dtype.kind == "O":
            return object_column(name, values)
        return Column(name, kind_of_dtype(values.dtype), values)
    is_number = dtype.startswith(("bool", "int", "uint", "float", "double", "decimal"))
    if is_number and not dtype.startswith("interval"):
        kind: ColumnKind = "bool" if dtype.startswith("bool") else "numeric"
        return Column(name, kind, series.to_numpy(dtype=float, na_value=np.nan))
    dates = ("datetime", "period", "timedelta", "date")
    if is_number or dtype.startswith(dates):
        kind = "other" if is_number else "date"
        return Column(name, kind, series.to_numpy(dtype=object))
    codes, found = series.factorize()
    distinct = np.asarray(found, dtype=object)
    codes = np.asarray(codes, dtype=np.int64)
    known = Levels(
        distinct.tolist(), codes, np.bincount(codes[codes >= 0], minlength=len(distinct))
    )
    # One more for missing values, whose code is -1.
    return Column(name, "text", np.append(distinct, [None])[codes], known)


def _polars_column(name: str, series: Any, dtype: str) -> Column:
    if dtype.startswith(("int", "uint", "float", "decimal")):
        # A polars null becomes NaN when an integer column is read as floating point.
        values = series.to_numpy()
        return Column(name, "numeric", values.astype(float) if values.dtype.kind == "O" else values)
    if dtype.startswith("bool"):
        return Column(name, "bool", series.cast(int).to_numpy())
    if dtype.startswith(("date", "time", "duration")):
        return Column(name, "date", _objects(series))
    if dtype.startswith(("str", "cat", "enum")):
        return Column(name, "text", _objects(series))
    return Column(name, "other", _objects(series))


def _objects(series: Any) -> Array:
    values = np.empty(len(series), dtype=object)
    # One by one: NumPy would make a matrix of lists of equal length.
    for i, value in enumerate(series.to_list()):
        values[i] = value
    return values


def object_column(name: str, values: Array) -> Column:
    """Return an object column with the kind that its values have."""
    missing = missing_of(values)
    present = values[~missing]
    probe = present[:1000]
    if len(probe) and all(isinstance(v, bool | np.bool_) for v in probe):
        kind: ColumnKind = "bool"
    elif len(probe) and all(isinstance(v, int | float | np.number) for v in probe):
        kind = "numeric"
    elif len(probe) and all(isinstance(v, str | bytes) for v in probe):
        kind = "text"
    elif len(probe) and all(hasattr(v, "year") or isinstance(v, np.datetime64) for v in probe):
        kind = "date"
    else:
        kind = "other"
    if kind in {"bool", "numeric"}:
        try:
            numbers = np.full(values.shape, np.nan)
            numbers[~missing] = present.astype(float)
        except (TypeError, ValueError):
            return Column(name, "other", values)
        return Column(name, kind, numbers)
    return Column(name, kind, values)


# --- Targets and data ---------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """The labels or numbers to predict, of one output."""

    name: str
    values: Array
    index: Any = None

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return int(self.values.shape[0])

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """Which values are missing, in the shape of the values."""
        return missing_of(self.values)

    @cached_property
    def is_numeric(self) -> bool:
        """Whether the values are numbers or booleans."""
        return self.values.dtype.kind in "biuf"

    @cached_property
    def numbers(self) -> Floats:
        """The values as floating-point numbers, in their shape."""
        if not self.is_numeric:
            raise NotApplicable("the target is not numeric")
        return self.values.astype(np.float64)

    @cached_property
    def flat(self) -> Array:
        """The values of a target with one column, of shape (n_rows,)."""
        if self.values.ndim == _MATRIX_RANK and self.values.shape[1] == 1:
            return self.values[:, 0]
        if self.values.ndim != 1:
            raise NotApplicable("the target has several columns")
        return self.values

    @cached_property
    def codes(self) -> tuple[Array, NDArray[np.int64]]:
        """The distinct values and, for each row, the position of its value among them."""
        values = self.flat
        if values.dtype.kind == "O":
            # Mixed types cannot be sorted; their text can.
            values = np.array([f"{value!s}" for value in values])
        levels, positions = np.unique(values, return_inverse=True)
        return levels, positions.reshape(-1).astype(np.int64)

    @cached_property
    def is_one_hot(self) -> bool:
        """Whether the rows are shares that sum to 1, soft labels included."""
        if self.values.ndim != _MATRIX_RANK or self.values.shape[1] < _MATRIX_RANK:
            return False
        if not self.is_numeric or not len(self.values):
            return False
        numbers = self.numbers
        return bool(
            (numbers >= 0).all() and np.allclose(numbers.sum(axis=1), 1.0, rtol=0, atol=1e-3)
        )


def read_targets(y: Any, name: str = "y") -> tuple[Target, ...]:
    """Return the targets in `y`: one, or one for each output of a mapping."""
    if y is None:
        return ()
    if isinstance(y, Mapping):
        return tuple(_target(part, f"{name}[{key!r}]") for key, part in y.items())
    if isinstance(y, list | tuple) and y and all(hasattr(part, "shape") for part in y):
        shapes = {len(part.shape) for part in y}
        if 0 not in shapes:
            return tuple(_target(part, f"{name}[{i}]") for i, part in enumerate(y))
    return (_target(y, name),)


def _target(value: Any, name: str) -> Target:
    if is_frame(value):
        block = _frame_block(value, name, SAMPLE_ROWS)
        columns = [column.values for column in block.columns]
        values = np.column_stack(columns) if columns else np.empty((block.n_rows, 0))
        return Target(name, values, block.index)
    if is_series(value):
        return Target(name, _series_column(name, value).values, getattr(value, "index", None))
    array = as_array(value)
    if array.dtype.kind == "O" and array.ndim == 1:
        array = object_column(name, array).values
    return Target(name, array)


@dataclass(frozen=True)
class DataView:
    """Data as it was given to a fit or to a check.

    ``unreadable`` says why the rows could not be looked at (a generator, say); the blocks are
    then empty and the checks of rows do not apply. ``lengths`` are those of everything that
    must have a value a row, by the name that the user knows.
    """

    blocks: tuple[Block, ...]
    targets: tuple[Target, ...] = ()
    lengths: Mapping[str, int] = field(default_factory=dict)
    unreadable: str = ""
    #: What makes the rows be read in order: a DatetimeIndex, or what the user declared.
    ordered: bool = False
    #: The model that the data is meant for, where it is known.
    model: ModelView | None = None
    #: Whether every row is here, or only the first batches of a dataset.
    complete: bool = True
    #: What else a fit was given about the rows, by name: ``sample_weight``, ``class_weight``.
    extras: Mapping[str, Any] = field(default_factory=dict)
    #: What several checks of the same data share, such as the hashes of its rows.
    memo: dict[str, Any] = field(default_factory=dict)

    @property
    def block(self) -> Block:
        """The only input; not applicable where there are several or none."""
        self.require_rows()
        if len(self.blocks) != 1:
            raise NotApplicable("the model has several inputs")
        return self.blocks[0]

    @property
    def target(self) -> Target:
        """The only target; not applicable where there is none or several."""
        if not self.targets:
            raise NotApplicable(self.unreadable or "no target was given")
        if len(self.targets) > 1:
            raise NotApplicable("there are several targets")
        return self.targets[0]

    @cached_property
    def labelled(self) -> DataView:
        """The rows that have a label in every target; the view itself where all rows have one.

        Raises
        ------
        NotApplicable
            If no row has one.
        """
        n_rows = set(self.lengths.values())
        if len(n_rows) != 1 or not any(target.missing.any() for target in self.targets):
            return self
        lacking = np.zeros(n_rows.pop(), dtype=bool)
        for target in self.targets:
            lacking |= target.missing.reshape(target.n_rows, -1).any(axis=1)
        rows = np.flatnonzero(~lacking)
        if not len(rows):
            raise NotApplicable("no row has a label, and K305 tells of it")
        extras = {
            name: rows_at(value, rows) if name in self.lengths else value
            for name, value in self.extras.items()
        }
        blocks = tuple(
            _block(_rows_of(one.source, rows), one.name, one.sample_rows) for one in self.blocks
        )
        targets = tuple(Target(one.name, one.values[rows]) for one in self.targets)
        lengths = dict.fromkeys(self.lengths, len(rows))
        return replace(
            self, blocks=blocks, targets=targets, lengths=lengths, extras=extras, memo={}
        )

    def require_rows(self) -> None:
        """Raise `NotApplicable` unless there are rows to look at."""
        if self.unreadable:
            raise NotApplicable(self.unreadable)
        if not self.blocks or not any(block.n_rows for block in self.blocks):
            raise NotApplicable("there are no rows")

    def require_aligned(self) -> None:
        """Raise `NotApplicable` unless inputs and targets have the same number of rows."""
        self.require_rows()
        if len(set(self.lengths.values())) > 1:
            raise NotApplicable("inputs and targets have different lengths")


def read_data(
    X: Any,
    y: Any = None,
    *,
    model: ModelView | None = None,
    sample_rows: int = SAMPLE_ROWS,
    extras: Mapping[str, Any] = EMPTY,
) -> DataView:
    """Return the view of `X` and `y`; what cannot be looked at gives a view that says so.

    Parameters
    ----------
    X, y : array, table, sparse matrix, list, mapping of those, or `tf.data.Dataset`
        What a fit takes. Of a dataset, the arrays that it was made from are read where there
        are some, else its first batches, and only if reading it changes nothing.
    model : ModelView, optional
        The model that the data is meant for.
    sample_rows : int
        Above this number of rows, a sample is looked at.
    extras : mapping of str to object
        What else a fit was given about the rows: ``sample_weight`` and ``groups``, which must
        have a value a row, and ``class_weight``.
    """
    complete = True
    try:
        if is_dataset(X):
            from pytest_kepler.adapters.keras.datasets import read_dataset

            X, y, complete = read_dataset(X)
        elif is_loader(X):
            from pytest_kepler.adapters.torch.inputs import read_loader

            X, y, complete = read_loader(X)
        blocks = read_blocks(X, sample_rows=sample_rows)
        targets = read_targets(y)
    except NotApplicable as reason:
        return DataView((), unreadable=str(reason), model=model)
    except Exception as error:  # noqa: BLE001 - an object of the user's own may fail in any way
        return DataView((), unreadable=f"reading it failed: {error}", model=model)
    lengths = {block.name: block.n_rows for block in blocks}
    lengths |= {target.name: target.n_rows for target in targets}
    for name, value in extras.items():
        # Class weights are one a class, not one a row.
        is_one_a_row = hasattr(value, "__len__") and not isinstance(value, str | Mapping)
        if is_one_a_row and name != "class_weight":
            lengths[name] = len(value)
    ordered = any(_is_time_index(block.index) for block in blocks)
    return DataView(blocks, targets, lengths, "", ordered, model, complete, extras)


def _is_time_index(index: Any) -> bool:
    pandas = sys.modules.get("pandas")
    kinds = ("DatetimeIndex", "PeriodIndex", "TimedeltaIndex")
    return pandas is not None and any(isinstance(index, getattr(pandas, kind)) for kind in kinds)


# --- Splits -------------------------------------------------------------------------------


@dataclass(frozen=True)
class SplitView:
    """The train and the test split, with the groups and times of their rows if declared."""

    train: DataView
    test: DataView
    groups: tuple[Array, Array] | None = None
    time: tuple[Array, Array] | None = None
    #: What several checks of one split share, such as the rows that both sides have.
    memo: dict[str, Any] = field(default_factory=dict)

    def require_rows(self) -> None:
        """Raise `NotApplicable` unless both splits have rows to look at."""
        self.train.require_rows()
        self.test.require_rows()


# --- Models -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Loss:
    """What a model minimises for one output."""

    kind: LossKind
    name: str
    from_logits: bool = False
    ignore_class: int | None = None
    #: How much of each label is spread over all classes.
    smoothing: float = 0.0
    #: Whether it takes logarithms of probabilities.
    is_logarithmic: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a network: how many units, behind which activation, under which loss.

    ``units`` is the size of the last axis; ``activation`` is ``unknown`` where the last layer
    that changes values is the user's own. ``is_fused`` tells that nothing stands between the
    activation and the loss, so that a backend may see through it.
    """

    name: str
    units: int | None
    rank: int | None
    activation: str
    axis_size: int | None = None
    is_fused: bool = False
    loss: Loss | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a network, in graph order.

    ``inputs`` are the positions of the layers that it reads, with layers that change no
    values in a nonlinear way (Dropout, Flatten, BatchNorm …) left in between as they are.
    """

    name: str
    kind: str
    class_name: str
    activation: str
    units: int | None
    width_in: int | None
    is_trainable: bool
    inputs: tuple[int, ...]
    n_readers: int
    #: What share a dropout drops.
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric that a network is compiled with: a string, or an object of its framework."""

    name: str
    kind: str
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class FirstSignal:
    """The pre-activation of a first weighted layer on the batch."""

    layer: str
    rms: float
    n_rows: int
    is_normalised: bool


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Outputs and labels of different shapes that a loss compares each with each.

    ``is_certain`` tells that the labels go to the loss as they are here; an array may still
    be given another shape on its way.
    """

    outputs: tuple[int, ...]
    labels: tuple[int, ...]
    is_certain: bool


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """How a search or another wrapper holds out rows, and by what it judges.

    ``splitter`` is what the user gave: a number of folds, an object that splits, a list of
    folds, or None for the library's default.
    """

    owner: str
    splitter: Any
    scoring: Any = None


@dataclass(frozen=True, slots=True)
class ColumnStep:
    """A step that prepares columns, with the columns that it sees and what comes after it.

    ``columns`` is the user's own selection; None means all of them.
    """

    step: Any
    columns: Any
    after: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class LayerSignal:
    """What an activation gives on the batch: the share of its units that say nothing.

    ``dead`` is the share of units that are 0 for every row, ``saturated`` the share of values
    at an end of a sigmoid or tanh; ``is_gate`` tells that the values multiply other values.
    """

    layer: str
    activation: str
    n_units: int
    n_rows: int
    dead: float
    saturated: float
    is_gate: bool
    #: Whether a BatchNorm stands before it, whose fresh statistics are no measure yet.
    is_normalised: bool = False


@dataclass(frozen=True, slots=True)
class Frozen:
    """What of a network is never trained but comes before something that is.

    ``share`` is that of all parameters; ``is_initial`` tells that all kernels are as if just drawn
    at random, and that nothing else shows that they were ever trained.
    """

    layers: Sequence[str]
    n_kernels: int
    share: float
    is_initial: bool


@dataclass(frozen=True, slots=True)
class Modes:
    """What a trained network answers for one batch in inference and in training mode.

    Nothing random takes part. ``losses`` are without penalties, and None where no loss is known;
    ``norms`` are the layers whose statistics make the difference, ``n_steps`` how often these were
    updated.
    """

    inference: Array
    training: Array
    losses: tuple[float, float] | None
    norms: Sequence[str]
    n_steps: int


@dataclass(frozen=True, slots=True)
class Weight:
    """One trainable weight in the probe.

    ``gradients`` are the root mean squares of its gradient at the steps of run A, ``size``
    that of the weight itself at the start. ``columns_equal`` tells, before and after run A,
    whether all units have the same incoming weights.
    """

    path: str
    role: Literal["kernel", "embedding", "other"]
    size: float
    gradients: Floats
    is_connected: bool
    columns_equal: tuple[bool, bool] = (False, False)


@dataclass(frozen=True, slots=True)
class UserRun:
    """Run U: the user's own optimizer on the batch.

    ``losses`` stand before each step and after the last; ``updates`` are the relative changes
    of each kernel in the fourth step.
    """

    losses: Floats
    updates: Floats
    rate: float
    is_scheduled: bool


@dataclass(frozen=True, slots=True)
class FewRows:
    """Learning a few rows by heart: the losses with their inputs, and with one input for all."""

    rate: float
    real: Floats
    constant: Floats


@dataclass(frozen=True)
class Probe:
    """What a few training steps on a clone of a network showed.

    Losses are without penalties. ``variation`` is the relative spread of the outputs over the
    rows, before and after run A (Adam with a rate of 0.01 on the whole batch). ``labels`` are
    those of each output, and ``output_weights`` how much its loss counts.
    """

    n_rows: int
    has_distinct_rows: bool
    labels: Sequence[Array]
    few_labels: Sequence[Array]
    output_weights: Sequence[float]
    loss: float
    weights: Sequence[Weight]
    adam_losses: Floats
    variation: tuple[float, float]
    few_rows: Sequence[FewRows]
    user: UserRun | None
    why_no_user_run: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class ModelView:
    """A model as the checks see it; what a framework cannot tell is empty or None."""

    framework: Literal["sklearn", "keras", "torch", "xgboost", "other"]
    model: Any
    name: str
    #: Steps before the last one, and the last one, with searches and wrappers taken off.
    steps: tuple[Any, ...] = ()
    estimators: tuple[Any, ...] = ()
    #: Whether missing values may reach the model; None where nobody can tell.
    tolerates_missing: bool | None = None
    #: Whether the model may look for outliers, one class or clusters: no labels to speak of.
    is_unsupervised: bool = False
    #: ``classifier`` or ``regressor`` where the model says so.
    learns: str = ""
    #: How the model holds out rows of its own, where it is a search or the like.
    cross_validation: CrossValidation | None = None
    #: The steps that prepare columns, those in the branches of a pipeline included.
    column_steps: tuple[ColumnStep, ...] = ()

    @property
    def losses(self) -> Sequence[Loss | None]:
        """The loss of each output of a network; empty for other models."""
        return ()

    @property
    def outputs(self) -> Sequence[Output]:
        """The outputs of a network; not applicable to other models."""
        raise NotApplicable("the model is not a network")

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers of a network in graph order; not applicable to other models."""
        raise NotApplicable("the model is not a network")

    @property
    def is_fresh(self) -> bool:
        """Whether the weights are still those that the initializers gave."""
        raise NotApplicable("the model is not a network")

    @property
    def is_thinned(self) -> bool:
        """Whether weights are made small or zero on purpose: by a penalty, a decay or pruning."""
        raise NotApplicable("the model is not a network")

    @property
    def frozen(self) -> Frozen:
        """The layers of a network that are never trained but come before some that are."""
        raise NotApplicable("the model is not a network")

    @property
    def is_network(self) -> bool:
        """Whether the model is a network that is trained by gradients."""
        return False

    def afresh(self, **changes: Any) -> Self:
        """Return the view of the same network with another ``source`` or ``seed_shift``."""
        return replace(self, **changes)

    @property
    def backend(self) -> str:
        """The numerical backend of a network."""
        return ""

    @property
    def optimizer(self) -> Any:
        """The optimizer of a network, as the user made it; None where there is none."""
        return None

    @property
    def forgotten_weights(self) -> Sequence[str]:
        """The trainable weights of a network that no optimizer holds."""
        return ()

    @property
    def n_trainable_weights(self) -> int:
        """The number of trainable tensors of a network, whatever their size."""
        return 0

    @property
    def default_batch_size(self) -> int | None:
        """The rows of a batch where `fit` is not told; None where nobody can tell."""
        return None

    @property
    def batch_outputs(self) -> Sequence[Array]:
        """The outputs on the first rows, in inference mode, one array an output."""
        raise NotApplicable("the model is not a network")

    @property
    def first_signals(self) -> Sequence[FirstSignal]:
        """The pre-activations of the layers that see the inputs first, on the first rows."""
        raise NotApplicable("the model is not a network")

    @property
    def layer_signals(self) -> Sequence[LayerSignal]:
        """What the hidden activations give on the first rows."""
        raise NotApplicable("the model is not a network")

    @property
    def metrics(self) -> Sequence[Metric]:
        """The metrics of a network that are its framework's own."""
        raise NotApplicable("the model is not a network")

    @property
    def metric_names(self) -> Sequence[str]:
        """The names of these metrics."""
        return [metric.name for metric in self.metrics]

    @property
    def score_sizes(self) -> Mapping[str, float]:
        """The root mean square of each classifying output's scores on the first rows."""
        raise NotApplicable("the model is not a network")

    @property
    def penalties(self) -> Mapping[str, float]:
        """The penalty that each weight's regularizer gives."""
        raise NotApplicable("the model is not a network")

    @property
    def variables(self) -> Iterator[tuple[str, Array]]:
        """All weights and statistics by path, one after another."""
        raise NotApplicable("the model is not a network")

    @property
    def n_parameters(self) -> tuple[int, int]:
        """The number of trainable parameters, and of all."""
        raise NotApplicable("the model is not a network")

    def broadcast(self, labels: Any) -> Broadcast | None:
        """Return what a loss makes of outputs and labels of different shapes, if it pairs them."""
        del labels
        raise NotApplicable("the model is not a network")

    def modes(self, labels: Any) -> Modes:
        """Return what a clone answers for the first rows in both modes, and the losses of that."""
        del labels
        raise NotApplicable("the model is not a network")

    def probe(self, labels: Any, max_parameters: int) -> Probe:
        """Take a few training steps on a clone, given what `fit` gets as its target."""
        del labels, max_parameters
        raise NotApplicable("the model is not a network")


@dataclass(frozen=True)
class FitView:
    """A model, the data and the arguments with which it is about to be trained."""

    model: ModelView
    data: DataView
    batch_size: int | None = None
    fit_kwargs: Mapping[str, Any] = EMPTY
    #: What `fit` was given as X, where a check must ask the loader itself.
    source: Any = None
    #: What `fit` was given as y.
    labels: Any = None
    #: Networks with more parameters are not cloned.
    max_parameters: int = 20_000_000
    #: Whether NumPy's own generator was seeded for this fit.
    is_seeded: bool = False

    @property
    def probe(self) -> Probe:
        """What a few training steps on a clone showed; they are taken once."""
        found = self._probed
        if isinstance(found, NotApplicable):
            raise NotApplicable(str(found))
        return found

    @cached_property
    def _probed(self) -> Probe | NotApplicable:
        try:
            return self.model.probe(self.labels, self.max_parameters)
        except NotApplicable as reason:
            return reason


# --- Training and behaviour ---------------------------------------------------------------


@dataclass(frozen=True)
class HistoryView:
    """The curves of a training: a list of floats, one an epoch, for each name."""

    curves: Mapping[str, Floats]
    target: Target | None = None


def read_history(history: Any, y: Any = None) -> HistoryView:
    """Return the curves of a Keras `History`, a mapping of lists or a list of mappings.

    Also a scikit-learn estimator with a ``loss_curve_``, and XGBoost's ``evals_result``.
    """
    curves: dict[str, Any] = {}
    found = getattr(history, "history", history)
    if hasattr(found, "loss_curve_"):
        found = {"loss": found.loss_curve_}
    if isinstance(found, Mapping):
        _flatten_curves(found, "", curves)
    elif isinstance(found, Sequence) and all(isinstance(epoch, Mapping) for epoch in found):
        for name in dict.fromkeys(name for epoch in found for name in epoch):
            curves[name] = [epoch.get(name, np.nan) for epoch in found]
    else:
        raise NotApplicable(f"a {type(history).__name__} is not a history of curves")
    arrays: dict[str, Floats] = {}
    for name, values in curves.items():
        try:
            arrays[name] = np.asarray(values, dtype=np.float64).reshape(-1)
        except (TypeError, ValueError):
            continue  # a learning-rate schedule or the like: not a curve
    targets = read_targets(y)
    return HistoryView(arrays, targets[0] if targets else None)


def _flatten_curves(found: Mapping[str, Any], prefix: str, into: dict[str, Any]) -> None:
    for name, values in found.items():
        if isinstance(values, Mapping):
            _flatten_curves(values, f"{prefix}{name}/", into)
        else:
            into[f"{prefix}{name}"] = values


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a user says of a model's answers and one column.

    Attributes
    ----------
    kind : {"invariant", "increasing", "decreasing"}
        The answers do not change with the column, never fall, or never rise with it.
    column : int
        The position of the column.
    label : str
        How it is called.
    change : callable or None
        What is done to the column's values; without it they take those of other rows.
    """

    kind: Literal["invariant", "increasing", "decreasing"]
    column: int
    label: str
    change: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Procedure:
    """What a user splits, trains and scores with, and the rows that it is given.

    ``chance`` is the score of guessing, where the user told it.
    """

    score: Callable[[Any, Any], float]
    X: Any
    y: Any
    chance: float | None = None


def spread_over(model: ModelView, rows: Any, data: DataView) -> tuple[ModelView, Array]:
    """Return a network on a batch of rows from all over some, and their positions.

    The first rows alone may be of one kind. Of a dataset there are only the first.
    """
    if not model.is_network:
        raise NotApplicable("the model is not a network")
    data.require_rows()
    n_rows = data.blocks[0].n_rows
    chosen = np.unique(np.linspace(0, n_rows - 1, min(n_rows, BATCH_ROWS)).astype(np.int64))
    if is_dataset(rows) or is_loader(rows):
        return model, np.arange(len(chosen))
    return model.afresh(source=rows_at(rows, chosen)), chosen


@dataclass(frozen=True)
class BehaviourView:
    """A trained model and held-out rows, with what it answers for them."""

    model: ModelView
    data: DataView
    predict: Callable[[], Array]
    predict_proba: Callable[[], Array] | None = None
    #: What the model answers for the rows at some positions, out of the first `n_asked`.
    answers: Callable[[Array], Array] | None = None
    n_asked: int = 0
    #: The rows as the user holds them, and what the model answers for any such rows.
    rows: Any = None
    answer: Callable[[Any], Array] | None = None
    expectations: Sequence[Expectation] = ()
    procedure: Procedure | None = None
    #: Trains the model anew and answers for the rows.
    retrained: Callable[[], Array] | None = None
    #: What the model predicts for any rows: labels, numbers or scores.
    predicted: Callable[[Any], Array] | None = None
    #: Rows that the model was trained on, as the user holds them, and as they are read.
    train_rows: Any = None
    trained_on: DataView | None = None
    #: Saves the model, loads it anew, and returns what `answers` is of that one.
    reload: Callable[[], Callable[[Array], Array]] | None = None

    @cached_property
    def spread(self) -> tuple[ModelView, Array]:
        """A network on a batch of rows from all over the held-out ones, and their positions."""
        return spread_over(self.model, self.rows, self.data)

    @cached_property
    def twice(self) -> tuple[Array, Array]:
        """Two answers for the same rows."""
        return self.predictions, self.predict()

    def ask(self, rows: Array) -> Array:
        """Return what the model answers for the rows at some positions."""
        if self.answers is None or not self.n_asked:
            raise NotApplicable("the rows cannot be asked one by one")
        return self.answers(rows)

    def predict_for(self, rows: Any) -> Array:
        """Return what the model predicts for any rows, as many as there are."""
        if self.predicted is None:
            raise NotApplicable("the rows cannot be asked one by one")
        return self.predicted(rows)

    def probabilities_for(self, rows: Any) -> Array:
        """Return the probabilities of a classifier for any rows."""
        if self.predict_proba is None or self.answer is None:
            raise NotApplicable("the model gives no probabilities")
        return self.answer(rows)

    @cached_property
    def held_out_answers(self) -> Array:
        """What the model predicts for all held-out rows; a network's `predictions` are fewer."""
        return self.predict_for(self.rows)

    @cached_property
    def predictions(self) -> Array:
        """What the model answers for the rows: labels, numbers or scores."""
        return self.predict()

    @cached_property
    def probabilities(self) -> Array:
        """The probabilities of a classifier; not applicable where there are none."""
        if self.predict_proba is None:
            raise NotApplicable("the model gives no probabilities")
        return self.predict_proba()
