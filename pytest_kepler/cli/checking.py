"""The command that checks: a code explained, or a file of data checked."""

from __future__ import annotations

import json
import shutil
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_kepler.cli.base import FAILED, tell
from pytest_kepler.errors import KeplerUsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from pytest_kepler.checks.files import FileOutcome
    from pytest_kepler.cli.base import Commands
    from pytest_kepler.records import Finding


def add_to(commands: Commands) -> None:
    """Declare it."""
    check_ = commands.add(
        "check",
        check,
        "explain a check, or check a file of data",
        "kepler check K304\n  kepler check data.csv --target species",
    )
    check_.add_argument("subject", metavar="CODE|DATA", help="a check's code, or a CSV or Parquet")
    check_.add_argument("--target", metavar="COLUMN", help="the column that is to be predicted")
    check_.add_argument(
        "--notes", action="store_true", help="show notes too, not only their number"
    )


def check(options: argparse.Namespace) -> int:
    """Explain a check, or run the data checks on a file."""
    from pytest_kepler.checks import codes

    path = Path(options.subject)
    if not path.suffix and not path.exists():
        width = shutil.get_terminal_size().columns
        try:
            page = codes.explain(options.subject)
        except KeplerUsageError as error:  # it may list all codes
            raise KeplerUsageError(_after_name(str(error), width)) from None
        return tell("\n".join(_flowing(page, width)))
    from pytest_kepler.checks import config, files

    settings = config.load(Path.cwd())
    found = files.examine_file(path, options.target, replace(settings, notes=True))
    # What is read by a program gets all of it.
    if not (options.notes or settings.notes or options.format == "json"):
        found = found.without_notes()
    make = {"json": _as_json, "markdown": _as_markdown}.get(options.format, _as_text)
    tell(make(path, found))
    return FAILED if any(one.severity == "error" for one in found.outcome.findings) else 0


def _after_name(message: str, width: int) -> str:
    """Return a message in lines, the first of which will have the command's name before it."""
    name = "kepler: "
    return textwrap.fill(f"{name}{message}", width, break_on_hyphens=False).removeprefix(name)


def _flowing(page: str, width: int) -> Iterator[str]:
    """Yield the lines of a help page, its paragraphs filled anew where a line is too long."""
    paragraph: list[str] = []
    for line in [*page.splitlines(), ""]:
        text = line.strip()
        is_next = _indent(line) == _indent(paragraph[0]) if paragraph else True
        if paragraph and (not text or not is_next or text.startswith("http")):
            yield from _filled(paragraph, width)
            paragraph = []
        if text:
            paragraph.append(line)
        else:
            yield ""


def _filled(paragraph: list[str], width: int) -> list[str]:
    if max(map(len, paragraph)) <= width:
        return paragraph
    indent = _indent(paragraph[0])
    text = " ".join(line.strip() for line in paragraph)
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _as_text(path: Path, found: FileOutcome) -> str:
    from pytest_kepler.gate import report

    findings = found.outcome.findings
    block = report(findings, shutil.get_terminal_size().columns)
    return "\n".join([*([block] if findings else []), f"{path}: {found.summary}"])


def _as_markdown(path: Path, found: FileOutcome) -> str:
    lines = [f"**{path}**: {found.summary}", ""]
    for one in found.outcome.findings:
        place = "" if one.tells_its_place else f" ({one.location})"
        lines.append(f"- **{one.code} {one.severity}** {one.message}{place} {one.fix}")
    return "\n".join(lines)


def _as_json(path: Path, found: FileOutcome) -> str:
    outcome = found.outcome
    answer = {
        "path": str(path),
        "rows": found.n_rows,
        "columns": found.n_columns,
        "findings": [_fields(one) for one in outcome.findings],
        "passed": outcome.passed,
        "not_applicable": outcome.not_applicable,
    }
    # Numbers that are not finite become the texts "NaN", "Infinity" and "-Infinity".
    plain = json.loads(json.dumps(answer, default=str), parse_constant=str)
    return json.dumps(plain, ensure_ascii=False, indent=2, allow_nan=False)


def _fields(finding: Finding) -> dict[str, Any]:
    names = ("code", "name", "severity", "message", "location", "fix", "basis", "waiver")
    fields = {name: getattr(finding, name) for name in names}
    return {**fields, "measured": dict(finding.measured), "threshold": dict(finding.threshold)}
