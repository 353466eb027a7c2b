"""``--kepler-smoke``: does it run at all?"""

from __future__ import annotations

import json

import pytest

TRAINING = """
    import numpy as np
    import pytest
    from sklearn.linear_model import LogisticRegression

    @pytest.fixture(scope="session")
    def data():
        rng = np.random.default_rng(0)
        y = np.arange(3000) % 3
        X = rng.normal(size=(3000, 4)) + y[:, None]
        return X, y

    @pytest.mark.sanity
    def test_data(data):
        assert len(data[0]) == 3000

    @pytest.mark.claim("more is better", better={"C": 10}, than={"C": 1})
    @pytest.mark.experiment(metric="accuracy", at_least=0.99)
    @pytest.mark.parametrize("C", [1, 10])
    def test_fit(experiment, data, C):
        X, y = data
        model = LogisticRegression(C=C)
        seen = model.fit
        def fit(X, y):
            experiment.log(rows=len(X), classes=len(set(y)))
            return seen(X, y)
        model.fit = fit
        experiment.fit(model, X, y)
        experiment.evaluate(model, X, y)
        assert experiment.smoke or X.shape == (3000, 4)
"""


@pytest.fixture
def small(project):
    project.write("test_train.py", TRAINING)
    return project


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_trial_is_small_judges_nothing_and_leaves_the_journal_alone(small, workers):
    result = small.run("--kepler-smoke", *workers)
    assert result.ret == 0, result.stdout.str()
    result.assert_outcomes(passed=3)
    text = result.stdout.str()
    assert "at_least" not in text
    assert "more is better" not in text
    assert not (small.path / ".kepler" / "journal.duckdb").exists()
    asked = ("--kepler-query", "select value from metrics where name = 'rows'")
    told = json.loads(small.run("--kepler-smoke", *asked, "--kepler-format=json").stdout.str())
    assert told == [{"value": 30.0}, {"value": 30.0}]


def test_a_trial_is_no_ground_to_skip_and_is_itself_made_each_time(small):
    small.run("--kepler-smoke").assert_outcomes(passed=3)
    small.run("--kepler-smoke").assert_outcomes(passed=3)
    result = small.run()
    assert result.ret == 1  # the threshold, judged now
    result.assert_outcomes(passed=3, failed=1)
    assert {row["rows"] for row in small.query("select metrics->'rows' as rows from runs")} == {
        3000
    }


def test_every_gate_is_taken_in_full(small):
    small.replace("test_train.py", "len(data[0]) == 3000", "len(data[0]) == 30")
    result = small.run("--kepler-smoke")
    assert result.ret == 1
    assert "2 blocked" in result.stdout.str()


def test_a_trial_is_no_baseline(small):
    result = small.run("--kepler-smoke", "--kepler-update-baseline")
    assert result.ret == 4
    assert "--kepler-smoke has no results that could be a baseline" in result.stderr.str()
