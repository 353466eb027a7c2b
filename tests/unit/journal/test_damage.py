from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys

import duckdb
import pytest

from pytest_kepler.errors import JournalError
from pytest_kepler.journal import Journal, connect, lock, migrate


@pytest.fixture
def filled(journal, writer):
    for _ in range(2_000):
        writer.whole_run({"accuracy": 0.5}, hypothesis=os.urandom(200).hex())
    journal.ingest()
    writer.whole_run()
    return journal


@pytest.mark.parametrize("share", [0.001, 0.3, 0.5, 0.7, 0.95, 0.999])
def test_a_file_that_was_cut_is_never_written_to(filled, share):
    os.truncate(filled.path, int(filled.path.stat().st_size * share))
    before = filled.path.read_bytes()
    with pytest.raises(JournalError, match="damaged and was not written to"):
        filled.ingest()
    assert filled.path.read_bytes() == before
    assert list((filled.folder / "spool").iterdir())


def test_an_empty_file_is_refused_and_the_spools_stay(filled):
    os.truncate(filled.path, 0)
    with pytest.raises(JournalError, match=r"the file is empty.*`kepler doctor --repair` moves"):
        filled.ingest()
    assert filled.path.stat().st_size == 0
    assert list((filled.folder / "spool").iterdir())


def test_of_a_journal_elsewhere_the_command_that_mends_it_names_it(tmp_path):
    path = tmp_path / "of us.duckdb"
    path.write_text("no database")
    with pytest.raises(JournalError) as raised:
        Journal(path).all_runs()
    assert f"`kepler doctor --repair --journal '{path}'`" in str(raised.value)


def test_reading_a_damaged_file_is_a_clear_error(filled):
    size = filled.path.stat().st_size
    with filled.path.open("r+b") as file:
        for position in range(20_000, size, 4_096):
            file.seek(position)
            file.write(b"\xa5" * 64)
    with pytest.raises(
        JournalError, match=r"journal\.duckdb is damaged.*`kepler doctor --repair` moves"
    ):
        filled.all_runs()
    with pytest.raises(JournalError, match="is damaged"):
        filled.query("SELECT hypothesis FROM runs")


def test_after_the_broken_file_is_moved_away_the_spools_make_a_new_one(filled):
    filled.path.rename(filled.path.with_name("broken.duckdb"))
    filled.ingest()
    assert len(filled.all_runs()) == 2_001


def test_a_file_that_somebody_else_changed_is_read_before_it_is_written(filled, monkeypatch):
    verified = []
    monkeypatch.setattr(connect, "verify", verified.append)
    filled.ingest()
    assert verified == []
    with contextlib.closing(duckdb.connect(str(filled.path))) as db:
        db.execute("CREATE TABLE mine (x INTEGER)")
    filled.ingest()
    assert len(verified) == 1


def test_a_folder_in_the_journals_place_is_told(journal, writer):
    journal.path.mkdir(parents=True)
    with pytest.raises(JournalError, match="is a folder"):
        journal.ingest()
    with pytest.raises(JournalError, match="is a folder"):
        journal.all_runs()


def test_a_foreign_database_is_told_and_not_touched(journal, writer):
    journal.folder.mkdir(exist_ok=True)
    with contextlib.closing(duckdb.connect(str(journal.path))) as db:
        db.execute("CREATE TABLE mine (x INTEGER)")
    before = journal.path.read_bytes()
    for use in (journal.ingest, journal.all_runs):
        with pytest.raises(JournalError, match="no journal of pytest-kepler"):
            use()
    assert journal.path.read_bytes() == before


def test_a_text_file_in_the_journals_place_is_told(journal, writer):
    journal.path.parent.mkdir(exist_ok=True)
    journal.path.write_text("not a database" * 1_000)
    with pytest.raises(JournalError, match="is damaged"):
        journal.ingest()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_a_journal_without_permission_is_told(filled):
    filled.path.chmod(0)
    with pytest.raises(JournalError, match="permission denied"):
        filled.all_runs()


def test_a_file_in_the_folders_place_is_told(tmp_path):
    (tmp_path / ".kepler").write_text("")
    journal = Journal(tmp_path / ".kepler" / "journal.duckdb")
    with pytest.raises(JournalError, match=r"Cannot .*\.kepler"):
        journal.make_folder()


def test_a_lock_that_is_held_too_long_is_told(filled):
    with (
        lock.locked(filled._place, "shared"),
        pytest.raises(JournalError, match=r"held the journal .* for 0\.01 s"),
        lock.locked(filled._place, "exclusive", patience=0.01),
    ):
        raise AssertionError
    filled.ingest()


def test_another_program_that_holds_the_file_is_told(filled, monkeypatch):
    code = (
        f"import duckdb; db = duckdb.connect({str(filled.path)!r}); print(1, flush=True); input()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as other:
        other.stdout.readline()
        monkeypatch.setattr(lock, "PATIENCE", 0.01)
        with pytest.raises(JournalError, match="Another program holds"):
            filled.all_runs()
        other.stdin.close()


@pytest.fixture
def next_release(monkeypatch):
    now = dict(migrate._scripts())
    views = now.pop("views.sql")
    added = "ALTER TABLE note ADD COLUMN mood VARCHAR DEFAULT 'calm';"
    later = {**now, "9999_mood.sql": added, "views.sql": views + "\n-- later"}
    return lambda scripts=later: monkeypatch.setattr(migrate, "_scripts", lambda: scripts)


def test_an_older_journal_is_upgraded_and_a_copy_kept(filled, next_release):
    n_runs = len(filled.all_runs())
    next_release()
    assert len(filled.all_runs()) == n_runs
    versions = [name[:4] for name in migrate._scripts() if name < "9999"]
    assert filled.path.with_name(f"journal.v{int(versions[-1])}.duckdb").exists()
    with filled.reading() as db:
        assert db.execute("SELECT mood FROM note").fetchall() == []


def test_an_upgrade_that_fails_leaves_the_journal_as_it_was(filled, next_release, monkeypatch):
    next_release({**migrate._scripts(), "9999_bad.sql": "CREATE TABLE a (x INTEGER); nonsense;"})
    with pytest.raises(JournalError, match="cannot be written"):
        filled.all_runs()
    monkeypatch.undo()
    assert len(filled.all_runs()) == 2_000


def test_a_journal_of_a_newer_release_is_refused(filled, next_release, monkeypatch):
    next_release()
    filled.all_runs()
    monkeypatch.undo()
    for use in (filled.ingest, filled.all_runs):
        with pytest.raises(JournalError, match=r"newer pytest-kepler.*Upgrade"):
            use()


def test_a_migration_that_was_edited_after_its_release_is_refused(filled, next_release):
    scripts = migrate._scripts()
    next_release({**scripts, "0001_tables.sql": scripts["0001_tables.sql"] + "-- edited"})
    with pytest.raises(JournalError, match="another 0001_tables"):
        filled.all_runs()


def test_reading_makes_nothing(tmp_path):
    journal = Journal(tmp_path / "none" / ".kepler" / "journal.duckdb")
    assert not journal.exists()
    assert journal.all_runs() == []
    assert not (tmp_path / "none").exists()


def test_a_journal_that_was_copied_elsewhere_can_be_read(filled, tmp_path):
    copy = tmp_path / "elsewhere" / "results.duckdb"
    copy.parent.mkdir()
    shutil.copy(filled.path, copy)
    assert len(Journal(copy).all_runs()) == 2_000
    assert [path.name for path in copy.parent.iterdir()] == ["results.duckdb"]
