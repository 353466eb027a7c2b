"""Runs gates, each once a session, and tells their verdicts.

A verdict that comes from elsewhere, from another worker or out of the journal, stands only for the
same content. That of a worker is compared with what the experiment's own fixtures gave; for that of
an earlier session the gate's fixtures are set up, where they are not known yet.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol

from pytest_kepler.harness.items import Reporter, place_of, setup_state, short_message
from pytest_kepler.harness.turns import Turns, Verdict
from pytest_kepler.identity.fingerprint import Print
from pytest_kepler.reports.wording import age, duration

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from pathlib import Path

    from pytest_kepler.harness.contents import Prints, Unreadable
    from pytest_kepler.harness.workbench import Workbench
    from pytest_kepler.journal import PassedGate

#: What is done with a gate in its turn: told by another worker, or out of the journal.
_SETTLED = pytest.StashKey["Verdict | _Stored"]()
#: The gate's fixtures are set up for a look at their content, and its body is not run.
_LOOKED_AT = pytest.StashKey["list[Prints]"]()


@dataclass(frozen=True, slots=True)
class _Stored:
    """The verdict of an earlier session, and what this one would have run the gate on."""

    gate: PassedGate
    content: dict[str, str]


class Gatekeeper:
    """The gates of one process.

    Parameters
    ----------
    bench : Workbench
    turns_folder : Path or None
        Where xdist workers share verdicts.
    """

    def __init__(self, bench: Workbench, turns_folder: Path | None) -> None:
        self.bench = bench
        self.turns: Turns[Verdict] = Turns(turns_folder, Verdict)
        self._is_nested = False
        self._reporter = Reporter()
        self._outcomes: dict[str, list[pytest.TestReport]] = {}
        self._prints_of: dict[str, Prints] = {}
        self._elsewhere: set[str] = set()
        self._forgotten: set[str] = set()
        self._files: dict[str, dict[str, str]] = {}

    def verdict(self, gate: pytest.Item, item: pytest.Item) -> Verdict:
        """Return a gate's verdict, running it now, before `item`, if nobody has."""
        known = self.turns.verdicts.get(gate.nodeid)
        if known is not None:
            return known
        with self.turns.turn(gate.nodeid) as told:
            settled = self._settled(gate, item, told)
            if settled is None:
                self._run_now(gate, item)
            elif isinstance(settled, _Stored):
                self._report_stored(gate, settled, item)
        return self.turns.verdicts[gate.nodeid]

    def forget(self, fixtures: Iterable[str]) -> None:
        """Take back the verdicts on shared data that was changed in place since."""
        for name in fixtures:
            for node_id, gate in self.bench.selection.gates.items():
                if name in gate.fixturenames:  # type: ignore[attr-defined]
                    self.turns.verdicts.pop(node_id, None)
                    self._forgotten.add(node_id)
                    self._elsewhere.discard(node_id)

    def _settled(
        self, gate: pytest.Item, nextitem: pytest.Item | None, told: Verdict | None
    ) -> Verdict | _Stored | None:
        """Return the verdict that comes from elsewhere, or None: the gate is to run.

        Another worker's is compared with the experiments' own fixtures once they are set up.
        """
        if told is not None and gate.nodeid not in self._forgotten:
            self._elsewhere.add(gate.nodeid)
            return told
        if not self.bench.has_passed_gate(gate.nodeid):
            return None
        prints = self.bench.contents.if_known(gate)
        if prints is None and self.bench.is_slow_gate(gate.nodeid):
            prints = self._prints(gate, nextitem)
        if prints is None:
            return None
        passed = self.bench.passed_gate(gate, prints)
        return _Stored(passed, self.bench.gate_content(gate, prints)) if passed else None

    def other_data(self, item: pytest.Item, prints: Mapping[str, Print | Unreadable]) -> list[str]:
        """Say which of an item's gates passed, in another worker, on other data than it has."""
        found = []
        for gate in self.bench.selection.gates_of.get(item, ()):
            if gate.nodeid not in self._elsewhere:
                continue
            content = self.turns.verdicts[gate.nodeid].content
            for name, hash_ in content.items():
                one = prints.get(name)
                if isinstance(one, Print) and one.hash != hash_:
                    found.append(
                        f"{gate.nodeid} passed in another worker, where the fixture {name!r} gave "
                        "other data: give it the same in every process, with a fixed seed"
                    )
        return found

    # In its turn, or before an experiment that needs it

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Run a gate that has its turn, unless its verdict is known."""
        if item.nodeid not in self.bench.selection.gates or self._is_nested:
            return (yield)
        with self.turns.turn(item.nodeid) as told:
            settled = self._settled(item, nextitem, told)
            if settled is None:
                started = time.perf_counter()
                result = yield
                self._settle(item, time.perf_counter() - started)
                return result
            item.stash[_SETTLED] = settled
            try:
                return (yield)
            finally:
                del item.stash[_SETTLED]

    @pytest.hookimpl(tryfirst=True, specname="pytest_runtest_protocol")
    def pytest_kepler_gate_is_settled(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        """Stand in for pytest's own protocol where a gate need not run."""
        settled = item.stash.get(_SETTLED, None)
        if settled is None:
            return None
        if isinstance(settled, Verdict):  # it was reported where it ran
            setup_state(item).teardown_exact(nextitem)
        else:
            self._report_stored(item, settled, nextitem)
        return True

    def _run_now(self, gate: pytest.Item, item: pytest.Item) -> None:
        started = time.perf_counter()
        with self._nested(gate, item):
            setup_state(item).teardown_exact(gate)
            gate.ihook.pytest_runtest_protocol(item=gate, nextitem=item)
        self._settle(gate, time.perf_counter() - started)

    @contextlib.contextmanager
    def _nested(self, gate: pytest.Item, item: pytest.Item) -> Generator[None, None, None]:
        """Let a gate run within the protocol of the experiment that needs it."""
        self._is_nested = True
        try:
            with self._reporter.reporting(gate, item):
                yield
        finally:
            self._is_nested = False

    # What it rests on

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: Any) -> bool | None:
        """Note what a gate is about to be run on; run no body where only that is asked."""
        if pyfuncitem.nodeid not in self.bench.selection.gates:
            return None
        prints = self.bench.contents.of(pyfuncitem)
        looked_at = pyfuncitem.stash.get(_LOOKED_AT, None)
        if looked_at is not None:
            looked_at.append(prints)
            return True
        self._prints_of[pyfuncitem.nodeid] = prints
        self.bench.opened.start()
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Note which files a gate's body was seen to open; its subtests are over by now."""
        if item.nodeid in self._prints_of:
            self._files[item.nodeid] = self.bench.files_of(self.bench.opened.stop())

    def _prints(self, gate: pytest.Item, nextitem: pytest.Item | None) -> Prints | None:
        """Return the content that a gate would be run on, setting its fixtures up to see it.

        None if that fails: then the gate is run, which says how.
        """
        prints = self.bench.contents.if_known(gate)
        if prints is not None:
            return prints
        found = gate.stash[_LOOKED_AT] = []
        nested = self._nested(gate, nextitem) if nextitem is not None else contextlib.nullcontext()
        try:
            with nested:
                setup_state(gate).teardown_exact(gate)
                runtestprotocol(gate, nextitem=nextitem, log=False)
        finally:
            del gate.stash[_LOOKED_AT]
            gate._report_sections.clear()  # noqa: SLF001  # what was printed is printed again
        return found[0] if found else None

    # Verdicts of earlier sessions

    def _report_stored(
        self, gate: pytest.Item, stored: _Stored, nextitem: pytest.Item | None
    ) -> None:
        passed = stored.gate
        self.turns.verdicts[gate.nodeid] = Verdict(
            "passed", seconds=passed.seconds, content=stored.content
        )
        reason = (
            f"sanity test passed {age(passed.checked_at)} on the same code and data, "
            f"which took {duration(passed.seconds)}"
        )
        self._write(gate, "reused", passed.seconds, f"passed {age(passed.checked_at)}")
        told = {"status": "reused", "reason": reason, "run": ""}

        def make(when: Any, outcome: Any, longrepr: Any = None) -> pytest.TestReport:
            return pytest.TestReport(
                nodeid=gate.nodeid,
                location=gate.location,
                keywords=dict.fromkeys(gate.keywords, 1),
                outcome=outcome,
                longrepr=longrepr,
                when=when,
                user_properties=list(gate.user_properties),
                _kepler=told,
            )

        nested = self._nested(gate, nextitem) if nextitem is not None else contextlib.nullcontext()
        with nested:
            gate.ihook.pytest_runtest_logstart(nodeid=gate.nodeid, location=gate.location)
            skipped = make(
                "setup", "skipped", (*place_of(gate, gate.location), f"Skipped: {reason}")
            )
            gate.ihook.pytest_runtest_logreport(report=skipped)
            gate.ihook.pytest_runtest_logreport(report=make("teardown", "passed"))
            setup_state(gate).teardown_exact(nextitem)
            gate.ihook.pytest_runtest_logfinish(nodeid=gate.nodeid, location=gate.location)

    # Verdicts of this one

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember the reports of gates; a report that is to be rerun is not final."""
        if report.nodeid in self.bench.selection.gates and report.outcome != "rerun":  # type: ignore[comparison-overlap]
            self._outcomes.setdefault(report.nodeid, []).append(report)

    def _settle(self, gate: pytest.Item, seconds: float) -> None:
        prints = self._prints_of.pop(gate.nodeid, None)
        files = self._files.pop(gate.nodeid, {})
        content = self.bench.gate_content(gate, prints) if prints is not None else {}
        reports = self._outcomes.pop(gate.nodeid, [])
        judged = _judged(reports)
        verdict = replace(judged, seconds=seconds, content=content)
        self.turns.verdicts[gate.nodeid] = verdict
        about: dict[str, Any] = {}
        if prints is not None and (identity := self.bench.gate_identity(gate, prints)):
            about = {"identity": identity, "facts": files}
            about["environment"] = self.bench.write_environment()
            about["call_seconds"] = sum(one.duration for one in reports if one.when == "call")
        self._write(gate, verdict.status, seconds, verdict.message, **about)

    def _write(
        self, gate: pytest.Item, status: str, seconds: float, message: str, **about: Any
    ) -> None:
        self.bench.write(
            {
                "e": "gate",
                "session": self.bench.session_id,
                "node": gate.nodeid,
                "status": status,
                "seconds": seconds,
                "message": message,
                "at": time.time(),
                **about,
            }
        )


def _judged(reports: list[pytest.TestReport]) -> Verdict:
    """Return the verdict of a gate: passed only if everything about it passed."""
    if not reports:
        return Verdict("error", "it did not run")
    for report in reports:
        if report.failed:
            message = short_message(report)
            return Verdict("failed", message.splitlines()[0] if message else "")
    for report in reports:
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            return Verdict("skipped", reason.removeprefix("Skipped: "))
        if report.skipped and not _xfail_reason(report):
            return Verdict("failed", "it is expected to fail, without a reason")
    return Verdict("passed")


def _xfail_reason(report: pytest.TestReport) -> str:
    """Return the reason of an expected failure, without what pytest puts before it."""
    reason = str(getattr(report, "wasxfail", ""))
    for prefix in ("[NOTRUN]", "reason:"):
        reason = reason.strip().removeprefix(prefix)
    return reason.strip()
