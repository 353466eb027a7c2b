"""Canonical content as bytes: a tag first, a length before everything that has one."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from xxhash import xxh3_128, xxh3_128_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What a reader gives for a value: the digest of its content, and how many bytes that has.
Leaf: TypeAlias = tuple[bytes, int]
#: A reader of a value with parts: yields (label, part), is sent the part's digest.
#: A label is a position, a text such as ``.shape``, or an `Item`.
Walk: TypeAlias = Generator[tuple[object, object], bytes, Leaf]

_NAN = struct.pack("<d", float("nan"))


@dataclass(frozen=True, slots=True)
class Item:
    """The label of a mapping's value: ``['a']``."""

    key: object


class _Unordered:
    """The label of a set's member, and of a mapping's key."""


UNORDERED = _Unordered()


@dataclass(frozen=True, slots=True)
class Kind:
    """How values of one type are read.

    Attributes
    ----------
    name : str
        For people: ``numpy.ndarray``, ``file``.
    read : callable
        Gives the digest at once, or a generator over the parts.
    role : {"value", "data", "model"}
        ``data`` makes everything that holds it data. What a ``model`` holds is settings and
        weights: no data, and a text in it names no file. A ``value`` is what its parts are.
    asked : bool
        Whether the hook and ``__kepler_fingerprint__`` go first.
    """

    name: str
    read: Callable[[Any], Leaf | Walk]
    role: Literal["value", "data", "model"] = "value"
    asked: bool = True


#: A library's class by its dotted name, its role, and the reader of its values.
Row: TypeAlias = tuple[str, Literal["value", "data", "model"], Callable[[Any], "Leaf | Walk"]]


def kind_in(table: Iterable[Row], library: str, cls: type) -> Kind | None:
    """Return the kind of the first class in `table` that `cls` is or derives from.

    A library that is not loaded has made no value; a class that it lacks is passed over.
    """
    module = sys.modules.get(library)
    for name, role, read in table:
        base: Any = module
        for part in name.split("."):
            base = getattr(base, part, None)
        if isinstance(base, type) and issubclass(cls, base):
            # A class derived from a library's may declare what it stands for.
            return Kind(f"{library}.{name}", read, role, asked=cls is not base or role == "model")
    return None


def encoded(text: str) -> bytes:
    """Return `text` as UTF-8; lone surrogates, as in undecodable file names, are kept."""
    return text.encode("utf-8", "surrogatepass")


class Framed:
    """A digest in the making, over fields that cannot run into each other.

    The tag says which fields follow, each of them is preceded by its length or has a fixed one;
    so two different contents never give the same bytes.
    """

    __slots__ = ("_hash", "n_bytes")

    def __init__(self, tag: str) -> None:
        self._hash = xxh3_128()
        self.n_bytes = 0
        self.text(tag)

    def text(self, *texts: str) -> Framed:
        """Add texts, each after its length in bytes."""
        for text in texts:
            data = encoded(text)
            self._hash.update(len(data).to_bytes(8, "little") + data)
        return self

    def count(self, *numbers: int) -> Framed:
        """Add integers of 64 bits: lengths, shapes, positions."""
        self._hash.update(b"".join(n.to_bytes(8, "little", signed=True) for n in numbers))
        return self

    def add(self, *digests: bytes) -> Framed:
        """Add digests of parts."""
        self._hash.update(b"".join(digests))
        return self

    def raw(self, buffer: Any) -> Framed:
        """Add a contiguous buffer whose size the fields before tell."""
        view = memoryview(buffer)
        self._hash.update(view)
        self.n_bytes += view.nbytes
        return self

    def digest(self) -> bytes:
        """Return the digest of all fields."""
        return self._hash.digest()

    def leaf(self) -> Leaf:
        """Return the digest, and the number of bytes that went in raw."""
        return self._hash.digest(), self.n_bytes


def joined(tag: str, *digests: bytes) -> bytes:
    """Return the digest of a sequence of parts."""
    return Framed(tag).count(len(digests)).add(*digests).digest()


# A one-letter tag above 0x7f cannot be the first byte of a Framed message, which is the low byte
# of a short tag's length.
def _none(_: None) -> bytes:
    return xxh3_128_digest(b"\xf0")


def _bool(value: bool) -> bytes:
    return xxh3_128_digest(b"\xf1\x01" if value else b"\xf1\x00")


def _int(value: int) -> bytes:
    n = int(value)
    return xxh3_128_digest(b"\xf2" + n.to_bytes(n.bit_length() // 8 + 1, "little", signed=True))


def double(value: float) -> bytes:
    """Return the eight bytes of a float; every NaN is the same NaN, -0.0 is not 0.0."""
    return struct.pack("<d", value) if value == value else _NAN  # noqa: PLR0124 - NaN differs from itself


def _float(value: float) -> bytes:
    return xxh3_128_digest(b"\xf3" + double(value))


def _complex(value: complex) -> bytes:
    return xxh3_128_digest(b"\xf4" + double(value.real) + double(value.imag))


def text_digest(value: str) -> bytes:
    """Return the digest of a text, whatever it may name."""
    return xxh3_128_digest(b"\xf5" + encoded(value))


def _bytes(value: bytes) -> bytes:
    return xxh3_128_digest(b"\xf6" + value)


def _ellipsis(_: object) -> bytes:
    return xxh3_128_digest(b"\xf7")


def _not_implemented(_: object) -> bytes:
    return xxh3_128_digest(b"\xf8")


#: Digests of the built-in scalars, by exact type.
SCALARS: Mapping[type, Callable[[Any], bytes]] = {
    type(None): _none,
    bool: _bool,
    int: _int,
    float: _float,
    complex: _complex,
    str: text_digest,
    bytes: _bytes,
    type(...): _ellipsis,
    type(NotImplemented): _not_implemented,
}
