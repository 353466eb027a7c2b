"""The new beside the best so far, on the same data alone."""

from __future__ import annotations

TRAINING = """
    import numpy as np
    import pytest

    @pytest.fixture
    def data():
        return np.arange(5.0)

    @pytest.mark.experiment(metric="accuracy", gate=False)
    def test_fit(experiment, data):
        experiment.log(accuracy=0.9)
"""


def test_a_better_result_on_the_same_data_is_announced_beside_the_earlier_one(project):
    project.write("test_fit.py", TRAINING)
    project.run()
    project.replace("test_fit.py", "accuracy=0.9", "accuracy=0.8")
    worse = project.run().stdout.str()
    assert "best so far" in worse
    assert "0.9" in worse
    project.replace("test_fit.py", "accuracy=0.8", "accuracy=0.95")
    better = project.run().stdout.str()
    assert "best so far" in better
    assert "0.05 ahead" in better or "beaten" in better or "better" in better


def test_results_on_other_data_are_not_compared_and_it_is_said(project):
    project.write("test_fit.py", TRAINING)
    project.run()
    project.replace("test_fit.py", "np.arange(5.0)", "np.arange(6.0)")
    project.replace("test_fit.py", "accuracy=0.9", "accuracy=0.1")
    text = project.run().stdout.str()
    assert "other data" in text or "data changed" in text
    assert "behind" not in text


REPLICATED = """
    import pytest

    @pytest.mark.experiment(metric="accuracy", gate=False)
    @pytest.mark.parametrize("seed", range(3))
    def test_fit(experiment, seed):
        experiment.log(accuracy=0.9 + seed / 100)
"""


def test_one_lucky_seed_is_no_new_best(project):
    project.write("test_fit.py", REPLICATED)
    project.run("-k", "0 or 1")
    text = " ".join(project.run("-k", "2").stdout.str().split())
    assert "better, in other replicates: no new best yet" in text
    assert "a new best" not in text.replace("no new best", "")
    whole = " ".join(project.run().stdout.str().split())
    assert "no new best" not in whole


def test_a_case_that_is_marked_to_be_skipped_is_no_missing_part_of_the_grid(project):
    project.write(
        "test_fit.py",
        REPLICATED.replace("gate=False", "gate=False, at_least=0.5").replace(
            "range(3)", "[0, 1, pytest.param(2, marks=pytest.mark.skip)]"
        ),
    )
    result = project.run()
    assert result.ret == 0
    assert "partial" not in result.stdout.str()
    decided = project.kepler("gate")
    assert decided.stdout.endswith("gate passed: 3 runs\n"), decided.stdout
