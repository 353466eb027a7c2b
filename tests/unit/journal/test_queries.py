from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pytest_kepler.errors import QueryError
from pytest_kepler.journal import (
    Journal,
    JournalView,
    Rows,
    find_journal,
    open_journal,
    rows_as_json,
)
from pytest_kepler.journal.sql import VIEWS

GRID = [
    # name, params, metrics
    ("a", {"lr": 0.1, "kernel": "rbf", "gamma": "scale", "C": 1, "fast": True}, {"accuracy": 0.95}),
    ("b", {"lr": 0.01, "kernel": "rbf", "gamma": 0.5, "C": 10, "fast": False}, {"accuracy": 0.92}),
    ("c", {"lr": 0.001, "kernel": "linear", "gamma": 0.01, "C": 2}, {"accuracy": 0.85}),
    ("d", {"lr": 0.1, "kernel": "linear", "gamma": "auto", "C": 3}, {"accuracy": math.nan}),
    ("e", {"loss": "hinge", "cfg.optimizer.lr": 3.0, "C": 4}, {"loss": 0.25, "val/accuracy": 0.5}),
]


@pytest.fixture
def grid(journal, writer):
    for name, params, metrics in GRID:
        run = name * 20
        writer.whole_run(metrics, run=run, params=params, experiment=f"t.py::test_{name}")
    writer.run(run="f" * 20, status="duplicate", duplicate_of="a" * 20, params=GRID[0][1])
    journal.ingest()
    return journal


def names(rows: Rows) -> str:
    return "".join(row[0][0] for row in rows.rows)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("lr > 0.01 and accuracy > .9", "a"),
        ("lr > 0.005", "dba"),
        ("0.05 < lr", "da"),
        ("kernel = 'rbf'", "ba"),
        ("kernel in ('linear', 'poly')", "dc"),
        ("kernel like 'lin%'", "dc"),
        ("KERNEL = 'rbf'", "ba"),
        ("gamma = 'scale'", "a"),
        ("gamma > 0.1", "b"),
        ("gamma between 0.001 and 0.1", "c"),
        ("gamma not in ('scale', 'auto')", "cb"),
        ("gamma * 2 = 1", "b"),
        ("lr is null", "e"),
        ("fast", "a"),
        ("not fast", "b"),
        ("fast = true", "a"),
        ("accuracy > 0.9", "ba"),  # NaN is greater than nothing
        ("isnan(accuracy)", "d"),
        ("accuracy >= 0.8 order by accuracy", "cba"),
        ("order by accuracy desc", "abced"),
        ("accuracy > 0 order by accuracy desc limit 2", "ab"),
        ("order by accuracy desc limit 1", "a"),
        ("limit 2", "ed"),
        ("params.loss = 'hinge'", "e"),
        ("metrics.loss < 1", "e"),
        ("cfg.optimizer.lr > 1", "e"),
        ('"val/accuracy" = 0.5', "e"),
        ("C::int % 2 = 0", "ecb"),
        ("lower(kernel) = 'rbf'", "ba"),
        ("experiment like '%test_c'", "c"),
        ("status = 'duplicate'", "f"),
        ("runs.status in ('passed', 'duplicate') and kernel = 'rbf'", "fba"),
        ("(lr > 0.05 or lr < 0.005) and -accuracy < -0.9 -- best", "a"),
        ("case when lr > 0.05 then true else false end and accuracy > 0", "a"),
    ],
)
def test_a_filter_selects_what_it_says(grid, expression, expected):
    assert names(grid.where(expression)) == expected
    assert "".join(run.run_id[0] for run in grid.runs_where(expression)) == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("loss < 1", r"'loss' could mean two things: write params\.loss or metrics\.loss"),
        ("accurcy > 1", r"'accurcy'; did you mean 'accuracy'\?"),
        ("params.kernl = 'x'", r"no parameter 'kernl'; did you mean 'kernel'\?"),
        ("metrics.kernel = 1", "no metric 'kernel'"),
        ("val/accuracy > 1", r"""'val'; did you mean|'val'"""),
        ("lr > 0.1; drop table run", "cannot be read at '; drop"),
        ("lr > 0.1) or (true", "brackets"),
        ("lr > 'open", "cannot be read"),
        ("lr >", "cannot be answered"),
        ("nofunction(lr) > 1", "nofunction"),
    ],
)
def test_a_filter_that_cannot_be_answered_is_told(grid, expression, message):
    with pytest.raises(QueryError, match=message):
        grid.where(expression)


def test_names_that_differ_by_case_alone_are_refused_until_their_home_is_named(journal, writer):
    writer.whole_run(run="a" * 20, params={"C": 1, "c": 2})
    journal.ingest()
    with pytest.raises(
        QueryError, match=r"'C' could mean two things: write params\.C or params\.c"
    ):
        journal.where("C = 1")
    assert names(journal.where("params.C = 1 and params.c = 2")) == "a"
    assert names(journal.where("params.C = 2")) == ""


def test_the_answer_shows_the_parameters_and_metrics_that_the_filter_names(grid):
    found = grid.where("lr = 0.1 and accuracy > 0")
    assert found.columns[:5] == ("run_id", "experiment", "status", "started_at", "seconds")
    assert set(found.columns[5:]) == {"lr", "accuracy", "params"}
    (answer,) = json.loads(rows_as_json(found))
    assert (answer["lr"], answer["accuracy"]) == (0.1, 0.95)
    assert answer["params"]["kernel"] == "rbf"


def test_a_parameter_with_a_quote_in_its_name_is_found(journal, writer):
    writer.whole_run(run="a" * 20, params={"it's": 1, 'a"b': 2})
    journal.ingest()
    assert names(journal.where('"it\'s" = 1 and "a""b" = 2')) == "a"


def test_the_params_view_tells_numbers_from_texts(grid):
    found = grid.query(
        "SELECT value, number, text FROM params WHERE name IN ('gamma', 'fast') "
        "AND run_id < 'c' ORDER BY run_id, name"
    )
    assert found.rows == [
        ("true", None, "true"),
        ('"scale"', None, "scale"),
        ("false", None, "false"),
        ("0.5", 0.5, "0.5"),
    ]


def test_every_public_view_has_the_columns_that_are_promised(grid):
    promised = {
        "runs": "run_id session_id project experiment node_id status started_at seconds seed "
        "params metrics hypothesis identity code_hash data_hash params_hash eval_hash commit dirty "
        "why_new duplicate_of",
        "metrics": "run_id name step value logged_at",
        "params": "run_id name value number text",
        "checks": "run_id session_id code severity message location measured threshold waiver",
        "claims": "claim experiment verdict estimate low high n_pairs",
    }
    for view in VIEWS:
        columns = grid.query(f"SELECT * FROM {view}").columns
        assert set(promised.get(view, "").split()) <= set(columns)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO note VALUES ('a', 'b', 'c', 'd', NULL)",
        "DELETE FROM run",
        "UPDATE run SET status = 'passed'",
        "DROP TABLE run",
        "CREATE TABLE mine (x INTEGER)",
        "CREATE TEMP TABLE mine AS SELECT 1",
        "ALTER TABLE run ADD COLUMN x INTEGER",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE run",
        "",
        "COPY run TO 'stolen.csv'",
        "EXPORT DATABASE 'stolen'",
        "ATTACH 'other.duckdb'",
        "ATTACH ':memory:'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "RESET memory_limit",
        "PRAGMA threads = 8",
        "USE memory",
        "CREATE SECRET s (TYPE s3)",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT getenv('HOME')",
        "CALL enable_logging()",
        "CHECKPOINT",
        "SELECT * FROM sys",
        "SELECT len(list(i)) FROM range(2000000000) t(i)",
    ],
)
def test_sql_that_does_more_than_read_is_refused(grid, statement):
    with pytest.raises(QueryError):
        grid.query(statement)
    assert len(grid.all_runs()) == 6


def test_an_unknown_view_or_column_is_told_with_the_nearest(grid):
    with pytest.raises(QueryError, match=r"no view 'rums'; did you mean 'runs'\?"):
        grid.query("SELECT * FROM rums")
    with pytest.raises(QueryError, match="did you mean 'status'"):
        grid.query("SELECT statsu FROM runs")


def test_search_finds_every_word_wherever_it_stands(journal, writer):
    first = writer.whole_run(
        experiment="t.py::test_svm", params={"kernel": "rbf"}, hypothesis="Softer margins help."
    )
    other = writer.whole_run(experiment="t.py::test_tree", params={"depth": 3})
    writer.spool.write({"e": "note", "note": "n", "run": other, "text": "OVERFITS 100%", "at": 1})
    check = {"e": "check", "run": other, "session": "s", "code": "K304", "severity": "error"}
    writer.spool.write({**check, "message": "labels are shifted", "at": 1})
    journal.ingest()

    (hit,) = journal.search("SOFTER kernel=rbf")
    assert (hit.experiment, hit.run_ids) == ("t.py::test_svm", (first,))
    assert set(hit.found_in) == {"hypothesis", "params"}
    assert [hit.run_ids for hit in journal.search("overfits 100%")] == [(other,)]
    assert [hit.found_in for hit in journal.search("k304")] == [("findings",)]
    assert journal.search("softer overfits") == []
    assert len(journal.search("test_")) == 2
    with pytest.raises(QueryError, match="no word"):
        journal.search("  ")


def test_a_run_is_shown_by_a_unique_beginning_of_its_id(journal, writer):
    for run in ("abc1" + "0" * 16, "abc2" + "0" * 16):
        writer.whole_run(run=run)
    journal.ingest()
    assert journal.run("ABC1")["run"].run_id.startswith("abc1")
    with pytest.raises(QueryError, match=r"2 runs .*abc10000 .*abc20000|2 runs .*abc2.*abc1"):
        journal.run("abc")
    with pytest.raises(QueryError, match="No run has an id"):
        journal.run("f")


def test_the_shown_run_has_its_curves_in_order(journal, writer):
    run = writer.run()
    for step in range(3):
        writer.spool.metric(run, "loss", 1.0 / (step + 1), step)
        journal.ingest()
    assert journal.run(run)["curves"] == {"loss": [(0, 1.0), (1, 0.5), (2, 1 / 3)]}


def test_known_runs_are_the_executed_ones_newest_first(journal, writer):
    old = writer.whole_run(at=1_000.0, code="x", experiment="e1")
    new = writer.whole_run(at=2_000.0, code="x", experiment="e2")
    named = writer.whole_run(at=500.0, code="y", experiment="e3")
    writer.whole_run(code="z", experiment="e4")
    writer.run(code="x")  # still running
    journal.ingest()
    assert [run.run_id for run in journal.known({"x"}, {"e3"}, {""})] == [new, old, named]
    assert journal.known(set(), set(), {""}) == []


def test_known_runs_are_those_with_the_parameters_that_are_asked_for(journal, writer):
    one = writer.whole_run(params_hash="p1", identity="i1")
    writer.whole_run(params_hash="p2", identity="i2")
    journal.ingest()
    assert [run.run_id for run in journal.known({"code-1"}, (), {"p1", "p3"})] == [one]


def test_the_newest_runs_are_a_few_of_each_experiment(journal, writer):
    for n in range(230):
        writer.whole_run(at=1_000.0 + n, experiment="many")
    writer.whole_run(at=1.0, experiment="few")
    journal.ingest()
    found = journal.newest((), {"many", "few"})
    assert [run.experiment for run in found].count("many") == 200
    assert [run.started_at.timestamp() for run in found[:2]] == [1_229.0, 1_228.0]
    assert found[-1].experiment == "few"


def test_json_of_an_answer_nests_json_and_spells_what_is_not_finite():
    rows = Rows(
        ("a", "a", "n", "t", "m", "d"),
        ("JSON", "VARCHAR", "DOUBLE", "TIMESTAMP", "MAP", "DECIMAL"),
        [
            (
                '{"x": [1]}',
                '{"x"',
                math.nan,
                datetime(2026, 1, 2, 3),  # noqa: DTZ001  # as DuckDB gives it
                {"k": -math.inf},
                Decimal("1.5"),
            ),
            (None, None, math.inf, datetime(2026, 1, 2, tzinfo=UTC), {}, None),
        ],
    )
    assert json.loads(rows_as_json(rows)) == [
        {
            "a": {"x": [1]},
            "a_2": '{"x"',
            "n": "NaN",
            "t": "2026-01-02T03:00:00Z",
            "m": {"k": "-Infinity"},
            "d": 1.5,
        },
        {
            "a": None,
            "a_2": None,
            "n": "Infinity",
            "t": "2026-01-02T00:00:00+00:00",
            "m": {},
            "d": None,
        },
    ]
    assert rows_as_json(Rows(("a",), ("JSON",), [])) == "[]"


def test_an_answer_becomes_frames(grid):
    answer = grid.query("SELECT run_id, seconds, params FROM runs ORDER BY run_id")
    assert len(answer) == 6
    pandas = pytest.importorskip("pandas")
    assert isinstance(answer.df(), pandas.DataFrame)
    assert list(answer.df()["run_id"]) == [row[0] for row in answer.fetchall()]
    polars = pytest.importorskip("polars")
    assert isinstance(answer.pl(), polars.DataFrame)
    assert answer.pl().shape == (6, 3)
    assert answer.arrow().column_names == ["run_id", "seconds", "params"]


def test_a_notebook_sees_a_table_with_everything_escaped():
    rows = Rows(("<a>",), ("VARCHAR",), [("<b>",)] * 60)
    text = rows._repr_html_()
    assert "<th>&lt;a&gt;</th>" in text
    assert "<td>&lt;b&gt;</td>" in text
    assert "and 10 more rows" in text


def test_the_view_for_notebooks_asks_the_journal(grid, monkeypatch):
    monkeypatch.chdir(grid.folder.parent)
    view = open_journal()
    assert isinstance(view, JournalView)
    assert len(view.runs()) == 6
    assert names(view.runs(where="lr = 0.1 and accuracy > 0.9")) == "a"
    assert names(view.best("test_b")) == "b"
    assert view.query("SELECT count(*) FROM runs").rows == [(6,)]
    assert "t.py::test_a" in view._repr_html_()
    with pytest.raises(QueryError, match=r"no experiment 'test_z'"):
        view.best("test_z")


def test_best_follows_the_goal_and_never_shows_nan_first(journal, writer):
    spec = {"metric": "loss", "goal": "min"}
    for name, loss in (("a", 0.5), ("b", math.nan), ("c", 0.25)):
        writer.whole_run({"loss": loss}, run=name * 20, spec=spec)
    journal.ingest()
    assert names(JournalView(journal).best("test_svm")) == "cab"


def test_importing_the_journal_imports_no_duckdb():
    code = "import sys, pytest_kepler.journal; assert 'duckdb' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_journal_is_the_nearest_one_upwards_within_the_repository(tmp_path):
    outside, repository = tmp_path / ".kepler", tmp_path / "repository"
    deep = repository / "a" / "b"
    deep.mkdir(parents=True)
    outside.mkdir()
    (repository / ".git").mkdir()
    assert find_journal(deep, repository) == repository / ".kepler" / "journal.duckdb"
    assert find_journal(deep) == deep / ".kepler" / "journal.duckdb"
    (repository / "a" / ".kepler").mkdir()
    assert find_journal(deep, repository) == repository / "a" / ".kepler" / "journal.duckdb"
    assert find_journal(deep, repository, "x.duckdb") == deep / "x.duckdb"


def test_a_nested_reading_works(grid):
    with grid.reading() as outer, grid.reading() as inner:
        assert outer.execute("SELECT count(*) FROM runs").fetchall() == [(6,)]
        assert inner.execute("SELECT count(*) FROM runs").fetchall() == [(6,)]


def test_a_journal_object_holds_nothing_open(grid):
    with grid.reading():
        pass
    other = Journal(grid.path)
    assert other.ingest().n_runs == 0
    assert len(other.all_runs()) == 6
