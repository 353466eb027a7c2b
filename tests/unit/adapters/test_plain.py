from __future__ import annotations

import datetime as dt
import enum
import functools
import json
import math
import uuid
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from pytest_kepler.adapters.plain import article, class_name, jsonable, short


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 3


@dataclass
class Settings:
    rate: float
    inner: dict[str, int]


class Broken:
    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        ("text", "text"),
        (np.float64(0.1), 0.1),
        (np.longdouble(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.datetime64("2026-01-02"), "2026-01-02"),
        (Colour.RED, "RED"),
        (Level.HIGH, "HIGH"),
        ((1, [2]), [1, [2]]),
        ({3, 1}, [1, 3]),
        ({1: "a", None: "b"}, {"1": "a", "None": "b"}),
        (Settings(0.1, {"n": 1}), {"rate": 0.1, "inner": {"n": 1}}),
        (np.arange(3), [0, 1, 2]),
        (np.zeros((100, 2)), "<numpy.ndarray of float64, shape (100, 2)>"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC), "2026-01-02 03:00:00+00:00"),
        (dt.timedelta(seconds=1), "0:00:01"),
        (Path("a/b"), "a/b"),
        (Decimal("0.1"), "0.1"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (range(3), "range(0, 3)"),
        (1 + 2j, "(1+2j)"),
        (math.sqrt, "math.sqrt"),
        (np.exp, "numpy.exp"),
        (functools.partial(math.sqrt, 2), "partial(math.sqrt)"),
        (Decimal, "decimal.Decimal"),
        (object(), "<object>"),
    ],
)
def test_a_value_is_json_or_described(value, expected):
    found = jsonable(value)
    assert found == expected
    assert type(found) is type(expected)
    json.dumps(found)


def test_an_address_in_memory_is_never_part_of_a_description():
    assert "0x" not in json.dumps(jsonable([object(), lambda: 0, iter([]), Broken()]))


def test_a_container_that_holds_itself_ends():
    loop: list[object] = []
    loop.append(loop)
    assert "<list>" in json.dumps(jsonable(loop))


def test_a_class_of_scikit_learn_has_its_public_name():
    svm = pytest.importorskip("sklearn.svm")
    assert class_name(svm.SVC) == "sklearn.svm.SVC"
    assert class_name(int) == "int"


@pytest.mark.parametrize(
    ("noun", "expected"),
    [("SVC", "an SVC"), ("KMeans", "a KMeans"), ("dict", "a dict"), ("object", "an object")],
)
def test_a_noun_has_its_article(noun, expected):
    assert article(noun) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "'text'"),
        (np.zeros((2, 3)), "an array of shape (2, 3)"),
        (Broken(), "<Broken instance at"),
    ],
)
def test_a_value_is_shown_shortly(value, expected):
    assert short(value).startswith(expected)
    assert len(short("x" * 500)) < 80
