"""Put the user's SQL to the journal through a process of its own, which can be killed.

DuckDB has no time limit for a statement, and may not hear an interrupt for minutes. The process
stays for the next question; starting it is what costs.
"""

from __future__ import annotations

import atexit
import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Literal

from pytest_kepler.errors import JournalError, QueryError
from pytest_kepler.journal.answerer import LENGTH, send
from pytest_kepler.journal.rows import Rows
from pytest_kepler.journal.sql import TIMEOUT

if TYPE_CHECKING:
    from pytest_kepler.journal.place import Place

#: Bytes that an answer may have.
_LARGEST: Final = 1 << 30
_ERRORS: Final = {"QueryError": QueryError, "JournalError": JournalError}


def ask(place: Place, kind: Literal["query", "where"], text: str, timeout: float = TIMEOUT) -> Rows:
    """Return the answer to a statement or a filter.

    Parameters
    ----------
    place : Place
        The journal.
    kind : {"query", "where"}
        What `text` is: one statement that reads, or a filter over the runs.
    text : str
        The user's.
    timeout : float
        Seconds after which the query is ended.

    Raises
    ------
    QueryError
        If it is no single statement that reads, DuckDB refuses it, or it takes too long or too
        much.
    JournalError
        If the journal cannot be opened.
    """
    with _ONE_AT_A_TIME:
        answerer = _current()
        try:
            return answerer.ask((str(place.file.absolute()), kind, text), timeout)
        except (QueryError, JournalError):
            raise
        except BaseException:
            answerer.kill()  # whatever it still sends answers a question that nobody asks
            raise


class _Answerer:
    """A process that answers, seen from the one that asks."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        # Not a pipe: nobody reads it unless the process dies, and a full pipe would stop it.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the process
        paths = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)  # noqa: PTH100
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pytest_kepler.journal.answerer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            env={**os.environ, "PYTHONPATH": paths},
            start_new_session=True,  # Ctrl-C is for us; it ends with its pipe
        )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, question: tuple[str, str, str], timeout: float) -> Rows:
        deadline = time.monotonic() + timeout
        left = _LARGEST
        rows: list[tuple[Any, ...]] = []
        try:
            send(self._process.stdin, question)  # type: ignore[arg-type]  # we asked for a pipe
            while True:
                frame = self._frame(deadline, left)
                left -= len(frame)
                kind, *content = pickle.loads(frame)  # noqa: S301  # from the process we made
                if kind == "rows":
                    rows += content[0]
                elif kind == "error":
                    raise _ERRORS[content[0]](content[1])
                else:
                    return Rows(content[0], content[1], rows)
        except TimeoutError:
            self.kill()
            msg = (
                f"The query took longer than {timeout:g} s and was ended. Ask for less, or give "
                f"it more time: kepler query --timeout SECONDS."
            )
            raise QueryError(msg) from None
        except _TooLargeError:
            self.kill()
            msg = f"The answer is larger than {_LARGEST >> 30} GB; ask for fewer rows or columns."
            raise QueryError(msg) from None
        except (EOFError, BrokenPipeError):
            raise QueryError(self._last_words()) from None

    def _frame(self, deadline: float, longest: int) -> bytes:
        (length,) = LENGTH.unpack(self._read(LENGTH.size, deadline))
        if length > longest:
            raise _TooLargeError
        return self._read(length, deadline)

    def _read(self, n_bytes: int, deadline: float) -> bytes:
        pipe = self._process.stdout.fileno()  # type: ignore[union-attr]  # we asked for a pipe
        ready = select.poll()
        ready.register(pipe, select.POLLIN)
        parts = []
        while n_bytes:
            if not ready.poll(max(deadline - time.monotonic(), 0) * 1000):
                raise TimeoutError
            part = os.read(pipe, min(n_bytes, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            n_bytes -= len(part)
        return b"".join(parts)

    def _last_words(self) -> str:
        self._process.wait()
        self._complaints.seek(0)
        lines = self._complaints.read().decode("utf-8", "replace").strip().splitlines()
        self._close()
        status = self._process.returncode
        why = signal.Signals(-status).name if status < 0 else " ".join(lines[-1:]) or str(status)
        return f"The process that ran the query was ended by it ({why}). Ask for less."

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()
        self._close()

    def close(self) -> None:
        """End it when there is nothing to answer."""
        self._close()
        self._process.wait()

    def forget(self) -> None:
        """Leave it to the process that made it; we are its fork."""
        self._process.returncode = 0
        self._close()

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._complaints.close()


class _TooLargeError(Exception):
    pass


_ONE_AT_A_TIME: Final = threading.RLock()
_answerers: list[_Answerer] = []


def _current() -> _Answerer:
    """Return the process that answers, a new one if there is none or it is gone."""
    for answerer in tuple(_answerers):
        if answerer.owner == os.getpid() and answerer.is_alive:
            return answerer
        _drop(answerer)
    _answerers.append(_Answerer())
    return _answerers[0]


def _drop(answerer: _Answerer) -> None:
    _answerers.remove(answerer)
    if answerer.owner == os.getpid():
        answerer.kill()
    else:
        answerer.forget()


@atexit.register
def _end() -> None:
    for answerer in tuple(_answerers):
        if answerer.owner == os.getpid():
            answerer.close()
    _answerers.clear()
