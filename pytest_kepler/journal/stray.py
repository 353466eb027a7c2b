"""Spools in a folder apart, as a session leaves them that could not write in its journal's."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from pytest_kepler.journal.lock import is_abandoned
from pytest_kepler.journal.place import cannot

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytest_kepler.journal.place import Place

_FOLDER: Final = "spool"
_EVENT: Final = b'{"e":"'
_RUN: Final = b'{"e":"run",'


def spools_in(folder: Path) -> list[Path]:
    """Return the spools of a folder, or of the folder ``spool`` in it, in order of their names.

    Raises
    ------
    JournalError
        If they cannot be read.
    """
    for home in (folder, folder / _FOLDER):
        try:
            found = sorted(file for file in home.glob("*.jsonl") if _is_spool(file))
        except OSError as error:
            raise cannot("read", home, error) from error
        if found:
            return found
    return []


def _is_spool(file: Path) -> bool:
    """Tell a spool from another program's file of JSON lines."""
    with file.open("rb") as content:
        return content.read(len(_EVENT)) == _EVENT


def bring(place: Place, spools: Iterable[Path]) -> tuple[int, list[str]]:
    """Copy spools to where the journal takes them in; its ledger knows those that it has.

    Returns
    -------
    int
        How many runs they tell of.
    list of str
        A word on each that is left for later: its writer lives.

    Raises
    ------
    JournalError
        If one cannot be copied.
    """
    n_runs = 0
    busy = []
    place.make_folder()
    for spool in spools:
        if not is_abandoned(spool):
            busy.append(f"{spool} (its session is not over)")
            continue
        draft = place.spool / f"{spool.stem}.new"
        try:
            place.spool.mkdir(exist_ok=True)
            with spool.open("rb") as lines:
                n_runs += sum(line.startswith(_RUN) for line in lines)
            shutil.copyfile(spool, draft)
            draft.replace(place.spool / spool.name)
        except OSError as error:
            raise cannot(f"copy {spool} to", place.spool, error) from error
    return n_runs, busy
