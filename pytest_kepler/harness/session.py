"""Wires the stages of a session in which experiments were collected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kepler.errors import KeplerUsageError
from pytest_kepler.harness.concluding import require_comparable
from pytest_kepler.harness.contents import is_project
from pytest_kepler.harness.controller import Controller
from pytest_kepler.harness.gatekeeper import Gatekeeper
from pytest_kepler.harness.gates import is_experiment
from pytest_kepler.harness.markers import refuse_misplaced
from pytest_kepler.harness.producers import Producers
from pytest_kepler.harness.protocol import Protocol
from pytest_kepler.harness.selection import Selector, leave_out_unnamed
from pytest_kepler.harness.settings import read_settings, setting
from pytest_kepler.harness.stash import CAPTURED, EXPLAINER, SESSION
from pytest_kepler.harness.tables import unmatched_tables
from pytest_kepler.harness.tracker import FitGate, finding_event
from pytest_kepler.harness.workbench import Workbench
from pytest_kepler.identity.collector import collector_paused
from pytest_kepler.spool import new_id

if TYPE_CHECKING:
    from pytest_kepler.harness.explaining import Explainer
    from pytest_kepler.records import Finding
    from pytest_kepler.tracking.experiment import Experiment


class SessionPlugin:
    """What a process of the session keeps hold of until it ends."""

    def __init__(self, bench: Workbench, protocol: Protocol | Explainer) -> None:
        self.bench = bench
        self.protocol = protocol

    def experiment_of(self, item: Any) -> Experiment:
        """Return the object behind the `experiment` fixture of a test."""
        return self.protocol.experiment_of(item)

    def record_finding(self, finding: Finding) -> None:
        """Spool what a sanity test found."""
        self.bench.write(finding_event(finding, self.bench.session_id, None))


def begin(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take over a finished collection that has experiments or claims in it.

    Raises
    ------
    pytest.UsageError
        If a mark, a setting or a need is wrong; under xdist the controller raises it.
    """
    worker = getattr(config, "workerinput", None)
    has_experiments = any(is_experiment(item) for item in items)
    try:
        refuse_misplaced(items, has_experiments=has_experiments)
        if has_experiments:
            with collector_paused():
                _begin(session, config, items, worker)
    except KeplerUsageError as error:
        if worker is None:
            raise pytest.UsageError(str(error)) from None
        # Raised in a worker it would look like a crash: the controller says it.
        items[:] = []
        config.workeroutput["kepler_usage"] = str(error)  # type: ignore[attr-defined]


def _begin(
    session: pytest.Session,
    config: pytest.Config,
    items: list[pytest.Item],
    worker: dict[str, Any] | None,
) -> None:
    left_out = 0
    explicit = setting(config, "experiments") == "explicit"
    if explicit and not config.getoption("kepler_run"):
        left_out = leave_out_unnamed(config, items)
    controller: Controller | None = None
    if worker is None:
        controller = config.pluginmanager.get_plugin("kepler-controller") or Controller(config)
        if not config.pluginmanager.is_registered(controller):
            config.pluginmanager.register(controller, "kepler-controller")
        controller.n_left_out = left_out
    if not any(is_experiment(item) for item in items):
        return
    settings = read_settings(config)
    selection = Selector(session, config.stash[CAPTURED], is_project).select(items)
    require_comparable(settings, selection, config.rootpath)
    if config.option.collectonly or _only_planned(config):
        if controller is not None:
            controller.show_gates(selection)
        return
    shared = worker["kepler"] if worker is not None else {}
    session_id = shared.get("session") or (controller.session_id if controller else new_id())
    bench = Workbench(config, settings, selection, session_id)
    bench.notices += unmatched_tables(config.rootpath, config.stash[CAPTURED])
    bench.open()
    explainer = config.stash.get(EXPLAINER, None)
    if explainer is not None:
        keeper, producers = Gatekeeper(bench, None), Producers(bench, None)
        explainer.take(bench, Protocol(bench, FitGate(bench), keeper, producers))
        config.stash[SESSION] = SessionPlugin(bench, explainer)
        return
    turns = Path(shared["turns"]) if shared else None
    keeper = Gatekeeper(bench, turns)
    producers = Producers(bench, turns)
    protocol = Protocol(bench, FitGate(bench), keeper, producers)
    config.stash[SESSION] = SessionPlugin(bench, protocol)
    config.pluginmanager.register(keeper, "kepler-gatekeeper")
    config.pluginmanager.register(protocol, "kepler-protocol")
    if selection.uses_of:
        config.pluginmanager.register(producers, "kepler-producers")
    if controller is not None:
        controller.take(bench)
    else:
        config.pluginmanager.register(_WorkerEnd(bench), "kepler-worker")


def _only_planned(config: pytest.Config) -> bool:
    names = ("setupplan", "setuponly", "showfixtures", "show_fixtures_per_test")
    return any(config.getoption(name, default=False) for name in names)


class _WorkerEnd:
    """Hands a worker's last words to the controller."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Release the spool before the controller takes it into the journal."""
        self.bench.close()
        session.config.workeroutput["kepler"] = {  # type: ignore[attr-defined]
            "notices": self.bench.notices,
            "troubles": self.bench.troubles(),
            "is_whole": self.bench.selection.is_whole,
        }
