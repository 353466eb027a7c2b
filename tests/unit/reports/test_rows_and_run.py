from __future__ import annotations

import dataclasses
import math
import re
from datetime import UTC, datetime

import pytest

from pytest_kepler.reports.layout import cells
from pytest_kepler.reports.rows import render_rows
from pytest_kepler.reports.run import render_run


def test_numbers_stand_at_the_right_and_texts_at_the_left():
    text = render_rows(["name", "n"], [["a", 1], ["long", 100], ["b", None]])
    assert text == "name    n\na       1\nlong  100\nb\n"


@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_long_cell_is_clipped_to_the_width(width):
    text = render_rows(["id", "message"], [["ab", "x" * 200]], width=width)
    assert max(map(cells, text.splitlines())) <= width
    assert "…" in text


def test_too_many_columns_become_a_list_a_row():
    columns = [f"column_{n}" for n in range(20)]
    text = render_rows(columns, [range(100000, 100020), range(100020, 100040)], width=80)
    lines = text.splitlines()
    assert lines[0].startswith("1 of 2 rows")
    assert "column_19  100019" in lines
    assert max(map(cells, lines)) <= 80


def test_ids_and_times_are_shortened_before_anything_is_clipped():
    ids = ["0d6cd374bf1e1c32b429", "3a9881a76b20b031d108"]
    rows = [
        [one, f"a/test_x.py::test_x[{at}]", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), at / 3]
        for at, one in enumerate(ids)
    ]
    wide, narrow = (render_rows(["id", "node", "at", "n"], rows, width=n) for n in (80, 60))
    assert "0d6cd374bf1e1c32b429  a/test_x.py::test_x[0]  2026-01-02 03:04:05" in wide
    assert "0d6cd374  test_x[0]  2026-01-02 03:04" in narrow
    assert "…" not in narrow


def test_ids_that_would_no_longer_differ_are_not_shortened():
    rows = [[f"{file}.py::test_x", "y" * 60] for file in ("one", "two")]
    assert "one.py::test_x  yyy" in render_rows(["node", "text"], [*rows, ["a", "b"]], width=40)


def test_what_is_the_same_in_all_rows_of_a_wide_table_is_told_once():
    rows = [[n, "x" * 50, "y" * 50, None] for n in range(2)]
    text = render_rows(["n", "a", "b", "c"], rows, width=60)
    assert text.startswith("n\n0\n1\n\nall with")
    assert f"a={'x' * 50} · b={'y' * 50} · c empty" in " ".join(text.split())
    assert max(map(cells, text.splitlines())) <= 60


def test_numbers_and_times_are_never_clipped():
    time = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    text = render_rows(["n", "at", "text"], [[123456, time, "x" * 90]], width=40)
    assert re.search(r"123456  2026-01-02  x+…", text)


def test_json_in_a_cell_has_few_digits():
    text = render_rows(["metrics"], [['{"accuracy":0.9583333333333334,"a":[0.1]}'], ["{no"]])
    assert text == 'metrics\n{"accuracy": 0.958333, "a": [0.1]}\n{no\n'


def test_a_long_value_of_a_list_has_some_lines():
    columns = [f"column_{n}" for n in range(20)]
    text = render_rows(columns, [["word " * 200, *range(19)]], width=80)
    assert 4 < sum("word" in line for line in text.splitlines()) < 9
    assert "…" in text


def test_values_of_every_kind_are_one_line():
    row = [None, math.nan, True, {"C": [1, 2]}, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "a\nb"]
    text = render_rows(list("abcdef"), [row], width=140)
    assert text.splitlines()[1].split(maxsplit=1) == [
        "NaN",
        'True  {"C": [1, 2]}  2026-01-02 03:04:05  a b',
    ]


def test_no_rows_are_said():
    assert render_rows(["a"], []) == "no rows\n"


def test_markdown_rows_are_never_clipped():
    text = render_rows(["a"], [["x" * 200]], "markdown", width=20)
    assert "x" * 200 in text
    assert text.startswith("| a |\n| --- |\n")


@pytest.fixture
def detail(runs, session) -> dict:
    run = dataclasses.replace(
        runs[0], seed=0, commit="0123456789abcdef", dirty=True, hypothesis="It works."
    )
    return {
        "run": run,
        "curves": {"loss": [(step, 1 / (step + 1)) for step in range(50)], "single": [(None, 1.0)]},
        "findings": [session.sections[0].findings[0].finding],
        "notes": [{"text": "Good enough.", "noted_at": session.now}],
        "facts": {"rows": 1797},
        "duplicates": ["a", "b"],
        "models": [{"name": "model", "kind": "sklearn.svm.SVC", "params": {"C": 0.1}}],
        "datasets": [{"name": "digits", "shape": [1797, 64], "n_bytes": 920064}],
        "artifacts": [{"name": "model", "kind": "model", "n_bytes": 2048, "path": "a/b.skops"}],
        "environment": {"python": "3.11.9", "sklearn": "1.9"},
        "code": {"test_svm": "def test_svm():\n    assert 1  # " + "x" * 200},
        "session": {"args": ["-m", "experiment"], "host": "laptop", "diff": "+a\n-b\n"},
    }


def test_a_run_is_shown_with_all_that_is_known(detail, session):
    text = render_run(detail, 140, now=session.now)
    for part in (
        "run 3f2a9100  passed",
        "“It works.”",
        "2026-11-24 11:30 UTC (30 min ago) · 1.5 s · seed 0 ·",
        "repeated by 2 duplicates",
        "new: data changed since run 77aa01 (digits)",
        "accuracy",
        "50 steps, 0.02 to 1",
        "█",
        "K303 warning",
        "fix: Put a StandardScaler",
        "Good enough. (2026-11-24)",
        "model: sklearn.svm.SVC, C=0.1",
        "digits 1797 x 64, 898 kB",
        "model: a/b.skops (model, 2 kB)",
        "0123456789 with uncommitted changes",
        "-m experiment",
        "    def test_svm():",
        "        assert 1  # xxx",
    ):
        assert part in text


@pytest.mark.parametrize("width", [40, 80, 140])
def test_no_line_of_a_run_is_wider_than_the_terminal(detail, session, width):
    text = render_run(detail, width, now=session.now)
    assert max(map(cells, text.splitlines())) <= width


def test_a_run_of_which_little_is_known_is_short(runs):
    run = dataclasses.replace(runs[0], params={}, metrics={}, why_new="")
    assert "parameters" not in render_run({"run": run})


def test_a_run_in_ascii_can_be_written_as_such(detail):
    assert render_run(detail, 80, encoding="ascii").encode("ascii")


def test_folds_stand_in_the_line_of_their_mean(runs):
    metrics = {"accuracy": 0.99, "accuracy_fold": 0.98, "accuracy_std": 0.01, "loss_std": 2.0}
    run = dataclasses.replace(runs[0], metrics=metrics)
    folds = [(step, value) for step, value in enumerate([0.98, 1.0, 1.0])]
    text = render_run({"run": run, "curves": {"accuracy_fold": folds}}, 100)
    assert re.search(r"  accuracy +0\.99 ± 0\.01  ▁█+  3 folds, 0\.98 to 1\n", text)
    assert "accuracy_" not in text
    assert re.search(r"  loss_std +2\n", text)


def test_a_curve_that_never_moves_is_said(runs):
    text = render_run({"run": runs[0], "curves": {"lr": [(0, 0.1), (1, 0.1)]}}, 100)
    assert re.search(r"lr +0\.1 +2 steps, all 0\.1\n", text)


def test_the_findings_that_blocked_a_run_are_told_once(runs, session):
    finding = session.sections[0].findings[0].finding
    other = dataclasses.replace(finding, message="another one")
    run = dataclasses.replace(
        runs[0], status="blocked", message="K303 in experiment.fit\nK303 error  X_train: …"
    )
    text = render_run({"run": run, "findings": [finding, other]}, 100)
    assert "  K303 in experiment.fit\n\n" in text
    assert text.count("X_train") == 2
    assert text.count("fix:") == 1


def test_a_mapping_among_facts_is_told_as_settings(runs):
    text = render_run({"run": runs[0], "facts": {"stop": {"monitor": "loss", "patience": 4}}})
    assert "stop  monitor=loss, patience=4" in text


def test_a_container_of_data_tells_how_much_it_holds(runs):
    data = [{"name": "digits", "kind": "tuple", "shape": [6], "n_bytes": 1024}]
    assert "digits, 6 parts, 1 kB" in render_run({"run": runs[0], "datasets": data})


def test_a_failure_is_shown_line_by_line(runs):
    run = dataclasses.replace(runs[0], status="failed", message="assert 1 == 2\n  where 1 = f()")
    text = render_run({"run": run})
    assert "  assert 1 == 2\n  where 1 = f()\n" in text
