"""Other projects' own tests are the same with the plugin; ``tests/neighbours/run.py`` runs more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.loading import load

RUN = Path(__file__).parents[1] / "neighbours" / "run.py"

neighbours = load("kepler_neighbours", RUN)

SAMPLE = [
    "numpy.ma.tests.test_mrecords",
    "pandas.tests.series.methods.test_drop",
    "sklearn.tests.test_dummy",
]


@pytest.mark.parametrize("part", SAMPLE)
def test_another_projects_tests_come_to_the_same_with_the_plugin(part, tmp_path):
    if not neighbours.installed((part,)):
        pytest.skip(f"{part} is not installed")
    assert part in neighbours.QUICK
    assert neighbours.compare(part, tmp_path) == []


def test_a_test_that_comes_to_something_else_is_told(tmp_path):
    tests = (("setup", "a", "passed", None), ("call", "a", "passed", None))
    without = neighbours.Session(0, tests, 1.0, (), "")
    failing = replace(without, found=(tests[0], ("call", "a", "failed", None)))
    assert neighbours.differences(without, without) == []
    assert neighbours.differences(without, failing) == [
        "only without: call a passed None",
        "only with: call a failed None",
    ]
    assert neighbours.differences(without, replace(without, found=tests * 2)) == [
        "the same tests, in another order or number"
    ]
