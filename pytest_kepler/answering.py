"""From the journal to an answer: ingest, judge, build a report, render it.

The plugin, after a session or instead of one, and the command `kepler` answer through this.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from pytest_kepler import judging
from pytest_kepler.baseline import BASELINE_FILE, DEFAULT, read_baselines
from pytest_kepler.comparing import compare, require_known, vanished
from pytest_kepler.errors import KeplerUsageError, nearest
from pytest_kepler.inference import decide_claims
from pytest_kepler.journal import TIMEOUT, Journal, Long, Rows, find_journal, rows_as_json
from pytest_kepler.records import EMPTY
from pytest_kepler.reports import summary
from pytest_kepler.reports.jsonout import render_json
from pytest_kepler.reports.markdown import render_markdown
from pytest_kepler.reports.rows import render_rows
from pytest_kepler.reports.run import render_run
from pytest_kepler.reports.terminal import render_terminal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from pytest_kepler.journal import Hit, Note, Tried
    from pytest_kepler.records import (
        Assessment,
        BaselineEntry,
        ClaimOutcome,
        Comparison,
        Decided,
        Run,
        ThresholdOutcome,
        Tolerance,
    )
    from pytest_kepler.reports.summary import Report

Format = Literal["text", "markdown", "json"]


@dataclass(frozen=True, slots=True)
class Look:
    """How an answer is to look: the stream's width, colour and encoding."""

    format: Format = "text"
    width: int = 80
    colour: bool = False
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class Comparing:
    """What results are compared with.

    Attributes
    ----------
    name : str
        Of the baseline.
    entries : tuple of BaselineEntry
        Empty where there is none of this name, or it was not looked for in the journal.
    tolerances : mapping of str to Tolerance
        By metric.
    is_whole : bool
        Whether all experiments of the project were selected, so that one that is not there is gone.
    """

    name: str = DEFAULT
    entries: tuple[BaselineEntry, ...] = ()
    tolerances: Mapping[str, Tolerance] = EMPTY
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class SessionAnswer:
    """What a session comes to: its report, and its experiments, judged."""

    report: Report
    assessments: tuple[Assessment, ...]
    folder: Path
    partial: frozenset[str] = frozenset()
    comparing: Comparing | None = None

    @property
    def thresholds(self) -> tuple[ThresholdOutcome, ...]:
        """What became of the thresholds."""
        return tuple(one for each in self.assessments for one in each.thresholds)

    @property
    def claims(self) -> tuple[ClaimOutcome, ...]:
        """What became of the claims."""
        return tuple(one for each in self.assessments for one in each.claims)

    @property
    def worse(self) -> tuple[Comparison, ...]:
        """What lost more than is tolerated, beside the baseline."""
        found = (one for each in self.assessments for one in each.comparisons)
        return tuple(one for one in found if one.fails)


def _opened(path: Path) -> Journal:
    journal = Journal(path)
    journal.ingest()
    return journal


def find_baseline(
    folder: Path,
    journal_path: Path,
    name: str,
    tolerances: Mapping[str, Tolerance] = EMPTY,
) -> Comparing:
    """Return a baseline: that of ``kepler-baseline.toml`` in a folder, else the journal's.

    Raises
    ------
    KeplerUsageError
        If the file cannot be read, or there are tolerances and no baseline, or none for a metric.
    """
    in_file = read_baselines(folder / BASELINE_FILE)
    entries = in_file.get(name, [])
    known = set(in_file)
    if not entries and Journal(journal_path).exists():
        journal = _opened(journal_path)
        entries = journal.baseline(name)
        known.update(journal.baseline_names())
    if tolerances and not entries:
        msg = (
            f"There is no baseline {name!r} to compare with: {nearest(name, known)}. Make one with "
            "pytest --kepler-update-baseline."
        )
        raise KeplerUsageError(msg)
    require_known(tolerances, entries, name)
    return Comparing(name, tuple(entries), tolerances)


def answer_session(
    path: Path, session_id: str, comparing: Comparing | None = None
) -> SessionAnswer:
    """Take a session's spools into the journal, judge its experiments, and compare them.

    Raises
    ------
    JournalError
        If the journal cannot be written or read; the spools keep the runs.
    """
    journal = _opened(path)
    with journal.reading():
        runs = oldest_first(journal.session_runs(session_id))
        experiments = {run.experiment for run in runs}
        repeated = {run.duplicate_of for run in runs if run.duplicate_of}
        earlier = journal.past_runs(session_id, experiments, also=repeated)
        findings = journal.findings(session_id)
        gates = journal.gates(session_id)
        notes = journal.notes(run_ids=[run.run_id for run in runs], experiments=experiments)
        decided = journal.decided(experiments) if _any_claim(runs) else []
        if comparing is not None and not comparing.entries:
            comparing = replace(comparing, entries=tuple(journal.baseline(comparing.name)))
    partial = _partial(runs)
    assessments = judging.assess(runs, earlier=earlier, partial=partial)
    assessments = _concluded(assessments, comparing, decided, [*earlier, *runs], partial)
    report = summary.session_report(
        assessments,
        journal=shown_path(path),
        now=datetime.now().astimezone(),
        session_id=session_id,
        shared=judging.shared_data(assessments),
        findings=findings,
        gates=[summary.Gate(one.node_id, one.status, one.seconds, one.message) for one in gates],
        notes=_notes(notes),
        vanished=_vanished(assessments, comparing),
    )
    judged = tuple(assessments)
    report = replace(report, command=_show(path))
    return SessionAnswer(report, judged, journal.folder, frozenset(partial), comparing)


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """What ``kepler gate`` decides: the report, and a sentence for each reason to fail."""

    report: Report
    failures: tuple[str, ...]
    n_runs: int


def answer_gate(path: Path, comparing: Comparing, commit: str = "") -> GateAnswer:
    """Judge all that ran at a commit, whole: thresholds, the baseline, and how runs ended.

    Raises
    ------
    KeplerUsageError
        If nothing ran there.
    """
    journal = _opened(path)
    with journal.reading():
        runs = oldest_first(journal.runs_of_commit(commit))
        if not runs:
            what = f"at a commit that begins with {commit!r}" if commit else "yet"
            msg = f"The journal {shown_path(path)} has no runs {what}: there is nothing to judge."
            raise KeplerUsageError(msg)
        experiments = {run.experiment for run in runs}
        repeated = {run.duplicate_of for run in runs if run.duplicate_of}
        earlier = journal.past_runs("", experiments, also=repeated)
        findings = journal.findings(run_ids=[run.run_id for run in runs])
        decided = journal.decided(experiments) if _any_claim(runs) else []
    own = {run.run_id for run in runs}
    others = [run for run in earlier if run.run_id not in own]
    partial = _partial(runs)
    assessments = judging.assess(runs, earlier=others, partial=partial)
    assessments = _concluded(assessments, comparing, decided, [*earlier, *runs], partial)
    report = summary.session_report(
        assessments,
        journal=shown_path(path),
        now=datetime.now().astimezone(),
        shared=judging.shared_data(assessments),
        findings=findings,
        vanished=vanished(assessments, comparing.entries),
    )
    newest = {run.node_id: run for run in runs}
    failures = [*_missing(partial), *_failures(assessments, newest.values())]
    report = replace(report, command=_show(path))
    return GateAnswer(report, tuple(failures), len(newest))


#: How the newest run of a case ends where it is no ground for a green build.
_NOT_DONE = ("blocked", "failed", "error", "crashed", "interrupted", "running")


def _show(path: Path) -> str:
    """Return the command that shows a run of a journal to people in this folder."""
    is_found = find_journal(path.cwd()).resolve() == path.resolve()
    return "kepler show" if is_found else f"kepler show --journal {shown_path(path)}"


def _missing(partial: Mapping[str, tuple[int, int]]) -> Iterable[str]:
    for experiment, (n_seen, n_runs) in partial.items():
        yield f"{experiment}: only {n_seen} of its {n_runs} runs are there"


def _failures(assessments: Iterable[Assessment], newest: Collection[Run]) -> Iterable[str]:
    for each in assessments:
        bounds = [one for one in each.thresholds if one.status == "missed"]
        yield from (f"{each.experiment}: {one.message}" for one in bounds)
        yield from (f"{each.experiment}: {one.message}" for one in each.comparisons if one.fails)
    for status in _NOT_DONE:
        n = sum(run.status == status for run in newest)
        if n:
            yield f"{n} run{'s' * (n > 1)} {status}"


def _any_claim(runs: Iterable[Run]) -> bool:
    # Runs of one experiment share one spec: looked at once.
    return any("claims" in spec for spec in {id(run.spec): run.spec for run in runs}.values())


def _concluded(
    assessments: list[Assessment],
    comparing: Comparing | None,
    decided: Sequence[Decided],
    runs: Iterable[Run],
    partial: Collection[str] = (),
) -> list[Assessment]:
    """Return the experiments with what became of their claims, and beside the baseline."""
    if comparing is not None and comparing.entries:
        compared = compare(assessments, comparing.entries, comparing.tolerances, partial=partial)
        by_name: dict[str, list[Comparison]] = {}
        for one in compared:
            by_name.setdefault(one.experiment, []).append(one)
        assessments = [
            replace(each, comparisons=tuple(by_name.get(each.experiment, ())))
            for each in assessments
        ]
    if not any(each.spec.claims for each in assessments):
        return assessments
    executed = {run.run_id: run for run in runs if not run.duplicate_of}
    return [
        replace(each, claims=tuple(decide_claims([each], decided, executed)))
        for each in assessments
    ]


def _vanished(assessments: Iterable[Assessment], comparing: Comparing | None) -> list[str]:
    if comparing is None or not comparing.is_whole:
        return []
    return vanished(assessments, comparing.entries)


#: From so many runs on an experiment is folded by the database, unless all of it is to be told; and
#: only where there are so many times more in all: it costs the same for few.
LONG: Final = 100
_WORTH_FOLDING: Final = 20
#: Configurations that are read of a long experiment, from either end of its ranking: one more than
#: any table shows, so that it can say what lies between.
_N_BEST: Final = 31
_N_WORST: Final = 3


def journal_report(path: Path, *, long: int | None = None) -> Report:
    """Return the report of a whole journal; one that is not there is empty.

    Parameters
    ----------
    path : Path
        The journal.
    long : int, optional
        From so many runs on only those configurations of an experiment are read that a table of
        text shows; default: all are, whatever it takes.
    """
    journal = _opened(path)
    with journal.reading():
        tried = journal.glance()
        asked = [] if long is None else _long(tried, long)
        folded = journal.fold(asked, _N_BEST, _N_WORST)
        whole = [each.experiment for each in tried if each.experiment not in folded.totals]
        runs = oldest_first(journal.experiment_runs(whole))
        findings = journal.findings(run_ids=[run.run_id for run in runs])
        told = _by_id(journal.runs_of([*{*folded.run_ids, *summary.told_runs(folded.totals)}]))
        shown = [told[run_id] for run_id in folded.run_ids]
        repeated = {run.duplicate_of for run in shown if run.duplicate_of} - told.keys()
        executed = [*told.values(), *journal.runs_of([*repeated])]
        notes = journal.notes()
        decided = journal.decided({run.experiment for run in runs}) if _any_claim(runs) else []
        n_sessions = journal.n_sessions()
    partial = {each.experiment for each in tried if each.is_partial}
    judged = _by_experiment(
        judging.assess([*runs, *shown], partial=partial, totals=folded.totals, executed=executed)
    )
    assessments = [judged[each.experiment] for each in tried]
    assessments = _concluded(assessments, None, decided, runs)
    report = summary.journal_report(
        assessments,
        journal=shown_path(path),
        now=datetime.now().astimezone(),
        shared=judging.shared_data(assessments),
        findings=findings,
        notes=_notes(notes),
        totals=folded.totals,
        told=told,
        n_sessions=n_sessions,
    )
    return replace(report, command=_show(path))


def _long(tried: Iterable[Tried], least: int) -> list[Long]:
    """Return what the database is asked of experiments; of the others judging reads every run."""
    found = []
    n_runs = 0
    for each in tried:
        spec = judging.spec_of(each.spec)
        goal = spec.goal_for(spec.metric) if spec.metric else None
        if spec.metric and goal and not spec.claims and not each.is_nested and each.n_runs >= least:
            found.append(Long(each.experiment, spec.metric, goal == "max", spec.replicates))
            n_runs += each.n_runs
    return found if n_runs >= least * _WORTH_FOLDING else []


def _by_id(runs: Iterable[Run]) -> dict[str, Run]:
    return {run.run_id: run for run in runs}


def _by_experiment(assessments: Iterable[Assessment]) -> dict[str, Assessment]:
    return {each.experiment: each for each in assessments}


def shown_path(path: Path) -> str:
    """Return a path as people in this folder would write it."""
    try:
        return str(path.relative_to(path.cwd()))
    except (ValueError, OSError):
        return str(path)


def oldest_first(runs: Iterable[Run]) -> list[Run]:
    """Return runs in the order in which they started."""
    return sorted(runs, key=lambda run: (run.started_at, run.run_id))


def _partial(runs: Iterable[Run]) -> dict[str, tuple[int, int]]:
    """Return the experiments of which only a part of the grid is among the runs: of how many."""
    seen: dict[str, set[str]] = {}
    sizes: dict[str, int] = {}
    for run in runs:
        seen.setdefault(run.experiment, set()).add(run.node_id)
        grid = run.spec.get("grid")
        if isinstance(grid, int):
            sizes[run.experiment] = grid  # the newest counts: the grid may have grown since
    return {
        name: (len(nodes), sizes[name])
        for name, nodes in seen.items()
        if len(nodes) < sizes.get(name, 0)
    }


def _notes(notes: Iterable[Note]) -> list[summary.Note]:
    return [
        summary.Note(note.run_id or note.experiment, note.text, note.noted_at) for note in notes
    ]


def render(report: Report, look: Look) -> str:
    """Return a report as it is to look."""
    if look.format == "json":
        return render_json(report)
    if look.format == "markdown":
        return render_markdown(report)
    return render_terminal(report, look.width, look.colour, look.encoding)


def answer_report(path: Path, look: Look) -> str:
    """Answer ``kepler report``."""
    return render(journal_report(path, long=None if look.format == "json" else LONG), look)


def answer_query(path: Path, sql: str, look: Look, timeout: float = TIMEOUT) -> str:
    """Answer ``kepler query``: read-only SQL over the views, ended after `timeout` seconds."""
    return _rows(_opened(path).query(sql, timeout), look)


def answer_where(path: Path, expression: str, look: Look) -> str:
    """Answer ``--kepler-where``: the runs that a filter selects."""
    journal = _opened(path)
    rows = journal.where(expression)
    if look.format == "json":
        return rows_as_json(rows)
    runs = journal.runs_of([row[0] for row in rows.rows])
    if not runs:
        return "No run.\n"
    # What the filter names comes first, then the parameters and the headline metrics.
    named = [name for name in rows.columns if name not in _OF_A_RUN]
    params = dict.fromkeys(name for run in runs for name in run.params)
    metrics = dict.fromkeys(str(run.spec.get("metric")) for run in runs if run.spec.get("metric"))
    columns = list(dict.fromkeys([*named, *params, *metrics]))
    table = [
        (
            run.short_id,
            run.experiment,
            run.status,
            f"{run.started_at.astimezone():%Y-%m-%d %H:%M}",
            *(run.params.get(name, run.metrics.get(name)) for name in columns),
        )
        for run in runs
    ]
    return answer_table(("run", "experiment", "status", "started", *columns), table, look)


_OF_A_RUN = ("run_id", "experiment", "status", "started_at", "seconds", "params")


def answer_search(path: Path, text: str, look: Look) -> str:
    """Answer ``kepler search``: where all the words occur."""
    hits = _opened(path).search(text)
    if look.format == "json":
        return rows_as_json(_hit_rows(hits))
    if not hits:
        return f"Nothing in {path} mentions {text!r}.\n"
    columns = ("experiment", "found in", "runs", "newest run", "last", "hypothesis")
    shown = [
        (
            hit.experiment,
            ", ".join(hit.found_in),
            len(hit.run_ids),
            hit.run_ids[0][:8] if hit.run_ids else "",
            f"{hit.last_at.astimezone():%Y-%m-%d %H:%M}",
            hit.hypothesis,
        )
        for hit in hits
    ]
    return answer_table(columns, shown, look)


def _hit_rows(hits: Sequence[Hit]) -> Rows:
    return Rows(
        ("experiment", "hypothesis", "found_in", "run_ids", "last_at"),
        ("VARCHAR", "VARCHAR", "VARCHAR[]", "VARCHAR[]", "TIMESTAMP"),
        [
            (hit.experiment, hit.hypothesis, list(hit.found_in), list(hit.run_ids), hit.last_at)
            for hit in hits
        ],
    )


def answer_show(path: Path, prefix: str, look: Look) -> str:
    """Answer ``kepler show``: all there is about one run."""
    journal = _opened(path)
    if look.format == "json":
        run = journal.run(prefix)["run"]
        return rows_as_json(journal.where(f"run_id = '{run.run_id}' and status is not null"))
    return render_run(
        journal.run(prefix),
        look.width,
        look.colour,
        now=datetime.now().astimezone(),
        encoding=look.encoding,
    )


def _rows(rows: Rows, look: Look) -> str:
    if look.format == "json":
        return rows_as_json(rows)
    if not rows.rows:
        return "No rows.\n"
    return answer_table(rows.columns, rows.rows, look)


def answer_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], look: Look) -> str:
    """Return rows as a table that looks as asked for."""
    return render_rows(
        columns,
        rows,
        "markdown" if look.format == "markdown" else "text",
        look.width,
        colour=look.colour,
        encoding=look.encoding,
    )


def write_text(path: Path, text: str) -> None:
    """Write a report to a file.

    Raises
    ------
    KeplerUsageError
        If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        msg = f"The report cannot be written to {path}: {error.strerror}. Choose another path."
        raise KeplerUsageError(msg) from error
