"""A journal for a team: sessions are published, taken in once, and count as duplicates."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from pytest_kepler import cli
from pytest_kepler.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

TRAIN = """
    import pytest

    @pytest.fixture(scope="session")
    def n():
        return 3

    @pytest.mark.sanity
    def test_n(n):
        assert n

    @pytest.mark.experiment(metric="accuracy")
    @pytest.mark.parametrize("C", [1, 2])
    def test_fit(experiment, n, C):
        print("TRAINED", C)
        for step in range(n):
            experiment.log(accuracy=C / 10 + step / 100, step=step)
        experiment.save({"C": C})
        experiment.note("a note")
"""


class Member:
    """One of a team: a copy of the project with a journal of its own."""

    def __init__(self, home: Path, name: str) -> None:
        self.path = home / name
        self.path.mkdir()
        self.write("pytest.ini", "[pytest]\nkepler_share = ../share\n")
        self.write("test_train.py", TRAIN)

    def write(self, name: str, text: str) -> None:
        import textwrap

        (self.path / name).write_text(textwrap.dedent(text), encoding="utf-8")

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-s", "-rs", *args]
        return subprocess.run(command, cwd=self.path, capture_output=True, text=True, check=False)

    def kepler(self, *args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest_kepler.cli", *args]
        return subprocess.run(command, cwd=self.path, capture_output=True, text=True, check=False)

    @property
    def journal(self) -> Journal:
        return Journal(self.path / ".kepler" / "journal.duckdb")

    def ids(self) -> set[str]:
        return {run.run_id for run in self.journal.all_runs()}

    def count(self, table: str) -> int:
        return self.journal.query(f"select count(*) from {table}").rows[0][0]


@pytest.fixture
def share(tmp_path):
    folder = tmp_path / "share"
    folder.mkdir()
    return folder


@pytest.fixture
def ann(tmp_path, share, monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    return Member(tmp_path, "ann")


@pytest.fixture
def ben(tmp_path, ann):
    return Member(tmp_path, "ben")


def published(share: Path) -> list[Path]:
    return sorted(share.glob("sessions/*/*.jsonl.gz"))


def test_a_session_is_one_file_and_nothing_half_written_stays(ann, share):
    assert ann.run().returncode == 0
    (file,) = published(share)
    kinds = [json.loads(line)["e"] for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert kinds.count("session_end") == 1
    assert kinds.count("run") == 2
    assert not list(share.rglob("*.new"))
    assert list((ann.path / ".kepler" / "outbox").iterdir()) == []


def test_what_one_published_is_a_duplicate_for_the_other(ann, ben):
    ann.run()
    told = ben.run().stdout
    assert "TRAINED" not in told
    assert "2 skipped" in told
    assert ann.ids() < ben.ids()
    assert ben.count("metrics") == 6
    assert ben.count("notes") == 2


def test_under_workers_a_session_is_still_one_file_and_is_taken_in_once(ann, ben, share):
    ann.run("-n2")
    assert len(published(share)) == 1
    told = ben.run("-n2").stdout
    assert "TRAINED" not in told
    assert ben.count("metrics") == 6
    assert ben.count("notes") == 2


def test_own_sessions_are_not_taken_in_again_even_if_the_state_is_lost(ann, share):
    ann.run()
    (ann.path / ".kepler" / "share.state").unlink(missing_ok=True)
    assert "0 published, 0 taken in" in ann.kepler("sync").stdout
    assert (ann.count("metrics"), ann.count("notes"), ann.count("artifacts")) == (6, 2, 2)


def test_a_journal_can_be_thrown_away_and_is_built_anew(ann, share):
    ann.run()
    before = ann.ids()
    shutil.rmtree(ann.path / ".kepler")
    assert "1 taken in" in ann.kepler("sync", "--share", str(share)).stdout
    assert ann.ids() == before
    assert ann.kepler("sync").stdout.startswith("0 published, 0 taken in")


def test_an_artefact_comes_from_the_share_when_it_is_asked_for(ann, ben, share, monkeypatch):
    import pytest_kepler

    ann.run()
    ben.kepler("sync", "--share", str(share))
    monkeypatch.chdir(ben.path)
    journal = pytest_kepler.open_journal()
    loaded = [journal.load(run_id)["C"] for run_id in sorted(ann.ids())]
    assert sorted(loaded) == [1, 2]


def test_the_doctor_does_not_miss_what_the_share_lends(ann, ben, share):
    ann.run()
    ben.kepler("sync", "--share", str(share))
    assert ben.kepler("doctor").returncode == 0
    shutil.rmtree(share / "artifacts")
    assert "is gone" in ben.kepler("doctor").stdout


def test_a_note_and_a_void_travel_too(ann, ben, share):
    ann.run()
    run_id = min(ann.ids())
    ann.kepler("void", run_id, "--why", "shifted labels")
    ann.kepler("sync")
    ben.kepler("sync", "--share", str(share))
    assert {run.run_id for run in ben.journal.all_runs()} == ann.ids()
    assert run_id not in ben.ids()


def test_a_session_that_was_killed_is_published_by_the_next(ann, ben, share):
    killed = TRAIN.replace('print("TRAINED", C)', "import os, signal; os.kill(os.getpid(), 9)")
    ann.write("test_train.py", killed)
    ann.run()
    assert published(share) == []
    ann.write("test_train.py", TRAIN)
    ann.run("--collect-only")
    ann.kepler("sync")
    ben.kepler("sync", "--share", str(share))
    assert [run.status for run in ben.journal.all_runs()] == ["crashed"]


def test_a_file_that_is_half_there_is_said_and_taken_in_when_it_is_whole(ann, ben, share):
    ann.run()
    (file,) = published(share)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    (file.parent / f".{file.name}.new").write_bytes(whole)  # on its way
    synced = ben.kepler("sync", "--share", str(share))
    assert synced.returncode == 1
    assert "cannot be read yet" in synced.stdout
    assert not ben.journal.exists() or not ben.ids()
    file.write_bytes(whole)
    assert "1 taken in" in ben.kepler("sync").stdout
    assert ben.ids() == ann.ids()


def test_a_share_that_cannot_be_reached_is_a_line_and_no_failure(ann, share):
    share.rmdir()
    result = ann.run()
    assert result.returncode == 0
    assert "cannot be reached: No such file or directory" in result.stdout
    share.mkdir()
    assert ann.kepler("sync").stdout.startswith("1 published")


def test_a_share_that_cannot_be_written_is_a_line_and_no_failure(ann, share):
    (share / "sessions").write_text("in the way")
    result = ann.run()
    assert result.returncode == 0
    assert "cannot be used" in result.stdout


def test_two_sessions_at_once_are_both_published_and_known_to_both(ann, ben, share):
    ben.write("test_train.py", TRAIN.replace("[1, 2]", "[3, 4]"))
    threads = [threading.Thread(target=one.run) for one in (ann, ben)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(published(share)) == 2
    ann.kepler("sync")
    ben.kepler("sync")
    assert ann.ids() == ben.ids()
    assert len(ann.ids()) == 4


def test_a_session_that_was_merged_before_it_ended_is_completed_by_its_file(ann, ben, share):
    ann.run()
    ann.journal.ingest()
    (file,) = published(share)
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    begun = [line for line in lines if b'"e":"session_end"' not in line and b'"C":2' not in line]
    spool = ben.path / ".kepler" / "spool"
    spool.mkdir(parents=True)
    (spool / "early.jsonl").write_bytes(b"".join(begun[:3]))
    ben.journal.ingest()
    ben.kepler("sync", "--share", str(share))
    assert ben.ids() == ann.ids()
    assert {run.status for run in ben.journal.all_runs()} == {"passed"}


def test_purged_runs_are_gone_from_the_share_byte_by_byte(ann, ben, share, monkeypatch):
    ann.run()
    run_id = min(ann.ids())
    ann.run()  # a duplicate goes with it
    artifact = next(one for one in ann.journal.artifacts([run_id]))
    monkeypatch.chdir(ann.path)
    assert cli.main(["purge", run_id]) == 0
    for file in published(share):
        assert run_id.encode() not in gzip.decompress(file.read_bytes())
    assert not (share / artifact.path).exists()
    ben.kepler("sync", "--share", str(share))
    assert ben.ids() == {run for run in ann.ids() if run != run_id}


def test_without_the_setting_nothing_is_kept_for_a_share(ann, share):
    ann.write("pytest.ini", "[pytest]\n")
    ann.run()
    assert not (ann.path / ".kepler" / "outbox").exists()
    assert ann.kepler("sync").returncode == 4
