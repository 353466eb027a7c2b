from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_kepler.journal import Journal, events
from pytest_kepler.spool import Spool, encode

SETTINGS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
numbers = st.floats(width=64) | st.integers(-(2**53), 2**53)
#: What a run logs: names with the values in their order.
logs = st.lists(st.tuples(st.text(min_size=1, max_size=6), numbers), max_size=8)


def journal_in(folder: str) -> Journal:
    return Journal(Path(folder) / ".kepler" / "journal.duckdb")


def run_event(run: str, params: object) -> dict:
    return {
        "e": "run",
        "run": run,
        "session": "s",
        "experiment": "t",
        "node": "t",
        "at": 1.0,
        "params": params,
    }


def same(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))


@SETTINGS
@given(
    runs=st.lists(
        st.tuples(logs, st.dictionaries(st.text(max_size=6), values, max_size=4)), max_size=4
    ),
    cuts=st.sets(st.integers(0, 40), max_size=3),
)
def test_whatever_is_logged_comes_back_however_the_ingests_cut_it(runs, cuts):
    with tempfile.TemporaryDirectory() as folder:
        journal = journal_in(folder)
        spool = Spool(journal.folder, "s")
        n_written = 0

        def written() -> None:
            nonlocal n_written
            n_written += 1
            if n_written in cuts:
                journal.ingest()

        for index, (log, params) in enumerate(runs):
            run = f"{index:020x}"
            spool.write(run_event(run, params))
            written()
            for name, value in log:
                spool.metric(run, name, value, None)
                written()
            spool.write({"e": "end", "run": run, "at": 2.0, "status": "passed"})
            written()
        spool.close()
        assert journal.ingest().torn == []

        with journal.reading() as db:
            named = db.execute("SELECT home, name, kind FROM naming").fetchall()
            used = db.execute("SELECT DISTINCT home, name, kind FROM name_use").fetchall()
        assert sorted(named) == sorted(used)
        stored = {found.run_id: found for found in journal.all_runs()}
        assert len(stored) == len(runs)
        for index, (log, params) in enumerate(runs):
            found = stored[f"{index:020x}"]
            last = {clean(name): float(value) for name, value in log}
            assert set(found.metrics) == set(last)
            assert all(same(found.metrics[name], value) for name, value in last.items())
            assert found.params == json.loads(encode({"p": clean(params)}))["p"] or has_big(params)


def clean(value: object) -> object:
    """Lone surrogates cannot be stored anywhere: they become question marks."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    return [clean(item) for item in value] if isinstance(value, list) else value


def has_big(value: object) -> bool:
    """Integers beyond 64 bits may become floating."""
    if isinstance(value, dict):
        return any(map(has_big, value.values()))
    if isinstance(value, list):
        return any(map(has_big, value))
    return isinstance(value, int) and value.bit_length() > 63


@SETTINGS
@given(
    rubbish=st.lists(
        st.binary(max_size=40).map(lambda line: line.replace(b"\n", b" "))
        | st.dictionaries(
            st.sampled_from([*events.COLUMNS, "r", "n", "v", "s", "t"]), values, max_size=8
        ).flatmap(
            lambda event: st.sampled_from(sorted(events.REQUIRED)).map(
                lambda kind: json.dumps(
                    {"e": kind, **{k: v for k, v in event.items() if k != "e"}}
                ).encode()
            )
        ),
        max_size=6,
    )
)
def test_no_line_whatever_keeps_the_others_out(rubbish):
    with tempfile.TemporaryDirectory() as folder:
        journal = journal_in(folder)
        spool = Spool(journal.folder, "s")
        spool.write(run_event("a" * 20, {"x": 1}))
        for line in rubbish:
            os.write(spool._descriptor, line + b"\n")
        spool.metric("a" * 20, "loss", 0.5, 0)
        spool.write({"e": "end", "run": "a" * 20, "at": 2.0, "status": "passed"})
        spool.close()
        journal.ingest()
        found = next(run for run in journal.all_runs() if run.run_id == "a" * 20)
        assert (found.status, found.metrics["loss"]) == ("passed", 0.5)
        journal.query("SELECT * FROM runs")
        journal.query("SELECT * FROM params")
        journal.query("SELECT * FROM metrics")
        assert journal.ingest().n_events == 0
