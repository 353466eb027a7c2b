from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_kepler import judging
from pytest_kepler.baseline import BASELINE_FILE, read_baselines, write_baseline
from pytest_kepler.comparing import (
    compare,
    entries_of,
    parse_tolerance,
    read_tolerance,
    require_known,
    vanished,
)
from pytest_kepler.errors import KeplerUsageError
from pytest_kepler.records import BaselineEntry, ExperimentSpec, Run, Tolerance

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NAME = "test_a.py::test_svm"


def assess(*values, name=NAME, status="passed", prefix="run", spec=None, **fields):
    runs = [
        Run(
            run_id=f"{prefix}{seed}",
            session_id="now",
            project="p",
            experiment=name,
            node_id=f"{name}[{seed}]",
            status=status,
            started_at=START + timedelta(seconds=seed),
            params={"seed": seed},
            metrics={} if value is None else {"accuracy": value, "rmse": 1 - value},
            eval_hash=fields.get("eval_hash", "e1"),
            commit="c0ffee",
        )
        for seed, value in enumerate(values)
    ]
    spec = spec or ExperimentSpec(metric="accuracy")
    return judging.assess(runs, specs={name: spec})


def against(now, before, tolerance="1%", **more):
    tolerances = {"accuracy": read_tolerance(tolerance, "t")} if tolerance else {}
    return next(
        one
        for one in compare(now, entries_of(before), tolerances, **more)
        if one.metric == "accuracy"
    )


BASE = assess(0.90, 0.91, 0.92, prefix="old")


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ((0.90, 0.91, 0.92), "held"),
        ((0.895, 0.905, 0.916), "held"),  # worse, and within 1 %
        ((0.87, 0.881, 0.89), "worse"),
        ((0.80, 0.95, 0.93), "noise"),
        ((0.93, 0.941, 0.95), "better"),
    ],
)
def test_a_drop_beyond_the_tolerance_fails_when_it_is_no_noise(values, status):
    found = against(assess(*values), BASE)
    assert found.status == status
    assert found.fails == (status == "worse")


def test_a_single_pair_fails_by_its_value():
    before = assess(0.9, prefix="old")
    assert against(assess(0.88), before).status == "worse"
    assert against(assess(0.895), before).status == "held"


def test_an_absolute_tolerance_is_in_the_metrics_units():
    before = assess(0.9, prefix="old")
    assert against(assess(0.88), before, tolerance=0.03).status == "held"
    assert against(assess(0.86), before, tolerance="0.03").status == "worse"


def test_a_metric_that_is_minimised_is_worse_when_it_is_larger():
    entries = entries_of(BASE)
    found = compare(assess(0.87, 0.881, 0.89), entries, {"rmse": Tolerance(0.01)})
    assert {one.metric: one.status for one in found}["rmse"] == "worse"


def test_replicates_that_only_one_side_has_are_left_out():
    now = assess(0.90, 0.91, 0.92, 0.1)
    assert against(now, BASE).loss == pytest.approx(0)


def test_a_baseline_is_never_the_run_itself():
    assert against(BASE, BASE).status == "itself"


def test_other_data_is_said_and_not_compared():
    found = against(assess(0.1, 0.1, 0.1, eval_hash="e2"), BASE)
    assert found.status == "data-changed"
    assert not found.fails


def test_another_goal_is_said_and_not_compared():
    now = assess(0.5, 0.5, 0.5, spec=ExperimentSpec(metric="accuracy", goal="min"))
    assert against(now, BASE).status == "goal-changed"


@pytest.mark.parametrize("value", [None, math.nan])
def test_no_value_fails(value):
    found = against(assess(value, value, value), BASE)
    assert (found.status, found.fails) == ("no-value", True)


def test_what_was_blocked_is_no_failure_of_its_own():
    now = assess(None, None, None, status="blocked")
    assert compare(now, entries_of(BASE), {"accuracy": Tolerance(0.01)}) == []


def test_without_a_tolerance_the_headline_metric_is_shown_and_never_fails():
    found = compare(assess(0.1, 0.2, 0.1), entries_of(BASE), {})
    assert [(one.metric, one.fails) for one in found] == [("accuracy", False)]
    assert "worse by" in found[0].message


def test_an_experiments_own_tolerance_goes_first():
    spec = ExperimentSpec(metric="accuracy", tolerance={"accuracy": "10%"})
    assert against(assess(0.87, 0.88, 0.89, spec=spec), BASE).status == "held"
    strict = ExperimentSpec(metric="accuracy", tolerance={"accuracy": 0})
    now = assess(0.89, 0.90, 0.91, spec=strict)
    assert against(now, BASE, tolerance=None).status == "worse"


def test_a_part_of_the_grid_never_fails():
    found = against(assess(0.5, 0.5, 0.5), BASE, partial={NAME})
    assert (found.status, found.fails) == ("partial", False)


def test_an_experiment_that_is_new_is_said():
    found = compare(
        assess(0.9, name="test_b.py::test_b"), entries_of(BASE), {"accuracy": Tolerance(0.1)}
    )
    assert [one.status for one in found] == ["new"]


def test_an_experiment_that_vanished_is_named():
    assert vanished(assess(0.9, name="test_b.py::test_b"), entries_of(BASE)) == [NAME]


def test_a_metric_that_the_baseline_does_not_have_is_refused():
    with pytest.raises(KeplerUsageError, match="no metric 'acuracy'; did you mean 'accuracy'"):
        require_known(["acuracy"], entries_of(BASE), "main")


def test_a_metric_of_no_known_goal_is_refused():
    entry = BaselineEntry(NAME, "quality", 0.5, None, {"": 0.5})
    with pytest.raises(KeplerUsageError, match="which way it is better"):
        require_known(["quality"], [entry], "main")


@pytest.mark.parametrize(
    ("text", "metric", "shown"),
    [
        ("accuracy:1%", "accuracy", "1%"),
        ("loss:0.01", "loss", "0.01"),
        ("val/f1 : 2.5 %", "val/f1", "2.5%"),
        ("rmse:1e-3", "rmse", "0.001"),
    ],
)
def test_a_tolerance_is_read(text, metric, shown):
    name, found = parse_tolerance(text)
    assert (name, str(found)) == (metric, shown)


@pytest.mark.parametrize("text", ["accuracy", "accuracy:", ":1%", "accuracy:much", "a:-1%", ""])
def test_a_tolerance_without_a_number_is_refused(text):
    with pytest.raises(KeplerUsageError, match="is no tolerance"):
        parse_tolerance(text)


@pytest.mark.parametrize("value", [-0.1, "much", None, True, math.nan])
def test_a_markers_tolerance_is_checked(value):
    with pytest.raises(KeplerUsageError, match=r"^where must be a number"):
        read_tolerance(value, "where")


TEXTS = st.text(min_size=1, max_size=20)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
ENTRIES = st.builds(
    lambda replicates, **more: BaselineEntry(
        value=math.fsum(one / len(replicates) for one in replicates.values()),
        replicates=replicates,
        **more,
    ),
    experiment=TEXTS,
    metric=TEXTS,
    goal=st.sampled_from(["max", "min", None]),
    replicates=st.dictionaries(TEXTS, NUMBERS, min_size=1, max_size=4),
    params=st.just(""),
)


@given(entries=st.lists(ENTRIES, unique_by=lambda one: (one.experiment, one.metric)), name=TEXTS)
def test_a_written_baseline_reads_back_to_the_same(tmp_path_factory, entries, name):
    path = tmp_path_factory.mktemp("baseline") / BASELINE_FILE
    write_baseline(path, {}, name, entries)
    found = read_baselines(path).get(name, [])

    def key(one):
        return one.experiment, one.metric

    assert sorted(found, key=key) == sorted(entries, key=key)


def test_only_what_ran_is_written_anew(tmp_path):
    path = tmp_path / BASELINE_FILE
    other = entries_of(assess(0.5, name="test_b.py::test_b"))
    write_baseline(path, {}, "main", [*entries_of(BASE), *other])
    write_baseline(path, read_baselines(path), "main", entries_of(assess(0.99, 0.98, 0.99)))
    found = {(one.experiment, one.metric): one.value for one in read_baselines(path)["main"]}
    assert found["test_b.py::test_b", "accuracy"] == 0.5
    assert found[NAME, "accuracy"] == pytest.approx(0.98666, abs=1e-4)


def test_a_line_of_the_file_changes_only_where_a_result_did(tmp_path):
    path = tmp_path / BASELINE_FILE
    write_baseline(path, {}, "main", [*entries_of(BASE), *entries_of(assess(0.5, name="t::b"))])
    before = path.read_text(encoding="utf-8")
    write_baseline(path, read_baselines(path), "main", entries_of(BASE))
    assert path.read_text(encoding="utf-8") == before


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('<<<<<<< HEAD\n[main."t"]\n', "line 1: a merge conflict is not resolved"),
        ("[main", "is no TOML"),
        ("main = 1\n", "'main' must be a table of experiments"),
        ('[main."t".metrics.a]\nvalue = "x"\n', "has no finite number under value"),
        ('[main."t".metrics.a]\nvalue = nan\n', "has no finite number under value"),
        (
            '[main."t".metrics.a]\nvalue = 0.99\nreplicates = { "1" = 0.9, "2" = 0.92 }\n',
            r"value is 0.99, and the mean of its replicates is 0.91\. One of them was edited",
        ),
        ('[main."t".metrics.a]\nvalue = 1\ngoal = "maximum"\n', "has the goal 'maximum'"),
        ('[main."t".metrics.a]\nvalue = 1\nreplicates = 3\n', "replicates must be a table"),
    ],
)
def test_a_broken_file_is_explained(tmp_path, text, sentence):
    path = tmp_path / BASELINE_FILE
    path.write_text(text, encoding="utf-8")
    with pytest.raises(KeplerUsageError, match=sentence):
        read_baselines(path)
