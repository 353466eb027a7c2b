from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_kepler.records import ExperimentSpec
from pytest_kepler.tracking.context import RunContext
from pytest_kepler.tracking.experiment import Experiment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RUN = "0123456789abcdef0123"


@dataclass
class ListSpool:
    """Collects what a spool would write."""

    events: list[dict[str, Any]] = field(default_factory=list)
    points: list[tuple[str, float, int | None]] = field(default_factory=list)

    def write(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    def metric(self, run: str, name: str, value: float, step: int | None) -> None:
        assert run == RUN
        self.points.append((name, value, step))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["e"] == kind]

    @property
    def facts(self) -> dict[str, Any]:
        return {name: value for event in self.of("fact") for name, value in event["facts"].items()}

    def curve(self, name: str) -> list[tuple[int | None, float]]:
        return [(step, value) for logged, value, step in self.points if logged == name]


def fingerprint(value: object) -> str:
    """Tell apart what the tests tell apart; a stream has no content."""
    if isinstance(value, tuple):
        return "-".join(fingerprint(item) for item in value)
    if isinstance(value, np.ndarray):
        return hashlib.sha256(value.tobytes()).hexdigest()[:8]
    if isinstance(value, str) or value is None:
        return str(value)
    if hasattr(value, "fit"):
        return "model"
    msg = f"{type(value).__name__} has no content that can be read"
    raise TypeError(msg)


@pytest.fixture
def spool() -> ListSpool:
    return ListSpool()


@pytest.fixture
def make_experiment(spool: ListSpool, tmp_path: Path) -> Callable[..., Experiment]:
    def make(**changes: Any) -> Experiment:
        settings: dict[str, Any] = {
            "spool": spool,
            "run_id": RUN,
            "session_id": "5e55",
            "params": {"C": 1},
            "spec": ExperimentSpec(),
            "seed": 0,
            "folder": tmp_path / ".kepler",
            "gate": lambda *_given: None,
            "fingerprint": fingerprint,
        }
        return Experiment(RunContext(**(settings | changes)))

    return make


@pytest.fixture
def experiment(make_experiment: Callable[..., Experiment]) -> Experiment:
    return make_experiment()
