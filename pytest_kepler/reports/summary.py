"""Summary: the model of a report, built from judged experiments; drawn by the renderers."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_kepler.records import COUNTED, EMPTY, NOT_STARTED
from pytest_kepler.reports.wording import first_line, listing, settings, utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from pytest_kepler.records import (
        Assessment,
        Configuration,
        Finding,
        Run,
        SharedData,
        Totals,
    )

_RUN_ID: Final = re.compile(r"\brun ([0-9a-f]{4,})\b")
#: Each run that was never tried names its own parameters; as a reason they are one.
_UNTRIED: Final = re.compile(r"^(parameters not run before) \(.*\)$")
_SEVERITIES: Final = ("error", "warning", "note")
#: How many causes of trouble are told, and of how many runs the parameters.
MOST_FOLDS: Final = 5
MOST_DETAILS: Final = 3
#: What stands between the causes in the message of a blocked run.
_BETWEEN_CAUSES: Final = "; "
#: The order in which what gave no number is told.
_TROUBLE: Final = (
    "blocked",
    "failed",
    "error",
    "crashed",
    "interrupted",
    "pruned",
    "skipped",
    "xfailed",
    "running",
    "unsound",
)


@dataclass(frozen=True, slots=True)
class Gate:
    """What became of a sanity test: its status, and the message of a failure."""

    node_id: str
    status: str
    seconds: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """An inference in words, on a run or an experiment."""

    about: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Fold:
    """Several runs that the same is said of.

    ``label`` is a status, or ``new`` for a reason why runs are new; ``details`` are the
    parameters of the first runs, of blocked ones those that they all share.
    """

    label: str
    text: str
    run_ids: tuple[str, ...]
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoldedFinding:
    """A finding and the runs that it was found in; none for one of a sanity test."""

    finding: Finding
    run_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """What a report shows of one experiment.

    Attributes
    ----------
    assessment : Assessment
        The experiment, judged.
    rows : tuple of Configuration
        Those with a run that passed, best first; where there are totals, those that are shown.
    varying, metrics : tuple of str
        The parameters that differ between the rows; the metrics, the headline metric first.
    fixed : mapping
        The parameters that are the same in all configurations.
    n_replicates : int
        How many runs a configuration has, or 0 where that differs.
    outcomes : mapping of str to int
        Runs by how they ended, the newest of each; a duplicate counts as ``duplicate``.
    troubles, news : tuple of Fold
        Runs without a number, and those that are no ground to skip, by cause; runs by why they
        are new.
    findings : tuple of FoldedFinding
        What checks reported, errors first.
    notes : tuple of Note
        On the experiment or on its runs.
    failed_gates : frozenset of str
        The sanity tests whose failure the troubles tell.
    totals : Totals or None
        What is said of all configurations, where only some were read.
    """

    assessment: Assessment
    rows: tuple[Configuration, ...]
    varying: tuple[str, ...]
    metrics: tuple[str, ...]
    fixed: Mapping[str, object] = EMPTY
    n_replicates: int = 1
    outcomes: Mapping[str, int] = EMPTY
    troubles: tuple[Fold, ...] = ()
    news: tuple[Fold, ...] = ()
    findings: tuple[FoldedFinding, ...] = ()
    notes: tuple[Note, ...] = ()
    failed_gates: frozenset[str] = frozenset()
    totals: Totals | None = None

    @property
    def n_runs(self) -> int:
        """How many runs the experiment has."""
        return self.totals.n_runs if self.totals else len(self.assessment.runs)

    @property
    def n_configurations(self) -> int:
        """How many configurations the experiment has."""
        if self.totals:
            return self.totals.n_configurations
        return len(self.assessment.configurations)

    @property
    def n_rows(self) -> int:
        """How many configurations have a run that passed."""
        return self.totals.n_rows if self.totals else len(self.rows)

    @property
    def n_ranked(self) -> int:
        """How many of them have a place in the ranking."""
        return self.totals.n_ranked if self.totals else sum(map(self.is_ranked, self.rows))

    @property
    def n_other_data(self) -> int:
        """How many of them were evaluated on data that is no longer in use."""
        if self.totals:
            return self.totals.n_other_data
        return sum(not each.is_current for each in self.rows)

    def is_ranked(self, each: Configuration) -> bool:
        """Tell whether a configuration can be compared with the best."""
        found = each.value(self.assessment.spec.metric or "")
        return each.is_current and found is not None and math.isfinite(found)

    @property
    def newest(self) -> Run:
        """The run that was started last."""
        return max(self.assessment.runs, key=lambda run: (utc(run.started_at), run.run_id))


@dataclass(frozen=True, slots=True)
class SessionReport:
    """What is told after a session."""

    journal: str
    now: datetime
    sections: tuple[Section, ...]
    shared: tuple[SharedData, ...] = ()
    session_id: str = ""
    gates: tuple[Gate, ...] = ()
    #: Of sanity tests, which belong to no run.
    findings: tuple[FoldedFinding, ...] = ()
    #: Experiments of the baseline that the project does not have any more.
    vanished: tuple[str, ...] = ()
    #: What shows one of its runs.
    command: str = "kepler show"


@dataclass(frozen=True, slots=True)
class JournalReport:
    """What is told of a whole journal."""

    journal: str
    now: datetime
    sections: tuple[Section, ...]
    shared: tuple[SharedData, ...] = ()
    findings: tuple[FoldedFinding, ...] = field(default=())
    #: How many sessions the runs belong to.
    n_sessions: int = 0
    #: What shows one of its runs.
    command: str = "kepler show"

    @property
    def n_runs(self) -> int:
        """How many runs the journal has."""
        return sum(section.n_runs for section in self.sections)


Report = SessionReport | JournalReport


def session_report(  # noqa: PLR0913  # one argument for each of the journal's lists
    assessments: Iterable[Assessment],
    *,
    journal: str,
    now: datetime,
    session_id: str = "",
    shared: Iterable[SharedData] = (),
    findings: Iterable[tuple[str, Finding]] = (),
    gates: Iterable[Gate] = (),
    notes: Iterable[Note] = (),
    vanished: Iterable[str] = (),
) -> SessionReport:
    """Build the report of a session.

    Parameters
    ----------
    assessments : iterable of Assessment
        The session's experiments.
    journal : str
        The journal's path, as it is to be shown.
    now : datetime
        Ages count back from it; its time zone is that of dates.
    session_id : str, optional
        The session's id.
    shared : iterable of SharedData, optional
        Experiments side by side, on the same data.
    findings : iterable of (run id, Finding), optional
        The id is empty for what a sanity test found.
    gates : iterable of Gate, optional
        The sanity tests that ran.
    notes : iterable of Note, optional
        On runs and experiments.
    vanished : iterable of str, optional
        Experiments of the baseline that the project does not have any more.
    """
    found, ran = list(findings), tuple(gates)
    sections = _sections(assessments, found, list(notes), ran)
    return SessionReport(
        journal=journal,
        now=now,
        sections=tuple(sections),
        shared=tuple(shared),
        session_id=session_id,
        gates=ran,
        findings=_fold_findings([each for each in found if not each[0]]),
        vanished=tuple(vanished),
    )


def journal_report(  # noqa: PLR0913  # one argument for each of the journal's lists
    assessments: Iterable[Assessment],
    *,
    journal: str,
    now: datetime,
    shared: Iterable[SharedData] = (),
    findings: Iterable[tuple[str, Finding]] = (),
    notes: Iterable[Note] = (),
    totals: Mapping[str, Totals] = EMPTY,
    told: Mapping[str, Run] = EMPTY,
    n_sessions: int | None = None,
) -> JournalReport:
    """Build the report of a whole journal; the arguments are those of `session_report`.

    The experiment that ran last comes first.

    Parameters
    ----------
    totals : mapping of experiment to Totals, optional
        Of experiments that were assessed by some of their configurations.
    told : mapping of run id to Run, optional
        The runs that `told_runs` asks for.
    n_sessions : int, optional
        How many sessions the runs belong to; default: those of the assessments' runs.
    """
    found, judged = list(findings), list(assessments)
    sections = _sections(judged, found, list(notes), newest_first=True, totals=totals, told=told)
    sections.sort(key=lambda section: utc(section.newest.started_at), reverse=True)
    if n_sessions is None:
        n_sessions = len({run.session_id for each in judged for run in each.runs})
    return JournalReport(
        journal=journal,
        now=now,
        sections=tuple(sections),
        shared=tuple(shared),
        findings=_fold_findings([each for each in found if not each[0]]),
        n_sessions=n_sessions,
    )


def told_runs(totals: Mapping[str, Totals]) -> set[str]:
    """Return the ids of the runs whose parameters are told among the troubles."""
    asked: set[str] = set()
    for each in totals.values():
        for (label, _), ids in _grouped_troubles(each)[:MOST_FOLDS]:
            asked.update(ids if label == "blocked" else ids[:MOST_DETAILS])
    return asked


def _grouped_troubles(totals: Totals) -> list[tuple[tuple[str, str], list[str]]]:
    groups: dict[tuple[str, str], list[str]] = {}
    lines: dict[str, str] = {}
    for label, message, run_id in totals.troubles:
        if message not in lines:
            lines[message] = first_line(message)
        groups.setdefault((label, lines[message]), []).append(run_id)
    return sorted(groups.items(), key=lambda each: (_severity(each[0][0]), -len(each[1])))


def _severity(label: str) -> int:
    return _TROUBLE.index(label) if label in _TROUBLE else len(_TROUBLE)


def _sections(  # noqa: PLR0913  # one argument for each of the journal's lists
    assessments: Iterable[Assessment],
    findings: Sequence[tuple[str, Finding]],
    notes: Sequence[Note],
    gates: Sequence[Gate] = (),
    *,
    newest_first: bool = False,
    totals: Mapping[str, Totals] = EMPTY,
    told: Mapping[str, Run] = EMPTY,
) -> list[Section]:
    judged = list(assessments)
    owners = {run.run_id: each.experiment for each in judged for run in each.runs}
    found_in: dict[str, list[tuple[str, Finding]]] = {}
    for run_id, finding in findings:
        found_in.setdefault(owners.get(run_id, ""), []).append((run_id, finding))
    return [
        _section_of_totals(each, totals[each.experiment], told, notes)
        if each.experiment in totals
        else _section(
            each, found_in.get(each.experiment, ()), notes, gates, newest_first=newest_first
        )
        for each in judged
    ]


def _section_of_totals(
    assessment: Assessment, totals: Totals, told: Mapping[str, Run], notes: Sequence[Note]
) -> Section:
    """Build the section of an experiment of which only what is shown was read."""
    first = assessment.configurations[0].params
    names = [*(name for name in first if name in totals.fixed or name in totals.varying)]
    names += sorted(totals.varying - {*names})
    fixed = {name: totals.fixed[name] for name in names if name in totals.fixed}
    groups = _grouped_troubles(totals)
    return Section(
        assessment=assessment,
        rows=tuple(each for each in assessment.configurations if set(each.outcomes) & set(COUNTED)),
        varying=tuple(name for name in names if name in totals.varying),
        metrics=_metrics(assessment, totals.logged),
        fixed=fixed,
        n_replicates=totals.n_replicates,
        outcomes=totals.statuses,
        troubles=tuple(
            _told_trouble(label, text, ids, [told[one] for one in ids if one in told], fixed)
            for (label, text), ids in groups
        ),
        findings=_sorted_findings(FoldedFinding(each, ids) for each, ids in totals.findings),
        notes=tuple(
            note
            for note in notes
            if note.about == assessment.experiment or note.about in totals.noted
        ),
        totals=totals,
    )


def _told_trouble(
    label: str, text: str, ids: Sequence[str], runs: Sequence[Run], fixed: Mapping[str, object]
) -> Fold:
    is_blocked = label == "blocked"
    return Fold(
        label=label,
        text=_causes(text, runs[0], ()) if is_blocked and runs else text,
        run_ids=tuple(ids),
        details=_details(runs, fixed, is_blocked=is_blocked) if runs else (),
    )


def _section(
    assessment: Assessment,
    findings: Sequence[tuple[str, Finding]],
    notes: Sequence[Note],
    gates: Sequence[Gate],
    *,
    newest_first: bool,
) -> Section:
    found = assessment.configurations
    ids = {run.run_id for run in assessment.runs}
    varying, fixed = _differing([each.params for each in found])
    sizes = {len(each.runs) for each in found}
    newest = [
        (run, outcome, each)
        for each in found
        for run, outcome in zip(each.runs, each.outcomes, strict=True)
    ]
    if newest_first:
        newest.sort(key=lambda each: (each[0].started_at, each[0].run_id), reverse=True)
    return Section(
        assessment=assessment,
        rows=tuple(each for each in found if set(each.outcomes) & set(COUNTED)),
        varying=varying,
        metrics=_metrics(assessment, Counter(name for each in found for name in each.statistics)),
        fixed=fixed,
        n_replicates=sizes.pop() if len(sizes) == 1 else 0,
        outcomes=Counter(
            "duplicate" if run.status == "duplicate" else outcome for run, outcome, _ in newest
        ),
        troubles=_troubles([(run, outcome) for run, outcome, _ in newest], fixed, gates),
        news=_news([run for run, outcome, _ in newest if outcome not in NOT_STARTED]),
        findings=_fold_findings(findings),
        notes=tuple(
            note for note in notes if note.about == assessment.experiment or note.about in ids
        ),
        failed_gates=frozenset(
            gate.node_id
            for gate in gates
            for run, outcome, _ in newest
            if outcome == "blocked" and _failure_of(gate) in run.message.split(_BETWEEN_CAUSES)
        ),
    )


def _differing(params: Sequence[Mapping[str, object]]) -> tuple[tuple[str, ...], dict[str, object]]:
    first = list(params[0]) if params else []
    names = [*first, *sorted({name for each in params for name in each} - {*first})]
    # repr, not ==: 1, 1.0 and True are three settings.
    values = {name: {repr(each.get(name, ...)) for each in params} for name in names}
    varying = tuple(name for name in names if len(values[name]) > 1)
    return varying, {name: params[0][name] for name in names if len(values[name]) == 1}


def _metrics(assessment: Assessment, logged: Mapping[str, int]) -> tuple[str, ...]:
    """Return the headline metric, those with a threshold, then what most runs logged.

    What cross-validation logs beside a mean (``x_fold``, ``x_std`` beside ``x``) is no column,
    unless there is a threshold for it.
    """
    first = [assessment.spec.metric or "", *(each.metric for each in assessment.thresholds)]
    beside = {
        part
        for name in logged
        if {f"{name}_fold", f"{name}_std"} <= logged.keys()
        for part in (f"{name}_fold", f"{name}_std")
    }
    rest = sorted(logged.keys() - beside, key=lambda name: (-logged[name], name))
    return tuple(dict.fromkeys(name for name in (*first, *rest) if name in logged))


def _troubles(
    runs: Sequence[tuple[Run, str]], fixed: Mapping[str, object], gates: Sequence[Gate]
) -> tuple[Fold, ...]:
    groups: dict[tuple[str, str], list[Run]] = {}
    for run, outcome in runs:
        if outcome not in COUNTED:
            groups.setdefault((outcome, first_line(run.message)), []).append(run)
        if run.unsound:
            groups.setdefault(("unsound", first_line(run.unsound)), []).append(run)
    folds = [
        Fold(
            label=outcome,
            text=_causes(text, group[0], gates) if outcome == "blocked" else text,
            run_ids=tuple(run.run_id for run in group),
            details=_details(group, fixed, is_blocked=outcome == "blocked"),
        )
        for (outcome, text), group in groups.items()
    ]
    return tuple(sorted(folds, key=lambda fold: (_severity(fold.label), -len(fold.run_ids))))


def _details(
    runs: Sequence[Run], fixed: Mapping[str, object], *, is_blocked: bool
) -> tuple[str, ...]:
    """Return the parameters of some runs; of blocked ones what sets them all apart, as a cause."""
    if is_blocked:
        shared = _differing([run.params for run in runs])[1]
        return (settings(shared, [name for name in shared if name not in fixed]),)
    return tuple(
        settings(run.params, [name for name in run.params if name not in fixed])
        for run in runs[:MOST_DETAILS]
    )


def _failure_of(gate: Gate) -> str:
    """Return how the message of a blocked run names this sanity test as a cause."""
    return f"{gate.node_id} failed"


def _causes(text: str, run: Run, gates: Sequence[Gate]) -> str:
    """Return why a run was blocked, with what its sanity tests said, the others as they are."""
    said = {_failure_of(gate): first_line(gate.message) for gate in gates}
    file = f"{run.node_id.partition('::')[0]}::"
    causes = [
        # The file of the experiment stands in the title above.
        cause.removeprefix(file) + (f" ({said[cause]})" if said.get(cause) else "")
        for cause in text.split(_BETWEEN_CAUSES)
    ]
    return listing(causes)


def _news(runs: Sequence[Run]) -> tuple[Fold, ...]:
    """Fold the reasons why runs are new; those that differ only in the run named are one."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        if run.why_new and run.status != "duplicate":
            reason = _UNTRIED.sub(r"\1", _RUN_ID.sub("run", run.why_new))
            groups.setdefault(reason, []).append(run)
    folds = [
        Fold("new", _reason([run.why_new for run in group]), tuple(run.run_id for run in group))
        for group in groups.values()
    ]
    return tuple(sorted(folds, key=lambda fold: -len(fold.run_ids)))


def _reason(reasons: Sequence[str]) -> str:
    text = first_line(reasons[0]).removeprefix("new: ")
    if len(set(reasons)) == 1:
        return text
    text = _UNTRIED.sub(r"\1", text)
    others = len({found for reason in reasons for found in _RUN_ID.findall(reason)}) - 1
    return _RUN_ID.sub(rf"run \1 and {others} more", text, count=1) if others > 0 else text


def _fold_findings(findings: Sequence[tuple[str, Finding]]) -> tuple[FoldedFinding, ...]:
    groups: dict[tuple[str, ...], tuple[Finding, list[str]]] = {}
    for run_id, finding in findings:
        key = (finding.code, finding.location, finding.message, finding.waiver)
        groups.setdefault(key, (finding, []))[1].append(run_id)
    return _sorted_findings(
        FoldedFinding(finding, tuple(filter(None, run_ids))) for finding, run_ids in groups.values()
    )


def _sorted_findings(folded: Iterable[FoldedFinding]) -> tuple[FoldedFinding, ...]:
    return tuple(
        sorted(
            folded,
            key=lambda each: (
                bool(each.finding.waiver),
                _SEVERITIES.index(each.finding.severity),
                -len(each.run_ids),
                each.finding.code,
            ),
        )
    )
