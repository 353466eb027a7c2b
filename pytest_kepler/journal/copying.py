"""Tables of a journal as Parquet files, and a new file made of them.

    python -m pytest_kepler.journal.copying FOLDER FILE

DuckDB keeps what was deleted in its file's free blocks, and a buffer that is used again may bring
old bytes into a new file. So what must be gone is left out when the tables are written, and the new
file is made by a process that has never seen it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_kepler.errors import JournalError
from pytest_kepler.journal import connect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duckdb import DuckDBPyConnection

_SCHEMA: Final = "schema.json"


def table_names(db: DuckDBPyConnection) -> list[str]:
    """Return the tables of a journal, temporary ones left out."""
    rows = db.execute(
        "SELECT table_name FROM duckdb_tables() WHERE NOT temporary AND NOT internal "
        "AND database_name = current_database() ORDER BY table_name"
    ).fetchall()
    return [name for (name,) in rows]


def write_tables(
    db: DuckDBPyConnection, folder: Path, selections: Mapping[str, str] | None = None
) -> None:
    """Write every table of a journal to ``folder/TABLE.parquet``.

    Parameters
    ----------
    db : connection
        One that may write files.
    folder : Path
        It must be there.
    selections : mapping of str to str, optional
        Table -> the SELECT that stands for it; default: all of it.
    """
    for name in table_names(db):
        selection = (selections or {}).get(name, f'SELECT * FROM "{name}"')
        write_query(db, selection, folder / f"{name}.parquet", "parquet")


def write_query(db: DuckDBPyConnection, selection: str, file: Path, form: str) -> None:
    """Write the answer to a SELECT of our own to a file."""
    target = str(file).replace("'", "''")
    options = {"parquet": "parquet", "csv": "csv, header", "jsonl": "json"}[form]
    db.execute(f"COPY ({selection}) TO '{target}' (FORMAT {options})")


def insert_file(db: DuckDBPyConnection, table: str, file: Path) -> None:
    """Insert what `write_query` wrote to a Parquet file into a table, by the columns' names."""
    source = str(file).replace("'", "''")
    db.execute(f"INSERT INTO \"{table}\" BY NAME SELECT * FROM read_parquet('{source}')")


def write_schema(db: DuckDBPyConnection, folder: Path) -> None:
    """Write how the tables and views are made, so that a file of any release can be made anew."""
    of_database = "WHERE NOT temporary AND NOT internal AND database_name = current_database()"
    tables = db.execute(f"SELECT table_name, sql FROM duckdb_tables() {of_database}").fetchall()
    views = db.execute(f"SELECT sql FROM duckdb_views() {of_database} ORDER BY view_oid").fetchall()
    schema = {"tables": dict(tables), "views": [sql for (sql,) in views]}
    (folder / _SCHEMA).write_text(json.dumps(schema), encoding="utf-8")


def rebuild(folder: Path, file: Path) -> None:
    """Make a database of what `write_schema` and `write_tables` left, in a process of its own.

    Raises
    ------
    JournalError
        If that process failed, such as for want of space.
    """
    done = subprocess.run(  # noqa: S603  # ourselves
        [sys.executable, "-m", __name__, str(folder), str(file)],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        reason = " ".join(done.stderr.strip().splitlines()[-1:])
        msg = f"{file} cannot be made ({reason}). Nothing was changed; free some space and repeat."
        raise JournalError(msg)


def _rebuild(folder: Path, file: Path) -> None:
    import duckdb

    schema = json.loads((folder / _SCHEMA).read_text(encoding="utf-8"))
    with contextlib.closing(duckdb.connect(str(file), config=connect.for_new_files())) as db:
        for name, sql in schema["tables"].items():
            db.execute(sql)
            insert_file(db, name, folder / f"{name}.parquet")
        for sql in schema["views"]:
            db.execute(sql)


if __name__ == "__main__":
    _rebuild(Path(sys.argv[1]), Path(sys.argv[2]))
