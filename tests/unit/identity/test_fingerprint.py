"""What a fingerprint tells apart, and what it does not, for Python's own values and objects."""

from __future__ import annotations

import collections
import copy
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import io
import operator
import random
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import types
import uuid
import warnings
import weakref
import zoneinfo
from pathlib import PurePosixPath

import pytest

from pytest_kepler.errors import UnreadableValueError
from pytest_kepler.identity.fingerprint import Print, fingerprint, params_hash, read


class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y


class Slotted:
    __slots__ = ("x",)

    def __init__(self, x):
        self.x = x


class Hostile:
    """Every special method raises."""

    def __init__(self, x):
        object.__setattr__(self, "x", x)

    def _raise(self, *_):
        raise RuntimeError

    __eq__ = __reduce__ = __reduce_ex__ = __repr__ = __bool__ = __len__ = __iter__ = _raise
    __getattr__ = __setattr__ = __getstate__ = __str__ = _raise
    __hash__ = _raise

    @property
    def __class__(self):
        raise RuntimeError


class Lazy:
    def __init__(self, x):
        self.x = x

    @functools.cached_property
    def double(self):
        return 2 * self.x


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Permission(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Settings:
    lr: float
    layers: tuple[int, ...] = (3,)


Named = collections.namedtuple("Named", "a b")  # noqa: PYI024 - as users write it
Other = collections.namedtuple("Other", "a b")  # noqa: PYI024


class Words(list):
    pass


def scale(x, by=2):
    return x * by


def ring(value):
    first: list[object] = [value]
    first.append([first])
    return first


def parent_and_child(value):
    parent, child = Point(value, None), Point(1, None)
    parent.y, child.y = child, parent
    return parent


def two(target):
    """Return a list that holds another, which leads back to the first or to itself."""
    first, second = [1], [2]
    first.append(second)
    second.append(first if target == "first" else second)
    return first


def circle(*numbers):
    members: list[list[object]] = [[number] for number in numbers]
    for position, member in enumerate(members):
        member.append(members[(position + 1) % len(members)])
    return members[0]


def hub(*numbers):
    centre: list[object] = [0]
    centre += [[number, centre] for number in numbers]
    return centre


def nested(depth):
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
NOON = dt.datetime(2026, 1, 1, 12)  # noqa: DTZ001 - naive on purpose

EQUAL = {
    "dict order": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "set order": ({"x", "y", "z"}, {"z", "y", "x"}),
    "long sets": ({str(i) for i in range(99)}, {str(i) for i in reversed(range(99))}),
    "sets of tuples": ({(1, "a"), (2, "b")}, {(2, "b"), (1, "a")}),
    "nan": (float("nan"), -float("nan")),
    "objects": (Point(1, [2]), Point(1, [2])),
    "attribute order": (types.SimpleNamespace(a=1, b=2), types.SimpleNamespace(b=2, a=1)),
    "slots": (Slotted(1), Slotted(1)),
    "hostile": (Hostile(1), Hostile(1)),
    "rings": (ring(1), ring(1)),
    "cycles of objects": (parent_and_child(1), parent_and_child(1)),
    "a cycle twice, a cycle and its copy": ([ring(1)] * 2, [ring(1), ring(1)]),
    "shared or copied": ([[1]] * 2, [[1], [1]]),
    "defaults": (functools.partial(scale, by=3), functools.partial(scale, by=3)),
    "enum": (Colour.RED, Colour(1)),
    "flags": (Permission.READ | Permission.WRITE, Permission(3)),
    "dataclass": (Settings(0.1), Settings(0.1, (3,))),
    "bound method": (Point(1, 2).__init__, Point(1, 2).__init__),
    "sub-list": (Words([1, 2]), Words([1, 2])),
    "counter": (collections.Counter("aab"), collections.Counter("baa")),
    "bytes io": (io.BytesIO(b"x"), io.BytesIO(b"x")),
    "exception": (ValueError("x"), ValueError("x")),
}

DIFFERENT = {
    "int, float": (1, 1.0),
    "int, bool": (1, True),
    "bool, float": (True, 1.0),
    "int, str": (1, "1"),
    "str, bytes": ("a", b"a"),
    "bytes, bytearray": (b"a", bytearray(b"a")),
    "None, str": (None, "None"),
    "zeros": (0.0, -0.0),
    "large ints": (2**64, 2**64 + 1),
    "signs": (128, -128),
    "complex": (1j, 1 + 0j),
    "list, tuple": ([1], (1,)),
    "list, nested": ([1, 2], [[1, 2]]),
    "framing of lists": ([[1], [2]], [[1, 2], []]),
    "framing of texts": (["ab", "c"], ["a", "bc"]),
    "framing of long lists of texts": (["ab", "c"] * 50, ["a", "bc"] * 50),
    "long lists of ints and floats": ([1] * 99, [1.0] * 99),
    "long lists of ints and bools": ([1] * 99, [True] * 99),
    "long lists, who is None": ([None, "a", "b"] * 50, ["a", None, "b"] * 50),
    "long lists of large ints": ([2**70] * 99, [2**70] * 98 + [2**70 + 1]),
    "long lists, one element": ([*range(99)], [*range(98), 0]),
    "list order": ([1, 2], [2, 1]),
    "dict values": ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
    "dict keys": ({1: "a"}, {"1": "a"}),
    "long dict values": (dict(zip(range(99), range(99), strict=True)), dict.fromkeys(range(99), 0)),
    "set, frozenset": ({1}, frozenset({1})),
    "empty containers": ([], {}),
    "dict, object": ({"x": 1, "y": 2}, Point(1, 2)),
    "attribute": (Point(1, 2), Point(1, 3)),
    "classes": (Point(1, 2), types.SimpleNamespace(x=1, y=2)),
    "slot": (Slotted(1), Slotted(2)),
    "hostile": (Hostile(1), Hostile(2)),
    "rings": (ring(1), ring(2)),
    "where a cycle leads back": (two("first"), two("second")),
    "members of a cycle": (two("first"), two("first")[1]),
    "lengths of a cycle": (circle(0, 0, 0, 1), circle(0, 0, 1)),
    "order in a cycle": (hub(1, 2), hub(2, 1)),
    "ring, unrolled": (ring(1), [1, [ring(1)]]),
    "depth": (nested(50_000), nested(50_001)),
    "named tuples": (Named(1, 2), Other(1, 2)),
    "named tuple, tuple": (Named(1, 2), (1, 2)),
    "sub-list, list": (Words([1]), [1]),
    "ordered dict": (
        collections.OrderedDict(a=1, b=2),
        collections.OrderedDict(b=2, a=1),
    ),
    "default factory": (collections.defaultdict(int), collections.defaultdict(list)),
    "deque length": (collections.deque([1], 2), collections.deque([1], 3)),
    "enum members": (Colour.RED, Colour.BLUE),
    "enum, value": (Colour.RED, 1),
    "dataclass field": (Settings(0.1), Settings(0.2)),
    "decimal digits": (decimal.Decimal("1.0"), decimal.Decimal("1.00")),
    "uuid": (uuid.UUID(int=1), uuid.UUID(int=2)),
    "date, datetime": (dt.date(2026, 1, 1), dt.datetime(2026, 1, 1)),  # noqa: DTZ001
    "time zone": (NOON, NOON.replace(tzinfo=BERLIN)),
    "time zones": (NOON.replace(tzinfo=dt.UTC), NOON.replace(tzinfo=BERLIN)),
    "microsecond": (NOON, NOON.replace(microsecond=1)),
    "time": (dt.time(1), dt.time(2)),
    "timedelta": (dt.timedelta(1), dt.timedelta(2)),
    "range": (range(3), range(4)),
    "range, list": (range(3), [0, 1, 2]),
    "slice": (slice(1), slice(2)),
    "pattern flags": (re.compile("a"), re.compile("a", re.IGNORECASE)),
    "memoryview": (memoryview(b"ab"), memoryview(b"ac")),
    "partial": (functools.partial(scale, by=3), functools.partial(scale, by=4)),
    "function": (scale, lambda x, by=2: x + by),
    "defaults": (lambda x=1: x, lambda x=2: x),
    "constants": (lambda x: x + 1, lambda x: x + 2),
    "names": (lambda x: x.a, lambda x: x.b),
    "builtins": (len, sum),
    "classes as values": (Point, Slotted),
    "method's object": (Point(1, 2).__init__, Point(1, 3).__init__),
    "modules": (re, io),
    "paths": (PurePosixPath("a"), PurePosixPath("b")),
    "random states": (random.Random(1), random.Random(2)),
    "item getters": (operator.itemgetter(1), operator.itemgetter(2)),
    "exceptions": (ValueError("x"), ValueError("y")),
}


@pytest.mark.parametrize(("one", "other"), EQUAL.values(), ids=EQUAL)
def test_equal_content_has_one_fingerprint(one, other):
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_different_content_has_different_fingerprints(one, other):
    assert fingerprint(one) != fingerprint(other)


def test_a_fingerprint_is_32_hexadecimal_digits():
    assert re.fullmatch("[0-9a-f]{32}", fingerprint([1]))


def closure_over(number):
    return lambda x: x + number


def test_a_function_counts_by_what_it_closes_over():
    assert fingerprint(closure_over(1)) == fingerprint(closure_over(1))
    assert fingerprint(closure_over(1)) != fingerprint(closure_over(2))


def test_the_code_hook_stands_for_functions_and_methods_of_own_classes():
    def hashes(answer):
        values = (scale, Point(1, 2), Point, [functools.partial(scale, 1)])
        return [read(value, code=lambda _: answer).hash for value in values]

    assert hashes("one") == hashes("one")
    assert not set(hashes("one")) & set(hashes("two"))


def test_an_installed_function_and_class_count_by_name_alone():
    def refuse(function):
        pytest.fail(f"asked for {function}")

    for value in (dt.datetime, re.compile, collections.OrderedDict, decimal.Decimal):
        assert read(value, code=refuse).hash == fingerprint(value)


def test_an_own_module_with_the_name_of_one_of_pythons_is_not_installed(tmp_path, monkeypatch):
    module = types.ModuleType("profile")
    module.__file__ = str(tmp_path / "profile.py")
    monkeypatch.setitem(sys.modules, "profile", module)
    exec("def scale(x):\n    return x", module.__dict__)  # noqa: S102 - a module made by hand
    assert read(module.scale, code=lambda _: "one").hash != read(module.scale).hash


@pytest.mark.parametrize("module", ["own", "__main__"])
def test_a_setting_of_an_own_class_counts_with_its_objects(module):
    def hashed(factor):
        cls = type("Scaler", (), {"factor": factor, "__module__": module})
        return read(cls(), code=lambda _: "").hash

    assert hashed(1) == hashed(1)
    assert len({hashed(1), hashed(2), hashed([1])}) == 3


def test_a_stored_cached_property_does_not_count():
    plain, used = Lazy(1), Lazy(1)
    assert used.double == 2
    assert fingerprint(plain) == fingerprint(used)


def test_shared_parts_are_read_once():
    value: list[object] = [1]
    for _ in range(300):
        value = [value, value]
    assert fingerprint(value) != fingerprint([value])


def test_objects_that_all_know_each_other_are_read_in_linear_time():
    people = [Point(number, None) for number in range(100)]
    for person in people:
        person.y = people
    assert fingerprint(people) == fingerprint(people[0].y)


def test_a_part_of_a_cycle_has_its_own_fingerprint_beside_the_whole():
    whole = two("first")
    apart = [copy.deepcopy(whole), copy.deepcopy(whole[1])]
    assert fingerprint([whole, whole[1]]) == fingerprint(apart)


def test_a_cycle_through_a_set_is_refused():
    holder = Point(1, set())
    holder.y.add(holder)
    with pytest.raises(UnreadableValueError, match="set or a key that leads back"):
        fingerprint(holder)


UNREADABLE = {
    "a lock": threading.Lock,
    "a socket": lambda: socket.socket.__new__(socket.socket),
    "a generator": lambda: (number for number in ()),
    "an iterator (list_iterator)": lambda: iter([]),
    "a thread": threading.Thread,
    "an open file": lambda: io.BufferedReader(io.BytesIO()),
    "a database connection": lambda: sqlite3.Connection.__new__(sqlite3.Connection),
    "a weakref.ReferenceType": lambda: weakref.ref(Point),
    "the module own": lambda: types.ModuleType("own"),
}


@pytest.mark.parametrize("called", UNREADABLE)
def test_what_has_no_content_is_named_with_its_place(called):
    value = {"a": [1, 2, 3, UNREADABLE[called]()]}
    with pytest.raises(TypeError) as caught:
        fingerprint(value)
    message = str(caught.value)
    assert message.startswith(f"value['a'][3]: {called}")
    for way_out in ("@pytest_kepler.dataset", "__kepler_fingerprint__()", "pytest_kepler_finger"):
        assert way_out in message


def test_the_place_leads_through_attributes_keys_and_sets():
    with pytest.raises(UnreadableValueError, match=r"^value\.x\[<tuple>\]\.y: a lock"):
        fingerprint(Point({("a", 1): Point(1, threading.Lock())}, 2))


class Declared:
    def __init__(self, answer):
        self.lock = threading.Lock()
        self.answer = answer

    def __kepler_fingerprint__(self):
        return self.answer


def test_an_object_may_declare_its_fingerprint():
    assert fingerprint(Declared("a")) == fingerprint(Declared("a"))
    assert fingerprint(Declared("a")) != fingerprint(Declared("b"))
    assert fingerprint([Declared("a")]) != fingerprint([Declared("b")])


def test_an_attribute_may_declare_the_fingerprint_too():
    value = Point(threading.Lock(), 1)
    value.__kepler_fingerprint__ = lambda: "version 3"
    assert read(value).is_data


def test_a_declaration_that_is_no_text_is_refused():
    with pytest.raises(UnreadableValueError, match=r"__kepler_fingerprint__\(\) returned int"):
        fingerprint([Declared(1)])


def test_a_declaration_that_raises_is_refused_with_its_reason():
    value = Point(1, 2)
    value.__kepler_fingerprint__ = lambda: 1 / 0
    with pytest.raises(UnreadableValueError, match="ZeroDivisionError: division by zero"):
        fingerprint(value)


def test_a_warning_of_a_library_makes_nothing_unreadable():
    class Warns(Declared):
        def __kepler_fingerprint__(self):
            warnings.warn("old", DeprecationWarning, stacklevel=1)
            return self.answer

    assert fingerprint(Warns("a")) == fingerprint(Warns("a"))


def test_a_declaration_that_raises_a_warning_is_refused():
    class Raises(Declared):
        def __kepler_fingerprint__(self):
            raise UserWarning(self.answer)

    with pytest.raises(UnreadableValueError, match="UserWarning: a"):
        fingerprint(Raises("a"))


def test_the_hook_goes_first_and_may_pass():
    asked: list[object] = []

    def hook(value):
        asked.append(value)
        return "stream" if isinstance(value, Declared) else None

    first, second = Declared("a"), Declared("b")
    point = Point(1, 2)
    assert read([first, 1, "x"], hook=hook).hash == read([second, 1, "x"], hook=hook).hash
    assert read(point, hook=hook).hash == fingerprint(point)
    assert asked == [first, second, point]


def test_containers_and_scalars_are_no_data():
    found = read({"a": [1, 2.0, "x"], "b": Point(1, 2)})
    assert found == Print(found.hash, is_data=False, n_bytes=0, kind="dict", shape=(2,))


def test_parameters_have_types_and_no_order():
    base = params_hash({"a": 1, "b": 2.0})
    assert base == params_hash({"b": 2.0, "a": 1})
    others = ({"a": 1.0}, {"a": True}, {"a": "1"}, {"a": None}, {"c": 1})
    hashes = {params_hash({"b": 2.0, **other}) for other in others} | {base}
    assert len(hashes) == len(others) + 1


def test_an_unreadable_parameter_is_named():
    with pytest.raises(UnreadableValueError, match=r"^model\[0\]: a lock"):
        params_hash({"model": [threading.Lock()]})


SCRIPT = """
import datetime, decimal, enum, dataclasses, sys
import numpy as np
from pytest_kepler.identity.fingerprint import fingerprint
@dataclasses.dataclass
class Settings:
    names: frozenset
values = [1, 2.5, "ä", None, True, b"x", 1j, 2**80, {"b": {1, 2, 3}, "a": frozenset("xyz")},
          {str(i) for i in range(50)}, {("a", i): i for i in range(20)}, decimal.Decimal("1.10"),
          datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc), Settings(frozenset("abc")),
          np.arange(6.0).reshape(2, 3), np.array(["a", None, 1], dtype=object), range(3), len,
          np.random.default_rng(0), np.zeros(2, dtype=[("a", "i4"), ("b", "f8")])]
print(fingerprint(values))
"""
#: Changes only when the encoding does; then every stored identity is another, so think twice.
GOLDEN = "019023f8addaa49bd0d9e72f96f27f22"


@pytest.mark.parametrize("seed", ["0", "4711"])
def test_every_process_and_hash_seed_gives_the_same_fingerprint(seed):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == GOLDEN
