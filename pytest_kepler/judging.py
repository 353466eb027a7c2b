"""Judging: runs in, verdicts out: which configuration is best, and whether it is good enough.

Everything is over the mean of replicates, duplicates included; a configuration counts only when
each of its replicates has a value, by the newest run of each.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.errors import nearest
from pytest_kepler.records import (
    COUNTED,
    EMPTY,
    Assessment,
    BestSoFar,
    ClaimSpec,
    Configuration,
    ExperimentSpec,
    SharedData,
    Statistic,
    ThresholdOutcome,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
    from datetime import datetime
    from typing import Literal

    from pytest_kepler.records import Goal, Run, Totals

    _Key = tuple[tuple[str, type, Hashable], ...]

#: Runs that did not get to their end: what they would have said is open, not bad.
_OPEN: Final = frozenset({"running", "interrupted", "pruned"})
#: Where every run ended so, nothing was tried.
_UNTRIED: Final = frozenset({"skipped", "blocked"})
_SPEC_FIELDS: Final = frozenset(field.name for field in dataclasses.fields(ExperimentSpec))


def spec_of(mapping: Mapping[str, Any]) -> ExperimentSpec:
    """Return the marker's arguments from their journal form.

    Parameters
    ----------
    mapping : mapping
        As in ``Run.spec``: JSON values; what is missing keeps the marker's default.
    """
    known: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in mapping.items()
        if name in _SPEC_FIELDS and value is not None
    }
    if "claims" in known:
        known["claims"] = tuple(ClaimSpec(**claim) for claim in known["claims"])
    return ExperimentSpec(**known)


def configurations(
    runs: Iterable[Run], spec: ExperimentSpec, *, executed: Mapping[str, Run] | None = None
) -> list[Configuration]:
    """Fold the runs of one experiment over their replicates.

    Parameters
    ----------
    runs : iterable of Run
        Of one experiment, in any order. Void runs are left out; of several runs with the same
        parameters the newest counts.
    spec : ExperimentSpec
        Says which parameters are replicates.
    executed : mapping of run id to Run, optional
        More runs among which a duplicate finds the one that it repeats.

    Returns
    -------
    list of Configuration
        In the order of the parameters: numbers by size, then text.
    """
    own = [run for run in runs if run.status != "void"]
    return _configurations(own, spec, _Originals({**(executed or {}), **_by_id(own)}))


def _by_id(runs: Iterable[Run]) -> dict[str, Run]:
    return {run.run_id: run for run in runs}


def _configurations(
    runs: Iterable[Run], spec: ExperimentSpec, originals: _Originals
) -> list[Configuration]:
    groups: dict[_Key, dict[_Key, Run]] = {}
    for run in sorted(runs, key=_age):
        shared, replicate = _split(run.params, spec.replicates)
        groups.setdefault(_key(shared), {})[_key(replicate)] = run
    folded = [_fold(list(group.values()), spec, originals) for group in groups.values()]
    return sorted(folded, key=lambda found: _order(found.params))


def best(found: Iterable[Configuration], metric: str, goal: Goal | None) -> Configuration | None:
    """Return the configuration with the best mean of `metric`, or None if none has a value.

    NaN and infinities never win. Of equals, the one with the first parameters does.
    """
    ranked = rank([each for each in found if _is_result(each.value(metric))], metric, goal)
    return ranked[0] if ranked and goal else None


def rank(found: Iterable[Configuration], metric: str, goal: Goal | None) -> list[Configuration]:
    """Return the configurations best first; those that cannot win come last.

    Without a goal the order is that of the parameters.
    """
    sign = -1.0 if goal == "max" else 1.0

    def place(each: Configuration) -> tuple[bool, float, bool, Any]:
        value = each.value(metric)
        if goal is None or value is None or not math.isfinite(value):
            return True, 0.0, metric not in each.statistics, _order(each.params)
        return False, sign * value, False, _order(each.params)

    return sorted(found, key=place)


def judge(
    runs: Iterable[Run],
    spec: ExperimentSpec,
    *,
    whole_grid: bool,
    executed: Mapping[str, Run] | None = None,
) -> list[ThresholdOutcome]:
    """Judge every `at_least` and `at_most` on the experiment's best configuration.

    The best is the best by the headline metric; where the marker names none, each metric is
    judged on its own best. NaN, and a metric that was never logged, miss.

    Parameters
    ----------
    runs : iterable of Run
        Of one experiment.
    spec : ExperimentSpec
        Its thresholds.
    whole_grid : bool
        False where only a part of the grid was run: the status is then ``partial``.
    executed : mapping of run id to Run, optional
        As for `configurations`.

    Returns
    -------
    list of ThresholdOutcome
        One for each bound, in the marker's order.
    """
    runs = list(runs)
    found = configurations(runs, spec, executed=executed)
    return _judge(found, spec, whole_grid, _Field(found, runs))


def compare_best(
    session_runs: Iterable[Run],
    earlier_runs: Iterable[Run],
    spec: ExperimentSpec,
) -> BestSoFar | None:
    """Compare the best of a session with the best before it, on the same data alone.

    Parameters
    ----------
    session_runs, earlier_runs : iterable of Run
        Of one experiment; earlier runs of the same session are left out.
    spec : ExperimentSpec
        Names the headline metric.

    Returns
    -------
    BestSoFar or None
        None where there is no headline metric, no goal, or nothing to tell.
    """
    metric, goal = spec.metric, spec.goal_for(spec.metric) if spec.metric else None
    if metric is None or goal is None:
        return None
    own, before = list(session_runs), list(earlier_runs)
    originals = _Originals(_by_id((*before, *own)))
    now = best(_configurations(own, spec, originals), metric, goal)
    sessions = {run.session_id for run in own}
    past = [run for run in before if run.session_id not in sessions]
    return _best_so_far(now, past, spec, originals)


def _best_so_far(
    now: Configuration | None, past: list[Run], spec: ExperimentSpec, originals: _Originals
) -> BestSoFar | None:
    metric = spec.metric or ""
    goal = spec.goal_for(metric) if metric else None
    if goal is None:
        return None
    newest = _newest_with_value(past, metric, originals)
    if newest is None:
        return BestSoFar(metric, "first", now, None) if now else None
    data = now.evaluated_on if now else frozenset({_evaluated_on(newest)})
    then = _best_on(past, data, spec, originals)
    if now is None:
        return BestSoFar(metric, "no-value", None, then) if then else None
    if then is None:
        other = _newest_configuration(past, newest, spec, originals)
        return BestSoFar(metric, "data-changed", now, other)
    return _compare(now, then, spec, goal)


def assess(  # noqa: PLR0913  # runs, and what is known beside them
    runs: Iterable[Run],
    *,
    earlier: Iterable[Run] = (),
    partial: Collection[str] = (),
    specs: Mapping[str, ExperimentSpec] | None = None,
    totals: Mapping[str, Totals] = EMPTY,
    executed: Iterable[Run] = (),
) -> list[Assessment]:
    """Judge all experiments of a session, or of a journal.

    Parameters
    ----------
    runs : iterable of Run
        Of any experiments.
    earlier : iterable of Run, optional
        Runs of the sessions before, for "best so far" and for what duplicates saved.
    partial : collection of str, optional
        The experiments of which only a part of the grid was run.
    specs : mapping of experiment to ExperimentSpec, optional
        What the markers say; else what the newest run recorded.
    totals : mapping of experiment to Totals, optional
        Of experiments of which `runs` has some configurations alone: what is said of all.
    executed : iterable of Run, optional
        More runs among which a duplicate finds the one that it repeats.

    Returns
    -------
    list of Assessment
        In the order of the first run of each experiment.
    """
    before = _by_experiment(earlier)
    repeated = _by_experiment(executed)
    found = []
    for experiment, own in _by_experiment(runs).items():
        newest = max(own, key=_age)
        spec = (specs or {}).get(experiment) or spec_of(newest.spec)
        past = before.get(experiment, [])
        originals = _Originals(_by_id((*repeated.get(experiment, ()), *past, *own)))
        whole_grid = experiment not in partial
        found.append(_assess(own, past, spec, whole_grid, originals, totals.get(experiment)))
    return found


def shared_data(assessments: Iterable[Assessment]) -> list[SharedData]:
    """Return, for each data that several experiments were evaluated on, the best of each."""
    groups: dict[frozenset[str], list[tuple[Assessment, Configuration]]] = {}
    for assessment in assessments:
        on: dict[frozenset[str], list[Configuration]] = {}
        for each in assessment.configurations:
            if each.statistics and all(run.eval_hash for run in each.runs):
                on.setdefault(each.evaluated_on, []).append(each)
        for data, found in on.items():
            winner = best(found, assessment.spec.metric or "", assessment.goal)
            if winner:
                groups.setdefault(data, []).append((assessment, winner))
    return [_share(data, group) for data, group in groups.items() if len(group) > 1]


def _assess(  # noqa: PLR0913, PLR0917  # what one experiment is judged by
    own: list[Run],
    past: list[Run],
    spec: ExperimentSpec,
    whole_grid: bool,
    originals: _Originals,
    totals: Totals | None,
) -> Assessment:
    newest = max(own, key=_age)
    folded = _configurations(own, spec, originals)
    found = _mark_current(folded, totals.in_use if totals else _in_use(own, originals))
    current = [each for each in found if each.is_current]
    metric = spec.metric or ""
    goal = spec.goal_for(metric) if metric else None
    ranked = rank(current, metric, goal)
    ranked += rank([each for each in found if not each.is_current], metric, goal)
    return Assessment(
        experiment=newest.experiment,
        spec=spec,
        goal=goal,
        hypothesis=spec.hypothesis or newest.hypothesis,
        runs=tuple(own),
        configurations=tuple(ranked),
        best=best(current, metric, goal),
        thresholds=tuple(
            _judge(current, spec, whole_grid, _Field(found, own, totals), newest.experiment)
        ),
        best_so_far=_compare_with_past(folded, own, past, spec, originals),
        saved_seconds=math.fsum(
            originals.resolved(run).seconds or 0.0 for run in own if run.status == "duplicate"
        ),
    )


def _compare_with_past(
    folded: list[Configuration],
    own: list[Run],
    past: list[Run],
    spec: ExperimentSpec,
    originals: _Originals,
) -> BestSoFar | None:
    metric = spec.metric or ""
    if not past or not metric:
        return None
    sessions = {run.session_id for run in own}
    before = [run for run in past if run.session_id not in sessions]
    return _best_so_far(best(folded, metric, spec.goal_for(metric)), before, spec, originals)


def _by_experiment(runs: Iterable[Run]) -> dict[str, list[Run]]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        if run.status != "void":
            groups.setdefault(run.experiment, []).append(run)
    return groups


def _in_use(runs: Sequence[Run], originals: _Originals) -> set[str]:
    """Return the data that the newest session with a value used."""
    with_value = [run for run in runs if originals.outcome(run) in COUNTED]
    newest = max(with_value, key=_age).session_id if with_value else ""
    return {
        _evaluated_on(originals.resolved(run)) for run in with_value if run.session_id == newest
    }


def _mark_current(found: list[Configuration], in_use: Collection[str]) -> list[Configuration]:
    """Mark the configurations that were evaluated on data which is no longer in use."""
    return [
        each
        if not each.statistics or all(data in in_use for data in each.evaluated_on)
        else dataclasses.replace(each, is_current=False)
        for each in found
    ]


def _split(
    params: Mapping[str, Any], replicates: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    shared = {name: value for name, value in params.items() if name not in replicates}
    return shared, {name: params[name] for name in replicates if name in params}


def _key(params: Mapping[str, Any]) -> _Key:
    # By type as well: 1, 1.0 and true are not the same, though Python's == says so.
    return tuple((name, type(value), _told_apart(value)) for name, value in sorted(params.items()))


def _told_apart(value: object) -> Hashable:
    if isinstance(value, str | int | None):
        return value
    return _json(value)


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def _age(run: Run) -> tuple[datetime, str]:
    return run.started_at, run.run_id


def _order(params: Mapping[str, Any]) -> list[tuple[str, int, float, str]]:
    return [(name, *_place(params[name])) for name in sorted(params)]


def _place(value: object) -> tuple[int, float, str]:
    if isinstance(value, bool | int | float) and value == value:  # noqa: PLR0124  # not NaN
        return 0, _as_float(value), ""
    return (1, 0.0, value) if isinstance(value, str) else (2, 0.0, _json(value))


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def _fold(runs: list[Run], spec: ExperimentSpec, originals: _Originals) -> Configuration:
    if len(runs) > 1:
        runs = sorted(runs, key=lambda run: _order(_split(run.params, spec.replicates)[1]))
    outcomes = tuple(map(originals.outcome, runs))
    resolved = list(map(originals.resolved, runs))
    counted = [run for run, outcome in zip(resolved, outcomes, strict=True) if outcome in COUNTED]
    values: dict[str, list[float]] = {}
    for run in counted:
        for name, value in run.metrics.items():
            values.setdefault(name, []).append(value)
    seconds = [run.seconds for run in counted if run.seconds is not None]
    return Configuration(
        params=_split(runs[-1].params, spec.replicates)[0],
        runs=tuple(resolved),
        outcomes=outcomes,
        statistics={name: _statistic(logged) for name, logged in values.items()},
        seconds=_mean(seconds) if seconds else None,
        evaluated_on=frozenset(_evaluated_on(run) for run in counted),
    )


class _Originals:
    """What duplicates repeat: runs by their id, and each duplicate with the numbers of its own."""

    def __init__(self, runs: Mapping[str, Run]) -> None:
        self._runs = runs
        self._resolved: dict[str, Run] = {}

    def outcome(self, run: Run) -> str:
        """Return the run's status, that of a failure where a duplicate repeats one."""
        if run.status != "duplicate":
            return run.status
        original = self._runs.get(run.duplicate_of)
        if original is not None and original.status in {"failed", "xfailed"}:
            return original.status
        return "failed" if run.message.startswith("duplicate of failed") else "duplicate"

    def resolved(self, run: Run) -> Run:
        """Return a duplicate with the numbers of the run that it repeats; others as they are."""
        original = self._runs.get(run.duplicate_of) if run.status == "duplicate" else None
        if original is None:
            return run
        if run.run_id not in self._resolved:
            self._resolved[run.run_id] = dataclasses.replace(
                run,
                metrics=run.metrics or original.metrics,
                eval_hash=run.eval_hash or original.eval_hash,
                data_hash=run.data_hash or original.data_hash,
                seconds=original.seconds,
                message=original.message or run.message,
            )
        return self._resolved[run.run_id]


def _evaluated_on(run: Run) -> str:
    return run.eval_hash or run.data_hash


def _statistic(values: Sequence[float]) -> Statistic:
    mean = _mean(values)
    if len(values) == 1:
        return Statistic(mean, None, 1)
    if not math.isfinite(mean):
        return Statistic(mean, math.nan, len(values))
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return Statistic(mean, math.sqrt(variance), len(values))


def _mean(values: Sequence[float]) -> float:
    if not all(map(math.isfinite, values)):
        return sum(values) / len(values)  # NaN and infinities, by IEEE 754
    # Three times 0.1 has the mean 0.1, not 0.10000000000000002: a threshold may sit there.
    return min(max(math.fsum(values) / len(values), min(values)), max(values))


def _is_result(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _names(runs: Iterable[Run]) -> set[str]:
    return {name for run in runs for name in run.metrics}


class _Field:
    """All that a threshold is judged in, of which only a part may be at hand.

    Attributes
    ----------
    statuses : mapping of str to int
        How the runs ended whose data is in use.
    names : collection of str
        The metrics that any run logged.
    """

    def __init__(
        self, found: Sequence[Configuration], runs: Iterable[Run], totals: Totals | None = None
    ) -> None:
        self._found = found
        self._totals = totals
        self.names: Collection[str] = totals.names if totals else _names(runs)
        self.statuses: Mapping[str, int] = (
            totals.statuses
            if totals
            else Counter(outcome for each in found if each.is_current for outcome in each.outcomes)
        )

    def varies(self, name: str) -> bool:
        """Tell whether a parameter differs between configurations; one that is not there does."""
        if self._totals:
            return name in self._totals.varying
        params = (each.params for each in self._found)
        return len({_key({name: each[name]}) if name in each else None for each in params}) > 1


def _judge(
    found: Sequence[Configuration],
    spec: ExperimentSpec,
    whole_grid: bool,
    field: _Field,
    experiment: str = "",
) -> list[ThresholdOutcome]:
    ended = field.statuses.keys()
    whole = whole_grid and not _OPEN & ended and not ended <= _UNTRIED
    experiment = experiment or next((each.runs[0].experiment for each in found), "")
    outcomes = []
    for bound, metric, limit in spec.bounds():
        ranking = spec.metric or metric
        goal = spec.goal_for(ranking) or ("max" if bound == "at_least" else "min")
        winner = best(found, ranking, goal)
        value = winner.value(metric) if winner else None
        reached = value is not None and (value >= limit if bound == "at_least" else value <= limit)
        text = (
            _verdict(bound, metric, limit, value, _about(winner, field), reached=reached)
            if winner and value is not None
            else f"{bound}={limit:g} for {metric!r}: "
            + _why_no_value(metric, ranking, found, field)
        )
        outcomes.append(
            ThresholdOutcome(
                experiment=experiment,
                metric=metric,
                bound=bound,
                limit=limit,
                value=value,
                status=("reached" if reached else "missed") if whole else "partial",
                configuration=winner.params if winner else {},
                n=winner.statistics[metric].n if winner and value is not None else 0,
                message=text if whole else f"{text}; only a part of the grid has run",
            )
        )
    return outcomes


def _verdict(  # noqa: PLR0913  # the parts of one sentence
    bound: Literal["at_least", "at_most"],
    metric: str,
    limit: float,
    value: float,
    about: str,
    *,
    reached: bool,
) -> str:
    short = "NaN" if math.isnan(value) else f"{value:.4g}"
    if float(short) == limit and value != limit:
        short = repr(value)  # 0.94999 must not be said to miss 0.95 as "0.95"
    return f"{metric} {short} {'reaches' if reached else 'misses'} {bound}={limit:g}{about}"


def _about(winner: Configuration, field: _Field) -> str:
    """Return in brackets what sets the best configuration apart, and over how many runs."""
    details = [f"{name}={item}" for name, item in winner.params.items() if field.varies(name)]
    n = len(winner.runs)
    about = [", ".join(details)] * bool(details) + [f"mean of {n} runs"] * (n > 1)
    return f" ({'; '.join(about)})" if about else ""


def _why_no_value(metric: str, ranking: str, found: Sequence[Configuration], field: _Field) -> str:
    ends = sorted(field.statuses.items())
    count = ", ".join(f"{n} {status}" for status, n in ends if status not in COUNTED)
    ended = f" ({count})" if count else ""
    for name in (metric, ranking):
        if name not in field.names and field.names:
            return f"{name!r} was never logged{ended}; {nearest(name, field.names)}"
    values = [each.value(ranking) for each in found]
    if any(map(_is_result, values)):
        return f"the best configuration by {ranking!r} has no {metric!r} in each of its runs"
    if any(value is not None for value in values):
        return f"{ranking!r} is not a finite number in any configuration{ended}"
    return f"no configuration has {ranking!r} in each of its runs{ended}"


def _newest_with_value(runs: Iterable[Run], metric: str, originals: _Originals) -> Run | None:
    resolved = [originals.resolved(run) for run in runs if originals.outcome(run) in COUNTED]
    with_value = [run for run in resolved if _is_result(run.metrics.get(metric))]
    return max(with_value, key=_age, default=None)


def _best_on(
    runs: Iterable[Run], data: frozenset[str], spec: ExperimentSpec, originals: _Originals
) -> Configuration | None:
    """Return the best configuration that was evaluated on exactly this data."""
    # Run by run first: earlier replicates on more folds must not hide those on the same ones.
    resolved = [originals.resolved(run) for run in runs]
    sources = {run.data_hash for run in resolved if _evaluated_on(run) in data}
    same = [
        run
        for run in resolved
        # A run that was never evaluated stays, on the same source: its configuration lacks a value.
        if _evaluated_on(run) in data or (not run.eval_hash and run.data_hash in sources)
    ]
    # Code by code: a later version that did worse must not hide what an earlier one reached.
    versions: dict[str, list[Run]] = {}
    for run in same:
        versions.setdefault(run.code_hash, []).append(run)
    found = [
        each
        for version in versions.values()
        for each in _configurations(version, spec, originals)
        if each.evaluated_on == data
    ]
    metric = spec.metric or ""
    return best(found, metric, spec.goal_for(metric))


def _newest_configuration(
    runs: Iterable[Run], newest: Run, spec: ExperimentSpec, originals: _Originals
) -> Configuration:
    shared = _key(_split(newest.params, spec.replicates)[0])
    same = [run for run in runs if _key(_split(run.params, spec.replicates)[0]) == shared]
    return _configurations(same, spec, originals)[0]


def _compare(
    now: Configuration, then: Configuration, spec: ExperimentSpec, goal: Goal
) -> BestSoFar:
    metric = spec.metric or ""
    difference = now.statistics[metric].mean - then.statistics[metric].mean
    gain = difference if goal == "max" else -difference
    status: Literal["beaten", "equalled", "unbeaten", "fewer-replicates"] = (
        "beaten" if gain > 0 else "unbeaten" if gain < 0 else "equalled"
    )
    if gain > 0 and not _replicates_of(then, spec) <= _replicates_of(now, spec):
        status = "fewer-replicates"
    return BestSoFar(metric, status, now, then, gain)


def _replicates_of(found: Configuration, spec: ExperimentSpec) -> set[_Key]:
    return {
        _key(_split(run.params, spec.replicates)[1])
        for run, outcome in zip(found.runs, found.outcomes, strict=True)
        if outcome in COUNTED
    }


def _share(data: frozenset[str], group: list[tuple[Assessment, Configuration]]) -> SharedData:
    asked = {(assessment.spec.metric, assessment.goal) for assessment, _ in group}
    entries = {id(each): (assessment.experiment, each) for assessment, each in group}
    if len(asked) > 1:  # no common yardstick: listed, not ranked
        return SharedData(data, None, None, tuple(entries.values()))
    ((metric, goal),) = asked
    ranked = rank([each for _, each in group], metric or "", goal)
    return SharedData(data, metric, goal, tuple(entries[id(each)] for each in ranked))
