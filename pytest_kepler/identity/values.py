"""Python's own values and containers as canonical content."""

from __future__ import annotations

import array
import collections
import datetime as dt
import decimal
import io
import random
import re
import types
import uuid
import zoneinfo
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pytest_kepler.errors import UnreadableValueError
from pytest_kepler.identity.arrays import feed, pack
from pytest_kepler.identity.framing import UNORDERED, Framed, Item, Kind, text_digest

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping, Sequence

    from pytest_kepler.identity.framing import Leaf, Walk

#: From so many elements on, scalars go in as one buffer instead of a digest each.
_BULK = 16


class Reading(Protocol):
    """What a container needs to know of the reading that it is part of."""

    def places(self, values: Sequence[object]) -> Mapping[int, str]:
        """Return, by position, the names of the files among `values` below their common folder."""

    def names_a_file(self, values: Sequence[object]) -> bool:
        """Tell whether a text among `values` is the path of a file."""


class Containers:
    """Readers of the built-in containers."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self.kinds: Mapping[type, Kind] = {
            list: Kind("list", self._list, asked=False),
            tuple: Kind("tuple", self._tuple, asked=False),
            dict: Kind("dict", self.mapping, asked=False),
            set: Kind("set", self._set, asked=False),
            frozenset: Kind("frozenset", self._frozenset, asked=False),
            types.MappingProxyType: Kind("mappingproxy", self._proxy, asked=False),
            collections.deque: Kind("deque", self._deque, asked=False),
            collections.OrderedDict: Kind("OrderedDict", self._ordered, asked=False),
        }

    def _list(self, value: list[object]) -> Walk:
        return self._sequence("list", value)

    def _tuple(self, value: tuple[object, ...]) -> Walk:
        return self._sequence("tuple", value)

    def _deque(self, value: collections.deque[object]) -> Walk:
        limit = -1 if value.maxlen is None else value.maxlen
        return self._sequence(f"deque {limit}", list(value))

    def _proxy(self, value: types.MappingProxyType[object, object]) -> Walk:
        return self.mapping(dict(value), "mappingproxy")

    def _ordered(self, value: collections.OrderedDict[object, object]) -> Walk:
        framed = Framed("OrderedDict").count(len(value))
        for key, part in value.items():
            framed.add((yield from _key(key)), (yield Item(key), part))
        return framed.leaf()

    def _sequence(self, tag: str, values: Sequence[object]) -> Walk:
        framed = Framed(tag).count(len(values))
        packed = self._bulk(values)
        if packed is not None:
            return framed.text("scalars").add(packed).leaf()
        framed.text("each")
        places = self._reading.places(values)
        for position, part in enumerate(values):
            framed.add(_placed((yield position, part), places.get(position)))
        return framed.leaf()

    def _bulk(self, values: Sequence[object]) -> bytes | None:
        if len(values) < _BULK or self._reading.names_a_file(values):
            return None
        return pack(values)

    def mapping(self, value: Mapping[object, object], tag: str = "dict") -> Walk:
        """Read a mapping; the order in which it was filled does not count."""
        keys = list(value)
        digests: list[bytes] = []
        for key in keys:
            digests += [(yield from _key(key))]
        order = sorted(range(len(keys)), key=digests.__getitem__)
        parts = [value[keys[position]] for position in order]
        framed = Framed(tag).count(len(keys)).add(*sorted(digests))
        packed = self._bulk(parts)
        if packed is not None:
            return framed.text("scalars").add(packed).leaf()
        framed.text("each")
        for position, part in zip(order, parts, strict=True):
            framed.add((yield Item(keys[position]), part))
        return framed.leaf()

    def _set(self, value: set[object]) -> Walk:
        return self._unordered("set", value)

    def _frozenset(self, value: frozenset[object]) -> Walk:
        return self._unordered("frozenset", value)

    def _unordered(self, tag: str, value: Collection[object]) -> Walk:
        values = list(value)
        framed = Framed(tag).count(len(values))
        if len(values) >= _BULK and set(map(type, values)) in ({str}, {int}, {bytes}):
            packed = self._bulk(sorted(values))  # type: ignore[type-var]
            if packed is not None:
                return framed.text("scalars").add(packed).leaf()
        places = self._reading.places(values)
        digests = []
        for position, part in enumerate(values):
            digests.append(_placed((yield UNORDERED, part), places.get(position)))
        return framed.text("each").add(*sorted(digests)).leaf()


def _key(key: object) -> Generator[tuple[object, object], bytes, bytes]:
    # A key names no file, also where a value of the same text would.
    return text_digest(key) if type(key) is str else (yield UNORDERED, key)


def _placed(digest: bytes, place: str | None) -> bytes:
    # Which of several files is which can be told by their names alone.
    return digest if place is None else Framed("at").text(place).add(digest).digest()


def _bytearray(value: bytearray) -> Leaf:
    return Framed("bytearray").raw(value).leaf()


def _memoryview(value: memoryview) -> Leaf:
    framed = Framed("memoryview").text(value.format).count(value.ndim, *(value.shape or ()))
    return framed.raw(value if value.c_contiguous else value.tobytes()).leaf()


def _array(value: array.array[Any]) -> Leaf:
    framed = Framed("array.array").text(value.typecode).count(len(value))
    if value.typecode in "uw":
        return framed.text(value.tounicode()).leaf()
    feed(framed, np.asarray(value))
    return framed.leaf()


def _range(value: range) -> Walk:
    framed = Framed("range")
    for name in ("start", "stop", "step"):
        framed.add((yield f".{name}", getattr(value, name)))
    return framed.leaf()


def _slice(value: slice) -> Walk:
    framed = Framed("slice")
    for name in ("start", "stop", "step"):
        framed.add((yield f".{name}", getattr(value, name)))
    return framed.leaf()


def _decimal(value: decimal.Decimal) -> Leaf:
    return Framed("Decimal").text(str(value)).leaf()


def _uuid(value: uuid.UUID) -> Leaf:
    return Framed("UUID").raw(value.bytes).leaf()


def _pattern(value: re.Pattern[Any]) -> Walk:
    # A pattern may have the text of a file's name; as bytes it never is one.
    text = value.pattern
    framed = Framed("Pattern").text(type(text).__name__).count(value.flags)
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return framed.add((yield ".pattern", data)).leaf()


def _date(value: dt.date) -> Leaf:
    return Framed("date").count(value.toordinal()).leaf()


def _datetime(value: dt.datetime) -> Walk:
    framed = Framed("datetime").count(*value.timetuple()[:6], value.microsecond, value.fold)
    return framed.add((yield ".tzinfo", value.tzinfo)).leaf()


def _time(value: dt.time) -> Walk:
    framed = Framed("time").count(value.hour, value.minute, value.second)
    framed.count(value.microsecond, value.fold)
    return framed.add((yield ".tzinfo", value.tzinfo)).leaf()


def _timedelta(value: dt.timedelta) -> Leaf:
    return Framed("timedelta").count(value.days, value.seconds, value.microseconds).leaf()


def _timezone(value: dt.timezone) -> Walk:
    framed = Framed("timezone").text(value.tzname(None))
    return framed.add((yield ".offset", value.utcoffset(None))).leaf()


def _zone(value: zoneinfo.ZoneInfo) -> Leaf:
    key: str | None = value.key
    if not key:  # made from a file, as typeshed does not know
        msg = "a time zone without a name"
        raise UnreadableValueError(msg)
    return Framed("ZoneInfo").text(key).leaf()


def _bytes_io(value: io.BytesIO) -> Leaf:
    return Framed("BytesIO").count(value.tell()).raw(value.getvalue()).leaf()


def _string_io(value: io.StringIO) -> Leaf:
    return Framed("StringIO").count(value.tell()).text(value.getvalue()).leaf()


def _random(value: random.Random) -> Walk:
    return Framed("Random").add((yield ".state", value.getstate())).leaf()


#: Readers of the standard library's plain values, by exact type.
VALUES: Mapping[type, Kind] = {
    cls: Kind(cls.__name__, read, asked=False)
    for cls, read in (
        (bytearray, _bytearray),
        (memoryview, _memoryview),
        (array.array, _array),
        (range, _range),
        (slice, _slice),
        (decimal.Decimal, _decimal),
        (uuid.UUID, _uuid),
        (re.Pattern, _pattern),
        (dt.date, _date),
        (dt.datetime, _datetime),
        (dt.time, _time),
        (dt.timedelta, _timedelta),
        (dt.timezone, _timezone),
        (zoneinfo.ZoneInfo, _zone),
        (io.BytesIO, _bytes_io),
        (io.StringIO, _string_io),
        (random.Random, _random),
    )
}
