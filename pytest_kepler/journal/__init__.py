"""The journal: DuckDB filled from the spools, and the questions that are put to it.

Importing this imports no DuckDB; the first connection does.
"""

from pytest_kepler.journal.folding import Folded, Long, Tried
from pytest_kepler.journal.ingest import Ingested
from pytest_kepler.journal.journal import Journal
from pytest_kepler.journal.place import find_journal, last_words
from pytest_kepler.journal.reading import Gate, Note, PassedGate, Session, Threshold
from pytest_kepler.journal.rows import Rows, rows_as_json
from pytest_kepler.journal.search import Hit
from pytest_kepler.journal.sql import TIMEOUT
from pytest_kepler.journal.view import JournalView, open_journal

__all__ = [
    "TIMEOUT",
    "Folded",
    "Gate",
    "Hit",
    "Ingested",
    "Journal",
    "JournalView",
    "Long",
    "Note",
    "PassedGate",
    "Rows",
    "Session",
    "Threshold",
    "Tried",
    "find_journal",
    "last_words",
    "open_journal",
    "rows_as_json",
]
