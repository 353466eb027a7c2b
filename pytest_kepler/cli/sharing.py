"""The command about a team's share: sync."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_kepler.cli.base import FAILED, growing, tell
from pytest_kepler.errors import KeplerUsageError

if TYPE_CHECKING:
    import argparse

    from pytest_kepler.cli.base import Commands


def add_to(commands: Commands) -> None:
    """Declare it."""
    sync_ = commands.add(
        "sync",
        sync,
        "publish to the team's share what is over, and take in what others published",
        "kepler sync",
    )
    sync_.add_argument(
        "--share", metavar="PATH", type=Path, help="the folder; default: that of the last session"
    )


def sync(options: argparse.Namespace) -> int:
    """Publish and take in."""
    journal = growing(options)
    share = options.share.expanduser().absolute() if options.share else journal.share
    if share is None:
        msg = (
            "This journal is not shared: set kepler_share = PATH for pytest, or name the folder "
            "with --share PATH."
        )
        raise KeplerUsageError(msg)
    journal.share_by(share)
    synced = journal.sync(share)
    if options.format == "json":
        tell(json.dumps(asdict(synced), ensure_ascii=False))
    else:
        counts = f"{synced.n_published} published, {synced.n_taken} taken in: {share}"
        tell("\n".join([counts, *synced.troubles]))
    return FAILED if synced.troubles else 0
