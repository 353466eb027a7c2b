"""Examine a journal and what lies beside it, and repair what can be, deleting nothing."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.errors import JournalError
from pytest_kepler.journal import connect, lock, rescue, sharing
from pytest_kepler.journal.ingest import ingest
from pytest_kepler.journal.lock import is_abandoned
from pytest_kepler.journal.merging import digest, is_inside
from pytest_kepler.journal.place import cannot, is_last_words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from pytest_kepler.journal.place import Place

_SHOWN: Final = 5
#: Tables whose rows belong to one run.
_OF_A_RUN: Final = ("point", "eval", "fact", "finding", "model", "artifact")


@dataclass(frozen=True, slots=True)
class Ailment:
    """Something that is not as it should be.

    Attributes
    ----------
    kind : str
        ``damaged``, ``spool``, ``quarantine``, ``stranded``, ``orphan``, ``twin``, ``artifact``.
    message : str
        What is wrong, and where.
    cure : str
        What ``--repair`` did or would do; empty where nothing can be done.
    is_repaired : bool
        Whether it has been done.
    """

    kind: str
    message: str
    cure: str = ""
    is_repaired: bool = False


def examine(place: Place, *, repair: bool = False) -> list[Ailment]:
    """Return what is wrong with a journal, its spools and its artefacts.

    Parameters
    ----------
    place : Place
        The journal. Nothing is changed unless `repair` says so.
    repair : bool
        Whether to do what can be done. What is damaged is moved aside, never deleted.

    Raises
    ------
    JournalError
        If the file belongs to a newer release or is no journal, or a repair failed.
    """
    found = [*_damage(place, repair=repair)]
    if any(not one.is_repaired for one in found):
        return found  # what cannot be read cannot be examined further
    found += _spools(place, repair=repair)
    if not place.file.exists():
        return found
    with connect.reader(place) as db:
        rows = _Rows(db)
        found += rows.orphans()
        found += rows.twins()
        stranded = rows.stranded(place)
        artifacts = rows.artifacts()
    found += _stranded(place, stranded, repair=repair)
    found += _artifacts(place, artifacts, repair=repair)
    return found


def _damage(place: Place, *, repair: bool) -> Iterator[Ailment]:
    """Yield whether the file cannot be read: every block of it is."""
    if not place.file.exists():
        return
    try:
        with lock.locked(place, "shared"):
            connect.verify(place)
    except JournalError as error:
        if "is damaged" not in str(error) or place.file.is_dir():
            raise
        cure = "move it aside and make a new journal of every table that can still be read"
        if not repair:
            yield Ailment("damaged", f"{place.file} cannot be read whole ({_cause(error)})", cure)
            return
        done = rescue.rescue(place)
        more = f" and {done.n_of_copies} from older copies" if done.n_of_copies else ""
        tables = f"; not readable: {', '.join(done.lost)}" if done.lost else ""
        yield Ailment(
            "damaged",
            f"{place.file} cannot be read whole ({_cause(error)})",
            f"moved to {done.aside.name}; {done.n_runs} runs were rescued from it{more}{tables}",
            is_repaired=True,
        )


def _cause(error: BaseException) -> str:
    cause = error.__cause__
    return str(cause).splitlines()[0] if cause and str(cause) else "it is empty"


def _spools(place: Place, *, repair: bool) -> Iterator[Ailment]:
    """Yield the spools of processes that are gone, and the lines that could not be read."""
    left = [spool for spool in place.spools() if not is_last_words(spool) and is_abandoned(spool)]
    if left:
        cure = "take them into the journal"
        message = f"{len(left)} spool(s) of processes that are gone wait in {place.spool}"
        if repair:
            done = ingest(place)
            cure = f"taken in: {done.n_runs} runs, {done.n_points} values"
        yield Ailment("spool", message, cure, is_repaired=repair)
    unnamed = _entries(place.spool, ".new")
    if unnamed:
        yield Ailment("spool", f"{len(unnamed)} spool(s) were never begun: {_named(unnamed)}")
    aside = _entries(place.quarantine, "")
    if aside:
        yield Ailment(
            "quarantine",
            f"{len(aside)} line(s) or file(s) could not be read and are kept in "
            f"{place.quarantine}: {_named(aside)}",
        )


def _entries(folder: Path, suffix: str) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.name.endswith(suffix))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise cannot("read", folder, error) from error


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


class _Rows:
    """What the tables say, asked of one connection."""

    def __init__(self, db: DuckDBPyConnection) -> None:
        self._db = db

    def _column(self, sql: str) -> list[Any]:
        return [row[0] for row in self._db.execute(sql).fetchall()]

    def orphans(self) -> Iterator[Ailment]:
        """Yield rows of runs that are not there, and duplicates of such."""
        for table in _OF_A_RUN:
            lost = self._column(
                f"SELECT DISTINCT run_id FROM {table} WHERE run_id IS NOT NULL "
                "AND run_id NOT IN (SELECT run_id FROM run) "
                "AND run_id NOT IN (SELECT run_id FROM open_run) ORDER BY 1"
            )
            if lost:
                yield Ailment(
                    "orphan",
                    f"{table}: rows of {len(lost)} run(s) that are not there: "
                    f"{_named([run[:8] for run in lost])}",
                )
        alone = self._column(
            "SELECT run_id FROM run WHERE duplicate_of <> '' "
            "AND duplicate_of NOT IN (SELECT run_id FROM run) ORDER BY 1"
        )
        if alone:
            yield Ailment(
                "orphan",
                f"{len(alone)} duplicate(s) of runs that are not there (merge the "
                f"journal that has them): {_named([run[:8] for run in alone])}",
            )

    def twins(self) -> Iterator[Ailment]:
        """Yield what is there twice under one id."""
        for table, key in (("run", "run_id"), ("session", "session_id"), ("note", "note_id")):
            twice = self._column(
                f"SELECT {key} FROM {table} GROUP BY {key} HAVING count(*) > 1 ORDER BY 1"
            )
            if twice:
                yield Ailment("twin", f"{table}: {len(twice)} id(s) twice: {_named(twice)}")

    def stranded(self, place: Place) -> list[str]:
        """Return the runs without an end whose spool is not here any more."""
        here = [spool.name for spool in place.spools()]
        rows = self._db.execute(
            "SELECT run_id FROM open_run WHERE NOT list_contains(?, spool) ORDER BY 1", [here]
        ).fetchall()
        return [run_id for (run_id,) in rows]

    def artifacts(self) -> list[tuple[str, str, str]]:
        """Return (path, SHA-256, a run) of each saved file."""
        return self._db.execute(
            "SELECT path, any_value(sha256), min(run_id) FROM artifact WHERE path <> '' "
            "GROUP BY path ORDER BY path"
        ).fetchall()


def _stranded(place: Place, run_ids: list[str], *, repair: bool) -> Iterator[Ailment]:
    """Yield the runs that would be running for ever."""
    if not run_ids:
        return
    if repair:
        _end(place, run_ids)
    yield Ailment(
        "stranded",
        f"{len(run_ids)} run(s) have no end, and their spool is gone: "
        f"{_named([run[:8] for run in run_ids])}",
        "recorded as crashed" if repair else "record them as crashed",
        is_repaired=repair,
    )


def _end(place: Place, run_ids: list[str]) -> None:
    """Say in a spool that the runs are over, which is how everything comes into the journal."""
    now = time.time()
    message = "its spool is gone, and its end with it"
    lines = [
        json.dumps({"e": "end", "run": run, "at": now, "status": "crashed", "message": message})
        for run in run_ids
    ]
    try:
        place.spool.mkdir(parents=True, exist_ok=True)
        spool = place.spool / f"doctor-{time.time_ns():x}.jsonl"
        spool.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise cannot("write", place.spool, error) from error
    ingest(place)


def _artifacts(
    place: Place, artifacts: list[tuple[str, str, str]], *, repair: bool
) -> Iterator[Ailment]:
    """Yield the saved files that are gone, changed, or that nothing names."""
    for path, sha256, run_id in artifacts:
        file = place.folder / path
        if not is_inside(file, place.folder):
            yield Ailment("artifact", f"run {run_id[:8]} names a file outside the folder: {path}")
        elif not file.is_file():
            if sharing.lends(place, path):
                continue
            yield Ailment("artifact", f"{path} of run {run_id[:8]} is gone")
        elif digest(file) != sha256:
            cure = "move it to the quarantine"
            if repair:
                cure = f"moved to {_set_aside(file, place)}"
            yield Ailment(
                "artifact",
                f"{path} of run {run_id[:8]} is not what was saved: its content has changed",
                cure,
                is_repaired=repair,
            )
    known = {path for path, _, _ in artifacts}
    home = place.folder / "artifacts"
    extra = [
        file.relative_to(place.folder).as_posix()
        for file in sorted(home.rglob("*"))
        if file.is_file()
    ]
    unnamed = [path for path in extra if path not in known]
    if unnamed:
        yield Ailment("artifact", f"{len(unnamed)} file(s) that no run names: {_named(unnamed)}")


def _set_aside(file: Path, place: Place) -> Path:
    aside = place.quarantine / f"{file.stem[:16]}-{time.time_ns():x}{file.suffix}"
    try:
        place.quarantine.mkdir(parents=True, exist_ok=True)
        file.rename(aside)
    except OSError as error:
        raise cannot("move", file, error) from error
    return aside
