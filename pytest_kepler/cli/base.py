"""What all commands have: how they are declared, where the journal is, how answers look."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_kepler import answering
from pytest_kepler.errors import KeplerUsageError
from pytest_kepler.journal import Journal, find_journal
from pytest_kepler.options import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_kepler.answering import Look

#: Exit statuses: something failed; the command line is mistaken.
FAILED: Final = 1
USAGE: Final = 4
#: What argparse leaves free on the right.
_MARGIN: Final = 2


class Parser(argparse.ArgumentParser):
    """Ends with the exit status that pytest has for a usage error."""

    def error(self, message: str) -> None:  # type: ignore[override]  # it does not return
        """Print the usage and the mistake."""
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


class Commands:
    """Adds commands to the parser, each with the options that all have."""

    def __init__(self, parser: Parser) -> None:
        self._commands = parser.add_subparsers(
            metavar="COMMAND", required=True, parser_class=Parser
        )

    def add(
        self,
        name: str,
        run: Callable[[argparse.Namespace], int],
        text: str,
        example: str,
        formats: Sequence[str] = (),
    ) -> argparse.ArgumentParser:
        """Add a command.

        Parameters
        ----------
        name : str
            What people type.
        run : callable
            Takes the options and returns the exit status.
        text, example : str
            For its ``--help``.
        formats : sequence of str
            What ``--format`` may be, the default first, where it is no way to print an answer.
        """
        # The formatter keeps the lines of the example, and so does not fill these.
        width = shutil.get_terminal_size().columns - _MARGIN
        command = self._commands.add_parser(
            name,
            help=text,
            description=textwrap.fill(f"{text[0].upper()}{text[1:]}.", width),
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=run)
        journal, look = BY_NAME["journal"], BY_NAME["format"]
        command.add_argument("--journal", metavar=journal.metavar, help=journal.help)
        if formats:
            command.add_argument("--format", choices=formats, default=formats[0])
        else:
            command.add_argument(
                "--format", choices=look.choices, default=look.default, help=look.help
            )
        return command


def growing(options: argparse.Namespace) -> Journal:
    """Return the journal that grows; unlike one that is asked, it need not be there."""
    return Journal(find_journal(Path.cwd(), None, options.journal))


def path_of(options: argparse.Namespace) -> Path:
    """Return the journal that a command is about.

    Raises
    ------
    KeplerUsageError
        If one was named and is not there.
    """
    journal = growing(options)
    if options.journal and not journal.exists():
        msg = f"There is no journal at {journal.path}."
        raise KeplerUsageError(msg)
    return journal.path


def opened(options: argparse.Namespace) -> Journal:
    """Return the journal that a command is about, with what lay in spools taken into it."""
    journal = Journal(path_of(options))
    journal.ingest()
    return journal


def look_of(options: argparse.Namespace) -> Look:
    """Return how the answer is to look in this terminal."""
    is_colourful = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return answering.Look(
        options.format,
        shutil.get_terminal_size().columns,
        is_colourful,
        sys.stdout.encoding or "utf-8",
    )


def tell(text: str) -> int:
    """Print an answer and return the exit status of success."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    return 0
