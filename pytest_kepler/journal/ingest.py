"""Bring the spools into the journal: in bulk, once, whatever is killed when."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.errors import JournalError
from pytest_kepler.journal import connect, events, lock, slices, state
from pytest_kepler.journal.migrate import undo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from pytest_kepler.journal.place import Place
    from pytest_kepler.journal.slices import Spool, Taken

_EVENT_KINDS: Final = tuple(kind for kind in events.REQUIRED if kind != "m")
_SMALLEST_OBJECT_BYTES: Final = 1 << 24
#: Beyond this (the year 5138) a time is a mistake, and is not known.
_LATEST_S: Final = 1e11


@dataclass(frozen=True, slots=True)
class Ingested:
    """What an ingest found.

    Attributes
    ----------
    n_runs, n_points, n_events : int
        Runs that are new to the journal, logged values, and all other events.
    n_crashed : int
        Runs whose process ended before they did.
    torn : list of str
        A sentence for each line that could not be read, and where it is kept.
    """

    n_runs: int = 0
    n_points: int = 0
    n_events: int = 0
    n_crashed: int = 0
    torn: list[str] = field(default_factory=list)


def ingest(place: Place) -> Ingested:
    """Bring what is new in the spools into the journal.

    Doing it twice changes nothing. A spool whose writer is gone is deleted once it is in the
    journal; its runs that have no end are recorded as crashed.

    Parameters
    ----------
    place : Place
        The journal; its file is made if there is anything to put into it.

    Raises
    ------
    JournalError
        If the file cannot be read or written: the spools then stay as they are.
    """
    if not place.spools():
        return Ingested()
    with lock.locked(place, "exclusive"), slices.survey(place) as spools:
        slices.sweep(place)
        known = state.offsets(place)
        if known is not None and not _has_news(spools, known):
            return Ingested()
        try:
            with _undone(place), connect.writer(place, is_trusted=known is not None) as db:
                result, offsets = _bring_in(db, place, spools)
        finally:
            slices.sweep(place)  # a full disk needs the room
        slices.discard([spool for spool in spools if spool.seal is not None])
        state.keep(place, offsets)
    return result


def _has_news(spools: list[Spool], offsets: Mapping[str, int]) -> bool:
    return any(
        spool.seal is not None or spool.size != offsets.get(spool.name, 0) for spool in spools
    )


@contextlib.contextmanager
def _undone(place: Place) -> Iterator[None]:
    """Say what a refused write means; the transaction around it is undone."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise connect.write_failed(place, error) from error


def _bring_in(
    db: DuckDBPyConnection, place: Place, spools: list[Spool]
) -> tuple[Ingested, dict[str, int]]:
    offsets = state.taken(db)
    db.execute(
        "CREATE TEMP MACRO micros(seconds) AS CASE WHEN TRY_CAST(seconds AS DOUBLE) "
        f"BETWEEN 0 AND {_LATEST_S} THEN CAST(TRY_CAST(seconds AS DOUBLE) * 1e6 AS BIGINT) END"
    )
    taken = slices.take(place, spools, offsets, carefully=False)
    if not _load(db, taken):
        taken = slices.take(place, spools, offsets, carefully=True)
        if not _load(db, taken):
            msg = (
                f"The spools in {place.spool} cannot be read by DuckDB, and no single line is to "
                f"blame. They are kept; please report this with one of them."
            )
            raise JournalError(msg)
    _load_circumstances(db, spools, taken)
    db.begin()
    try:
        db.execute(_sql())
        _write_ledger(db, taken.offsets, offsets)
        result = _result(db, taken)
        db.commit()
    except BaseException:
        undo(db)
        raise
    return result, {**offsets, **taken.offsets}


@cache
def _sql() -> str:
    return (files(__package__) / "queries" / "ingest.sql").read_text(encoding="utf-8")


def _load(db: DuckDBPyConnection, taken: Taken) -> bool:
    """Read the two files into temporary tables; False if a line is not what it should be."""
    return _load_lines(
        db, "event", taken.events, taken.n_events, events.COLUMNS, _EVENT_KINDS, taken.longest
    ) and _load_lines(
        db, "logged", taken.points, taken.n_points, events.POINT_COLUMNS, ("m",), taken.longest
    )


def _load_lines(  # noqa: PLR0913, PLR0917  # one call for each of the two files
    db: DuckDBPyConnection,
    table: str,
    file: Path,
    n_lines: int,
    columns: tuple[str, ...],
    kinds: tuple[str, ...],
    longest: int,
) -> bool:
    import duckdb

    object_bytes = max(_SMALLEST_OBJECT_BYTES, longest + 2)
    try:
        db.execute(
            f"CREATE OR REPLACE TEMP TABLE {table} AS "
            'SELECT row_number() OVER () - 1 AS "row", * '
            f"FROM read_json(?, format = 'newline_delimited', "
            f"columns = {events.columns_sql(columns)}, maximum_object_size = {object_bytes})",
            [str(file)],
        )
        found = db.execute(
            f"SELECT count(*), count(*) FILTER (WHERE {events.unsound_sql(kinds)}) FROM {table}"
        ).fetchall()
        if table == "event":
            db.execute(f"SELECT {_CASTS} FROM event").fetchall()
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        return False
    return bool(found[0] == (n_lines, 0))


# Repeated keys are an error in a map, also where a cast is only tried: better now than later.
_CASTS: Final = (
    "count(TRY_CAST(params AS MAP(VARCHAR, JSON))), count(TRY_CAST(facts AS MAP(VARCHAR, JSON)))"
)


def _load_circumstances(db: DuckDBPyConnection, spools: list[Spool], taken: Taken) -> None:
    db.execute("CREATE TEMP TABLE slice (spool VARCHAR, first_row BIGINT)")
    db.execute("CREATE TEMP TABLE sealed (spool VARCHAR, ended_at TIMESTAMP)")
    db.execute(
        "CREATE TEMP TABLE batch AS SELECT coalesce(max(batch), 0) + 1 AS number FROM ledger"
    )
    ended = [
        (spool.name, datetime.fromtimestamp(spool.written_at, UTC).replace(tzinfo=None))
        for spool in spools
        if spool.seal is not None
    ]
    _insert(db, "slice", taken.first_rows)
    _insert(db, "sealed", ended)


def _insert(db: DuckDBPyConnection, table: str, rows: list[tuple[str, Any]]) -> None:
    """Insert pairs as two lists: one statement, however many they are."""
    if rows:
        names, values = (list(column) for column in zip(*rows, strict=True))
        db.execute(f"INSERT INTO {table} SELECT unnest(?), unnest(?)", [names, values])


def _write_ledger(
    db: DuckDBPyConnection, taken: Mapping[str, int], before: Mapping[str, int]
) -> None:
    moved = [(name, end) for name, end in taken.items() if end != before.get(name)]
    if moved:
        names, ends = (list(column) for column in zip(*moved, strict=True))
        db.execute(
            "INSERT INTO ledger SELECT unnest(?), unnest(?), (SELECT number FROM batch), "
            "now() AT TIME ZONE 'UTC'",
            [names, ends],
        )


def _result(db: DuckDBPyConnection, taken: Taken) -> Ingested:
    counts = db.execute(
        "SELECT (SELECT count(*) FROM begun), (SELECT count(*) FROM lost)"
    ).fetchall()
    n_runs, n_crashed = counts[0]
    return Ingested(n_runs, taken.n_points, taken.n_events, n_crashed, taken.refused)
