"""Merge journals: by ids, in one transaction a journal; in any order and any number of times.

Where two journals have different rows under one id (a run that one saw only the beginning of, a
crash that the other knows the end of), one row wins by a rule that does not ask whose it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import shutil
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from pytest_kepler.errors import QueryError
from pytest_kepler.journal import connect, lock, migrate, state, stray
from pytest_kepler.journal.ingest import ingest
from pytest_kepler.journal.place import DEFAULT_NAME, cannot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from pytest_kepler.journal.place import Place

#: Tables with a key. Rows that differ under one key: the first in this order wins, then by content.
_KEYED: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "session": (("session_id",), "worker"),
    "session_end": (("session_id",), "ended_at DESC"),
    "environment": (("environment_hash",), "true"),
    "code": (("code_hash",), "true"),
    "dataset": (("data_hash", "name"), "true"),
    "note": (("note_id",), "true"),
    # What came to its end is known better than what was found without one.
    "run": (("run_id",), "status IN ('crashed', 'interrupted'), cardinality(metrics) DESC"),
    "open_run": (("run_id",), "true"),
    "open_end": (("run_id",), "true"),
}
#: Tables that are sets of whole rows.
_SETS: Final = (
    *("eval", "fact", "finding", "model", "artifact", "gate", "threshold", "void", "unsound"),
    *("claim", "baseline"),
)


@dataclass(frozen=True, slots=True)
class Merged:
    """What came from one journal, or from a folder of spools.

    Attributes
    ----------
    source : Path
        Its file, or the folder.
    n_runs : int
        Runs that are new here, or better known.
    n_there : int
        Runs of it that were here already.
    n_artifacts : int
        Files that were copied.
    missing : tuple of str
        Artefacts that it names and does not have, or has damaged; spools whose writer lives.
    """

    source: Path
    n_runs: int
    n_there: int
    n_artifacts: int
    missing: tuple[str, ...]


def merge(place: Place, sources: list[Place]) -> list[Merged]:
    """Bring what other journals know into this one, which is made if it is not there.

    Parameters
    ----------
    place : Place
        The journal that grows; its spools are taken into it first.
    sources : list of Place
        The others. Their own spools are taken into them first; otherwise they are only read. One
        that is a folder is a folder of spools, which stay there.

    Raises
    ------
    QueryError
        If one of them is not there, or is this journal itself.
    JournalError
        If one cannot be read; those before it have been merged.
    """
    for source in sources:
        _require_other(source, place)
    ingest(place)
    return [
        _merge_spools(place, source.file) if source.file.is_dir() else _merge_one(place, source)
        for source in sources
    ]


def _require_other(source: Place, place: Place) -> None:
    own = {place.file.resolve(), place.folder.resolve(), place.spool.resolve()}
    if source.file.resolve() in own:
        msg = f"{source.file} is the journal that the others are merged into; leave it out."
        raise QueryError(msg)
    if source.file.is_dir():
        _require_spools(source.file)
        return
    if not source.file.exists() and not source.spools():
        msg = f"There is no journal at {source.file}."
        raise QueryError(msg)


def _require_spools(folder: Path) -> None:
    file = folder / DEFAULT_NAME
    if file.exists():
        msg = f"{folder} is the folder of a journal; name its file, {file}."
        raise QueryError(msg)
    if not stray.spools_in(folder):
        msg = f"{folder} is a folder without spools; name the file of a journal."
        raise QueryError(msg)


def _merge_spools(place: Place, folder: Path) -> Merged:
    n_there, busy = stray.bring(place, stray.spools_in(folder))
    n_new = ingest(place).n_runs
    return Merged(folder, n_new, n_there - n_new, 0, tuple(busy))


def _merge_one(place: Place, source: Place) -> Merged:
    ingest(source)
    with connect.reader(source):
        pass  # of this release from here on
    connect.verify(source)
    with lock.locked(place, "exclusive"), lock.locked(source, "shared"):
        with connect.writer(place, is_trusted=state.offsets(place) is not None) as db:
            with _all_or_nothing(db, place, source):
                n_runs, n_there = _bring_in(db)
            paths = db.execute("SELECT DISTINCT path, sha256 FROM source.artifact").fetchall()
            offsets = state.taken(db)
        state.keep(place, offsets)
    copied, missing = _copy_artifacts(place, source, paths)
    return Merged(source.file, n_runs, n_there, copied, tuple(missing))


@contextlib.contextmanager
def _all_or_nothing(db: DuckDBPyConnection, place: Place, source: Place) -> Iterator[None]:
    """Attach the other journal, and make what follows one transaction."""
    import duckdb

    file = str(source.file).replace("'", "''")
    try:
        db.execute(f"ATTACH '{file}' AS source (READ_ONLY)")
        db.begin()
        yield
        db.commit()
    except BaseException as error:
        migrate.undo(db)
        if isinstance(error, duckdb.Error):
            raise connect.write_failed(place, error) from error
        raise


def _bring_in(db: DuckDBPyConnection) -> tuple[int, int]:
    """Bring in the rows of the attached journal; return how many runs are new, and how many not."""
    db.execute("DELETE FROM run WHERE is_open")  # made anew from open_run at the end
    n_there = _count(db, f"{_rows_of('source.run')} AS theirs SEMI JOIN run USING (run_id)")
    db.execute("CREATE OR REPLACE TEMP TABLE touched (run_id VARCHAR)")
    for table, (keys, order) in _KEYED.items():
        _merge_keyed(db, table, ", ".join(keys), order)
    for table in _SETS:
        _merge_set(db, table)
    db.execute(_sql("merge"))
    derive(db)
    return _count(db, "touched"), n_there


def derive(db: DuckDBPyConnection) -> None:
    """Make what readers look for from the other tables; for rows that no ingest brought in."""
    db.execute(_sql("derive"))


def _rows_of(table: str) -> str:
    """Return the rows of a table without what is derived from other tables."""
    if table.rpartition(".")[2] != "run":
        return table
    return f"(SELECT * EXCLUDE (is_open, is_void, unsound) FROM {table} WHERE NOT is_open)"


def _count(db: DuckDBPyConnection, relation: str) -> int:
    return int(db.execute(f"SELECT count(*) FROM {relation}").fetchall()[0][0])


def _merge_keyed(db: DuckDBPyConnection, table: str, keys: str, order: str) -> None:
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE better AS
        SELECT * EXCLUDE (content, is_theirs)
        FROM (
            SELECT *, md5(ours::VARCHAR) AS content, false AS is_theirs
            FROM {_rows_of(table)} AS ours SEMI JOIN source.{table} AS other USING ({keys})
            UNION ALL BY NAME
            SELECT *, md5(theirs::VARCHAR) AS content, true AS is_theirs
            FROM {_rows_of(f"source.{table}")} AS theirs
        )
        QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {order}, content, is_theirs) = 1
            AND is_theirs
        """
    )
    db.execute(f"DELETE FROM {table} WHERE ({keys}) IN (SELECT ({keys}) FROM better)")
    db.execute(f"INSERT INTO {table} BY NAME SELECT * FROM better")
    if table == "run":
        db.execute("INSERT INTO touched SELECT run_id FROM better")


def _merge_set(db: DuckDBPyConnection, table: str) -> None:
    db.execute(
        f"""
        INSERT INTO {table} BY NAME
        SELECT theirs.*
        FROM source.{table} AS theirs
            ANTI JOIN (SELECT md5(ours::VARCHAR) AS content FROM {table} AS ours) AS known
            ON md5(theirs::VARCHAR) = known.content
        ORDER BY theirs.rowid
        """
    )


@cache
def _sql(name: str) -> str:
    return (files(__package__) / "queries" / f"{name}.sql").read_text(encoding="utf-8")


def _copy_artifacts(
    place: Place, source: Place, artifacts: list[tuple[str, str]]
) -> tuple[int, list[str]]:
    """Copy the files that are not here yet; return how many, and those that cannot be had."""
    n_copied = 0
    missing = []
    for path, sha256 in artifacts:
        theirs, ours = source.folder / path, place.folder / path
        if ours.exists() or not is_inside(ours, place.folder):
            continue
        if not theirs.is_file() or digest(theirs) != sha256:
            missing.append(path)
            continue
        draft = ours.with_name(f"{secrets.token_hex(8)}.new")
        try:
            ours.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(theirs, draft)
            draft.replace(ours)
        except OSError as error:
            raise cannot("copy an artefact to", ours, error) from error
        n_copied += 1
    return n_copied, missing


def is_inside(path: Path, folder: Path) -> bool:
    """Tell whether a path that the journal names lies in its folder."""
    return folder.resolve() in path.resolve().parents


def digest(file: Path) -> str:
    """Return the SHA-256 of a file's content, by which artefacts are named."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
