"""A few of the kills at random times; ``python tests/kills/run.py`` does more than a hundred."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from tests.loading import load

RUN = Path(__file__).parents[1] / "kills" / "run.py"


@pytest.fixture(scope="module")
def kills():
    yield load("kills_run", RUN)
    del sys.modules["kills_run"]


@pytest.mark.parametrize(
    ("kind", "n_kills"), [("kill_trainers", 3), ("kill_ingesters", 6), ("kill_mergers", 3)]
)
def test_nothing_that_was_handed_over_is_lost_or_doubled(kills, tmp_path, kind, n_kills):
    outcome = getattr(kills, kind)(tmp_path, n_kills, random.Random(1))
    assert outcome.faults == []
    assert outcome.n_found == outcome.n_handed_over > 0
    assert outcome.n_doubled == 0
    assert outcome.n_landed > 0
