"""Run the user's SQL: one statement that reads; everything else is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_kepler.errors import QueryError, nearest
from pytest_kepler.journal import connect
from pytest_kepler.journal.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from duckdb import DuckDBPyConnection

    from pytest_kepler.journal.place import Place

VIEWS: Final = (
    *("sessions", "experiments", "runs", "metrics", "params", "checks", "models", "datasets"),
    *("artifacts", "notes", "claims", "baselines"),
)
_READING: Final = frozenset({"SELECT", "EXPLAIN", "DESCRIBE", "SHOW", "SUMMARIZE"})
_NO_TABLE: Final = re.compile(r"Table with name (\S+) does not exist")
_NO_COLUMN: Final = re.compile(r'Referenced column "([^"]+)" not found')


def run_sql(
    place: Place, statement: str, values: Sequence[object] | Mapping[str, object] | None = None
) -> Rows:
    """Return the answer to one statement that reads.

    Parameters
    ----------
    place : Place
        The journal.
    statement : str
        SQL over the public views.
    values : sequence or mapping, optional
        What stands for the placeholders.

    Raises
    ------
    QueryError
        If it is no single statement that reads, or DuckDB refuses it.
    JournalError
        If the journal cannot be opened.
    """
    with connect.reader(place) as db:
        return answer(db, statement, values)


def answer(
    db: DuckDBPyConnection,
    statement: str,
    values: Sequence[object] | Mapping[str, object] | None = None,
) -> Rows:
    """Return the answer on an open connection; see `run_sql`."""
    import duckdb

    _require_one_that_reads(db, statement)
    try:
        cursor = db.execute(statement, values)
        description = cursor.description or []
        rows = cursor.fetchall()
    except duckdb.Error as error:
        if connect.is_damage(error):
            raise
        raise QueryError(_explain(error)) from error
    return Rows(
        tuple(str(column[0]) for column in description),
        tuple(str(column[1]) for column in description),
        rows,
    )


def _require_one_that_reads(db: DuckDBPyConnection, statement: str) -> None:
    import duckdb

    try:
        statements = db.extract_statements(statement)
    except duckdb.Error as error:
        raise QueryError(_explain(error)) from error
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
