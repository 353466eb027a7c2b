"""Findings on their way: to the terminal, the journal and JUnit's file, waived or not."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

FAULTY = """
    import numpy as np
    import pytest
    from sklearn.linear_model import LogisticRegression

    @pytest.fixture(scope="session")
    def table():
        rng = np.random.default_rng(0)
        X = rng.normal(size=(200, 3))
        X[5, 1] = np.nan
        return np.c_[X, X[:, 0]], (X[:, 0] + rng.normal(size=200) > 0).astype(int)

    @pytest.mark.experiment(metric="accuracy"{mark})
    @pytest.mark.parametrize("C", [1, 10])
    def test_fit(experiment, table, C):
        experiment.fit(LogisticRegression(C=C), *table)
"""
BLIND = """
    @pytest.mark.sanity
    def test_table(table, sanity):
        assert sanity.data(*table, raises=False)
"""


def write(project, mark="", more=""):
    project.write("test_train.py", FAULTY.replace("{mark}", mark) + more)


def test_what_blocks_a_fit_is_told_with_the_ways_out(project):
    write(project)
    result = project.run()
    assert result.ret == 1
    text = " ".join(result.stdout.str().split())
    assert 'K304 in experiment.fit (if it is meant: waive={"K304": "why"})' in text
    (row,) = project.query("select message from runs where node_id like '%[1]'")
    assert '@pytest.mark.experiment(waive={"K304": "why"})' in row["message"]


def test_a_waiver_holds_until_its_last_day_and_says_when_it_has_ended(project):
    write(project, ', waive={"K304": {"reason": "a gap", "until": "2020-01-31"}, "K301": "copied"}')
    assert project.run().ret == 1
    rows = project.query("select distinct code, waiver, message from checks order by code")
    found = {row["code"]: row for row in rows}
    assert found["K301"]["waiver"] == "copied"
    assert found["K304"]["waiver"] == ""
    assert found["K304"]["message"].endswith("Its waiver ended on 2020-01-31.")


def test_how_a_finding_came_and_went_can_be_asked(project):
    write(project)
    project.run()
    project.replace("test_train.py", "X[5, 1] = np.nan", "pass")
    project.run()
    rows = project.query(
        "select session_id, count(*) filter (where code = 'K304') as n_gaps, "
        "count(*) filter (where code = 'K301') as n_copies "
        "from checks group by session_id order by min(checked_at)"
    )
    assert [(row["n_gaps"], row["n_copies"]) for row in rows] == [(2, 2), (0, 2)]


def test_the_journal_has_what_passed_and_what_could_not_be_judged(project):
    write(project)
    project.run()
    (row,) = project.query("select run_id from runs where node_id like '%[1]'")
    from pytest_kepler.journal import Journal

    facts = Journal(project.path / ".kepler" / "journal.duckdb").run(row["run_id"])["facts"]
    assert "K305" in facts["checks"]["passed"].split()
    assert "K406" in facts["checks"]["not applicable"]["the model is not a network"].split()


def test_junits_file_has_the_findings_of_tests_and_of_fits(project):
    write(project, more=BLIND)
    project.run("--junitxml=report.xml")
    told = {
        case.get("name"): [
            json.loads(one.get("value"))
            for one in case.iter("property")
            if one.get("name") == "kepler_finding"
        ]
        for case in ET.parse(project.path / "report.xml").iter("testcase")  # noqa: S314 - ours
    }
    assert [one["code"] for one in told["test_table"]] == ["K304", "K301"]
    assert {one["code"] for one in told["test_fit[1]"]} == {"K304", "K301"}
    assert told["test_table"][0]["measured"]["missing"] == 1


SECRETIVE = """
    import pandas as pd
    import pytest
    from sklearn.tree import DecisionTreeClassifier

    @pytest.fixture(scope="session")
    def people():
        X = pd.DataFrame({"age": range(4711, 4911), "sex": [0, 1] * 100})
        return DecisionTreeClassifier().fit(X, X.sex), X, X.sex

    @pytest.mark.sanity
    def test_sex_does_not_matter(people, sanity):
        sanity.behaviour(*people, invariant_to=["sex"])

    @pytest.mark.experiment(metric="accuracy")
    def test_fit(experiment, people):
        experiment.log(accuracy=1)
"""


def test_rows_of_data_are_shown_in_the_terminal_and_go_nowhere_else(project):
    project.write("test_people.py", SECRETIVE)
    result = project.run()
    assert "for example row" in result.stdout.str()
    told = str(project.query("select * from checks")) + str(project.query("select * from runs"))
    told += str(project.query("select * from sessions"))
    journal = (project.path / ".kepler" / "journal.duckdb").read_bytes()
    spools = b"".join(one.read_bytes() for one in (project.path / ".kepler").rglob("*.jsonl"))
    assert "K713" in told
    assert b"for example row" not in journal + spools
    result = project.run("--junitxml=report.xml")
    assert "K713" in result.stdout.str()
    assert "for example row" not in (project.path / "report.xml").read_text(encoding="utf-8")
    project.run("--junitxml=report.xml", "-o", "kepler_rows=true")
    assert "for example row" in (project.path / "report.xml").read_text(encoding="utf-8")
