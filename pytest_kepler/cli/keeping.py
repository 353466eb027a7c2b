"""Commands that keep and move the journal: merge, export, import, doctor."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_kepler.cli.base import FAILED, growing, opened, path_of, tell
from pytest_kepler.journal import Journal
from pytest_kepler.journal.moving import FORMS

if TYPE_CHECKING:
    import argparse

    from pytest_kepler.cli.base import Commands
    from pytest_kepler.journal.doctor import Ailment
    from pytest_kepler.journal.foreign import Moved
    from pytest_kepler.journal.merging import Merged

#: Stores of other programs, read and written with their own libraries.
_STORES = ("mlflow", "tensorboard")


def add_to(commands: Commands) -> None:
    """Declare them."""
    merge_ = commands.add(
        "merge",
        merge,
        "bring what other journals know into this one; in any order, twice is as once",
        "kepler merge ci-1.duckdb ci-2.duckdb",
    )
    merge_.add_argument("journals", metavar="JOURNAL", nargs="+", type=Path, help="their files")
    export_ = commands.add(
        "export",
        export,
        "write every view to a file that other programs read, or the runs to MLflow or TensorBoard",
        "kepler export --format parquet out",
        formats=(*FORMS, *_STORES),
    )
    export_.add_argument(
        "target",
        metavar="TO",
        help="a new folder; for tensorboard any folder, for mlflow a folder, a database such as "
        "sqlite:///mlflow.db, or a server",
    )
    import_command = commands.add(
        "import",
        import_,
        "merge what was exported, or the runs of an MLflow store or of TensorBoard's event files",
        "kepler import --format mlflow sqlite:///mlflow.db",
        formats=("kepler", *_STORES),
    )
    import_command.add_argument(
        "source", metavar="FROM", help="what export wrote, or where MLflow or TensorBoard wrote"
    )
    doctor_ = commands.add(
        "doctor",
        doctor,
        "examine the journal, its spools and artefacts; exit status 1 if something is wrong",
        "kepler doctor --repair",
    )
    doctor_.add_argument(
        "--repair", action="store_true", help="do what can be done; nothing is deleted"
    )


def merge(options: argparse.Namespace) -> int:
    """Merge other journals into this one."""
    journal = growing(options)
    merged = journal.merge(options.journals)
    return tell("\n".join([*map(_told, merged), f"All of it is in {journal.path}."]))


def export(options: argparse.Namespace) -> int:
    """Export the journal."""
    if options.format in _STORES:
        moved = opened(options).export_to(options.format, options.target)
        return tell(_told_store(moved, options.target))
    files = opened(options).export(Path(options.target), options.format)
    return tell(f"{len(files)} views in {options.target}, and the tables for `kepler import`.")


def import_(options: argparse.Namespace) -> int:
    """Import what was exported."""
    journal = growing(options)
    if options.format in _STORES:
        return tell(
            _told_store(journal.import_from(options.format, options.source), options.source)
        )
    return tell(_told(journal.import_(Path(options.source))))


def _told_store(moved: Moved, store: str) -> str:
    left_out = "".join(f"\n  left out: {one}" for one in moved.left_out)
    return f"{store}: {moved.n_runs} new run(s), {moved.n_there} known{left_out}"


def _told(merged: Merged) -> str:
    files = f", {merged.n_artifacts} artefact(s) copied" if merged.n_artifacts else ""
    missing = "".join(f"\n  not to be had: {path}" for path in merged.missing)
    return f"{merged.source}: {merged.n_runs} new run(s), {merged.n_there} known{files}{missing}"


def doctor(options: argparse.Namespace) -> int:
    """Examine the journal, and repair it if asked to."""
    path = path_of(options)
    found = Journal(path).examine(repair=options.repair)
    if options.format == "json":
        tell(json.dumps([asdict(one) for one in found], ensure_ascii=False))
    else:
        tell("\n".join(map(_line, found)) if found else f"{path} is healthy.")
    is_well = all(one.is_repaired or one.kind == "quarantine" for one in found)
    return 0 if is_well else FAILED


def _line(one: Ailment) -> str:
    if not one.cure:
        return f"{one.kind:<11}{one.message}."
    outcome = f"repaired: {one.cure}" if one.is_repaired else f"--repair would {one.cure}"
    return f"{one.kind:<11}{one.message}.\n{'':<11}{outcome}."
