"""The Hypothesis strategy of rows like the user's, and how it shrinks."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, find, given, settings

from pytest_kepler.checks.likeness import Likeness, Place
from pytest_kepler.errors import KeplerUsageError
from pytest_kepler.strategies import rows_like

load_penguins = pytest.importorskip("palmerpenguins").load_penguins
PENGUINS = load_penguins()
QUIET = settings(
    database=None, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)


@QUIET
@given(rows=rows_like(PENGUINS))
def test_one_row_is_drawn_if_nothing_is_said(rows):
    assert rows.shape == (1, 8)
    assert isinstance(rows, pd.DataFrame)


@QUIET
@given(rows=rows_like(PENGUINS, n=7))
def test_so_many_rows_are_drawn_as_are_asked_for(rows):
    assert rows.shape == (7, 8)


def test_rows_of_polars_are_drawn_for_polars():
    polars = pytest.importorskip("polars")
    strategy = rows_like(polars.from_pandas(PENGUINS), n=3)
    found = find(strategy, lambda rows: rows["sex"].null_count() == 0, settings=QUIET)
    assert isinstance(found, polars.DataFrame)


@QUIET
@given(rows=rows_like(np.eye(4), min_rows=2, max_rows=5))
def test_a_range_of_rows_is_drawn(rows):
    assert 2 <= len(rows) <= 5


def test_a_counterexample_shrinks_to_one_real_row():
    rows = rows_like(PENGUINS, min_rows=1, max_rows=20)
    found = find(rows, lambda rows: bool((rows["body_mass_g"] > 5_500).any()), settings=QUIET)
    likeness = Likeness(PENGUINS)
    heavy = [
        row
        for rank in range(len(PENGUINS))
        if (row := likeness.rows([Place(rank)]))["body_mass_g"][0] > 5_500
    ]
    assert sum(row.equals(found) for row in heavy) == 1


def test_what_is_drawn_is_the_same_each_time_where_hypothesis_is_told_so():
    def draw():
        seen = []

        @settings(QUIET, max_examples=20)
        @given(rows=rows_like(PENGUINS, n=2))
        def collect(rows):
            seen.append(rows)

        collect()
        return pd.concat(seen, ignore_index=True)

    pd.testing.assert_frame_equal(draw(), draw())


@pytest.mark.parametrize(
    ("given_", "why"),
    [
        ({"n": 0}, "at least 1 row, got from 0 to 0"),
        ({"min_rows": 3, "max_rows": 2}, "from 3 to 2"),
        ({"n": 2, "max_rows": 4}, "not both"),
        ({"n": 2, "min_rows": 2}, "not both"),
    ],
)
def test_numbers_of_rows_that_contradict_each_other_are_refused(given_, why):
    with pytest.raises(KeplerUsageError, match=why):
        rows_like(PENGUINS, **given_)


def test_without_hypothesis_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis.strategies", None)
    with pytest.raises(KeplerUsageError, match="pip install hypothesis"):
        rows_like(PENGUINS)
