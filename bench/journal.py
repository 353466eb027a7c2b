"""Make realistic journals of any size, and measure what is asked of them.

    python bench/journal.py make PATH --runs 100000     a journal to try things on
    python bench/journal.py measure --runs 10000 100000 make, ask, print the table
    python bench/journal.py measure --write             and write it to bench/JOURNAL.md

A made journal has sessions of 100 runs of one of 40 experiments, whose code changes twenty times;
ten parameters, four metrics, a tenth of duplicates, some failures, findings and notes; every tenth
run has curves of 20 steps and every hundredth of 200.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_kepler.journal import Journal, connect, lock
from pytest_kepler.journal.place import Place
from pytest_kepler.spool import Spool, new_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from duckdb import DuckDBPyConnection

RESULTS = Path(__file__).with_name("JOURNAL.md")
EXPERIMENTS = 40
RUNS_A_SESSION = 100
ROUND = EXPERIMENTS * RUNS_A_SESSION  # after so many runs the same experiment comes again

# A number below `n` that looks random and is always the same.
PICK = "CREATE TEMP MACRO pick(key, salt, n) AS (hash(key, salt) % n)::INTEGER"

# One row a run: everything about it follows from `i`; a duplicate follows from its original, `o`.
MADE = f"""
CREATE TEMP TABLE made AS
SELECT
    i, o, i <> o AS is_duplicate,
    substr(md5('run' || i), 1, 20) AS run_id,
    substr(md5('run' || o), 1, 20) AS original_id,
    substr(md5('session' || i // {RUNS_A_SESSION}), 1, 20) AS session_id,
    (i // {RUNS_A_SESSION}) % {EXPERIMENTS} AS x,
    o * 20 // greatest($n, 1) AS version,
    make_timestamp(1577836800000000 + i * 30000000) AS started_at,
    list_extract(
        [0.1, 0.05, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001]::DOUBLE[], 1 + pick(o, 1, 8)
    ) AS lr,
    [16, 32, 64, 128][1 + pick(o, 2, 4)] AS batch_size,
    1 + pick(o, 3, 6) AS depth,
    pick(o, 4, 5) AS seed,
    ['adam', 'sgd', 'rmsprop'][1 + pick(o, 5, 3)] AS optimizer,
    pick(o, 6, 6) / 10.0 AS dropout,
    pick(o, 7, 10000) / 10000.0 AS accuracy,
    CASE pick(o, 8, 50)
        WHEN 0 THEN 'failed' WHEN 1 THEN 'error' WHEN 2 THEN 'crashed' ELSE 'passed'
    END AS outcome
FROM (
    SELECT
        i,
        CASE
            WHEN i >= {ROUND} AND pick(i, 9, 10) = 0 AND pick(i - {ROUND}, 9, 10) <> 0
                AND pick(i - {ROUND}, 8, 50) > 2
            THEN i - {ROUND}
            ELSE i
        END AS o
    FROM range($n) AS t(i)
)
"""

FILL = (
    f"""
INSERT INTO run BY NAME
SELECT
    run_id, session_id, 'vision' AS project,
    'tests/test_' || x // 4 || '.py::test_model_' || x AS experiment,
    'tests/test_' || x // 4 || '.py::test_model_' || x || '[' || lr || '-' || batch_size || '-'
        || depth || '-' || optimizer || '-' || seed || ']' AS node_id,
    CASE WHEN is_duplicate THEN 'duplicate' ELSE outcome END AS status,
    started_at,
    CASE WHEN is_duplicate THEN 0 ELSE 1 + pick(o, 10, 600000) / 1000.0 END AS seconds,
    seed,
    map(
        [
            'lr', 'batch_size', 'depth', 'seed', 'optimizer', 'dropout', 'cfg.schedule.warmup',
            'width_' || x, 'augment_' || x, 'l2_' || x
        ],
        [
            to_json(lr), to_json(batch_size), to_json(depth), to_json(seed), to_json(optimizer),
            to_json(dropout), to_json(pick(o, 11, 3) * 500), to_json(32 * (1 + pick(o, 12, 8))),
            to_json(pick(o, 13, 2) = 0), to_json(pick(o, 14, 9) / 1000.0)
        ]
    ) AS params,
    CASE
        WHEN outcome IN ('error', 'crashed') THEN MAP {{}}::MAP(VARCHAR, DOUBLE)
        ELSE map(
            ['accuracy', 'loss', 'val/accuracy', 'val/loss'],
            [accuracy, 1 - accuracy, accuracy * 0.97, CASE
                WHEN pick(o, 15, 200) = 0 THEN 'nan'::DOUBLE ELSE 1.1 - accuracy
            END]
        )
    END AS metrics,
    'A deeper network with a smaller step generalises better on data ' || x || '.' AS hypothesis,
    md5(concat_ws('-', version, x, lr, batch_size, depth, seed, optimizer, dropout)) AS identity,
    md5('code' || x || '-' || version) AS code_hash,
    md5('data' || x % 8) AS data_hash,
    md5(concat_ws('-', x, lr, batch_size, depth, seed, optimizer, dropout)) AS params_hash,
    md5('data' || x % 8) AS eval_hash,
    md5('environment' || version) AS environment_hash,
    md5('commit' || i // 1000) || '00000000' AS "commit",
    pick(i // {RUNS_A_SESSION}, 16, 3) = 0 AS dirty,
    CASE WHEN is_duplicate THEN '' ELSE 'parameters not tried before' END AS why_new,
    CASE WHEN is_duplicate THEN original_id ELSE '' END AS duplicate_of,
    CASE outcome WHEN 'failed' THEN 'assert accuracy > 0.1' ELSE '' END AS message,
    ('{{"metric":"accuracy","goal":"max","at_least":0.9,"replicates":["seed","fold"],'
        || '"gate":true,"grid":100,"tags":["model_' || x || '"]}}')::JSON AS spec,
    (
        '{{"code":{{"test_model":"' || left(md5('a' || x || '-' || version), 16)
        || '","helpers.build":"' || left(md5('b' || x), 16)
        || '","helpers.layers":"' || left(md5('c' || x), 16)
        || '","helpers.schedule":"' || left(md5('d' || x), 16)
        || '"}},"params":{{"lr":"' || md5(lr::VARCHAR) || '","batch_size":"'
        || md5(batch_size::VARCHAR) || '","depth":"' || md5(depth::VARCHAR)
        || '","seed":"' || md5(seed::VARCHAR) || '","optimizer":"' || md5(optimizer)
        || '","dropout":"' || md5(dropout::VARCHAR) || '"}},"data":{{"images":"'
        || md5('data' || x % 8) || '"}},"settings":{{}},"environment":{{}}}}'
    )::JSON AS parts,
    '["seed"]'::JSON AS replicates, '' AS worker, '' AS spool
FROM made ORDER BY i
""",
    # What a run logs at its end: one value of each metric, without a step.
    """
INSERT INTO point
SELECT run_id, unnest(map_keys(metrics)) AS name, 1 AS batch, [NULL::BIGINT] AS steps,
    [unnest(map_values(metrics))] AS vals, [started_at] AS times
FROM run WHERE duplicate_of = ''
""",
    """
INSERT INTO point
SELECT
    run_id, 'epoch/' || unnest(['loss', 'accuracy', 'val_loss', 'val_accuracy']) AS name,
    1 AS batch,
    range(n) AS steps, list_transform(range(n), lambda s: 1 / (s + 1 + accuracy)) AS vals,
    list_transform(range(n), lambda s: started_at + to_seconds(s)) AS times
FROM (
    SELECT run_id, accuracy, started_at, CASE WHEN i % 100 = 0 THEN 200 ELSE 20 END AS n
    FROM made WHERE i % 10 = 0 AND NOT is_duplicate
)
""",
    f"""
INSERT INTO session BY NAME
SELECT
    session_id, min(started_at) AS started_at, 'vision' AS project, '/home/u/vision' AS rootdir,
    '["-m","experiment"]'::JSON AS args, 'host' || any_value(x) % 3 AS host, '3.13.1' AS python,
    'Linux-6.8' AS platform, '9.2.0' AS pytest,
    md5('commit' || min(i) // 1000) || '00000000' AS "commit",
    pick(min(i) // {RUNS_A_SESSION}, 16, 3) = 0 AS dirty,
    CASE WHEN pick(min(i) // {RUNS_A_SESSION}, 16, 3) = 0
        THEN repeat(md5(min(i)::VARCHAR) || chr(10), 40) ELSE '' END AS diff, '' AS ci, '' AS worker
FROM made GROUP BY session_id ORDER BY started_at
""",
    f"""
INSERT INTO session_end
SELECT session_id, started_at + to_seconds({30 * RUNS_A_SESSION}), 0 FROM session
""",
    """
INSERT INTO code
SELECT DISTINCT
    md5('code' || x || '-' || version),
    json_object('test_model', repeat('x = layer(x)  # ' || version || chr(10), 60))
FROM made
""",
    """
INSERT INTO environment
SELECT DISTINCT
    md5('environment' || version),
    json_object('python', '3.13.1', 'keras', '3.15.' || version, 'numpy', '2.4.6')
FROM made
""",
    """
INSERT INTO dataset
SELECT DISTINCT md5('data' || x % 8), 'images', 'ndarray', '[60000,28,28]'::JSON, 47040000
FROM made
""",
    """
INSERT INTO finding
SELECT
    run_id, session_id, 'K301', 'unscaled-features', 'warning',
    'feature ' || x || ' spans 0 to 255', 'X_train, column ' || x, '{"max":255}'::JSON,
    '{"max":10}'::JSON, 'Scale it.', '', started_at
FROM made WHERE i % 50 = 0 AND NOT is_duplicate
""",
    """
INSERT INTO note
SELECT substr(md5('note' || i), 1, 20), run_id, '', 'a lucky seed, see run ' || i, started_at
FROM made WHERE i % 1000 = 0
""",
    """
INSERT INTO model
SELECT run_id, 'model', 'keras', 'Sequential', '{}'::JSON, 1000 * depth, md5('model' || depth), NULL
FROM made WHERE i % 10 = 0 AND NOT is_duplicate
""",
)


def make(path: Path, n_runs: int) -> Journal:
    """Make a journal with `n_runs` runs at `path`, which must not be there."""
    if path.exists():
        sys.exit(f"{path} is there already: remove it, or name another file.")
    place = Place(path)
    with lock.locked(place, "exclusive"), connect.writer(place, is_trusted=True) as db:
        fill(db, n_runs)
    journal = Journal(path)
    log_session(journal, n_runs=1)
    journal.ingest()  # verifies the file once, as it does whenever others wrote it
    return journal


def fill(db: DuckDBPyConnection, n_runs: int) -> None:
    """Fill the tables in bulk; the rows are those that an ingest of spools would have made."""
    db.execute(PICK)
    db.execute(MADE, {"n": n_runs})
    for statement in FILL:
        db.execute(statement)
    db.execute("DROP TABLE made")


def log_session(journal: Journal, n_runs: int) -> None:
    """Spool a small session of runs that are new."""
    session = new_id()
    spool = Spool(journal.folder, session)
    spool.write({"e": "session", "session": session, "at": time.time(), "project": "vision"})
    for index in range(n_runs):
        run = new_id()
        spool.write(
            {
                "e": "run",
                "run": run,
                "session": session,
                "experiment": "tests/test_0.py::test_model_0",
                "node": f"tests/test_0.py::test_model_0[{index}]",
                "at": time.time(),
                "params": {"lr": 0.01, "depth": index},
                "identity": run,
                "code": "c0de",
                "spec": {"metric": "accuracy", "goal": "max"},
            }
        )
        for step in range(10):
            spool.metric(run, "loss", 1 / (step + 1), step)
        spool.metric(run, "accuracy", 0.5, None)
        spool.write({"e": "end", "run": run, "at": time.time(), "status": "passed", "seconds": 1.0})
    spool.write({"e": "session_end", "session": session, "at": time.time(), "exit_status": 0})
    spool.close()


@dataclass(frozen=True)
class Figure:
    """One line of the table: what was asked, and the median seconds for each size of journal."""

    what: str
    target: str
    seconds: tuple[float, ...]

    def row(self) -> str:
        """Return the line."""
        cells = " | ".join(_shown(one) for one in self.seconds)
        return f"| {self.what} | {self.target} | {cells} |"


def _shown(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _median(ask: Callable[[], object], times: int = 5) -> float:
    """Return the median seconds of a call that was made once before."""
    ask()
    found = []
    for _ in range(times):
        started = time.perf_counter()
        ask()
        found.append(time.perf_counter() - started)
    return statistics.median(found)


def _once(ask: Callable[[], object]) -> float:
    started = time.perf_counter()
    ask()
    return time.perf_counter() - started


def questions(journal: Journal) -> dict[tuple[str, str], Callable[[], float]]:
    """Return what is asked of a journal, each with its target."""
    with journal.reading() as db:
        (experiment,) = db.execute("SELECT min(experiment) FROM run").fetchall()[0]
        pair = [
            run_id
            for (run_id,) in db.execute(
                "SELECT DISTINCT run_id FROM point WHERE len(vals) = 200 ORDER BY 1 LIMIT 2"
            ).fetchall()
        ]
        codes, params = (
            [value for (value,) in db.execute(statement).fetchall()]
            for statement in (
                "SELECT arg_max(code_hash, started_at) FROM run GROUP BY experiment",
                "SELECT DISTINCT params_hash FROM (FROM run ORDER BY started_at DESC LIMIT 10000)",
            )
        )
        names = [name for (name,) in db.execute("SELECT DISTINCT experiment FROM run").fetchall()]

    def query(statement: str) -> Callable[[], float]:
        return lambda: _median(lambda: journal.query(statement))

    return {
        ("the latest 20 runs", "100 ms"): query(
            "SELECT run_id, experiment, status, started_at, seconds, metrics FROM runs "
            "ORDER BY started_at DESC LIMIT 20"
        ),
        ("the best 10 of an experiment", "100 ms"): query(
            f"SELECT run_id, params, metrics FROM runs WHERE experiment = '{experiment}' "
            "AND status = 'passed' ORDER BY (metrics ->> '$.accuracy')::DOUBLE DESC LIMIT 10"
        ),
        ("filter: `lr > 0.01 and accuracy > .99 limit 20`", "100 ms"): lambda: _median(
            lambda: journal.where("lr > 0.01 and accuracy > .99 limit 20")
        ),
        ("one curve", "100 ms"): query(
            f"SELECT step, value FROM metrics WHERE run_id = '{pair[0]}' "
            "AND name = 'epoch/loss' ORDER BY step"
        ),
        ("two runs, all their values", "100 ms"): query(
            f"SELECT run_id, name, step, value FROM metrics WHERE run_id IN {tuple(pair)}"
        ),
        ("`kepler show RUN`", "–"): lambda: _median(lambda: journal.run(pair[0]), 3),
        ("cold: `kepler query`", "–"): lambda: _cold(journal, "query", "SELECT count(*) FROM runs"),
        ("cold: `kepler report`", "1 s at 100k"): lambda: _cold(journal, "report"),
        ("what a session reads to decide 10,000 runs of 40 experiments", "1 s"): lambda: _median(
            lambda: journal.known(codes, names, params), 3
        ),
        ("the same for one experiment", "–"): lambda: _median(
            lambda: journal.known(codes[:1], names[:1], params), 3
        ),
        ("take in a session of 10 runs", "1 s"): lambda: _median(lambda: _take_in(journal, 10), 3),
        ("verify the file, as after a copy", "–"): lambda: _once(
            lambda: connect.verify(Place(journal.path))
        ),
    }


def _cold(journal: Journal, *arguments: str) -> float:
    command = [sys.executable, "-m", "pytest_kepler.cli", *arguments]
    return _median(
        lambda: subprocess.run(
            [*command, "--journal", str(journal.path)], check=True, stdout=subprocess.DEVNULL
        ),
        3,
    )


def _take_in(journal: Journal, n_runs: int) -> None:
    log_session(journal, n_runs)
    journal.ingest()


def rates(folder: Path) -> list[str]:
    """Return how fast spools are taken in, and what the file comes to."""
    lines = []
    for n_sessions, n_runs in ((1, 20_000), (1_000, 1)):
        journal = Journal(folder / f"rates-{n_sessions}.duckdb")
        for _ in range(n_sessions):
            log_session(journal, n_runs)
        seconds = _once(journal.ingest)
        total = n_sessions * n_runs
        lines.append(
            f"{n_sessions} spool(s) of {n_runs} run(s) with 11 values each: {seconds:.2f} s, "
            f"{total / seconds:,.0f} runs/s and {total * 11 / seconds:,.0f} values/s."
        )
    journal = Journal(folder / "points.duckdb")
    session = new_id()
    spool = Spool(journal.folder, session)
    for step in range(300_000):
        spool.metric(f"run-{step % 4}", "loss", 1 / (step + 1), step)
    spool.close()
    seconds = _once(journal.ingest)
    lines.append(f"300,000 values of 4 runs: {seconds:.2f} s, {300_000 / seconds:,.0f} values/s.")
    grown = Journal(folder / "grown.duckdb")
    for _ in range(1_000):
        _take_in(grown, 20)
    grown.export(folder / "out", "parquet")
    fresh = Journal(folder / "fresh.duckdb")
    fresh.import_(folder / "out")
    before, after = (journal.path.stat().st_size / 1e6 for journal in (grown, fresh))
    lines.append(
        f"After 1,000 ingests of 20 runs the file has {before:.1f} MB; made anew from its export "
        f"{after:.1f} MB: {before / after:.1f} times."
    )
    return lines


def measure(sizes: list[int], folder: Path) -> str:
    """Make a journal of each size, ask it everything, and return the table as Markdown."""
    found: dict[tuple[str, str], list[float]] = {}
    made = []
    for size in sizes:
        path = folder / f"{size}" / ".kepler" / "journal.duckdb"
        path.parent.mkdir(parents=True)
        seconds = _once(lambda path=path, size=size: make(path, size))  # type: ignore[misc]
        made.append(f"{size:,} runs: {path.stat().st_size / 1e6:.0f} MB, made in {seconds:.0f} s")
        for key, ask in questions(Journal(path)).items():
            found.setdefault(key, []).append(ask())
            print(f"{size:>9,}  {key[0]:<62} {_shown(found[key][-1])}", file=sys.stderr)
    head = "| what | target | " + " | ".join(f"{size:,} runs" for size in sizes) + " |"
    rows = [Figure(what, target, tuple(all_)).row() for (what, target), all_ in found.items()]
    return "\n".join(
        [
            _circumstances(),
            "; ".join(made) + ".",
            "",
            head,
            "|---" * (len(sizes) + 2) + "|",
            *rows,
            "",
        ]
    )


def _circumstances() -> str:
    return (
        f"{datetime.now().astimezone():%Y-%m-%d}, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}, Python {platform.python_version()}, DuckDB {version('duckdb')}."
    )


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    make_ = commands.add_parser("make", help="make a journal")
    make_.add_argument("path", type=Path)
    make_.add_argument("--runs", type=int, default=100_000)
    measure_ = commands.add_parser("measure", help="make journals, and ask them everything")
    measure_.add_argument("--runs", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    measure_.add_argument("--write", action="store_true", help="write bench/JOURNAL.md")
    options = parser.parse_args()
    if options.command == "make":
        seconds = _once(lambda: make(options.path, options.runs))
        size = options.path.stat().st_size / 1e6
        print(f"{options.path}: {options.runs} runs, {size:.0f} MB, {seconds:.1f} s")
        return
    with tempfile.TemporaryDirectory(prefix="kepler-journal-") as name:
        table = measure(options.runs, Path(name))
        lines = [f"- {line}" for line in rates(Path(name))]
    text = "\n".join([table, *lines, ""])
    print(text)
    if options.write:
        RESULTS.write_text(f"# The journal, measured\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
