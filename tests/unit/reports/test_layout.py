from __future__ import annotations

import math
from datetime import timedelta

import pytest

from pytest_kepler.reports import wording
from pytest_kepler.reports.layout import (
    Column,
    Row,
    Style,
    Table,
    cells,
    clip,
    draw,
    fit,
    sparkline,
    wrap,
)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, ""),
        (math.nan, ""),
        (0.0004, "0 ms"),
        (0.012, "12 ms"),
        (0.0996, "0.1 s"),
        (1.24, "1.2 s"),
        (9.96, "10 s"),
        (59.7, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_read_as_people_say_them(seconds, expected):
    assert wording.duration(seconds) == expected


@pytest.mark.parametrize(
    ("ago", "expected"),
    [
        ({"seconds": 5}, "just now"),
        ({"minutes": 5}, "5 min ago"),
        ({"hours": 2}, "2 h ago"),
        ({"hours": 30}, "yesterday"),
        ({"days": 3}, "3 days ago"),
        ({"days": 60}, "2026-09-25"),
        ({"seconds": -5}, "just now"),
        ({"days": -1}, "2026-11-25"),
    ],
)
def test_ages_read_as_people_say_them(session, ago, expected):
    assert wording.age(session.now - timedelta(**ago), session.now) == expected


def test_a_time_without_a_zone_is_utc(session):
    naive = session.now.replace(tzinfo=None) - timedelta(hours=2)
    assert wording.age(naive, session.now) == "2 h ago"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.98714, "0.9871"),
        (1234567.8, "1234568"),
        (1e9, "1e+09"),
        (0.00001234, "1.234e-05"),
        (math.nan, "NaN"),
        (-math.inf, "-inf"),
        (True, "True"),
        (3, "3"),
        (None, ""),
    ],
)
def test_numbers_have_few_digits(value, expected):
    assert wording.number(value) == expected


def test_a_column_is_aligned_by_its_largest_number():
    assert wording.decimals([0.9871, 0.02]) == 4
    assert wording.decimals([12.3, 0.5]) == 2
    assert wording.decimals([1234.0]) == 0
    assert wording.decimals([1000.0, 0.001]) is None
    assert wording.decimals([math.nan]) == 0


def test_the_line_of_an_assertion_that_says_most_is_found():
    assert wording.first_line("def f():\n>   assert x\nE   assert 1 == 2\n") == "assert 1 == 2"
    assert wording.first_line("\nAssertionError: no\nmore") == "no"
    assert wording.first_line("") == ""


def test_wide_characters_take_two_columns_and_combining_ones_none():
    assert cells("大e\N{COMBINING ACUTE ACCENT}") == 3


@pytest.mark.parametrize("width", range(1, 9))
def test_a_clipped_text_has_the_width(width):
    for text in ("abcdefgh", "大きいです"):
        assert cells(clip(text, width)) <= width


def test_a_long_word_is_cut_across_lines():
    lines = wrap("a " + "x" * 25, 10, first="  ", rest="    ")
    assert max(map(cells, lines)) <= 10
    assert "".join(lines).replace(" ", "") == "a" + "x" * 25


def test_a_separator_stays_at_the_end_of_its_line():
    assert wrap("one · two", 6) == ["one ·", "two"]


def test_the_widest_columns_give_way_first():
    assert fit([30, 5, 20], 40, [6, 5, 6]) == [17, 5, 18]
    assert fit([30, 5, 20], 40, [30, 5, 6]) == [30, 5, 6]
    assert fit([3, 4], 40, [3, 4]) == [3, 4]


def test_columns_of_the_highest_rank_go_first():
    columns = (Column("name"), Column("much", rank=1), Column("more", rank=2))
    table = Table(columns, (Row(("n" * 8, "m" * 8, "o" * 8)),))
    assert draw(table, Style(width=18))[0].split() == ["name", "much"]
    assert draw(table, Style(width=40))[0].split() == ["name", "much", "more"]


def test_a_curve_goes_from_its_lowest_to_its_highest_bar():
    assert sparkline([0, 1, 2, 3], 10, "▁▂▃▄") == "▁▂▃▄"
    assert sparkline([1, 1], 10, "▁▂▃▄") == "▁▁"
    assert sparkline([0, math.nan, math.inf, 3], 10, "▁▂▃▄") == "▁  ▄"
    assert len(sparkline(range(1000), 40, "▁▂▃▄")) == 40
    assert sparkline(range(1000), 40, "▁▂▃▄")[-1] == "▄"
    assert sparkline([], 40, "▁▂▃▄") == ""
