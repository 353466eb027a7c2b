"""The process that runs the user's SQL: it is asked over a pipe, and may be killed at any time.

    python -m pytest_kepler.journal.answerer

Asked ``(path, kind, text)``, it answers with frames: ``("rows", [row, …])`` any number of times,
then ``("end", columns, types)`` or ``("error", class name, sentence)``. It ends when the pipe does,
also in the middle of a query: whoever asked is gone.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import struct
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from pytest_kepler.errors import KeplerError
from pytest_kepler.journal import sql
from pytest_kepler.journal.place import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_kepler.journal.sql import Cursor

#: What stands before each frame: its length in bytes.
LENGTH: Final = struct.Struct("!Q")
_ROWS_A_FRAME: Final = 2048
#: Address space that a query may fill: DuckDB's own limit leaves out the rows that Python holds.
_MEMORY_BYTES: Final = 6 << 30

ANSWERS: Final[dict[str, Callable[[Place, str], contextlib.AbstractContextManager[Cursor]]]] = {
    "query": sql.query,
    "where": sql.where,
}


def main() -> None:
    """Answer until the pipe ends."""
    _limit_memory()
    asked: queue.SimpleQueue[tuple[str, str, str]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, asked), daemon=True).start()
    while True:
        path, kind, text = asked.get()
        for frame in _frames(Place(Path(path)), kind, text):
            send(sys.stdout.buffer, frame)


def send(pipe: BinaryIO, frame: object) -> None:
    """Write one frame."""
    content = pickle.dumps(frame, pickle.HIGHEST_PROTOCOL)
    pipe.write(LENGTH.pack(len(content)) + content)
    pipe.flush()


def _listen(pipe: BinaryIO, asked: queue.SimpleQueue[tuple[str, str, str]]) -> None:
    with contextlib.suppress(OSError):
        while head := pipe.read(LENGTH.size):
            (length,) = LENGTH.unpack(head)
            asked.put(pickle.loads(pipe.read(length)))  # noqa: S301  # from the process that made us
    os._exit(0)


def _frames(place: Place, kind: str, text: str) -> Iterator[tuple[Any, ...]]:
    try:
        with ANSWERS[kind](place, text) as found:
            while rows := found.fetch(_ROWS_A_FRAME):
                yield ("rows", rows)
            end = ("end", found.columns, found.types)
        yield end
    except KeplerError as error:
        yield ("error", type(error).__name__, str(error))
    except MemoryError:
        yield ("error", "QueryError", "The answer does not fit into memory; ask for less.")


def _limit_memory() -> None:
    import resource

    # macOS knows no such limit: there the number of bytes that are taken from us is one.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


if __name__ == "__main__":
    main()
