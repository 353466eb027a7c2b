"""Remarks: what a report says in words below a table, the same for every renderer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_kepler.errors import nearest
from pytest_kepler.records import NOT_STARTED
from pytest_kepler.reports.summary import MOST_FOLDS
from pytest_kepler.reports.wording import (
    age,
    clean,
    count,
    date,
    duration,
    first_line,
    listing,
    number,
    plural,
    settings,
    short,
    value,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pytest_kepler.records import (
        BestSoFar,
        ClaimOutcome,
        Comparison,
        Configuration,
        Finding,
        Run,
    )
    from pytest_kepler.reports.layout import Paint, Symbols
    from pytest_kepler.reports.summary import Fold, FoldedFinding, Note, Section, SessionReport

_PAINTS: Final[dict[str, Paint]] = {
    "failed": "bad",
    "error": "bad",
    "crashed": "bad",
    "blocked": "warn",
    "interrupted": "warn",
    "unsound": "warn",
    "new": "good",
}
_MOST_FINDINGS: Final = 6
_MOST_PLACES: Final = 3
#: Seconds; what duplicates saved is told from here on.
_WORTH_SAVING: Final = 0.0995
#: How runs end that have said all that they would.
_DONE: Final = frozenset({"passed", "duplicate"})
#: Why a run is new where nothing was known, or where that was asked for: not worth a line.
_OBVIOUS: Final = frozenset({"first run", "asked for by --kepler-duplicates=run"})
#: A place with a name or a number of its own, such as ``column 'mass'``.
_NUMBERED: Final = re.compile(r"(?P<kind>(.*\b)?(column|epoch|layer|row)) (?P<name>'.*'|\d+)$")


@dataclass(frozen=True, slots=True)
class Remark:
    """A labelled sentence, perhaps with a second one below it."""

    label: str
    text: str
    paint: Paint = ""
    below: str = ""


def remarks(section: Section, symbols: Symbols, now: datetime, *, is_session: bool) -> list[Remark]:
    """Return what is said below an experiment's table.

    Parameters
    ----------
    section : Section
        The experiment.
    symbols : Symbols
        Of the output.
    now : datetime
        Ages count back from it.
    is_session : bool
        Whether it is told of a session: why runs are new, and what duplicates saved.
    """
    found = [*_thresholds(section, symbols), *_unknown_metric(section)]
    found += [_comparison(each, symbols) for each in section.assessment.comparisons]
    found += [_claim(each, symbols) for each in section.assessment.claims]
    best = section.assessment.best_so_far
    if best and not (best.status == "equalled" and _is_repetition(section)):
        found.append(Remark("best so far", _best_so_far(best, section.varying, symbols, now)))
    if is_session:
        news = [fold for fold in section.news if fold.text not in _OBVIOUS]
        found += _folds(news, symbols)
        found += _duplicates(section, symbols)
    found += _folds(section.troubles, symbols)
    found += _other_data(section)
    found += findings(section.findings, symbols)
    found += [_note(note, section, now, symbols) for note in section.notes]
    return found


#: How a gate ends behind which experiments train: by its own run, or by an earlier session's.
_PASSED = frozenset({"passed", "reused"})


def gates(report: SessionReport, symbols: Symbols) -> list[Remark]:
    """Return one line for the sanity tests, and one for each that failed and blocked nothing.

    What a failed one blocked is told, with its message, where the experiment is.
    """
    ran = report.gates
    told = {cause for section in report.sections for cause in section.failed_gates}
    if not ran:
        return []
    passed = [gate for gate in ran if gate.status in _PASSED]
    reused = [gate for gate in ran if gate.status == "reused"]
    seconds = duration(sum(gate.seconds or 0.0 for gate in ran if gate not in reused))
    word = f"all {len(ran)} passed" if len(ran) > 1 else "passed"
    if len(passed) < len(ran):
        word = f"{len(ran) - len(passed)} of {len(ran)} did not pass"
    text = f"{word}{symbols.dot}{seconds}"
    if reused:
        saved = duration(sum(gate.seconds or 0.0 for gate in reused))
        text += f"{symbols.dot}{len(reused)} by an earlier session{symbols.dot}saved {saved}"
    remark = Remark("gates", text, "" if len(passed) == len(ran) else "bad")
    return [remark] + [
        Remark(
            gate.status,
            clean(gate.node_id) + (f": {line}" if (line := first_line(gate.message)) else ""),
            _PAINTS.get(gate.status, "warn"),
        )
        for gate in ran
        if gate not in passed and gate.node_id not in told
    ]


def _is_repetition(section: Section) -> bool:
    """Tell whether nothing was executed: the best is then the very run that was the best."""
    return all(run.status in NOT_STARTED for run in section.assessment.runs)


def findings(folded: Sequence[FoldedFinding], symbols: Symbols) -> list[Remark]:
    """Return an entry for each kind of finding: the first in full, the others by their place."""
    groups: dict[tuple[str, ...], list[FoldedFinding]] = {}
    for each in folded:
        one = each.finding
        groups.setdefault((one.code, one.severity, one.fix, one.waiver), []).append(each)
    kinds = list(groups.values())
    shown = [_finding(group, symbols) for group in kinds[:_MOST_FINDINGS]]
    rest = len(kinds) - len(shown)
    if rest:
        shown.append(Remark("", f"{symbols.more} {count(rest, 'more finding')}", "dim"))
    return shown


def describe_finding(finding: Finding) -> str:
    """Return a finding's place, message and measure in one sentence."""
    place = "" if finding.tells_its_place else f"{clean(finding.location)}: "
    details = [
        f"{word} {shown}"
        for word, pairs in (("measured", finding.measured), ("limit", finding.threshold))
        if not finding.tells_its_measure and (shown := _pairs(pairs))
    ]
    return f"{place}{clean(finding.message)}" + (f" ({'; '.join(details)})" if details else "")


def finding_label(finding: Finding) -> tuple[str, Paint]:
    """Return what stands before a finding, and its colour."""
    if finding.waiver:
        return f"{finding.code} waived", "dim"
    paint: Paint = "bad" if finding.severity == "error" else "warn"
    return f"{finding.code} {finding.severity}", paint


def finding_below(finding: Finding) -> str:
    """Return what stands below a finding: the reason of its waiver, else its fix, if any."""
    if finding.waiver:
        return f"waived: {clean(finding.waiver)}"
    return f"fix: {clean(finding.fix)}" if finding.fix else ""


def _finding(group: Sequence[FoldedFinding], symbols: Symbols) -> Remark:
    first = group[0]
    label, paint = finding_label(first.finding)
    n = len({run_id for each in group for run_id in each.run_ids})
    runs = f"{symbols.dot}{count(n, 'run')}" if n > 1 else ""
    places = dict.fromkeys(
        clean(each.finding.location) for each in group[1:] if each.finding.location
    )
    places.pop(clean(first.finding.location), None)
    more = f" Likewise {_listed(list(places))}." if places else ""
    text = describe_finding(first.finding) + more + runs
    return Remark(label, text, paint, finding_below(first.finding))


def _listed(places: Sequence[str]) -> str:
    """Return ``columns 'a', 'b', 'c' and 2 more``."""
    found = [_NUMBERED.match(place) for place in places]
    kinds = {each["kind"] if each else "" for each in found}
    if len(places) == 1 or len(kinds) > 1 or "" in kinds:
        return listing(places, _MOST_PLACES)
    names = [each["name"] for each in found if each]
    return f"{plural(kinds.pop())} {listing(names, _MOST_PLACES, ', ')}"


def _pairs(pairs: Mapping[str, object]) -> str:
    """Return numbers by name; lists, such as ids of rows, are for the journal."""
    return ", ".join(
        f"{clean(name)}={value(item)}"
        for name, item in pairs.items()
        if not isinstance(item, list | tuple | dict)
    )


def _thresholds(section: Section, symbols: Symbols) -> list[Remark]:
    marks: dict[str, tuple[str, Paint]] = {
        "reached": (symbols.good, "good"),
        "missed": (symbols.bad, "bad"),
        "partial": (symbols.part, "warn"),
    }
    return [
        Remark(f"{marks[each.status][0]} {each.status}", clean(each.message), marks[each.status][1])
        for each in section.assessment.thresholds
    ]


def _comparison(found: Comparison, symbols: Symbols) -> Remark:
    text = clean(found.message)
    if found.fails:
        return Remark(f"{symbols.bad} worse", text, "bad")
    if found.status == "better":
        below = "to make it the baseline: pytest --kepler-update-baseline"
        return Remark("baseline", text, "good", below)
    return Remark("baseline", text, "" if found.status in {"held", "itself"} else "warn")


def _claim(found: ClaimOutcome, symbols: Symbols) -> Remark:
    paints: dict[str, Paint] = {"supported": "good", "refuted": "bad", "inconclusive": "warn"}
    text = f"{symbols.opening}{clean(found.spec.claim)}{symbols.closing}"
    return Remark(found.verdict, text, paints[found.verdict], clean(found.message))


def vanished(report: SessionReport) -> list[Remark]:
    """Return a line for the experiments that only the baseline still has."""
    names = [clean(name) for name in report.vanished]
    if not names:
        return []
    verb = "is" if len(names) == 1 else "are"
    return [Remark("vanished", f"{listing(names)} {verb} in the baseline and not run", "warn")]


def _best_so_far(best: BestSoFar, varying: Sequence[str], symbols: Symbols, now: datetime) -> str:
    if best.earlier is None:
        return f"this session's: the first with a value of {best.metric}"
    run = _newest(best.earlier)
    source = f"run {short(run.duplicate_of or run.run_id)}, {age(run.started_at, now)}"
    if best.status == "data-changed":
        return f"not compared: the data changed since {source}"
    statistic = best.earlier.statistics[best.metric]
    about = settings(best.earlier.params, varying)
    earlier = f"{number(statistic.mean)}{symbols.dot}" + (f"{about}{symbols.dot}" if about else "")
    earlier += source
    gain = number(abs(best.difference or 0.0), digits=2)
    said = {
        "beaten": f"this session is {gain} better: a new best",
        "fewer-replicates": f"this session is {gain} better, in other replicates: no new best yet",
        "unbeaten": f"this session is {gain} behind",
        "equalled": "equalled",
        "no-value": "this session has no value",
    }[best.status]
    return f"{earlier}{symbols.dot}{said}"


def _newest(each: Configuration) -> Run:
    return max(each.runs, key=lambda run: (run.started_at, run.run_id))


def _folds(folds: Sequence[Fold], symbols: Symbols) -> list[Remark]:
    shown = [_fold(fold, symbols) for fold in folds[:MOST_FOLDS]]
    rest = sum(len(fold.run_ids) for fold in folds[MOST_FOLDS:])
    if rest:
        shown.append(
            Remark("", f"{symbols.more} {count(rest, 'more run')} for other reasons", "dim")
        )
    return shown


def _fold(fold: Fold, symbols: Symbols) -> Remark:
    n = count(len(fold.run_ids), "run")
    details = [each for each in fold.details if each]
    if fold.label == "blocked" and details:
        n = f"{n} with {details.pop()}"
    parts = [f"{n}: {fold.text}" if fold.text else n]
    if details:
        rest = len(fold.run_ids) - len(fold.details)
        parts.append("; ".join(details) + (f" and {rest} more" if rest > 0 else ""))
    if fold.label in {"failed", "error", "crashed"}:
        parts.append(short(fold.run_ids[0]))
    return Remark(fold.label, symbols.dot.join(parts), _PAINTS.get(fold.label, "dim"))


def _duplicates(section: Section, symbols: Symbols) -> list[Remark]:
    n = section.outcomes.get("duplicate", 0)
    if not n:
        return []
    text = f"{count(n, 'run')} not trained again"
    saved = section.assessment.saved_seconds
    if saved >= _WORTH_SAVING:
        text += f"{symbols.dot}{duration(saved)} saved"
    return [Remark("duplicates", text, "dim")]


def _unknown_metric(section: Section) -> list[Remark]:
    """Say that no run has the headline metric; where it has a threshold, that says so."""
    metric = section.assessment.spec.metric
    logged = {name for each in section.rows for name in each.statistics}
    judged = {each.metric for each in section.assessment.thresholds}
    if metric is None or metric in logged | judged:
        return []
    if not logged and not any(run.status in _DONE for run in section.assessment.runs):
        return []
    known = nearest(metric, logged) if logged else "nothing was"
    return [Remark("metric", f"{metric!r} was never logged; {known}", "warn")]


def _other_data(section: Section) -> list[Remark]:
    n = section.n_other_data
    if not n:
        return []
    verb = "was" if n == 1 else "were"
    text = f"{count(n, 'configuration')} {verb} evaluated on other data than the newest session's"
    return [Remark("not ranked", text, "dim")]


def _note(note: Note, section: Section, now: datetime, symbols: Symbols) -> Remark:
    place = "" if note.about == section.assessment.experiment else f"run {short(note.about)}, "
    return Remark("note", f"{clean(note.text)}{symbols.dot}{place}{date(note.at, now)}")
