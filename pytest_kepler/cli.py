"""The command `kepler`: one function a command, the same answers as pytest's options."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_kepler import __version__, answering
from pytest_kepler.errors import JournalError, KeplerError, KeplerUsageError, QueryError
from pytest_kepler.journal import Journal, find_journal
from pytest_kepler.options import BY_NAME
from pytest_kepler.spool import Spool, new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_kepler.answering import Look
    from pytest_kepler.records import Finding

_USAGE = 4
_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 if it failed, 4 for a mistake."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (KeplerUsageError, QueryError) as error:
        sys.stderr.write(f"kepler: {error}\n")
        return _USAGE
    except KeplerError as error:
        sys.stderr.write(f"kepler: {error}\n")
        return _FAILED
    except BrokenPipeError:  # `kepler report | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


class _Parser(argparse.ArgumentParser):
    """Ends with the exit status that pytest has for a usage error."""

    def error(self, message: str) -> None:  # type: ignore[override]  # it does not return
        self.print_usage(sys.stderr)
        self.exit(_USAGE, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="kepler", description="Ask the journal of a project's experiments.")
    parser.add_argument("--version", action="version", version=f"pytest-kepler {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    add = _Adder(commands)
    add("report", report, "what has been tried, and what was best", "kepler report")
    query_ = add(
        "query",
        query,
        "read-only SQL over the views",
        'kepler query "select experiment, count(*) as n from runs group by all"',
    )
    query_.add_argument("sql", metavar="SQL", help="one statement that reads")
    where_ = add(
        "where",
        where,
        "the runs that a filter selects",
        'kepler where "lr > 0.01 and accuracy > .9 order by accuracy desc"',
    )
    where_.add_argument("expression", metavar="EXPR", help="SQL over parameters and metrics")
    search_ = add(
        "search", search, "where names, hypotheses, notes … mention a text", "kepler search dropout"
    )
    search_.add_argument("text", metavar="TEXT", help="words that must all occur")
    show_ = add("show", show, "all there is about one run", "kepler show 3f2a1b2c")
    show_.add_argument("id", metavar="RUN", help="a run's id, or how it begins")
    note_ = add(
        "note",
        note,
        "add an inference in words to a run or an experiment",
        'kepler note tests/test_cnn.py::test_cnn "dropout does not help"',
    )
    note_.add_argument("about", metavar="RUN|EXPERIMENT", help="a run's id or a node id")
    note_.add_argument("text", metavar="TEXT", help="what was concluded")
    check_ = add(
        "check",
        check,
        "explain a check, or check a file of data",
        "kepler check K304\n  kepler check data.csv --target species",
    )
    check_.add_argument("subject", metavar="CODE|DATA", help="a check's code, or a CSV or Parquet")
    check_.add_argument("--target", metavar="COLUMN", help="the column that is to be predicted")
    return parser


class _Adder:
    """Adds a command with the options that all have."""

    def __init__(self, commands: argparse._SubParsersAction[_Parser]) -> None:
        self._commands = commands

    def __call__(
        self, name: str, run: Callable[[argparse.Namespace], int], text: str, example: str
    ) -> argparse.ArgumentParser:
        command = self._commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=run)
        journal, look = BY_NAME["journal"], BY_NAME["format"]
        command.add_argument("--journal", metavar=journal.metavar, help=journal.help)
        command.add_argument("--format", choices=look.choices, default=look.default, help=look.help)
        return command


def _path(options: argparse.Namespace) -> Path:
    path = find_journal(Path.cwd(), None, options.journal)
    if options.journal and not Journal(path).exists():
        msg = f"There is no journal at {path}."
        raise KeplerUsageError(msg)
    return path


def _look(options: argparse.Namespace) -> Look:
    is_colourful = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return answering.Look(
        options.format,
        shutil.get_terminal_size().columns,
        is_colourful,
        sys.stdout.encoding or "utf-8",
    )


def _print(text: str) -> int:
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    return 0


def report(options: argparse.Namespace) -> int:
    """Print the report of the whole journal."""
    return _print(answering.answer_report(_path(options), _look(options)))


def query(options: argparse.Namespace) -> int:
    """Print the answer to one SQL statement."""
    return _print(answering.answer_query(_path(options), options.sql, _look(options)))


def where(options: argparse.Namespace) -> int:
    """Print the runs that a filter selects."""
    return _print(answering.answer_where(_path(options), options.expression, _look(options)))


def search(options: argparse.Namespace) -> int:
    """Print where all the words occur."""
    return _print(answering.answer_search(_path(options), options.text, _look(options)))


def show(options: argparse.Namespace) -> int:
    """Print all there is about one run."""
    return _print(answering.answer_show(_path(options), options.id, _look(options)))


def note(options: argparse.Namespace) -> int:
    """Add a note to a run or an experiment."""
    text = options.text.strip()
    if not text:
        msg = "The note is empty: write what was concluded."
        raise KeplerUsageError(msg)
    path = _path(options)
    journal = Journal(path)
    journal.ingest()
    about = _subject(journal, options.about)
    spool = Spool(journal.folder, f"note-{new_id()[:8]}")
    spool.write({"e": "note", "note": new_id(), **about, "text": text, "at": time.time()})
    spool.close()
    if spool.trouble:
        raise JournalError(spool.trouble)
    journal.ingest()
    return _print(f"Noted on {next(iter(about.values()))}.")


def _subject(journal: Journal, about: str) -> dict[str, str]:
    """Return the run or the experiment that a note is about."""
    if "::" not in about:
        return {"run": journal.run(about)["run"].run_id}
    experiment = about.partition("[")[0]
    if not journal.experiment_runs([experiment]):
        from pytest_kepler.errors import nearest

        known = {run.experiment for run in journal.all_runs()}
        msg = f"No experiment is called {experiment!r}: {nearest(experiment, known)}"
        raise KeplerUsageError(msg)
    return {"experiment": experiment}


def check(options: argparse.Namespace) -> int:
    """Explain a check, or run the data checks on a file."""
    from pytest_kepler.checks import codes

    path = Path(options.subject)
    if not path.suffix and not path.exists():
        return _print(codes.explain(options.subject))
    findings = _findings(path, options.target)
    if not findings:
        return _print(f"{path}: nothing found.")
    from pytest_kepler.gate import report as block

    _print(block(findings))
    return _FAILED if any(one.severity == "error" for one in findings) else 0


def _findings(path: Path, target: str | None) -> list[Finding]:
    if not path.is_file():
        msg = f"There is no file {path}. Name a CSV or Parquet file, or a code such as K304."
        raise KeplerUsageError(msg)
    try:
        import pandas as pd
    except ImportError:
        msg = "Reading a file needs pandas: pip install pandas."
        raise KeplerUsageError(msg) from None
    from pytest_kepler import checks
    from pytest_kepler.errors import nearest

    try:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (ValueError, OSError, ImportError) as error:
        msg = f"{path} cannot be read as a table: {error}"
        raise KeplerUsageError(msg) from None
    if target is None:
        return checks.data(frame)
    if target not in frame.columns:
        msg = f"{path} has no column {target!r}: {nearest(target, map(str, frame.columns))}"
        raise KeplerUsageError(msg)
    return checks.data(frame.drop(columns=target), frame[target])


if __name__ == "__main__":
    sys.exit(main())
