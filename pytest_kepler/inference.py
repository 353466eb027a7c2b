"""Inference: what becomes of a claim, from the runs of its experiment.

The two sides of a claim are paired over replicates. Where both have the same other parameters,
they are compared at equal ones, and a replicate counts by the mean over these: a grid does not
make pairs of its own. Where they have not, each side stands with its best configuration, chosen for
each replicate on the *other* replicates: the seeds that pick a winner do not judge it.

Looking again: a first look has the level .95. A later one at more of the same runs, the k-th, has
the level ``1 - .05 / (k * (k - 1))``. If there is no difference, each of the two wrong verdicts
comes at a first look with a probability of 2.5 %, and at all later ones together of at most as much
again, by the union bound: however often one looks, 5 %.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.errors import nearest
from pytest_kepler.intervals import (
    LEAST_PAIRS,
    LEVEL,
    interval_of,
    mean_and_deviation,
    student,
    variance_factor,
    without_rounding,
)
from pytest_kepler.records import COUNTED, ClaimOutcome

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from pytest_kepler.records import Assessment, ClaimSpec, Configuration, Decided, Run

_FOLD: Final = "fold"
#: Beyond so many pairs nobody is sent to train more.
_MOST_PAIRS: Final = 1000
#: With fewer ways to choose from, none was picked out.
_LEAST_CHOICE: Final = 3
_Replicate = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Side:
    """The configurations that one side of a claim stands for, by their other parameters."""

    found: dict[str, dict[_Replicate, Run]] = field(default_factory=dict)

    def replicates(self) -> set[_Replicate]:
        return {one for runs in self.found.values() for one in runs}


@dataclass(slots=True)
class _Pairs:
    """Differences in the goal's direction, one a replicate, and the runs that they come from."""

    differences: dict[_Replicate, float] = field(default_factory=dict)
    runs: dict[_Replicate, list[Run]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    not_finite: str = ""


def level_of(look: int) -> float:
    """Return the level of the interval at the `look`-th look, counted from 1."""
    return LEVEL if look <= 1 else 1 - (1 - LEVEL) / (look * (look - 1))


def decide_claims(
    assessments: Iterable[Assessment],
    decided: Collection[Decided] = (),
    originals: Mapping[str, Run] | None = None,
) -> list[ClaimOutcome]:
    """Decide the claims of experiments.

    Parameters
    ----------
    assessments : iterable of Assessment
        The experiments, judged; their specs have the claims.
    decided : collection of Decided
        What was decided of them before: looks, and when they were worded.
    originals : mapping of run id to Run, optional
        The executed runs that duplicates repeat: when they began tells what was known when.
    """
    return [
        _decide(assessment, claim, decided, originals or {})
        for assessment in assessments
        for claim in assessment.spec.claims
    ]


def _decide(
    assessment: Assessment,
    claim: ClaimSpec,
    decided: Collection[Decided],
    originals: Mapping[str, Run],
) -> ClaimOutcome:
    before = [
        one
        for one in decided
        if one.experiment == assessment.experiment and one.definition == claim.definition
    ]
    pairs = _paired(assessment, claim)
    worded_at = min((one.worded_at for one in before), default=_began(assessment))
    told = _leave_out_what_picked(assessment, claim, pairs, worded_at, originals)
    evidence = frozenset(_token(run) for runs in pairs.runs.values() for run in runs)
    look = 1 + len(
        {
            one.evidence
            for one in before
            if one.n_pairs >= LEAST_PAIRS and one.evidence & evidence and one.evidence != evidence
        }
    )
    return _verdict(assessment, claim, pairs, [*pairs.remarks, *told], look, evidence)


def _began(assessment: Assessment) -> datetime:
    """Return when the newest session of an experiment began, as far as its runs tell."""
    newest = max(assessment.runs, key=lambda run: (run.started_at, run.run_id)).session_id
    return min(run.started_at for run in assessment.runs if run.session_id == newest)


def _token(run: Run) -> str:
    # Not the id itself: that of a purged run must be nowhere.
    executed = run.duplicate_of or run.run_id
    return hashlib.blake2b(executed.encode(), digest_size=8).hexdigest()


# Pairing


def _paired(assessment: Assessment, claim: ClaimSpec) -> _Pairs:
    current = [each for each in assessment.configurations if each.is_current]
    named = claim.better.keys() | claim.than.keys()
    replicates = assessment.spec.replicates
    better = _side(current, claim.better, claim.metric, named, replicates)
    than = _side(current, claim.than, claim.metric, named, replicates)
    pairs = _Pairs()
    for side, wanted in ((better, claim.better), (than, claim.than)):
        if not side.found:
            shown = ", ".join(f"{name}={value!r}" for name, value in wanted.items())
            pairs.remarks.append(f"no run has {shown}")
    shared = [other for other in better.found if other in than.found]
    if shared:
        alone = len(better.found) + len(than.found) - 2 * len(shared)
        if alone:
            pairs.remarks.append(f"{alone} configurations have no counterpart and are left out")
        _pair_matched(pairs, claim, [(better.found[key], than.found[key]) for key in shared])
    elif better.found and than.found:
        _pair_best(pairs, claim, better, than)
    return pairs


def _side(
    found: Iterable[Configuration],
    wanted: Mapping[str, Any],
    metric: str,
    named: Collection[str],
    replicates: Sequence[str],
) -> _Side:
    side = _Side()
    for each in found:
        if not all(_same(each.params.get(name, ...), value) for name, value in wanted.items()):
            continue
        others = {name: value for name, value in each.params.items() if name not in named}
        side.found[repr(sorted(others.items()))] = {
            _replicate(run, replicates): run
            for run, outcome in zip(each.runs, each.outcomes, strict=True)
            if outcome in COUNTED and metric in run.metrics
        }
    return side


def _same(value: object, wanted: object) -> bool:
    # 1 and True are two settings; 1 and 1.0 are what a person may write for one.
    return isinstance(value, bool) == isinstance(wanted, bool) and value == wanted


def _replicate(run: Run, names: Sequence[str]) -> _Replicate:
    return tuple((name, repr(run.params[name])) for name in names if name in run.params)


def _pair_matched(
    pairs: _Pairs,
    claim: ClaimSpec,
    matched: Sequence[tuple[dict[_Replicate, Run], dict[_Replicate, Run]]],
) -> None:
    """Pair at equal other parameters; a replicate that lacks a value anywhere is left out."""
    everywhere = dict.fromkeys(one for sides in matched for side in sides for one in side)
    n_without = 0
    for one in everywhere:
        if not all(one in side for sides in matched for side in sides):
            n_without += 1
            continue
        runs = [(better[one], than[one]) for better, than in matched]
        _add(pairs, claim, one, runs)
    if n_without:
        pairs.remarks.append(
            f"{n_without} of {len(everywhere)} replicates lack a value and are left out"
        )


def _pair_best(pairs: _Pairs, claim: ClaimSpec, better: _Side, than: _Side) -> None:
    """Pair the best of each side, chosen on the other replicates."""
    common = sorted(better.replicates() & than.replicates())
    choice = max(len(better.found), len(than.found))
    if choice > 1 and len(common) > 1:
        pairs.remarks.append(
            "each side by its best configuration, chosen for each replicate on the others"
        )
    for one in common:
        others = [other for other in common if other != one]
        chosen = [_best_on(side, claim, one, others) for side in (better, than)]
        if chosen[0] is not None and chosen[1] is not None:
            _add(pairs, claim, one, [(chosen[0], chosen[1])])


def _best_on(
    side: _Side, claim: ClaimSpec, one: _Replicate, others: Sequence[_Replicate]
) -> Run | None:
    """Return the run of a replicate in the configuration that is best on the others."""
    if len(side.found) > 1 and not others:
        return None
    sign = 1.0 if claim.goal == "max" else -1.0
    ranked = [
        (sign * math.fsum(runs[other].metrics[claim.metric] for other in others), key)
        for key, runs in side.found.items()
        if one in runs and all(other in runs for other in others)
    ]
    ranked = [each for each in ranked if math.isfinite(each[0])]
    return side.found[max(ranked)[1]][one] if ranked else None


def _add(pairs: _Pairs, claim: ClaimSpec, one: _Replicate, runs: Sequence[tuple[Run, Run]]) -> None:
    sign = 1.0 if claim.goal == "max" else -1.0
    values = [[run.metrics[claim.metric] for run in pair] for pair in runs]
    for pair, numbers in zip(runs, values, strict=True):
        for run, number in zip(pair, numbers, strict=True):
            if not math.isfinite(number) and not pairs.not_finite:
                pairs.not_finite = f"{claim.metric} is {number} in run {run.short_id}"
    differences = [sign * (better - than) for better, than in values]
    scale = max(abs(number) for numbers in values for number in numbers)
    mean = math.fsum(differences) / len(differences) if not pairs.not_finite else math.nan
    pairs.differences[one] = without_rounding([mean], scale)[0]
    pairs.runs[one] = [run for pair in runs for run in pair]


# What was known before


def _leave_out_what_picked(
    assessment: Assessment,
    claim: ClaimSpec,
    pairs: _Pairs,
    worded_at: datetime,
    originals: Mapping[str, Run],
) -> list[str]:
    """Say that results were in before the claim; leave them out where they picked its winner."""
    known = [
        one
        for one, runs in pairs.runs.items()
        if any(_is_before(run, worded_at, originals) for run in runs)
    ]
    if not known:
        return []
    said = f"worded after {len(known)} of its {len(pairs.runs)} pairs were in"
    if not _is_winner(assessment, claim):
        return [said]
    for one in known:
        del pairs.differences[one], pairs.runs[one]
    return [f"{said}, which picked the winner: they do not count, new replicates do"]


def _is_before(run: Run, moment: datetime, originals: Mapping[str, Run]) -> bool:
    executed = originals.get(run.duplicate_of) if run.duplicate_of else run
    return executed is None or executed.started_at < moment


def _is_winner(assessment: Assessment, claim: ClaimSpec) -> bool:
    """Tell whether the side that is to be better is the best of three or more in the grid."""
    levels: dict[str, list[float]] = {}
    wanted = ""
    for each in assessment.configurations:
        statistic = each.statistics.get(claim.metric)
        if not each.is_current or statistic is None or not math.isfinite(statistic.mean):
            continue
        level = repr([each.params.get(name) for name in claim.better])
        levels.setdefault(level, []).append(statistic.mean)
        if all(_same(each.params.get(name, ...), value) for name, value in claim.better.items()):
            wanted = level
    if len(levels) < _LEAST_CHOICE or wanted not in levels:
        return False
    sign = 1.0 if claim.goal == "max" else -1.0
    means = {level: sign * math.fsum(found) / len(found) for level, found in levels.items()}
    return means[wanted] >= max(means.values())


# The verdict


def _verdict(  # noqa: PLR0913, PLR0917  # what a verdict rests on
    assessment: Assessment,
    claim: ClaimSpec,
    pairs: _Pairs,
    remarks: list[str],
    look: int,
    evidence: frozenset[str],
) -> ClaimOutcome:
    def outcome(verdict: Any, text: str, **numbers: Any) -> ClaimOutcome:
        message = "; ".join([text, *remarks])
        known = {"look": look, "evidence": evidence, "n_pairs": len(pairs.differences), **numbers}
        return ClaimOutcome(assessment.experiment, claim, verdict, message, **known)

    n = len(pairs.differences)
    if pairs.not_finite:
        return outcome("inconclusive", f"{pairs.not_finite}, so nothing can be told")
    if n < LEAST_PAIRS:
        return outcome("inconclusive", _too_few(assessment, claim, n))
    level = level_of(look)
    if look > 1:
        remarks.append(f"look {look}, so the level is {level:.4g}")
    differences = list(pairs.differences.values())
    n_folds = _n_folds(pairs)
    estimate = math.fsum(differences) / n
    interval = interval_of(differences, n_folds=n_folds, level=level) or (estimate, estimate)
    low, high = interval
    numbers = {"estimate": estimate, "low": low, "high": high, "level": level}
    text = f"{claim.metric} {_side_text(estimate)} [{low:.3g}, {high:.3g}] over {n} pairs"
    if claim.margin:
        text += f", margin {claim.margin:g}"
    if low > claim.margin:
        return outcome("supported", text, **numbers)
    if high < claim.margin:
        return outcome("refuted", text, **numbers)
    more = _more_pairs(differences, claim.margin, n_folds, level_of(look + 1))
    word = "seeds" if not n_folds else "repetitions of the folds"
    if more is None:
        remarks.append("no number of pairs that is worth training would decide")
    else:
        remarks.append(f"about {math.ceil(more / max(n_folds, 1))} more {word} would decide")
    return outcome("inconclusive", text, **numbers)


def _side_text(estimate: float) -> str:
    return f"{abs(estimate):.3g} {'better' if estimate >= 0 else 'worse'}"


def _too_few(assessment: Assessment, claim: ClaimSpec, n: int) -> str:
    logged = {name for run in assessment.runs for name in run.metrics}
    if logged and claim.metric not in logged:
        return f"{claim.metric!r} was never logged; {nearest(claim.metric, logged)}"
    names = " or ".join(assessment.spec.replicates)
    varied = {
        name for run in assessment.runs for name in assessment.spec.replicates if name in run.params
    }
    text = f"{n} pair{'' if n == 1 else 's'} of runs with a value, and two are the least"
    return text if varied else f"{text}: parametrize {names}"


def _n_folds(pairs: _Pairs) -> int:
    folds = {value for one in pairs.differences for name, value in one if name == _FOLD}
    return len(folds) if len(folds) > 1 else 0


def _more_pairs(
    differences: Sequence[float], margin: float, n_folds: int, level: float
) -> int | None:
    """Return how many more pairs would decide, if mean and spread stayed what they are."""
    mean, deviation = mean_and_deviation(differences)
    distance = abs(mean - margin)
    for n in range(len(differences) + 1, _MOST_PAIRS + 1):
        half = student(level, n - 1) * deviation * math.sqrt(variance_factor(n, n_folds))
        if half < distance:
            return n - len(differences)
    return None
