"""Rows of the journal as records: runs, findings, and all there is about one run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.errors import QueryError
from pytest_kepler.records import EMPTY, Artifact, Finding, Run

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from duckdb import DuckDBPyConnection

    from pytest_kepler.journal.where import Sense

#: Fields of a run that come from another expression than the column of their name.
_EXPRESSIONS: Final = {
    "params": "to_json(params)::VARCHAR",
    "commit": "coalesce(\"commit\", '')",
    "dirty": "coalesce(dirty, false)",
    "spec": "spec::VARCHAR",
    "parts": "parts::VARCHAR",
}
_FIELDS: Final = tuple(field.name for field in fields(Run))
_RUN: Final = "SELECT {} FROM every_run".format(
    ", ".join(_EXPRESSIONS.get(name, name) for name in _FIELDS)
)
#: What a decision does not ask for: there may be very many runs.
_LEAN: Final = {"params": "NULL", "hypothesis": "''", "commit": "''", "node_id": "''"}
_LEAN_RUN: Final = "SELECT {} FROM every_run".format(
    ", ".join({**_EXPRESSIONS, **_LEAN}.get(name, name) for name in _FIELDS)
)
_STARTED_AT, _PARAMS, _METRICS, _SPEC, _PARTS = map(
    _FIELDS.index, ("started_at", "params", "metrics", "spec", "parts")
)
#: Fields of a session that come from the column of their name as they are.
_SESSION: Final = (
    *("seconds", "exit_status", "project", "rootdir", "host", "python", "platform"),
    *("commit", "diff"),
)
#: The columns of a finding that are texts.
FINDING_TEXTS: Final = ("code", "name", "severity", "message", "location", "fix", "waiver")
_NEWEST_FIRST: Final = "ORDER BY started_at DESC, run_id"
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ID_DIGITS: Final = 8
_N_NEWEST: Final = 200
#: Runs of other code, of the same experiment and parameters, that a new one is compared with.
_N_COMPARED: Final = 3


@dataclass(frozen=True, slots=True)
class Gate:
    """How a sanity test or fixture that guards experiments came out in a session."""

    session_id: str
    node_id: str
    status: str
    seconds: float | None
    message: str


@dataclass(frozen=True, slots=True)
class PassedGate:
    """A verdict that a later session may take over: what passed, and what it rests on.

    Attributes
    ----------
    identity : str
        Of the sanity test's code, parameters and fixtures.
    seconds, call_seconds : float
        What it took with its fixtures, and the test's body alone.
    environment : mapping
        The facts of the environment that it ran in.
    files : mapping of str to str
        The files that it was seen to open, with the hashes of their content.
    """

    node_id: str
    identity: str
    seconds: float
    call_seconds: float
    checked_at: datetime
    environment: Mapping[str, Any]
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Note:
    """An inference in words, on a run or on an experiment."""

    note_id: str
    run_id: str
    experiment: str
    text: str
    noted_at: datetime


@dataclass(frozen=True, slots=True)
class Threshold:
    """How an experiment came out against what it must reach, in one session."""

    session_id: str
    experiment: str
    metric: str
    bound: str
    threshold: float | None
    value: float | None
    status: str
    message: str


@dataclass(frozen=True, slots=True)
class Session:
    """One pytest invocation."""

    session_id: str
    started_at: datetime
    seconds: float | None
    exit_status: int | None
    project: str
    rootdir: str
    args: Any
    host: str
    python: str
    platform: str
    commit: str
    dirty: bool
    diff: str


class Texts:
    """JSON texts, each read once: the same spec stands in every run of an experiment."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def __call__(self, text: str | None) -> Any:
        """Return what a text says; an empty mapping for none."""
        if not text:
            return EMPTY
        if text not in self._known:
            self._known[text] = json.loads(text)
        return self._known[text]


class _Unread(Mapping[str, Any]):
    """The mapping of a JSON text, read when it is looked at: few of many runs ever are."""

    __slots__ = ("_found", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: dict[str, Any] | None = None

    def _read(self) -> dict[str, Any]:
        if self._found is None:
            self._found = json.loads(self._text)
        return self._found

    def __getitem__(self, key: str) -> Any:
        return self._read()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __repr__(self) -> str:
        return repr(self._read())


def select_runs(
    db: DuckDBPyConnection,
    condition: str = "true",
    values: Sequence[object] | Mapping[str, object] = (),
    *,
    is_lean: bool = False,
    texts: Texts | None = None,
) -> list[Run]:
    """Return the runs that a condition over the private view selects, newest first."""
    select = _LEAN_RUN if is_lean else _RUN
    rows = db.execute(f"{select} WHERE {condition} {_NEWEST_FIRST}", values).fetchall()
    read = texts or Texts()
    return [_run(list(row), read) for row in rows]


def _run(row: list[Any], read: Texts) -> Run:
    row[_STARTED_AT] = utc(row[_STARTED_AT])
    row[_PARAMS] = read(row[_PARAMS])
    row[_METRICS] = row[_METRICS] or EMPTY
    row[_SPEC] = read(row[_SPEC])
    row[_PARTS] = _Unread(row[_PARTS]) if row[_PARTS] else EMPTY
    return Run(*row)


_EXECUTED: Final = "status NOT IN ('duplicate', 'void', 'running')"
_OF_CODE: Final = "code_hash IN (SELECT unnest($codes::VARCHAR[]))"
_OF_EXPERIMENT: Final = "experiment IN (SELECT unnest($experiments::VARCHAR[]))"
_NEWEST_OF: Final = "row_number() OVER (PARTITION BY {} ORDER BY started_at DESC, run_id)"
#: Of each of some parameters: what decides, which has the code; else what a run is compared with.
_KNOWN: Final = f"""
WITH executed AS (
    SELECT run_id, experiment, identity, params_hash, started_at, {_OF_CODE} AS is_of_code
    FROM every_run
    WHERE {_EXECUTED} AND ({_OF_CODE} OR {_OF_EXPERIMENT})
        AND params_hash IN (SELECT unnest($params::VARCHAR[]))
),
deciding AS (
    SELECT run_id, experiment, params_hash FROM executed WHERE is_of_code
    QUALIFY {_NEWEST_OF.format("experiment, identity")} = 1
),
others AS (
    SELECT run_id FROM executed ANTI JOIN deciding USING (experiment, params_hash)
    QUALIFY {_NEWEST_OF.format("experiment, params_hash")} <= {_N_COMPARED}
)
SELECT run_id FROM deciding UNION ALL SELECT run_id FROM others
"""


def known_runs(
    db: DuckDBPyConnection,
    code_hashes: Collection[str],
    experiments: Collection[str],
    params_hashes: Collection[str],
    texts: Texts | None = None,
) -> list[Run]:
    """Return the executed runs by which runs of some code and experiments are decided.

    Only those with one of the given hashes of parameters, newest first: of the code, the newest of
    each identity; where an experiment has none with the code, a few of the newest.
    """
    return select_runs(
        db,
        f"run_id IN ({_KNOWN})",
        {
            "codes": sorted(code_hashes),
            "experiments": sorted(experiments),
            "params": sorted(params_hashes),
        },
        is_lean=True,
        texts=texts,
    )


def newest_runs(
    db: DuckDBPyConnection, code_hashes: Collection[str], experiments: Collection[str]
) -> list[Run]:
    """Return the newest executed runs of each of some experiments, or of some code; a few."""
    return select_runs(
        db,
        f"run_id IN (SELECT run_id FROM every_run "
        f"WHERE {_EXECUTED} AND ({_OF_CODE} OR {_OF_EXPERIMENT}) "
        f"QUALIFY {_NEWEST_OF.format('experiment')} <= {_N_NEWEST})",
        {"codes": sorted(code_hashes), "experiments": sorted(experiments)},
        is_lean=True,
    )


def past_runs(
    db: DuckDBPyConnection,
    session_id: str,
    experiments: Collection[str],
    run_ids: Collection[str],
    texts: Texts | None = None,
) -> list[Run]:
    """Return the newest run of each setting and data outside a session, and some runs by id."""
    return select_runs(
        db,
        "status IN ('passed', 'failed', 'error', 'xfailed') AND identity <> '' AND session_id <> ? "
        "AND experiment IN (SELECT unnest(?::VARCHAR[])) "
        "QUALIFY row_number() OVER (PARTITION BY experiment, code_hash, params_hash, "
        "coalesce(nullif(eval_hash, ''), data_hash) ORDER BY started_at DESC, run_id) = 1 "
        "OR run_id IN (SELECT unnest(?::VARCHAR[]))",
        [session_id, sorted(experiments), sorted(run_ids)],
        texts=texts,
    )


def select_findings(
    db: DuckDBPyConnection, session_id: str | None, run_ids: Collection[str] | None
) -> list[tuple[str, Finding]]:
    """Return (run id, finding) of a session, or of some runs; the id is '' in a sanity test."""
    condition, value = _of_session_or_runs(session_id, run_ids)
    rows = db.execute(
        f"SELECT coalesce(run_id, ''), {', '.join(FINDING_TEXTS)}, "
        "measured::VARCHAR, threshold::VARCHAR "
        f"FROM finding WHERE {condition} ORDER BY checked_at, run_id, code",
        [value],
    ).fetchall()
    read = Texts()
    return [(run_id, finding_of(rest, read)) for run_id, *rest in rows]


def finding_of(row: Sequence[Any], read: Texts) -> Finding:
    """Return the finding of a row: its texts, and what was measured and the limit as JSON."""
    *texts, measured, threshold = row
    return Finding(
        **dict(zip(FINDING_TEXTS, texts, strict=True)),
        measured=read(measured) or {},
        threshold=read(threshold) or {},
    )


def _of_session_or_runs(
    session_id: str | None, run_ids: Collection[str] | None
) -> tuple[str, object]:
    if session_id is not None:
        return (
            "(session_id = $1 OR run_id IN (SELECT run_id FROM every_run WHERE session_id = $1))",
            session_id,
        )
    return "run_id IN (SELECT unnest(?::VARCHAR[]))", sorted(run_ids or ())


def select_gates(db: DuckDBPyConnection, session_id: str) -> list[Gate]:
    """Return the gates of a session, in their order."""
    rows = db.execute(
        "SELECT session_id, node_id, status, seconds, message FROM gate WHERE session_id = ? "
        "ORDER BY checked_at, node_id",
        [session_id],
    ).fetchall()
    return [Gate(*row) for row in rows]


def select_last_gates(
    db: DuckDBPyConnection, node_ids: Collection[str]
) -> dict[str, tuple[str, datetime]]:
    """Return the newest (status, time) of some sanity tests by their node ids."""
    rows = db.execute(
        "SELECT node_id, arg_max(status, checked_at), max(checked_at) FROM gate "
        "WHERE node_id IN (SELECT unnest(?::VARCHAR[])) GROUP BY node_id",
        [sorted(node_ids)],
    ).fetchall()
    return {node_id: (status, utc(checked_at)) for node_id, status, checked_at in rows}


def select_passed_gates(
    db: DuckDBPyConnection, node_ids: Collection[str], least_seconds: float
) -> list[PassedGate]:
    """Return the newest verdict of each identity of some sanity tests, where that is passed.

    Only of those that took `least_seconds`; verdicts that were taken over do not count.
    """
    rows = db.execute(
        "SELECT node_id, identity, seconds, coalesce(call_seconds, 0), checked_at, facts::VARCHAR, "
        "files::VARCHAR FROM ("
        "SELECT * FROM gate WHERE coalesce(identity, '') <> '' AND status <> 'reused' "
        "AND node_id IN (SELECT unnest(?::VARCHAR[])) "
        "QUALIFY row_number() OVER (PARTITION BY node_id, identity ORDER BY checked_at DESC) = 1"
        ") AS newest LEFT JOIN environment USING (environment_hash) "
        "WHERE status = 'passed' AND seconds >= ?",
        [sorted(node_ids), least_seconds],
    ).fetchall()
    read = Texts()
    return [
        PassedGate(node, identity, seconds, body, utc(checked_at), read(facts), read(files))
        for node, identity, seconds, body, checked_at, facts, files in rows
    ]


def select_notes(
    db: DuckDBPyConnection, run_ids: Collection[str] | None, experiments: Collection[str] | None
) -> list[Note]:
    """Return the notes on some runs and experiments, or all, oldest first."""
    condition = "true"
    values: list[object] = []
    if run_ids is not None or experiments is not None:
        condition = (
            "run_id IN (SELECT unnest(?::VARCHAR[])) OR experiment IN (SELECT unnest(?::VARCHAR[]))"
        )
        values = [sorted(run_ids or ()), sorted(experiments or ())]
    rows = db.execute(
        "SELECT note_id, run_id, experiment, text, noted_at FROM note "
        f"WHERE {condition} ORDER BY noted_at, note_id",
        values,
    ).fetchall()
    return [
        Note(note_id, run_id, experiment, text, utc(noted_at))
        for note_id, run_id, experiment, text, noted_at in rows
    ]


def select_thresholds(db: DuckDBPyConnection, session_id: str | None) -> list[Threshold]:
    """Return the thresholds that a session judged, or all, oldest first."""
    rows = db.execute(
        "SELECT session_id, experiment, metric, bound, threshold, value, status, message "
        "FROM threshold WHERE $1 IS NULL OR session_id = $1 ORDER BY judged_at, experiment, metric",
        [session_id],
    ).fetchall()
    return [Threshold(*row) for row in rows]


def select_sessions(db: DuckDBPyConnection, session_id: str | None) -> list[Session]:
    """Return one session or all, newest first."""
    rows = db.execute(
        "SELECT session_id, started_at, args::VARCHAR, dirty, "
        + ", ".join(f'"{name}"' for name in _SESSION)
        + " FROM sessions WHERE $1 IS NULL OR session_id = $1 ORDER BY started_at DESC, session_id",
        [session_id],
    ).fetchall()
    read = Texts()
    return [
        Session(
            session_id=found,
            started_at=utc(started_at),
            args=read(args),
            dirty=bool(dirty),
            **dict(zip(_SESSION, plain, strict=True)),
        )
        for found, started_at, args, dirty, *plain in rows
    ]


def select_environments(
    db: DuckDBPyConnection, hashes: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Return the facts of some environments by their hash."""
    rows = db.execute(
        "SELECT environment_hash, facts::VARCHAR FROM environment "
        "WHERE environment_hash IN (SELECT unnest(?::VARCHAR[]))",
        [sorted(hashes)],
    ).fetchall()
    return {found: json.loads(facts) if facts else {} for found, facts in rows}


def select_fact(db: DuckDBPyConnection, name: str, run_ids: Collection[str]) -> dict[str, Any]:
    """Return one fact of some runs, by their ids."""
    rows = db.execute(
        "SELECT run_id, value::VARCHAR FROM fact "
        "WHERE name = ? AND run_id IN (SELECT unnest(?::VARCHAR[]))",
        [name, sorted(run_ids)],
    ).fetchall()
    return {run_id: json.loads(value) for run_id, value in rows}


def select_artifacts(db: DuckDBPyConnection, run_ids: Collection[str]) -> list[Artifact]:
    """Return what some runs saved, the last of each name, in the order of saving."""
    rows = db.execute(
        "SELECT name, kind, sha256, coalesce(n_bytes, 0), path, coalesce(content_hash, ''), run_id "
        "FROM artifact WHERE run_id IN (SELECT unnest(?::VARCHAR[])) "
        "QUALIFY row_number() OVER (PARTITION BY run_id, name ORDER BY saved_at DESC, rowid DESC)"
        " = 1 ORDER BY saved_at, rowid",
        [sorted(run_ids)],
    ).fetchall()
    return [Artifact(*row) for row in rows]


def run_of_prefix(db: DuckDBPyConnection, prefix: str) -> Run:
    """Return the run whose id begins so.

    Raises
    ------
    QueryError
        If no run or several do; the sentence names them.
    """
    found = select_runs(db, "starts_with(run_id, lower(?))", [prefix.strip()])
    if len(found) == 1:
        return found[0]
    if not found:
        msg = f"No run has an id that begins with {prefix!r}; kepler report lists them."
        raise QueryError(msg)
    digits = _distinguishing(run.run_id for run in found)
    names = ", ".join(f"{run.run_id[:digits]} ({run.node_id})" for run in found[:6])
    more = f" and {len(found) - 6} more" if len(found) > 6 else ""  # noqa: PLR2004  # as above
    msg = f"{len(found)} runs have an id that begins with {prefix!r}: {names}{more}."
    raise QueryError(msg)


def _distinguishing(ids: Iterable[str]) -> int:
    """Return how many characters tell the ids apart."""
    every = list(ids)
    digits = _ID_DIGITS
    while len({name[:digits] for name in every}) < len(every) and digits < len(every[0]):
        digits += 1
    return digits


def details_of(db: DuckDBPyConnection, run: Run) -> dict[str, Any]:
    """Return all that the journal has about one run, for ``kepler show``.

    Returns
    -------
    dict
        ``run`` (Run), ``curves`` ({metric: [(step, value), …]}), ``findings`` (list of Finding),
        ``facts`` and ``environment`` (mappings), ``code`` ({qualified name: source}), ``notes``,
        ``models``, ``datasets``, ``artifacts`` (lists of mappings, the columns of the views),
        ``session`` (such a mapping, empty if unknown), ``duplicates`` (ids).
    """
    executed = run.duplicate_of or run.run_id
    sessions = _mappings(db, "sessions", "session_id = ?", run.session_id)
    return {
        "run": run,
        "curves": curves_of(db, executed),
        "findings": [finding for _, finding in select_findings(db, None, {run.run_id, executed})],
        "notes": _mappings(
            db,
            "notes",
            "list_contains(?, run_id) OR list_contains(?, experiment)",
            [run.run_id, executed],
            [run.experiment],
        ),
        "facts": _facts(db, executed),
        "models": _mappings(db, "models", "run_id = ?", executed),
        "datasets": _mappings(
            db, "datasets", "contains(?, data_hash)", json.dumps(dict(run.parts)) + run.data_hash
        ),
        "artifacts": _mappings(db, "artifacts", "run_id = ?", executed),
        "environment": _json_of(db, "facts", "environment", "environment_hash", run),
        "code": _json_of(db, "parts", "code", "code_hash", run),
        "session": sessions[0] if sessions else {},
        "duplicates": _column(
            db, "SELECT run_id FROM every_run WHERE duplicate_of = ?", [run.run_id]
        ),
    }


def curves_of(db: DuckDBPyConnection, run_id: str) -> dict[str, list[tuple[int | None, float]]]:
    """Return the logged values of a run as (step, value), by metric."""
    rows = db.execute(
        "SELECT name, steps, vals FROM point WHERE run_id = ? ORDER BY name, batch", [run_id]
    ).fetchall()
    curves: dict[str, list[tuple[int | None, float]]] = {}
    for name, steps, values in rows:
        curves.setdefault(name, []).extend(zip(steps, values, strict=True))
    return curves


def _facts(db: DuckDBPyConnection, run_id: str) -> dict[str, Any]:
    rows = db.execute("SELECT name, value::VARCHAR FROM fact WHERE run_id = ?", [run_id]).fetchall()
    return {name: json.loads(value) for name, value in rows}


def _mappings(
    db: DuckDBPyConnection, view: str, condition: str, *values: object
) -> list[dict[str, Any]]:
    cursor = db.execute(f"SELECT DISTINCT * FROM {view} WHERE {condition} ORDER BY ALL", values)
    columns = [(column[0], str(column[1])) for column in cursor.description or []]
    return [
        {name: _python(item, kind) for (name, kind), item in zip(columns, row, strict=True)}
        for row in cursor.fetchall()
    ]


def _python(value: Any, kind: str) -> Any:
    if kind == "JSON" and value is not None:
        return json.loads(value)
    return utc(value) if isinstance(value, datetime) else value


def _json_of(db: DuckDBPyConnection, column: str, table: str, key: str, run: Run) -> Any:
    rows = db.execute(
        f"SELECT {column}::VARCHAR FROM {table} WHERE {key} = ?", [getattr(run, key)]
    ).fetchall()
    return json.loads(rows[0][0]) if rows and rows[0][0] else {}


def _column(db: DuckDBPyConnection, sql: str, values: list[object]) -> list[Any]:
    return [row[0] for row in db.execute(sql, values).fetchall()]


def param_senses(db: DuckDBPyConnection) -> Mapping[str, Sense]:
    """Return each parameter with what all its values are, a text if they are of several kinds."""
    rows: list[tuple[str, Sense]] = db.execute(
        """
        SELECT name, CASE
            WHEN bool_and(kind = 'number') FILTER (WHERE kind <> 'null') THEN 'number'
            WHEN bool_and(kind = 'truth') FILTER (WHERE kind <> 'null') THEN 'truth'
            ELSE 'text'
        END
        FROM naming WHERE home = 'params' GROUP BY name
        """
    ).fetchall()
    return dict(rows)


def metric_names(db: DuckDBPyConnection) -> frozenset[str]:
    """Return the name of each metric that a run has."""
    return frozenset(_column(db, "SELECT name FROM naming WHERE home = 'metrics'", []))


def utc(moment: datetime | None) -> datetime:
    """Return a time of the journal with its zone; an unknown one is the epoch."""
    return _NEVER if moment is None else moment.replace(tzinfo=UTC)
