"""Rescue what can still be read of a damaged journal into a new one."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_kepler.errors import JournalError
from pytest_kepler.journal import connect, copying, lock, merging
from pytest_kepler.journal.place import Place, cannot

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: Rows that DuckDB reads at once.
_UNIT_ROWS: Final = 2048


@dataclass(frozen=True, slots=True)
class Rescued:
    """What became of a damaged journal.

    Attributes
    ----------
    aside : Path
        Where the damaged file is now.
    n_runs, n_of_copies : int
        How many runs could be read of it, and how many more of the copies that upgrades kept.
    lost : tuple of str
        The tables that could not be read or not whole.
    """

    aside: Path
    n_runs: int
    n_of_copies: int
    lost: tuple[str, ...]


def rescue(place: Place) -> Rescued:
    """Move a damaged journal aside, and make a new one of what can be read of it.

    What is missing then is taken from the copies that upgrades kept beside it.

    Parameters
    ----------
    place : Place
        The journal.

    Raises
    ------
    JournalError
        If the files cannot be moved or made.
    """
    with lock.locked(place, "exclusive"):
        aside = place.file.with_name(
            f"{place.file.stem}.damaged-{time.time_ns() // 1_000_000}{place.file.suffix}"
        )
        try:
            place.file.rename(aside)
            if place.wal.exists():
                place.wal.rename(aside.with_name(aside.name + ".wal"))
            place.state.unlink(missing_ok=True)
        except OSError as error:
            raise cannot("move", place.file, error) from error
        with connect.writer(place, is_trusted=True) as db:
            lost = _copy_readable(db, Place(aside))
            merging.derive(db)
            n_runs = int(db.execute("SELECT count(*) FROM run").fetchall()[0][0])
    n_of_copies = sum(_merge_copy(place, copy) for copy in copies(place)) if lost else 0
    return Rescued(aside, n_runs, n_of_copies, tuple(lost))


def copies(place: Place) -> list[Path]:
    """Return the copies that upgrades kept beside the journal, the newest first."""
    found = place.file.parent.glob(f"{place.file.stem}.v*{place.file.suffix}")
    return sorted(found, reverse=True)


def _merge_copy(place: Place, copy: Path) -> int:
    """Merge a copy, which stays as it is; return how many runs came from it."""
    with tempfile.TemporaryDirectory(dir=place.file.parent, prefix=".rescue-") as folder:
        source = Path(folder) / "copy.duckdb"
        try:
            shutil.copyfile(copy, source)
            (merged,) = merging.merge(place, [Place(source)])
        except (OSError, JournalError):  # damaged as well: the others may do
            return 0
    return merged.n_runs


def _copy_readable(db: DuckDBPyConnection, damaged: Place) -> list[str]:
    """Copy every row that can be read; return the tables of which some could not."""
    names = [name for name in copying.table_names(db) if name != "migration"]
    lost = [name for name in names if not _copy_table(db, damaged, name)]
    return lost if len(lost) < len(names) else ["all of it"]


def _copy_table(db: DuckDBPyConnection, damaged: Place, name: str) -> bool:
    """Copy a table, whole or in the pieces that can be read; tell whether it was whole."""
    if _copy_rows(db, damaged, name, "true"):
        return True
    _copy_pieces(db, damaged, name, 0, _n_rows(damaged, name))
    return False


def _copy_pieces(db: DuckDBPyConnection, damaged: Place, name: str, first: int, end: int) -> None:
    """Halve what cannot be read, down to DuckDB's unit of reading."""
    if end <= first or _copy_rows(db, damaged, name, f"rowid >= {first} AND rowid < {end}"):
        return
    if end - first > _UNIT_ROWS:
        middle = (first + end) // 2
        _copy_pieces(db, damaged, name, first, middle)
        _copy_pieces(db, damaged, name, middle, end)


def _n_rows(damaged: Place, name: str) -> int:
    import duckdb

    with contextlib.suppress(duckdb.Error, JournalError), connect.raw(damaged) as db:
        rows = db.execute(
            "SELECT estimated_size FROM duckdb_tables() WHERE table_name = ?", [name]
        ).fetchall()
        return int(rows[0][0])
    return 0


def _copy_rows(db: DuckDBPyConnection, damaged: Place, name: str, condition: str) -> bool:
    import duckdb

    # Through a file, and each time through a connection of its own: after one failure DuckDB
    # refuses the whole database.
    with tempfile.TemporaryDirectory(dir=damaged.file.parent, prefix=".rescue-") as folder:
        file = Path(folder) / "rows.parquet"
        try:
            with connect.raw(damaged) as source:
                copying.write_query(
                    source, f'SELECT * FROM "{name}" WHERE {condition}', file, "parquet"
                )
            copying.insert_file(db, name, file)
        except (duckdb.Error, JournalError):
            return False
    return True
