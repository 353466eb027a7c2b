"""What is purged is in no file any more, byte by byte."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from pytest_kepler.errors import JournalError
from pytest_kepler.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

#: Long enough that they are stored as they are, and found by looking at bytes.
PLANTED = {
    name: f"planted-{name}-0123456789-0123456789-0123456789"
    for name in ("param", "hypothesis", "note", "fact", "finding", "message", "diff", "code")
}
DOOMED = "d" * 20
KEPT = "e" * 20


def files_with(folder: Path, needle: bytes) -> list[str]:
    return [
        file.relative_to(folder).as_posix()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and needle in file.read_bytes()
    ]


def a_run(writer, run: str, words: dict[str, str], **more) -> None:
    write = writer.spool.write
    writer.run(
        run=run,
        params={"p": words["param"]},
        hypothesis=words["hypothesis"],
        code=f"code-{run}",
        data=f"data-{run}",
        identity=f"identity-{run}",
        environment=f"environment-{run}",
        parts={"data": {"digits": f"data-{run}"}},
        **more,
    )
    write({"e": "code", "hash": f"code-{run}", "parts": {"t": words["code"]}})
    write({"e": "environment", "hash": f"environment-{run}", "facts": {"t": words["fact"]}})
    write({"e": "dataset", "hash": f"data-{run}", "name": words["fact"]})
    write({"e": "fact", "run": run, "facts": {"f": words["fact"]}})
    write({"e": "note", "note": f"note-{run}", "run": run, "text": words["note"], "at": 1.0})
    check = {"e": "check", "run": run, "session": writer.session, "code": "K1", "severity": "note"}
    write({**check, "message": words["finding"], "at": 1.0})
    write({"e": "model", "run": run, "name": "m", "config": {"c": words["param"]}})
    writer.spool.metric(run, f"metric-{run}", 0.5, 1)
    writer.end(run, "failed", message=words["message"])


@pytest.fixture
def planted(journal, new_writer):
    """Two runs in two sessions; the words of the one must go, those of the other stay."""
    for run, words in (
        (DOOMED, PLANTED),
        (KEPT, {name: word.replace("planted", "keeping") for name, word in PLANTED.items()}),
    ):
        writer = new_writer().begin(diff=words["diff"])
        a_run(writer, run, words, why_new="parameters changed since run dddddddd (C)")
        writer.spool.write({"e": "artifact", "run": run, "name": "a", **artifact(journal, run)})
        writer.spool.write({"e": "artifact", "run": run, "name": "b", **artifact(journal, "both")})
        for folder in ("runs", "checkpoints"):
            name = run if folder == "runs" else f"identity-{run}"
            path = journal.folder / folder / name / "log.txt"
            path.parent.mkdir(parents=True)
            path.write_text(words["param"])
        writer.close()
    journal.ingest()
    return journal


def artifact(journal: Journal, content: str) -> dict[str, str]:
    path = journal.folder / "artifacts" / content[:2] / f"{content}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"artefact of {content}")
    return {"sha256": content, "path": path.relative_to(journal.folder).as_posix(), "kind": "text"}


def test_no_byte_of_a_purged_run_is_left(planted):
    for needle in (*PLANTED.values(), DOOMED):
        assert files_with(planted.folder, needle.encode()), needle
    purged = planted.purge([DOOMED])
    assert purged.run_ids == (DOOMED,)
    assert purged.n_files == 3
    for needle in ("planted", *PLANTED.values(), DOOMED, DOOMED[:8], f"artefact of {DOOMED}"):
        assert files_with(planted.folder, needle.encode()) == []


def test_what_is_not_purged_stays_whole(planted):
    before = planted.run(KEPT)
    planted.purge([DOOMED])
    after = planted.run(KEPT)
    assert after.pop("run").why_new == "parameters changed since run (purged) (C)"
    before.pop("run")
    assert after == before
    assert [run.run_id for run in planted.all_runs()] == [KEPT]
    assert sorted(path.name for path in (planted.folder / "artifacts").rglob("*.txt")) == [
        "both.txt",
        f"{KEPT}.txt",
    ]
    assert (planted.folder / "runs" / KEPT / "log.txt").exists()
    assert (planted.folder / "checkpoints" / f"identity-{KEPT}" / "log.txt").exists()
    with planted.reading() as db:
        counts = {
            view: db.execute(f"SELECT count(*) FROM {view}").fetchall()[0][0]
            for view in ("sessions", "runs", "datasets", "notes", "checks", "models", "artifacts")
        }
    assert counts == dict.fromkeys(counts, 1) | {"artifacts": 2}


def test_a_purged_journal_is_a_journal_and_goes_on(planted, new_writer):
    planted.purge([DOOMED])
    new_writer().whole_run({"accuracy": 0.5})
    assert planted.ingest().n_runs == 1
    assert len(planted.query("SELECT * FROM runs")) == 2
    assert planted.purge([KEPT]).run_ids == (KEPT,)
    assert len(planted.all_runs()) == 1


def test_the_duplicates_of_a_purged_run_go_with_it(journal, writer):
    writer.whole_run({"accuracy": 0.123456789}, run=DOOMED)
    writer.run(run=KEPT, status="duplicate", duplicate_of=DOOMED)
    other = writer.whole_run()
    writer.close()
    journal.ingest()
    assert journal.purge([DOOMED]).run_ids == (DOOMED, KEPT)
    assert [run.run_id for run in journal.all_runs()] == [other]


def test_a_run_that_is_still_written_is_not_purged(journal, writer):
    run = writer.run()
    writer.spool.metric(run, "loss", 0.5, 1)
    journal.ingest()
    with pytest.raises(JournalError, match=r"still being written.*Nothing was purged"):
        journal.purge([run])
    assert len(journal.all_runs()) == 1


def test_lines_in_quarantine_that_name_a_purged_run_go(journal, new_writer):
    writer = new_writer().begin()
    writer.whole_run(run=DOOMED)
    writer.spool._append(b'{"e":"fact","run":"' + DOOMED.encode() + b'","fa')
    writer.close()
    journal.ingest()
    assert files_with(journal.folder, DOOMED.encode())
    journal.purge([DOOMED])
    assert files_with(journal.folder, DOOMED.encode()) == []


def test_copies_that_upgrades_kept_are_purged_too(planted):
    copy = planted.path.with_name("journal.v1.duckdb")
    shutil.copy(planted.path, copy)
    purged = planted.purge([DOOMED])
    assert purged.copies == (copy,)
    assert files_with(planted.folder, DOOMED.encode()) == []
    assert [run.run_id for run in Journal(copy).all_runs()] == [KEPT]


def test_a_copy_that_cannot_be_read_stops_the_purge_before_anything_is_gone(planted):
    copy = planted.path.with_name("journal.v1.duckdb")
    copy.write_bytes(planted.path.read_bytes()[:5000])
    with pytest.raises(JournalError, match=r"journal\.v1\.duckdb cannot be read.*Nothing was"):
        planted.purge([DOOMED])
    assert len(planted.all_runs()) == 2
    assert (planted.folder / "runs" / DOOMED).exists()


def test_a_path_that_leads_out_of_the_folder_is_never_removed(journal, writer, tmp_path):
    outside = tmp_path / "mine.txt"
    outside.write_text("mine")
    run = writer.run()
    writer.spool.write({"e": "artifact", "run": run, "name": "a", "path": "../mine.txt"})
    writer.end(run)
    writer.close()
    journal.ingest()
    journal.purge([run])
    assert outside.read_text() == "mine"
