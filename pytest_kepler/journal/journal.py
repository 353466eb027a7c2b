"""The journal of a project, as the rest of the package sees it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pytest_kepler.journal import connect, decisions, folding, reading
from pytest_kepler.journal import search as searching
from pytest_kepler.journal.ingest import Ingested, ingest
from pytest_kepler.journal.place import Place, is_last_words
from pytest_kepler.journal.sql import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from duckdb import DuckDBPyConnection

    from pytest_kepler.journal.doctor import Ailment
    from pytest_kepler.journal.folding import Folded, Long, Tried
    from pytest_kepler.journal.foreign import Moved
    from pytest_kepler.journal.garbage import Rubbish
    from pytest_kepler.journal.merging import Merged
    from pytest_kepler.journal.moving import Form
    from pytest_kepler.journal.purging import Purged
    from pytest_kepler.journal.reading import Gate, Note, PassedGate, Session, Threshold
    from pytest_kepler.journal.rows import Rows
    from pytest_kepler.journal.sharing import Synced
    from pytest_kepler.records import Artifact, BaselineEntry, Decided, Finding, Run

#: Other programs whose stores are read and written.
Store = Literal["mlflow", "tensorboard"]


class Journal:
    """One journal: its file, and the folder of what belongs to it.

    Nothing is opened or made before it is needed, and nothing is held open: every method takes
    the lock, does its work and lets go.

    Parameters
    ----------
    path : Path
        The DuckDB file; it need not be there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._place = Place(path)
        self._connection: DuckDBPyConnection | None = None
        self._texts: reading.Texts | None = None

    @property
    def folder(self) -> Path:
        """The folder of the spool, the artefacts and the lock."""
        return self._place.folder

    def make_folder(self) -> None:
        """Make the folder, one that git does not see.

        Raises
        ------
        JournalError
            If it cannot be made.
        """
        self._place.make_folder()

    def exists(self) -> bool:
        """Tell whether there is anything to read, in the file or still in spools."""
        return self.path.exists() or bool(self._place.spools())

    def ingest(self) -> Ingested:
        """Bring what is new in the spools into the file; see `ingest.ingest`."""
        return ingest(self._place)

    def ingest_runs(self) -> None:
        """Bring in what sessions left that were killed; the last words of others can wait."""
        if not all(is_last_words(path) for path in self._place.spools()):
            ingest(self._place)

    @contextlib.contextmanager
    def reading(self) -> Iterator[DuckDBPyConnection]:
        """Open the journal to read, for as long as the context lasts; writers wait meanwhile.

        Within it the other methods that read use the same connection.
        """
        if self._connection is not None:
            yield self._connection
            return
        with connect.reader(self._place) as db:
            self._connection, self._texts = db, reading.Texts()
            try:
                yield db
            finally:
                self._connection = self._texts = None

    def known(
        self,
        code_hashes: Collection[str],
        experiments: Collection[str],
        params_hashes: Collection[str],
    ) -> list[Run]:
        """Return the newest executed run of each identity, of some code or experiments.

        Only those with one of the given hashes of parameters, newest first. Neither duplicates
        nor void runs are among them, nor any that are still running.
        """
        with self.reading() as db:
            return reading.known_runs(db, code_hashes, experiments, params_hashes, self._texts)

    def newest(self, code_hashes: Collection[str], experiments: Collection[str]) -> list[Run]:
        """Return a few of the newest executed runs of each of some experiments, or of some code."""
        with self.reading() as db:
            return reading.newest_runs(db, code_hashes, experiments)

    def past_runs(
        self, session_id: str, experiments: Collection[str], also: Collection[str] = ()
    ) -> list[Run]:
        """Return what a session is compared with, newest first.

        Of each experiment the newest run of each setting on each data that other sessions
        executed, and of those the runs whose ids are in `also`.
        """
        with self.reading() as db:
            return reading.past_runs(db, session_id, experiments, also, self._texts)

    def glance(self) -> list[Tried]:
        """Return the experiments at a glance, in the order of their first runs."""
        with self.reading() as db:
            return folding.glance(db)

    def n_sessions(self) -> int:
        """Return how many sessions the runs belong to that are not void."""
        with self.reading() as db:
            return folding.n_sessions(db)

    def fold(self, asked: Sequence[Long], n_best: int, n_worst: int) -> Folded:
        """Fold long experiments in the database; see `folding.fold`."""
        with self.reading() as db:
            return folding.fold(db, asked, n_best, n_worst)

    def session_runs(self, session_id: str) -> list[Run]:
        """Return the runs of a session, newest first, void ones left out."""
        return self._runs("status <> 'void' AND session_id = ?", session_id)

    def experiment_runs(self, experiments: Collection[str]) -> list[Run]:
        """Return the runs of some experiments, newest first, void ones left out."""
        return self._runs(
            "status <> 'void' AND experiment IN (SELECT unnest(?::VARCHAR[]))", sorted(experiments)
        )

    def all_runs(self) -> list[Run]:
        """Return every run that is not void, newest first."""
        return self._runs("status <> 'void'")

    def _runs(self, condition: str, *values: object) -> list[Run]:
        with self.reading() as db:
            return reading.select_runs(db, condition, values, texts=self._texts)

    def findings(
        self, session_id: str | None = None, *, run_ids: Collection[str] | None = None
    ) -> list[tuple[str, Finding]]:
        """Return (run id, finding) of a session or of some runs; '' stands for no run."""
        with self.reading() as db:
            return reading.select_findings(db, session_id, run_ids)

    def gates(self, session_id: str) -> list[Gate]:
        """Return the gates of a session, in their order."""
        with self.reading() as db:
            return reading.select_gates(db, session_id)

    def last_gates(self, node_ids: Collection[str]) -> dict[str, tuple[str, datetime]]:
        """Return the newest (status, time) of some sanity tests by their node ids."""
        with self.reading() as db:
            return reading.select_last_gates(db, node_ids)

    def passed_gates(self, node_ids: Collection[str], least_seconds: float) -> list[PassedGate]:
        """Return the verdicts that may be taken over; see `reading.select_passed_gates`."""
        with self.reading() as db:
            return reading.select_passed_gates(db, node_ids, least_seconds)

    def notes(
        self,
        *,
        run_ids: Collection[str] | None = None,
        experiments: Collection[str] | None = None,
    ) -> list[Note]:
        """Return the notes on some runs and experiments, or all, oldest first."""
        with self.reading() as db:
            return reading.select_notes(db, run_ids, experiments)

    def thresholds(self, session_id: str | None = None) -> list[Threshold]:
        """Return the thresholds that a session judged, or all, oldest first."""
        with self.reading() as db:
            return reading.select_thresholds(db, session_id)

    def decided(self, experiments: Collection[str]) -> list[Decided]:
        """Return what was decided about the claims of some experiments, oldest first."""
        with self.reading() as db:
            return decisions.select_decided(db, experiments)

    def baseline(self, name: str) -> list[BaselineEntry]:
        """Return a baseline that sessions recorded; none of an unknown name."""
        with self.reading() as db:
            return decisions.select_baseline(db, name)

    def baseline_names(self) -> list[str]:
        """Return the names of the baselines that sessions recorded."""
        with self.reading() as db:
            return decisions.select_baseline_names(db)

    def experiment_names(self) -> list[str]:
        """Return the names of all experiments."""
        with self.reading() as db:
            return decisions.select_experiment_names(db)

    def runs_of_commit(self, commit: str = "") -> list[Run]:
        """Return the runs of all sessions at a commit, by default the newest session's."""
        with self.reading() as db:
            return decisions.runs_of_commit(db, commit)

    def sessions(self, session_id: str | None = None) -> list[Session]:
        """Return one session, or all, newest first."""
        with self.reading() as db:
            return reading.select_sessions(db, session_id)

    def environments(self, hashes: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return the facts of some environments by their hash."""
        with self.reading() as db:
            return reading.select_environments(db, hashes)

    def fact(self, name: str, run_ids: Collection[str]) -> dict[str, Any]:
        """Return one fact of some runs, by their ids."""
        with self.reading() as db:
            return reading.select_fact(db, name, run_ids)

    def artifacts(self, run_ids: Collection[str]) -> list[Artifact]:
        """Return what some runs saved, the last of each name."""
        with self.reading() as db:
            return reading.select_artifacts(db, run_ids)

    def curves(self, run_id: str) -> dict[str, list[tuple[int | None, float]]]:
        """Return the logged values of a run as (step, value), by metric."""
        with self.reading() as db:
            return reading.curves_of(db, run_id)

    def run(self, prefix: str) -> dict[str, Any]:
        """Return all there is about the run whose id begins so; see `reading.details_of`.

        Raises
        ------
        QueryError
            If no run or several have such an id.
        """
        with self.reading() as db:
            return reading.details_of(db, reading.run_of_prefix(db, prefix))

    def query(self, statement: str, timeout: float = TIMEOUT) -> Rows:
        """Return the answer to one statement over the views; see `asking.ask`."""
        from pytest_kepler.journal.asking import ask

        return ask(self._place, "query", statement, timeout)

    def where(self, expression: str, timeout: float = TIMEOUT) -> Rows:
        """Return the runs that a filter selects, with the parameters and metrics it names.

        Parameters
        ----------
        expression : str
            SQL over the runs, each parameter and metric a column; see `where.compile_filter`.
        timeout : float
            Seconds after which the question is ended.

        Raises
        ------
        QueryError
            If a name is unknown or may mean two things, DuckDB refuses the filter, or it takes
            too long.
        """
        from pytest_kepler.journal.asking import ask

        return ask(self._place, "where", expression, timeout)

    def runs_where(self, expression: str) -> list[Run]:
        """Return the runs that a filter selects, as records and in the filter's order."""
        return self.runs_of([row[0] for row in self.where(expression).rows])

    def runs_of(self, run_ids: Sequence[str]) -> list[Run]:
        """Return the runs that have these ids, in the order of the ids."""
        runs = self._runs("run_id IN (SELECT unnest(?::VARCHAR[]))", list(run_ids))
        by_id = {run.run_id: run for run in runs}
        return [by_id[run_id] for run_id in run_ids if run_id in by_id]

    # The share of a team

    @property
    def share(self) -> Path | None:
        """The folder that the journal is shared by, or None."""
        from pytest_kepler.journal.sharing import share_of

        return share_of(self._place)

    def share_by(self, share: Path | None) -> None:
        """Share what is recorded from now on by a folder, or no longer; see `sharing.begin`."""
        from pytest_kepler.journal.sharing import begin

        begin(self._place, share)

    def sync(self, share: Path) -> Synced:
        """Publish what is over and take in what others published; see `sharing.sync`."""
        from pytest_kepler.journal.sharing import sync

        return sync(self._place, share)

    def fetch_artifact(self, path: str) -> bool:
        """Bring an artefact from the share if it can be had; see `sharing.fetch_artifact`."""
        from pytest_kepler.journal.sharing import fetch_artifact

        return fetch_artifact(self._place, path)

    def forget_shared(self, run_ids: Collection[str]) -> int:
        """Remove runs from the share; see `sharing.forget`."""
        from pytest_kepler.journal.sharing import forget

        return forget(self._place, run_ids)

    # What few sessions ever do is imported when it is done.

    def examine(self, *, repair: bool = False) -> list[Ailment]:
        """Return what is wrong with the journal and what lies beside it; see `doctor.examine`."""
        from pytest_kepler.journal.doctor import examine

        return examine(self._place, repair=repair)

    def merge(self, sources: Iterable[Path]) -> list[Merged]:
        """Bring what other journals know into this one; see `merging.merge`."""
        from pytest_kepler.journal.merging import merge

        return merge(self._place, [Place(source) for source in sources])

    def export(self, folder: Path, form: Form) -> list[Path]:
        """Write the views and tables to files; see `moving.export`."""
        from pytest_kepler.journal.moving import export

        return export(self._place, folder, form)

    def import_(self, folder: Path) -> Merged:
        """Merge what `export` wrote; see `moving.import_`."""
        from pytest_kepler.journal.moving import import_

        return import_(self._place, folder)

    def export_to(self, store: Store, target: str) -> Moved:
        """Write the executed runs to the store of another program."""
        from pytest_kepler.journal import mlflow_store, tensorboard_store

        if store == "mlflow":
            return mlflow_store.export(self._place, target)
        return tensorboard_store.export(self._place, Path(target))

    def import_from(self, store: Store, source: str) -> Moved:
        """Bring the runs of the store of another program into this journal."""
        from pytest_kepler.journal import mlflow_store, tensorboard_store

        if store == "mlflow":
            return mlflow_store.import_(self._place, source)
        return tensorboard_store.import_(self._place, Path(source))

    def purge(self, run_ids: Collection[str]) -> Purged:
        """Remove runs for good, from every file; see `purging.purge`."""
        from pytest_kepler.journal.purging import purge

        return purge(self._place, run_ids)

    def rubbish(self) -> list[Rubbish]:
        """Return the files that no run names; see `garbage.find`."""
        from pytest_kepler.journal.garbage import find

        return find(self._place)

    def search(self, text: str) -> list[searching.Hit]:
        """Return the experiments with runs in which every word occurs, newest first."""
        with self.reading() as db:
            return searching.search(db, text)
