"""Five commits of a real repository, and what CI says of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.loading import load

SCRIPT = Path(__file__).parents[1] / "history" / "run.py"


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    found = load("kepler_history", SCRIPT).history(tmp_path_factory.mktemp("history"))
    return {one.title.partition(":")[0]: one for one in found}


@pytest.mark.parametrize(
    ("commit", "status", "sentence"),
    [
        ("better", 0, "to make it the baseline: pytest --kepler-update-baseline"),
        ("worse", 1, "::error file=test_tumours.py,title=test_model got worse,line="),
        (
            "noise",
            0,
            "more than the tolerance of 0.5%; over 5 pairs that is not told apart from noise",
        ),
        ("other data", 0, "was evaluated on other data than the baseline's"),
        ("removed", 0, "test_tumours.py::test_bayes is in the baseline and not run"),
    ],
)
def test_ci_tells_a_worse_model_from_noise_and_from_other_data(said, commit, status, sentence):
    found = said[commit]
    assert found.status == status, found.output
    assert any(sentence in line for line in found.lines), found.output
