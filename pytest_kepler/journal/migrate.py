"""The tables and views of the journal, and how an older file becomes a current one."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from pytest_kepler.errors import JournalError
from pytest_kepler.journal.place import cannot

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from pytest_kepler.journal.place import Place

_VIEWS: Final = "views.sql"
_RECORD: Final = (
    "CREATE TABLE IF NOT EXISTS migration (name VARCHAR, sha256 VARCHAR, applied_at TIMESTAMP)"
)


@cache
def _scripts() -> dict[str, str]:
    """Return the migrations by name in their order, and last the views."""
    here = files(__package__)
    numbered = [entry for entry in (here / "migrations").iterdir() if entry.name.endswith(".sql")]
    scripts = {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in sorted(numbered, key=lambda entry: entry.name)
    }
    return {**scripts, _VIEWS: (here / _VIEWS).read_text(encoding="utf-8")}


def _digest(sql: str) -> str:
    return hashlib.sha256(sql.encode()).hexdigest()


def names() -> set[str]:
    """Return the names of the migrations that this release knows, the views among them."""
    return set(_scripts())


def apply_all(db: DuckDBPyConnection) -> None:
    """Make the tables and views in a new database."""
    db.begin()
    db.execute(_RECORD)
    for name, sql in _scripts().items():
        _apply(db, name, sql)
    db.commit()


def migrate(db: DuckDBPyConnection, place: Place) -> None:
    """Bring an older journal to the current form, in one transaction, with a copy kept before.

    Raises
    ------
    JournalError
        If a newer release wrote the file, a migration was changed after it was applied, or the
        copy cannot be made.
    """
    known = _applied(db, place)
    pending = [name for name, sql in _scripts().items() if known.get(name) != _digest(sql)]
    if not pending:
        return
    changed = [name for name in pending if name in known and name != _VIEWS]
    if changed:
        msg = (
            f"The journal {place.file} was made with another {changed[0]} than this release has. "
            f"Reinstall pytest-kepler, or move the journal away."
        )
        raise JournalError(msg)
    if pending != [_VIEWS]:
        _keep_copy(db, place, version=max(int(name[:4]) for name in known if name != _VIEWS))
    db.begin()
    try:
        for name in pending:
            _apply(db, name, _scripts()[name])
        db.commit()
    except BaseException:
        undo(db)
        raise


def undo(db: DuckDBPyConnection) -> None:
    """Roll back, without hiding why: a commit that failed has undone its transaction already."""
    import duckdb

    with contextlib.suppress(duckdb.Error):
        db.rollback()


def is_current(db: DuckDBPyConnection, place: Place) -> bool:
    """Tell whether the journal can be read as it is.

    Raises
    ------
    JournalError
        If it is no journal, or a newer release wrote it.
    """
    known = _applied(db, place)
    return all(known.get(name) == _digest(sql) for name, sql in _scripts().items())


def require_journal(db: DuckDBPyConnection, place: Place) -> None:
    """Refuse a database that is not a journal, or one of a newer release.

    Raises
    ------
    JournalError
        The sentence says what the file is and what to do.
    """
    _applied(db, place)


def _applied(db: DuckDBPyConnection, place: Place) -> dict[str, str]:
    found = db.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE table_name IN ('migration', 'ledger')"
    ).fetchall()
    if found[0][0] != 2:  # noqa: PLR2004  # the two tables that every journal has
        msg = (
            f"{place.file} is a DuckDB database, but no journal of pytest-kepler. Name another "
            f"file with --kepler-journal."
        )
        raise JournalError(msg)
    known: dict[str, str] = dict(db.execute("SELECT name, sha256 FROM migration").fetchall())
    newer = sorted(set(known) - set(_scripts()))
    if newer:
        msg = (
            f"The journal {place.file} was written by a newer pytest-kepler ({newer[-1]} is "
            f"unknown here). Upgrade pytest-kepler to use it."
        )
        raise JournalError(msg)
    return known


def _apply(db: DuckDBPyConnection, name: str, sql: str) -> None:
    db.execute(sql)
    db.execute("DELETE FROM migration WHERE name = ?", [name])
    db.execute(
        "INSERT INTO migration VALUES (?, ?, now() AT TIME ZONE 'UTC')", [name, _digest(sql)]
    )


def _keep_copy(db: DuckDBPyConnection, place: Place, version: int) -> None:
    copy: Path = place.file.with_name(f"{place.file.stem}.v{version}{place.file.suffix}")
    draft = copy.with_name(copy.name + ".part")
    db.execute("CHECKPOINT")  # what is in the log comes into the file, which is then whole
    try:
        shutil.copy2(place.file, draft)
        draft.replace(copy)
    except OSError as error:
        raise cannot("copy the journal to", copy, error) from error
