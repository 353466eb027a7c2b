"""The journal's lock: many readers or one writer, released by the kernel when its holder dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from typing import TYPE_CHECKING, Final, Literal

from pytest_kepler.errors import JournalError
from pytest_kepler.journal.place import cannot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.journal.place import Place

#: Seconds that a reader or an ingester waits for its turn.
PATIENCE: Final = 30.0
_FIRST_WAIT: Final = 0.001
_LONGEST_WAIT: Final = 0.05


@contextlib.contextmanager
def locked(
    place: Place, kind: Literal["shared", "exclusive"], patience: float = PATIENCE
) -> Iterator[None]:
    """Hold the journal's lock.

    Parameters
    ----------
    place : Place
        Whose lock.
    kind : {"shared", "exclusive"}
        A reader shares it with other readers; whoever writes has it alone.
    patience : float
        Seconds to wait.

    Raises
    ------
    JournalError
        If the lock is still held elsewhere after `patience`, or its file cannot be made.
    """
    descriptor = _open(place, kind)
    if descriptor is None:  # a journal that nobody here can write needs no lock to be read
        yield
        return
    try:
        _wait(descriptor, fcntl.LOCK_SH if kind == "shared" else fcntl.LOCK_EX, place, patience)
        yield
    finally:
        os.close(descriptor)


def _open(place: Place, kind: Literal["shared", "exclusive"]) -> int | None:
    writing = kind == "exclusive"
    if writing:
        place.make_folder()
    try:
        return os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if not writing:
            with contextlib.suppress(OSError):
                return os.open(place.lock, os.O_RDONLY | os.O_CLOEXEC)
            return None
        raise cannot("write", place.lock, error) from error


def _wait(descriptor: int, operation: int, place: Place, patience: float) -> None:
    deadline = time.monotonic() + patience
    pause = _FIRST_WAIT
    while True:
        try:
            fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise cannot("lock", place.lock, error) from error
            if time.monotonic() > deadline:
                msg = (
                    f"Another process has held the journal {place.file} for {patience:g} s. "
                    f"Wait for it or end it, then run `kepler report`: the spools in "
                    f"{place.spool} keep the runs."
                )
                raise JournalError(msg) from error
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_WAIT)
        else:
            return


def try_lock(path: os.PathLike[str]) -> int | None:
    """Return a descriptor that holds the file's lock, or None if its writer lives."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
