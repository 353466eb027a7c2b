"""What is known of items without asking pytest for each."""

from __future__ import annotations

from pytest_kepler.harness.items import Locations

TESTS = """
    import functools
    import unittest
    import pytest

    def again(function):
        @functools.wraps(function)
        def inner(*args, **kwargs):
            return function(*args, **kwargs)
        return inner

    @pytest.mark.parametrize("n", [1, 2])
    def test_plain(n):
        pass

    @again
    @pytest.mark.parametrize("n", [1, 2])
    def test_wrapped(n):
        pass

    class Common:
        @pytest.mark.parametrize("n", [1, 2])
        def test_inherited(self, n):
            pass

    class TestOne(Common):
        pass

    class TestOther(Common):
        class TestWithin(Common):
            pass

    class TestCase(unittest.TestCase):
        def test_case(self):
            pass

    test_alias = test_plain
"""


def test_each_item_is_where_pytest_says(pytester):
    pytester.makepyfile(TESTS)
    pytester.mkpydir("below").joinpath("test_below.py").write_text(
        "from test_each_item_is_where_pytest_says import test_plain\n", "utf-8"
    )
    pytester.makepyfile(example='"""\n>>> 1\n1\n"""')
    pytester.syspathinsert()
    items, _ = pytester.inline_genitems("--doctest-modules")
    locations = Locations()
    found = [locations.of(item) for item in items]
    assert found == [item.location for item in items]
    assert len(found) == 16
