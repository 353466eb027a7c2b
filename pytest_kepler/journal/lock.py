"""The journal's lock: many readers or one writer, released by the kernel when its holder dies.

The kernel's lock lets readers in as long as one of them is there, and a writer might wait for ever.
So a writer who waits holds a turnstile, at which readers who come later wait too.
"""

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
    from pathlib import Path

    from pytest_kepler.journal.place import Place

Kind = Literal["shared", "exclusive"]

#: Seconds that a reader or an ingester waits for its turn.
PATIENCE: Final = 30.0
#: Seconds for which a reader lets writers go first.
_COURTESY: Final = 2.0
_FIRST_WAIT: Final = 0.001
_LONGEST_WAIT: Final = 0.05


@contextlib.contextmanager
def locked(place: Place, kind: Kind, patience: float = PATIENCE) -> Iterator[None]:
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
    descriptor = _open(place.lock, place, kind)
    if descriptor is None:  # a journal that nobody here can write needs no lock to be read
        yield
        return
    try:
        with _turnstile(place, kind) as turnstile:
            _wait(descriptor, turnstile, kind, place, patience)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _turnstile(place: Place, kind: Kind) -> Iterator[int | None]:
    """Open the file at which readers let a writer pass who waits for those before them."""
    descriptor = _open(place.lock.with_suffix(".turn"), place, kind)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _open(path: Path, place: Place, kind: Kind) -> int | None:
    writing = kind == "exclusive"
    if writing:
        place.make_folder()
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if not writing:
            with contextlib.suppress(OSError):
                return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            return None
        raise cannot("write", path, error) from error


def _wait(
    descriptor: int, turnstile: int | None, kind: Kind, place: Place, patience: float
) -> None:
    began = time.monotonic()
    pause = _FIRST_WAIT
    while not _try(descriptor, turnstile, kind, place, waited=time.monotonic() - began):
        if time.monotonic() - began > patience:
            msg = (
                f"Another process has held the journal {place.file} for {patience:g} s. "
                f"Wait for it or end it, then run `kepler report`: the spools in "
                f"{place.spool} keep the runs."
            )
            raise JournalError(msg)
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_WAIT)


def _try(
    descriptor: int, turnstile: int | None, kind: Kind, place: Place, *, waited: float
) -> bool:
    """Take the lock if it is free; a writer keeps the turnstile meanwhile."""
    if kind == "exclusive":
        is_next = turnstile is None or _flock(turnstile, fcntl.LOCK_EX, place)
        return is_next and _flock(descriptor, fcntl.LOCK_EX, place)
    # Whoever reads already and asks again would wait for a writer who waits for him: not for long.
    if turnstile is None or waited > _COURTESY:
        return _flock(descriptor, fcntl.LOCK_SH, place)
    if not _flock(turnstile, fcntl.LOCK_SH, place):
        return False
    try:
        return _flock(descriptor, fcntl.LOCK_SH, place)
    finally:
        fcntl.flock(turnstile, fcntl.LOCK_UN)


def _flock(descriptor: int, operation: int, place: Place) -> bool:
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise cannot("lock", place.lock, error) from error
        return False
    return True


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


def is_abandoned(path: os.PathLike[str]) -> bool:
    """Tell whether the writer of a file is gone."""
    held = try_lock(path)
    if held is None:
        return False
    os.close(held)
    return True
