"""Sessions, workers and readers on one journal at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.loading import load

CROWD = Path(__file__).parents[1] / "kills" / "crowd.py"


@pytest.fixture
def crowd():
    yield load("kills_crowd", CROWD)
    del sys.modules["kills_crowd"]


def test_writers_and_readers_at_once_lose_nothing_and_are_never_locked_out(crowd, tmp_path):
    outcome = crowd.crowd(tmp_path, n_writers=4, n_readers=2, n_sessions=3, n_runs=5)
    assert outcome.complaints == []
    assert (outcome.n_found, outcome.n_values_found) == (outcome.n_runs, outcome.n_values)


def test_pytest_sessions_at_once_share_the_journal(project):
    project.standard()
    sessions = [
        subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", *arguments],
            cwd=project.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for arguments in (["-k", "1-0"], ["-k", "10-0"], ["-n", "2"])
    ]
    outputs = [session.communicate()[0] for session in sessions]
    assert [session.returncode for session in sessions] == [0, 0, 0], outputs
    assert not [output for output in outputs if "locked" in output or "cannot be" in output]
    runs = project.query("select node_id, status from runs where status in ('passed', 'duplicate')")
    assert len(runs) == 6
    assert len({run["node_id"] for run in runs}) == 4
