"""What lies in the journal's folder and belongs to no run."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_kepler.journal import connect
from pytest_kepler.journal.ingest import ingest
from pytest_kepler.journal.place import remove

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_kepler.journal.place import Place

#: What is younger may belong to a run whose event is on its way.
_GRACE_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Rubbish:
    """A file or folder that no run names.

    Attributes
    ----------
    path : Path
    kind : {"artifact", "run", "checkpoint"}
        An artefact, a run's own folder, or what a checkpoint left.
    n_bytes : int
        What removing it frees.
    """

    path: Path
    kind: str
    n_bytes: int

    def remove(self) -> None:
        """Remove it.

        Raises
        ------
        JournalError
            If the operating system refuses.
        """
        remove(self.path)


def find(place: Place) -> list[Rubbish]:
    """Return what no run of a journal names, an hour old at least.

    Parameters
    ----------
    place : Place
        The journal; its spools are taken into it first.

    Raises
    ------
    JournalError
        If the journal cannot be read.
    """
    ingest(place)
    with connect.reader(place) as db:
        named = {path for (path,) in db.execute("SELECT DISTINCT path FROM artifact").fetchall()}
        rows = db.execute("SELECT run_id, identity FROM every_run").fetchall()
    known = {name for row in rows for name in row}
    return list(_unnamed(place, named, known))


def _unnamed(place: Place, named: set[str], known: set[str]) -> Iterator[Rubbish]:
    for path in sorted((place.folder / "artifacts").rglob("*")):
        is_named = path.relative_to(place.folder).as_posix() in named
        if path.is_file() and not is_named and _is_old(path):
            yield Rubbish(path, "artifact", path.stat().st_size)
    for folder, kind in (("runs", "run"), ("checkpoints", "checkpoint")):
        home = place.folder / folder
        for path in sorted(home.iterdir()) if home.is_dir() else ():
            if path.stem not in known and _is_old(path):
                yield Rubbish(path, kind, _size(path))


def _is_old(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime > _GRACE_S
    return False


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
