"""The command that explains: why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.cli.base import look_of, tell
from pytest_kepler.reports.why import render_why, why_as_json

if TYPE_CHECKING:
    import argparse

    from pytest_kepler.cli.base import Commands


def add_to(commands: Commands) -> None:
    """Declare it."""
    why_ = commands.add(
        "why",
        why,
        "who guards an experiment, and how it differs from its nearest run",
        "kepler why 'tests/test_digits.py::test_svm[1-scale]'",
    )
    why_.add_argument("node_ids", metavar="NODEID", nargs="+", help="as pytest takes them")


def why(options: argparse.Namespace) -> int:
    """Explain what would be done with some experiments; their data is loaded, nothing is run."""
    from pytest_kepler.harness.explaining import explain

    found = explain(options.node_ids, options.journal)
    look = look_of(options)
    if look.format == "json":
        return tell(why_as_json(found))
    return tell(render_why(found, look.width, look.colour, look.encoding))
