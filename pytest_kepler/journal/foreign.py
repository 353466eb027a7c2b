"""Runs on their way to and from the stores of other programs."""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import math
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.errors import JournalError
from pytest_kepler.journal import connect
from pytest_kepler.journal.ingest import ingest
from pytest_kepler.journal.place import cannot
from pytest_kepler.journal.reading import select_artifacts, select_runs, utc
from pytest_kepler.journal.sharing import keep
from pytest_kepler.records import EMPTY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    from duckdb import DuckDBPyConnection

    from pytest_kepler.journal.place import Place
    from pytest_kepler.records import Artifact, Run

_ID_DIGITS: Final = 20
#: JSON has no word for them; the journal reads these.
_NOT_FINITE: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
#: What other stores have a word for: runs that were executed and are over.
_EXECUTED: Final = ("passed", "failed", "error", "xfailed", "crashed", "interrupted")


@dataclass(frozen=True, slots=True)
class Point:
    """One logged value: step (or None), value, and when, in seconds since the epoch."""

    step: int | None
    value: float
    at: float


@dataclass(frozen=True, slots=True)
class ForeignRun:
    """A run as other stores know one.

    Attributes
    ----------
    run_id : str
        Of 20 hexadecimal digits; the same whenever it is imported again.
    experiment, name : str
        The experiment, and what the run is called in it.
    status : str
        One of ours.
    started_at, seconds : float
        Since the epoch, and how long it took.
    params : mapping of str to value
    points : mapping of str to sequence of Point
        By metric.
    facts : mapping of str to JSON-able
        What else is known.
    """

    run_id: str
    experiment: str
    name: str
    status: str
    started_at: float
    seconds: float
    params: Mapping[str, Any] = EMPTY
    points: Mapping[str, Sequence[Point]] = EMPTY
    facts: Mapping[str, Any] = EMPTY


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A run of a journal on its way out."""

    run: Run
    points: Mapping[str, Sequence[Point]]
    artifacts: Sequence[Artifact]

    @property
    def ended_at(self) -> float:
        """When it was over, in seconds since the epoch."""
        return self.run.started_at.timestamp() + (self.run.seconds or 0.0)

    @property
    def name(self) -> str:
        """What the run is called in its experiment: its case, or its short id."""
        case = self.run.node_id.removeprefix(self.run.experiment).strip("[]")
        return case or self.run.short_id


@dataclass(slots=True)
class Moved:
    """What came of it: runs that were brought, runs that were there, and what was left out."""

    n_runs: int = 0
    n_there: int = 0
    left_out: list[str] = field(default_factory=list)


def library(name: str, extra: str) -> ModuleType:
    """Import what another store is read and written with.

    Raises
    ------
    JournalError
        If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        msg = f"This needs {extra}, which is not installed: pip install 'pytest-kepler[{extra}]'."
        raise JournalError(msg) from error


def id_of(kind: str, name: str) -> str:
    """Return the id that a run of another store has here, whoever imports it."""
    return hashlib.sha256(f"{kind}:{name}".encode()).hexdigest()[:_ID_DIGITS]


def value_of(text: str) -> Any:
    """Return a parameter that another store keeps as text: as a number where it is one."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if isinstance(value, bool | int | float | type(None)) else text


def import_runs(place: Place, source: str, runs: Iterable[ForeignRun]) -> Moved:
    """Bring runs into the journal, the way that everything goes into it; known ones are left.

    Parameters
    ----------
    place : Place
        The journal; it is made if it is not there.
    source : str
        Where they come from. They belong to one session of that name.
    runs : iterable of ForeignRun
        Their identity is empty: nobody knows what they were made of, so none is ever a ground to
        skip.

    Raises
    ------
    JournalError
        If the journal cannot be written.
    """
    ingest(place)
    with connect.reader(place) as db:
        known = {run_id for (run_id,) in db.execute("SELECT run_id FROM every_run").fetchall()}
    moved = Moved()
    spool = place.spool / f"import-{secrets.token_hex(8)}.jsonl"
    draft = spool.with_suffix(".new")  # under its name it is taken in, by whoever looks
    try:
        spool.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8") as file:
            for event in _fresh(runs, source, known, moved):
                file.write(json.dumps(event) + "\n")
        draft.rename(spool)
    except OSError as error:
        raise cannot("write", spool, error) from error
    keep(place, spool)
    ingest(place)
    return moved


def _fresh(
    runs: Iterable[ForeignRun], source: str, known: set[str], moved: Moved
) -> Iterator[dict[str, Any]]:
    session = id_of("import", source)
    yield {
        "e": "session",
        "session": session,
        "at": time.time(),
        "rootdir": source,
        "args": ["import", source],
    }
    for run in runs:
        if run.run_id in known:
            moved.n_there += 1
            continue
        known.add(run.run_id)
        moved.n_runs += 1
        yield from _events(run, session)


def _events(run: ForeignRun, session: str) -> Iterator[dict[str, Any]]:
    yield {
        "e": "run",
        "run": run.run_id,
        "session": session,
        "experiment": run.experiment,
        "node": f"{run.experiment}[{run.name}]",
        "at": run.started_at,
        "params": dict(run.params),
        "spec": {},
        "parts": {},
        "replicates": [],
        "why_new": "imported",
    }
    for name, points in run.points.items():
        for one in points:
            yield {
                "e": "m",
                "r": run.run_id,
                "n": name,
                "v": one.value if math.isfinite(one.value) else _NOT_FINITE[str(one.value)],
                "s": one.step,
                "t": one.at,
            }
    if run.facts:
        yield {"e": "fact", "run": run.run_id, "facts": dict(run.facts)}
    yield {
        "e": "end",
        "run": run.run_id,
        "at": run.started_at + run.seconds,
        "status": run.status,
        "seconds": run.seconds,
    }


def outgoing(place: Place) -> list[Outgoing]:
    """Return the executed runs of a journal, oldest first, with all that they logged.

    Raises
    ------
    JournalError
        If the journal cannot be read.
    """
    ingest(place)
    with connect.reader(place) as db:
        runs = select_runs(db, "status IN (SELECT unnest(?::VARCHAR[]))", [list(_EXECUTED)])
        ids = [run.run_id for run in runs]
        points = _points(db)
        saved: dict[str, list[Artifact]] = {}
        for one in select_artifacts(db, ids):
            saved.setdefault(one.run_id, []).append(one)
    return [
        Outgoing(run, points.get(run.run_id, {}), saved.get(run.run_id, ()))
        for run in reversed(runs)
    ]


def _points(db: DuckDBPyConnection) -> dict[str, dict[str, list[Point]]]:
    rows = db.execute(
        "SELECT run_id, name, steps, vals, times FROM point ORDER BY run_id, name, batch"
    ).fetchall()
    found: dict[str, dict[str, list[Point]]] = {}
    for run_id, name, steps, values, times in rows:
        found.setdefault(run_id, {}).setdefault(name, []).extend(
            Point(step, value, utc(at).timestamp())
            for step, value, at in zip(steps, values, times, strict=True)
        )
    return found


def file_of(place: Place, artifact: Artifact) -> Path | None:
    """Return the file of an artefact, or None if it is gone."""
    path = place.folder / artifact.path
    return path if path.is_file() else None
