"""The plugin of a process that runs experiments: gate, identity, decision, run, record.

The gates come first. Then the run's identity is decided, before its fixtures where their content is
known already, else after them and before the test function's body.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import pytest
from _pytest.outcomes import Failed, Skipped, XFailed  # typed, unlike pytest.fail.Exception
from _pytest.skipping import evaluate_xfail_marks

from pytest_kepler.gate import valid_waivers
from pytest_kepler.harness.contents import Unreadable, is_project
from pytest_kepler.harness.items import Locations, place_of, setup_state, short_message
from pytest_kepler.harness.producers import Outcome, passed
from pytest_kepler.harness.selection import WAYS_OUT
from pytest_kepler.harness.tracker import make_experiment
from pytest_kepler.harness.workbench import seed_of
from pytest_kepler.reports.wording import age, metric_text
from pytest_kepler.spool import new_id
from pytest_kepler.tracking.seeding import seed_everything

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from pytest_kepler.harness.gatekeeper import Gatekeeper
    from pytest_kepler.harness.items import Location
    from pytest_kepler.harness.producers import Producers
    from pytest_kepler.harness.tracker import FitGate
    from pytest_kepler.harness.turns import Verdict
    from pytest_kepler.harness.workbench import Workbench
    from pytest_kepler.identity.fingerprint import Print
    from pytest_kepler.identity.parts import Identity
    from pytest_kepler.records import Artifact, ExperimentSpec, Run, Status
    from pytest_kepler.tracking.experiment import Experiment

STATE = pytest.StashKey["RunState"]()
#: Attributes of an assertion error that was raised in a fixture: the fixture's name, and whether
#: it was reported as an error before.
_FIXTURE = "__kepler_fixture__"
_IS_SHOWN = "__kepler_is_shown__"

#: What stands before the names of our properties in JUnit's file.
_JUNIT = "kepler."
#: How pytest-timeout ends a test, by `pytest.fail`.
_TIMEOUT = "Timeout (>"

DecisionKind = Literal["run", "blocked", "skip", "replay", "refuse"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done with an item, and why."""

    kind: DecisionKind
    reason: str = ""
    earlier: Run | None = None


@dataclass(slots=True)
class RunState:
    """One item on its way: from the decision to the end of its run."""

    spec: ExperimentSpec
    run_id: str = field(default_factory=new_id)
    #: What other experiments saved for this one, by the names in its ``uses``.
    uses: Mapping[str, Artifact] = field(default_factory=dict)
    decision: Decision | None = None
    identity: Identity | None = None
    run: Run | None = None
    experiment: Experiment | None = None
    prints: Mapping[str, Print | Unreadable] = field(default_factory=dict)
    behind: list[str] = field(default_factory=list)
    blocked_by: str = ""
    #: Fixtures that were reached by ``getfixturevalue``.
    dynamic: list[str] = field(default_factory=list)
    is_seeded: bool = False
    #: While the body runs the reports are those of subtests.
    is_in_body: bool = False
    #: The status and message of the first subtest that failed.
    subtest: tuple[Status, str] | None = None
    status: Status | None = None
    message: str = ""
    seconds: float = 0.0


class Duplicate(Skipped):
    """Ends a test whose run the journal has, after its fixtures and before its body."""

    __module__ = "builtins"  # as pytest's own: what people see is the message


class Replay(Failed):
    """Ends a test whose earlier run failed, with the message of then."""

    __module__ = "builtins"


class ExpectedReplay(XFailed):
    """Likewise where a failure is expected: our exception is not to be weighed by ``raises``."""

    __module__ = "builtins"


class Protocol:
    """The hooks of one process.

    Parameters
    ----------
    bench : Workbench
    fit_gate : FitGate
        What `experiment.fit` goes through.
    keeper : Gatekeeper
        Tells whether a gate passed, and runs it if nobody has.
    producers : Producers
        Likewise for the experiments whose artefacts are used.
    """

    def __init__(
        self, bench: Workbench, fit_gate: FitGate, keeper: Gatekeeper, producers: Producers
    ) -> None:
        self.bench = bench
        self.fit_gate = fit_gate
        self.keeper = keeper
        self.producers = producers
        self.selection = bench.selection
        self._locations = Locations()

    # An item's turn

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Settle what stands before an experiment, let it run, and close its record."""
        del nextitem
        spec = self.selection.specs.get(item)
        if spec is None or self.producers.is_settled(item):
            return (yield)
        state = item.stash[STATE] = RunState(spec)
        state.decision = self._before_fixtures(item, state)
        try:
            return (yield)
        except BaseException:  # Ctrl-C, or pytest.exit
            state.status = "interrupted"
            raise
        finally:
            state = item.stash[STATE]
            self._close(item, state)
            if item in self.producers:
                self.producers.note(item, self._outcome(state))
            del item.stash[STATE]

    @pytest.hookimpl(tryfirst=True, specname="pytest_runtest_protocol")
    def pytest_kepler_settled(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Stand in for pytest's own protocol where nothing has to run."""
        state = item.stash.get(STATE, None)
        if state is None or state.decision is None or state.decision.kind == "run":
            return None
        self._report_without_running(item, state, state.decision, nextitem)
        return True

    # The decision

    def _before_fixtures(self, item: pytest.Item, state: RunState) -> Decision | None:
        blockers = list(self.selection.unseen.get(item, ()))
        for gate in self.selection.gates_of.get(item, ()):
            verdict = self.keeper.verdict(gate, item)
            if not verdict.passed:
                blockers.append(f"{gate.nodeid} {_ended(verdict)}")
        if blockers:
            if self.bench.settings.gate == "block":
                return Decision("blocked", "; ".join(blockers))
            state.behind = blockers
        if unusable := self.selection.unusable.get(item):
            return Decision("blocked", unusable)
        state.uses, missing = self.producers.settle(item)
        if missing:
            return Decision("blocked", "; ".join(missing))
        prints = self.bench.contents.if_known(item)
        if prints is None:
            return None
        return self.decide(item, state, prints)

    def decide(
        self, item: pytest.Item, state: RunState, prints: Mapping[str, Print | Unreadable]
    ) -> Decision:
        """Return what is done with an item whose fixtures have these contents."""
        others = self.keeper.other_data(item, prints)
        if others and self.bench.settings.gate == "block":
            return Decision("blocked", "; ".join(others))
        state.behind += others
        state.prints = prints
        state.identity = self.bench.identity(item, state.spec, prints, state.uses)
        unreadable = [one for one in prints.values() if isinstance(one, Unreadable)]
        mode = self.bench.settings.duplicates
        earlier = None if unreadable or state.behind else self._counts(item, state)
        if mode == "require" and earlier is None:
            return Decision(
                "refuse",
                "the journal has no run of this identity, and --kepler-duplicates=require "
                f"trains nothing ({self.bench.why_new(item, state.identity)})",
            )
        if earlier is None or mode == "run":
            return Decision("run", self._why(item, state, unreadable))
        if mode == "fail":
            text = f"duplicate of run {earlier.short_id} ({age(earlier.started_at)})"
            return Decision("refuse", f"{text}, and --kepler-duplicates=fail forbids it", earlier)
        kind: DecisionKind = "skip" if earlier.status == "passed" else "replay"
        return Decision(kind, _story(earlier), earlier)

    def _counts(self, item: pytest.Item, state: RunState) -> Run | None:
        """Return the earlier run that this one would repeat, if it can stand for it."""
        if state.identity is None:
            return None
        run = self.bench.earlier(state.identity.identity)
        if run is None or run.unsound or run.spec.get("behind"):
            return None
        waived = run.spec.get("waive")
        if waived and not set(waived) <= valid_waivers(state.spec.waive):
            return None
        if self.bench.files_changed(run) or self.producers.lost(item, run):
            return None
        if run.status == "passed":
            return run
        replayed = run.status in ("failed", "xfailed")
        return run if replayed and not self.bench.environment_changes(run) else None

    def _why(self, item: pytest.Item, state: RunState, unreadable: list[Unreadable]) -> str:
        if unreadable:
            named = "; ".join(f"fixture {one.fixture!r}: {one.reason}" for one in unreadable)
            return f"always run, because its data cannot be told: {named}"
        if self.bench.settings.duplicates == "run":
            return "asked for by --kepler-duplicates=run"
        if state.behind:
            return "run behind a failed gate"
        if state.identity is None:
            return ""
        earlier = self.bench.earlier(state.identity.identity)
        return self._why_no_ground(item, earlier) or self.bench.why_new(item, state.identity)

    def _why_no_ground(self, item: pytest.Item, earlier: Run | None) -> str:
        """Say why an earlier run of the same identity does not stand for this one, if it tells."""
        if earlier is None:
            return ""
        run = f"run {earlier.short_id}"
        reason = ""
        if earlier.unsound:
            reason = f"{run} is no ground to skip: {earlier.unsound}"
        elif earlier.spec.get("behind"):
            reason = f"{run} was trained behind a failed gate"
        elif files := self.bench.files_changed(earlier):
            reason = f"file changed since {run} ({', '.join(files)})"
        elif lost := self.producers.lost(item, earlier):
            reason = f"the artefact {lost!r} of {run} is gone, and another experiment uses it"
        elif earlier.status == "passed":
            reason = f"{run} was trained under a waiver that no longer holds"
        elif earlier.status in ("failed", "xfailed"):
            changes = self.bench.environment_changes(earlier)
            reason = f"environment changed since {run} ({', '.join(changes)})" if changes else ""
        return reason

    # Nothing runs: the reports are ours

    def _report_without_running(
        self,
        item: pytest.Item,
        state: RunState,
        decision: Decision,
        nextitem: pytest.Item | None,
    ) -> None:
        ihook = item.ihook
        location = self._locations.of(item)
        ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=location)
        for report in self._reports(item, state, decision, location):
            ihook.pytest_runtest_logreport(report=report)
        setup_state(item).teardown_exact(nextitem)
        ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=location)

    def _reports(
        self, item: pytest.Item, state: RunState, decision: Decision, location: Location
    ) -> list[pytest.TestReport]:
        payload = self._payload(state, decision)
        _tell_junit(item, state)
        keywords: dict[str, Any] = dict.fromkeys(item.keywords, 1)

        def make(when: Any, outcome: Any, longrepr: Any = None) -> pytest.TestReport:
            return pytest.TestReport(
                nodeid=item.nodeid,
                location=location,
                keywords=keywords,
                outcome=outcome,
                longrepr=longrepr,
                when=when,
                user_properties=list(item.user_properties),
                _kepler=payload,
            )

        self._record_decision(item, state, decision)
        place = place_of(item, location)
        if decision.kind == "blocked":
            return [
                make("setup", "skipped", (*place, f"Skipped: blocked: {decision.reason}")),
                make("teardown", "passed"),
            ]
        if decision.kind == "skip":
            reason = "Skipped: duplicate: same code, data and parameters already ran"
            return [make("setup", "skipped", (*place, reason)), make("teardown", "passed")]
        expected = _expected_failure(item, decision.earlier) if decision.kind == "replay" else None
        if expected is not None:
            call = make("call", "skipped", (*place, decision.reason))
            call.wasxfail = expected
        else:
            call = make("call", "failed", self._failure_text(item, decision))
        return [make("setup", "passed"), call, make("teardown", "passed")]

    def _record_decision(self, item: pytest.Item, state: RunState, decision: Decision) -> None:
        """Spool a run that is over as it begins."""
        if decision.kind == "refuse":
            return
        earlier = decision.earlier
        if earlier is not None:
            message = decision.reason if decision.kind == "replay" else ""
            self.bench.write_duplicate(item, state.spec, state.run_id, earlier, message)
            state.run = earlier
            return
        state.run = self.bench.write_run(
            item,
            state.spec,
            state.run_id,
            state.identity,
            status="blocked",
            seconds=0.0,
            message=decision.reason,
        )

    @staticmethod
    def _failure_text(item: pytest.Item, decision: Decision) -> str:
        if decision.kind == "refuse" or decision.earlier is None:
            return decision.reason
        again = f"pytest --kepler-duplicates=run {item.nodeid!r}"
        return f"{decision.reason}\n{decision.earlier.message}\nTo run it anew: {again}"

    @staticmethod
    def _payload(state: RunState, decision: Decision | None) -> dict[str, str | None]:
        """Return what the process that reports is told of a run, under xdist over the wire."""
        status = state.status
        if decision is not None and decision.kind in ("skip", "replay"):
            status = "duplicate"
        if state.blocked_by or (decision is not None and decision.kind == "blocked"):
            status = "blocked"
        return {
            "status": status,
            "reason": state.blocked_by or (decision.reason if decision else ""),
            "run": state.run_id,
        }

    # The run

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, Any, Any]:
        """Seed before an experiment's own fixtures, and tell whose assertion failed."""
        __tracebackhide__ = True  # the failure is the fixture's
        item = request._pyfuncitem if fixturedef.scope == "function" else None  # noqa: SLF001
        state = item.stash.get(STATE, None) if item is not None else None
        if state is not None and not state.is_seeded:
            state.is_seeded = True
            seed_everything(seed_of(item))
        try:
            return (yield)
        except (AssertionError, pytest.fail.Exception) as error:
            if is_project(fixturedef):
                # On the error itself: pytest keeps that of a shared fixture and raises it again.
                vars(error).setdefault(_FIXTURE, fixturedef.argname)
            raise

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_post_finalizer(self, fixturedef: Any) -> None:
        """Look a last time at shared data before it goes: whether a run changed it in place."""
        if fixturedef.scope != "function":
            self.bench.note_changes(self.bench.contents.verify_last(fixturedef))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: Any) -> Generator[None, object, object]:
        """Decide, now that the fixtures are there; then begin the run."""
        if pyfuncitem.stash.get(STATE, None) is None:
            return (yield)
        state = self._begin(pyfuncitem, pyfuncitem.stash[STATE])
        state.is_in_body = True
        try:
            return (yield)
        finally:
            state.is_in_body = False

    def _begin(self, pyfuncitem: Any, state: RunState) -> RunState:
        if state.run is not None:  # a rerun: an execution of its own
            state = self._again(pyfuncitem, state)
        decision = state.decision
        if decision is None:
            prints = self.bench.contents.of(pyfuncitem)
            decision = state.decision = self.decide(pyfuncitem, state, prints)
        if decision.kind != "run":
            self._record_decision(pyfuncitem, state, decision)
            if decision.kind == "blocked":
                state.blocked_by = decision.reason
                raise Duplicate(f"blocked: {decision.reason}", _use_item_location=True)
            if decision.kind == "skip":
                reason = "duplicate: same code, data and parameters already ran"
                raise Duplicate(reason, _use_item_location=True)
            expected = _expected_failure(pyfuncitem, decision.earlier)
            if decision.kind == "replay" and expected is not None:
                raise ExpectedReplay(expected)
            raise Replay(self._failure_text(pyfuncitem, decision), pytrace=False)
        state.run = self.bench.write_run(
            pyfuncitem,
            state.spec,
            state.run_id,
            state.identity,
            behind=state.behind,
            why_new=decision.reason,
        )
        self.bench.write_datasets(state.prints)
        self.bench.write_uses(state.run_id, state.uses)
        seed_everything(seed_of(pyfuncitem))
        self.bench.opened.start()
        return state

    def _again(self, item: pytest.Item, state: RunState) -> RunState:
        self._close(item, state)
        fresh = item.stash[STATE] = RunState(
            state.spec, decision=state.decision, behind=state.behind, prints=state.prints
        )
        fresh.identity, fresh.uses = state.identity, state.uses
        if state.experiment is not None:
            fresh.run_id = state.experiment.id
            fresh.experiment = state.experiment
        return fresh

    def experiment_of(self, item: Any) -> Experiment:
        """Return the object behind the `experiment` fixture of a test."""
        state = item.stash[STATE]
        if state.run is not None:  # the set-up of a rerun comes before its call
            self._close(item, state)
            identity, uses = state.identity, state.uses
            state = item.stash[STATE] = RunState(
                state.spec, decision=state.decision, behind=state.behind, prints=state.prints
            )
            state.identity, state.uses = identity, uses
        experiment = make_experiment(self.bench, self.fit_gate, item, state)
        state.experiment = experiment
        return experiment

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Turn what pytest saw of an experiment into the status of its run."""
        state = item.stash.get(STATE, None)
        if state is not None and call.when == "teardown":
            _tell_junit(item, state)
        report = yield
        if state is None:
            return report
        error = call.excinfo.value if call.excinfo is not None else None
        if state.is_in_body:
            if report.failed and state.subtest is None:
                state.subtest = _status(report, error), short_message(report)
            return report
        if call.when == "setup" and error is not None:
            self._setup_failed(item, state, report, error)
        elif call.when == "call":
            self._call_ended(item, state, report, call)
        elif call.when == "teardown" and report.failed and state.run is not None:
            state.status = "error"
        if report.failed and state.status is not None:
            state.message = short_message(report)
        elif state.blocked_by:
            state.message = state.blocked_by
        report._kepler = self._payload(state, state.decision)  # type: ignore[attr-defined]  # noqa: SLF001
        return report

    def _call_ended(
        self,
        item: pytest.Item,
        state: RunState,
        report: pytest.TestReport,
        call: pytest.CallInfo[None],
    ) -> None:
        error = call.excinfo.value if call.excinfo is not None else None
        opened = self.bench.opened.stop()
        state.dynamic = _dynamic_fixtures(item)  # the request is gone when the run is closed
        if state.blocked_by:
            _make_blocked(item, report, state.blocked_by)
            state.status = "blocked"
            return
        if isinstance(error, Replay | ExpectedReplay | Duplicate):
            return
        state.status = _status(report, error)
        state.seconds = call.duration
        if state.status == "passed" and state.subtest is not None:
            state.status, state.message = state.subtest
        self.bench.write_files_read(state.run_id, opened)
        changes = self.bench.contents.verify(item, state.run_id, call.duration)
        self.bench.note_changes(changes)
        self.keeper.forget(change.fixture for change in changes if change.is_news)

    def _setup_failed(
        self, item: pytest.Item, state: RunState, report: pytest.TestReport, error: BaseException
    ) -> None:
        fixture = vars(error).get(_FIXTURE)
        if fixture is None:
            state.status = "error" if report.failed else "skipped"
            if report.skipped and isinstance(report.longrepr, tuple):
                state.message = report.longrepr[2].removeprefix("Skipped: ")
            return
        text = str(error).strip().splitlines()
        state.blocked_by = f"fixture {fixture!r}: {text[0] if text else 'assertion failed'}"
        state.status = "blocked"
        if vars(error).get(_IS_SHOWN):
            _make_blocked(item, report, state.blocked_by)
        vars(error)[_IS_SHOWN] = True

    def _close(self, item: pytest.Item, state: RunState) -> None:
        """Write how a run ended, if it began."""
        decision = state.decision
        if decision is not None and decision.kind in ("blocked", "skip", "replay", "refuse"):
            return
        if state.run is None:
            if state.status in ("error", "blocked", "interrupted", "skipped"):
                self.bench.write_run(
                    item,
                    state.spec,
                    state.run_id,
                    state.identity,
                    status=state.status,
                    seconds=0.0,
                    message=state.message,
                )
            return
        status = state.status or "interrupted"
        if state.experiment is not None:
            state.experiment.close(passed=status == "passed")
        self.bench.write(
            {
                "e": "end",
                "run": state.run_id,
                "at": time.time(),
                "status": status,
                "seconds": round(state.seconds, 6),
                "message": state.message,
            }
        )
        if item.config.getoption("trace", default=False):
            self.bench.write_unsound([state.run_id], "it ran under --trace")
        elif state.dynamic:
            names = ", ".join(state.dynamic)
            reason = (
                f"it reached {names} by getfixturevalue, which nobody can follow: "
                "an argument of the test's would be"
            )
            self.bench.write_unsound([state.run_id], reason)
        elif status == "passed" and not state.behind:
            metrics = dict(state.experiment.metrics) if state.experiment is not None else {}
            saved = state.experiment.saved.values() if state.experiment is not None else ()
            self.bench.remember(
                replace(state.run, status="passed", seconds=state.seconds, metrics=metrics), saved
            )

    def _outcome(self, state: RunState) -> Outcome:
        """Return what those are told that use the experiment."""
        decision = state.decision
        if decision is not None and decision.kind == "skip" and decision.earlier is not None:
            earlier = decision.earlier
            return passed(earlier.metrics, self.bench.artifacts_of(earlier))
        if decision is not None and decision.kind in ("replay", "refuse"):
            return Outcome("failed", decision.reason)
        if state.blocked_by or (decision is not None and decision.kind == "blocked"):
            return Outcome("blocked", state.blocked_by or (decision.reason if decision else ""))
        if state.status == "passed" and state.experiment is not None:
            return passed(state.experiment.metrics, state.experiment.saved.values())
        return Outcome(state.status or "interrupted", state.message)


def _expected_failure(item: pytest.Item, earlier: Run | None) -> str | None:
    """Return the reason why a run that failed by an assertion is expected to, or None."""
    found = None if item.config.option.runxfail else evaluate_xfail_marks(item)
    if found is None:
        return None
    was_expected = earlier is not None and earlier.status == "xfailed"
    raises = found.raises
    if raises is None:
        covers = True
    elif isinstance(raises, type | tuple):
        covers = issubclass(AssertionError, raises)
    else:
        covers = raises.matches(AssertionError())
    return found.reason if was_expected or covers else None


def _make_blocked(item: pytest.Item, report: pytest.TestReport, reason: str) -> None:
    report.outcome = "skipped"
    report.longrepr = (*place_of(item, item.location), f"Skipped: blocked: {reason}")
    report.__dict__.pop("wasxfail", None)


def _tell_junit(item: pytest.Item, state: RunState) -> None:
    """Let JUnit's file say which run a test was, and what it logged."""
    if not item.config.getoption("xmlpath", default=None):
        return
    decision = state.decision
    earlier = decision.earlier if decision is not None else None
    told: dict[str, object] = {"run_id": state.run_id}
    if earlier is not None:
        told["duplicate_of"] = earlier.run_id
    metrics = state.experiment.metrics if state.experiment is not None else {}
    numbers = earlier.metrics if earlier is not None else metrics
    told |= {f"metric.{name}": value for name, value in numbers.items()}
    others = [pair for pair in item.user_properties if not pair[0].startswith(_JUNIT)]
    item.user_properties[:] = [*others, *((_JUNIT + name, one) for name, one in told.items())]


def _status(report: pytest.TestReport, error: BaseException | None) -> Status:
    if hasattr(report, "wasxfail"):
        return "xfailed" if report.skipped else "passed"
    if report.passed:
        return "passed"
    if report.skipped:
        return "skipped"
    asserted = error is None or isinstance(error, AssertionError | pytest.fail.Exception)
    if asserted and str(error).startswith(_TIMEOUT):
        return "error"  # it says nothing of the model, and another limit may do
    return "failed" if asserted else "error"


def _ended(verdict: Verdict) -> str:
    if verdict.status == "skipped":
        because = f" ({verdict.message})" if verdict.message else ""
        return f"was skipped{because}, and {WAYS_OUT}"
    if verdict.status == "crashed":
        return "crashed"
    return "failed"


def _story(run: Run) -> str:
    metric = run.spec.get("metric")
    value = run.metrics.get(metric) if isinstance(metric, str) else None
    told = f", {metric} {metric_text(value)}" if value is not None else ""
    return f"duplicate of {run.status} run {run.short_id} ({age(run.started_at)}{told})"


def _dynamic_fixtures(item: Any) -> list[str]:
    request = getattr(item, "_request", None)
    active = getattr(request, "_fixture_defs", {})
    return sorted(
        name
        for name, definition in active.items()
        if name not in item.fixturenames and is_project(definition)
    )
