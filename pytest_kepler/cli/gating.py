"""The command that decides a build: gate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_kepler import answering
from pytest_kepler.baseline import BASELINE_FILE
from pytest_kepler.cli.base import FAILED, look_of, path_of, tell
from pytest_kepler.comparing import parse_tolerance
from pytest_kepler.harness.actions import write_job_summary
from pytest_kepler.options import BY_NAME

if TYPE_CHECKING:
    import argparse

    from pytest_kepler.cli.base import Commands


def add_to(commands: Commands) -> None:
    """Declare it."""
    baseline, compare_fail = BY_NAME["baseline"], BY_NAME["compare_fail"]
    command = commands.add(
        "gate",
        gate,
        "whether what ran at a commit is good enough: thresholds, and the baseline",
        "kepler gate --compare-fail accuracy:1%",
    )
    command.add_argument(
        "--baseline", metavar=baseline.metavar, default=baseline.default, help=baseline.help
    )
    command.add_argument(
        "--compare-fail",
        metavar=compare_fail.metavar,
        action="append",
        default=[],
        help=compare_fail.help.replace("%", "%%"),
    )
    command.add_argument("--markdown", metavar="PATH", help="also write it as Markdown to PATH")
    command.add_argument(
        "--commit", metavar="SHA", default="", help="which commit (default: the newest session's)"
    )


def gate(options: argparse.Namespace) -> int:
    """Judge, print, and return 1 where a build is to fail."""
    path, look = path_of(options), look_of(options)
    tolerances = dict(parse_tolerance(one) for one in options.compare_fail)
    comparing = answering.find_baseline(_root(Path.cwd()), path, options.baseline, tolerances)
    answer = answering.answer_gate(path, comparing, options.commit)
    text = answering.render(answer.report, look)
    if look.format != "json":
        text += _decision(answer, is_markdown=look.format == "markdown")
    tell(text)
    markdown = answering.render(answer.report, answering.Look("markdown"))
    markdown += _decision(answer, is_markdown=True)
    if options.markdown:
        answering.write_text(Path(options.markdown), markdown)
    if trouble := write_job_summary(markdown):
        sys.stderr.write(f"kepler: {trouble}\n")
    return FAILED if answer.failures else 0


def _decision(answer: answering.GateAnswer, *, is_markdown: bool) -> str:
    runs = f"{answer.n_runs} run{'s' * (answer.n_runs != 1)}"
    if not answer.failures:
        return f"\n**Gate passed**: {runs}.\n" if is_markdown else f"gate passed: {runs}\n"
    if is_markdown:
        return "\n".join(["", "**Gate failed**:", *(f"- {one}" for one in answer.failures), ""])
    return "\n".join([f"gate failed: {runs}", *(f"  {one}" for one in answer.failures), ""])


def _root(folder: Path) -> Path:
    """Return the nearest folder upwards that has a baseline file, not above the repository."""
    for each in (folder, *folder.parents):
        if (each / BASELINE_FILE).exists():
            return each
        if (each / ".git").exists():
            break
    return folder
