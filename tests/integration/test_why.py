"""``kepler why`` and ``--collect-only``: who guards whom, and what differs from the nearest run."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def lab(project):
    project.standard()
    project.write("conftest.py", (project.path / "conftest.py").read_text() + DEPTH)
    project.replace("test_train.py", "experiment, digits, C", "experiment, digits, depth, C")
    return project


DEPTH = """
@pytest.fixture
def depth():
    return 3
"""
NODE = "test_train.py::test_fit[1-0]"


def told(project, node=NODE):
    (found,) = json.loads(project.kepler("why", node, "--format", "json").stdout)
    return found


def test_what_was_never_run_would_run(lab):
    found = told(lab)
    assert found["verdict"] == "would run: first run"
    assert found["guards"] == [
        {
            "node_id": "test_train.py::test_digits_are_finite",
            "because": "uses digits",
            "last": "not run yet",
        }
    ]
    assert (found["nearest"], found["differences"]) == (None, [])


def test_a_duplicate_is_told_with_the_run_that_it_repeats(lab):
    lab.run()
    found = told(lab)
    assert found["verdict"].startswith("would be skipped: duplicate of passed run ")
    assert found["guards"][0]["last"].startswith("passed ")
    rows = lab.query(f"select node_id from runs where run_id = '{found['nearest']}'")
    assert rows == [{"node_id": NODE}]


def test_changed_code_is_shown_as_a_diff(lab):
    lab.run()
    lab.replace("helpers.py", "return 0.5 + FACTOR", "return 0.6 + FACTOR")
    (difference,) = told(lab)["differences"]
    assert (difference["kind"], difference["name"]) == ("code", "helpers.score")
    assert "-    return 0.5 + FACTOR * C / 10" in difference["diff"]
    assert "+    return 0.6 + FACTOR * C / 10" in difference["diff"]
    text = lab.kepler("why", NODE).stdout
    assert "  code helpers.score\n" in text
    assert "    +    return 0.6 + FACTOR * C / 10\n" in text


def test_changed_data_and_fixtures_are_named_with_what_they_were(lab):
    lab.run()
    lab.replace("conftest.py", "size=(60, 4)", "size=(61, 4)")
    lab.replace("conftest.py", "return 3", "return 4")
    lab.replace("test_train.py", "(60, 4)", "(61, 4)")
    data, fixture = told(lab)["differences"]
    assert (data["kind"], data["name"]) == ("data", "digits")
    assert data["before"] != data["now"]
    assert (fixture["kind"], fixture["name"]) == ("fixture", "depth")


def test_a_new_parameter_is_shown_beside_the_old_one(lab):
    lab.run()
    lab.replace("test_train.py", "[1, 10]", "[3, 10]")
    found = told(lab, "test_train.py::test_fit[3-0]")
    assert found["verdict"] == "would run: parameters not run before (C=3)"
    (difference,) = found["differences"]
    assert difference["kind"] == "parameter"
    assert (difference["name"], difference["now"]) == ("C", "3")


def test_asking_runs_nothing_and_leaves_nothing_in_the_journal(lab):
    lab.write("conftest.py", (lab.path / "conftest.py").read_text().replace("return 3", "return 5"))
    lab.replace("test_train.py", "assert X.shape", "open('gate', 'w'); assert X.shape")
    lab.replace("test_train.py", 'print("TRAINED", C, seed)', "open('body', 'w')")
    assert lab.kepler("why", "test_train.py").returncode == 0
    assert not (lab.path / "gate").exists()
    assert not (lab.path / "body").exists()
    assert not (lab.path / ".kepler" / "journal.duckdb").exists()


def test_a_fixture_that_fails_is_named(lab):
    lab.replace("conftest.py", "return 3", "raise ValueError('no depth')")
    found = told(lab)
    assert "could not be set up" in found["verdict"]
    assert "no depth" in found["verdict"]


def test_an_experiment_that_nothing_guards_says_so(lab):
    lab.replace("test_train.py", "@pytest.mark.sanity", "")
    assert told(lab)["remarks"] == ["no sanity test guards it"]


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        ("test_train.py::test_digits_are_finite", "is not marked @pytest.mark.experiment"),
        ("test_train.py::test_nothing", "not found"),
        ("test_nowhere.py", "file or directory not found"),
    ],
)
def test_what_is_no_experiment_is_a_usage_error(lab, node, sentence):
    found = lab.kepler("why", node)
    assert found.returncode == 4
    assert sentence in found.stderr
    assert "Traceback" not in found.stderr


def test_collecting_marks_the_gates(lab):
    result = lab.run("--collect-only", "-q", "-k", "test_fit")
    text = result.stdout.str()
    line = "test_train.py::test_digits_are_finite is a gate of test_train.py::test_fit (4 runs)"
    assert line in text
    assert "kepler" not in lab.run("--collect-only", "-q", "-k", "nothing").stdout.str()
