"""Runs experiments that others use, each once a session, and hands their artefacts on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kepler.harness.items import Reporter, setup_state
from pytest_kepler.harness.turns import Turns
from pytest_kepler.harness.uses import configuration_of, producers_of
from pytest_kepler.records import Artifact

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence
    from pathlib import Path

    from pytest_kepler.harness.uses import Use
    from pytest_kepler.harness.workbench import Workbench
    from pytest_kepler.records import ExperimentSpec, Run

#: A producer that another process ran, or that was run before one that needs it.
_SETTLED = pytest.StashKey[bool]()
_USUAL = "model"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an experiment ended that others use.

    Attributes
    ----------
    status, message : str
        ``passed``, or what kept it from passing.
    metrics : mapping of str to float
        The last value of each metric.
    saved : list of dict
        The artefacts, as they travel between processes.
    """

    status: str
    message: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    saved: Sequence[dict[str, Any]] = ()

    @property
    def artifacts(self) -> dict[str, Artifact]:
        """What the run saved, by name."""
        return {one["name"]: Artifact(**one) for one in self.saved}


def passed(metrics: Mapping[str, float], artifacts: Iterable[Artifact]) -> Outcome:
    """Return the outcome of an experiment that passed, now or earlier."""
    return Outcome("passed", "", dict(metrics), [asdict(one) for one in artifacts])


class Producers:
    """The producers of one process.

    Parameters
    ----------
    bench : Workbench
    turns_folder : Path or None
        Where xdist workers share outcomes.
    """

    def __init__(self, bench: Workbench, turns_folder: Path | None) -> None:
        self.bench = bench
        self._uses_of = bench.selection.uses_of
        self._turns: Turns[Outcome] = Turns(turns_folder, Outcome)
        self._reporter = Reporter()
        self._running: set[str] = set()
        self._ids = {one.nodeid for uses in self._uses_of.values() for one in producers_of(uses)}

    def __contains__(self, item: pytest.Item) -> bool:
        """Tell whether an experiment is used by another."""
        return item.nodeid in self._ids

    # What a user gets

    def settle(self, item: pytest.Item) -> tuple[dict[str, Artifact], list[str]]:
        """Return the artefacts that an experiment uses, and sentences for those it cannot get.

        Producers that did not have their turn are run now, before the item.
        """
        found: dict[str, Artifact] = {}
        missing: list[str] = []
        for use in self._uses_of.get(item, ()):
            outcomes = {one: self._outcome(one, item) for one in use.producers}
            artifact = choose(use, outcomes, self.bench.selection.specs[use.producers[0]])
            if isinstance(artifact, Artifact):
                found[use.alias] = artifact
            else:
                missing.append(artifact)
        return found, missing

    def known(
        self, item: pytest.Item, outcomes: Mapping[pytest.Item, Outcome]
    ) -> dict[str, Artifact]:
        """Return the artefacts that an experiment would use, of producers that are not run."""
        found = {
            use.alias: choose(use, outcomes, self.bench.selection.specs[use.producers[0]])
            for use in self._uses_of.get(item, ())
        }
        return {alias: one for alias, one in found.items() if isinstance(one, Artifact)}

    def lost(self, item: pytest.Item, run: Run) -> str:
        """Name an artefact of an earlier run that another experiment needs and that is gone."""
        if item not in self:
            return ""
        return next(
            (one.name for one in self.bench.artifacts_of(run) if not self.bench.has(one)), ""
        )

    def _outcome(self, producer: pytest.Item, item: pytest.Item) -> Outcome:
        known = self._turns.verdicts.get(producer.nodeid)
        if known is not None:
            return known
        with self._turns.turn(producer.nodeid) as told:
            if told is None:
                self._run_now(producer, item)
        return self._turns.verdicts[producer.nodeid]

    def _run_now(self, producer: pytest.Item, item: pytest.Item) -> None:
        self._running.add(producer.nodeid)
        try:
            with self._reporter.reporting(producer, item):
                setup_state(item).teardown_exact(producer)
                producer.ihook.pytest_runtest_protocol(item=producer, nextitem=item)
        finally:
            self._running.discard(producer.nodeid)

    # A producer's turn

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Run a producer that has its turn, unless it was run for one that uses it."""
        del nextitem
        if item not in self or item.nodeid in self._running:
            return (yield)
        with self._turns.turn(item.nodeid) as told:
            if told is None:
                return (yield)
            item.stash[_SETTLED] = True
            try:
                return (yield)
            finally:
                del item.stash[_SETTLED]

    @pytest.hookimpl(tryfirst=True, specname="pytest_runtest_protocol")
    def pytest_kepler_producer_is_settled(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        """Stand in for pytest's own protocol: it was reported where it ran."""
        if not self.is_settled(item):
            return None
        setup_state(item).teardown_exact(nextitem)
        return True

    @staticmethod
    def is_settled(item: pytest.Item) -> bool:
        """Tell whether an item's turn comes after it was run for another."""
        return item.stash.get(_SETTLED, False)

    def note(self, item: pytest.Item, outcome: Outcome) -> None:
        """Take down how a producer ended."""
        if item in self:
            self._turns.verdicts[item.nodeid] = outcome


def choose(
    use: Use, outcomes: Mapping[pytest.Item, Outcome], spec: ExperimentSpec
) -> Artifact | str:
    """Return the artefact that a use means, or say why there is none.

    Of several configurations the best counts, by the mean of the headline metric over the
    replicates; one of which a replicate did not pass is left out. Of its replicates the first
    gives the artefact.
    """
    configurations: dict[str, list[pytest.Item]] = {}
    for item in use.producers:
        configurations.setdefault(repr(configuration_of(item, spec)), []).append(item)
    whole = [
        cases
        for cases in configurations.values()
        if all(outcomes[one].status == "passed" for one in cases)
    ]
    if not whole:
        item, outcome = next((i, o) for i, o in outcomes.items() if o.status != "passed")
        message = f" ({outcome.message.splitlines()[0]})" if outcome.message else ""
        ended = {"failed": "failed", "blocked": "was blocked", "crashed": "crashed"}
        how = ended.get(outcome.status, f"ended with {outcome.status}")
        return f"it uses {use.alias!r} of {item.nodeid}, which {how}{message}"
    best = (
        whole[0] if len(whole) == 1 else max(whole, key=lambda cases: _merit(cases, outcomes, spec))
    )
    return _artifact(use, best[0], outcomes[best[0]].artifacts)


def _merit(
    cases: Sequence[pytest.Item], outcomes: Mapping[pytest.Item, Outcome], spec: ExperimentSpec
) -> float:
    """Return the mean of the headline metric, signed so that more is better; NaN is worst."""
    values = [outcomes[one].metrics.get(spec.metric or "") for one in cases]
    numbers = [value for value in values if value is not None and value == value]  # noqa: PLR0124
    if len(numbers) < len(values):
        return -float("inf")
    mean = sum(numbers) / len(numbers)
    return -mean if spec.goal_for(spec.metric or "") == "min" else mean


def _artifact(use: Use, producer: pytest.Item, saved: Mapping[str, Artifact]) -> Artifact | str:
    name = use.artifact or (_USUAL if _USUAL in saved or len(saved) != 1 else next(iter(saved)))
    if name in saved:
        return saved[name]
    there = f"it saved {', '.join(sorted(saved))}" if saved else "it saved nothing"
    plain = producer.nodeid.partition("[")[0]
    example = (
        f'uses={{{use.alias!r}: ("{plain.rpartition("::")[2]}", {min(saved)!r})}}' if saved else ""
    )
    way = f": write {example}" if example else ": add experiment.save(…) to it"
    return f"it uses {use.alias!r} of {producer.nodeid}, which saved no {name!r} ({there}){way}"
