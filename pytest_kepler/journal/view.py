"""The journal in a notebook or a test: read-only, each answer with its frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_kepler.errors import QueryError, nearest
from pytest_kepler.journal.journal import Journal
from pytest_kepler.journal.place import find_journal

if TYPE_CHECKING:
    from pytest_kepler.journal.rows import Rows

_OVERVIEW = """
SELECT experiment, hypothesis, n_runs, n_passed, n_failed, n_blocked, n_duplicates, last_at
FROM experiments ORDER BY last_at DESC
"""


class JournalView:
    """What has been tried, to be asked.

    Each answer has ``.df()``, ``.pl()``, ``.arrow()``, ``.fetchall()``, and shows itself as a
    table in a notebook.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def runs(self, where: str | None = None) -> Rows:
        """Return the runs, newest first, or those that a filter selects.

        Parameters
        ----------
        where : str, optional
            For example ``"lr > 0.01 and accuracy > .9 order by accuracy desc"``.

        Raises
        ------
        QueryError
            If the filter cannot be read.
        """
        if where is not None:
            return self._journal.where(where)
        return self._journal.query("SELECT * FROM runs ORDER BY started_at DESC, run_id")

    def best(self, experiment: str) -> Rows:
        """Return the passed runs of an experiment with their headline metric, best first.

        Parameters
        ----------
        experiment : str
            The experiment's name, or the end of it: ``test_svm``.

        Raises
        ------
        QueryError
            If there is no such experiment, several, or one without a headline metric.
        """
        name = self._experiment(experiment)
        passed = [run for run in self._journal.experiment_runs([name]) if run.status == "passed"]
        metric = next((run.spec["metric"] for run in passed if run.spec.get("metric")), None)
        if metric is None:
            msg = f"{name} has no passed run with a headline metric: @experiment(metric=…)."
            raise QueryError(msg)
        goal = passed[0].spec.get("goal", "max")
        order = "asc" if (goal.get(metric) if isinstance(goal, dict) else goal) == "min" else "desc"
        quoted_name = name.replace("'", "''")
        quoted_metric = str(metric).replace('"', '""')
        return self._journal.where(
            f"runs.experiment = '{quoted_name}' and status = 'passed' "
            f'order by metrics."{quoted_metric}" {order} nulls last, started_at, run_id'
        )

    def load(
        self, run: str, name: str = "model", *, into: Any = None, trusted: bool = False
    ) -> Any:
        """Read back what a run saved; figures and files as their Path.

        Parameters
        ----------
        run : str
            Its id, or how it begins. A duplicate has what the run that it repeats saved.
        name : str
            What it was saved by.
        into : torch.nn.Module, optional
            Takes the weights that were saved, and is returned.
        trusted : bool
            Whether code that the file names may run as it is read.

        Raises
        ------
        QueryError
            If there is no such run, or it saved nothing by that name.
        ExperimentError
            If the file is gone, has changed, or needs to be trusted.
        """
        found = self._journal.run(run)["run"]
        executed = found.duplicate_of or found.run_id
        saved = {one.name: one for one in self._journal.artifacts([executed])}
        if name not in saved:
            msg = f"Run {found.short_id} saved nothing by the name {name!r}; {nearest(name, saved)}"
            raise QueryError(msg)
        from pytest_kepler.adapters import formats

        if not (self._journal.folder / saved[name].path).exists():
            self._journal.fetch_artifact(saved[name].path)
        return formats.load(self._journal.folder, saved[name], trusted=trusted, into=into)

    def query(self, sql: str) -> Rows:
        """Return the answer to one SQL statement over the views; nothing can be written.

        Raises
        ------
        QueryError
            If it is no single statement that reads, or DuckDB refuses it.
        """
        return self._journal.query(sql)

    def _experiment(self, name: str) -> str:
        rows = self._journal.query("SELECT DISTINCT experiment FROM experiments").rows
        known = sorted(row[0] for row in rows)
        found = [other for other in known if other == name] or [
            other for other in known if other.endswith(f"::{name}")
        ]
        if len(found) == 1:
            return str(found[0])
        if found:
            msg = f"{name!r} could be {' or '.join(found)}."
            raise QueryError(msg)
        short = [other.rpartition("::")[2] for other in known]
        msg = f"The journal has no experiment {name!r}; {nearest(name, short)}"
        raise QueryError(msg)

    def __repr__(self) -> str:
        """Name the file."""
        return f"<journal {self._journal.path}>"

    def _repr_html_(self) -> str:
        """Return the table of the experiments, for a notebook."""
        return self._journal.query(_OVERVIEW)._repr_html_()


def open_journal(path: str | Path | None = None) -> JournalView:
    """Open a journal to read, outside pytest.

    Parameters
    ----------
    path : str or Path, optional
        Its file; default: the one that pytest would use in this folder.

    Raises
    ------
    JournalError
        If it cannot be opened.
    """
    file = find_journal(Path.cwd(), configured=None if path is None else str(path))
    journal = Journal(file)
    journal.ingest()
    return JournalView(journal)
