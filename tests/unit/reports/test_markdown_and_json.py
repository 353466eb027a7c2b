from __future__ import annotations

import dataclasses
import json
import math
import re

from pytest_kepler import judging
from pytest_kepler.reports import summary
from pytest_kepler.reports.jsonout import render_json
from pytest_kepler.reports.markdown import escape, render_markdown


def test_every_row_of_a_markdown_table_has_as_many_cells(session, whole_journal):
    for report in (session, whole_journal):
        tables = re.findall(r"(?:^\|.*\n)+", render_markdown(report), re.MULTILINE)
        assert tables
        for table in tables:
            rows = [re.findall(r"(?<!\\)\|", line) for line in table.splitlines()]
            assert len({len(row) for row in rows}) == 1


def test_the_users_text_is_shown_as_it_is():
    assert escape("a|b <img> `x` *y* [z](u)\nnext") == (r"a\|b \<img\> \`x\` \*y\* \[z\](u) next")
    assert escape("_a_ log_loss __b") == r"\_a\_ log_loss \_\_b"
    assert "@octocat" not in escape("thanks @octocat")


def test_an_empty_journal_is_markdown_too(session):
    report = summary.journal_report([], journal="j.duckdb", now=session.now)
    assert "no runs yet" in render_markdown(report)


def test_json_holds_what_the_tables_show(session):
    content = json.loads(render_json(session))
    svm = content["experiments"][0]
    assert content["kind"] == "session"
    assert svm["configurations"][svm["best"]]["params"] == {
        "kernel": "rbf",
        "C": 10,
        "gamma": "scale",
    }
    assert svm["outcomes"] == {"passed": 11, "duplicate": 3, "failed": 1, "blocked": 3}
    assert [each["status"] for each in svm["thresholds"]] == ["reached", "missed"]
    assert svm["best_so_far"]["status"] == "unbeaten"
    assert svm["saved_seconds"] == 12.0
    assert svm["findings"][0]["code"] == "K303"
    assert [each["status"] for each in content["gates"]] == ["passed", "failed"]
    assert len(content["shared"][0]["entries"]) == 2


def test_json_of_a_journal_holds_its_notes(whole_journal):
    content = json.loads(render_json(whole_journal))
    assert content["kind"] == "journal"
    assert "gates" not in content
    notes = [note for each in content["experiments"] for note in each["notes"]]
    assert [note["text"] for note in notes] == ["Above C=10 nothing changes."]


def test_numbers_that_json_lacks_are_texts(runs, session):
    run = dataclasses.replace(
        runs[0], metrics={"a": math.nan, "b": math.inf, "c": -math.inf, "accuracy": 1.0}
    )
    report = summary.session_report(judging.assess([run]), journal="j", now=session.now)
    text = render_json(report)
    metrics = json.loads(text)["experiments"][0]["configurations"][0]["metrics"]
    assert [metrics[name]["mean"] for name in "abc"] == ["NaN", "Infinity", "-Infinity"]
