"""A journal for a team: a folder of immutable session files, from which each journal is built.

What a process spools is kept a second time, by a hard link in the ``outbox``, until its session is
over and published: one compressed file, written whole, synced, and renamed into place. Everybody
takes in the files that are new to them the way that spools are taken in. No file is ever written
twice, nothing is locked on the share, and any journal can be thrown away and built anew.

The share has ``sessions/DAY/NAME.jsonl.gz``, the day in UTC on which it was published, and
``artifacts/ab/SHA256.SUFFIX``.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import json
import os
import secrets
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_kepler.errors import JournalError
from pytest_kepler.journal import connect
from pytest_kepler.journal.ingest import ingest
from pytest_kepler.journal.lock import is_abandoned
from pytest_kepler.journal.merging import is_inside, merge
from pytest_kepler.journal.place import Place, cannot
from pytest_kepler.journal.purging import SHOWN_DIGITS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

_OUTBOX: Final = "outbox"  # as the spool names it
_SESSIONS: Final = "sessions"
_SUFFIX: Final = ".jsonl.gz"
#: Hexadecimal digits of the content's hash in a file's name.
_DIGITS: Final = 12
#: Of a session's id, with which its files begin.
_ID_DIGITS: Final = 20
#: Clocks differ, and what was killed is published later: so many days are looked through again.
_OVERLAP: Final = timedelta(days=2)
#: Seconds after which a share that does not answer is left alone.
_PATIENCE: Final = 10.0
_PAUSE: Final = 0.05


@dataclass(slots=True)
class Synced:
    """What a look at the share came to.

    Attributes
    ----------
    n_published, n_taken : int
        Session files that were brought there, and those that were taken in.
    troubles : list of str
        Sentences about what could not be done; it is tried again the next time.
    """

    n_published: int = 0
    n_taken: int = 0
    troubles: list[str] = field(default_factory=list)


# Whether a journal is shared


def share_of(place: Place) -> Path | None:
    """Return the folder that a journal is shared by, or None."""
    try:
        return Path(_note(place).read_text(encoding="utf-8"))
    except OSError:
        return None


def begin(place: Place, share: Path | None) -> None:
    """Keep for the share what is spooled from now on; with None, keep nothing any more.

    Raises
    ------
    JournalError
        If the journal's folder cannot be written.
    """
    outbox = place.folder / _OUTBOX
    if share is None:
        if outbox.is_dir():
            _note(place).unlink(missing_ok=True)
            shutil.rmtree(outbox, ignore_errors=True)
        return
    if share_of(place) == share and outbox.is_dir():
        return
    place.make_folder()
    try:
        outbox.mkdir(exist_ok=True)
        _note(place).write_text(str(share), encoding="utf-8")
    except OSError as error:
        raise cannot("write", place.folder, error) from error


def keep(place: Place, spool: Path) -> None:
    """Keep a spool for the share that no process of pytest's wrote, if the journal is shared."""
    with contextlib.suppress(OSError):
        (place.folder / _OUTBOX / spool.name).hardlink_to(spool)


def _note(place: Place) -> Path:
    return place.folder / "share"


# There and back


def sync(place: Place, share: Path) -> Synced:
    """Publish the sessions that are over, and take in what others published.

    Whatever cannot be done is said in `Synced.troubles`, and left for the next time.
    """
    result = Synced()
    trouble = unreachable(share)
    if trouble:
        result.troubles.append(trouble)
        return result
    try:
        result.n_published = _publish(place, share)
        _take_in(place, share, result)
    except OSError as error:
        result.troubles.append(f"the share {share} cannot be used: {error.strerror or error}")
    return result


def unreachable(share: Path) -> str:
    """Say that a share does not answer, or return nothing."""
    answer: list[str] = []

    def look() -> None:
        try:
            with os.scandir(share):
                answer.append("")
        except OSError as error:
            answer.append(f"the share {share} cannot be reached: {error.strerror}")

    # A network file system that is gone lets whoever asks wait for ever.
    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    return answer[0] if answer else f"the share {share} does not answer"


def _publish(place: Place, share: Path) -> int:
    """Bring the sessions to the share that nobody writes any more; return how many."""
    published = 0
    with _one_at_a_time(place):
        for name, spools in _groups(place).items():
            if all(is_abandoned(spool) for spool in spools):
                published += _publish_one(place, share, name, spools)
                for spool in spools:
                    spool.unlink(missing_ok=True)
    return published


def _groups(place: Place) -> dict[str, list[Path]]:
    """Return the kept spools of each session, and singly those of no session."""
    groups: dict[str, list[Path]] = {}
    outbox = place.folder / _OUTBOX
    for spool in sorted(outbox.glob("*.jsonl")) if outbox.is_dir() else ():
        first = spool.name.partition("-")[0]
        is_session = len(first) == _ID_DIGITS
        groups.setdefault(first if is_session else spool.stem, []).append(spool)
    return groups


def _publish_one(place: Place, share: Path, name: str, spools: Iterable[Path]) -> int:
    content = b"".join(_whole_lines(spool.read_bytes()) for spool in spools)
    if not content:
        return 0
    for path in _artifacts_in(content):
        _copy(place.folder / path, share / path)
    digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
    day = share / _SESSIONS / datetime.now(UTC).date().isoformat()
    target = day / f"{name}-{digest}{_SUFFIX}"
    if not target.exists():
        _write_whole(target, gzip.compress(content, mtime=0))
    return 1


def _whole_lines(content: bytes) -> bytes:
    """Return a spool without the line that its writer was killed in."""
    return content[: content.rfind(b"\n") + 1]


def _artifacts_in(content: bytes) -> Iterator[str]:
    """Yield the paths of the artefacts that a session names."""
    for line in content.splitlines():
        if line.startswith(b'{"e":"artifact"'):
            yield str(json.loads(line)["path"])


def _copy(source: Path, target: Path) -> None:
    """Copy an artefact unless it is there; one that is gone cannot be shared."""
    if target.exists() or not source.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{secrets.token_hex(8)}.new")
    try:
        shutil.copyfile(source, draft)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _write_whole(target: Path, content: bytes) -> None:
    """Write a file that is complete or not there, also after a loss of power."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{secrets.token_hex(8)}.new")
    try:
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # some network file systems do not sync folders
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


# What others published


def _take_in(place: Place, share: Path, result: Synced) -> None:
    with _one_at_a_time(place):
        seen = _Seen(place, share)
        files = list(seen.new_files())
        if not files:
            return
        ingest(place)  # own sessions are known by what is in the journal
        news, again = _sorted_out(place, files)
        brought = _bring(place, news, result)
        ingest(place)
        brought += _bring_again(place, again, result)
        result.n_taken = len(brought)
        unreadable = {*news, *again} - set(brought)
        seen.keep(file for file in files if file not in unreadable)


def _sorted_out(place: Place, files: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Return the files of unknown sessions, and those of sessions whose end is not known here."""
    with connect.reader(place) as db:
        spools = {name for (name,) in db.execute("SELECT DISTINCT spool FROM ledger").fetchall()}
        sessions = dict(
            db.execute(
                "SELECT session_id, ended_at IS NOT NULL FROM session "
                "LEFT JOIN session_end USING (session_id)"
            ).fetchall()
        )
    news, again = [], []
    for file in files:
        stem = file.name.removesuffix(_SUFFIX)
        if f"{stem}.jsonl" in spools or f"{stem[: -_DIGITS - 1]}.jsonl" in spools:
            continue
        is_ended = sessions.get(stem[:_ID_DIGITS])
        if is_ended is None:
            news.append(file)
        elif not is_ended:
            again.append(file)
    return news, again


def _bring(place: Place, files: Iterable[Path], result: Synced) -> list[Path]:
    """Put published files among the spools; return those that could be read."""
    brought = []
    place.spool.mkdir(parents=True, exist_ok=True)
    for file in files:
        try:
            content = gzip.decompress(file.read_bytes())
        except (EOFError, OSError, ValueError) as error:  # half there, as some copiers leave it
            result.troubles.append(f"{file.name} in the share cannot be read yet: {error}")
            continue
        draft = place.spool / f"{file.name}.new"
        draft.write_bytes(content)
        stamp = file.stat().st_mtime  # when a run without an end was seen for the last time
        os.utime(draft, (stamp, stamp))
        draft.rename(place.spool / f"{file.name.removesuffix(_SUFFIX)}.jsonl")
        brought.append(file)
    return brought


def _bring_again(place: Place, files: list[Path], result: Synced) -> list[Path]:
    """Merge sessions of which the journal knows only the beginning."""
    if not files:
        return []
    with tempfile.TemporaryDirectory(prefix="share-", dir=place.folder) as folder:
        other = Place(Path(folder) / "share.duckdb")
        brought = _bring(other, files, result)
        if brought:
            merge(place, [other])
    return brought


class _Seen:
    """Which published files were looked at, by the days of their publication."""

    def __init__(self, place: Place, share: Path) -> None:
        self._file = place.folder / "share.state"
        self._share = share
        #: The names of the files of the last days, with the day.
        self._names: dict[str, str] = {}
        self._last = date.min
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            state = json.loads(self._file.read_text(encoding="utf-8"))
            if state["share"] == str(share):
                self._names = dict(state["names"])
                self._last = date.fromisoformat(state["day"])

    def new_files(self) -> Iterator[Path]:
        """Yield the files that were not seen before, oldest day first."""
        try:
            days = sorted(os.listdir(self._share / _SESSIONS))  # noqa: PTH208  # names alone
        except FileNotFoundError:
            return
        for day in days:
            if _is_day(day) and date.fromisoformat(day) >= self._first:
                with os.scandir(self._share / _SESSIONS / day) as entries:
                    names = sorted(entry.name for entry in entries)
                for name in names:
                    if name.endswith(_SUFFIX) and name not in self._names and name[0] != ".":
                        yield self._share / _SESSIONS / day / name

    @property
    def _first(self) -> date:
        """The first day that is looked through."""
        return self._last - _OVERLAP if self._last > date.min + _OVERLAP else date.min

    def keep(self, files: Iterable[Path]) -> None:
        """Note what has been dealt with; without the note it is looked at again, and known."""
        self._names |= {file.name: file.parent.name for file in files}
        self._last = max([self._last, *map(date.fromisoformat, self._names.values())])
        first = self._first.isoformat()
        names = {name: day for name, day in self._names.items() if day >= first}
        state = {"share": str(self._share), "day": self._last.isoformat(), "names": names}
        draft = self._file.with_name(self._file.name + ".part")
        with contextlib.suppress(OSError):
            draft.write_text(json.dumps(state), encoding="utf-8")
            draft.replace(self._file)


def _is_day(name: str) -> bool:
    try:
        date.fromisoformat(name)
    except ValueError:
        return False
    return True


@contextlib.contextmanager
def _one_at_a_time(place: Place) -> Iterator[None]:
    """Keep the processes of one folder from doing the same: workers all begin at once."""
    place.make_folder()
    descriptor = os.open(place.folder / "share.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        began = time.monotonic()
        while not _flock(descriptor):
            if time.monotonic() - began > _PATIENCE:
                raise TimeoutError(None, "another process of this journal is at work with it")
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)


def _flock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# Artefacts and secrets


def fetch_artifact(place: Place, path: str) -> bool:
    """Bring an artefact from the share, if the journal has one and the file is there."""
    share = share_of(place)
    target = place.folder / path
    if share is None or not is_inside(target, place.folder):
        return False
    with contextlib.suppress(OSError):
        if not unreachable(share):
            _copy(share / path, target)
    return target.is_file()


def lends(place: Place, path: str) -> bool:
    """Tell whether the share has an artefact that is not here, because nobody asked for it yet."""
    share = share_of(place)
    return share is not None and not unreachable(share) and (share / path).is_file()


def forget(place: Place, run_ids: Collection[str]) -> int:
    """Remove all that names some runs from the share; return how many files were changed.

    A file keeps its name, so that nobody who took it in takes it again: their journals keep the
    runs until they are purged there.

    Raises
    ------
    JournalError
        If the share cannot be reached or written.
    """
    share = share_of(place)
    if share is None:
        return 0
    trouble = unreachable(share)
    if trouble:
        msg = f"Nothing was purged, because {trouble}. Repeat it when it can be reached."
        raise JournalError(msg)
    try:
        _publish(place, share)  # what waits in the outbox goes the same way
        return _rewrite(share, [run_id.encode() for run_id in run_ids])
    except OSError as error:
        raise cannot("purge", share, error) from error


def _rewrite(share: Path, ids: list[bytes]) -> int:
    n_changed = 0
    doomed: set[str] = set()
    kept: set[str] = set()
    for file in sorted((share / _SESSIONS).glob(f"*/*{_SUFFIX}")):
        lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
        stay = [line for line in lines if not _names_any(line, ids)]
        kept.update(_artifacts_in(b"".join(stay)))
        if len(stay) < len(lines):
            doomed.update(_artifacts_in(b"".join(one for one in lines if _names_any(one, ids))))
        stay = [_without_mention(line, ids) for line in stay]
        if stay != lines:
            _write_whole(file, gzip.compress(b"".join(stay), mtime=0))
            n_changed += 1
    for path in doomed - kept:
        (share / path).unlink(missing_ok=True)
    return n_changed


def _without_mention(line: bytes, ids: Iterable[bytes]) -> bytes:
    """Take the short id out of what another run says of its difference from a run."""
    for one in ids:
        line = line.replace(b"run " + one[:SHOWN_DIGITS], b"run (purged)")
    return line


def _names_any(line: bytes, ids: Iterable[bytes]) -> bool:
    return any(one in line for one in ids)
