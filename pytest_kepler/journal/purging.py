"""Purge runs: gone from the journal, its copies, its folder, for good."""

from __future__ import annotations

import contextlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_kepler.errors import JournalError, first_line_of
from pytest_kepler.journal import connect, copying, lock, rescue, state
from pytest_kepler.journal.place import cannot, remove

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from duckdb import DuckDBPyConnection

    from pytest_kepler.journal.place import Place

#: Tables whose rows belong to one run, by `run_id`.
_OF_A_RUN: Final = (
    *("run", "open_run", "open_end", "point", "eval", "fact", "note", "finding", "model"),
    *("artifact", "void", "unsound"),
)
#: Tables whose rows belong to a session; they go with its last run.
_OF_A_SESSION: Final = ("session", "session_end", "gate", "threshold", "claim", "finding")
#: Of an id, what people are shown, hence what other runs may mention.
SHOWN_DIGITS: Final = 8
#: Tables that runs share, each with its key; what only purged runs had goes with them.
_SHARED: Final = {"code": "code_hash", "environment": "environment_hash", "dataset": "data_hash"}
#: A parameter or metric that only doomed runs had is forgotten with them.
_NAMED_BY_OTHERS: Final = (
    "(home, name, kind) IN (SELECT (home, name, kind) FROM name_use "
    "ANTI JOIN doomed ON name_use.run_id = doomed.run_id)"
)


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge took away.

    Attributes
    ----------
    run_ids : tuple of str
        The runs, with the duplicates that showed their numbers.
    n_files : int
        Artefacts and other files in the journal's folder.
    copies : tuple of Path
        Copies of older releases that were purged too.
    """

    run_ids: tuple[str, ...]
    n_files: int
    copies: tuple[Path, ...]


def purge(place: Place, run_ids: Collection[str]) -> Purged:
    """Remove runs and all that only they had, so that no byte of theirs is left in any file.

    A duplicate shows the numbers of its original and goes with it. What other runs share (a
    session's difference of the repository, code) stays while one of them is left. The files of the
    folder go first and the journal last: interrupted, it can be repeated.

    Parameters
    ----------
    place : Place
        The journal; its spools must have been taken into it.
    run_ids : collection of str
        Whole ids.

    Raises
    ------
    JournalError
        If a run is still being written, or a file cannot be read or made anew.
    """
    with lock.locked(place, "exclusive"), _scratch(place) as scratch:
        with connect.writer(place, is_trusted=state.offsets(place) is not None) as db:
            doomed = _doomed(db, run_ids)
            _refuse_what_is_written(place, doomed)
            files = _files(db, place, doomed)
            _write_the_rest(db, doomed, scratch)
            offsets = state.taken(db)
        copies = [copy for copy in rescue.copies(place) if _purge_copy(copy, doomed, place)]
        for file in files:
            remove(file)
        _replace(place.file, scratch, place)
        state.keep(place, offsets)
    return Purged(tuple(doomed), len(files), tuple(copies))


def _doomed(db: DuckDBPyConnection, run_ids: Collection[str]) -> list[str]:
    """Note the runs and their duplicates in a temporary table, and return them."""
    db.execute(
        "CREATE OR REPLACE TEMP TABLE doomed AS SELECT unnest(?::VARCHAR[]) AS run_id",
        [sorted(run_ids)],
    )
    db.execute(
        "INSERT INTO doomed SELECT run_id FROM run SEMI JOIN doomed ON duplicate_of = doomed.run_id"
        " WHERE run_id NOT IN (SELECT run_id FROM doomed)"
    )
    return [name for (name,) in db.execute("SELECT run_id FROM doomed ORDER BY 1").fetchall()]


def _refuse_what_is_written(place: Place, doomed: list[str]) -> None:
    for spool in place.spools():
        content = spool.read_bytes()
        found = next((run_id for run_id in doomed if run_id.encode() in content), None)
        if found:
            msg = (
                f"Run {found[:8]} is in a spool that is still being written ({spool}). Nothing "
                f"was purged; repeat it when that session has ended."
            )
            raise JournalError(msg)


def _files(db: DuckDBPyConnection, place: Place, doomed: list[str]) -> list[Path]:
    """Return the files and folders that belong to the doomed runs alone."""
    artifacts = db.execute(
        "SELECT DISTINCT path FROM artifact SEMI JOIN doomed USING (run_id) WHERE sha256 NOT IN "
        "(SELECT sha256 FROM artifact ANTI JOIN doomed USING (run_id))"
    ).fetchall()
    identities = db.execute(
        "SELECT DISTINCT identity FROM every_run SEMI JOIN doomed USING (run_id) "
        "WHERE identity <> '' AND identity NOT IN "
        "(SELECT identity FROM every_run ANTI JOIN doomed USING (run_id))"
    ).fetchall()
    candidates = [
        *(place.folder / path for (path,) in artifacts if path),
        *(place.folder / "runs" / run_id for run_id in doomed),
        *(
            place.folder / "checkpoints" / f"{owner}{suffix}"
            for (owner,) in [*identities, *zip(doomed)]
            for suffix in ("", ".json")
        ),
        *_quarantined(place, doomed),
    ]
    inside = place.folder.resolve()
    return [file for file in candidates if file.exists() and inside in file.resolve().parents]


def _quarantined(place: Place, doomed: list[str]) -> list[Path]:
    """Return the lines that could not be read and name a doomed run."""
    try:
        lines = sorted(place.quarantine.iterdir())
    except FileNotFoundError:
        return []
    ids = [run_id.encode() for run_id in doomed]
    return [line for line in lines if line.is_file() and _names_any(line.read_bytes(), ids)]


def _names_any(content: bytes, ids: list[bytes]) -> bool:
    return any(run_id in content for run_id in ids)


def _write_the_rest(db: DuckDBPyConnection, doomed: list[str], scratch: Path) -> None:
    """Write to `scratch` what stays of the journal or copy that `db` has open."""
    names = copying.table_names(db)
    db.execute(
        "CREATE OR REPLACE TEMP TABLE emptied AS "
        "SELECT DISTINCT session_id FROM run SEMI JOIN doomed USING (run_id) WHERE session_id "
        "NOT IN (SELECT session_id FROM run ANTI JOIN doomed USING (run_id))"
    )
    conditions: dict[str, list[str]] = {name: [] for name in names}
    for name in _OF_A_RUN:
        conditions[name].append("coalesce(run_id, '') NOT IN (SELECT run_id FROM doomed)")
    for name in _OF_A_SESSION:
        conditions[name].append("coalesce(session_id, '') NOT IN (SELECT session_id FROM emptied)")
    for name, key in _SHARED.items():
        conditions[name].append(_shared_condition(db, name, key))
    if "naming" in conditions:  # not yet in copies of the first releases
        conditions["naming"].append(_NAMED_BY_OTHERS)
    selections = {
        name: f'SELECT {_columns(name, doomed)} FROM "{name}" '
        f"WHERE {' AND '.join(found or ['true'])}"
        for name, found in conditions.items()
    }
    copying.write_schema(db, scratch)
    copying.write_tables(db, scratch, selections)


def _columns(table: str, doomed: list[str]) -> str:
    """Return what is kept of a row: other runs may say that they are new since a doomed one."""
    if table not in {"run", "open_run"}:
        return "*"
    pattern = "|".join(sorted({re.escape(run_id[:SHOWN_DIGITS]) for run_id in doomed}))
    literal = pattern.replace("'", "''")
    return f"* REPLACE (regexp_replace(why_new, '{literal}', '(purged)', 'g') AS why_new)"


def _shared_condition(db: DuckDBPyConnection, table: str, key: str) -> str:
    """Return the condition that keeps all but what only doomed runs had."""
    uses = (
        "contains(concat_ws(' ', data_hash, eval_hash, parts::VARCHAR), had.key)"
        if table == "dataset"
        else f"run.{key} = had.key"
    )
    # A data set is named in the parts of a run; only those that doomed runs had are looked for.
    db.execute(
        f"CREATE OR REPLACE TEMP TABLE forgotten_{table} AS "
        f"WITH had AS (SELECT DISTINCT {key} AS key FROM {table} AS had_table WHERE EXISTS ("
        f"SELECT 1 FROM run SEMI JOIN doomed USING (run_id) "
        f"WHERE {uses.replace('had.key', f'had_table.{key}')})) "
        f"SELECT key FROM had WHERE NOT EXISTS ("
        f"SELECT 1 FROM run ANTI JOIN doomed USING (run_id) WHERE {uses})"
    )
    return f"{key} NOT IN (SELECT key FROM forgotten_{table})"


def _purge_copy(copy: Path, doomed: list[str], place: Place) -> bool:
    """Purge a copy of an older release; False if none of the runs is in it."""
    import duckdb

    with _scratch(place) as scratch:
        try:
            with contextlib.closing(duckdb.connect(str(copy), read_only=True)) as db:
                held = db.execute(
                    "SELECT count(*) FROM run WHERE list_contains(?, run_id)", [doomed]
                ).fetchall()
                if not held[0][0]:
                    return False
                _write_the_rest(db, _doomed(db, doomed), scratch)
        except duckdb.Error as error:
            msg = (
                f"The copy {copy} cannot be read ({first_line_of(error)}), so nobody knows "
                f"whether the runs are in it. Nothing was purged; move the copy away and repeat."
            )
            raise JournalError(msg) from error
        _replace(copy, scratch, place)
    return True


def _replace(file: Path, scratch: Path, place: Place) -> None:
    """Put a new file of what stays in the place of an old one."""
    draft = scratch / "new.duckdb"
    copying.rebuild(scratch, draft)
    try:
        draft.replace(file)
    except OSError as error:
        raise cannot("replace", place.file, error) from error


@contextlib.contextmanager
def _scratch(place: Place) -> Iterator[Path]:
    """Give a folder for what is on its way; on the journal's disk, so that a rename suffices."""
    try:
        place.scratch.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=place.scratch)
    except OSError as error:
        raise cannot("write", place.scratch, error) from error
    with folder as name:
        yield Path(name)
