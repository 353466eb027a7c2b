"""The files that a run was seen to open for reading: it stands while they are unchanged.

Python tells of every ``open``, also of those inside `numpy.load` and CSV readers; a library that
opens files in compiled code (Parquet, HDF5, a database) is not seen, nor is a child process.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

_NOT_DATA: Final = (".py", ".pyc", ".pyi", ".so")
_NO_FOLDERS: Final = ("__pycache__", ".pytest_cache", ".hypothesis", ".git", ".kepler")


class OpenedFiles:
    """Listens while a test's body runs.

    Parameters
    ----------
    rootdir : Path
        Files elsewhere do not count.
    folder : Path
        The journal's own.
    """

    _listening: OpenedFiles | None = None
    _is_hooked = False

    def __init__(self, rootdir: Path, folder: Path) -> None:
        self._rootdir = str(rootdir) + os.sep
        self._folder = str(folder) + os.sep
        self._read: dict[str, None] = {}
        self._written: set[str] = set()
        if not OpenedFiles._is_hooked:  # an audit hook cannot be taken away: one a process
            OpenedFiles._is_hooked = True
            sys.addaudithook(_heard)

    def start(self) -> None:
        """Listen from here on."""
        self._read = {}
        OpenedFiles._listening = self

    def stop(self) -> list[Path]:
        """Listen no longer, and return what was read and is the project's data."""
        OpenedFiles._listening = None
        paths = [Path(name) for name in self._read if name not in self._written]
        return [path for path in paths if self._counts(path)]

    def _counts(self, path: Path) -> bool:
        parts = set(path.parts)
        return (
            path.suffix not in _NOT_DATA
            and not parts & set(_NO_FOLDERS)
            and not any(part.endswith("-packages") for part in parts)
            and path.is_file()
        )

    def heard(self, file: str, *, is_read: bool) -> None:
        """Keep one opening, if it is below the rootdir and not the journal's."""
        name = os.path.abspath(file)  # noqa: PTH100  # a Path would be built for every open
        if not name.startswith(self._rootdir) or name.startswith(self._folder):
            return
        if is_read:
            self._read.setdefault(name)
        else:
            self._written.add(name)


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    listener = OpenedFiles._listening  # noqa: SLF001  # the hook belongs to the class
    if listener is None or event != "open":
        return
    file, mode, flags = arguments
    if isinstance(file, bytes):
        file = os.fsdecode(file)
    if not isinstance(file, str):
        return
    if mode is None:
        is_read = not flags & (os.O_WRONLY | os.O_RDWR)
    else:
        is_read = "r" in mode and "+" not in mode
    listener.heard(file, is_read=is_read)
