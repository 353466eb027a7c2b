"""What an experiment stands on: the run that it belongs to, and where its events go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pytest_kepler.records import EMPTY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pytest_kepler.adapters.fits import EvaluationView
    from pytest_kepler.records import Artifact, ExperimentSpec, Finding
    from pytest_kepler.tracking.checkpoints import Curve


class Blocked(Exception):  # noqa: N818  # an outcome that the harness reports, not a mistake
    """A check found an error before the first step: nothing is trained.

    Attributes
    ----------
    findings : sequence of Finding
        What blocks, errors only.
    """

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__(message)
        self.findings = tuple(findings)


class FindingsError(AssertionError):
    """Checks found errors after the first step: the run has failed.

    Attributes
    ----------
    findings : sequence of Finding
        What is wrong, errors only.
    """

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__(message)
        self.findings = tuple(findings)


class TrainingError(FindingsError):
    """The curves of a training show an error."""


class EvaluationError(FindingsError):
    """What was evaluated gives no result on new data.

    Its rows were fitted on or chosen by, or do not belong to their target.
    """


class EventSink(Protocol):
    """The part of a spool that tracking writes to."""

    def write(self, event: dict[str, Any], /) -> None:
        """Append one event."""
        ...

    def metric(self, run: str, name: str, value: float, step: int | None, /) -> None:
        """Append one logged value."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is.

    Attributes
    ----------
    done : int
        Epochs that are over.
    total : int or None
        Epochs that were asked for.
    metrics : mapping of str to float
        The last epoch's numbers, ``epoch_seconds`` among them.
    """

    done: int
    total: int | None
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RunContext:
    """One run, as the harness hands it to its `experiment` fixture.

    Attributes
    ----------
    spool : EventSink
        Takes the events.
    run_id, session_id : str
        Ids of this run and its session.
    params : mapping of str to object
        The values that parametrize gave.
    spec : ExperimentSpec
        What the marker says.
    seed : int
        The parameter ``seed``, else 0.
    folder : Path
        The ``.kepler`` folder: artefacts, run folders and checkpoints lie in it.
    gate : callable
        ``gate(model, X, y, fit_kwargs)`` checks them, and raises `Blocked`.
    fingerprint : callable
        Content hash of a value; `TypeError` where it has none.
    identity : callable
        Returns the run's identity; empty while it is not decided.
    earlier_curves : callable
        Returns the logged values of some earlier runs by their ids, for a run that goes on from
        them.
    project : str
        Name of the project.
    rows : bool
        Whether findings may show rows of data outside the terminal.
    smoke : bool
        Whether only a few rows and steps are to be trained.
    uses : mapping of str to Artifact
        What other experiments saved for this one, by the names in the mark's ``uses``.
    progress : callable, optional
        Told after each epoch.
    is_hopeless : callable
        Tells of an epoch's numbers whether the training should end.
    judge_curves : callable
        ``judge_curves(history, y)`` checks the curves of a training, and raises `TrainingError`.
    judge_rows : callable
        ``judge_rows(X, y)`` checks that what is to be evaluated belongs to its target, and raises
        `EvaluationError`.
    judge_evaluation : callable
        Checks what is evaluated beside what was fitted, and raises `EvaluationError`.
    """

    spool: EventSink
    run_id: str
    session_id: str
    params: Mapping[str, Any]
    spec: ExperimentSpec
    seed: int
    folder: Path
    gate: Callable[[Any, Any, Any, Mapping[str, Any]], None]
    fingerprint: Callable[[object], str]
    identity: Callable[[], str] = str
    earlier_curves: Callable[[Sequence[str]], Sequence[Mapping[str, Curve]]] = lambda _runs: ()
    project: str = ""
    rows: bool = False
    smoke: bool = False
    uses: Mapping[str, Artifact] = EMPTY
    progress: Callable[[Progress], None] | None = None
    is_hopeless: Callable[[Mapping[str, float]], bool] = lambda _values: False
    judge_curves: Callable[[Mapping[str, Sequence[float]], Any], None] = lambda _history, _y: None
    judge_rows: Callable[[Any, Any], None] = lambda _X, _y: None
    judge_evaluation: Callable[[EvaluationView], None] = lambda _view: None
