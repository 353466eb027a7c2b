"""Hands an item's run to the `experiment` fixture, with the gate that `fit` goes through."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler import gate
from pytest_kepler.checks import config as check_config
from pytest_kepler.errors import UnreadableValueError
from pytest_kepler.harness.pairing import params_of
from pytest_kepler.harness.progress import reporter_for
from pytest_kepler.harness.sanity import tell_junit
from pytest_kepler.harness.workbench import seed_of
from pytest_kepler.tracking.context import (
    Blocked,
    EvaluationError,
    RunContext,
    TrainingError,
)
from pytest_kepler.tracking.experiment import Experiment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pytest

    from pytest_kepler.adapters.fits import EvaluationView
    from pytest_kepler.harness.protocol import RunState
    from pytest_kepler.harness.workbench import Workbench
    from pytest_kepler.records import Finding
    from pytest_kepler.tracking.context import FindingsError


#: The checks of curves that end a training at once.
_ENDS_A_TRAINING: Final = ("K509",)


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
            experiment=item.nodeid.partition("[")[0],
        )
        for finding in verdict.findings:
            self.bench.write(finding_event(finding, self.bench.session_id, state.run_id))
            tell_junit(item, finding)
        looked_at = {"checks": verdict.account}
        self.bench.write({"e": "fact", "run": state.run_id, "facts": looked_at})
        if verdict.blocking and self.bench.settings.gate == "block":
            text = f"{gate.report(verdict.blocking)}\n{gate.ways_out(verdict.blocking)}"
            codes = ", ".join(dict.fromkeys(one.code for one in verdict.blocking))
            ways = gate.waiving(verdict.blocking)
            state.blocked_by = f"{codes} in experiment.fit (if it is meant: {ways})\n{text}"
            raise Blocked(text, verdict.blocking)
        if verdict.blocking:
            state.behind += [f"{one.code} {one.name}" for one in verdict.blocking]

    def is_hopeless(self, item: pytest.Item, state: RunState, values: Mapping[str, float]) -> bool:
        """Tell whether an epoch's loss is no number, unless that is waived or only warned of."""
        losses = {name: [value] for name, value in values.items() if "loss" in name}
        if all(math.isfinite(value) for (value,) in losses.values()):
            return False
        verdict = self._examine_curves(item, state, losses, None, select=_ENDS_A_TRAINING)
        return bool(verdict.blocking) and self.bench.settings.gate == "block"

    def judge_curves(
        self,
        item: pytest.Item,
        state: RunState,
        history: Mapping[str, Sequence[float]],
        y: object,
    ) -> None:
        """Check and record the curves of a training; raise `TrainingError` where an error stands.

        Raises
        ------
        TrainingError
            If a check found an error that is not waived and the gate is to block.
        """
        if not history:
            return
        verdict = self._examine_curves(item, state, history, y)
        self._conclude(item, state, verdict, TrainingError)

    def judge_rows(self, item: pytest.Item, state: RunState, X: object, y: object) -> None:
        """Check that what is to be evaluated belongs to its target, and record what was found.

        Raises
        ------
        EvaluationError
            If it does not, that is not waived, and the gate is to block.
        """
        verdict = gate.examine_rows(
            X,
            y,
            config=self.config.for_experiment(item.nodeid),
            today=datetime.now(UTC).date(),
            waive=state.spec.waive,
        )
        self._conclude(item, state, verdict, EvaluationError)

    def judge_evaluation(self, item: pytest.Item, state: RunState, view: EvaluationView) -> None:
        """Check and record what is evaluated, beside what was fitted.

        Raises
        ------
        EvaluationError
            If a check found an error that is not waived and the gate is to block.
        """
        verdict = gate.examine_evaluation(
            view,
            config=self.config.for_experiment(item.nodeid),
            today=datetime.now(UTC).date(),
            waive=state.spec.waive,
        )
        self._conclude(item, state, verdict, EvaluationError)

    def _conclude(
        self,
        item: pytest.Item,
        state: RunState,
        verdict: gate.Verdict,
        error: type[FindingsError],
    ) -> None:
        """Record what was found, and fail the run where an error stands."""
        for finding in verdict.findings:
            self.bench.write(finding_event(finding, self.bench.session_id, state.run_id))
            tell_junit(item, finding)
        if verdict.blocking and self.bench.settings.gate == "block":
            text = f"{gate.report(verdict.blocking)}\n{gate.ways_out(verdict.blocking)}"
            raise error(text, verdict.blocking)

    def _examine_curves(
        self,
        item: pytest.Item,
        state: RunState,
        history: Mapping[str, Sequence[float]],
        y: object,
        select: Sequence[str] = (),
    ) -> gate.Verdict:
        return gate.examine_curves(
            history,
            y,
            config=self.config.for_experiment(item.nodeid),
            today=datetime.now(UTC).date(),
            waive=state.spec.waive,
            select=select,
        )

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
        identity=lambda: state.identity.identity if state.identity else "",
        earlier_curves=bench.curves_of,
        project=state.spec.project or bench.config.rootpath.name,
        rows=bench.settings.rows,
        smoke=bench.settings.smoke,
        uses=state.uses,
        progress=reporter_for(item),
        is_hopeless=lambda values: fit_gate.is_hopeless(item, state, values),
        judge_curves=lambda history, y: fit_gate.judge_curves(item, state, history, y),
        judge_rows=lambda X, y: fit_gate.judge_rows(item, state, X, y),
        judge_evaluation=lambda view: fit_gate.judge_evaluation(item, state, view),
    )
    return Experiment(context)
