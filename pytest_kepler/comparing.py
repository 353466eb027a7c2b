"""Comparing: a session's results beside a baseline, and differences over pairs.

A metric is worse when its mean lost more than is tolerated and, given two or more pairs, the
interval of the loss excludes zero.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_kepler.errors import KeplerUsageError, nearest
from pytest_kepler.intervals import LEVEL, interval_of, without_rounding
from pytest_kepler.records import COUNTED, BaselineEntry, Comparison, Tolerance

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pytest_kepler.records import Assessment, Configuration, Goal, Run

_TOLERANCE: Final = re.compile(r"\s*([^:]+):\s*([0-9.]+(?:[eE][-+]?[0-9]+)?)\s*(%?)\s*")
_FOLD: Final = "fold"
#: Where every run ended so, nothing was tried.
_UNTRIED: Final = frozenset({"skipped", "blocked", "running", "interrupted", "pruned"})
#: A value that differs by more is not that of its runs: the file was edited.
_ROUNDING: Final = 1e-9
#: Where nothing was said of a loss, none fails.
_ANY: Final = Tolerance(math.inf)


def parse_tolerance(text: str) -> tuple[str, Tolerance]:
    """Return the metric and the tolerance of ``accuracy:1%`` or ``loss:0.01``.

    Raises
    ------
    KeplerUsageError
        If it has another form.
    """
    found = _TOLERANCE.fullmatch(text)
    if found is None:
        msg = (
            f"{text!r} is no tolerance: write the metric, a colon, and how much worse it may be, "
            "such as accuracy:1% or loss:0.01."
        )
        raise KeplerUsageError(msg)
    metric, number, percent = found.groups()
    return metric.strip(), _tolerance(float(number), is_relative=bool(percent))


def read_tolerance(value: object, where: str) -> Tolerance:
    """Return the tolerance that a marker gives: ``"1%"``, ``"0.01"`` or a number.

    Raises
    ------
    KeplerUsageError
        If it is none; the sentence begins with `where`.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return _tolerance(float(value), is_relative=False)
    if isinstance(value, str):
        try:
            return parse_tolerance(f"metric:{value}")[1]
        except KeplerUsageError:
            pass
    msg = f'{where} must be a number or a percentage such as "1%", got {value!r}.'
    raise KeplerUsageError(msg)


def _tolerance(number: float, *, is_relative: bool) -> Tolerance:
    return Tolerance(number / 100 if is_relative else number, is_relative)


def entries_of(assessments: Iterable[Assessment]) -> list[BaselineEntry]:
    """Return what these experiments would be as a baseline: each metric of the best configuration.

    Only experiments whose best configuration has a value; metrics that are not finite are left out.
    """
    return [
        entry
        for assessment in assessments
        if assessment.best is not None
        for entry in _entries(assessment, assessment.best)
    ]


def _entries(assessment: Assessment, best: Configuration) -> Iterable[BaselineEntry]:
    params = ", ".join(f"{name}={value!r}" for name, value in sorted(best.params.items()))
    for metric in sorted(best.statistics):
        value = best.value(metric)
        if value is None or not math.isfinite(value):
            continue
        yield BaselineEntry(
            experiment=assessment.experiment,
            metric=metric,
            value=value,
            goal=assessment.spec.goal_for(metric),
            replicates=_by_replicate(assessment, best, metric),
            params=params,
            run_ids=tuple(sorted(run.duplicate_of or run.run_id for run in best.runs)),
            commit=next((run.commit for run in best.runs if run.commit), ""),
            data=" ".join(sorted(best.evaluated_on)),
        )


def _by_replicate(assessment: Assessment, found: Configuration, metric: str) -> dict[str, float]:
    return {
        _replicate(run, assessment.spec.replicates): run.metrics[metric]
        for run, outcome in zip(found.runs, found.outcomes, strict=True)
        if outcome in COUNTED and metric in run.metrics
    }


def _replicate(run: Run, names: Sequence[str]) -> str:
    return ", ".join(f"{name}={run.params[name]}" for name in names if name in run.params)


def require_known(tolerances: Iterable[str], baseline: Iterable[BaselineEntry], name: str) -> None:
    """Refuse a tolerance for a metric that the baseline does not have, or has no goal for.

    Raises
    ------
    KeplerUsageError
        It names the metric, and the nearest one that there is.
    """
    goals: dict[str, set[Goal | None]] = {}
    for entry in baseline:
        goals.setdefault(entry.metric, set()).add(entry.goal)
    for metric in tolerances:
        if metric not in goals:
            msg = f"--kepler-compare-fail: the baseline {name!r} has no metric {metric!r}; "
            raise KeplerUsageError(msg + nearest(metric, goals))
        if goals[metric] == {None}:
            msg = (
                f"--kepler-compare-fail: nobody can tell from the name {metric!r} which way it is "
                f'better. Say goal={{"{metric}": "max"}} or goal={{"{metric}": "min"}} in the '
                "experiment's mark, and write the baseline anew."
            )
            raise KeplerUsageError(msg)


def compare(
    assessments: Iterable[Assessment],
    baseline: Collection[BaselineEntry],
    tolerances: Mapping[str, Tolerance],
    *,
    partial: Collection[str] = (),
) -> list[Comparison]:
    """Compare the best configuration of each experiment with a baseline.

    A metric without a tolerance is compared if it is the headline metric, and never fails.

    Parameters
    ----------
    assessments : iterable of Assessment
        Of the session.
    baseline : collection of BaselineEntry
    tolerances : mapping of str to Tolerance
        By metric; an experiment's own, from its marker, go first.
    partial : collection of str
        The experiments of which only a part of the grid ran: they are reported, and never fail.
    """
    entries: dict[str, list[BaselineEntry]] = {}
    for entry in sorted(baseline, key=lambda entry: entry.metric):
        entries.setdefault(entry.experiment, []).append(entry)
    found = []
    for assessment in assessments:
        if all(run.status in _UNTRIED for run in assessment.runs):
            continue  # a failure of its own, or none
        there = {entry.metric: entry for entry in entries.get(assessment.experiment, ())}
        own = _tolerances(assessment, tolerances, there)
        found += [_missing(assessment, metric, there) for metric in own if metric not in there]
        for metric, entry in there.items():
            if metric in own or (metric == assessment.spec.metric and assessment.best):
                comparison = _compared(entry, assessment, own.get(metric, _ANY))
                is_partial = comparison.fails and assessment.experiment in partial
                found.append(_as_partial(comparison) if is_partial else comparison)
    return found


def _tolerances(
    assessment: Assessment, asked: Mapping[str, Tolerance], there: Collection[str]
) -> dict[str, Tolerance]:
    has = {name for run in assessment.runs for name in run.metrics} | set(there)
    found = {metric: one for metric, one in asked.items() if metric in has}
    for metric, value in assessment.spec.tolerance.items():
        found[metric] = read_tolerance(value, f"tolerance of {metric!r}")
    return found


def _missing(assessment: Assessment, metric: str, there: Collection[str]) -> Comparison:
    what = f"the metric {metric!r}" if there else "this experiment"
    message = f"the baseline does not have {what} yet"
    return Comparison(assessment.experiment, metric, "new", message)


def _as_partial(comparison: Comparison) -> Comparison:
    message = f"{comparison.message}; only a part of the grid has run"
    return replace(comparison, status="partial", message=message)


def vanished(assessments: Iterable[Assessment], baseline: Iterable[BaselineEntry]) -> list[str]:
    """Return the experiments of a baseline that a whole session did not have."""
    ran = {assessment.experiment for assessment in assessments}
    return sorted({entry.experiment for entry in baseline} - ran)


def _compared(entry: BaselineEntry, assessment: Assessment, tolerance: Tolerance) -> Comparison:
    def told(status: str, message: str) -> Comparison:
        return Comparison(entry.experiment, entry.metric, status, message)

    goal = assessment.spec.goal_for(entry.metric)
    best = assessment.best
    value = best.value(entry.metric) if best is not None else None
    if best is None or value is None or not math.isfinite(value):
        shown = "no value" if value is None else str(value)
        return told("no-value", f"{entry.metric} has {shown}; the baseline has {entry.value:.4g}")
    is_itself = set(entry.run_ids) == {run.duplicate_of or run.run_id for run in best.runs}
    if is_itself and math.isclose(value, entry.value, rel_tol=_ROUNDING):
        return told("itself", f"{entry.metric} {value:.4g} is the baseline's own")
    if entry.data and entry.data != " ".join(sorted(best.evaluated_on)):
        return told(
            "data-changed",
            f"{entry.metric} {value:.4g} was evaluated on other data than the baseline's "
            f"{entry.value:.4g}: not compared",
        )
    if goal is None or goal != entry.goal:
        return told(
            "goal-changed",
            f"{entry.metric} was {_way(entry.goal)} in the baseline and is {_way(goal)} now: "
            "not compared",
        )
    return _judged(entry, assessment, best, value, tolerance, goal)


def _way(goal: Goal | None) -> str:
    return {"max": "maximised", "min": "minimised"}.get(goal or "", "of no known goal")


def _judged(  # noqa: PLR0913, PLR0917  # the two sides and how they are weighed
    entry: BaselineEntry,
    assessment: Assessment,
    best: Configuration,
    value: float,
    tolerance: Tolerance,
    goal: Goal,
) -> Comparison:
    sign = 1.0 if goal == "max" else -1.0
    now = _by_replicate(assessment, best, entry.metric)
    both = [(entry.replicates[one], now[one]) for one in entry.replicates if one in now]
    scale = max(abs(entry.value), abs(value))
    pairs = without_rounding([sign * (before - after) for before, after in both], scale)
    # Replicates that only one side has are left out, so that like is compared with like.
    loss = math.fsum(pairs) / len(pairs) if pairs else sign * (entry.value - value)
    folds = {run.params[_FOLD] for run in best.runs if _FOLD in run.params}
    interval = interval_of(pairs, n_folds=len(folds) if len(pairs) >= len(folds) else 0)
    if loss <= tolerance.limit(entry.value):
        status = "better" if loss < 0 and (interval is None or interval[1] < 0) else "held"
    else:
        status = "noise" if interval is not None and interval[0] <= 0 else "worse"
    found = Comparison(entry.experiment, entry.metric, status, "", loss, interval, len(pairs))
    return replace(found, message=_sentence(found, entry.value, value, tolerance))


def _sentence(found: Comparison, before: float, after: float, tolerance: Tolerance) -> str:
    """Return what is told: the two values, the loss, what was tolerated, and how sure it is."""
    text = f"{found.metric} {_short(after, before)}, baseline {_short(before, after)}"
    loss, interval = found.loss or 0.0, found.interval
    if loss == 0:
        return text
    text += f": {'better' if loss < 0 else 'worse'} by {abs(loss):.3g}"
    if loss > 0 and tolerance is not _ANY:
        over = "more than" if loss > tolerance.limit(before) else "within"
        text += f", {over} the tolerance of {tolerance}"
    if interval is None:
        return text
    if interval[0] <= 0 <= interval[1]:
        return f"{text}; over {found.n_pairs} pairs that is not told apart from noise"
    low, high = sorted(map(abs, interval))
    if low == high:
        return f"{text}, the same in {found.n_pairs} pairs"
    return f"{text} ({low:.3g} to {high:.3g} at level {LEVEL:g}, {found.n_pairs} pairs)"


def _short(value: float, other: float) -> str:
    """Return a number in four digits, or in as many as tell it from the other."""
    digits = next((n for n in range(4, 17) if f"{value:.{n}g}" != f"{other:.{n}g}"), 4)
    return f"{value:.{digits}g}"
