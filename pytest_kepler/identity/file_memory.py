"""What is remembered of files between sessions, so that large data is not read to see it unchanged.

A file that has the size, the times of its last change and the inode that it had is not read again,
where that can be trusted:

- Its place is a local file system of a kind that keeps the time of the last change (``ctime``),
  which no program can set.
- When it was read it had not been changed for a minute. A later change in the same tick of the file
  system's clock, or through memory that was mapped and not yet written back, cannot hide.

Everything else is read.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import time
from typing import TYPE_CHECKING, Final

from xxhash import xxh3_128

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from typing import TypeVar

    from pytest_kepler.identity.framing import Leaf

    T = TypeVar("T")

#: Kinds of file systems whose stamps are kept by this machine's kernel alone, for writes through
#: mapped memory too (tmpfs keeps none for those).
_LOCAL: Final = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs"})
_MOUNTS: Final = "/proc/self/mountinfo"
_AT_REST_S: Final = 60.0
_WAIT_S: Final = 1.0
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS content (path TEXT PRIMARY KEY, stamp BLOB, digest BLOB, n_bytes INTEGER)
WITHOUT ROWID
"""


class FileMemory:
    """Digests of files and folders by their places, each with the stamp that it was read under.

    A memory that cannot be read or written remembers nothing; that is no error.

    Parameters
    ----------
    path : Path
        The file of the memory; several processes may use it at once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local: dict[int, bool] = {}

    def stamp(self, entries: Iterable[tuple[str, os.stat_result | None]]) -> bytes | None:
        """Return what tells a file, or the entries of a folder, from what they were; None: nothing.

        Parameters
        ----------
        entries : iterable of (name, stat)
            The stat is None for a folder, which counts by its name.
        """
        latest_ns = (time.time() - _AT_REST_S) * 1e9
        digest = xxh3_128()
        for name, found in entries:
            if found is None:
                digest.update(f"{name}\0".encode("utf-8", "surrogateescape"))
                continue
            if max(found.st_mtime_ns, found.st_ctime_ns) > latest_ns:
                return None
            if not self._is_local(found.st_dev):
                return None
            stamp = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
            digest.update(f"{name}\0{stamp} {found.st_dev}\0".encode("utf-8", "surrogateescape"))
        return digest.digest()

    def recall(self, path: str, stamp: bytes) -> Leaf | None:
        """Return the digest and size of what had this stamp, or None."""

        def ask(db: sqlite3.Connection) -> Leaf | None:
            sql = "SELECT digest, n_bytes FROM content WHERE path = ? AND stamp = ?"
            row = db.execute(sql, (path, stamp)).fetchone()
            return (bytes(row[0]), int(row[1])) if row else None

        return self._with_file(ask, None)

    def recall_all(self, folder: str) -> dict[str, tuple[bytes, bytes, int]]:
        """Return path -> (stamp, digest, size) of all that is remembered below a folder."""

        def ask(db: sqlite3.Connection) -> dict[str, tuple[bytes, bytes, int]]:
            sql = "SELECT path, stamp, digest, n_bytes FROM content WHERE path > ? AND path < ?"
            rows = db.execute(sql, (folder + os.sep, folder + chr(ord(os.sep) + 1)))
            return {path: (stamp, digest, n_bytes) for path, stamp, digest, n_bytes in rows}

        return self._with_file(ask, {})

    def keep(self, entries: Iterable[tuple[str, bytes, Leaf]]) -> None:
        """Remember what was read under some stamps, (path, stamp, digest and size) of each."""
        rows = [(path, stamp, digest, n_bytes) for path, stamp, (digest, n_bytes) in entries]

        def write(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO content VALUES (?, ?, ?, ?)", rows)
            db.commit()

        if rows:
            self._with_file(write, None)

    def _with_file(self, act: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(self._path, timeout=_WAIT_S)) as db:
                db.execute(_TABLE)
                return act(db)
        except (sqlite3.Error, OSError):
            return otherwise

    def _is_local(self, device: int) -> bool:
        if device not in self._local:
            self._local[device] = _kind_of(device) in _LOCAL
        return self._local[device]


def _kind_of(device: int) -> str:
    """Return the kind of the file system on a device, as Linux tells it; empty elsewhere."""
    if sys.platform != "linux":
        return ""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open(_MOUNTS, encoding="utf-8") as mounts:  # noqa: PTH123  # no Path to be made
            for line in mounts:
                about, _, kind = line.partition(" - ")
                if about.split()[2] == wanted:
                    return kind.split()[0]
    except (OSError, IndexError):
        pass
    return ""
