from __future__ import annotations

import dataclasses
import re

import pytest

from pytest_kepler import judging
from pytest_kepler.records import ExperimentSpec, Finding
from pytest_kepler.reports import summary
from pytest_kepler.reports.layout import cells
from pytest_kepler.reports.remarks import describe_finding
from pytest_kepler.reports.terminal import progress_line, render_terminal

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def report_of(runs, now, **more):
    spec = ExperimentSpec(metric="accuracy")
    assessments = judging.assess(runs, specs={runs[0].experiment: spec})
    return summary.session_report(assessments, journal="j", now=now, **more)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "no-such"])
def test_no_line_is_wider_than_the_terminal(session, whole_journal, width, encoding):
    for report in (session, whole_journal):
        text = render_terminal(report, width, encoding=encoding)
        assert max(map(cells, text.splitlines())) <= width


def test_colour_adds_codes_and_changes_nothing_else(session, whole_journal):
    for report in (session, whole_journal):
        plain, coloured = (render_terminal(report, 80, colour) for colour in (False, True))
        assert "\x1b" not in plain
        assert ANSI.search(coloured)
        assert ANSI.sub("", coloured) == plain


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_the_text_can_be_written_in_the_streams_encoding(session, encoding):
    sections = [
        dataclasses.replace(
            section,
            assessment=dataclasses.replace(section.assessment, hypothesis="größer ≥ 大きい"),
        )
        for section in session.sections
    ]
    text = render_terminal(
        dataclasses.replace(session, sections=tuple(sections)), encoding=encoding
    )
    assert text.encode(encoding)


def test_a_wide_terminal_shows_more_metrics(session):
    assert "precision" not in render_terminal(session, 80)
    assert "precision" in render_terminal(session, 140)


def test_parameters_for_which_there_is_no_room_are_named(runs, session):
    wide = [
        dataclasses.replace(run, params={f"parameter_{n}": f"{at} long text" for n in range(20)})
        for at, run in enumerate(runs[:3])
    ]
    text = render_terminal(report_of(wide, session.now), 80)
    assert re.search(r"… too wide for parameter_\d+, parameter_\d+", text)
    assert "0.9060" in text


def test_a_long_grid_shows_the_best_the_worst_and_how_many_between(runs, session):
    grid = [
        dataclasses.replace(
            runs[0], run_id=f"{n:020x}", params={"n": n}, metrics={"accuracy": n / 100}
        )
        for n in range(60)
    ]
    text = render_terminal(report_of(grid, session.now), 80)
    assert "… 48 more between, accuracy 0.49 to 0.02" in text
    table = [line for line in text.splitlines() if re.search(r" 0\.\d{4} ", line)]
    assert len(table) == 12
    assert table[0].startswith("  ★  59")
    assert "0.0000" in table[-1]


def test_control_characters_of_the_users_never_reach_the_terminal(runs, session):
    evil = "\x1b[2J\nclear\x07"
    run = dataclasses.replace(runs[0], params={evil: evil}, message=evil, hypothesis=evil)
    other = dataclasses.replace(run, run_id="f" * 20, params={evil: 1}, status="failed")
    text = render_terminal(report_of([run, other], session.now), 80)
    assert "\x1b" not in text
    assert "\x07" not in text


def test_reasons_that_differ_only_in_the_run_are_told_once(runs, session):
    new = [
        dataclasses.replace(run, why_new=f"code changed since run {n:04x} (helpers.scale)")
        for n, run in enumerate(runs[:3])
    ]
    text = render_terminal(report_of(new, session.now), 140)
    assert "3 runs: code changed since run 0000 and 2 more (helpers.scale)" in text


def test_parameters_that_were_not_run_before_are_one_reason(runs, session):
    new = [
        dataclasses.replace(run, why_new=f"parameters not run before (C={n})")
        for n, run in enumerate(runs[:3])
    ]
    text = render_terminal(report_of(new, session.now), 80)
    assert "3 runs: parameters not run before\n" in text


def test_the_same_cause_of_a_block_is_told_once(session):
    text = render_terminal(session, 80)
    cause = "3 runs with C=0.1, gamma=0.01: test_digits_are_scaled failed (16 is too much)"
    assert " ".join(text.split()).count(cause) == 1
    assert text.count("test_digits_are_scaled") == 1
    assert "gates        1 of 2 did not pass" in text


def test_what_is_blocked_by_many_sanity_tests_tells_the_first_and_how_many(runs, session):
    gates = [summary.Gate(f"test_{n}.py::test", "failed", 0.1, f"no {n}") for n in range(5)]
    message = "; ".join(f"{gate.node_id} failed" for gate in gates)
    blocked = [
        dataclasses.replace(run, status="blocked", metrics={}, message=message) for run in runs[:2]
    ]
    text = " ".join(render_terminal(report_of(blocked, session.now, gates=gates), 80).split())
    assert "test_0.py::test failed (no 0); test_1.py::test failed (no 1);" in text
    assert "and 2 more" in text


def test_a_failed_sanity_test_that_blocks_nothing_here_is_told_with_the_gates(runs, session):
    gates = [summary.Gate("test_a.py::test_b", "failed", 0.1, "AssertionError: two found:")]
    text = render_terminal(report_of(runs[:3], session.now, gates=gates), 80)
    assert "  failed       test_a.py::test_b: two found\n" in text


def test_a_gate_whose_name_ends_another_ones_is_not_mistaken_for_it(runs, session):
    gates = [summary.Gate("b.py::test", "failed", 0.1, "not this one")]
    run = dataclasses.replace(
        runs[0], status="blocked", metrics={}, message="sub/b.py::test failed"
    )
    text = render_terminal(report_of([run], session.now, gates=gates), 80)
    assert "sub/b.py::test failed\n" in text
    assert "b.py::test: not this one" in text


def missing(column, n=1):
    return Finding(
        code="K304",
        name="non-finite-input",
        severity="warning",
        message=f"{n} values of 1,258 in {column} are missing.",
        location=column,
        measured={"missing": n, "infinite": 0, "rows": [3, 5], "n": 1258},
        threshold={"missing": 0},
        fix="Impute them.",
    )


def test_findings_of_one_kind_are_one_entry(runs, session):
    found = [("", missing(f"column '{name}'", n)) for n, name in enumerate("abcde", start=2)]
    text = render_terminal(report_of(runs[:3], session.now, findings=found), 80)
    assert (
        "  K304 warning 2 values of 1,258 in column 'a' are missing. Likewise columns\n"
        "               'b', 'c', 'd' and 1 more.\n"
        "               fix: Impute them.\n"
    ) in text
    assert text.count("K304") == 1


def test_places_that_have_no_kind_in_common_are_listed_as_they_are(runs, session):
    places = ["X_train", "epochs 1 to 5", "column 'a b'"]
    found = [("", missing(place)) for place in places]
    text = render_terminal(report_of(runs[:3], session.now, findings=found), 140)
    assert "Likewise epochs 1 to 5; column 'a b'." in text


def test_a_place_and_a_measure_that_the_message_lacks_are_told(session):
    finding = dataclasses.replace(missing("X"), message="some values of an axis are missing")
    assert describe_finding(finding) == (
        "X: some values of an axis are missing (measured missing=1, infinite=0, n=1258; "
        "limit missing=0)"
    )


def test_a_first_run_and_a_repetition_that_was_asked_for_need_no_reason(runs, session):
    for reason in ("first run", "asked for by --kepler-duplicates=run"):
        plain = [dataclasses.replace(run, why_new=reason) for run in runs[:3]]
        assert reason not in render_terminal(report_of(plain, session.now), 80)


def test_the_best_so_far_is_not_told_where_nothing_was_executed(runs, session):
    old = [
        dataclasses.replace(run, session_id="x", run_id=f"e{run.run_id[1:]}") for run in runs[:3]
    ]
    again = [
        dataclasses.replace(run, status="duplicate", duplicate_of=past.run_id)
        for run, past in zip(runs[:3], old, strict=True)
    ]
    spec = ExperimentSpec(metric="accuracy")
    for own, is_told in ((again, False), ([*again[:2], runs[2]], True)):
        assessments = judging.assess(own, earlier=old, specs={runs[0].experiment: spec})
        report = summary.session_report(assessments, journal="j", now=session.now)
        assert ("best so far" in render_terminal(report, 100)) is is_told


def cross_validated(run, **more):
    logged = {"accuracy": 0.99, "accuracy_fold": 0.98, "accuracy_std": 0.01064}
    return dataclasses.replace(run, metrics=logged | more)


def test_a_cross_validated_metric_shows_the_spread_over_its_folds(runs, session):
    text = render_terminal(report_of([cross_validated(runs[0])], session.now), 140)
    assert "0.9900 ± 0.0106" in text
    assert "_fold" not in text
    assert "_std" not in text


def test_a_metric_of_that_name_of_the_users_own_is_a_column(runs, session):
    run = dataclasses.replace(runs[0], metrics={"accuracy": 0.9, "accuracy_std": 0.02})
    text = render_terminal(report_of([run], session.now), 140)
    assert "accuracy_std" in text
    assert "±" not in text


def test_metrics_that_tell_nothing_apart_are_no_columns(runs, session):
    logged = [{"accuracy": a, "same": 0.5, "copy": a, "f1": a / 2} for a in (0.8, 0.9)]
    other = [
        dataclasses.replace(run, metrics=metrics, params={"C": run.run_id})
        for run, metrics in zip(runs, logged, strict=False)
    ]
    header = next(
        line
        for line in render_terminal(report_of(other, session.now), 140).splitlines()
        if "status" in line
    )
    assert header.split()[1:4] == ["accuracy", "f1", "time"]


def test_a_run_that_passed_and_logged_nothing_has_its_row(runs, session):
    silent = [dataclasses.replace(run, metrics={}) for run in runs[:3]]
    text = render_terminal(report_of(silent, session.now), 80)
    assert re.search(r"1\.5 s +new +3f2a9102\n", text)


def test_a_run_that_is_no_ground_to_skip_is_told_with_the_reason(runs, session):
    reason = "the fixture 'digits' was changed in place"
    unsound = [dataclasses.replace(run, unsound=reason) for run in runs[:2]]
    text = render_terminal(report_of(unsound, session.now), 140)
    assert f"unsound      2 runs: {reason}" in text


def test_of_how_many_values_a_mean_is_is_a_column_only_where_it_differs(runs, session):
    whole = [run for run in runs if run.params["C"] == 10]
    assert not re.search(r"  n   time", render_terminal(report_of(whole, session.now), 140))
    cut = [*whole[:-1], dataclasses.replace(whole[-1], status="interrupted", metrics={})]
    text = render_terminal(report_of(cut, session.now), 140)
    assert re.search(r"  n   time", text)
    assert "(n=" not in text


def test_what_duplicates_saved_is_told(session):
    assert "3 runs not trained again · 12 s saved" in render_terminal(session, 80)


def test_changed_data_is_said_instead_of_compared(runs, session):
    old = [
        dataclasses.replace(run, session_id="x", eval_hash="other", run_id=f"e{run.run_id[1:]}")
        for run in runs[:3]
    ]
    spec = ExperimentSpec(metric="accuracy")
    assessments = judging.assess(runs[:3], earlier=old, specs={runs[0].experiment: spec})
    report = summary.session_report(assessments, journal="j", now=session.now)
    text = render_terminal(report, 100)
    assert "not compared: the data changed since run ef2a9102" in text


def test_an_empty_journal_gets_a_friendly_line(session):
    report = summary.journal_report([], journal=".kepler/journal.duckdb", now=session.now)
    text = render_terminal(report, 80)
    assert "has no runs yet" in text
    assert "pytest -m experiment" in text.replace("\n", " ")


def test_a_waived_finding_tells_its_reason(session):
    section = session.sections[0]
    finding = dataclasses.replace(section.findings[0].finding, waiver="trees do not mind")
    waived = dataclasses.replace(section, findings=(summary.FoldedFinding(finding, ("a",)),))
    text = render_terminal(dataclasses.replace(session, sections=(waived,)), 80)
    assert "K303 waived" in text
    assert "waived: trees do not mind" in text


def test_equal_findings_are_told_once_and_errors_come_first(runs, session):
    warning = session.sections[0].findings[0].finding
    error = dataclasses.replace(warning, code="K304", severity="error")
    found = [(run.run_id, warning) for run in runs[:3]] + [(runs[0].run_id, error)]
    report = report_of(runs, session.now, findings=found)
    assert [(each.finding.code, len(each.run_ids)) for each in report.sections[0].findings] == [
        ("K304", 1),
        ("K303", 3),
    ]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_the_line_of_a_training_fits(width):
    line = progress_line(
        "test_cnn[a-very-long-id-of-parameters]",
        3,
        10,
        {"loss": 0.31, "val_accuracy": 0.94},
        seconds=12,
        width=width,
    )
    assert cells(line) <= width


def test_the_line_of_a_training_tells_epoch_metrics_and_time_left():
    metrics = {"loss": 0.31234, "val_accuracy": 0.94, "epoch_seconds": 4.0}
    line = progress_line("test_cnn[lr=0.01]", 3, 10, metrics, seconds=12, width=100)
    assert line == ("test_cnn[lr=0.01] epoch 3/10  loss 0.3123  val_accuracy 0.94  12 s, 28 s left")


def test_a_training_of_unknown_length_tells_no_time_left():
    assert progress_line("t", 3, None, {}, seconds=12) == "t epoch 3  12 s"
