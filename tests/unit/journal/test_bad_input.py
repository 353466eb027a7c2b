"""Odd names, odd clocks and large runs come through everything that moves them."""

from __future__ import annotations

import errno
import math
import os
import shutil
import subprocess
import sys

import pytest

from pytest_kepler.errors import JournalError
from pytest_kepler.journal import Journal

ODD = 'it\'s "odd"\n\t⚗️ ; drop table run -- é\u2028 \\ %s {x}'


@pytest.fixture
def odd(journal, new_writer):
    """A journal in which everything that has a name has an odd one."""
    writer = new_writer().begin(project=ODD, diff=ODD)
    run = writer.run(
        experiment=f"t.py::{ODD}",
        node=f"t.py::{ODD}[x]",
        params={ODD: ODD, "long": "x" * 10_000, "nan": "NaN"},
        hypothesis=ODD,
        project=ODD,
    )
    for value in (1.0, math.nan, -math.inf):
        writer.spool.metric(run, ODD, value, None)
    writer.spool.write({"e": "note", "note": ODD, "run": run, "text": ODD, "at": 1.0})
    writer.spool.write({"e": "void", "run": "f" * 20, "reason": "x", "at": 1.0})
    writer.end(run, message=ODD)
    writer.close()
    journal.ingest()
    return journal


def everything(journal: Journal) -> list[str]:
    statements = ("FROM runs", "FROM metrics", "FROM params", "FROM notes", "FROM sessions")
    return [str(journal.query(statement).rows) for statement in statements]


def test_odd_names_are_merged_exported_and_imported_as_they_are(odd, tmp_path):
    merged = Journal(tmp_path / "it's ⚗️.duckdb")
    merged.merge([odd.path])
    assert everything(merged) == everything(odd)
    for form in ("parquet", "csv", "jsonl"):
        odd.export(tmp_path / f"it's {form}", form)
        imported = Journal(tmp_path / f"{form} 'again'.duckdb")
        imported.import_(tmp_path / f"it's {form}")
        assert everything(imported) == everything(odd)
    assert merged.examine() == []


def test_odd_names_are_asked_for_and_purged(odd):
    quoted = ODD.replace('"', '""')
    assert len(odd.where(f'isinf(metrics."{quoted}") and params."{quoted}" is not null')) == 1
    (run,) = odd.all_runs()
    assert run.params[ODD] == ODD
    assert math.isinf(run.metrics[ODD])
    odd.purge([run.run_id])
    assert odd.all_runs() == []
    assert not [
        f for f in odd.folder.rglob("*") if f.is_file() and b"drop table run" in f.read_bytes()
    ]


def test_a_run_whose_id_is_odd_can_be_purged_and_nothing_else_is(journal, writer):
    writer.run(run="a|.*'b", status="passed")
    kept = writer.whole_run(why_new="changed since run a|.*'b and .* (C)")
    writer.close()
    journal.ingest()
    journal.purge(["a|.*'b"])
    (run,) = journal.all_runs()
    assert (run.run_id, run.why_new) == (kept, "changed since run (purged) and .* (C)")


def test_a_clock_that_goes_back_loses_nothing(journal, writer):
    first = writer.run(at=2_000_000_000.0)
    writer.spool.write({"e": "end", "run": first, "at": 1_000_000_000.0, "status": "passed"})
    writer.whole_run(at=1.0)
    writer.close()
    journal.ingest()
    found = {run.run_id: run for run in journal.all_runs()}
    assert len(found) == 2
    assert found[first].seconds == 0


def test_very_many_values_and_names_of_one_run_are_all_there(journal, writer):
    run = writer.run()
    lines = [
        f'{{"e":"m","r":"{run}","n":"m{i % 5000}","v":{i},"s":{i},"t":1.0}}\n'
        for i in range(200_000)
    ]
    writer.spool._append("".join(lines).encode())
    writer.end(run)
    writer.close()
    assert journal.ingest().n_points == 200_000
    assert journal.query("SELECT count(*), sum(value) FROM metrics").rows == [
        (200_000, sum(range(200_000)))
    ]
    assert len(journal.all_runs()[0].metrics) == 5_000


def test_two_journals_with_the_same_session_are_one_after_the_merge(tmp_path, new_writer, journal):
    writer = new_writer().begin()
    run = writer.whole_run({"loss": 1.0})
    writer.close()
    spool = writer.spool.path or next((journal.folder / "spool").glob("*.jsonl"))
    copy = Journal(tmp_path / "copy.duckdb")
    (copy.folder / "spool").mkdir(parents=True)
    (copy.folder / "spool" / spool.name).write_bytes(spool.read_bytes())
    journal.ingest()
    copy.merge([journal.path])
    assert [one.run_id for one in copy.all_runs()] == [run]
    assert copy.query("SELECT count(*) FROM metrics").rows == [(1,)]
    assert copy.query("SELECT count(*) FROM sessions").rows == [(1,)]


# Fills a disk of its own while it merges, and says what it was told.
ON_A_SMALL_DISK = """
import sys
from pathlib import Path
from pytest_kepler.errors import JournalError
from pytest_kepler.journal import Journal
small = Path(sys.argv[1]) / "journal.duckdb"
try:
    Journal(small).merge([Path(sys.argv[2])])
except JournalError as error:
    print(error)
"""


def test_a_disk_of_a_megabyte_is_told_and_nothing_is_lost(tmp_path, journal, writer):
    for _ in range(200):
        writer.whole_run(hypothesis=os.urandom(5_000).hex())
    writer.close()
    journal.ingest()
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        [
            shutil.which("mount") or "/bin/mount",
            "-t",
            "tmpfs",
            "-o",
            "size=1m",
            "tmpfs",
            str(small),
        ],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a disk")
    try:
        done = subprocess.run(
            [sys.executable, "-c", ON_A_SMALL_DISK, str(small), str(journal.path)],
            check=True,
            capture_output=True,
            text=True,
        )
    finally:
        subprocess.run([shutil.which("umount") or "/bin/umount", str(small)], check=True)
    assert "cannot be written" in done.stdout
    assert len(journal.all_runs()) == 200


def test_an_export_that_finds_no_room_leaves_nothing_that_looks_whole(odd, tmp_path, monkeypatch):
    from pytest_kepler.journal import copying

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(copying, "write_tables", full)
    with pytest.raises(JournalError, match="No space left"):
        odd.export(tmp_path / "out", "csv")
    assert list((tmp_path / "out").iterdir()) == []
