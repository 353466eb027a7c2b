"""The terminal: a report, a run and the line of a training as plain text, in colour if asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_kepler.reports import remarks as words
from pytest_kepler.reports.layout import (
    Style,
    cells,
    clip,
    draw,
    encodable,
    pad,
    symbols_for,
    wrap,
)
from pytest_kepler.reports.summary import SessionReport
from pytest_kepler.reports.tables import header, overview_table, results_table, run_id, shared_table
from pytest_kepler.reports.wording import age, clean, count, duration, number, short, utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_kepler.reports.remarks import Remark
    from pytest_kepler.reports.summary import JournalReport, Report, Section

_INDENT: Final = "  "
_LABEL: Final = 13
_LEAST_WIDTH: Final = 40
_SECONDS: Final = "seconds"


def render_terminal(
    report: Report, width: int = 80, colour: bool = False, encoding: str = "utf-8"
) -> str:
    """Return a report as text.

    Parameters
    ----------
    report : SessionReport or JournalReport
        What to draw.
    width : int
        Columns of the terminal; no line is longer.
    colour : bool
        Whether to use ANSI colours.
    encoding : str
        Of the stream; where it lacks the symbols, ASCII stands for them.
    """
    style = Style(max(width, _LEAST_WIDTH), colour, symbols_for(encoding))
    drawn = (
        _session(report, style) if isinstance(report, SessionReport) else _journal(report, style)
    )
    return encodable("\n".join(drawn) + "\n", encoding)


def progress_line(  # noqa: PLR0913  # what a training tells about itself
    name: str,
    done: int,
    total: int | None,
    metrics: Mapping[str, float],
    *,
    seconds: float,
    width: int = 80,
) -> str:
    """Return one line about a training: ``test_cnn[0.01] epoch 3/10  loss 0.31  12 s``.

    Parameters
    ----------
    name : str
        The test's name.
    done, total : int, int or None
        Epochs that are over, and those that were asked for.
    metrics : mapping of str to float
        The last epoch's numbers; durations among them are not shown.
    seconds : float
        Since the training began.
    width : int
        Metrics that do not fit are left out, the name is clipped.
    """
    epoch = f"epoch {done}/{total}" if total else f"epoch {done}"
    tail = f"  {duration(seconds)}"
    if total and 0 < done < total:
        tail += f", {duration(seconds / done * (total - done))} left"
    room = width - len(epoch) - len(tail) - 1
    line = f"{clip(clean(name), max(room, 1))} {epoch}"
    for metric, number_ in metrics.items():
        more = f"  {clean(metric)} {number(float(number_))}"
        if not metric.endswith(_SECONDS) and cells(line + more + tail) <= width:
            line += more
    return clip(line + tail, width)


def _session(report: SessionReport, style: Style) -> list[str]:
    lines: list[str] = []
    for section in report.sections:
        lines += [*_section(section, report, style), ""]
    lines += _shared(report, style)
    about = [*words.gates(report, style.symbols)]
    about += words.findings(report.findings, style.symbols)
    about += words.vanished(report)
    return [*lines, *_remarks(about, style), *_footer(report, style)]


def _journal(report: JournalReport, style: Style) -> list[str]:
    if not report.sections:
        return wrap(
            f"The journal {report.journal} has no runs yet. Mark a test with "
            "@pytest.mark.experiment and run pytest -m experiment.",
            style.width,
        )
    dot = style.symbols.dot
    newest = max(utc(section.newest.started_at) for section in report.sections)
    facts = [
        count(len(report.sections), "experiment"),
        count(report.n_runs, "run"),
        count(report.n_sessions, "session"),
        f"last {age(newest, report.now)}",
    ]
    lines = [*wrap(dot.join(facts), style.width), ""]
    lines += draw(overview_table(report.sections, style.symbols, report.now), style, indent=_INDENT)
    lines.append("")
    for section in report.sections:
        lines += [*_section(section, report, style), ""]
    lines += _shared(report, style)
    lines += _remarks(words.findings(report.findings, style.symbols), style)
    return [*lines, *_footer(report, style)]


def _section(section: Section, report: Report, style: Style) -> list[str]:
    is_session = isinstance(report, SessionReport)
    lines = [_title(section.assessment.experiment, style), *_hypothesis(section, style)]
    facts = header(section, style.symbols, is_session=is_session)
    lines += [
        style.paint(line, "dim")
        for line in wrap(facts, style.width, first=_INDENT, rest=_INDENT * 2)
    ]
    if section.rows:
        table = results_table(section, style.symbols, now=None if is_session else report.now)
        lines += ["", *draw(table, style, indent=_INDENT)]
    found = words.remarks(section, style.symbols, report.now, is_session=is_session)
    below = _remarks(found, style)
    return [*lines, *([""] if below and section.rows else []), *below]


def _title(experiment: str, style: Style) -> str:
    file, _, name = clean(experiment).rpartition("::")
    name = clip(name, style.width, style.symbols.more)
    room = style.width - cells(name) - 2
    place = f"  {style.paint(file, 'dim')}" if file and cells(file) <= room else ""
    return style.paint(name, "title") + place


def _hypothesis(section: Section, style: Style) -> list[str]:
    text = clean(section.assessment.hypothesis)
    if not text:
        return []
    quoted = f"{style.symbols.opening}{text}{style.symbols.closing}"
    return wrap(quoted, style.width, first=_INDENT, rest=_INDENT + " ")


def _shared(report: Report, style: Style) -> list[str]:
    lines = []
    for shared in report.shared:
        names = ", ".join(sorted(short(each) for each in shared.evaluated_on)[:1])
        more = len(shared.evaluated_on) - 1
        names += f" and {more} more" if more else ""
        title = f"{len(shared.entries)} experiments on the same data"
        lines.append(f"{style.paint(title, 'title')}  {style.paint(names, 'dim')}")
        lines += [*draw(shared_table(shared, style.symbols), style, indent=_INDENT), ""]
    return lines


def _remarks(found: Iterable[Remark], style: Style) -> list[str]:
    lines = []
    for remark in found:
        label = pad(remark.label, _LABEL - 1) + " "
        first, *rest = wrap(
            remark.text,
            style.width,
            first=_INDENT + label,
            rest=_INDENT + " " * _LABEL,
        )
        start = len(_INDENT) + len(remark.label)
        lines.append(_INDENT + style.paint(remark.label, remark.paint) + first[start:])
        lines += rest
        if remark.below:
            below = " " * (len(_INDENT) + _LABEL)
            lines += [
                style.paint(line, "dim")
                for line in wrap(remark.below, style.width, first=below, rest=below + _INDENT)
            ]
    return lines


def _footer(report: Report, style: Style) -> list[str]:
    shown = [each for section in report.sections for each in section.rows]
    best = [section.assessment.best for section in report.sections if section.assessment.best]
    example = next((run_id(each) for each in (*best, *shown)), "")
    hint = f"{style.symbols.dot}a run in full: {report.command} {example}" if example else ""
    return _remarks([words.Remark("journal", f"{clean(report.journal)}{hint}")], style)
