"""NumPy arrays, and long sequences of scalars, as canonical content."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_kepler.identity.framing import SCALARS, Framed, Kind, encoded, kind_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pytest_kepler.identity.framing import Leaf, Row, Walk

    AnyArray = np.ndarray[Any, Any]

#: Small enough for a core's cache, so that the look for NaN costs no second trip to memory.
_BLOCK = 512 * 1024

# What `dtype.isbuiltin` says of dtypes that other libraries added.
_REGISTERED = 2

# These behave as Python's own types in arithmetic and in a model's parameters.
_AS_PYTHON: Mapping[type, type] = {
    np.float64: float,
    np.int64: int,
    np.bool_: bool,
    np.complex128: complex,
    np.str_: str,
    np.bytes_: bytes,
}


def kind_of(cls: type) -> Kind | None:
    """Return how values of `cls` are read if NumPy made it or a base of it, else None."""
    if cls is np.memmap:
        return Kind("numpy.memmap", read_array, "data", asked=False)
    return kind_in(_TABLE, "numpy", cls)


def described(dtype: np.dtype[Any]) -> str:
    """Return a dtype as text: names, kinds and sizes, without byte order, padding and metadata."""
    return json.dumps(_description(dtype))


def _description(dtype: np.dtype[Any]) -> Any:
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return [_description(base), list(shape)]
    if dtype.names is not None:
        return [[name, _description(dtype[name])] for name in dtype.names]
    if dtype.kind == "T":
        return "StringDType"
    if dtype.isbuiltin == _REGISTERED:
        return dtype.name  # the code of bfloat16 is only its size
    return dtype.newbyteorder("<").str


def read_array(array: AnyArray) -> Leaf | Walk:
    """Read an array: dtype, shape, and the elements in C order, little-endian."""
    framed = Framed("array").text(described(array.dtype)).count(array.ndim, *array.shape)
    if array.dtype.hasobject or array.dtype.kind == "T":
        return _objects(framed, array)
    feed(framed, array)
    return framed.leaf()


def feed(framed: Framed, array: AnyArray) -> None:
    """Add the elements block by block; nothing is copied where the layout is canonical."""
    if array.dtype.names is not None:
        for name in array.dtype.names:
            feed(framed, array[name])
    else:
        canonical = _canonical_for(array.dtype)
        dtype = array.dtype.newbyteorder("<")
        with np.errstate(all="ignore"):
            for block in _blocks(array):
                flat = np.ascontiguousarray(block, dtype=dtype).reshape(-1)
                framed.raw(canonical(flat).view(np.uint8))


def _blocks(array: AnyArray) -> Iterator[AnyArray]:
    if array.flags.c_contiguous:
        array = array.reshape(-1)
    if array.nbytes <= _BLOCK or array.ndim == 0:
        if array.nbytes:
            yield array
        return
    row = array.nbytes // len(array)
    if row > _BLOCK:
        for part in array:
            yield from _blocks(part)
        return
    step = max(1, _BLOCK // row)
    for start in range(0, len(array), step):
        yield array[start : start + step]


def _canonical_for(dtype: np.dtype[Any]) -> Callable[[AnyArray], AnyArray]:
    if dtype.kind not in "fc" or dtype.isbuiltin == _REGISTERED:
        return lambda block: block
    part = np.dtype(f"<f{dtype.itemsize // (2 if dtype.kind == 'c' else 1)}")
    if part.itemsize > 8:  # noqa: PLR2004 - bytes of a double
        return lambda block: _without_padding(_one_nan(block.view(part)))
    return lambda block: _one_nan(block.view(part))


def _one_nan(block: AnyArray) -> AnyArray:
    # NaN has many bit patterns, and which one comes out depends on the processor.
    if not np.isnan(block.min()):
        return block
    block = block.copy()
    block[np.isnan(block)] = np.nan
    return block


def _without_padding(block: AnyArray) -> AnyArray:
    # An x87 extended double has 10 bytes; the other six are whatever was in memory.
    if np.finfo(block.dtype).nmant != 63:  # noqa: PLR2004 - bits of its mantissa
        return block
    octets = block.copy().view(np.uint8).reshape(-1, block.dtype.itemsize)
    octets[:, 10:] = 0
    return octets.reshape(-1)


def _objects(framed: Framed, array: AnyArray) -> Walk:
    if array.dtype.names is not None:
        for name in array.dtype.names:
            framed.add((yield f"[{name!r}]", array[name]))
        return framed.leaf()
    return (yield from sequence(framed, array.ravel().tolist()))


def _masked(value: Any) -> Walk:
    framed = Framed("masked array")
    if value.dtype.names is not None:
        framed.text("fields").count(len(value.dtype.names))
        for name in value.dtype.names:
            framed.text(name).add((yield f"[{name!r}]", value[name]))
        return framed.leaf()
    mask = np.ma.getmaskarray(value)
    data = np.array(np.ma.getdata(value), subok=False)
    data[mask] = None if data.dtype.hasobject else np.zeros((), data.dtype)
    framed.text("plain").add((yield ".data", data))
    framed.add((yield ".mask", mask))
    framed.add((yield ".fill_value", value.fill_value))
    return framed.leaf()


def _any_array(value: AnyArray) -> Leaf | Walk:
    return read_array(value) if type(value) is np.ndarray else _subclass(value)


def _subclass(value: AnyArray) -> Walk:
    framed = Framed("array of class")
    framed.add((yield "", type(value)))
    framed.add((yield "", value.view(np.ndarray)))
    framed.add((yield "", dict(getattr(value, "__dict__", {}))))
    return framed.leaf()


def _scalar(value: np.generic) -> Leaf | Walk:
    python = _AS_PYTHON.get(type(value))
    if python is not None:
        return SCALARS[python](value.item()), value.nbytes
    framed = Framed("numpy scalar").text(described(value.dtype))
    array = np.asarray(value)
    if array.dtype.hasobject:
        return _objects(framed, array)
    feed(framed, array)
    return framed.leaf()


def _dtype(value: np.dtype[Any]) -> Leaf:
    return Framed("dtype").text(described(value)).leaf()


def _generator(value: np.random.Generator) -> Walk:
    return Framed("Generator").add((yield ".state", value.bit_generator.state)).leaf()


def _random_state(value: np.random.RandomState) -> Walk:
    return Framed("RandomState").add((yield ".state", value.get_state(legacy=False))).leaf()


def _random_source(value: Any) -> Walk:
    framed = Framed("random source").text(type(value).__name__)
    return framed.add((yield ".state", value.state)).leaf()


def _ufunc(value: np.ufunc) -> Leaf:
    return Framed("ufunc").text(value.__name__).leaf()


_TABLE: Sequence[Row] = (
    ("ma.MaskedArray", "data", _masked),
    ("ndarray", "data", _any_array),
    ("generic", "value", _scalar),
    ("dtype", "value", _dtype),
    ("random.Generator", "model", _generator),
    ("random.RandomState", "model", _random_state),
    ("random.BitGenerator", "model", _random_source),
    ("random.SeedSequence", "model", _random_source),
    ("ufunc", "value", _ufunc),
)


def sequence(framed: Framed, values: Sequence[object]) -> Walk:
    """Add the elements: scalars in bulk, anything else one by one."""
    packed = pack(values)
    if packed is not None:
        framed.text("scalars").add(packed)
        return framed.digest(), sys.getsizeof(values)
    framed.text("each").count(len(values))
    for position, value in enumerate(values):
        framed.add((yield position, value))
    return framed.leaf()


def pack(values: Sequence[object]) -> bytes | None:
    """Return one digest for a sequence of scalars, or None if it holds anything else.

    A hash an element would cost a microsecond each; here each type's values go in as one buffer,
    after a code for each element's type where there are several.
    """
    types = list(map(type, values))
    codes = _codes()
    try:
        present = {codes[cls] for cls in set(types)}
    except Exception:  # noqa: BLE001 - no scalar, or a metaclass whose hash raises
        return None
    framed = Framed("packed").count(len(values)).text("".join(sorted(present)))
    if len(present) > 1:
        marks = list(map(codes.__getitem__, types))
        framed.raw("".join(marks).encode("ascii"))
    for code in sorted(present):
        mine = (
            values
            if len(present) == 1
            else [value for value, mark in zip(values, marks, strict=True) if mark == code]
        )
        _FEEDS[code](framed, mine)
    return framed.digest()


def _codes() -> dict[type, str]:
    codes: dict[type, str] = {
        type(None): "n",
        str: "s",
        np.str_: "s",
        float: "f",
        np.float64: "f",
        int: "i",
        np.int64: "i",
        bool: "b",
        np.bool_: "b",
        bytes: "y",
        np.bytes_: "y",
    }
    pandas = sys.modules.get("pandas")
    if pandas is not None and hasattr(pandas, "NaT"):
        codes |= {type(pandas.NA): "N", type(pandas.NaT): "T"}
    return codes


def feed_texts(framed: Framed, texts: Sequence[Any]) -> None:
    """Add texts: their lengths in characters, then all of them as one UTF-8 buffer."""
    lengths = np.fromiter(map(len, texts), dtype="<i8", count=len(texts))
    buffer = encoded("".join(texts))
    framed.raw(lengths).count(len(buffer)).raw(buffer)


def _feed_octets(framed: Framed, values: Sequence[Any]) -> None:
    framed.raw(np.fromiter(map(len, values), dtype="<i8", count=len(values))).raw(b"".join(values))


def _feed_integers(framed: Framed, values: Sequence[Any]) -> None:
    try:
        numbers = np.array(values, dtype="<i8")
    except OverflowError:
        feed_texts(framed.text("long"), list(map(hex, values)))
    else:
        framed.text("short").raw(numbers)


def _feed_floats(framed: Framed, values: Sequence[Any]) -> None:
    feed(framed, np.array(values, dtype="<f8"))


def _feed_booleans(framed: Framed, values: Sequence[Any]) -> None:
    framed.raw(np.array(values, dtype=np.bool_))


def _feed_nothing(_framed: Framed, _values: Sequence[Any]) -> None:
    """Singletons are told by their code alone."""


_FEEDS: Mapping[str, Callable[[Framed, Sequence[Any]], None]] = {
    "n": _feed_nothing,
    "s": feed_texts,
    "f": _feed_floats,
    "i": _feed_integers,
    "b": _feed_booleans,
    "y": _feed_octets,
    "N": _feed_nothing,
    "T": _feed_nothing,
}
