"""What readers look for is written when rows come in, and follows whatever happens to them."""

from __future__ import annotations

import duckdb
import pytest

from pytest_kepler.errors import QueryError
from pytest_kepler.journal import Journal, connect, migrate


def statuses(journal: Journal) -> dict[str, str]:
    return dict(journal.query("SELECT run_id, status FROM runs").rows)


def test_a_run_without_an_end_is_a_run_and_its_end_replaces_it(journal, writer):
    run = writer.run(params={"C": 1})
    for _ in range(2):
        journal.ingest()
        assert statuses(journal) == {run: "running"}
    assert len(journal.where("C = 1").rows) == 1
    writer.spool.metric(run, "accuracy", 0.5, None)
    writer.end(run)
    journal.ingest()
    assert [(one.status, one.metrics) for one in journal.all_runs()] == [
        ("passed", {"accuracy": 0.5})
    ]


def test_a_run_that_is_running_has_the_commit_of_its_session(journal, writer):
    writer.run()
    journal.ingest()
    assert journal.query('SELECT "commit", dirty FROM runs').rows == [("c0ffee", True)]


def test_a_void_run_is_void_whatever_comes_first(journal, writer):
    early, late = writer.run(), writer.whole_run()
    journal.ingest()
    for run in (early, late):
        writer.spool.write({"e": "void", "run": run, "reason": "r", "at": 1.0})
    journal.ingest()
    assert statuses(journal) == {early: "running", late: "void"}
    writer.end(early)
    again = writer.run(status="duplicate", duplicate_of=late)
    journal.ingest()
    assert set(statuses(journal).items()) == {(one, "void") for one in (early, late, again)}


def test_a_void_mark_without_a_run_voids_no_run(journal, writer):
    run = writer.whole_run()
    writer.spool.write({"e": "void", "run": "", "reason": "r", "at": 1.0})
    journal.ingest()
    assert statuses(journal) == {run: "passed"}


def test_a_doubt_that_comes_later_is_in_the_row(journal, writer):
    run = writer.whole_run()
    journal.ingest()
    for reason in ("b", "a"):
        writer.spool.write({"e": "unsound", "run": run, "reason": reason, "at": 1.0})
    journal.ingest()
    assert journal.all_runs()[0].unsound == "a"


def test_a_filter_knows_a_name_from_the_moment_it_is_used(journal, writer):
    writer.whole_run({"loss": 1.0}, params={"C": 1})
    journal.ingest()
    with pytest.raises(QueryError, match="no column, parameter or metric 'depth'"):
        journal.where("depth = 1")
    writer.whole_run({"acc": 1.0}, params={"depth": 1, "C": "auto"})
    journal.ingest()
    assert len(journal.where("depth = 1 and acc > 0 and params.C = 'auto'").rows) == 1


def test_a_purged_name_is_forgotten(journal, writer):
    run = writer.whole_run({"secret_metric": 1.0}, params={"C": 1})
    writer.whole_run({"loss": 1.0}, params={"C": 2})
    writer.close()
    journal.ingest()
    journal.purge([run])
    with pytest.raises(QueryError, match="secret_metric"):
        journal.where("secret_metric > 0")
    assert len(journal.where("C > 0 and loss > 0").rows) == 1


@pytest.fixture
def never_verified(monkeypatch):
    """Fail where the whole file is read again."""

    def forbid() -> None:
        monkeypatch.setattr(connect, "verify", lambda place: pytest.fail(f"{place} was verified"))

    return forbid


def test_a_merged_journal_is_not_read_whole_again(
    journal, new_writer, tmp_path, never_verified, monkeypatch
):
    new_writer().whole_run()
    target = Journal(tmp_path / "target.duckdb")
    target.merge([journal.path])
    never_verified()
    target.ingest()
    writer = type(new_writer())(target.folder)
    writer.whole_run()
    writer.close()
    target.ingest()
    assert len(target.all_runs()) == 2


def test_a_purged_journal_is_not_read_whole_again(journal, new_writer, never_verified):
    writer = new_writer()
    run = writer.whole_run()
    writer.close()
    journal.ingest()
    journal.purge([run])
    never_verified()
    new_writer().whole_run()
    journal.ingest()
    assert len(journal.all_runs()) == 1


def test_undoing_what_is_undone_already_hides_no_reason():
    with duckdb.connect(":memory:") as db:
        with pytest.raises(duckdb.TransactionException):
            db.rollback()
        migrate.undo(db)


def test_runs_of_other_code_are_known_where_there_is_none_of_the_code(journal, writer):
    old = [
        writer.whole_run(at=1_000.0 + n, code="old", params_hash="p1", identity=f"o{n}")
        for n in range(5)
    ]
    new = writer.whole_run(at=2_000.0, code="new", params_hash="p2", identity="n")
    writer.whole_run(at=1_500.0, code="old", params_hash="p2", identity="x")
    journal.ingest()
    known = journal.known({"new"}, {"t.py::test_svm"}, {"p1", "p2"})
    assert [run.run_id for run in known] == [new, *old[:1:-1]]
