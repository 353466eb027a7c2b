"""From the journal to an answer: ingest, judge, build a report, render it.

The plugin, after a session or instead of one, and the command `kepler` answer through this.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pytest_kepler import judging
from pytest_kepler.errors import KeplerUsageError
from pytest_kepler.journal import TIMEOUT, Journal, Rows, rows_as_json
from pytest_kepler.reports import summary
from pytest_kepler.reports.jsonout import render_json
from pytest_kepler.reports.markdown import render_markdown
from pytest_kepler.reports.rows import render_rows
from pytest_kepler.reports.run import render_run
from pytest_kepler.reports.terminal import render_terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pytest_kepler.journal import Hit, Note
    from pytest_kepler.records import Run, ThresholdOutcome
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
class SessionAnswer:
    """What a session comes to: its report, and what became of its thresholds."""

    report: Report
    thresholds: tuple[ThresholdOutcome, ...]
    folder: Path


def _opened(path: Path) -> Journal:
    journal = Journal(path)
    journal.ingest()
    return journal


def answer_session(path: Path, session_id: str) -> SessionAnswer:
    """Take a session's spools into the journal and judge its experiments.

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
    assessments = judging.assess(runs, earlier=earlier, partial=_partial(runs))
    report = summary.session_report(
        assessments,
        journal=shown_path(path),
        now=datetime.now().astimezone(),
        session_id=session_id,
        shared=judging.shared_data(assessments),
        findings=findings,
        gates=[summary.Gate(one.node_id, one.status, one.seconds, one.message) for one in gates],
        notes=_notes(notes),
    )
    thresholds = tuple(one for found in assessments for one in found.thresholds)
    return SessionAnswer(report, thresholds, journal.folder)


def journal_report(path: Path) -> Report:
    """Return the report of a whole journal; one that is not there is empty."""
    journal = _opened(path)
    with journal.reading():
        runs = oldest_first(journal.all_runs())
        findings = journal.findings(run_ids=[run.run_id for run in runs])
        notes = journal.notes()
    assessments = judging.assess(runs, partial=_partial(runs))
    return summary.journal_report(
        assessments,
        journal=shown_path(path),
        now=datetime.now().astimezone(),
        shared=judging.shared_data(assessments),
        findings=findings,
        notes=_notes(notes),
    )


def shown_path(path: Path) -> str:
    """Return a path as people in this folder would write it."""
    try:
        return str(path.relative_to(path.cwd()))
    except (ValueError, OSError):
        return str(path)


def oldest_first(runs: Iterable[Run]) -> list[Run]:
    """Return runs in the order in which they started."""
    return sorted(runs, key=lambda run: (run.started_at, run.run_id))


def _partial(runs: Iterable[Run]) -> set[str]:
    """Return the experiments of which only a part of the grid is among the runs."""
    seen: dict[str, set[str]] = {}
    sizes: dict[str, int] = {}
    for run in runs:
        seen.setdefault(run.experiment, set()).add(run.node_id)
        grid = run.spec.get("grid")
        if isinstance(grid, int):
            sizes[run.experiment] = grid  # the newest counts: the grid may have grown since
    return {name for name, nodes in seen.items() if len(nodes) < sizes.get(name, 0)}


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
    return render(journal_report(path), look)


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
    return _table(("run", "experiment", "status", "started", *columns), table, look)


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
    return _table(columns, shown, look)


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
    return _table(rows.columns, rows.rows, look)


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]], look: Look) -> str:
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
