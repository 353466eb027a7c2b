"""The doctor finds what is wrong, and repairs it without deleting anything."""

from __future__ import annotations

import hashlib
import os

import duckdb
import pytest

from pytest_kepler.errors import JournalError
from pytest_kepler.journal import Journal
from tests.unit.journal.conftest import Writer


@pytest.fixture
def sick(journal, writer):
    """A journal with two runs, one of them with an artefact."""
    writer.whole_run({"loss": 1.0})
    run = writer.run()
    name = hashlib.sha256(b"weights").hexdigest()
    file = journal.folder / "artifacts" / name[:2] / f"{name}.bin"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    path = file.relative_to(journal.folder).as_posix()
    writer.spool.write({"e": "artifact", "run": run, "name": "m", "sha256": name, "path": path})
    writer.end(run)
    writer.close()
    journal.ingest()
    return journal


def kinds(journal: Journal) -> list[str]:
    return [one.kind for one in journal.examine()]


def artifact_of(journal: Journal):
    (file,) = (journal.folder / "artifacts").rglob("*.bin")
    return file


def test_a_healthy_journal_has_no_ailment(sick, tmp_path):
    assert sick.examine() == []
    assert Journal(tmp_path / "none.duckdb").examine() == []


def test_an_artefact_whose_content_changed_is_found_and_set_aside(sick):
    file = artifact_of(sick)
    file.write_bytes(b"WEIGHTS")
    (found,) = sick.examine()
    assert (found.kind, found.is_repaired) == ("artifact", False)
    assert "its content has changed" in found.message
    assert sick.examine(repair=True)[0].is_repaired
    assert not file.exists()
    (kept,) = (sick.folder / "quarantine").iterdir()
    assert kept.read_bytes() == b"WEIGHTS"
    assert "is gone" in " ".join(one.message for one in sick.examine())


def test_a_file_that_no_run_names_is_said_and_kept(sick):
    (sick.folder / "artifacts" / "stray.bin").write_bytes(b"x")
    (found,) = sick.examine(repair=True)
    assert "no run names: artifacts/stray.bin" in found.message
    assert (sick.folder / "artifacts" / "stray.bin").exists()


def test_spools_that_wait_are_said_and_taken_in(sick):
    writer = Writer(sick.folder)
    writer.whole_run()
    writer.close()
    (found,) = sick.examine()
    assert found.kind == "spool"
    (repaired,) = sick.examine(repair=True)
    assert repaired.cure.startswith("taken in: 1 runs")
    assert sick.examine() == []
    assert len(sick.all_runs()) == 3


def test_a_spool_whose_writer_lives_is_no_ailment(journal, writer):
    writer.run()
    journal.ingest()
    assert journal.examine() == []


def test_a_run_whose_spool_is_gone_is_recorded_as_crashed(sick):
    writer = Writer(sick.folder)
    run = writer.run()
    writer.spool.metric(run, "loss", 0.5, 1)
    sick.ingest()
    writer.spool.path.unlink()
    writer.close()
    (found,) = sick.examine()
    assert (found.kind, found.cure) == ("stranded", "record them as crashed")
    assert sick.examine(repair=True)[0].is_repaired
    assert sick.examine() == []
    (ended,) = [one for one in sick.all_runs() if one.run_id == run]
    assert (ended.status, ended.metrics) == ("crashed", {"loss": 0.5})


def test_rows_of_runs_that_are_not_there_and_twins_are_named(sick):
    with duckdb.connect(str(sick.path)) as db:
        db.execute("INSERT INTO fact VALUES ('0123456789', 'x', '1')")
        db.execute("INSERT INTO run SELECT * FROM run LIMIT 1")
        db.execute("UPDATE run SET duplicate_of = 'nowhere' WHERE rowid = 0")
    messages = " ".join(one.message for one in sick.examine())
    assert "fact: rows of 1 run(s) that are not there: 01234567" in messages
    assert "run: 1 id(s) twice" in messages
    assert "duplicate(s) of runs that are not there" in messages


def test_a_line_in_quarantine_is_named(sick):
    writer = Writer(sick.folder)
    writer.spool.write({"e": "nonsense"})
    writer.close()
    sick.ingest()
    (found,) = sick.examine()
    assert found.kind == "quarantine"


def test_a_damaged_file_is_moved_aside_and_what_can_be_read_is_rescued(journal, writer):
    for _ in range(10):
        writer.whole_run({"loss": 1.0}, hypothesis=os.urandom(100).hex())
    writer.spool.write({"e": "code", "hash": "c", "parts": {"f": os.urandom(900_000).hex()}})
    writer.close()
    journal.ingest()
    size = journal.path.stat().st_size
    content = bytearray(journal.path.read_bytes())
    written = [place for place in range(0, size, 4096) if any(content[place : place + 64])]
    at = written[len(written) // 2]  # in the middle of the code, which is most of the file
    content[at : at + 64] = bytes(64)
    journal.path.write_bytes(content)
    (found,) = journal.examine()
    assert (found.kind, found.is_repaired) == ("damaged", False)
    assert journal.path.stat().st_size == size
    (repaired,) = journal.examine(repair=True)
    assert "10 runs were rescued from it; not readable: code" in repaired.cure
    (aside,) = journal.path.parent.glob("journal.damaged-*.duckdb")
    assert aside.read_bytes() == bytes(content)
    assert len(journal.all_runs()) == 10
    assert journal.query("SELECT count(*) FROM metrics").rows == [(10,)]
    assert journal.examine() == []


def test_a_file_that_cannot_be_opened_is_moved_aside_and_work_goes_on(sick, new_writer):
    content = sick.path.read_bytes()[:20_000]
    sick.path.write_bytes(content)
    repaired, unnamed = sick.examine(repair=True)
    assert unnamed.kind == "artifact"
    assert "0 runs were rescued" in repaired.cure
    new_writer().whole_run()
    sick.ingest()
    assert len(sick.all_runs()) == 1


def test_what_is_no_journal_is_left_alone(tmp_path):
    file = tmp_path / "other.duckdb"
    with duckdb.connect(str(file)) as db:
        db.execute("CREATE TABLE mine (x INTEGER)")
    before = file.read_bytes()
    with pytest.raises(JournalError, match="no journal"):
        Journal(file).examine(repair=True)
    assert file.read_bytes() == before
