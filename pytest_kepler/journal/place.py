"""Where a journal is, and what lies beside it."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_kepler.errors import JournalError

HOME: Final = ".kepler"
DEFAULT_NAME: Final = "journal.duckdb"
_LAST_WORDS: Final = "end"


@dataclass(frozen=True, slots=True)
class Place:
    """The journal's file and the folder of what belongs to it.

    The folder is the file's own for ``.kepler/journal.duckdb``. Any other file, ``x.duckdb``, has
    a folder ``x.duckdb.kepler`` beside it: two journals never share a spool, and a project's
    folder is not filled with ours.
    """

    file: Path

    @property
    def folder(self) -> Path:
        """Where the spool, artefacts, lock and quarantine are."""
        if self.file.name == DEFAULT_NAME and self.file.parent.name == HOME:
            return self.file.parent
        return self.file.with_name(self.file.name + HOME)

    @property
    def spool(self) -> Path:
        """Where the processes write their spools."""
        return self.folder / "spool"

    @property
    def lock(self) -> Path:
        """The file that is locked by whoever opens the journal."""
        return self.folder / f"{self.file.stem}.lock"

    @property
    def state(self) -> Path:
        """What the last ingest left: how the file looked, and how far each spool was taken."""
        return self.folder / f"{self.file.stem}.state"

    @property
    def quarantine(self) -> Path:
        """Where lines are kept that could not be read."""
        return self.folder / "quarantine"

    @property
    def scratch(self) -> Path:
        """Slices on their way into the journal; what is left here is rubbish."""
        return self.folder / "scratch"

    @property
    def wal(self) -> Path:
        """DuckDB's own log of what is not yet in the file."""
        return self.file.with_name(self.file.name + ".wal")

    def make_folder(self) -> None:
        """Make the folder, one that git does not see.

        Raises
        ------
        JournalError
            If it cannot be made.
        """
        if self.folder.is_dir():
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / ".gitignore").write_text("*\n", encoding="utf-8")
        except OSError as error:
            raise cannot("make", self.folder, error) from error

    def spools(self) -> list[Path]:
        """Return the spools, in the order of their names."""
        try:
            with os.scandir(self.spool) as entries:
                return sorted(Path(e.path) for e in entries if e.name.endswith(".jsonl"))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise cannot("read", self.spool, error) from error


def last_words(session_id: str) -> str:
    """Return the label of the spool of what a session says once its runs are in the journal."""
    return f"{session_id}-{_LAST_WORDS}"


def is_last_words(path: Path) -> bool:
    """Tell by its name whether a spool holds the last words of a session: how it ended."""
    return path.name.split("-")[1:2] == [_LAST_WORDS]


def cannot(verb: str, path: Path, error: OSError) -> JournalError:
    """Return the error that says what the operating system refused, and what to do."""
    advice = {
        errno.EACCES: "Give yourself the permission, or choose another place with --kepler-journal",
        errno.EROFS: "Choose a place that can be written, with --kepler-journal",
        errno.ENOSPC: "Free some space and run `kepler report`: the spools keep what was logged",
        errno.ENOTDIR: "Move the file that is in its way, or choose another with --kepler-journal",
        errno.EEXIST: "Move the file that is in its way, or choose another with --kepler-journal",
    }.get(error.errno or 0, "Choose another place with --kepler-journal")
    return JournalError(f"Cannot {verb} {path}: {error.strerror}. {advice}.")


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it.

    Raises
    ------
    JournalError
        If the operating system refuses.
    """
    try:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot("remove", path, error) from error


def find_journal(start: Path, rootdir: Path | None = None, configured: str | None = None) -> Path:
    """Return the journal that a session or a command in `start` uses; it need not be there.

    Parameters
    ----------
    start : Path
        The folder that the command was given in.
    rootdir : Path, optional
        Where the journal is made if none is found; default: `start`.
    configured : str, optional
        What ``--kepler-journal`` or ``kepler_journal`` says, relative to `start`.

    Returns
    -------
    Path
        ``.kepler/journal.duckdb`` in the nearest folder upwards that has ``.kepler``, not above
        the repository's root, else in the rootdir.
    """
    start = start.resolve()
    if configured:
        return start / Path(configured).expanduser()
    for folder in (start, *start.parents):
        if (folder / HOME).is_dir():
            return folder / HOME / DEFAULT_NAME
        if (folder / ".git").exists():
            break
    return (rootdir or start).resolve() / HOME / DEFAULT_NAME
