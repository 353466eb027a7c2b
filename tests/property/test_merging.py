"""Journals merge to the same, in any order and however often."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pytest_kepler.journal import Journal
from pytest_kepler.spool import encode

# An example makes and merges files for seconds: few of them, and none to shrink.
SETTINGS = settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
)

ORIGINAL = "00" + "0" * 18

numbers = st.floats(width=64) | st.integers(-1000, 1000)
runs = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from("ab"), numbers), max_size=5),
        st.sampled_from(["passed", "failed", "duplicate", ""]),
        st.dictionaries(st.sampled_from(["C", "it's"]), numbers | st.text(max_size=4), max_size=2),
    ),
    max_size=3,
)
#: What each process logs, and how much of each spool each journal has seen.
spools = st.lists(runs, min_size=1, max_size=3)
shares = st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=2, max_size=3)


def lines_of(name: str, logged) -> list[bytes]:
    """Return what a process writes: a session, its runs, and what belongs to them."""
    session = f"s-{name}"
    events: list[dict] = [
        {"e": "session", "session": session, "at": 1.0, "commit": f"c-{name}", "project": "p"},
        {"e": "environment", "hash": "env", "facts": {"python": "3"}},
        {"e": "code", "hash": "code", "parts": {"f": f"source of {name}"}},
    ]
    for index, (values, status, params) in enumerate(logged):
        run = f"{name}{index}" + "0" * 18
        begin = {"e": "run", "run": run, "session": session, "experiment": "t", "node": "t"}
        begin |= {"at": 2.0 + index, "params": params, "code": "code"}
        if (
            status == "duplicate" and run != ORIGINAL
        ):  # of a run of another process, whose spool may not be here
            events.append({**begin, "status": status, "duplicate_of": ORIGINAL})
            continue
        events.append(begin)
        events += [
            {"e": "m", "r": run, "n": metric, "v": value, "s": step, "t": 3.0}
            for step, (metric, value) in enumerate(values)
        ]
        events.append({"e": "fact", "run": run, "facts": {"x": index}})
        events.append({"e": "note", "note": f"n-{run}", "run": run, "text": "seen", "at": 4.0})
        events.append(
            {"e": "check", "run": run, "session": session, "code": "K", "severity": "note"}
        )
        events.append({"e": "void", "run": run, "reason": "r", "at": 5.0})
        if status:
            events.append({"e": "end", "run": run, "at": 6.0, "status": status, "seconds": 1.0})
    events.append({"e": "session_end", "session": session, "at": 9.0, "exit_status": 0})
    return [encode(event) for event in events]


def journal_of(folder: Path, logged, seen) -> Journal:
    """Return a journal that has taken the given share of each spool."""
    journal = Journal(folder / ".kepler" / "journal.duckdb")
    journal.make_folder()
    spool = journal.folder / "spool"
    spool.mkdir()
    for index, (what, share) in enumerate(zip(logged, seen, strict=False)):
        lines = lines_of(str(index), what)
        path = spool / f"{index}.jsonl"
        path.write_bytes(b"".join(lines[: round(len(lines) * share)]))
        os.utime(path, (7.0, 7.0))
    journal.ingest()
    return journal


def content(journal: Journal) -> dict[str, list[str]]:
    """Return all rows of all tables, but for how many batches they came in."""
    with journal.reading() as db:
        tables = [
            name for (name,) in db.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        ]
        found = {}
        for table in sorted(set(tables) - {"ledger", "migration", "point"}):
            rows = db.execute(f"SELECT DISTINCT t::VARCHAR FROM {table} AS t ORDER BY 1").fetchall()
            found[table] = [row for (row,) in rows]
        found["point"] = db.execute(
            "SELECT run_id, name, flatten(list(steps ORDER BY batch))::VARCHAR, "
            "flatten(list(vals ORDER BY batch))::VARCHAR FROM point GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        found["ledger"] = db.execute(
            "SELECT spool, max(taken) FROM ledger WHERE spool <> '' GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    return found


@SETTINGS
@given(logged=spools, seen=shares)
def test_any_order_gives_the_same_and_twice_changes_nothing(logged, seen):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = [journal_of(folder / str(n), logged, share) for n, share in enumerate(seen)]
        results = []
        for order in (sources, sources[::-1]):
            target = Journal(folder / f"merged-{len(results)}.duckdb")
            target.merge([source.path for source in order])
            results.append(content(target))
            target.merge([source.path for source in order])
            assert content(target) == results[-1]
        assert all(json.dumps(r) == json.dumps(results[0]) for r in results)
        # Merging merged journals is the same again.
        both = Journal(folder / "both.duckdb")
        both.merge([folder / "merged-0.duckdb", folder / "merged-1.duckdb"])
        assert content(both) == results[0]


@SETTINGS
@given(logged=spools, seen=shares)
def test_what_one_journal_knows_whole_is_whole_after_the_merge(logged, seen):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        partial = [journal_of(folder / str(n), logged, share) for n, share in enumerate(seen)]
        whole = journal_of(folder / "whole", logged, [1.0] * 3)
        partial[0].merge([whole.path, *(other.path for other in partial[1:])])
        expected, found = content(whole), content(partial[0])
        for table in ("point", "run", "session_end", "note", "fact", "void"):
            assert set(map(str, expected[table])) <= set(map(str, found[table])), table
        statuses = {run.run_id: run.status for run in partial[0].all_runs()}
        assert statuses == {run.run_id: run.status for run in whole.all_runs()}
