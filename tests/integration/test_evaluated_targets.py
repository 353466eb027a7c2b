"""What is evaluated must belong to its target, as what is fitted must: else the run has failed."""

from __future__ import annotations

import pytest

PROGRAM = """
    import numpy as np, pandas as pd, pytest
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import RidgeClassifier

    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X_train, X_test, y_train, y_test = X[:400], X[400:], y[:400], y[400:]
    SHUFFLED = y_test.sample(frac=1, random_state=0)

    def trained(experiment):
        return experiment.fit(RidgeClassifier(), X_train, y_train)
"""
SHUFFLED = """
    @pytest.mark.experiment(metric="accuracy"{mark})
    def test_shuffled(experiment):
        experiment.evaluate(trained(experiment), X_test, SHUFFLED{prefix})
"""


def run(pytester, body, *options):
    pytester.makepyfile(PROGRAM + body)
    return pytester.runpytest_subprocess(*options)


@pytest.mark.parametrize("prefix", ["", ', prefix="val"'])
def test_a_shuffled_target_fails_the_run_before_a_metric_is_computed(pytester, prefix):
    result = run(pytester, SHUFFLED.format(mark="", prefix=prefix))
    result.assert_outcomes(failed=1)
    output = result.stdout.str()
    assert "K115 error" in output
    assert "the same index labels in different orders" in output
    shown = pytester.runpytest_subprocess("--kepler-report", "--kepler-format=json").stdout.str()
    assert '"accuracy": 0' not in shown


def test_a_target_that_is_too_short_is_told_with_both_numbers(pytester):
    body = """
    @pytest.mark.experiment(metric="accuracy")
    def test_short(experiment):
        experiment.evaluate(trained(experiment), X_test, y_test[:50])
"""
    result = run(pytester, body)
    result.assert_outcomes(failed=1)
    assert "The numbers of rows differ: X has 169, y has 50." in result.stdout.str()


def test_where_it_is_meant_it_is_waived_and_the_waiver_is_of_use(pytester):
    mark = ', waive={"K115": "paired by position on purpose"}'
    result = run(pytester, SHUFFLED.format(mark=mark, prefix=""))
    result.assert_outcomes(passed=1)
    assert "met nothing" not in result.stdout.str()


def test_a_project_that_leaves_the_check_out_is_not_asked(pytester):
    pytester.makepyprojecttoml('[tool.kepler]\nignore = ["K115"]\n')
    run(pytester, SHUFFLED.format(mark="", prefix="")).assert_outcomes(passed=1)


def test_a_gate_that_only_warns_lets_it_pass(pytester):
    result = run(pytester, SHUFFLED.format(mark="", prefix=""), "--kepler-gate=warn")
    result.assert_outcomes(passed=1)


def test_rows_that_belong_to_their_target_are_measured_however_they_are_held(pytester):
    body = """
    @pytest.mark.experiment(metric="accuracy")
    def test_sound(experiment):
        model = trained(experiment)
        experiment.evaluate(model, X_test, y_test)
        experiment.evaluate(model, X_test, y_test.reset_index(drop=True), prefix="numbered")
        experiment.evaluate(model, X_test, y_test.to_numpy(), prefix="array")
        experiment.evaluate(model, X_test, list(y_test), prefix="list")
"""
    run(pytester, body).assert_outcomes(passed=1)
