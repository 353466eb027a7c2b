"""Journals come together: merged from others, exported and imported."""

from __future__ import annotations

import hashlib
import json
import math

import pytest

from pytest_kepler.errors import JournalError, QueryError
from pytest_kepler.journal import Journal, merging
from tests.unit.journal.conftest import Writer


def filled(path, *, n_runs: int = 2) -> Journal:
    journal = Journal(path)
    writer = Writer(journal.folder).begin()
    for index in range(n_runs):
        writer.whole_run(
            {"accuracy": index / 10, "loss": math.nan}, params={"C": index, "it's": "ü"}
        )
    writer.close()
    journal.ingest()
    return journal


@pytest.fixture
def other(tmp_path) -> Journal:
    return filled(tmp_path / "ci-1.duckdb")


def test_merged_runs_are_known_and_twice_is_as_once(journal, other):
    (merged,) = journal.merge([other.path])
    assert (merged.n_runs, merged.n_there) == (2, 0)
    (again,) = journal.merge([other.path])
    assert (again.n_runs, again.n_there) == (0, 2)
    assert {run.run_id for run in journal.all_runs()} == {run.run_id for run in other.all_runs()}
    assert journal.query("SELECT count(*) FROM metrics").rows == [(4,)]


def test_a_tombstone_survives_the_merge_in_either_order(tmp_path, other):
    run = other.all_runs()[0].run_id
    first = Journal(tmp_path / "first.duckdb")
    first.merge([other.path])
    writer = Writer(other.folder)
    writer.spool.write({"e": "void", "run": run, "reason": "labels shifted", "at": 1.0})
    writer.close()
    voiding = Journal(tmp_path / "void.duckdb")
    other.ingest()
    first.merge([other.path])
    voiding.merge([other.path, first.path])
    for journal in (first, voiding):
        assert run not in [one.run_id for one in journal.all_runs()]
        assert len(journal.all_runs()) == 1


def test_a_run_that_was_open_here_ends_as_the_other_journal_knows(tmp_path, journal, writer):
    run = writer.run()
    writer.spool.metric(run, "loss", 1.0, 0)
    journal.ingest()
    early = Journal(tmp_path / "early.duckdb")
    early.merge([journal.path])
    assert [one.status for one in early.all_runs()] == ["running"]
    writer.spool.metric(run, "loss", 0.5, 1)
    writer.end(run)
    journal.ingest()
    early.merge([journal.path])
    (found,) = early.all_runs()
    assert (found.status, found.metrics) == ("passed", {"loss": 0.5})
    assert early.run(run)["curves"] == {"loss": [(0, 1.0), (1, 0.5)]}
    journal.merge([early.path])
    assert journal.run(run)["curves"] == {"loss": [(0, 1.0), (1, 0.5)]}


def test_a_duplicate_gets_its_numbers_when_its_original_comes(tmp_path, journal, other, writer):
    original = other.all_runs()[0]
    duplicate = writer.run(status="duplicate", duplicate_of=original.run_id)
    journal.ingest()
    journal.merge([other.path])
    found = next(run for run in journal.all_runs() if run.run_id == duplicate)
    assert found.metrics["accuracy"] == original.metrics["accuracy"]
    assert found.params == original.params


def test_what_lies_in_spools_is_merged_too(tmp_path, journal):
    other = Journal(tmp_path / "other.duckdb")
    writer = Writer(other.folder).begin()
    run = writer.whole_run()
    writer.close()
    journal.merge([other.path])
    assert [one.run_id for one in journal.all_runs()] == [run]


def test_artefacts_come_along_and_damaged_ones_are_named(tmp_path, journal):
    other = Journal(tmp_path / "other.duckdb")
    writer = Writer(other.folder).begin()
    run = writer.run()
    sound, broken = (hashlib.sha256(text).hexdigest() for text in (b"sound", b"broken"))
    for name, content in ((sound, b"sound"), (broken, b"bro")):
        file = other.folder / "artifacts" / name[:2] / f"{name}.txt"
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
        path = file.relative_to(other.folder).as_posix()
        writer.spool.write({"e": "artifact", "run": run, "name": "a", "sha256": name, "path": path})
    outside = {"e": "artifact", "run": run, "name": "b", "sha256": sound, "path": "../../x.txt"}
    writer.spool.write(outside)
    writer.end(run)
    writer.close()
    (merged,) = journal.merge([other.path])
    assert (merged.n_artifacts, merged.missing) == (1, (f"artifacts/{broken[:2]}/{broken}.txt",))
    assert (journal.folder / "artifacts" / sound[:2] / f"{sound}.txt").read_bytes() == b"sound"
    assert len(list(journal.folder.rglob("*.txt"))) == 1


def test_what_cannot_be_merged_is_said_before_anything_is(tmp_path, journal, other):
    with pytest.raises(QueryError, match=r"no journal at .*nothing\.duckdb"):
        journal.merge([other.path, tmp_path / "nothing.duckdb"])
    with pytest.raises(QueryError, match="leave it out"):
        journal.merge([journal.path.parent / "x" / ".." / journal.path.name, other.path])
    (tmp_path / "empty").mkdir()
    with pytest.raises(QueryError, match="a folder without spools"):
        journal.merge([other.path, tmp_path / "empty"])
    (tmp_path / "empty" / "data.jsonl").write_text('{"text": "no event"}\n')
    with pytest.raises(QueryError, match="a folder without spools"):
        journal.merge([tmp_path / "empty"])
    assert not journal.exists()
    with pytest.raises(QueryError, match=r"name its file, .*journal\.duckdb"):
        journal.merge([filled(tmp_path / "x" / ".kepler" / "journal.duckdb").folder])
    filled(journal.path)
    for own in (journal.folder, journal.folder / "spool"):
        with pytest.raises(QueryError, match="leave it out"):
            journal.merge([own])


@pytest.mark.parametrize("inner", [".", "spool"])
def test_a_folder_of_spools_is_taken_in_and_twice_is_as_once(tmp_path, journal, inner):
    lost = tmp_path / "lost"
    writers = [Writer(lost).begin() for _ in range(2)]
    ids = {writer.whole_run({"accuracy": 0.5}) for writer in writers}
    open_one = writers[0].run()
    for writer in writers:
        writer.close()
    (merged,) = journal.merge([lost / inner])
    assert (merged.n_runs, merged.n_there, merged.missing) == (3, 0, ())
    statuses = {run.run_id: run.status for run in journal.all_runs()}
    assert statuses == {**dict.fromkeys(ids, "passed"), open_one: "crashed"}
    (merged,) = journal.merge([lost / inner])
    assert (merged.n_runs, merged.n_there) == (0, 3)
    assert len(journal.all_runs()) == 3
    assert len(list((lost / "spool").iterdir())) == 2  # they stay
    assert not list((journal.folder / "spool").iterdir())


def test_a_spool_whose_writer_lives_is_left_for_later_and_named(tmp_path, journal):
    lost = tmp_path / "lost"
    writer = Writer(lost).begin()
    run = writer.run()
    (merged,) = journal.merge([lost])
    assert merged.n_runs == 0
    assert [one.split(" (")[1] for one in merged.missing] == ["its session is not over)"]
    writer.end(run)
    writer.close()
    (merged,) = journal.merge([lost])
    assert (merged.n_runs, merged.missing) == (1, ())
    assert [run.status for run in journal.all_runs()] == ["passed"]


def test_half_a_journal_is_not_merged(tmp_path, journal, other):
    filled(journal.path)
    before = len(journal.all_runs())
    other.path.write_bytes(other.path.read_bytes()[: other.path.stat().st_size // 2])
    with pytest.raises(JournalError, match=r"ci-1\.duckdb is damaged"):
        journal.merge([other.path])
    assert len(journal.all_runs()) == before


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_an_export_is_imported_as_it_was(tmp_path, journal, other, form):
    files = other.export(tmp_path / "out", form)
    assert len(files) == 12
    assert all(file.exists() for file in files)
    merged = journal.import_(tmp_path / "out")
    assert (merged.n_runs, merged.n_there) == (2, 0)
    assert journal.import_(tmp_path / "out").n_runs == 0
    for statement in ("FROM runs ORDER BY ALL", "FROM metrics ORDER BY ALL", "FROM params"):
        assert sorted(map(str, journal.query(statement).rows)) == sorted(
            map(str, other.query(statement).rows)
        )
    assert [path.name for path in journal.folder.iterdir() if "import" in path.name] == []


def test_the_views_of_an_export_are_read_by_other_programs(tmp_path, other):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    other.export(tmp_path / "csv", "csv")
    assert len(pandas.read_csv(tmp_path / "csv" / "runs.csv")) == 2
    other.export(tmp_path / "parquet", "parquet")
    assert len(pandas.read_parquet(tmp_path / "parquet" / "metrics.parquet")) == 4
    other.export(tmp_path / "jsonl", "jsonl")
    lines = (tmp_path / "jsonl" / "runs.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["params"]["C"] for line in lines) == [0, 1]


def test_an_empty_journal_exports_and_imports_nothing(tmp_path, journal):
    Journal(tmp_path / "none.duckdb").export(tmp_path / "out", "csv")
    assert journal.import_(tmp_path / "out").n_runs == 0


def test_what_is_no_export_is_told(tmp_path, journal, other):
    with pytest.raises(QueryError, match="holds no export"):
        journal.import_(tmp_path / "nothing")
    out = tmp_path / "out"
    other.export(out, "parquet")
    with pytest.raises(QueryError, match="not empty"):
        other.export(out, "parquet")
    (out / "tables" / "run.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(JournalError, match="cannot be read"):
        journal.import_(out)
    (out / "export.json").write_text('{"migrations": ["9999_later.sql"]}')
    with pytest.raises(QueryError, match=r"newer pytest-kepler \(9999_later"):
        journal.import_(out)
    assert journal.all_runs() == []


def test_every_table_has_a_way_to_be_merged(journal):
    with journal.reading() as db:
        tables = {
            name for (name,) in db.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        }
    # Names follow from the runs: they are made anew.
    made_otherwise = {"migration", "ledger", "point", "naming"}
    assert tables - made_otherwise == {*merging._KEYED, *merging._SETS}
