"""The recorder of one training: curves to metrics and history, facts to the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_kepler.tracking.context import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

History = dict[str, list[float]]


class Recorder:
    """Writes what an adapter sees, with the phase before each name.

    Parameters
    ----------
    log : callable
        ``log(name, value, step)`` writes one metric.
    describe : callable
        Writes facts.
    begin : callable
        Told of the new history when a training begins.
    phase : str
        Empty, or what stands before each name with a ``/``.
    watcher : callable, optional
        Told of each epoch.
    is_hopeless : callable, optional
        Tells of an epoch's numbers whether the training should end.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what it writes to, and whom it asks
        self,
        log: Callable[[str, float, int | None], None],
        describe: Callable[[Mapping[str, Any]], None],
        begin: Callable[[History], None],
        phase: str = "",
        watcher: Callable[[Progress], None] | None = None,
        is_hopeless: Callable[[Mapping[str, float]], bool] | None = None,
    ) -> None:
        self._log = log
        self._describe = describe
        self._begin = begin
        self._prefix = f"{phase}/" if phase else ""
        self._watcher = watcher
        self._is_hopeless = is_hopeless
        self.history: History = {}

    def start(self) -> None:
        """Begin a new history; that of an earlier training stays with whoever holds it."""
        self.history = {}
        self._begin(self.history)

    def curve(self, values: Mapping[str, float], step: int) -> None:
        """Log each value at `step` and append it to its curve."""
        for name, value in values.items():
            self._log(self._prefix + name, value, step)
            self.history.setdefault(name, []).append(value)

    def is_hopeless(self, values: Mapping[str, float]) -> bool:
        """Tell whether a training with such numbers should end."""
        return self._is_hopeless is not None and self._is_hopeless(values)

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Record facts, with the phase before each name."""
        self._describe({self._prefix + name: value for name, value in facts.items()})

    def progress(self, done: int, total: int | None, values: Mapping[str, float]) -> None:
        """Tell the watcher, if there is one."""
        if self._watcher is not None:
            self._watcher(Progress(done, total, values))
