"""The command that runs a run again: reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_kepler.answering import answer_table
from pytest_kepler.cli.base import FAILED, look_of, path_of, tell
from pytest_kepler.reproducing import reproduce as run_again

if TYPE_CHECKING:
    import argparse

    from pytest_kepler.answering import Look
    from pytest_kepler.cli.base import Commands
    from pytest_kepler.reproducing import Reproduction


def add_to(commands: Commands) -> None:
    """Declare it."""
    command = commands.add(
        "reproduce",
        reproduce,
        "run a run again from its commit, data and parameters, and compare",
        "kepler reproduce 3f2a1b2c",
        formats=("text", "markdown"),
    )
    command.add_argument("id", metavar="RUN", help="a run's id, or how it begins")


def reproduce(options: argparse.Namespace) -> int:
    """Run it, print then and now, and return 1 where a metric is not the same."""
    found = run_again(path_of(options), options.id, Path.cwd())
    tell(_text(found, look_of(options)))
    return FAILED if found.differing else 0


def _text(found: Reproduction, look: Look) -> str:
    rows = [
        (one.name, one.then, one.now, "same" if one.is_same else _difference(one.then, one.now))
        for one in found.metrics
    ]
    n = len(found.metrics)
    lines = [f"run {found.run.short_id} · {found.run.node_id}"]
    if n:
        table = answer_table(("metric", "then", "now", "difference"), rows, look)
        lines += ["", table.rstrip(), ""]
    verdict = f"reproduced: {n} metrics are the same to the last digit"
    if not n:
        verdict = "nothing was logged that could be compared"
    elif found.differing:
        verdict = f"not reproduced: {found.differing} of {n} metrics differ"
    lines.append(verdict)
    if found.changed:
        lines.append(f"what changed since: {', '.join(found.changed)}")
    elif found.differing:
        lines.append("code, data, parameters and environment are the same: something is random")
    return "\n".join([*lines, *found.remarks])


def _difference(then: float | None, now: float | None) -> str:
    if then is None or now is None:
        return "only now" if then is None else "only then"
    return f"{now - then:+.3g}"
