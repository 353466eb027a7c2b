"""Long experiments, folded in the database: what is said of all their runs, and which are shown.

Judging folds runs in Python, which takes a second for some thousands of them. Here DuckDB folds in
the same way, to tell which configurations a report shows; judging then judges those, and has the
counts of the others from here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.journal.reading import FINDING_TEXTS, Texts, finding_of
from pytest_kepler.records import Totals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from duckdb import DuckDBPyConnection

#: What the statements of the script may ask for.
_PLACES: Final = ("n_best", "n_worst")


@dataclass(frozen=True, slots=True)
class Tried:
    """One experiment of the journal, at a glance; void runs aside.

    Attributes
    ----------
    experiment : str
    spec : mapping
        What the marker said at the newest run.
    n_runs : int
    is_partial : bool
        Whether only a part of the grid has run.
    is_nested : bool
        Whether a parameter is a mapping, or has one in it: such are compared in Python alone.
    """

    experiment: str
    spec: Mapping[str, Any]
    n_runs: int
    is_partial: bool
    is_nested: bool


@dataclass(frozen=True, slots=True)
class Long:
    """An experiment that is to be folded: by which metric, which way, over which replicates."""

    experiment: str
    metric: str
    is_max: bool
    replicates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Folded:
    """What became of long experiments.

    Attributes
    ----------
    totals : mapping of str to Totals
        By experiment; those without a configuration that can be the best are left out.
    run_ids : list of str
        The runs of the configurations that a report shows, each configuration whole.
    """

    totals: dict[str, Totals]
    run_ids: list[str]


def glance(db: DuckDBPyConnection) -> list[Tried]:
    """Return the experiments with runs that are not void, in the order of their first runs."""
    n_nodes = dict(
        db.execute(
            "SELECT experiment, count(DISTINCT node_id) FROM every_run WHERE status <> 'void' "
            "GROUP BY experiment"
        ).fetchall()
    )
    # By spec first: it is read once for all the runs that share it.
    rows = db.execute(
        "SELECT experiment, spec::VARCHAR, count(*), "
        "min({'at': coalesce(started_at, make_timestamp(0)), 'id': run_id}) AS first, "
        "max({'at': coalesce(started_at, make_timestamp(0)), 'id': run_id}) AS last "
        "FROM every_run WHERE status <> 'void' GROUP BY ALL ORDER BY last"
    ).fetchall()
    read = Texts()
    nested = _nested(db)
    found: dict[str, list[tuple[Mapping[str, Any], int, tuple[Any, str]]]] = {}
    for experiment, spec, n_runs, first, _ in rows:
        found.setdefault(experiment, []).append((read(spec), n_runs, (first["at"], first["id"])))
    order = sorted(found, key=lambda name: min(first for *_, first in found[name]))
    return [
        Tried(
            experiment=name,
            spec=found[name][-1][0],
            n_runs=sum(n for _, n, _ in found[name]),
            is_partial=n_nodes[name] < _grid(spec for spec, *_ in found[name]),
            is_nested=name in nested,
        )
        for name in order
    ]


def _grid(specs: Iterable[Mapping[str, Any]]) -> int:
    """Return how many runs the grid has, as the newest spec that tells says."""
    sizes = [spec["grid"] for spec in specs if isinstance(spec.get("grid"), int)]
    return int(sizes[-1]) if sizes else 0


def _nested(db: DuckDBPyConnection) -> set[str]:
    names = [
        name for (name,) in db.execute("SELECT name FROM naming WHERE kind = 'nested'").fetchall()
    ]
    if not names:
        return set()
    rows = db.execute(
        "SELECT DISTINCT experiment FROM every_run WHERE list_has_any(map_keys(params), ?)", [names]
    ).fetchall()
    return {name for (name,) in rows}


def n_sessions(db: DuckDBPyConnection) -> int:
    """Return how many sessions the runs belong to that are not void."""
    rows = db.execute(
        "SELECT count(DISTINCT session_id) FROM every_run WHERE status <> 'void'"
    ).fetchall()
    return int(rows[0][0])


def fold(db: DuckDBPyConnection, asked: Sequence[Long], n_best: int, n_worst: int) -> Folded:
    """Fold long experiments, and tell which of their configurations are to be read.

    Parameters
    ----------
    db : connection
        To read.
    asked : sequence of Long
        The experiments.
    n_best, n_worst : int
        How many configurations from either end of the ranking are read, with all that equal the
        last of them. An experiment with no more results than `n_best` is read whole.
    """
    if not asked:
        return Folded({}, [])
    db.execute(
        "CREATE OR REPLACE TEMP TABLE asked AS SELECT unnest(range(?)) AS number, "
        "unnest(?::VARCHAR[]) AS experiment, unnest(?::VARCHAR[]) AS metric, "
        "unnest(?::BOOLEAN[]) AS is_max, unnest(?::VARCHAR[][]) AS replicates",
        [
            len(asked),
            [one.experiment for one in asked],
            [one.metric for one in asked],
            [one.is_max for one in asked],
            [list(one.replicates) for one in asked],
        ],
    )
    numbers = {"n_best": n_best, "n_worst": n_worst}
    for statement in db.extract_statements(_sql()):
        named = {name: numbers[name] for name in _PLACES if f"${name}" in statement.query}
        db.execute(statement, named)
    counts = _counts(db)
    totals = _Totals(db).by_number(counts)
    rows = db.execute(
        "SELECT run_id FROM newest SEMI JOIN shown USING (number, setting) "
        "WHERE number IN (SELECT unnest(?::BIGINT[]))",
        [sorted(counts)],
    ).fetchall()
    return Folded(
        totals={asked[number].experiment: found for number, found in totals.items()},
        run_ids=[run_id for (run_id,) in rows],
    )


@cache
def _sql() -> str:
    return (files(__package__) / "queries" / "fold.sql").read_text(encoding="utf-8")


def _counts(db: DuckDBPyConnection) -> dict[int, dict[str, int]]:
    names = (
        *("n_runs", "n_configurations", "n_rows", "n_ranked", "n_other_data"),
        *("least_replicates", "most_replicates"),
    )
    rows = db.execute(
        "SELECT number, any_value(of_all.n), count(*), count(*) FILTER (WHERE is_row), "
        "count(mean) FILTER (WHERE is_current AND is_row) AS n_ranked, "
        "count(*) FILTER (WHERE is_row AND NOT is_current), min(n_runs), max(n_runs) "
        "FROM folded JOIN (SELECT number, count(*) AS n FROM own GROUP BY number) AS of_all "
        "USING (number) GROUP BY number HAVING n_ranked > 0"
    ).fetchall()
    return {number: dict(zip(names, counts, strict=True)) for number, *counts in rows}


class _Totals:
    """What is said of all configurations, from the tables that `fold.sql` made."""

    def __init__(self, db: DuckDBPyConnection) -> None:
        self._db = db

    def by_number(self, counts: Mapping[int, Mapping[str, int]]) -> dict[int, Totals]:
        params, logged, names = map(self._grouped, (_PARAMS, _LOGGED, _NAMES))
        statuses, in_use, troubles = map(self._grouped, (_STATUSES, _IN_USE, _TROUBLES))
        noted, findings = map(self._grouped, (_NOTED, _FINDINGS))
        read = Texts()
        return {
            number: Totals(
                n_runs=found["n_runs"],
                n_configurations=found["n_configurations"],
                n_rows=found["n_rows"],
                n_ranked=found["n_ranked"],
                n_other_data=found["n_other_data"],
                n_replicates=found["most_replicates"]
                if found["least_replicates"] == found["most_replicates"]
                else 0,
                varying=frozenset(
                    name
                    for name, is_one, n, _ in params[number]
                    if not (is_one and n == found["n_configurations"])
                ),
                fixed={
                    name: json.loads(value)
                    for name, is_one, n, value in params[number]
                    if is_one and n == found["n_configurations"]
                },
                logged=dict(logged[number]),
                names=frozenset(name for (name,) in names[number]),
                statuses=dict(statuses[number]),
                in_use=frozenset(data for (data,) in in_use[number]),
                troubles=tuple(troubles[number]),
                noted=frozenset(run_id for (run_id,) in noted[number]),
                findings=tuple(
                    (finding_of(row, read), tuple(run_ids)) for *row, run_ids in findings[number]
                ),
            )
            for number, found in counts.items()
        }

    def _grouped(self, sql: str) -> _Groups:
        groups = _Groups()
        for number, *row in self._db.execute(sql).fetchall():
            groups[number].append(tuple(row))
        return groups


class _Groups(dict[int, list[Any]]):
    """Rows by experiment; none where there are none."""

    def __missing__(self, number: int) -> list[Any]:
        self[number] = []
        return self[number]


#: Of each parameter: whether it has one value alone, in how many configurations, and which.
_PARAMS: Final = """
SELECT number, name, min(value) = max(value), count(*), min(value)
FROM (
    SELECT
        asked.number AS number, asked.replicates AS replicates,
        unnest(map_keys(params)) AS name,
        coalesce(unnest(map_values(params))::VARCHAR, 'null') AS value
    FROM every_run
        SEMI JOIN folded ON every_run.run_id = folded.one_run
        JOIN asked USING (experiment)
)
WHERE NOT list_contains(replicates, name)
GROUP BY number, name
ORDER BY number, name
"""
#: In how many configurations a metric has a value.
_LOGGED: Final = """
SELECT number, name, count(DISTINCT setting)
FROM (
    SELECT number, setting, unnest(metrics) AS name
    FROM newest JOIN names USING (names) WHERE is_counted
)
GROUP BY number, name
"""
#: The metrics that any run logged.
_NAMES: Final = """
SELECT DISTINCT number, unnest(metrics)
FROM (SELECT DISTINCT number, names FROM own) JOIN names USING (names)
"""
#: How runs ended, of configurations whose data is in use.
_STATUSES: Final = """
SELECT number, outcome, count(*)
FROM newest JOIN folded USING (number, setting) WHERE is_current GROUP BY ALL
"""
_IN_USE: Final = """
SELECT number, coalesce(name, '')
FROM in_use LEFT JOIN (
    SELECT DISTINCT hash(name) AS evaluated_on, name
    FROM (SELECT eval_hash AS name FROM every_run UNION SELECT data_hash FROM every_run)
) USING (evaluated_on)
"""
#: Runs without a number, and those that are no ground to skip, newest first.
_TROUBLES: Final = """
SELECT number, label, text, run_id
FROM (
    SELECT number, outcome AS label, coalesce(message, '') AS text, run_id, started_at
    FROM newest WHERE NOT is_counted
    UNION ALL
    SELECT number, 'unsound' AS label, unsound AS text, run_id, started_at
    FROM newest WHERE unsound IS NOT NULL
)
ORDER BY coalesce(started_at, make_timestamp(0)) DESC, run_id DESC
"""
_NOTED: Final = "SELECT number, run_id FROM own SEMI JOIN note USING (run_id)"
#: What checks reported, each once, by its first run, with all runs.
_FINDINGS: Final = """
SELECT number, {}, list(run_id ORDER BY checked_at, run_id)
FROM finding JOIN (SELECT run_id, number FROM own) AS own USING (run_id)
GROUP BY number, code, location, message, waiver
ORDER BY min(checked_at), min(run_id), code
""".format(
    ", ".join(
        f"first({name} ORDER BY checked_at, run_id)"
        for name in (*FINDING_TEXTS, "measured::VARCHAR", "threshold::VARCHAR")
    )
)
