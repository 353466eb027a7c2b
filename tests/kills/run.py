"""Kill trainers, ingesters and mergers at random times, and see that nothing is lost or doubled.

    python tests/kills/run.py                 a hundred kills and more, as a table
    python tests/kills/run.py --seed 7        at other times

Each kill is a SIGKILL of a real process at work on real files. A trainer says in a file of its own
which values it has handed over, after the call returned: those must be found. An ingester or a
merger is killed any number of times and then left alone: what comes out must be what a run that
nobody killed gives.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path

from pytest_kepler.journal import Journal
from pytest_kepler.spool import Spool

STEPS = 300
RUNS = 3
#: The share of trainers that are killed while they log; the others may not have begun.
_WHILE_TRAINING = 0.8
_COUNT = struct.Struct("=q")

TRAINING = f"""
    import os
    import struct
    import time

    import pytest

    ACKNOWLEDGED = os.open(os.environ["ACKNOWLEDGED"], os.O_RDWR | os.O_CREAT)

    @pytest.mark.experiment(metric="loss", goal="min")
    @pytest.mark.parametrize("C", range({RUNS}))
    def test_train(experiment, C):
        for step in range({STEPS}):
            experiment.log(loss=C + 1 / (step + 1), step=step)
            os.pwrite(ACKNOWLEDGED, struct.pack("=q", step + 1), 8 * C)
            time.sleep(0.001)
"""
INGEST = """
import sys
from pathlib import Path
from pytest_kepler.journal import Journal
print("begun", flush=True)
Journal(Path(sys.argv[1])).ingest()
"""
MERGE = """
import sys
from pathlib import Path
from pytest_kepler.journal import Journal
print("begun", flush=True)
Journal(Path(sys.argv[1])).merge([Path(sys.argv[2])])
"""


@dataclass
class Outcome:
    """What came of the kills of one kind of process.

    Attributes
    ----------
    n_kills : int
        Processes that were killed.
    n_landed : int
        Those of them that were still at work.
    n_handed_over, n_found : int
        Values that must be there, and that are.
    n_doubled : int
        Values and runs that are there more than once.
    faults : list of str
        A sentence for each thing that is wrong.
    recoveries : list of float
        Seconds that the first reading took after a kill.
    """

    kind: str
    n_kills: int = 0
    n_landed: int = 0
    n_handed_over: int = 0
    n_found: int = 0
    n_doubled: int = 0
    faults: list[str] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)

    def row(self) -> str:
        """Return the line of the table."""
        lost = self.n_handed_over - self.n_found
        return (
            f"| {self.kind} | {self.n_kills} | {self.n_landed} | {self.n_handed_over:,} | {lost} "
            f"| {self.n_doubled} | {statistics.median(self.recoveries):.2f} "
            f"| {max(self.recoveries):.2f} | {len(self.faults)} |"
        )


HEAD = (
    "| killed | kills | at work | values handed over | lost | doubled | recovery, median s | max s "
    "| faults |\n|---|---|---|---|---|---|---|---|---|"
)


def kill(outcome: Outcome, process: subprocess.Popen[bytes], after: float) -> None:
    """Kill a process and its children after so many seconds, or let it be if it has ended."""
    try:
        process.wait(timeout=after)
    except subprocess.TimeoutExpired:
        outcome.n_landed += 1
    outcome.n_kills += 1
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


# Trainers ---------------------------------------------------------------------------------------


def kill_trainers(folder: Path, n_kills: int, times: random.Random, *workers: str) -> Outcome:
    """Kill pytest sessions that train; each goes on with what the ones before have left."""
    outcome = Outcome("trainer, xdist" if workers else "trainer")
    while outcome.n_kills < n_kills:
        project = Path(tempfile.mkdtemp(dir=folder))
        (project / "pytest.ini").write_text("[pytest]\n")
        (project / "test_train.py").write_text(textwrap.dedent(TRAINING))
        for _ in range(min(4, n_kills - outcome.n_kills)):
            acknowledged = project / f"acknowledged-{outcome.n_kills}"
            process = _session(project, acknowledged, *workers)
            if times.random() < _WHILE_TRAINING:
                _wait_for_a_value(process, acknowledged)
            kill(outcome, process, times.uniform(0, 1))
            _check_values(outcome, project, acknowledged)
        last = project / "acknowledged-last"
        if _session(project, last, *workers).wait():
            outcome.faults.append(f"{project}: the session that nobody killed failed")
        _check_end(outcome, project)
    return outcome


def _session(project: Path, acknowledged: Path, *workers: str) -> subprocess.Popen[bytes]:
    acknowledged.write_bytes(_COUNT.pack(0) * RUNS)
    environment = {**os.environ, "ACKNOWLEDGED": str(acknowledged)}
    environment.pop("PYTEST_XDIST_WORKER", None)
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *workers],
        cwd=project,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _wait_for_a_value(process: subprocess.Popen[bytes], acknowledged: Path) -> None:
    while process.poll() is None and not any(acknowledged.read_bytes()):
        time.sleep(0.01)


def _check_values(outcome: Outcome, project: Path, acknowledged: Path) -> None:
    """Look for every value that the killed session had handed over."""
    journal = Journal(project / ".kepler" / "journal.duckdb")
    started = time.perf_counter()
    journal.ingest()
    outcome.recoveries.append(time.perf_counter() - started)
    _see_all_crashed(outcome, journal)
    steps: dict[str, list[int]] = {}
    for run, step in journal.query(
        "SELECT node_id || run_id, step FROM metrics JOIN runs USING (run_id) WHERE name = 'loss' "
        "AND started_at = (SELECT max(r.started_at) FROM runs AS r WHERE r.node_id = runs.node_id "
        "AND r.status <> 'duplicate') ORDER BY ALL"
    ).rows:
        steps.setdefault(run.partition("]")[0], []).append(step)
    content = acknowledged.read_bytes()
    for index in range(RUNS):
        (n_steps,) = _COUNT.unpack_from(content, _COUNT.size * index)
        found = steps.get(f"test_train.py::test_train[{index}", [])
        outcome.n_handed_over += n_steps
        outcome.n_found += len(set(found) & set(range(n_steps)))
        outcome.n_doubled += len(found) - len(set(found))


def _see_all_crashed(outcome: Outcome, journal: Journal) -> None:
    # Workers die a moment after their controller, and hold their spools until they have.
    deadline = time.monotonic() + 10
    while (n_open := _count_running(journal)) and time.monotonic() < deadline:
        time.sleep(0.05)
    if n_open:
        outcome.faults.append(
            f"{journal.path}: {n_open} runs of a killed session are still running"
        )


def _count_running(journal: Journal) -> int:
    journal.ingest()
    return int(journal.query("SELECT count(*) FROM runs WHERE status = 'running'").rows[0][0])


def _check_end(outcome: Outcome, project: Path) -> None:
    """See that each run came to its end once, with all its values."""
    journal = Journal(project / ".kepler" / "journal.duckdb")
    journal.ingest()
    rows = journal.query(
        "SELECT node_id, count(DISTINCT run_id), count(DISTINCT step), count(step) FROM runs "
        "JOIN metrics USING (run_id) WHERE status = 'passed' AND name = 'loss' GROUP BY node_id"
    ).rows
    if [row[1:] for row in rows] != [(1, STEPS, STEPS)] * RUNS:
        outcome.faults.append(f"{project}: the runs did not come to one end each: {rows}")


# Ingesters and mergers ----------------------------------------------------------------------------


def write_spools(folder: Path, n_spools: int, n_runs: int, n_points: int) -> None:
    """Leave the spools of processes that are gone."""
    for index in range(n_spools):
        spool = Spool(folder, f"{index:04}")
        session = f"s{index:04}"
        spool.write({"e": "session", "session": session, "at": 1.0, "project": "p"})
        for number in range(n_runs):
            run = f"{index:010}{number:010}"
            event = {"e": "run", "run": run, "session": session, "experiment": "t", "node": "t"}
            spool.write({**event, "at": 2.0 + number, "params": {"C": number}})
            for step in range(n_points):
                spool.metric(run, "loss", 1 / (step + 1), step)
            spool.write({"e": "end", "run": run, "at": 3.0, "status": "passed", "seconds": 1.0})
        spool.close()


def kill_ingesters(folder: Path, n_kills: int, times: random.Random) -> Outcome:
    """Kill processes that take spools into the journal."""
    outcome = Outcome("ingester")
    shape = (40, 50, 20)
    template = folder / "template"
    write_spools(template, *shape)
    longest = _seconds_of(INGEST, shutil.copytree(template, folder / "clean") / "journal.duckdb")
    while outcome.n_kills < n_kills:
        trial = shutil.copytree(template, Path(tempfile.mkdtemp(dir=folder)) / ".kepler")
        for _ in range(min(3, n_kills - outcome.n_kills)):
            process = _begun(INGEST, trial / "journal.duckdb")
            kill(outcome, process, times.uniform(0, longest))
        _check_counts(outcome, Journal(trial / "journal.duckdb"), shape)
        if list((trial / "spool").glob("*.jsonl")):
            outcome.faults.append(f"{trial}: spools are left after the last ingest")
        shutil.rmtree(trial.parent)
    return outcome


def kill_mergers(folder: Path, n_kills: int, times: random.Random) -> Outcome:
    """Kill processes that merge one journal into another."""
    outcome = Outcome("merger")
    shape = (10, 100, 20)
    home = folder / "source" / ".kepler"
    write_spools(home, *shape)
    source = home / "journal.duckdb"
    Journal(source).ingest()
    longest = _seconds_of(MERGE, folder / "clean.duckdb", source)
    while outcome.n_kills < n_kills:
        trial = Path(tempfile.mkdtemp(dir=folder)) / "journal.duckdb"
        for _ in range(min(3, n_kills - outcome.n_kills)):
            kill(outcome, _begun(MERGE, trial, source), times.uniform(0, longest))
        _check_counts(outcome, Journal(trial), shape, source)
        shutil.rmtree(trial.parent)
    return outcome


def _begun(code: str, *arguments: Path) -> subprocess.Popen[bytes]:
    """Start a process and wait until it is about to work."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with process.stdout:  # type: ignore[union-attr]  # we asked for a pipe
        process.stdout.readline()  # type: ignore[union-attr]  # likewise
    return process


def _seconds_of(code: str, *arguments: Path) -> float:
    process = _begun(code, *arguments)
    started = time.perf_counter()
    process.wait()
    return time.perf_counter() - started


def _check_counts(
    outcome: Outcome, journal: Journal, shape: tuple[int, int, int], *sources: Path
) -> None:
    """Do what was killed once more, unkilled, and count."""
    n_spools, n_runs, n_points = shape
    expected = n_spools * n_runs
    started = time.perf_counter()
    if sources:
        journal.merge(sources)
    journal.ingest()
    outcome.recoveries.append(time.perf_counter() - started)
    runs, distinct = journal.query("SELECT count(*), count(DISTINCT run_id) FROM runs").rows[0]
    values, different = journal.query(
        "SELECT count(*), count(DISTINCT (run_id, step)) FROM metrics"
    ).rows[0]
    outcome.n_handed_over += expected * n_points
    outcome.n_found += different
    outcome.n_doubled += runs - distinct + values - different
    passed = journal.query("SELECT count(*) FROM runs WHERE status = 'passed'").rows[0][0]
    if passed != expected or journal.examine():
        outcome.faults.append(f"{journal.path}: {passed} of {expected}; {journal.examine()}")


def main() -> int:
    """Kill, and print the table; exit status 1 if anything was lost, doubled or wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=120, help="how many in all")
    options = parser.parse_args()
    times = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        outcomes = []
        for kind, share, more in (
            (kill_trainers, 0.35, ()),
            (kill_trainers, 0.1, ("-n", "2")),
            (kill_ingesters, 0.4, ()),
            (kill_mergers, 0.15, ()),
        ):
            folder = Path(name) / f"{len(outcomes)}"
            folder.mkdir()
            outcomes.append(kind(folder, round(options.kills * share), times, *more))
            sys.stderr.write(f"{outcomes[-1].kind}\n")
    faults = [fault for outcome in outcomes for fault in outcome.faults]
    sys.stdout.write("\n".join([HEAD, *(outcome.row() for outcome in outcomes), *faults, ""]))
    return int(any(o.n_found < o.n_handed_over or o.n_doubled or o.faults for o in outcomes))


if __name__ == "__main__":
    sys.exit(main())
