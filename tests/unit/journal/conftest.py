from __future__ import annotations

import itertools
import time
from pathlib import Path  # noqa: TC003  # the scripts that are killed import this file
from typing import Any

import pytest

from pytest_kepler.journal import Journal
from pytest_kepler.spool import Spool, new_id

START = 1_760_000_000.0


class Writer:
    """A process that works: what it does is in its spool."""

    _clock = itertools.count()

    def __init__(self, folder: Path, session: str | None = None) -> None:
        self.session = session or new_id()
        self.spool = Spool(folder, self.session)

    def begin(self, **more: Any) -> Writer:
        event = {"e": "session", "session": self.session, "at": START, "project": "p"}
        self.spool.write({**event, "commit": "c0ffee", "dirty": True, "args": ["-q"], **more})
        return self

    def run(self, **more: Any) -> str:
        """Start a run and return its id; with a status it is over at once."""
        event = {
            "e": "run",
            "run": new_id(),
            "session": self.session,
            "project": "p",
            "experiment": "t.py::test_svm",
            "node": "t.py::test_svm[1]",
            "at": START + next(self._clock),
            "seed": 0,
            "params": {},
            "code": "code-1",
            "spec": {"metric": "accuracy", "goal": "max"},
        }
        event.update(more)
        self.spool.write(event)
        return str(event["run"])

    def end(self, run: str, status: str = "passed", **more: Any) -> None:
        event = {"e": "end", "run": run, "at": time.time(), "status": status, "seconds": 2.5}
        self.spool.write({**event, "message": "", **more})

    def whole_run(self, metrics: dict[str, float] | None = None, **more: Any) -> str:
        run = self.run(**more)
        for name, value in (metrics or {}).items():
            self.spool.metric(run, name, value, None)
        self.end(run)
        return run

    def close(self) -> None:
        self.spool.close()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / ".kepler" / "journal.duckdb")


@pytest.fixture
def writer(journal: Journal):
    writer = Writer(journal.folder).begin()
    yield writer
    writer.close()


@pytest.fixture
def new_writer(journal: Journal):
    writers = []

    def make(session: str | None = None) -> Writer:
        writers.append(Writer(journal.folder, session))
        return writers[-1]

    yield make
    for writer in writers:
        writer.close()
