"""Many processes on one journal at once: those that log, those that ingest, those that ask.

    python tests/kills/crowd.py               the table

Nothing may be lost, and nobody may be told that something is locked.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from pytest_kepler.journal import Journal

# Logs runs, and takes them into the journal as a session does at its end, over and over.
WRITE = """
import json, sys, time
from pathlib import Path
from pytest_kepler.journal import Journal
from pytest_kepler.spool import Spool, new_id
path, n_sessions, n_runs = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
journal, waits = Journal(path), []
for _ in range(n_sessions):
    session = new_id()
    spool = Spool(journal.folder, session)
    spool.write({"e": "session", "session": session, "at": time.time(), "project": "p"})
    for number in range(n_runs):
        run = new_id()
        event = {"e": "run", "run": run, "session": session, "experiment": "t", "node": "t"}
        spool.write({**event, "at": time.time(), "params": {"C": number}})
        for step in range(10):
            spool.metric(run, "loss", 1 / (step + 1), step)
        spool.write({"e": "end", "run": run, "at": time.time(), "status": "passed"})
    spool.close()
    started = time.perf_counter()
    journal.ingest()
    waits.append(time.perf_counter() - started)
print(json.dumps(waits))
"""
# Asks, as `kepler query` does, until the writers are done.
READ = """
import json, sys, time
from pathlib import Path
from pytest_kepler.journal import Journal
path, done = Path(sys.argv[1]), Path(sys.argv[2])
journal, waits, n_seen = Journal(path), [], 0
while not done.exists():
    started = time.perf_counter()
    journal.ingest()
    n_runs = journal.query("SELECT count(*) FROM runs").rows[0][0]
    assert n_runs >= n_seen, "runs were there and are gone"
    n_seen = n_runs
    waits.append(time.perf_counter() - started)
print(json.dumps(waits))
"""


@dataclass(frozen=True)
class Crowd:
    """What came of it: how many runs and values there should be and are, and who complained."""

    n_writers: int
    n_readers: int
    n_runs: int
    n_found: int
    n_values: int
    n_values_found: int
    complaints: list[str]
    writing: list[float]
    reading: list[float]

    def row(self) -> str:
        """Return the line of the table."""
        return (
            f"| {self.n_writers} | {self.n_readers} | {self.n_runs} | {self.n_runs - self.n_found} "
            f"| {self.n_values - self.n_values_found} | {len(self.complaints)} "
            f"| {statistics.median(self.writing):.2f} | {max(self.writing):.2f} "
            f"| {statistics.median(self.reading):.2f} | {max(self.reading):.2f} |"
        )


HEAD = (
    "| writers | readers | runs | runs lost | values lost | errors | ingest, median s | max s "
    "| question, median s | max s |\n|---|---|---|---|---|---|---|---|---|---|"
)


def crowd(folder: Path, n_writers: int, n_readers: int, n_sessions: int, n_runs: int) -> Crowd:
    """Let so many processes loose on one journal, each writer with so many sessions and runs."""
    path, done = folder / ".kepler" / "journal.duckdb", folder / "done"
    writers = [_start(WRITE, path, n_sessions, n_runs) for _ in range(n_writers)]
    readers = [_start(READ, path, done) for _ in range(n_readers)]
    written = [process.communicate() for process in writers]
    time.sleep(0.5)
    done.touch()
    read = [process.communicate() for process in readers]
    processes = zip([*writers, *readers], [*written, *read], strict=True)
    complaints = [error for process, (_, error) in processes if process.returncode or error]
    journal = Journal(path)
    journal.ingest()
    ((found,),) = journal.query("SELECT count(DISTINCT run_id) FROM runs").rows
    ((values,),) = journal.query("SELECT count(*) FROM metrics").rows
    total = n_writers * n_sessions * n_runs
    return Crowd(
        *(n_writers, n_readers, total, found, total * 10, values, complaints),
        writing=_all(written),
        reading=_all(read),
    )


def _start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _all(outputs: list[tuple[str, str]]) -> list[float]:
    return [wait for output, _ in outputs if output for wait in json.loads(output)] or [0.0]


def main() -> int:
    """Run crowds of several sizes and print the table; exit status 1 if anything went wrong."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    outcomes = []
    for n_writers, n_readers in ((1, 1), (4, 2), (8, 4), (16, 4)):
        with tempfile.TemporaryDirectory(prefix="crowd-") as name:
            outcomes.append(crowd(Path(name), n_writers, n_readers, n_sessions=4, n_runs=10))
    complaints = [text for outcome in outcomes for text in outcome.complaints]
    rows = [outcome.row() for outcome in outcomes]
    sys.stdout.write("\n".join([HEAD, *rows, *complaints, ""]))
    return int(
        any(
            o.complaints or o.n_found != o.n_runs or o.n_values_found != o.n_values
            for o in outcomes
        )
    )


if __name__ == "__main__":
    sys.exit(main())
