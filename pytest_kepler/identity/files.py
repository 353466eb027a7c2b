"""Files and folders as content: names below the folder and bytes, never times or places."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from pytest_kepler.errors import UnreadableValueError
from pytest_kepler.identity.framing import Framed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TypeAlias

    from pytest_kepler.identity.file_memory import FileMemory
    from pytest_kepler.identity.framing import Leaf

    #: A name below a folder, and the file's stat; None for a folder.
    _Entry: TypeAlias = tuple[str, os.stat_result | None]

_BLOCK = 4 * 1024 * 1024
_LONGEST = 4096  # characters of a path that Linux takes
_ATTEMPTS = 2
#: What changes with a file.
_STAMP = ("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")
#: A smaller file is as soon read as looked up.
_WORTH_REMEMBERING = 1 << 20
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


def read_path(path: Path, memory: FileMemory | None = None) -> Leaf | None:
    """Return the content of a file or a folder, or None where there is neither.

    Parameters
    ----------
    path : Path
    memory : FileMemory, optional
        What was read before and can be seen not to have changed is not read again.

    Raises
    ------
    UnreadableValueError
        If it is no plain file, may not be read, or keeps changing while it is read.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if stat.S_ISDIR(found.st_mode):
        return _folder(path, memory)
    if memory is None or found.st_size < _WORTH_REMEMBERING:
        return _file(path)
    return _remembered(str(path.resolve()), [("", found)], memory, lambda: _file(path))


def _remembered(
    place: str,
    entries: Sequence[tuple[str, os.stat_result | None]],
    memory: FileMemory,
    read: Callable[[], Leaf],
) -> Leaf:
    stamp = memory.stamp(entries)
    if stamp is None:
        return read()
    known = memory.recall(place, stamp)
    if known is None:
        known = read()
        memory.keep([(place, stamp, known)])
    return known


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
    if any(getattr(before, name) != getattr(after, name) for name in _STAMP):
        return None
    return framed.leaf()


def _folder(path: Path, memory: FileMemory | None) -> Leaf:
    entries = list(_entries(str(path), "", (_place(path),)))
    if memory is None:
        return _read_folder(entries, lambda name: _file(path / name))
    place = str(path.resolve())
    return _remembered(
        place, entries, memory, lambda: _read_folder_anew(path, place, entries, memory)
    )


def _read_folder(entries: Iterable[_Entry], read: Callable[[str], Leaf]) -> Leaf:
    framed = Framed("folder")
    n_bytes = 0
    for name, found in entries:
        framed.text(name)
        if found is not None:
            digest, size = read(name)
            framed.add(digest)
            n_bytes += size
    return framed.digest(), n_bytes


def _read_folder_anew(
    path: Path, place: str, entries: Sequence[_Entry], memory: FileMemory
) -> Leaf:
    """Read the files of a folder that changed, those that did not out of the memory."""
    known = memory.recall_all(place)
    stats = {name: found for name, found in entries if found is not None}
    fresh: list[tuple[str, bytes, Leaf]] = []

    def read(name: str) -> Leaf:
        stamp = memory.stamp([("", stats[name])])
        own = f"{place}{os.sep}{name}"
        before = known.get(own)
        if stamp is not None and before is not None and before[0] == stamp:
            return before[1], before[2]
        found = _file(path / name)
        if stamp is not None:
            fresh.append((own, stamp, found))
        return found

    result = _read_folder(entries, read)
    memory.keep(fresh)
    return result


def _entries(folder: str, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[_Entry]:
    """Yield what is in a folder by name; a folder's name ends with a slash, and it has no stat.

    Folders are named because an empty one, or one that moved, is a change.
    """
    try:
        changed_at = os.stat(folder).st_mtime_ns  # noqa: PTH116  # a hot path, as all of it
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            if not entry.is_dir():
                yield prefix + entry.name, _stat(entry)
                continue
            yield f"{prefix}{entry.name}/", None
            place = _place(Path(entry.path))
            if place in above:
                msg = f"the folder {entry.path}, which links back to a folder that holds it"
                raise UnreadableValueError(msg)
            yield from _entries(entry.path, f"{prefix}{entry.name}/", (*above, place))
        if os.stat(folder).st_mtime_ns != changed_at:  # noqa: PTH116
            msg = f"the folder {folder}, which changes while it is read"
            raise UnreadableValueError(msg)
    except OSError as error:
        raise _unreadable(Path(folder), error) from error


def _stat(entry: os.DirEntry[str]) -> os.stat_result:
    try:
        return entry.stat()
    except OSError as error:  # a link that leads nowhere
        raise _unreadable(Path(entry.path), error) from error


def _place(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


def _unreadable(path: Path, error: Exception) -> UnreadableValueError:
    why = getattr(error, "strerror", None) or type(error).__name__
    return UnreadableValueError(f"the file or folder {path} ({why})")
