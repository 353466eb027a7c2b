"""Commands that ask the journal: report, query, where, search, show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler import answering
from pytest_kepler.cli.base import look_of, path_of, tell
from pytest_kepler.journal import TIMEOUT

if TYPE_CHECKING:
    import argparse

    from pytest_kepler.cli.base import Commands


def add_to(commands: Commands) -> None:
    """Declare them."""
    commands.add("report", report, "what has been tried, and what was best", "kepler report")
    query_ = commands.add(
        "query",
        query,
        "read-only SQL over the views",
        'kepler query "select experiment, count(*) as n from runs group by all"',
    )
    query_.add_argument("sql", metavar="SQL", help="one statement that reads")
    query_.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=TIMEOUT,
        help=f"how long it may take (default: {TIMEOUT:g})",
    )
    where_ = commands.add(
        "where",
        where,
        "the runs that a filter selects",
        'kepler where "lr > 0.01 and accuracy > .9 order by accuracy desc"',
    )
    where_.add_argument("expression", metavar="EXPR", help="SQL over parameters and metrics")
    search_ = commands.add(
        "search", search, "where names, hypotheses, notes … mention a text", "kepler search dropout"
    )
    search_.add_argument("text", metavar="TEXT", help="words that must all occur")
    show_ = commands.add("show", show, "all there is about one run", "kepler show 3f2a1b2c")
    show_.add_argument("id", metavar="RUN", help="a run's id, or how it begins")


def report(options: argparse.Namespace) -> int:
    """Print the report of the whole journal."""
    return tell(answering.answer_report(path_of(options), look_of(options)))


def query(options: argparse.Namespace) -> int:
    """Print the answer to one SQL statement."""
    look = look_of(options)
    return tell(answering.answer_query(path_of(options), options.sql, look, options.timeout))


def where(options: argparse.Namespace) -> int:
    """Print the runs that a filter selects."""
    return tell(answering.answer_where(path_of(options), options.expression, look_of(options)))


def search(options: argparse.Namespace) -> int:
    """Print where all the words occur."""
    return tell(answering.answer_search(path_of(options), options.text, look_of(options)))


def show(options: argparse.Namespace) -> int:
    """Print all there is about one run."""
    return tell(answering.answer_show(path_of(options), options.id, look_of(options)))
