"""Run the user's SQL: one statement that reads; everything else is refused."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.errors import QueryError, nearest
from pytest_kepler.journal import connect, reading
from pytest_kepler.journal import where as filters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

    from pytest_kepler.journal.place import Place

#: Seconds that a statement of the user's may take.
TIMEOUT: Final = 60.0

VIEWS: Final = (
    *("sessions", "experiments", "runs", "metrics", "params", "checks", "models", "datasets"),
    *("artifacts", "notes", "claims", "baselines"),
)
_READING: Final = frozenset({"SELECT", "EXPLAIN", "DESCRIBE", "SHOW", "SUMMARIZE"})
_NO_TABLE: Final = re.compile(r"Table with name (\S+) does not exist")
_NO_COLUMN: Final = re.compile(r'Referenced column "([^"]+)" not found')


@dataclass(frozen=True, slots=True)
class Cursor:
    """An answer whose rows have not been fetched.

    Attributes
    ----------
    columns, types : tuple of str
        As of `Rows`.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    _db: DuckDBPyConnection

    def fetch(self, n_rows: int) -> list[tuple[Any, ...]]:
        """Return the next rows, at most `n_rows`; none at the end.

        Raises
        ------
        QueryError
            If DuckDB gives up.
        """
        with _refusals_told():
            return self._db.fetchmany(n_rows)


@contextlib.contextmanager
def query(place: Place, statement: str) -> Iterator[Cursor]:
    """Ask one statement that reads, over the public views.

    Raises
    ------
    QueryError
        If it is no single statement that reads, or DuckDB refuses it.
    JournalError
        If the journal cannot be opened.
    """
    with connect.reader(place) as db:
        yield _answer(db, statement)


@contextlib.contextmanager
def where(place: Place, expression: str) -> Iterator[Cursor]:
    """Ask for the runs that a filter selects, with the parameters and metrics it names.

    Raises
    ------
    QueryError
        If a name is unknown or may mean two things, or DuckDB refuses the filter.
    JournalError
        If the journal cannot be opened.
    """
    with connect.reader(place) as db:
        names = filters.Names(reading.param_senses(db), reading.metric_names(db))
        found = filters.compile_filter(expression, names)
        named = "".join(
            f', {value} AS "{name.replace(chr(34), chr(34) * 2)}"' for name, value in found.named
        )
        yield _answer(
            db,
            f"SELECT run_id, experiment, status, started_at, seconds{named}, "
            f"to_json(params) AS params "
            f"FROM every_run {found.where()}",
        )


def _answer(db: DuckDBPyConnection, statement: str) -> Cursor:
    _require_one_that_reads(db, statement)
    with _refusals_told():
        description = db.execute(statement).description or []
    return Cursor(
        tuple(str(column[0]) for column in description),
        tuple(str(column[1]) for column in description),
        db,
    )


@contextlib.contextmanager
def _refusals_told() -> Iterator[None]:
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        if connect.is_damage(error):
            raise
        raise QueryError(_explain(error)) from error


def _require_one_that_reads(db: DuckDBPyConnection, statement: str) -> None:
    with _refusals_told():
        statements = db.extract_statements(statement)
    if len(statements) != 1:
        msg = f"A query is one statement; this has {len(statements)}."
        raise QueryError(msg)
    kind = str(statements[0].type).rpartition(".")[2].partition(":")[0].strip("<> ")
    if kind not in _READING:
        msg = f"The journal is only read, and {kind} does more. Ask with SELECT."
        raise QueryError(msg)


def _explain(error: Exception) -> str:
    text = str(error).split("\n\nLINE", 1)[0].strip()
    table = _NO_TABLE.search(text)
    if table:
        name = table[1].strip('"!')
        return f"There is no view {name!r}; {nearest(name, VIEWS)}"
    return f"The query cannot be answered: {text.splitlines()[0]}" + _candidates(text)


def _candidates(text: str) -> str:
    column = _NO_COLUMN.search(text)
    if not column:
        return ""
    names = re.findall(r'"([^"]+)"', text.partition("Candidate bindings:")[2])
    return f" ({nearest(column[1], [name.rpartition('.')[2] for name in names])})" if names else ""
