"""What a run saves can be listed, read back in another process, and thrown away when orphaned."""

from __future__ import annotations

import json
import os
import time

import pytest

import pytest_kepler
from pytest_kepler import cli
from pytest_kepler.errors import ExperimentError, QueryError

SAVING = """
    import pytest

    @pytest.mark.experiment
    def test_save(experiment):
        experiment.save({"alpha": 1}, "settings")
        experiment.save("a text", "notes")
"""


@pytest.fixture
def saved(project, monkeypatch):
    project.write("test_save.py", SAVING)
    assert project.run().ret == 0
    monkeypatch.chdir(project.path)
    return project


def run_id(project) -> str:
    return project.query("select run_id from runs where status = 'passed'")[0]["run_id"]


def test_the_journal_gives_back_what_a_run_saved(saved):
    journal = pytest_kepler.open_journal()
    assert journal.load(run_id(saved)[:6], "settings") == {"alpha": 1}
    with pytest.raises(QueryError, match="did you mean 'settings'"):
        journal.load(run_id(saved), "setting")


def test_a_duplicate_has_what_the_run_that_it_repeats_saved(saved):
    saved.run()
    (duplicate,) = saved.query("select run_id from runs where status = 'duplicate'")
    assert pytest_kepler.open_journal().load(duplicate["run_id"], "notes") == "a text"


def test_the_journal_does_not_give_back_what_has_changed(saved):
    for path in (saved.path / ".kepler" / "artifacts").rglob("*.txt"):
        path.write_text("another text")
    with pytest.raises(ExperimentError, match="is not what was saved"):
        pytest_kepler.open_journal().load(run_id(saved), "notes")


def test_the_command_lists_what_runs_saved(saved, capsys):
    assert cli.main(["artifacts", "--format", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["kind"]) for one in listed] == [
        ("notes", "text"),
        ("settings", "json"),
    ]
    assert cli.main(["artifacts", run_id(saved)[:8]]) == 0
    assert "settings" in capsys.readouterr().out


def test_what_no_run_names_is_told_first_and_then_removed(saved, capsys):
    home = saved.path / ".kepler"
    orphan = home / "artifacts" / "00" / "00.bin"
    orphan.parent.mkdir()
    orphan.write_bytes(b"x" * 1234)
    young = home / "artifacts" / "00" / "01.bin"
    young.write_bytes(b"y")
    left = home / "runs" / "feedfeedfeedfeedfeed"
    left.mkdir(parents=True)
    hours_ago = time.time() - 7200
    for path in (orphan, left):
        os.utime(path, (hours_ago, hours_ago))
    for path in (home / "artifacts").rglob("*.txt"):
        os.utime(path, (hours_ago, hours_ago))

    assert cli.main(["gc", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert str(orphan) in told
    assert str(left) in told
    assert "Would free 1.2 kB" in told
    assert orphan.exists()
    assert cli.main(["gc"]) == 0
    assert not orphan.exists()
    assert not left.exists()
    assert young.exists()
    assert pytest_kepler.open_journal().load(run_id(saved), "notes") == "a text"
