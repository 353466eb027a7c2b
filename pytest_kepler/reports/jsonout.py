"""JSON: a report for programs, under a schema that only grows.

The object has
    ``kind`` (``session`` or ``journal``), ``journal`` (path), ``at``, ``session`` (id; sessions
    only), ``experiments``, ``shared``, ``findings`` (of sanity tests) and, for a session, ``gates``
    (``node_id, status, seconds, message``) and ``vanished`` (experiments of the baseline alone).
An entry of ``experiments`` has
    ``experiment, hypothesis, metric, goal, n_runs, saved_seconds, outcomes`` (runs by status),
    ``configurations`` (best first), ``best`` (a place in them, or null), ``thresholds``,
    ``comparisons`` (with the baseline), ``claims``, ``best_so_far`` (or null), ``troubles`` and
    ``new`` (``label, text, runs``), ``findings`` and ``notes`` (``about, text, at``).
A configuration has
    ``params, metrics`` (by name ``mean, std, n``; ``std`` null for a single run), ``seconds``,
    ``is_current`` (whether it was measured on the data of the newest session), ``evaluated_on``
    (hashes) and ``runs`` (``run_id, status, duplicate_of, params, seconds``).
A threshold has
    ``metric, bound, limit, value, status`` (``reached``, ``missed``, ``partial``), ``params, n,
    message``.
A comparison has
    ``metric, status`` (``held``, ``better``, ``worse``, ``noise``, ``no-value``, …), ``loss``
    (positive is worse), ``interval`` (of the loss, or null), ``n_pairs, message``.
A claim has
    ``claim, metric, better, than, margin, verdict, estimate, low, high, level, n_pairs, message``.
``best_so_far`` has
    ``metric, status`` (``first, beaten, equalled, unbeaten, fewer-replicates, data-changed,
    no-value``),
    ``difference`` (positive is better), ``session`` and ``earlier`` (configurations or null).
An entry of ``shared`` has
    ``evaluated_on, metric, goal, entries`` (``experiment, configuration``).
A finding has
    ``code, name, severity, message, location, measured, threshold, fix, waiver, runs``.

Numbers that are not finite are the texts ``NaN``, ``Infinity`` and ``-Infinity``; times are
ISO 8601.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_kepler.reports.summary import SessionReport
from pytest_kepler.reports.wording import utc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_kepler.records import (
        BestSoFar,
        ClaimOutcome,
        Comparison,
        Configuration,
        SharedData,
    )
    from pytest_kepler.reports.summary import Fold, FoldedFinding, Report, Section


def render_json(report: Report) -> str:
    """Return a report as one JSON object; the module says what is in it."""
    content: dict[str, Any] = {
        "kind": "session" if isinstance(report, SessionReport) else "journal",
        "journal": report.journal,
        "at": utc(report.now).isoformat(),
        "experiments": [_experiment(section) for section in report.sections],
        "shared": [_shared(each) for each in report.shared],
        "findings": _findings(report.findings),
    }
    if isinstance(report, SessionReport):
        content["session"] = report.session_id
        content["vanished"] = report.vanished
        content["gates"] = [
            {
                "node_id": gate.node_id,
                "status": gate.status,
                "seconds": gate.seconds,
                "message": gate.message,
            }
            for gate in report.gates
        ]
    plain = _plain(content)
    return json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n"


def _experiment(section: Section) -> dict[str, Any]:
    assessment = section.assessment
    found = assessment.configurations
    best = next((at for at, each in enumerate(found) if each is assessment.best), None)
    return {
        "experiment": assessment.experiment,
        "hypothesis": assessment.hypothesis,
        "metric": assessment.spec.metric,
        "goal": assessment.goal,
        "n_runs": len(assessment.runs),
        "saved_seconds": assessment.saved_seconds,
        "outcomes": section.outcomes,
        "configurations": [_configuration(each) for each in found],
        "best": best,
        "thresholds": [
            {
                "metric": each.metric,
                "bound": each.bound,
                "limit": each.limit,
                "value": each.value,
                "status": each.status,
                "params": each.configuration,
                "n": each.n,
                "message": each.message,
            }
            for each in assessment.thresholds
        ],
        "comparisons": [_comparison(each) for each in assessment.comparisons],
        "claims": [_claim(each) for each in assessment.claims],
        "best_so_far": _best_so_far(assessment.best_so_far),
        "troubles": [_fold(each) for each in section.troubles],
        "new": [_fold(each) for each in section.news],
        "findings": _findings(section.findings),
        "notes": [
            {"about": note.about, "text": note.text, "at": utc(note.at).isoformat()}
            for note in section.notes
        ],
    }


def _configuration(each: Configuration | None) -> dict[str, Any] | None:
    if each is None:
        return None
    return {
        "params": each.params,
        "metrics": {
            name: {"mean": found.mean, "std": found.std, "n": found.n}
            for name, found in each.statistics.items()
        },
        "seconds": each.seconds,
        "is_current": each.is_current,
        "evaluated_on": sorted(each.evaluated_on),
        "runs": [
            {
                "run_id": run.run_id,
                "status": run.status,
                "duplicate_of": run.duplicate_of or None,
                "params": run.params,
                "seconds": run.seconds,
            }
            for run in each.runs
        ],
    }


def _comparison(found: Comparison) -> dict[str, Any]:
    return {
        "metric": found.metric,
        "status": found.status,
        "loss": found.loss,
        "interval": found.interval,
        "n_pairs": found.n_pairs,
        "message": found.message,
    }


def _claim(found: ClaimOutcome) -> dict[str, Any]:
    return {
        "claim": found.spec.claim,
        "metric": found.spec.metric,
        "better": found.spec.better,
        "than": found.spec.than,
        "margin": found.spec.margin,
        "verdict": found.verdict,
        "estimate": found.estimate,
        "low": found.low,
        "high": found.high,
        "level": found.level,
        "n_pairs": found.n_pairs,
        "message": found.message,
    }


def _best_so_far(best: BestSoFar | None) -> dict[str, Any] | None:
    if best is None:
        return None
    return {
        "metric": best.metric,
        "status": best.status,
        "difference": best.difference,
        "session": _configuration(best.session),
        "earlier": _configuration(best.earlier),
    }


def _shared(shared: SharedData) -> dict[str, Any]:
    return {
        "evaluated_on": sorted(shared.evaluated_on),
        "metric": shared.metric,
        "goal": shared.goal,
        "entries": [
            {"experiment": experiment, "configuration": _configuration(each)}
            for experiment, each in shared.entries
        ],
    }


def _fold(fold: Fold) -> dict[str, Any]:
    return {"label": fold.label, "text": fold.text, "runs": fold.run_ids}


def _findings(folded: Sequence[FoldedFinding]) -> list[dict[str, Any]]:
    return [
        {
            "code": each.finding.code,
            "name": each.finding.name,
            "severity": each.finding.severity,
            "message": each.finding.message,
            "location": each.finding.location,
            "measured": each.finding.measured,
            "threshold": each.finding.threshold,
            "fix": each.finding.fix,
            "waiver": each.finding.waiver,
            "runs": each.run_ids,
        }
        for each in folded
    ]


def _plain(value: Any) -> Any:
    """Return the value in JSON's types, numbers that are not finite as texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
