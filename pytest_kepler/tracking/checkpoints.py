"""Checkpoints: a folder of a run's identity, from which a run that crashed goes on."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from typing import TYPE_CHECKING, Final

from pytest_kepler.errors import ExperimentError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FOLDER: Final = "checkpoints"

#: Of one metric, (step, value) in the order of logging.
Curve = list[tuple[int | None, float]]
Curves = dict[str, Curve]


class Checkpoint:
    """The folder of one identity, for the length of one run.

    Beside the folder lies a file with the ids of the runs that have worked in it. It is locked
    while one does: a second process with the same identity gets a folder of its own.

    Parameters
    ----------
    home : Path
        The journal's folder.
    identity, run_id : str
        Of the run.

    Attributes
    ----------
    folder : Path
        Where the run keeps what it needs to go on.
    earlier : tuple of str
        The runs that left what is in the folder, oldest first; empty where it is empty.
    is_apart : bool
        Whether another process is at work in the identity's own folder.

    Raises
    ------
    ExperimentError
        If the folder cannot be made.
    """

    def __init__(self, home: Path, identity: str, run_id: str) -> None:
        self._log = home / FOLDER / f"{identity}.json"
        self.folder = home / FOLDER / identity
        self.earlier: tuple[str, ...] = ()
        self._descriptor = -1
        try:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            self.is_apart = not self._lock()
            if self.is_apart:
                self.folder = self.folder.with_name(run_id)
            self.folder.mkdir(exist_ok=True)
            if not self.is_apart:
                self._sign(run_id)
        except OSError as error:
            raise ExperimentError(
                f"experiment.checkpoint cannot make {self.folder}: {error.strerror}."
            ) from error

    def _lock(self) -> bool:
        self._descriptor = os.open(self._log, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            # A record lock: unlike flock's, no child that outlives a killed parent holds it.
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._release()
            return False
        return True

    def _sign(self, run_id: str) -> None:
        if any(self.folder.iterdir()):
            self.earlier = tuple(self._read())
        text = json.dumps([*self.earlier, run_id]).encode()
        # Never shorter than before the write: killed in between, it can still be read.
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))

    def _read(self) -> list[str]:
        with contextlib.suppress(ValueError):
            found = json.loads(self._log.read_text(encoding="utf-8"))
            return [str(one) for one in found]
        return []

    def close(self, *, passed: bool) -> None:
        """Let go of the folder; that of a run that passed is removed."""
        if passed:
            shutil.rmtree(self.folder, ignore_errors=True)
            if not self.is_apart:
                self._log.unlink(missing_ok=True)
        self._release()

    def _release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def joined(curves: Sequence[Mapping[str, Curve]]) -> Curves:
    """Return the curves of runs that went on from each other, as one.

    Parameters
    ----------
    curves : sequence of mapping of str to list of (int or None, float)
        Oldest first. What a later run logged again, from its first step on, replaces the earlier.

    Returns
    -------
    dict of str to list of (int, float)
        The values that have a step.
    """
    whole: Curves = {}
    for part in curves:
        for name, points in part.items():
            stepped = [(step, value) for step, value in points if step is not None]
            if stepped:
                first = stepped[0][0]
                before = [one for one in whole.get(name, []) if one[0] is None or one[0] < first]
                whole[name] = [*before, *stepped]
    return whole
