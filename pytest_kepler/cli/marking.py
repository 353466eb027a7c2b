"""Commands that say something about runs: note, void, purge."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pytest_kepler.cli.base import opened, tell
from pytest_kepler.errors import JournalError, KeplerUsageError, nearest
from pytest_kepler.spool import Spool, new_id

if TYPE_CHECKING:
    import argparse

    from pytest_kepler.cli.base import Commands
    from pytest_kepler.journal import Journal


def add_to(commands: Commands) -> None:
    """Declare them."""
    note_ = commands.add(
        "note",
        note,
        "add an inference in words to a run or an experiment",
        'kepler note tests/test_cnn.py::test_cnn "dropout does not help"',
    )
    note_.add_argument("about", metavar="RUN|EXPERIMENT", help="a run's id or a node id")
    note_.add_argument("text", metavar="TEXT", help="what was concluded")
    void_ = commands.add(
        "void",
        void,
        "declare runs void: never a ground to skip, never the best; the journal keeps them",
        'kepler void 3f2a1b2c 77ab01cd --why "the labels were shifted"',
    )
    void_.add_argument("runs", metavar="RUN", nargs="+", help="a run's id, or how it begins")
    void_.add_argument("--why", metavar="TEXT", required=True, help="what is wrong with them")
    purge_ = commands.add(
        "purge",
        purge,
        "remove runs for good: from the journal, its copies, artefacts and the runs' folders",
        "kepler purge 3f2a1b2c",
    )
    purge_.add_argument("runs", metavar="RUN", nargs="+", help="a run's id, or how it begins")


def note(options: argparse.Namespace) -> int:
    """Add a note to a run or an experiment."""
    text = options.text.strip()
    if not text:
        msg = "The note is empty: write what was concluded."
        raise KeplerUsageError(msg)
    journal = opened(options)
    about = _subject(journal, options.about)
    _write(journal, {"e": "note", "note": new_id(), **about, "text": text, "at": time.time()})
    return tell(f"Noted on {next(iter(about.values()))}.")


def void(options: argparse.Namespace) -> int:
    """Declare runs void."""
    why = options.why.strip()
    if not why:
        msg = "--why is empty: write what is wrong with the runs."
        raise KeplerUsageError(msg)
    journal = opened(options)
    ids = _ids(journal, options.runs)
    now = time.time()
    _write(journal, *({"e": "void", "run": run, "reason": why, "at": now} for run in ids))
    return tell(f"Void: {_listed(ids)}. What stands on them will be trained again.")


def purge(options: argparse.Namespace) -> int:
    """Remove runs for good."""
    journal = opened(options)
    ids = _ids(journal, options.runs)
    duplicates_of = (journal.run(run_id)["duplicates"] for run_id in ids)
    n_shared = journal.forget_shared({*ids, *(one for each in duplicates_of for one in each)})
    purged = journal.purge(ids)
    copies = "".join(f" They are gone from {copy.name} too." for copy in purged.copies)
    more = len(purged.run_ids) - len(ids)
    duplicates = f" with {more} duplicate{'s' * (more > 1)}" if more else ""
    files = f" and {purged.n_files} file{'s' * (purged.n_files != 1)}" if purged.n_files else ""
    shared = f" {n_shared} file{'s' * (n_shared != 1)} of the share changed." if n_shared else ""
    return tell(f"Purged: {_listed(ids)}{duplicates}{files}.{copies}{shared}")


def _ids(journal: Journal, prefixes: list[str]) -> list[str]:
    """Return the whole ids of runs, each once."""
    return list(dict.fromkeys(journal.run(prefix)["run"].run_id for prefix in prefixes))


def _listed(ids: list[str]) -> str:
    return ", ".join(run_id[:8] for run_id in ids)


def _write(journal: Journal, *events: dict[str, object]) -> None:
    """Put events into the journal, the way that everything goes into it."""
    spool = Spool(journal.folder, f"said-{new_id()[:8]}")
    for event in events:
        spool.write(event)
    spool.close()
    if spool.trouble:
        raise JournalError(spool.trouble)
    journal.ingest()


def _subject(journal: Journal, about: str) -> dict[str, str]:
    """Return the run or the experiment that a note is about."""
    experiment = about.partition("[")[0]
    if "::" in about and journal.experiment_runs([experiment]):
        return {"experiment": experiment}
    if "::" not in about and not about.isidentifier():
        return {"run": journal.run(about)["run"].run_id}
    known = journal.experiment_names()
    named = [name for name in known if name.endswith(f"::{experiment}")]
    if len(named) == 1:
        return {"experiment": named[0]}
    if named:
        msg = f"Several experiments are called {experiment!r}: {', '.join(named)}. Name one whole."
        raise KeplerUsageError(msg)
    if "::" not in about:
        return {"run": journal.run(about)["run"].run_id}
    msg = f"No experiment is called {experiment!r}: {nearest(experiment, known)}"
    raise KeplerUsageError(msg)
