"""What a session concludes beside its thresholds: comparisons with a baseline, and claims."""

from __future__ import annotations

import importlib.util
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_kepler.baseline import BASELINE_FILE, read_baselines, write_baseline
from pytest_kepler.comparing import entries_of
from pytest_kepler.errors import KeplerUsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pytest_kepler.answering import Comparing, SessionAnswer
    from pytest_kepler.harness.selection import Selection
    from pytest_kepler.harness.settings import Settings
    from pytest_kepler.records import Assessment, BaselineEntry, ClaimOutcome, ThresholdOutcome


@dataclass(frozen=True, slots=True)
class Miss:
    """What fails a session and belongs to no run: an entry of its own in terminal and JUnit."""

    experiment: str
    name: str
    message: str
    #: Than the baseline; else it missed a threshold.
    is_worse: bool = False


def require_comparable(settings: Settings, selection: Selection, rootpath: Path) -> None:
    """Refuse, before anything trains, what could not be compared or decided at the end.

    Raises
    ------
    KeplerUsageError
        If the baseline is missing or broken, lacks a metric, or scipy is not there.
    """
    if settings.smoke:
        return
    has_claims = any(spec.claims for spec in selection.specs.values())
    has_baseline = (rootpath / BASELINE_FILE).exists()
    if not has_claims and not has_baseline and not settings.tolerances:
        return
    if importlib.util.find_spec("scipy") is None:
        what = "Claims need" if has_claims else "Comparing with a baseline needs"
        msg = f"{what} scipy's distributions: pip install 'pytest-kepler[stats]'."
        raise KeplerUsageError(msg)
    if settings.tolerances:
        from pytest_kepler.answering import find_baseline

        find_baseline(rootpath, settings.journal, settings.baseline, settings.tolerances)
    elif has_baseline:
        read_baselines(rootpath / BASELINE_FILE)


def misses(answer: SessionAnswer) -> list[Miss]:
    """Return what fails the session: thresholds that were missed, metrics that got worse."""
    found = [
        Miss(one.experiment, f"{one.bound}[{one.metric}]", one.message)
        for one in answer.thresholds
        if one.status == "missed"
    ]
    return found + [
        Miss(one.experiment, f"baseline[{one.metric}]", one.message, is_worse=True)
        for one in answer.worse
    ]


def threshold_event(one: ThresholdOutcome, session_id: str) -> dict[str, Any]:
    """Return the spool's event for what became of a threshold."""
    return {
        "e": "threshold",
        "session": session_id,
        "experiment": one.experiment,
        "metric": one.metric,
        "bound": one.bound,
        "limit": one.limit,
        "value": one.value,
        "status": one.status,
        "message": one.message,
        "at": time.time(),
    }


def claim_event(one: ClaimOutcome, session_id: str) -> dict[str, Any]:
    """Return the spool's event for the verdict on a claim."""
    return {
        "e": "claim",
        "session": session_id,
        "experiment": one.experiment,
        "text": one.spec.claim,
        "status": one.verdict,
        "message": one.message,
        "at": time.time(),
        "facts": {
            "definition": one.spec.definition,
            "estimate": one.estimate,
            "low": one.low,
            "high": one.high,
            "level": one.level,
            "n_pairs": one.n_pairs,
            "look": one.look,
            "evidence": sorted(one.evidence),
        },
    }


def baseline_event(one: BaselineEntry, name: str) -> dict[str, Any]:
    """Return the spool's event for a metric of a new baseline."""
    return {
        "e": "baseline",
        "name": name,
        "experiment": one.experiment,
        "metric": one.metric,
        "value": one.value,
        "params": one.params,
        "at": time.time(),
        "facts": {
            "goal": one.goal,
            "replicates": dict(one.replicates),
            "n_replicates": len(one.replicates),
            "runs": list(one.run_ids),
            "commit": one.commit,
            "data": one.data,
        },
    }


def update_baseline(
    rootpath: Path, answer: SessionAnswer, comparing: Comparing
) -> tuple[list[BaselineEntry], list[str]]:
    """Write what a session reached into the repository's file.

    Returns
    -------
    list of BaselineEntry
        What is new or other than it was.
    list of str
        Sentences: old against new, and what could not be written.

    Raises
    ------
    KeplerUsageError
        If the file cannot be read or written.
    """
    refused = {
        each.experiment: why
        for each in answer.assessments
        if (why := _why_not_written(each, is_partial=each.experiment in answer.partial))
    }
    new = entries_of(each for each in answer.assessments if each.experiment not in refused)
    old = {(one.experiment, one.metric): one for one in comparing.entries}
    changed = [one for one in new if old.get((one.experiment, one.metric)) != one]
    if new:
        path = rootpath / BASELINE_FILE
        write_baseline(path, read_baselines(path), comparing.name, new)
    told = list(_old_and_new(changed, old))
    told += [f"{experiment}: not written: {why}" for experiment, why in refused.items()]
    if not changed:
        told.append("nothing changed")
    return changed, [f"baseline {comparing.name}: {line}" for line in told]


def _why_not_written(each: Assessment, *, is_partial: bool) -> str:
    """Say why an experiment's results are no baseline; '' if they are one."""
    missed = [one.metric for one in each.thresholds if one.status == "missed"]
    worse = [one.metric for one in each.comparisons if one.fails]
    why = ""
    if is_partial:
        why = "only a part of the grid has run"
    elif each.spec.metric is None:
        why = "it has no headline metric"
    elif each.goal is None:
        why = f"nobody can tell which way {each.spec.metric} is better: say goal= in the mark"
    elif each.best is None:
        why = f"no configuration has a value of {each.spec.metric} from each of its replicates"
    elif missed:
        why = f"it missed what it must reach ({', '.join(missed)})"
    elif worse:
        why = (
            f"{', '.join(worse)} got worse than is tolerated; to accept that, remove its table "
            f"from {BASELINE_FILE} and repeat"
        )
    return why


def _old_and_new(
    changed: Iterable[BaselineEntry], old: dict[tuple[str, str], BaselineEntry]
) -> Sequence[str]:
    by_experiment: dict[str, list[str]] = {}
    for one in changed:
        before = old.get((one.experiment, one.metric))
        values = f"{one.metric} {one.value:.4g}"
        if before is not None and before.value != one.value:
            values = f"{one.metric} {before.value:.4g} -> {one.value:.4g}"
        by_experiment.setdefault(one.experiment, []).append(values)
    return [f"{name}: {', '.join(values)}" for name, values in by_experiment.items()]
