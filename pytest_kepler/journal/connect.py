"""How the journal's file is opened: verified before it is written, locked down when it is read."""

from __future__ import annotations

import contextlib
import os
import shlex
import threading
import time
from typing import TYPE_CHECKING, Final

from pytest_kepler.errors import JournalError, first_line_of
from pytest_kepler.journal import lock, migrate
from pytest_kepler.journal.place import DEFAULT_NAME, HOME, cannot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from pytest_kepler.journal.place import Place

#: Files are written so that every supported DuckDB reads them.
STORAGE_VERSION: Final = "v1.4.0"

Settings = dict[str, str | bool | int | float | list[str]]

_OFFLINE: Final[Settings] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
}
#: A reader can reach nothing but the journal, whatever SQL it is given.
_READER: Final[Settings] = {
    **_OFFLINE,
    "enable_external_access": "false",
    "memory_limit": "1GB",
    "threads": "2",
    "max_temp_directory_size": "0GB",
}
# Connections of one process to one file share their settings, and locked settings cannot be made
# twice: one thread at a time.
_ONE_AT_A_TIME: Final = threading.RLock()


def stamp(file: Path) -> list[int]:
    """Return what changes when anybody writes the file: size, time, inode."""
    status = file.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]


@contextlib.contextmanager
def reader(place: Place) -> Iterator[DuckDBPyConnection]:
    """Open the journal to read: nothing can be written, and no other file be reached.

    Parameters
    ----------
    place : Place
        A journal without a file reads as an empty one.

    Raises
    ------
    JournalError
        If the file cannot be opened.
    """
    with _ONE_AT_A_TIME:
        if not place.file.exists():
            with contextlib.closing(_empty()) as db:
                yield db
            return
        with lock.locked(place, "shared"), contextlib.closing(_open(place, _READER)) as db:
            if _is_current(db, place):
                _lock_down(db)
                with _damage_told(place):
                    yield db
                return
        with lock.locked(place, "exclusive"), writer(place, is_trusted=False):
            pass  # brought up to date
        with reader(place) as db:
            yield db


@contextlib.contextmanager
def exporter(place: Place) -> Iterator[DuckDBPyConnection]:
    """Open the journal to read, for our own statements that write other files.

    Raises
    ------
    JournalError
        If the file cannot be opened.
    """
    with reader(place):
        pass  # of this release from here on
    with _ONE_AT_A_TIME:
        if not place.file.exists():
            import duckdb

            with contextlib.closing(duckdb.connect(":memory:", config=dict(_OFFLINE))) as db:
                migrate.apply_all(db)
                yield db
            return
        with lock.locked(place, "shared"), raw(place) as db, _damage_told(place):
            _settle(db)
            yield db


@contextlib.contextmanager
def raw(place: Place) -> Iterator[DuckDBPyConnection]:
    """Open the file to read, as it is, for our own statements; the caller holds the lock.

    Raises
    ------
    JournalError
        If it cannot be opened.
    """
    with _ONE_AT_A_TIME, contextlib.closing(_open(place, _OFFLINE)) as db:
        yield db


@contextlib.contextmanager
def writer(place: Place, *, is_trusted: bool) -> Iterator[DuckDBPyConnection]:
    """Open the journal to write; the caller holds the exclusive lock.

    Parameters
    ----------
    place : Place
        A file that is not there is made.
    is_trusted : bool
        Whether the file is known to be as the last ingest left it; else all of it is read first.

    Raises
    ------
    JournalError
        If the file is damaged, foreign, of a newer release, or cannot be written.
    """
    with _ONE_AT_A_TIME:
        if not place.file.exists():
            _create(place)
        elif not is_trusted:
            verify(place)
        with contextlib.closing(_open(place, _OFFLINE, writing=True)) as db:
            _settle(db)
            _bring_up_to_date(db, place)
            yield db


def verify(place: Place) -> None:
    """Read every block of every table; DuckDB checks their checksums as it reads.

    A file that was cut may open and fail only when its tables are read: written to, it would lose
    what can still be rescued.

    Raises
    ------
    JournalError
        If anything cannot be read.
    """
    import duckdb

    with raw(place) as db:
        try:
            migrate.require_journal(db, place)
            names = db.execute("SELECT table_name FROM duckdb_tables()").fetchall()
            for (name,) in names:
                db.execute(f'SELECT bit_xor(hash("{name}")) FROM "{name}"').fetchall()
        except duckdb.Error as error:
            raise damaged(place, error) from error


def damaged(place: Place, error: Exception) -> JournalError:
    """Return the error that says that the file cannot be read, and what to do."""
    return JournalError(
        f"The journal {place.file} is damaged and was not written to ({first_line_of(error)}). "
        f"`{_repair_command(place)}` moves it aside and makes a new one of all that can be read. "
        f"The spools in {place.spool} keep every run that is not yet in it."
    )


def _repair_command(place: Place) -> str:
    """Return the command that mends a damaged journal, wherever that is."""
    is_usual = place.file.name == DEFAULT_NAME and place.file.parent.name == HOME
    named = "" if is_usual else f" --journal {shlex.quote(str(place.file))}"
    return f"kepler doctor --repair{named}"


def write_failed(place: Place, error: Exception) -> JournalError:
    """Return the error that says that an ingest was undone, and what to do."""
    return JournalError(
        f"The journal {place.file} cannot be written ({first_line_of(error)}). Nothing is lost: "
        f"the spools in {place.spool} keep the runs. Free some space or give the permission, then "
        f"run `kepler report`."
    )


def _bring_up_to_date(db: DuckDBPyConnection, place: Place) -> None:
    import duckdb

    try:
        migrate.migrate(db, place)
    except duckdb.Error as error:
        raise write_failed(place, error) from error


def _is_current(db: DuckDBPyConnection, place: Place) -> bool:
    with _damage_told(place):
        return migrate.is_current(db, place)


def is_damage(error: Exception) -> bool:
    """Tell an error of the file from an error of the query."""
    import duckdb

    return isinstance(
        error,
        duckdb.IOException
        | duckdb.SerializationException
        | duckdb.FatalException
        | duckdb.InternalException,
    )


@contextlib.contextmanager
def _damage_told(place: Place) -> Iterator[None]:
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        if is_damage(error):
            raise damaged(place, error) from error
        raise


def _empty() -> DuckDBPyConnection:
    import duckdb

    db = duckdb.connect(":memory:", config=dict(_OFFLINE))
    migrate.apply_all(db)
    for name, value in _READER.items():
        db.execute(f"SET {name} = '{value}'")
    _lock_down(db)
    return db


def for_new_files() -> Settings:
    """Return the settings under which files are made that every supported DuckDB reads."""
    return {**_OFFLINE, "storage_compatibility_version": STORAGE_VERSION}


def _create(place: Place) -> None:
    """Make the file elsewhere and move it into place: a kill leaves no half a journal."""
    import duckdb

    draft = place.scratch / "new.duckdb"
    try:
        place.scratch.mkdir(parents=True, exist_ok=True)
        place.file.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        with contextlib.closing(duckdb.connect(str(draft), config=for_new_files())) as db:
            migrate.apply_all(db)
        draft.rename(place.file)
    except OSError as error:
        raise cannot("make", place.file, error) from error
    except duckdb.Error as error:
        raise write_failed(place, error) from error


def _open(place: Place, config: Settings, *, writing: bool = False) -> DuckDBPyConnection:
    import duckdb

    _refuse_what_is_no_file(place)
    deadline = time.monotonic() + lock.PATIENCE
    while True:
        try:
            return duckdb.connect(str(place.file), read_only=not writing, config=dict(config))
        except duckdb.IOException as error:
            if "Could not set lock" not in str(error):
                raise _not_opened(place, error, writing=writing) from error
            if time.monotonic() > deadline:
                msg = (
                    f"Another program holds the journal {place.file} open: "
                    f"{first_line_of(error)} Close it there and try again."
                )
                raise JournalError(msg) from error
            time.sleep(0.05)
        except duckdb.ConnectionException as error:
            msg = (
                f"This process has the journal {place.file} open in another way. Close that "
                f"connection first, or read through pytest_kepler.open_journal()."
            )
            raise JournalError(msg) from error
        except duckdb.Error as error:
            raise _not_opened(place, error, writing=writing) from error


def _refuse_what_is_no_file(place: Place) -> None:
    if place.file.is_dir():
        msg = (
            f"The journal {place.file} is a folder. Move it away, or name another file with "
            f"--kepler-journal."
        )
        raise JournalError(msg)
    if not place.file.stat().st_size:
        raise damaged(place, ValueError("the file is empty"))


def _not_opened(place: Place, error: Exception, *, writing: bool) -> JournalError:
    may = os.R_OK | (os.W_OK if writing else 0)
    if not os.access(place.file, may):
        verb = "written" if writing else "read"
        return JournalError(
            f"The journal {place.file} cannot be {verb}: permission denied. Give yourself the "
            f"permission, or name another file with --kepler-journal."
        )
    if writing and "No space left" in str(error):
        return write_failed(place, error)
    return damaged(place, error)


def _settle(db: DuckDBPyConnection) -> None:
    """Make answers the same on every machine, and keep the terminal clean."""
    db.execute("SET TimeZone = 'UTC'")
    db.execute("SET enable_progress_bar = false")


def _lock_down(db: DuckDBPyConnection) -> None:
    """Forbid the user's SQL to open what was closed."""
    # A connection inside another's time shares its database, which is locked down already.
    locked = db.execute("SELECT current_setting('lock_configuration')").fetchall()
    if not locked[0][0]:
        _settle(db)
        db.execute("SET lock_configuration = true")
