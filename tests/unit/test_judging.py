from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from pytest_kepler import judging
from pytest_kepler.records import ExperimentSpec, Run

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ACCURACY = ExperimentSpec(metric="accuracy")


def run(number: int = 0, accuracy: float | None = None, **fields) -> Run:
    metrics = {} if accuracy is None else {"accuracy": accuracy}
    defaults = {
        "run_id": f"run{number}",
        "session_id": "now",
        "project": "p",
        "experiment": "test_a.py::test_svm",
        "node_id": f"test_a.py::test_svm[{number}]",
        "status": "passed",
        "started_at": START + timedelta(seconds=number),
        "metrics": metrics,
        "eval_hash": "e1",
        "data_hash": "d1",
    }
    return Run(**(defaults | fields))


def over_seeds(C: float, *values: float, first: int = 0, **fields) -> list[Run]:
    return [
        run(first + seed, value, params={"C": C, "seed": seed}, **fields)
        for seed, value in enumerate(values)
    ]


def test_replicates_are_folded_into_mean_and_spread():
    (found,) = judging.configurations(over_seeds(1, 0.8, 0.9, 1.0), ACCURACY)
    assert found.params == {"C": 1}
    assert found.statistics["accuracy"].mean == pytest.approx(0.9)
    assert found.statistics["accuracy"].std == pytest.approx(0.1)
    assert found.statistics["accuracy"].n == 3


def test_a_single_run_has_no_spread():
    (found,) = judging.configurations([run(0, 0.5)], ACCURACY)
    assert found.statistics["accuracy"].std is None


def test_the_mean_of_equal_values_is_that_value():
    (found,) = judging.configurations(over_seeds(1, 0.1, 0.1, 0.1), ACCURACY)
    assert found.value("accuracy") == 0.1
    assert found.statistics["accuracy"].std == 0


def test_only_parameters_named_as_replicates_are_folded():
    spec = ExperimentSpec(metric="accuracy", replicates=("fold",))
    assert len(judging.configurations(over_seeds(1, 0.8, 0.9), spec)) == 2


def test_parameters_of_another_type_are_another_configuration():
    values = [1, 1.0, True, "1", None]
    runs = [run(place, 0.5, params={"x": value}) for place, value in enumerate(values)]
    assert len(judging.configurations(runs, ACCURACY)) == len(values)


def test_the_newest_run_of_a_replicate_counts():
    old, new = run(0, 0.9, params={"C": 1}), run(1, 0.7, params={"C": 1})
    for runs in ([old, new], [new, old]):
        (found,) = judging.configurations(runs, ACCURACY)
        assert found.value("accuracy") == 0.7


def test_a_void_run_does_not_exist():
    assert judging.configurations([run(0, 0.9, status="void")], ACCURACY) == []


@pytest.mark.parametrize("status", ["failed", "error", "blocked", "crashed", "running", "xfailed"])
def test_a_configuration_with_a_run_that_gave_no_result_is_never_best(status):
    runs = [*over_seeds(1, 0.99, 0.99), *over_seeds(2, 0.5, 0.5, first=10)]
    runs.append(run(20, 1.0, params={"C": 1, "seed": 2}, status=status))
    winner = judging.best(judging.configurations(runs, ACCURACY), "accuracy", "max")
    assert winner.params == {"C": 2}


@pytest.mark.parametrize("goal", ["max", "min"])
@pytest.mark.parametrize("diverged", [math.nan, math.inf, -math.inf])
def test_a_diverged_run_is_never_the_best(goal, diverged):
    runs = [run(0, diverged, params={"C": 1}), run(1, 0.5, params={"C": 2})]
    winner = judging.best(judging.configurations(runs, ACCURACY), "accuracy", goal)
    assert winner.params == {"C": 2}


def test_of_equals_the_first_parameters_win_whatever_the_order():
    runs = [run(place, 0.5, params={"C": C}) for place, C in enumerate([10, 9, 100])]
    for order in (runs, runs[::-1]):
        winner = judging.best(judging.configurations(order, ACCURACY), "accuracy", "max")
        assert winner.params == {"C": 9}


def test_the_goal_decides_what_is_best():
    found = judging.configurations(
        [run(0, 0.1, params={"C": 1}), run(1, 0.9, params={"C": 2})], ACCURACY
    )
    assert judging.best(found, "accuracy", "max").params == {"C": 2}
    assert judging.best(found, "accuracy", "min").params == {"C": 1}


def test_a_duplicate_counts_with_the_numbers_of_the_run_it_repeats():
    original = run(0, 0.9, session_id="before", seconds=7.0)
    copy = run(5, status="duplicate", duplicate_of="run0", eval_hash="", seconds=0.0)
    (found,) = judging.configurations([copy], ACCURACY, executed={"run0": original})
    assert found.value("accuracy") == 0.9
    assert found.seconds == 7.0
    assert found.evaluated_on == {"e1"}


@pytest.mark.parametrize("is_known", [True, False])
def test_the_duplicate_of_a_failed_run_has_no_result(is_known):
    original = run(0, 0.9, status="failed", message="assert 0.9 > 1")
    copy = run(
        5, 0.9, status="duplicate", duplicate_of="run0", message="duplicate of failed run run0"
    )
    executed = {"run0": original} if is_known else {}
    (found,) = judging.configurations([copy], ACCURACY, executed=executed)
    assert found.value("accuracy") is None
    assert found.outcomes == ("failed",)


@pytest.mark.parametrize(
    ("limit", "status"),
    [(0.85, "reached"), (0.9, "reached"), (0.91, "missed")],
)
def test_at_least_is_judged_on_the_mean_of_the_best_configuration(limit, status):
    runs = [*over_seeds(1, 0.8, 0.9, 1.0), *over_seeds(2, 0.5, 0.99, 0.5, first=10)]
    spec = ExperimentSpec(metric="accuracy", at_least=limit)
    (outcome,) = judging.judge(runs, spec, whole_grid=True)
    assert outcome.status == status
    assert outcome.value == pytest.approx(0.9)
    assert (outcome.n, outcome.configuration) == (3, {"C": 1})
    assert "at_least" in outcome.message
    assert "accuracy" in outcome.message


def test_other_metrics_are_judged_on_the_headline_metrics_best():
    runs = [
        run(0, params={"C": 1}, metrics={"accuracy": 0.9, "log_loss": 0.5}),
        run(1, params={"C": 2}, metrics={"accuracy": 0.8, "log_loss": 0.1}),
    ]
    spec = ExperimentSpec(metric="accuracy", at_most={"log_loss": 0.2})
    (outcome,) = judging.judge(runs, spec, whole_grid=True)
    assert (outcome.status, outcome.value) == ("missed", 0.5)


def test_without_a_headline_metric_each_is_judged_on_its_own_best():
    runs = [
        run(0, params={"C": 1}, metrics={"accuracy": 0.9, "log_loss": 0.5}),
        run(1, params={"C": 2}, metrics={"accuracy": 0.8, "log_loss": 0.1}),
    ]
    spec = ExperimentSpec(at_least={"accuracy": 0.85}, at_most={"log_loss": 0.2})
    outcomes = judging.judge(runs, spec, whole_grid=True)
    assert [(each.metric, each.status, each.value) for each in outcomes] == [
        ("accuracy", "reached", 0.9),
        ("log_loss", "reached", 0.1),
    ]


def test_a_metric_that_was_never_logged_misses_and_names_the_nearest():
    spec = ExperimentSpec(metric="acuracy", at_least=0.5)
    (outcome,) = judging.judge([run(0, 0.9)], spec, whole_grid=True)
    assert outcome.status == "missed"
    assert outcome.value is None
    for word in ("at_least", "'acuracy'", "never logged", "did you mean 'accuracy'?"):
        assert word in outcome.message


@pytest.mark.parametrize("bound", ["at_least", "at_most"])
def test_nan_misses(bound):
    spec = ExperimentSpec(metric="accuracy", **{bound: 0.5})
    (outcome,) = judging.judge([run(0, math.nan)], spec, whole_grid=True)
    assert outcome.status == "missed"
    assert bound in outcome.message


def test_nan_in_another_metric_than_the_headline_misses():
    runs = [run(0, metrics={"accuracy": 0.9, "loss": math.nan})]
    spec = ExperimentSpec(metric="accuracy", at_most={"loss": 1.0})
    (outcome,) = judging.judge(runs, spec, whole_grid=True)
    assert outcome.status == "missed"
    assert "loss NaN misses at_most=1" in outcome.message


def test_a_near_miss_is_not_rounded_away():
    spec = ExperimentSpec(metric="accuracy", at_least=0.95)
    (outcome,) = judging.judge([run(0, 0.94999)], spec, whole_grid=True)
    assert "accuracy 0.94999 misses at_least=0.95" in outcome.message


def test_a_part_of_the_grid_is_reported_without_failing():
    spec = ExperimentSpec(metric="accuracy", at_least=0.95)
    (outcome,) = judging.judge([run(0, 0.5)], spec, whole_grid=False)
    assert outcome.status == "partial"
    assert "only a part of the grid" in outcome.message


@pytest.mark.parametrize("status", ["interrupted", "pruned", "running"])
def test_a_grid_that_was_cut_short_is_not_judged_as_whole(status):
    spec = ExperimentSpec(metric="accuracy", at_least=0.95)
    runs = [run(0, 0.5, params={"C": 1}), run(1, params={"C": 2}, status=status)]
    (outcome,) = judging.judge(runs, spec, whole_grid=True)
    assert outcome.status == "partial"


def test_all_failed_misses_and_says_how_they_ended():
    spec = ExperimentSpec(metric="accuracy", at_least=0.95)
    runs = [run(0, 0.5, status="failed"), run(1, params={"C": 2}, status="blocked")]
    (outcome,) = judging.judge(runs, spec, whole_grid=True)
    assert outcome.status == "missed"
    assert "(1 blocked, 1 failed)" in outcome.message


def test_a_better_session_beats_the_best_so_far():
    earlier = [run(0, 0.8, session_id="before"), run(1, 0.7, session_id="before", params={"C": 1})]
    found = judging.compare_best([run(5, 0.9)], earlier, ACCURACY)
    assert found.status == "beaten"
    assert found.difference == pytest.approx(0.1)
    assert found.earlier.value("accuracy") == 0.8


def test_the_difference_is_positive_for_an_improvement_under_a_goal_of_min():
    spec = ExperimentSpec(metric="loss", goal="min")
    old = run(0, session_id="before", metrics={"loss": 0.5})
    found = judging.compare_best([run(1, metrics={"loss": 0.4})], [old], spec)
    assert found.status == "beaten"
    assert found.difference == pytest.approx(0.1)


def test_a_duplicate_equals_the_best_so_far():
    old = run(0, 0.8, session_id="before")
    copy = run(1, status="duplicate", duplicate_of="run0")
    assert judging.compare_best([copy], [old], ACCURACY).status == "equalled"


def test_results_on_other_data_are_not_compared():
    old = run(0, 0.99, session_id="before", eval_hash="e0")
    found = judging.compare_best([run(1, 0.5)], [old], ACCURACY)
    assert found.status == "data-changed"
    assert found.difference is None
    assert found.earlier.runs[0].run_id == "run0"


def test_the_data_hash_stands_in_where_nothing_was_evaluated():
    def logged(number, value, **fields):
        return run(number, value, eval_hash="", **fields)

    same = judging.compare_best([logged(1, 0.9)], [logged(0, 0.8, session_id="x")], ACCURACY)
    other = judging.compare_best(
        [logged(1, 0.9)], [logged(0, 0.8, session_id="x", data_hash="d0")], ACCURACY
    )
    assert (same.status, other.status) == ("beaten", "data-changed")


def test_folds_that_are_evaluated_apart_are_compared_fold_by_fold():
    def folds(n, value, **fields):
        return [
            run(fold, value, params={"fold": fold}, eval_hash=f"e{fold}", **fields)
            for fold in range(n)
        ]

    found = judging.compare_best(folds(2, 0.9), folds(5, 0.8, session_id="before"), ACCURACY)
    assert found.status == "beaten"
    assert len(found.earlier.runs) == 2


def test_a_run_that_was_blocked_by_other_data_hides_no_earlier_result():
    good = run(0, 0.8, session_id="before")
    bad = run(1, session_id="later", status="blocked", eval_hash="", data_hash="d-with-nan")
    assert judging.compare_best([run(5, 0.9)], [good, bad], ACCURACY).status == "beaten"


def test_a_later_failure_on_the_same_data_takes_the_earlier_result_away():
    good = run(0, 0.99, session_id="before")
    bad = run(1, session_id="later", status="error", eval_hash="")
    worse = run(2, 0.7, session_id="before", params={"C": 2})
    found = judging.compare_best([run(5, 0.9)], [good, bad, worse], ACCURACY)
    assert found.earlier.params == {"C": 2}


def test_without_earlier_runs_the_session_is_the_first():
    assert judging.compare_best([run(0, 0.9)], [], ACCURACY).status == "first"
    assert judging.compare_best([run(0, status="failed")], [], ACCURACY) is None


def test_the_journal_form_of_a_marker_is_read_back():
    spec = judging.spec_of(
        {"metric": "loss", "goal": {"loss": "min"}, "replicates": ["seed"], "unknown": 1}
    )
    assert spec.replicates == ("seed",)
    assert spec.goal_for("loss") == "min"
    assert spec.at_least is None


def test_experiments_are_assessed_apart_and_the_saving_is_counted():
    old = run(0, 0.8, session_id="before", seconds=30.0)
    copy = run(1, status="duplicate", duplicate_of="run0", spec={"metric": "accuracy"})
    other = run(2, 0.5, experiment="test_a.py::test_knn", spec={"metric": "accuracy"})
    svm, knn = judging.assess([copy, other], earlier=[old])
    assert (svm.experiment, knn.experiment) == ("test_a.py::test_svm", "test_a.py::test_knn")
    assert svm.saved_seconds == 30.0
    assert svm.best.value("accuracy") == 0.8
    assert svm.best_so_far.status == "equalled"
    assert knn.best_so_far is None


def test_in_a_journal_results_on_older_data_are_not_ranked_with_the_newest():
    spec = {"metric": "accuracy"}
    old = run(0, 0.99, session_id="before", params={"C": 1}, eval_hash="e0", spec=spec)
    new = run(1, 0.7, params={"C": 2}, spec=spec)
    (found,) = judging.assess([old, new])
    assert found.best.params == {"C": 2}
    assert [each.is_current for each in found.configurations] == [True, False]


def test_experiments_on_the_same_data_stand_side_by_side_best_first():
    spec = {"metric": "accuracy"}
    runs = [
        run(0, 0.7, experiment="a", spec=spec),
        run(1, 0.9, experiment="b", spec=spec),
        run(2, 0.8, experiment="b", params={"C": 1}, spec=spec),
        run(3, 0.99, experiment="c", eval_hash="e2", spec=spec),
    ]
    (found,) = judging.shared_data(judging.assess(runs))
    assert [(name, each.value("accuracy")) for name, each in found.entries] == [
        ("b", 0.9),
        ("a", 0.7),
    ]


def test_experiments_with_different_metrics_are_listed_but_not_ranked():
    runs = [
        run(0, 0.7, experiment="a", spec={"metric": "accuracy"}),
        run(1, experiment="b", metrics={"f1": 0.5}, spec={"metric": "f1"}),
    ]
    (found,) = judging.shared_data(judging.assess(runs))
    assert found.metric is None
    assert len(found.entries) == 2


def test_without_a_headline_metric_nothing_is_best():
    (found,) = judging.assess([run(0, 0.7)])
    assert found.best is None
    assert found.best_so_far is None
