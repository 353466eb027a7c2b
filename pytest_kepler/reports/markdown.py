"""Markdown: a report in GitHub's flavour, as a job summary or a file shows it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_kepler.reports import remarks as words
from pytest_kepler.reports.layout import UNICODE
from pytest_kepler.reports.summary import SessionReport
from pytest_kepler.reports.tables import header, overview_table, results_table, shared_table
from pytest_kepler.reports.wording import age, clean, count, short, utc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_kepler.reports.layout import Table
    from pytest_kepler.reports.remarks import Remark
    from pytest_kepler.reports.summary import JournalReport, Report, Section

#: An underscore inside a word is none of Markdown's.
_SPECIAL: Final = re.compile(r"([\\`*\[\]<>|#~]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z]))")
_MOST_ROWS: Final = 30


def render_markdown(report: Report) -> str:
    """Return a report as GitHub-flavoured Markdown.

    Parameters
    ----------
    report : SessionReport or JournalReport
        What to write.
    """
    blocks = _session(report) if isinstance(report, SessionReport) else _journal(report)
    return "\n\n".join(block for block in blocks if block) + "\n"


def escape(text: str) -> str:
    """Return `text` so that Markdown and HTML show it as it is, on one line.

    An ``@name`` does not notify anybody.
    """
    return _SPECIAL.sub(r"\\\1", clean(text)).replace("@", "@\N{WORD JOINER}")


def markdown_table(table: Table) -> str:
    """Return a table; remarks across all columns stand in its second one."""
    titles = [escape(column.title) for column in table.columns]
    rules = ["--:" if column.right else "---" for column in table.columns]
    rows = [titles, rules]
    for row in table.rows:
        cells = [escape(each.strip()) for each in row.values]
        if row.span:
            cells = ["", escape(row.span.strip()), *[""] * (len(titles) - 2)]
        elif row.paint == "bold":
            cells = [f"**{each}**" if each else "" for each in cells]
        rows.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _session(report: SessionReport) -> list[str]:
    about = [*words.gates(report, UNICODE), *words.findings(report.findings, UNICODE)]
    about += words.vanished(report)
    return [
        "# Experiments",
        *(block for section in report.sections for block in _section(section, report)),
        *_shared(report),
        _remarks(about),
        f"Journal: {escape(report.journal)}",
    ]


def _journal(report: JournalReport) -> list[str]:
    if not report.sections:
        return ["# Journal", f"The journal {escape(report.journal)} has no runs yet."]
    newest = max(utc(section.newest.started_at) for section in report.sections)
    facts = [
        count(len(report.sections), "experiment"),
        count(report.n_runs, "run"),
        count(report.n_sessions, "session"),
        f"last {age(newest, report.now)}",
    ]
    return [
        "# Journal",
        " · ".join(facts),
        markdown_table(overview_table(report.sections, UNICODE, report.now)),
        *(block for section in report.sections for block in _section(section, report)),
        *_shared(report),
        _remarks(words.findings(report.findings, UNICODE)),
        f"Journal: {escape(report.journal)}",
    ]


def _section(section: Section, report: Report) -> list[str]:
    is_session = isinstance(report, SessionReport)
    hypothesis = section.assessment.hypothesis
    table = results_table(section, UNICODE, now=None if is_session else report.now, most=_MOST_ROWS)
    found = words.remarks(section, UNICODE, report.now, is_session=is_session)
    return [
        f"## {escape(section.assessment.experiment.rsplit('::', 1)[-1])}",
        f"> {escape(hypothesis)}" if hypothesis else "",
        escape(header(section, UNICODE, is_session=is_session)),
        markdown_table(table) if section.rows else "",
        _remarks(found),
    ]


def _shared(report: Report) -> list[str]:
    blocks = []
    for shared in report.shared:
        names = ", ".join(sorted(short(each) for each in shared.evaluated_on))
        blocks.append(f"## {len(shared.entries)} experiments on the same data ({names})")
        blocks.append(markdown_table(shared_table(shared, UNICODE)))
    return blocks


def _remarks(found: Iterable[Remark]) -> str:
    lines = []
    for remark in found:
        label = f"**{escape(remark.label)}** " if remark.label else ""
        lines.append(f"- {label}{escape(remark.text)}")
        if remark.below:
            lines.append(f"  - {escape(remark.below)}")
    return "\n".join(lines)
