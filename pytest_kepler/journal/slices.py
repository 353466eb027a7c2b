"""Take what is new in the spools: slices from what was taken to the last whole line."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_kepler.journal import events
from pytest_kepler.journal.lock import try_lock
from pytest_kepler.journal.place import cannot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from pytest_kepler.journal.place import Place

_BLOCK_BYTES: Final = 1 << 24
_STALE_S: Final = 86_400.0


@dataclass(slots=True)
class Spool:
    """One spool as an ingest finds it.

    Attributes
    ----------
    size : int
        Its bytes at the moment of looking; more may come behind them while its writer lives.
    seal : int or None
        A descriptor that holds the file's lock: its writer is gone, and nothing will come.
    """

    path: Path
    size: int
    written_at: float
    seal: int | None

    @property
    def name(self) -> str:
        """What the ledger calls it; unique across machines."""
        return self.path.name


@dataclass(slots=True)
class Taken:
    """What was copied out of the spools, ready for DuckDB."""

    events: Path
    points: Path
    offsets: dict[str, int] = field(default_factory=dict)
    #: Spool -> the row of the events file at which its own begin.
    first_rows: list[tuple[str, int]] = field(default_factory=list)
    n_events: int = 0
    n_points: int = 0
    longest: int = 0
    refused: list[str] = field(default_factory=list)


@contextlib.contextmanager
def survey(place: Place) -> Iterator[list[Spool]]:
    """Look at every spool, holding the locks of those whose writer is gone."""
    found: list[Spool] = []
    try:
        for path in place.spools():
            # The lock first: whoever is gone when it is taken cannot write behind the size.
            seal = try_lock(path)
            try:
                status = path.stat()
            except FileNotFoundError:
                if seal is not None:
                    os.close(seal)
                continue
            found.append(Spool(path, status.st_size, status.st_mtime, seal))
        yield found
    finally:
        for spool in found:
            if spool.seal is not None:
                os.close(spool.seal)


def take(
    place: Place, spools: list[Spool], offsets: Mapping[str, int], *, carefully: bool
) -> Taken:
    """Copy what is new into two files, logged values and all other events.

    Parameters
    ----------
    place : Place
        The files go to its scratch folder.
    spools : list of Spool
        What `survey` found.
    offsets : mapping of str to int
        How far each spool is in the journal already, in bytes.
    carefully : bool
        Whether each line is parsed here: lines that are no events go into quarantine, and the
        others are written so that DuckDB reads them. Slow; for spools that DuckDB refused.

    Raises
    ------
    JournalError
        If a spool cannot be read, or the scratch folder cannot be written.
    """
    taken = Taken(place.scratch / "events.jsonl", place.scratch / "points.jsonl")
    try:
        place.scratch.mkdir(parents=True, exist_ok=True)
        with taken.events.open("wb") as event_file, taken.points.open("wb") as point_file:
            for spool in spools:
                before = taken.n_events
                _Slice(place, spool, taken, carefully=carefully).copy(
                    offsets.get(spool.name, 0), event_file, point_file
                )
                if taken.n_events > before:
                    taken.first_rows.append((spool.name, before))
    except OSError as error:
        raise cannot("copy the spools to", place.scratch, error) from error
    return taken


class _Slice:
    """The way of one spool's new bytes into the two files."""

    def __init__(self, place: Place, spool: Spool, taken: Taken, *, carefully: bool) -> None:
        self.place = place
        self.spool = spool
        self.taken = taken
        self.carefully = carefully

    def copy(self, start: int, event_file: BinaryIO, point_file: BinaryIO) -> None:
        position = start
        for block in self._blocks(start):
            lines = block.split(b"\n")
            lines.pop()  # what is behind the last newline
            if self.carefully:
                lines = self._sound_lines(lines, position)
            else:
                lines = [line for line in lines if line]
            position += len(block)
            points = [line for line in lines if line.startswith(events.POINT)]
            if len(points) < len(lines):
                others = [line for line in lines if not line.startswith(events.POINT)]
                event_file.write(b"\n".join(others) + b"\n")
                self.taken.n_events += len(others)
                self.taken.longest = max(self.taken.longest, *map(len, others), 0)
            if points:
                point_file.write(b"\n".join(points) + b"\n")
                self.taken.n_points += len(points)
        self.taken.offsets[self.spool.name] = position

    def _blocks(self, start: int) -> Iterator[bytes]:
        """Yield the new bytes in blocks of whole lines."""
        if start >= self.spool.size:
            return
        rest = b""
        try:
            file = self.spool.path.open("rb")
        except OSError as error:
            raise cannot("read", self.spool.path, error) from error
        with file:
            file.seek(start)
            left = self.spool.size - start
            while left > 0 and (read := file.read(min(left, _BLOCK_BYTES))):
                left -= len(read)
                end = read.rfind(b"\n") + 1
                if end:
                    yield rest + read[:end]
                    rest = read[end:]
                else:
                    rest += read
        if rest and self.spool.seal is not None:
            yield from self._torn_end(rest)

    def _torn_end(self, rest: bytes) -> Iterator[bytes]:
        """Take the last line of a writer that was killed, if only its newline is missing."""
        if events.sound(rest) is not None:
            yield rest + b"\n"
            return
        position = self.spool.size - len(rest)
        self._refuse(rest, position, "its writer was killed while it wrote this line")

    def _sound_lines(self, lines: list[bytes], position: int) -> list[bytes]:
        kept = []
        for line in lines:
            if line.strip():
                readable = events.sound(line)
                if readable is None:
                    self._refuse(line, position, "no event of this release")
                else:
                    kept.append(readable)
            position += len(line) + 1
        return kept

    def _refuse(self, line: bytes, position: int, why: str) -> None:
        # One file a line, named by its place: doing it again after a kill changes nothing.
        aside = self.place.quarantine / f"{self.spool.path.stem}-{position}.txt"
        self.place.quarantine.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(line)
        message = f"{self.spool.name}, byte {position}: {why}; kept in {aside}"
        if message not in self.taken.refused:
            self.taken.refused.append(message)


def sweep(place: Place) -> None:
    """Remove what kills left: slices, and spools that never got their name."""
    for path in (place.scratch / "events.jsonl", place.scratch / "points.jsonl"):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    oldest = time.time() - _STALE_S
    with contextlib.suppress(OSError), os.scandir(place.spool) as entries:
        for entry in entries:
            if entry.name.endswith(".new") and entry.stat().st_mtime < oldest:
                os.unlink(entry.path)  # noqa: PTH108  # the entry has a path, not a Path


def discard(spools: list[Spool]) -> None:
    """Delete spools that are wholly in the journal and whose writer is gone.

    Raises
    ------
    JournalError
        If the folder does not permit it.
    """
    for spool in spools:
        try:
            spool.path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot("remove", spool.path, error) from error
