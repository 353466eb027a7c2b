"""Files and folders as content: names below the folder and bytes, never times or places."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from pytest_kepler.errors import UnreadableValueError
from pytest_kepler.identity.framing import Framed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_kepler.identity.framing import Leaf

_BLOCK = 4 * 1024 * 1024
_LONGEST = 4096  # characters of a path that Linux takes
_ATTEMPTS = 2
#: Up to so many texts, looking for each is cheaper than listing its folder.
_FEW = 32


class Folders:
    """What the folders hold that texts were looked up in, listed once a reading."""

    def __init__(self) -> None:
        self._names: dict[str, frozenset[str]] = {}
        self._n_asked = 0

    def file_named(self, text: str) -> bool:
        """Tell whether `text` is the path of an existing file.

        A long list of texts costs one look at each folder that they speak of.
        """
        if not text or len(text) > _LONGEST or "\0" in text or "\n" in text:
            return False
        self._n_asked += 1
        if self._n_asked > _FEW:
            folder, _, name = text.rpartition(os.sep)
            if name not in self._listed(folder, rooted=text.startswith(os.sep)):
                return False
        try:
            return stat.S_ISREG(os.stat(text).st_mode)  # noqa: PTH116 - a hot path
        except (OSError, ValueError):
            return False

    def _listed(self, folder: str, *, rooted: bool) -> frozenset[str]:
        if folder not in self._names:
            try:
                names = os.listdir(folder or (os.sep if rooted else os.curdir))  # noqa: PTH208 - likewise
            except (OSError, ValueError):
                names = []
            self._names[folder] = frozenset(names)
        return self._names[folder]


def read_path(path: Path) -> Leaf | None:
    """Return the content of a file or a folder, or None where there is neither.

    Raises
    ------
    UnreadableValueError
        If it is no plain file, may not be read, or keeps changing while it is read.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    return _folder(path) if stat.S_ISDIR(mode) else _file(path)


def relative_names(paths: Iterable[str | PurePath]) -> list[str]:
    """Return the paths below the folder that is common to all of them, with ``/``."""
    absolute = [os.path.abspath(path) for path in paths]  # noqa: PTH100 - no link is followed
    try:
        common = os.path.commonpath([os.path.dirname(path) for path in absolute])  # noqa: PTH120
    except ValueError:  # on several drives
        return [PurePath(path).name for path in absolute]
    return [Path(path).relative_to(common).as_posix() for path in absolute]


def _file(path: Path) -> Leaf:
    for _ in range(_ATTEMPTS):
        try:
            found = _read_once(path)
        except OSError as error:
            raise _unreadable(path, error) from error
        if found is not None:
            return found
    msg = f"the file {path}, which changes while it is read"
    raise UnreadableValueError(msg)


def _read_once(path: Path) -> Leaf | None:
    # O_NONBLOCK: a pipe in a file's place must not hang before it can be looked at.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - opened by descriptor
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            msg = f"{path}, which is no plain file"
            raise UnreadableValueError(msg)
        framed = Framed("file")
        buffer = bytearray(min(_BLOCK, before.st_size + 1))
        view = memoryview(buffer)
        while n_read := file.readinto(buffer):
            framed.raw(view[:n_read])
        after = path.stat()
    seen = (before.st_size, before.st_mtime_ns, before.st_ino)
    if seen != (after.st_size, after.st_mtime_ns, after.st_ino):
        return None
    return framed.leaf()


def _folder(path: Path) -> Leaf:
    framed = Framed("folder")
    n_bytes = 0
    for name, entry in _entries(path, "", (_place(path),)):
        framed.text(name)
        if entry is not None:
            digest, size = _file(entry)
            framed.add(digest)
            n_bytes += size
    return framed.digest(), n_bytes


def _entries(
    folder: Path, prefix: str, above: tuple[tuple[int, int], ...]
) -> Iterator[tuple[str, Path | None]]:
    # Folders are named too, with a slash: an empty one, or one that moved, is a change.
    try:
        changed_at = folder.stat().st_mtime_ns
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names are what is wanted
    except OSError as error:
        raise _unreadable(folder, error) from error
    for name in names:
        entry = folder / name
        if not entry.is_dir():
            yield prefix + name, entry
            continue
        yield f"{prefix}{name}/", None
        place = _place(entry)
        if place in above:
            msg = f"the folder {entry}, which links back to a folder that holds it"
            raise UnreadableValueError(msg)
        yield from _entries(entry, f"{prefix}{name}/", (*above, place))
    if folder.stat().st_mtime_ns != changed_at:
        msg = f"the folder {folder}, which changes while it is read"
        raise UnreadableValueError(msg)


def _place(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


def _unreadable(path: Path, error: Exception) -> UnreadableValueError:
    why = getattr(error, "strerror", None) or type(error).__name__
    return UnreadableValueError(f"the file or folder {path} ({why})")
