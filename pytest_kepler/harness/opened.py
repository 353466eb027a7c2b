"""The files that a run was seen to open, and the folders to list: it stands while they are as then.

Python tells of every ``open`` and every listing, also of those inside `numpy.load`, `glob` and CSV
readers; a library that opens files in compiled code (Parquet, HDF5, a database) is not seen, nor is
a child process.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.identity.parts import digest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

_NOT_DATA: Final = (".py", ".pyc", ".pyi", ".so")
_NO_FOLDERS: Final = ("__pycache__", ".pytest_cache", ".hypothesis", ".git", ".kepler")
_EVENTS: Final = frozenset({"open", "os.listdir", "os.scandir"})
#: Packages of Python's that list a folder for whoever calls them.
_ON_BEHALF: Final = ("os", "glob", "pathlib", "shutil")
#: Packages that look for code or look after tests, and not for data.
_MACHINERY: Final = ("importlib", "pkgutil", "pkg_resources", "_pytest", "pluggy", "pytest_kepler")
#: How far the clock of a file system may be behind ours.
_CLOCK_NS: Final = 20_000_000
#: After so long no further change has the same time as the last one.
_LEFT_ALONE_NS: Final = 60_000_000_000


class OpenedFiles:
    """Listens while a test's body runs.

    Parameters
    ----------
    rootdir : Path
        What is elsewhere does not count, nor a listing of itself: there much comes and goes.
    left_out : iterable of Path
        Folders below it that do not count either: the journal's own, that of pytest's ``tmp_path``.
    """

    _listening: OpenedFiles | None = None
    _is_hooked = False

    def __init__(self, rootdir: Path, left_out: Iterable[Path]) -> None:
        self._rootdir = str(rootdir) + os.sep
        below = (str(folder) + os.sep for folder in left_out)
        self._left_out = tuple(folder for folder in below if folder.startswith(self._rootdir))
        self._read: dict[str, None] = {}
        self._written: set[str] = set()
        self._listed: dict[str, None] = {}
        self._started_ns = 0
        self._hashes: dict[Path, tuple[tuple[int, int, int], str]] = {}
        if not OpenedFiles._is_hooked:  # an audit hook cannot be taken away: one a process
            OpenedFiles._is_hooked = True
            sys.addaudithook(_heard)

    def start(self) -> None:
        """Listen from here on."""
        self._read, self._listed = {}, {}
        self._started_ns = time.time_ns()
        OpenedFiles._listening = self

    def stop(self) -> list[Path]:
        """Listen no longer, and return what was read or listed and is the project's data."""
        OpenedFiles._listening = None
        paths = [Path(name) for name in self._read if name not in self._written]
        folders = [Path(name) for name in self._listed]
        return [path for path in paths if self._counts(path)] + [
            folder for folder in folders if self._is_input(folder)
        ]

    def _counts(self, path: Path) -> bool:
        return path.suffix not in _NOT_DATA and self._is_datas(path) and path.is_file()

    def _is_input(self, folder: Path) -> bool:
        """Tell whether a folder is data: one that the run itself changed is its output."""
        if not self._is_datas(folder):
            return False
        try:
            changed_ns = folder.stat().st_mtime_ns
        except OSError:  # it was there for this run alone
            return False
        return changed_ns < self._started_ns - _CLOCK_NS

    def _is_datas(self, path: Path) -> bool:
        parts = path.parts
        return not set(parts) & set(_NO_FOLDERS) and not any(
            part.endswith("-packages") for part in parts
        )

    def entries_hash(self, folder: Path) -> str:
        """Return the hash of what is called how in a folder, code and hidden files aside.

        Raises
        ------
        OSError
            If it cannot be listed.
        """
        status = folder.stat()
        stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        known = self._hashes.get(folder)
        if known is not None and known[0] == stamp:  # a grid asks once for each of its runs
            return known[1]
        names = os.listdir(folder)  # noqa: PTH208  # the names are all that is wanted
        hash_ = digest(sorted(name for name in names if _is_entry(name)))
        if time.time_ns() - status.st_ctime_ns > _LEFT_ALONE_NS:
            self._hashes[folder] = stamp, hash_
        return hash_

    def heard(self, file: str, *, is_read: bool) -> None:
        """Keep one opening, if it is below the rootdir and not the journal's."""
        name = os.path.abspath(file)  # noqa: PTH100  # a Path would be built for every open
        if not name.startswith(self._rootdir) or name.startswith(self._left_out):
            return
        if is_read:
            self._read.setdefault(name)
        else:
            self._written.add(name)

    def heard_listing(self, folder: str, frame: FrameType | None) -> None:
        """Keep one listing of a folder below the rootdir, if it was for data."""
        name = os.path.abspath(folder)  # noqa: PTH100  # likewise
        if not name.startswith(self._rootdir) or (name + os.sep).startswith(self._left_out):
            return
        if os.sep + "." in name[len(self._rootdir) - 1 :]:
            return
        while frame is not None and _package(frame) in _ON_BEHALF:
            frame = frame.f_back
        if frame is None or _package(frame) in _MACHINERY:
            return
        is_own = str(frame.f_globals.get("__file__")).startswith(self._rootdir)
        if is_own or name not in {os.path.abspath(path) for path in sys.path}:  # noqa: PTH100
            self._listed.setdefault(name)


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]


def _is_entry(name: str) -> bool:
    return not name.startswith(".") and name not in _NO_FOLDERS and not name.endswith(_NOT_DATA)


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    listener = OpenedFiles._listening  # noqa: SLF001  # the hook belongs to the class
    if listener is None or event not in _EVENTS:
        return
    file = arguments[0]
    if isinstance(file, bytes):
        file = os.fsdecode(file)
    if event != "open":
        if file is None or isinstance(file, str):
            listener.heard_listing(file or os.curdir, sys._getframe(1))  # noqa: SLF001
        return
    if not isinstance(file, str):
        return
    _, mode, flags = arguments
    if mode is None:
        is_read = not flags & (os.O_WRONLY | os.O_RDWR)
    else:
        is_read = "r" in mode and "+" not in mode
    listener.heard(file, is_read=is_read)
