"""The command `kepler`: one module a group of commands, the same answers as pytest's options."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from pytest_kepler import __version__
from pytest_kepler.cli import (
    artifacts,
    asking,
    checking,
    explaining,
    gating,
    keeping,
    marking,
    reproducing,
    sharing,
)
from pytest_kepler.cli.base import FAILED, USAGE, Commands, Parser
from pytest_kepler.errors import KeplerError, KeplerUsageError, QueryError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 if it failed, 4 for a mistake."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (KeplerUsageError, QueryError) as error:
        sys.stderr.write(f"kepler: {error}\n")
        return USAGE
    except KeplerError as error:
        sys.stderr.write(f"kepler: {error}\n")
        return FAILED
    except BrokenPipeError:  # `kepler report | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> Parser:
    parser = Parser(prog="kepler", description="Ask the journal of a project's experiments.")
    parser.add_argument("--version", action="version", version=f"pytest-kepler {__version__}")
    commands = Commands(parser)
    for group in (
        asking,
        explaining,
        marking,
        checking,
        gating,
        reproducing,
        keeping,
        artifacts,
        sharing,
    ):
        group.add_to(commands)
    return parser
