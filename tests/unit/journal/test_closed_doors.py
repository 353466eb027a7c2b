"""The user's SQL reads the journal and reaches nothing else, for a bounded time."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_kepler.errors import QueryError
from pytest_kepler.journal import Journal, asking, sql
from pytest_kepler.journal.place import Place
from tests.unit.journal.conftest import Writer

#: What a statement must not be able to tell.
SECRET = "correct horse battery staple"  # noqa: S105  # planted

WRITES = [
    "INSERT INTO run (run_id) VALUES ('x')",
    "WITH gone AS (DELETE FROM run RETURNING *) SELECT * FROM gone",
    "EXPLAIN ANALYZE DELETE FROM run",
    "TRUNCATE run",
    "MERGE INTO run USING run AS r ON run.run_id = r.run_id WHEN MATCHED THEN DELETE",
    "ALTER VIEW runs RENAME TO walks",
    "COMMENT ON TABLE run IS 'mine'",
    "CREATE MACRO mine(x) AS x",
    "CREATE SEQUENCE mine",
    "FROM query('DROP TABLE run')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('DELETE FROM run'))",
    "BEGIN",
    "VACUUM",
    "FORCE CHECKPOINT",
]
FILES = [
    "COPY run TO 'stolen.csv'",
    "COPY (SELECT 1) TO 'stolen.parquet'",
    "EXPLAIN ANALYZE COPY run TO 'stolen.csv'",
    "COPY FROM DATABASE journal TO memory",
    "EXPORT DATABASE 'stolen'",
    "IMPORT DATABASE 'stolen'",
    "COPY note FROM 'secret.txt'",
    "SELECT * FROM 'secret.txt'",
    "SELECT * FROM read_csv('secret.txt')",
    "SELECT * FROM read_csv_auto('/dev/stdin')",
    "SELECT * FROM read_text('secret.txt')",
    "SELECT * FROM read_blob('secret.txt')",
    "SELECT * FROM read_json('secret.txt')",
    "SELECT * FROM read_ndjson_objects('secret.txt')",
    "SELECT * FROM parquet_metadata('secret.txt')",
    "SELECT * FROM sniff_csv('secret.txt')",
    "SELECT * FROM glob('*')",
    "SELECT * FROM 'https://example.com/x.csv'",
    "SELECT * FROM read_csv('\\\\host\\share\\x.csv')",
    "ATTACH 'other.duckdb'",
    "ATTACH ':memory:'",
    "SELECT * FROM 'other.duckdb'",
    "DETACH journal",
    "USE memory",
]
DOORS = [
    "INSTALL httpfs",
    "INSTALL httpfs FROM community",
    "LOAD httpfs",
    "LOAD './mine.duckdb_extension'",
    "SELECT * FROM sqlite_scan('secret.txt', 't')",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "SET memory_limit = '100GB'",
    "SET VARIABLE mine = 1",
    "RESET memory_limit",
    "PRAGMA threads = 8",
    "PRAGMA enable_profiling",
    "CALL enable_logging()",
    "CREATE SECRET mine (TYPE s3)",
    "SELECT * FROM duckdb_secrets()",
    "SELECT getenv('SECRET')",
    "SELECT * FROM os",
    "SELECT * FROM SECRET",
    "PREPARE mine AS SELECT 1",
    "EXECUTE mine",
    "SELECT 1; DROP TABLE run",
    "SELECT 1;; SELECT 2",
    "",
    ";",
    "-- nothing",
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A journal with one run, in a folder with a secret beside it."""
    home = tmp_path_factory.mktemp("guarded")
    journal = Journal(home / ".kepler" / "journal.duckdb")
    writer = Writer(journal.folder).begin()
    writer.whole_run({"accuracy": 0.5}, run="a" * 20)
    writer.close()
    journal.ingest()
    (home / "secret.txt").write_text(SECRET)
    (home / "other.duckdb").write_bytes(journal.path.read_bytes())
    return journal


@pytest.fixture
def guarded(prepared, monkeypatch):
    """The same, asked from its folder."""
    monkeypatch.chdir(prepared.folder.parent)
    monkeypatch.setenv("SECRET", SECRET)
    return prepared


def ask_here(journal: Journal, statement: str) -> object:
    """Ask in this process, as the process does that can be killed: it is the same function."""
    with sql.query(Place(journal.path), statement) as found:
        return found.fetch(10)


@pytest.mark.parametrize("statement", [*WRITES, *FILES, *DOORS])
def test_a_hostile_statement_is_refused_in_a_sentence(guarded, statement):
    before = guarded.path.read_bytes()
    files = sorted(guarded.folder.parent.rglob("*"))
    with pytest.raises(QueryError) as refused:
        ask_here(guarded, statement)
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert guarded.path.read_bytes() == before
    assert sorted(guarded.folder.parent.rglob("*")) == files


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT repeat('x', 3000000000)",
        "SELECT count(*) FROM range(100000000000)",
        "WITH RECURSIVE a AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM a) SELECT max(x) FROM a",
    ],
)
def test_a_statement_that_takes_too_long_is_ended(guarded, statement):
    with pytest.raises(QueryError, match=r"longer than 0\.5 s and was ended.*--timeout"):
        guarded.query(statement, timeout=0.5)
    assert guarded.query("SELECT count(*) FROM runs").rows == [(1,)]


def test_a_filter_that_takes_too_long_is_ended(guarded):
    with pytest.raises(QueryError, match="was ended"):
        guarded.where("length(repeat('x', 3000000000)) > accuracy", timeout=0.5)


def test_an_answer_that_is_too_large_is_refused(guarded, monkeypatch):
    monkeypatch.setattr(asking, "_LARGEST", 1 << 20)
    with pytest.raises(QueryError, match="larger than"):
        guarded.query("SELECT repeat('x', 1000) FROM range(100000)")
    assert len(guarded.query("SELECT repeat('x', 1000) FROM range(100)")) == 100


def test_a_statement_that_fills_the_memory_is_refused(guarded):
    with pytest.raises(QueryError, match="Out of Memory"):
        guarded.query("SELECT list(range(1000000)) FROM range(1000)")


def test_many_rows_arrive_whole_and_in_order(guarded):
    found = guarded.query("SELECT i, 'ü' || i AS text FROM range(10000) t(i) ORDER BY i")
    assert found.columns == ("i", "text")
    assert found.rows == [(i, f"ü{i}") for i in range(10_000)]


def test_the_process_that_asks_imports_no_duckdb_for_it(guarded):
    code = (
        "import sys; from pathlib import Path; from pytest_kepler.journal import Journal\n"
        "rows = Journal(Path(sys.argv[1])).query('SELECT count(*) FROM runs').rows\n"
        "assert rows == [(1,)] and 'duckdb' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, guarded.path], check=True)


def test_a_process_that_died_is_told_and_replaced(guarded):
    guarded.query("SELECT 1")
    (answerer,) = asking._answerers
    os.kill(answerer._process.pid, signal.SIGSTOP)  # so that it dies while it is asked
    with pytest.raises(QueryError, match="SIGKILL"), _killed_soon(answerer._process.pid):
        guarded.query("SELECT 1")
    assert guarded.query("SELECT 1").rows == [(1,)]


@contextlib.contextmanager
def _killed_soon(pid: int):
    with subprocess.Popen(["/bin/sh", "-c", f"sleep 0.2; kill -9 {pid}"]):
        yield


def test_a_query_ends_with_the_process_that_asked(guarded):
    code = (
        "import sys; from pathlib import Path; from pytest_kepler.journal import Journal, asking\n"
        "journal = Journal(Path(sys.argv[1])); journal.query('SELECT 1')\n"
        "print(asking._answerers[0]._process.pid, flush=True)\n"
        "journal.query('SELECT count(*) FROM range(100000000000)')"
    )
    command = [sys.executable, "-c", code, str(guarded.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as asker:
        answerer = int(asker.stdout.readline())
        time.sleep(0.2)
        asker.kill()
    deadline = time.monotonic() + 10
    while _lives(answerer) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _lives(answerer)


def _lives(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_a_fork_asks_a_process_of_its_own(guarded):
    # In a process without threads, where a fork is sound.
    code = (
        "import os, sys; from pathlib import Path; from pytest_kepler.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1])); journal.query('SELECT 1')\n"
        "child = os.fork()\n"
        "rows = journal.query('SELECT count(*) FROM runs').rows\n"
        "assert rows == [(1,)]\n"
        "if child: assert os.waitpid(child, 0)[1] == 0"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, guarded.path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_json_nan_and_times_pass_through_the_pipe(guarded):
    found = guarded.query(
        "SELECT params, 'nan'::DOUBLE AS n, TIMESTAMP '2026-01-02' AS t, MAP {'a': 1} AS m, "
        "1.5::DECIMAL(4, 1) AS d, uuid() AS u, INTERVAL 1 DAY AS i FROM runs"
    )
    assert found.types[:3] == ("JSON", "DOUBLE", "TIMESTAMP")
    params, number, *_ = found.rows[0]
    assert json.loads(params) == {}
    assert math.isnan(number)
