"""Free text over names, hypotheses, notes, parameters and findings."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from pytest_kepler.errors import QueryError
from pytest_kepler.journal.reading import utc

if TYPE_CHECKING:
    from datetime import datetime

    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Hit:
    """An experiment in which all the words occur.

    Attributes
    ----------
    experiment, hypothesis : str
        Its name, and what it states.
    found_in : tuple of str
        Where words occur: ``name``, ``hypothesis``, ``params``, ``notes``, ``findings``.
    run_ids : tuple of str
        The runs in which all words occur, newest first; they lead on to ``kepler show``.
    last_at : datetime
        When the newest of them started.
    """

    experiment: str
    hypothesis: str
    found_in: tuple[str, ...]
    run_ids: tuple[str, ...]
    last_at: datetime


def search(db: DuckDBPyConnection, text: str) -> list[Hit]:
    """Return the experiments with runs in which every word of `text` occurs, newest first.

    Case does not count; a parameter is found as its name, its value or ``name=value``.

    Raises
    ------
    QueryError
        If there is no word to look for.
    """
    words = text.lower().split()
    if not words:
        raise QueryError("There is no word to search for.")
    sql = (files(__package__) / "queries" / "search.sql").read_text(encoding="utf-8")
    rows = db.execute(sql, {"words": words}).fetchall()
    return [
        Hit(experiment, hypothesis, tuple(found_in), tuple(run_ids), utc(last_at))
        for experiment, hypothesis, found_in, run_ids, last_at in rows
    ]
