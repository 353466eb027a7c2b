"""Explains what would be done with an experiment: who guards it, and how it differs from before.

A pytest session in which fixtures are set up where their content is needed, no test's body is run
and nothing is recorded.
"""

from __future__ import annotations

import contextlib
import difflib
import io
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol

from pytest_kepler.errors import KeplerUsageError
from pytest_kepler.harness.contents import Unreadable, is_project
from pytest_kepler.harness.gates import is_experiment
from pytest_kepler.harness.items import short_message
from pytest_kepler.harness.pairing import Pairer, params_of
from pytest_kepler.harness.params import flatten
from pytest_kepler.harness.producers import passed
from pytest_kepler.harness.protocol import STATE, RunState
from pytest_kepler.harness.stash import EXPLAINER
from pytest_kepler.harness.tracker import make_experiment
from pytest_kepler.harness.uses import producers_of
from pytest_kepler.harness.workbench import Silence
from pytest_kepler.identity import parts
from pytest_kepler.records import EMPTY, Difference, Explanation, Guard
from pytest_kepler.reports.wording import age, short

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_kepler.harness.contents import Prints
    from pytest_kepler.harness.producers import Outcome
    from pytest_kepler.harness.protocol import Protocol
    from pytest_kepler.harness.workbench import Workbench
    from pytest_kepler.identity.parts import Identity
    from pytest_kepler.records import Run
    from pytest_kepler.tracking.experiment import Experiment

_CONTEXT_LINES = 2
_VERDICTS = {
    "run": "would run",
    "skip": "would be skipped",
    "replay": "would fail again as it did",
    "refuse": "would be refused",
    "blocked": "would be blocked",
}
_KINDS = {"settings": "fixture", "uses": "artefact"}


def explain(node_ids: Sequence[str], journal: str | None = None) -> list[Explanation]:
    """Explain the experiments that node ids select.

    Parameters
    ----------
    node_ids : sequence of str
        As pytest takes them.
    journal : str, optional
        What ``--kepler-journal`` would be.

    Raises
    ------
    KeplerUsageError
        If pytest finds no experiment there; the sentence has what pytest said.
    """
    explainer = Explainer()
    arguments = [*node_ids, "-p", "no:cacheprovider", "--no-header", "--tb=short"]
    if journal:
        arguments.append(f"--kepler-journal={journal}")
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        pytest.main(arguments, plugins=[explainer])
    if not explainer.found:
        lines = [line for line in said.getvalue().splitlines() if line.startswith(("ERROR", "E "))]
        why = " ".join(lines[:3]) or explainer.nothing
        msg = f"No experiment to explain in {' '.join(node_ids)}: {why or 'pytest found none'}"
        raise KeplerUsageError(msg)
    return explainer.found


class Explainer:
    """The plugin of such a session."""

    def __init__(self) -> None:
        self.found: list[Explanation] = []
        self.nothing = ""
        self._bench: Workbench | None = None
        self._protocol: Protocol | None = None
        self._prints: Prints | None = None
        self._last: dict[str, Any] = {}
        #: Of the experiments that would be skipped; producers come before those who use them.
        self._outcomes: dict[pytest.Item, Outcome] = {}

    def pytest_configure(self, config: pytest.Config) -> None:
        """Ask the session that begins to be explained."""
        config.stash[EXPLAINER] = self

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Say what was found instead of an experiment."""
        if session.items and not any(map(is_experiment, session.items)):
            self.nothing = f"{session.items[0].nodeid} is not marked @pytest.mark.experiment"

    def take(self, bench: Workbench, protocol: Protocol) -> None:
        """Be handed the session's workbench, on which nothing will be recorded."""
        bench.spool = Silence()
        self._bench, self._protocol = bench, protocol
        with contextlib.suppress(Exception):  # a journal in trouble was noted by the workbench
            self._last = bench.journal.last_gates(bench.selection.gates)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Explain an item instead of running it."""
        if self._bench is not None and item in self._bench.selection.specs:
            self.found.append(self._explained(item, nextitem))
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: Any) -> bool:
        """Read the fixtures that are set up, and run no body."""
        assert self._bench is not None  # noqa: S101  # no item is run without it
        self._prints = self._bench.contents.of(pyfuncitem)
        return True

    def experiment_of(self, item: Any) -> Experiment:
        """Return an object for fixtures that use ``experiment``; it records nothing."""
        assert self._bench is not None  # noqa: S101  # as above
        assert self._protocol is not None  # noqa: S101
        return make_experiment(
            self._bench, self._protocol.fit_gate, item, RunState(self._bench.selection.specs[item])
        )

    def _explained(self, item: pytest.Item, nextitem: pytest.Item | None) -> Explanation:
        assert self._bench is not None  # noqa: S101  # as above
        assert self._protocol is not None  # noqa: S101
        guards = tuple(self._guards(item))
        remarks = [f"blocked: {one}" for one in self._bench.selection.unseen.get(item, ())]
        if not guards:
            opted_out = not self._bench.selection.specs[item].gate
            remarks.append("gate=False opts out" if opted_out else "no sanity test guards it")
        remarks += self._bench.troubles()
        prints = self._bench.contents.if_known(item)
        if prints is None:
            prints, failure = self._set_up(item, nextitem)
            if prints is None:
                verdict = f"cannot be told: its fixtures could not be set up ({failure})"
                return Explanation(item.nodeid, verdict, guards, tuple(remarks))
        state = RunState(self._bench.selection.specs[item])
        first = self._producer_that_would_run(item)
        if first:
            verdict = f"cannot be told: it uses {first}, which would run before it"
            return Explanation(item.nodeid, verdict, guards, tuple(remarks))
        state.uses = self._protocol.producers.known(item, self._outcomes)
        decision = self._protocol.decide(item, state, prints)
        if decision.kind == "skip" and decision.earlier is not None:
            earlier = decision.earlier
            self._outcomes[item] = passed(earlier.metrics, self._bench.artifacts_of(earlier))
        verdict = f"{_VERDICTS[decision.kind]}: {decision.reason}"
        identity = state.identity
        if identity is None:
            return Explanation(item.nodeid, verdict, guards, tuple(remarks))
        nearest = decision.earlier or self._bench.nearest(item, identity)
        return Explanation(
            item.nodeid,
            verdict,
            guards,
            tuple(remarks),
            _hashes(identity),
            nearest,
            tuple(self._differences(item, identity, nearest, prints)) if nearest else (),
        )

    def _producer_that_would_run(self, item: pytest.Item) -> str:
        """Name an experiment that this one uses and that the journal does not stand for."""
        uses = self._bench.selection.uses_of.get(item, ())  # type: ignore[union-attr]
        unknown = (one for one in producers_of(uses) if one not in self._outcomes)
        return next((one.nodeid for one in unknown), "")

    def _set_up(self, item: pytest.Item, nextitem: pytest.Item | None) -> tuple[Prints | None, str]:
        self._prints = None
        item.stash[STATE] = RunState(self._bench.selection.specs[item])  # type: ignore[union-attr]
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        messages = [short_message(one) for one in reports if one.failed or one.skipped]
        lines = messages[0].strip().splitlines() if messages else []
        return self._prints, lines[0] if lines else "pytest does not say why"

    def _guards(self, item: pytest.Item) -> Iterator[Guard]:
        assert self._bench is not None  # noqa: S101  # as above
        pairer = Pairer(is_project)
        for gate in self._bench.selection.gates_of.get(item, ()):
            names = list(pairer.subjects(gate))
            because = "named in needs"
            if pairer.guards(gate, item):
                because = f"uses {', '.join(names)}" if names else "stands in the same place"
            status, at = self._last.get(gate.nodeid, ("", None))
            last = f"{status} {age(at)}" if at else "not run yet"
            yield Guard(gate.nodeid, because, last)

    def _differences(
        self, item: Any, identity: Identity, nearest: Run, prints: Prints
    ) -> Iterator[Difference]:
        assert self._bench is not None  # noqa: S101  # as above
        detail = self._bench.journal.run(nearest.run_id)
        now = flatten(params_of(item), self._bench.settings.redact)
        before = detail["run"].params
        for name in dict.fromkeys([*now, *before]):
            if name not in before or name not in now or before[name] != now[name]:
                yield Difference("parameter", name, _shown(before, name), _shown(now, name))
        datasets = {one["data_hash"]: one for one in detail["datasets"]}
        sources = self._bench.code(item).sources
        for kind, name in parts.differences(identity, nearest):
            was = (nearest.parts.get(kind) or {}).get(name, "")
            if kind == "code":
                yield _code_difference(name, detail["code"].get(name, ""), sources.get(name, ""))
            elif kind == "data":
                yield Difference(kind, name, _stored(datasets, was), _described(prints.get(name)))
            else:
                new = identity.parts[kind].get(name, "")
                yield Difference(_KINDS.get(kind, kind), name, short(was), short(new))


def _hashes(identity: Identity) -> Mapping[str, str]:
    return {
        "identity": identity.identity,
        "code": identity.code_hash,
        "params": identity.params_hash,
        "data": identity.data_hash,
    }


def _shown(params: Mapping[str, Any], name: str) -> str:
    return repr(params[name]) if name in params else ""


def _code_difference(name: str, before: str, now: str) -> Difference:
    lines = difflib.unified_diff(
        before.splitlines(), now.splitlines(), "before", "now", n=_CONTEXT_LINES, lineterm=""
    )
    told = "" if not before else "there", "" if not now else "there"
    return Difference("code", name, *told, diff=tuple(lines)[2:])


def _stored(datasets: Mapping[str, Mapping[str, Any]], hash_: str) -> str:
    found = datasets.get(hash_, EMPTY)
    return _about(hash_, str(found.get("kind") or ""), found.get("shape") or ())


def _described(one: Any) -> str:
    if one is None or isinstance(one, Unreadable):
        return ""
    return _about(one.hash, one.kind, one.shape)


def _about(hash_: str, kind: str, shape: Sequence[int]) -> str:
    size = " x ".join(map(str, shape))
    return " ".join(filter(None, [kind, size, short(hash_)]))
