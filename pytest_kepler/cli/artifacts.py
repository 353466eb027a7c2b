"""Commands about what runs saved: artifacts, gc."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_kepler import answering
from pytest_kepler.cli.base import look_of, opened, path_of, tell
from pytest_kepler.journal import Journal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pytest_kepler.cli.base import Commands
    from pytest_kepler.journal.garbage import Rubbish

_LISTED = (
    "SELECT run_id, experiment, name, kind, n_bytes, saved_at, path "
    "FROM artifacts JOIN runs USING (run_id) {condition} ORDER BY saved_at DESC, run_id, name"
)
_THOUSAND = 1000
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def add_to(commands: Commands) -> None:
    """Declare them."""
    artifacts_ = commands.add(
        "artifacts", artifacts, "what runs saved, newest first", "kepler artifacts 3f2a1b2c"
    )
    artifacts_.add_argument(
        "run_id", metavar="RUN", nargs="?", help="only of this run: its id, or how it begins"
    )
    gc_ = commands.add(
        "gc",
        gc,
        "remove files in the journal's folder that no run names and that are an hour old",
        "kepler gc --dry-run",
    )
    gc_.add_argument(
        "--dry-run", action="store_true", help="say what would be removed, and remove nothing"
    )


def artifacts(options: argparse.Namespace) -> int:
    """List what runs saved."""
    path = path_of(options)
    condition = ""
    if options.run_id:
        run = Journal(path).run(options.run_id)["run"]
        condition = f"WHERE run_id = '{run.duplicate_of or run.run_id}'"
    statement = _LISTED.format(condition=condition)
    return tell(answering.answer_query(path, statement, look_of(options)))


def gc(options: argparse.Namespace) -> int:
    """Remove what no run names, or say what that would be."""
    found = opened(options).rubbish()
    if not options.dry_run:
        for one in found:
            one.remove()
    if options.format == "json":
        listed = [
            {"path": str(one.path), "kind": one.kind, "n_bytes": one.n_bytes} for one in found
        ]
        return tell(json.dumps(listed, ensure_ascii=False))
    return tell(_told(found, is_done=not options.dry_run))


def _told(found: Sequence[Rubbish], *, is_done: bool) -> str:
    if not found:
        return "Every file belongs to a run: there is nothing to remove."
    lines = [f"{one.kind:<11}{size(one.n_bytes):>10}  {one.path}" for one in found]
    total = size(sum(one.n_bytes for one in found))
    verdict = f"Removed: {total} freed." if is_done else f"Would free {total}; nothing was removed."
    return "\n".join([*lines, verdict])


def size(n_bytes: float) -> str:
    """Return a size as people read it: ``12.3 MB``."""
    unit = 0
    while n_bytes >= _THOUSAND and unit < len(_UNITS) - 1:
        n_bytes /= _THOUSAND
        unit += 1
    return f"{n_bytes:.0f} bytes" if unit == 0 else f"{n_bytes:.1f} {_UNITS[unit]}"
