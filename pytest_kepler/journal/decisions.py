"""What sessions concluded, as later ones ask for it: claims, baselines, what ran at a commit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_kepler.journal.reading import select_runs, utc
from pytest_kepler.records import BaselineEntry, Decided

if TYPE_CHECKING:
    from collections.abc import Collection

    from duckdb import DuckDBPyConnection

    from pytest_kepler.records import Run


def select_decided(db: DuckDBPyConnection, experiments: Collection[str]) -> list[Decided]:
    """Return what was decided about the claims of some experiments, oldest first."""
    rows = db.execute(
        "SELECT c.experiment, c.facts::VARCHAR, coalesce(s.started_at, c.decided_at), c.n_pairs "
        "FROM claim AS c LEFT JOIN session AS s USING (session_id) "
        "WHERE c.facts IS NOT NULL AND c.experiment IN (SELECT unnest(?::VARCHAR[])) "
        "ORDER BY c.decided_at",
        [sorted(experiments)],
    ).fetchall()
    found = []
    for experiment, text, worded_at, n_pairs in rows:
        facts = json.loads(text)
        evidence = frozenset(facts.get("evidence", ()))
        definition = facts.get("definition", "")
        found.append(Decided(experiment, definition, utc(worded_at), n_pairs, evidence))
    return found


def select_baseline(db: DuckDBPyConnection, name: str) -> list[BaselineEntry]:
    """Return the newest entry of each experiment and metric of a baseline."""
    rows = db.execute(
        "SELECT experiment, metric, value, params ->> '$', facts::VARCHAR FROM baseline "
        "WHERE name = ? AND facts IS NOT NULL QUALIFY row_number() OVER "
        "(PARTITION BY experiment, metric ORDER BY recorded_at DESC) = 1 "
        "ORDER BY experiment, metric",
        [name],
    ).fetchall()
    return [_entry(*row) for row in rows]


def _entry(experiment: str, metric: str, value: float, params: str, text: str) -> BaselineEntry:
    facts: dict[str, Any] = json.loads(text)
    return BaselineEntry(
        experiment=experiment,
        metric=metric,
        value=value,
        goal=facts.get("goal"),
        replicates=facts.get("replicates", {}),
        params=params or "",
        run_ids=tuple(facts.get("runs", ())),
        commit=facts.get("commit", ""),
        data=facts.get("data", ""),
    )


def select_baseline_names(db: DuckDBPyConnection) -> list[str]:
    """Return the names of the baselines that sessions recorded."""
    return [name for (name,) in db.execute("SELECT DISTINCT name FROM baseline").fetchall()]


def select_experiment_names(db: DuckDBPyConnection) -> list[str]:
    """Return the names of all experiments."""
    found = db.execute("SELECT DISTINCT experiment FROM every_run ORDER BY 1").fetchall()
    return [name for (name,) in found]


def runs_of_commit(db: DuckDBPyConnection, commit: str) -> list[Run]:
    """Return the runs of all sessions at a commit, which may be shortened, void ones left out.

    Without a commit they are those of the newest session's; where that session knew of none, all
    runs that there are.
    """
    known = commit or _newest_commit(db)
    if not known:
        return select_runs(db, "status <> 'void'", [])
    return select_runs(
        db,
        "status <> 'void' AND session_id IN "
        '(SELECT session_id FROM session WHERE starts_with("commit", ?))',
        [known],
    )


def _newest_commit(db: DuckDBPyConnection) -> str:
    found = db.execute(
        'SELECT "commit" FROM session WHERE session_id IN (SELECT session_id FROM run) '
        "ORDER BY started_at DESC, session_id LIMIT 1"
    ).fetchall()
    return (found[0][0] or "") if found else ""
