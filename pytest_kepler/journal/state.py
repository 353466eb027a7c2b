"""How the last writer left the journal: whether it must be verified, and which spools have news."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from pytest_kepler.journal import connect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duckdb import DuckDBPyConnection

    from pytest_kepler.journal.place import Place


def offsets(place: Place) -> dict[str, int] | None:
    """Return how far each spool was taken, or None if somebody has touched the file since."""
    try:
        known = json.loads(place.state.read_text(encoding="utf-8"))
        if known["stamp"] != connect.stamp(place.file) or place.wal.exists():
            return None
        return dict(known["offsets"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def taken(db: DuckDBPyConnection) -> dict[str, int]:
    """Return how far each spool is in the journal, in bytes, as its ledger says."""
    return dict(db.execute("SELECT spool, max(taken) FROM ledger GROUP BY spool").fetchall())


def keep(place: Place, known: Mapping[str, int]) -> None:
    """Write the state, once the file is closed.

    Without it the next writer reads the whole file, and is right as well.

    Parameters
    ----------
    place : Place
        The journal, under its exclusive lock.
    known : mapping of str to int
        How far each spool was taken; what is said of spools that are gone is left out.
    """
    draft = place.state.with_name(place.state.name + ".part")
    there = {path.name for path in place.spools()}
    content = {name: end for name, end in known.items() if name in there}
    with contextlib.suppress(OSError):
        draft.write_text(
            json.dumps({"stamp": connect.stamp(place.file), "offsets": content}), encoding="utf-8"
        )
        draft.replace(place.state)
