"""Running the checks of a family: three outcomes each, and none that can stop a session."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.checks import codes
from pytest_kepler.checks.waivers import today, waived
from pytest_kepler.records import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pytest_kepler.checks.codes import CheckInfo, Family
    from pytest_kepler.checks.config import CheckConfig
    from pytest_kepler.records import Severity

_ORDER: Final = {"error": 0, "warning": 1, "note": 2}
_PROBE: Final = "C3"
_PROBE_BASIS: Final = "probe"


@dataclass(frozen=True)
class Outcome:
    """What came of the checks of a family.

    Attributes
    ----------
    findings : list of Finding
        Errors first; notes are left out unless asked for.
    passed : list of str
        Codes of the checks that ran and found nothing.
    not_applicable : dict of str to str
        Codes of the checks that lacked something, with what they lacked.
    """

    findings: list[Finding] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    not_applicable: dict[str, str] = field(default_factory=dict)

    @classmethod
    def joined(cls, outcomes: Iterable[Outcome]) -> Outcome:
        """Return several outcomes as one."""
        total = cls()
        for outcome in outcomes:
            total.findings.extend(outcome.findings)
            total.passed.extend(outcome.passed)
            total.not_applicable.update(outcome.not_applicable)
        total.findings.sort(key=severity_order)
        return total


def severity_order(finding: Finding) -> int:
    """Return the place of a finding in a list that has errors first."""
    return _ORDER[finding.severity]


def run_family(
    family: Family,
    view: Any,
    config: CheckConfig,
    *,
    has_errors: bool = False,
    exempt: Collection[str] = (),
) -> Outcome:
    """Run the selected checks of a family on a view of it.

    The training probe waits for all other checks: where one of them found an error, or
    `has_errors` tells of one elsewhere, what the probe would show merely follows from it.
    Errors of the `exempt` codes do not count.
    """
    outcome, started = Outcome(), time.monotonic()
    with warnings.catch_warnings():
        # What a check computes on the way is no business of the user's warning filters.
        warnings.simplefilter("ignore")
        for info in codes.of_family(family):
            if not config.is_selected(info.code):
                continue
            if time.monotonic() - started > config.time_budget_s:
                outcome.not_applicable[info.code] = "the time budget is spent"
                continue
            told = [one.code for one in outcome.findings if one.code in _before(info)]
            if told:
                outcome.not_applicable[info.code] = f"{told[0]} tells of it already"
                continue
            if info.cost == _PROBE and (has_errors or _has_error(outcome, exempt)):
                outcome.not_applicable[info.code] = "there are errors before the probe"
                continue
            _run(info, view, config, outcome)
    kept = [one for one in _first_of_one_fault(outcome.findings) if _is_shown(one, config)]
    return replace(outcome, findings=sorted(kept, key=severity_order))


def _before(info: CheckInfo) -> Sequence[str]:
    return codes.FOLLOWS.get(info.code, ())


def _has_error(outcome: Outcome, exempt: Collection[str]) -> bool:
    """Tell whether a check that does not read the probe found an error that counts."""
    return any(
        one.severity == "error"
        and one.basis != _PROBE_BASIS
        and not one.waiver
        and one.code not in exempt
        for one in outcome.findings
    )


def _run(info: CheckInfo, view: Any, config: CheckConfig, outcome: Outcome) -> None:
    from pytest_kepler.adapters.views import NotApplicable

    try:
        found = list(info.run(view, config.limits_of(info)))
    except NotApplicable as reason:
        outcome.not_applicable[info.code] = str(reason)
        return
    except Exception as error:  # noqa: BLE001 - a check of ours may never stop an experiment
        outcome.findings.append(_crashed(info, error))
        outcome.not_applicable[info.code] = "the check crashed"
        return
    if not found:
        outcome.passed.append(info.code)
    outcome.findings.extend(_as_configured(one, config) for one in found)


def _crashed(info: CheckInfo, error: Exception) -> Finding:
    return Finding(
        code=codes.GENERAL,
        name="check-crashed",
        severity="note",
        message=f"The check {info.code} {info.name} crashed: {type(error).__name__}: {error}",
        location=info.code,
        fix="Report it; nothing was concluded from this check.",
        basis="static",
    )


def _as_configured(finding: Finding, config: CheckConfig) -> Finding:
    severity: Severity = finding.severity
    if severity == "warning" and finding.code.startswith(config.warnings_as_errors or ("-",)):
        severity = "error"
    # A table of one experiment may lower a severity, never raise a mere warning to an error.
    lowered = config.severities.get(finding.code)
    message = finding.message
    if lowered is not None and _ORDER[lowered.to] > _ORDER[severity]:
        severity = lowered.to
        message += f" Lowered to {lowered.to}: {lowered.reason}" if lowered.reason else ""
    limits = config.limits.get(finding.code, {})
    named = {
        name: f"{value:g} (configured)" if name in limits else value
        for name, value in finding.threshold.items()
    }
    found = replace(finding, severity=severity, message=message, threshold=named)
    return waived(found, config.ignored_with, today())


def _is_shown(finding: Finding, config: CheckConfig) -> bool:
    # What the checks say of themselves is always told: silence would look like a passed check.
    return finding.severity != "note" or config.notes or finding.code == codes.GENERAL


def _first_of_one_fault(findings: Sequence[Finding]) -> list[Finding]:
    """Leave out what merely follows from an error that was found in the same place."""
    kept = list(findings)
    for chain in codes.ONE_FAULT:
        first: dict[str, int] = {}
        for one in kept:
            if one.code in chain and one.severity == "error":
                rank = chain.index(one.code)
                first[_place(one)] = min(rank, first.get(_place(one), rank))
        kept = [
            one
            for one in kept
            if one.code not in chain or chain.index(one.code) <= first.get(_place(one), len(chain))
        ]
    return kept


def _place(finding: Finding) -> str:
    """Return where a fault is; the probe tells of the model as a whole."""
    return "" if finding.basis == _PROBE_BASIS else finding.location
