"""``kepler reproduce``: a run again from its commit, data and parameters."""

from __future__ import annotations

import subprocess

import pytest

TRAINING = """
    import random

    import pytest
    import helpers

    @pytest.mark.experiment(metric="accuracy")
    @pytest.mark.parametrize("C", [1, 10])
    def test_fit(experiment, C):
        values = [float(line) for line in open("data/values.txt")]
        experiment.log(accuracy=helpers.score(C) + random.random() / 100, mean=sum(values) / 2)
"""


def git(project, *arguments):
    subprocess.run(
        ["git", "-c", "user.name=n", "-c", "user.email=e@e", *arguments],
        cwd=project.path,
        check=True,
        capture_output=True,
    )


@pytest.fixture
def committed(project):
    project.write("test_train.py", TRAINING)
    project.write("helpers.py", "def score(C):\n    return 0.8\n")
    project.write("conftest.py", "")
    project.write("pytest.ini", "[pytest]\npythonpath = .\n")
    project.write(".gitignore", "data/\n.kepler/\n__pycache__/\n")
    project.write("data/values.txt", "1\n2\n")
    git(project, "init", "-q", "-b", "first")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "first")
    assert project.run().ret == 0
    return project


def run_of(project, C):
    (row,) = project.query(f"select run_id, metrics from runs where params->>'C' = '{C}'")
    return row["run_id"]


def test_a_run_is_the_same_from_its_own_commit_whatever_came_after(committed):
    run = run_of(committed, 10)
    committed.write("helpers.py", "def score(C):\n    return 0.1\n")
    git(committed, "commit", "-aqm", "second")
    done = committed.kepler("reproduce", run[:8])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "reproduced: 2 metrics are the same to the last digit" in done.stdout
    assert committed.query("select count(*) as n from runs") == [{"n": 2}]
    assert not list((committed.path / ".git" / "worktrees").glob("*"))


def test_uncommitted_changes_are_brought_back(committed):
    committed.write("helpers.py", "def score(C):\n    return 0.9\n")
    committed.run("-k", "10")
    (row,) = committed.query("select run_id from runs where metrics.accuracy > 0.85")
    git(committed, "checkout", "-q", "helpers.py")
    done = committed.kepler("reproduce", row["run_id"])
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_run_that_is_random_is_found(committed):
    committed.replace("test_train.py", "random.random()", "random.SystemRandom().random()")
    git(committed, "commit", "-aqm", "random")
    committed.run("-k", "10")
    (row,) = committed.query(
        "select run_id from runs where params->>'C' = '10' order by started_at desc limit 1"
    )
    done = committed.kepler("reproduce", row["run_id"])
    assert done.returncode == 1, done.stdout + done.stderr
    assert "not reproduced: 1 of 2 metrics differ" in done.stdout
    assert "something is random" in done.stdout


def test_other_data_is_named(committed):
    committed.write("data/values.txt", "1\n3\n")
    done = committed.kepler("reproduce", run_of(committed, 1))
    assert done.returncode == 1
    assert "mean" in done.stdout


def test_what_cannot_be_reproduced_is_said(committed):
    missing = committed.kepler("reproduce", "ffffffff")
    assert missing.returncode == 4
    run = run_of(committed, 1)
    git(committed, "checkout", "-q", "--orphan", "other")
    git(committed, "commit", "-qm", "other")
    git(committed, "branch", "-D", "first")
    git(committed, "reflog", "expire", "--expire=now", "--all")
    git(committed, "gc", "-q", "--prune=now")
    gone = committed.kepler("reproduce", run)
    assert gone.returncode == 4
    assert "is not in this repository" in gone.stderr
