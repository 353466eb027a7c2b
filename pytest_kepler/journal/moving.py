"""Export a journal to files that other programs read, and import what was exported."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pytest_kepler.errors import JournalError, QueryError, first_line_of
from pytest_kepler.journal import connect, copying, lock, migrate
from pytest_kepler.journal.merging import Merged, derive, merge
from pytest_kepler.journal.place import Place, cannot
from pytest_kepler.journal.sql import VIEWS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Form = Literal["parquet", "csv", "jsonl"]
FORMS: Final[tuple[Form, ...]] = ("parquet", "csv", "jsonl")

#: Inside an export: the tables from which `import_` makes a journal again, and what wrote them.
_TABLES: Final = "tables"
_MANIFEST: Final = "export.json"


def export(place: Place, folder: Path, form: Form) -> list[Path]:
    """Write every public view to a file of its own, and the tables beside them.

    Parameters
    ----------
    place : Place
        The journal.
    folder : Path
        It is made, and must not be there with anything in it.
    form : {"parquet", "csv", "jsonl"}
        Of the views. The tables are Parquet: NaN, maps and times come back as they were.

    Returns
    -------
    list of Path
        The files of the views.

    Raises
    ------
    QueryError
        If something is in the folder already.
    JournalError
        If the journal cannot be read or the folder not be written.
    """
    if folder.is_dir() and any(folder.iterdir()):
        msg = f"{folder} is not empty; name a new folder to export to."
        raise QueryError(msg)
    with connect.exporter(place) as db:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Complete or not there: an export that was killed is never imported.
            with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as name:
                written = _write(db, Path(name), form)
                for file in sorted(Path(name).iterdir()):
                    file.rename(folder / file.name)
        except OSError as error:
            raise cannot("write", folder, error) from error
    return [folder / file.name for file in written]


def _write(db: DuckDBPyConnection, folder: Path, form: Form) -> list[Path]:
    import duckdb

    views = [folder / f"{view}.{form}" for view in VIEWS]
    try:
        for view, file in zip(VIEWS, views, strict=True):
            copying.write_query(db, f"FROM {view}", file, form)
        (folder / _TABLES).mkdir()
        copying.write_tables(db, folder / _TABLES)
    except duckdb.Error as error:
        msg = f"The export cannot be written ({first_line_of(error)})."
        raise JournalError(msg) from error
    migrations = [
        name for (name,) in db.execute("SELECT name FROM migration ORDER BY name").fetchall()
    ]
    manifest = {"format": form, "migrations": migrations}
    (folder / _MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return views


def import_(place: Place, folder: Path) -> Merged:
    """Merge what was exported into a journal.

    Parameters
    ----------
    place : Place
        The journal that grows; it is made if it is not there.
    folder : Path
        What `export` wrote.

    Raises
    ------
    QueryError
        If the folder holds no export, or one of a newer release.
    JournalError
        If a file of it is damaged, or the journal cannot be written.
    """
    _require_export(folder)
    place.make_folder()
    with lock.locked(place, "exclusive"):  # the scratch folder is swept under this lock
        draft = Place(_build(folder, place))
    try:
        (merged,) = merge(place, [draft])
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(draft.file.parent)
    return Merged(folder, merged.n_runs, merged.n_there, 0, ())


def _require_export(folder: Path) -> None:
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        migrations = set(manifest["migrations"])
    except (OSError, ValueError, KeyError, TypeError):
        msg = f"{folder} holds no export of a journal: there is no readable {_MANIFEST} in it."
        raise QueryError(msg) from None
    newer = sorted(migrations - migrate.names())
    if newer:
        msg = (
            f"The export in {folder} was written by a newer pytest-kepler ({newer[-1]} is unknown "
            f"here). Upgrade pytest-kepler to import it."
        )
        raise QueryError(msg)


def _build(folder: Path, place: Place) -> Path:
    """Make a journal of the tables, beside the spools of the one that it is merged into."""
    import duckdb

    try:
        home = Path(tempfile.mkdtemp(prefix="import-", dir=place.folder))
    except OSError as error:
        raise cannot("write", place.folder, error) from error
    file = home / "import.duckdb"
    try:
        with contextlib.closing(duckdb.connect(str(file), config=connect.for_new_files())) as db:
            migrate.apply_all(db)
            for table in copying.table_names(db):
                source = folder / _TABLES / f"{table}.parquet"
                if table != "migration" and source.exists():
                    copying.insert_file(db, table, source)
            derive(db)
    except duckdb.Error as error:
        shutil.rmtree(home, ignore_errors=True)
        msg = f"The export in {folder} cannot be read ({first_line_of(error)})."
        raise JournalError(msg) from error
    return file
