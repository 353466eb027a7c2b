"""Hands an item's run to the `experiment` fixture, with the gate that `fit` goes through."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_kepler import gate
from pytest_kepler.checks import config as check_config
from pytest_kepler.errors import UnreadableValueError
from pytest_kepler.harness.pairing import params_of
from pytest_kepler.harness.progress import reporter_for
from pytest_kepler.harness.workbench import seed_of
from pytest_kepler.tracking.context import Blocked, RunContext
from pytest_kepler.tracking.experiment import Experiment

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from pytest_kepler.harness.protocol import RunState
    from pytest_kepler.harness.workbench import Workbench
    from pytest_kepler.records import Finding


class FitGate:
    """The catalogue on what `fit` was given; one for each process, so that a grid pays once."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.config = check_config.load(bench.config.rootpath)
        self._seen: dict[Any, Any] = {}

    def examine(  # noqa: PLR0913, PLR0917  # what `fit` was given
        self,
        item: pytest.Item,
        state: RunState,
        model: object,
        X: object,
        y: object,
        fit_kwargs: Mapping[str, Any],
    ) -> None:
        """Check, record and show; raise `Blocked` where an error stands.

        Raises
        ------
        Blocked
            If a check found an error that is not waived and the gate is to block.
        """
        verdict = gate.examine_fit(
            model,
            X,
            y,
            fit_kwargs,
            config=self.config.for_experiment(item.nodeid),
            waive=state.spec.waive,
            today=datetime.now(UTC).date(),
            cache=self._seen,
            data_key=self._key((X, y)),
            validation_key=self._key(fit_kwargs.get("validation_data")),
        )
        for finding in verdict.findings:
            self.bench.write(finding_event(finding, self.bench.session_id, state.run_id))
        if verdict.blocking and self.bench.settings.gate == "block":
            text = gate.report(verdict.blocking)
            codes = ", ".join(dict.fromkeys(one.code for one in verdict.blocking))
            state.blocked_by = f"{codes} in experiment.fit\n{text}"
            raise Blocked(text, verdict.blocking)
        if verdict.blocking:
            state.behind += [f"{one.code} {one.name}" for one in verdict.blocking]

    def _key(self, data: object) -> str | None:
        try:
            return self.bench.fingerprint(data)
        except UnreadableValueError:
            return None


def finding_event(finding: Finding, session_id: str, run_id: str | None) -> dict[str, Any]:
    """Return the spool's event for a finding."""
    return {
        "e": "check",
        "run": run_id,
        "session": session_id,
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity,
        "message": finding.message,
        "location": finding.location,
        "measured": dict(finding.measured),
        "threshold": dict(finding.threshold),
        "fix": finding.fix,
        "waiver": finding.waiver,
        "at": time.time(),
    }


def make_experiment(bench: Workbench, fit_gate: FitGate, item: Any, state: RunState) -> Experiment:
    """Return the object behind the `experiment` fixture of one run."""

    def examine(model: object, X: object, y: object, fit_kwargs: Mapping[str, Any]) -> None:
        fit_gate.examine(item, state, model, X, y, fit_kwargs)

    context = RunContext(
        spool=bench,
        run_id=state.run_id,
        session_id=bench.session_id,
        params=params_of(item),
        spec=state.spec,
        seed=seed_of(item),
        folder=bench.folder,
        gate=examine,
        fingerprint=bench.fingerprint,
        identity=state.identity.identity if state.identity else "",
        project=state.spec.project or bench.config.rootpath.name,
        rows=bench.settings.rows,
        progress=reporter_for(item),
    )
    return Experiment(context)
