"""What others wait for is run once a session, by whoever needs it first: gates and producers.

In one process a dictionary is enough. Under xdist the workers share a folder with a lock file a
test, which the kernel releases when a worker dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a gate ended: ``passed``, ``failed``, ``skipped``, ``error`` or ``crashed``.

    ``content`` has the fingerprints of the shared fixtures that it was run on, by their names.
    """

    status: str
    message: str = ""
    seconds: float = 0.0
    content: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether experiments may train behind it."""
        return self.status == "passed"


#: What is told of a test that ran: a dataclass whose first fields are a status and a message.
_Told = TypeVar("_Told")


class Turns(Generic[_Told]):
    """What became of tests that run once a session, whoever needs them first.

    Parameters
    ----------
    folder : Path or None
        Shared by the workers of one session; None where there is one process only.
    kind : type
        Of what is told: a dataclass of plain values.
    """

    def __init__(self, folder: Path | None, kind: Callable[..., _Told]) -> None:
        self.folder = folder
        self.kind = kind
        self.verdicts: dict[str, _Told] = {}

    @contextlib.contextmanager
    def turn(self, node_id: str) -> Iterator[_Told | None]:
        """Wait for the turn to run a test: None means that it is ours, within the block.

        Another process that is running it is waited for.
        """
        known = self.verdicts.get(node_id)
        if known is not None or self.folder is None:
            yield known
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        base = self.folder / hashlib.sha256(node_id.encode()).hexdigest()[:24]
        descriptor = os.open(base.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            verdict = self._stored(base)
            if verdict is None:
                base.with_suffix(".started").touch()
            else:
                self.verdicts[node_id] = verdict
            yield verdict
            if verdict is None and node_id in self.verdicts:
                _store(base, self.verdicts[node_id])
        finally:
            os.close(descriptor)

    def _stored(self, base: Path) -> _Told | None:
        """Return what another worker left, if it ran the test."""
        try:
            return self.kind(**json.loads(base.with_suffix(".verdict").read_text("utf-8")))
        except FileNotFoundError:
            if base.with_suffix(".started").exists():
                return self.kind("crashed", "the worker that ran it died")
            return None


def _store(base: Path, verdict: Any) -> None:
    draft = base.with_suffix(".draft")
    draft.write_text(json.dumps(asdict(verdict)), "utf-8")
    draft.rename(base.with_suffix(".verdict"))
