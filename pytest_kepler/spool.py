"""The spool: one append-only file of JSON lines for each process that works.

Every event is one line, written with one ``write`` to a descriptor opened for appending, so a
process that is killed leaves at most one torn last line. While the process lives it holds an
exclusive ``flock`` on its own spool; whoever can take that lock knows that the writer is gone.

Events (``e`` is the kind; times are seconds since the epoch, UTC; ``run`` and ``session`` are ids):

==============  ==============================================================================
``session``     session, at, project, rootdir, args, host, python, platform, pytest, commit,
                dirty, diff, ci, worker
``session_end`` session, at, exit_status
``environment`` hash, facts
``code``        hash, parts: {qualified name: source}
``run``         run, session, project, experiment, node, at, seed, params, replicates,
                hypothesis, identity, code, data, params_hash, environment, parts, spec,
                why_new, worker; and, for a run that is over as it begins (duplicate, blocked):
                status, seconds, duplicate_of, message
``end``         run, at, status, seconds, message
``m``           r (run), n (name), v (number, or "NaN", "Infinity", "-Infinity"), s (step or
                null), t (time): the hot one, hence the short keys
``eval``        run, prefix, hash
``fact``        run, facts
``note``        note, run or experiment, text, at
``check``       run or null, session, code, name, severity, message, location, measured,
                threshold, fix, waiver, at
``model``       run, name, framework, kind, params, n_weights, hash, config
``dataset``     hash, name, kind, shape, n_bytes
``artifact``    run, name, kind, sha256, n_bytes, path, hash (of the object), at
``gate``        session, node, status, seconds, message, at; and, where its content can be told,
                identity, environment, call_seconds, facts ({file: hash} of what it opened)
``unsound``     run, reason, at: kept and counted, but never a ground to skip
``void``        run, reason, at: never again a ground to skip, never the best
``threshold``   session, experiment, metric, bound, limit, value, status, message, at
``claim``       session, experiment, text, status (the verdict), message, at, facts: definition,
                estimate, low, high, level, n_pairs, look, evidence
``baseline``    name, experiment, metric, value, params, at, facts: goal, replicates,
                n_replicates, runs, commit, data
==============  ==============================================================================
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import secrets
import time
from pathlib import Path
from typing import Any, Final

FOLDER: Final = "spool"
SUFFIX: Final = ".jsonl"
#: Beside the spool's folder where the journal is shared.
OUTBOX: Final = "outbox"

#: Events at which what was logged may be synced.
_ENDS: Final = frozenset({"end", "session_end"})

_HUGE: Final = 1e300
_NOT_FINITE: Final = {math.inf: '"Infinity"', -math.inf: '"-Infinity"'}


def new_id() -> str:
    """Return an id that is unique across machines: 80 random bits as 20 hexadecimal digits."""
    return secrets.token_hex(10)


def _encode_number(value: float) -> str:
    if value != value:  # noqa: PLR0124  # NaN alone differs from itself
        return '"NaN"'
    return _NOT_FINITE.get(value) or repr(value)


def _plain(value: object) -> object:
    """Make what `json` cannot encode readable: the spool never refuses an event."""
    item = getattr(value, "item", None)
    if callable(item):
        with contextlib.suppress(Exception):
            plain = item()
            if type(plain) is not type(value):  # a long double has itself as its item
                return plain
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return repr(value)


_STRICT: Final = json.JSONEncoder(default=_plain, allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    return _finite(_plain(value))


def _tame(event: dict[str, Any]) -> Any:
    try:
        return _finite(event)
    except RecursionError:  # what contains itself has no other form
        return {
            key: value if isinstance(value, str) else repr(value) for key, value in event.items()
        }


def encode(event: dict[str, Any]) -> bytes:
    """Return one event as one line of strict JSON, with NaN and infinities as strings."""
    try:
        text = _STRICT.encode(event)
    except (ValueError, TypeError, RecursionError):
        text = json.dumps(_tame(event), separators=(",", ":"))
    return text.encode("utf-8", "replace") + b"\n"


def make_folder(folder: Path) -> None:
    """Make a folder inside the journal's, and see to it that git ignores all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder.parent / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


class Spool:
    """The spool of this process; it never fails the test that logs.

    Where the folder cannot be made or written, or the disk is full, the events go to a temporary
    folder instead, and ``trouble`` says so in a sentence for the end of the session.

    Parameters
    ----------
    folder : Path
        The journal's folder; the file is made in its ``spool`` folder with the first event.
    label : str
        What the file's name begins with: the session's id and the worker's.
    sync_ends : bool
        Whether the file is forced onto the disk at the end of each run: for a loss of power. A
        process that is killed loses nothing either way.
    """

    def __init__(self, folder: Path, label: str, *, sync_ends: bool = False) -> None:
        self.folder = folder / FOLDER
        self.label = label
        self.trouble = ""
        self.path: Path | None = None
        self._descriptor = -1
        self._pid = 0
        self._quoted: dict[str, str] = {}
        self._sync_ends = sync_ends

    def write(self, event: dict[str, Any]) -> None:
        """Append one event; it is with the operating system when this returns."""
        self._append(encode(event))
        if self._sync_ends and event["e"] in _ENDS:
            self._sync()

    def metric(self, run: str, name: str, value: float, step: int | None) -> None:
        """Append one logged value, without the cost of a JSON encoder.

        Parameters
        ----------
        run, name : str
            The run's id, and the metric's name.
        value : int or float
            NaN and infinities are kept.
        step : int or None
            The step that the value belongs to.
        """
        quoted = self._quoted.get(name) or self._quoted.setdefault(name, json.dumps(name))
        number = repr(value) if -_HUGE < value < _HUGE else _encode_number(value)
        place = "null" if step is None else step
        line = f'{{"e":"m","r":"{run}","n":{quoted},"v":{number},"s":{place},"t":{time.time()}}}\n'
        self._append(line.encode())

    def _append(self, line: bytes) -> None:
        try:
            if self._pid != os.getpid():
                self._open()
            written = os.write(self._descriptor, line)
            while written < len(line):  # the disk took a part; the next write says why
                written += os.write(self._descriptor, line[written:])
        except OSError as error:
            self._fall_back(line, error)

    def _open(self) -> None:
        # A forked child must not write through its parent's descriptor, nor hold its lock.
        make_folder(self.folder)
        name = f"{self.label}-{os.getpid():x}-{secrets.token_hex(3)}"
        path, unlocked = self.folder / f"{name}{SUFFIX}", self.folder / f"{name}.new"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(unlocked, flags, 0o644)
        # Only a locked file gets the name under which others look for spools to take away.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        unlocked.rename(path)
        _keep_for_share(path)
        _close_in_children(descriptor)
        self._descriptor, self._pid, self.path = descriptor, os.getpid(), path

    def _sync(self) -> None:
        """Force the file onto the disk, and that it is there."""
        try:
            os.fsync(self._descriptor)
            folder = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            self.trouble = (
                self.trouble or f"{self.folder} cannot be synced to the disk ({error.strerror})."
            )

    def _fall_back(self, line: bytes, error: OSError) -> None:
        """Go on in a temporary folder, once; without one the events are lost and it is said."""
        import shlex
        import tempfile

        lost = f"{self.folder} cannot be written ({error.strerror})"
        self.close()
        if self.trouble:
            self.trouble = f"{lost}: what was logged since is lost."
            return
        try:
            # One for all processes of the session: its id is in the name, which nobody can guess.
            home = Path(tempfile.gettempdir()) / f"kepler-spool-{self.label.partition('-')[0]}"
            home.mkdir(mode=0o700, exist_ok=True)
            self.folder = home / FOLDER
            self.trouble = (
                f"{lost}: this session's runs are kept in {home}; "
                f"`kepler merge {shlex.quote(str(home))}` brings them into the journal."
            )
            self._append(line)
        except OSError:
            self.trouble = f"{lost}, nor can a temporary folder: this session's runs are lost."

    def close(self) -> None:
        """Release the file; a later event opens a new one."""
        if self._descriptor >= 0 and self._pid == os.getpid():
            os.close(self._descriptor)
            _INHERITED.discard(self._descriptor)
        self._descriptor, self._pid = -1, 0


def _keep_for_share(path: Path) -> None:
    """Give the file a second name in the outbox, if there is one: whoever publishes it removes it.

    Where the file system has no hard links the session is not shared; it is in the journal.
    """
    with contextlib.suppress(OSError):
        (path.parent.parent / OUTBOX / path.name).hardlink_to(path)


_INHERITED: set[int] = set()


def _close_in_children(descriptor: int) -> None:
    """See to it that a fork does not keep the lock of a parent that was killed."""
    if not _INHERITED:
        _register_once()
    _INHERITED.add(descriptor)


def _drop_inherited() -> None:
    for descriptor in _INHERITED:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _INHERITED.clear()


_registered = False


def _register_once() -> None:
    global _registered  # noqa: PLW0603  # os.register_at_fork cannot be undone: once a process
    if not _registered:
        os.register_at_fork(after_in_child=_drop_inherited)
        _registered = True
