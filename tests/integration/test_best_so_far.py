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
