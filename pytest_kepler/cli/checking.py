"""The command that checks: a code explained, or a file of data checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_kepler.cli.base import FAILED, tell

if TYPE_CHECKING:
    import argparse

    from pytest_kepler.cli.base import Commands


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


def check(options: argparse.Namespace) -> int:
    """Explain a check, or run the data checks on a file."""
    from pytest_kepler.checks import codes

    path = Path(options.subject)
    if not path.suffix and not path.exists():
        return tell(codes.explain(options.subject))
    from pytest_kepler.checks import config, files
    from pytest_kepler.gate import report as block

    found = files.examine_file(path, options.target, config.load(Path.cwd()))
    findings = found.outcome.findings
    lines = [block(findings)] if findings else []
    tell("\n".join([*lines, f"{path}: {found.summary}"]))
    return FAILED if any(one.severity == "error" for one in findings) else 0
