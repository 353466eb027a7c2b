"""A fixed ten of the matrix of invocations; ``python tests/matrix/run.py`` runs all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.loading import load

MATRIX = Path(__file__).parents[1] / "matrix" / "run.py"

matrix = load("kepler_matrix", MATRIX)

SAMPLE = [
    "by an alias",
    "by inheritance over two files",
    "by a hook of conftest",
    "its module skips itself",
    "is never run, without a reason",
    "errs in teardown",
    "fails in a subtest",
    "is left out by --deselect",
    "is left out by --ignore",
    "a need that is deselected",
    "names of all kinds",
    "none; the same again",
]


@pytest.mark.parametrize("name", SAMPLE)
def test_nothing_trains_before_what_guards_it_has_passed(name, tmp_path):
    case = next(case for case in matrix.CASES if case.name == name)
    folder = tmp_path / "project"
    folder.mkdir()
    outcome = matrix.run(case, folder)
    assert outcome.troubles == (), outcome.output
