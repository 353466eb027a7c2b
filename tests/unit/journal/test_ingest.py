from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_kepler import spool as spool_module
from pytest_kepler.journal import Ingested, Journal, events, slices
from pytest_kepler.journal.place import Place


def rows(journal: Journal, sql: str) -> list[tuple]:
    return journal.query(sql).rows


def test_a_finished_run_is_one_row_with_its_last_values(journal, writer):
    run = writer.run(params={"C": 0.5, "kernel": "rbf", "none": None}, seed=7)
    for step, value in enumerate([0.5, 0.7, 0.6]):
        writer.spool.metric(run, "accuracy", value, step)
    writer.spool.write({"e": "eval", "run": run, "prefix": "", "hash": "e1"})
    writer.end(run, "passed")

    assert journal.ingest() == Ingested(n_runs=1, n_points=3, n_events=4)
    (found,) = journal.all_runs()
    assert found.run_id == run
    assert found.params == {"C": 0.5, "kernel": "rbf", "none": None}
    assert found.metrics == {"accuracy": 0.6}
    assert (found.status, found.seconds, found.seed) == ("passed", 2.5, 7)
    assert (found.commit, found.dirty, found.eval_hash) == ("c0ffee", True, "e1")
    assert found.spec["metric"] == "accuracy"
    assert found.started_at.utcoffset().total_seconds() == 0
    assert rows(journal, "SELECT step, value FROM metrics ORDER BY step") == [
        (0, 0.5),
        (1, 0.7),
        (2, 0.6),
    ]


def test_a_second_ingest_changes_nothing(journal, writer):
    writer.whole_run({"accuracy": 0.9})
    journal.ingest()
    assert journal.ingest() == Ingested()
    journal._place.state.unlink()  # the ledger in the file tells the same
    assert journal.ingest() == Ingested()
    assert rows(journal, "SELECT count(*) FROM runs") == [(1,)]
    assert rows(journal, "SELECT count(*) FROM metrics") == [(1,)]


def test_nothing_new_does_not_open_duckdb(journal, writer):
    writer.whole_run()
    journal.ingest()
    code = (
        "import sys; from pathlib import Path; from pytest_kepler.journal import Journal\n"
        f"Journal(Path({str(journal.path)!r})).ingest(); assert 'duckdb' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run_split_over_ingests_is_whole_in_the_end(journal, writer):
    run = writer.run()
    writer.spool.metric(run, "loss", 2.0, 0)
    writer.spool.metric(run, "early", 1.0, None)
    journal.ingest()
    assert rows(journal, "SELECT status, metrics FROM runs") == [("running", "{}")]
    writer.spool.metric(run, "loss", 1.0, 1)
    writer.end(run)
    journal.ingest()
    (found,) = journal.all_runs()
    assert (found.status, found.metrics) == ("passed", {"early": 1.0, "loss": 1.0})
    assert rows(journal, "SELECT step, value FROM metrics WHERE name = 'loss' ORDER BY step") == [
        (0, 2.0),
        (1, 1.0),
    ]


def test_an_end_that_comes_before_its_run_waits_for_it(journal, writer, new_writer):
    other = new_writer()
    run = "ab" * 10
    other.end(run, "failed", message="assert 1 == 2")
    journal.ingest()
    assert journal.all_runs() == []
    writer.run(run=run)
    journal.ingest()
    (found,) = journal.all_runs()
    assert (found.status, found.message) == ("failed", "assert 1 == 2")


def test_a_session_that_comes_late_gives_its_runs_the_commit(journal, new_writer):
    early = new_writer("5e55")
    early.whole_run()
    journal.ingest()
    new_writer("5e55").begin()
    journal.ingest()
    assert journal.all_runs()[0].commit == "c0ffee"


def test_nan_and_infinities_are_kept(journal, writer):
    values = {"nan": math.nan, "up": math.inf, "down": -math.inf, "big": 1e300}
    writer.whole_run(values)
    journal.ingest()
    (run,) = journal.all_runs()
    assert math.isnan(run.metrics["nan"])
    assert (run.metrics["up"], run.metrics["down"]) == (math.inf, -math.inf)
    text = rows(journal, "SELECT metrics FROM runs")[0][0]
    assert json.loads(text) == {"nan": "NaN", "up": "Infinity", "down": "-Infinity", "big": 1e300}


def test_a_duplicate_has_what_its_event_leaves_out_from_the_run_that_it_repeats(journal, writer):
    said = {"params": {"C": 1}, "hypothesis": "soft", "identity": "i", "data": "d", "seed": 3}
    original = writer.whole_run({"accuracy": 0.9}, environment="e", parts={"code": {}}, **said)
    bare = {"e": "run", "session": writer.session, "experiment": "t.py::test_svm", "node": "n"}
    bare |= {"at": 1_760_000_100.0, "status": "duplicate", "duplicate_of": original}
    writer.spool.write({**bare, "run": "1" * 20})
    writer.spool.write({**bare, "run": "2" * 20, "spec": {"metric": "f1"}, "environment": "new"})
    writer.spool.write({**bare, "run": "3" * 20, "duplicate_of": "0" * 20})
    journal.ingest()
    by_id = {run.run_id: run for run in journal.all_runs()}
    first, same, other = by_id[original], by_id["1" * 20], by_id["2" * 20]
    kept = ("params", "hypothesis", "identity", "data_hash", "code_hash", "seed", "project")
    for name in kept:
        assert getattr(same, name) == getattr(other, name) == getattr(first, name), name
    assert (same.seconds, same.spec, same.parts) == (0.0, first.spec, {"code": {}})
    assert (other.spec, other.environment_hash) == ({"metric": "f1"}, "new")
    assert by_id["3" * 20].params == {}  # of a run that is not there


def test_a_duplicate_shows_the_numbers_of_the_run_it_repeats_and_logs_none(journal, writer):
    original = writer.run()
    writer.spool.metric(original, "accuracy", 0.9, None)
    writer.spool.write({"e": "eval", "run": original, "prefix": "", "hash": "e1"})
    writer.end(original)
    duplicate = writer.run(status="duplicate", duplicate_of=original, seconds=0.0)
    journal.ingest()
    later = writer.run(status="duplicate", duplicate_of=original, seconds=0.0)
    journal.ingest()
    by_id = {run.run_id: run for run in journal.all_runs()}
    for repeated in (duplicate, later):
        assert by_id[repeated].metrics == {"accuracy": 0.9}
        assert by_id[repeated].eval_hash == "e1"
    assert rows(journal, "SELECT DISTINCT run_id FROM metrics") == [(original,)]
    assert [run.run_id for run in journal.known({"code-1"}, (), {""})] == [original]


def test_a_run_whose_writer_is_gone_is_crashed_and_its_spool_taken_away(journal, new_writer):
    writer = new_writer().begin()
    run = writer.run()
    writer.spool.metric(run, "loss", 0.5, 3)
    journal.ingest()
    assert journal.all_runs()[0].status == "running"
    writer.close()
    assert journal.ingest() == Ingested(n_crashed=1)
    (found,) = journal.all_runs()
    assert (found.status, found.metrics) == ("crashed", {"loss": 0.5})
    assert not list((journal.folder / "spool").iterdir())


def test_a_run_that_was_open_when_the_session_was_interrupted_is_interrupted(journal, new_writer):
    writer = new_writer().begin()
    writer.run()
    writer.spool.write({"e": "session_end", "session": writer.session, "at": 2e9, "exit_status": 2})
    writer.close()
    journal.ingest()
    assert journal.all_runs()[0].status == "interrupted"


def test_a_torn_last_line_waits_while_its_writer_lives(journal, writer):
    run = writer.run()
    line = spool_module.encode({"e": "end", "run": run, "at": 1.0, "status": "passed"})
    os.write(writer.spool._descriptor, line[:20])
    assert journal.ingest().torn == []
    os.write(writer.spool._descriptor, line[20:])
    journal.ingest()
    assert journal.all_runs()[0].status == "passed"


def test_a_torn_last_line_of_a_dead_writer_is_kept_aside(journal, new_writer):
    writer = new_writer().begin()
    writer.whole_run()
    os.write(writer.spool._descriptor, b'{"e":"m","r":"x","n":"lo')
    writer.close()
    (message,) = journal.ingest().torn
    (kept,) = (journal.folder / "quarantine").iterdir()
    assert kept.read_bytes() == b'{"e":"m","r":"x","n":"lo'
    assert str(kept) in message
    assert journal.all_runs()[0].status == "passed"


def test_a_last_line_that_lacks_only_its_newline_counts(journal, new_writer):
    writer = new_writer().begin()
    run = writer.run()
    end = spool_module.encode({"e": "end", "run": run, "at": 1.0, "status": "passed"})
    os.write(writer.spool._descriptor, end.rstrip(b"\n"))
    writer.close()
    journal.ingest()
    assert journal.all_runs()[0].status == "passed"


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"{torn", id="no-json"),
        pytest.param(b"\x00\x00\x00", id="zeros"),
        pytest.param(b'{"e":"run","run":"\xff"}', id="no-utf-8"),
        pytest.param(b"[]", id="no-object"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"e":"of a later release"}', id="unknown-kind"),
        pytest.param(b'{"e":"run","run":"x"}', id="run-without-experiment"),
        pytest.param(b'{"e":"m","r":"x","n":"loss","v":"abc","s":0,"t":1}', id="no-number"),
        pytest.param(b'{"e":"m","r":"x","n":"loss","v":0.1', id="torn-point"),
    ],
)
def test_a_malformed_line_is_kept_aside_and_the_rest_goes_in(journal, writer, line):
    first = writer.whole_run({"accuracy": 0.5})
    os.write(writer.spool._descriptor, line + b"\n")
    second = writer.whole_run({"accuracy": 0.75})
    found = journal.ingest()
    assert len(found.torn) == 1
    (kept,) = (journal.folder / "quarantine").iterdir()
    assert kept.read_bytes() == line
    metrics = {run.run_id: run.metrics["accuracy"] for run in journal.all_runs()}
    assert metrics == {first: 0.5, second: 0.75}
    assert journal.ingest() == Ingested()


def test_odd_but_true_events_go_in(journal, writer):
    run = writer.run(
        node="t.py::test['quo\"te', \n, \udc80 😀]", params={"x" * 10_000: "y" * 10_000}
    )
    descriptor = writer.spool._descriptor
    os.write(descriptor, b'{"e":"fact","run":"%b","facts":{"a":1,"a":2}}\n' % run.encode())
    os.write(
        descriptor,
        b'{"e":"m","r":"%b","n":"huge","v":1%b,"s":null,"t":1}\n' % (run.encode(), b"0" * 400),
    )
    os.write(descriptor, b"\n   \n")
    writer.end(run)
    assert journal.ingest().torn == []
    (found,) = journal.all_runs()
    assert found.params == {"x" * 10_000: "y" * 10_000}
    assert found.metrics == {"huge": math.inf}
    assert journal.run(run[:8])["facts"] == {"a": 2}


def test_a_line_beyond_duckdbs_usual_limit_goes_in(journal, writer):
    writer.begin(session=(session := "big"), diff="d" * 20_000_000)
    writer.spool.write({"e": "code", "hash": "h", "parts": {"f": "x" * 17_000_000}})
    assert journal.ingest().torn == []
    assert rows(journal, f"SELECT length(diff) FROM sessions WHERE session_id = '{session}'") == [
        (20_000_000,)
    ]


def test_every_event_of_the_spool_has_its_place(journal, writer):
    run = writer.run(environment="env", data="d")
    write = writer.spool.write
    write({"e": "environment", "hash": "env", "facts": {"numpy": "2.4"}})
    write({"e": "code", "hash": "code-1", "parts": {"t.test_svm": "def test_svm(): ..."}})
    write({"e": "fact", "run": run, "facts": {"n": 3, "none": None}})
    write({"e": "note", "note": "n1", "run": run, "text": "overfits", "at": 5.0})
    write(
        {
            "e": "check",
            "run": run,
            "session": writer.session,
            "code": "K101",
            "name": "n",
            "severity": "warning",
            "message": "m",
            "location": "column 'a'",
            "measured": {"share": 0.5},
            "threshold": {"share": 0.1},
            "fix": "f",
            "waiver": "",
            "at": 1,
        }
    )
    write(
        {
            "e": "check",
            "run": None,
            "session": writer.session,
            "code": "K105",
            "severity": "error",
            "at": 2,
        }
    )
    write(
        {
            "e": "model",
            "run": run,
            "name": "model",
            "framework": "sklearn",
            "kind": "SVC",
            "params": {"C": 1},
            "n_weights": 10,
            "hash": "m",
            "config": None,
        }
    )
    write(
        {
            "e": "dataset",
            "hash": "d",
            "name": "digits",
            "kind": "array",
            "shape": [8, 8],
            "n_bytes": 9,
        }
    )
    write(
        {
            "e": "artifact",
            "run": run,
            "name": "model",
            "kind": "skops",
            "sha256": "ab",
            "n_bytes": 5,
            "path": "artifacts/ab",
            "at": 3.0,
        }
    )
    write(
        {
            "e": "gate",
            "session": writer.session,
            "node": "t.py::test_ok",
            "status": "passed",
            "seconds": 0.1,
            "message": "",
            "at": 1.0,
        }
    )
    write(
        {
            "e": "threshold",
            "session": writer.session,
            "experiment": "t.py::test_svm",
            "metric": "accuracy",
            "bound": "at_least",
            "limit": 0.9,
            "value": None,
            "status": "missed",
            "message": "m",
            "at": 1.0,
        }
    )
    writer.end(run)
    assert journal.ingest().torn == []

    detail = journal.run(run)
    assert detail["environment"] == {"numpy": "2.4"}
    assert detail["code"] == {"t.test_svm": "def test_svm(): ..."}
    assert detail["facts"] == {"n": 3, "none": None}
    assert [note["text"] for note in detail["notes"]] == ["overfits"]
    assert detail["models"][0]["params"] == {"C": 1}
    assert detail["datasets"][0]["shape"] == [8, 8]
    assert detail["artifacts"][0]["sha256"] == "ab"
    assert detail["session"]["args"] == ["-q"]
    (finding,) = detail["findings"]
    assert (finding.code, finding.measured, finding.location) == (
        "K101",
        {"share": 0.5},
        "column 'a'",
    )
    assert [code for code, _ in journal.findings(writer.session)] == [run, ""]
    assert [gate.node_id for gate in journal.gates(writer.session)] == ["t.py::test_ok"]
    assert [one.status for one in journal.thresholds(writer.session)] == ["missed"]
    assert [note.text for note in journal.notes(run_ids=[run])] == ["overfits"]
    assert len(journal.thresholds()) == len(journal.notes()) == 1
    (session,) = journal.sessions()
    assert (session.commit, session.dirty, session.args) == ("c0ffee", True, ["-q"])
    assert journal.environments(["env", "other"]) == {"env": {"numpy": "2.4"}}


def test_a_void_run_is_never_known_and_neither_are_its_duplicates(journal, writer):
    run = writer.whole_run({"accuracy": 0.9})
    writer.run(status="duplicate", duplicate_of=run, seconds=0.0)
    kept = writer.whole_run({"accuracy": 0.8})
    journal.ingest()
    writer.spool.write({"e": "void", "run": run, "reason": "wrong labels", "at": 1.0})
    journal.ingest()
    assert [found.run_id for found in journal.all_runs()] == [kept]
    assert rows(journal, "SELECT count(*) FROM runs WHERE status = 'void'") == [(2,)]


def test_an_unsound_run_says_why_and_still_counts(journal, writer):
    run = writer.whole_run()
    journal.ingest()
    writer.spool.write({"e": "unsound", "run": run, "reason": "changed in place", "at": 1.0})
    journal.ingest()
    (found,) = journal.all_runs()
    assert found.unsound == "changed in place"


def test_left_over_slices_and_old_unnamed_spools_are_swept(journal, writer):
    place = Place(journal.path)
    place.scratch.mkdir(parents=True)
    (place.scratch / "events.jsonl").write_bytes(b"rubbish")
    writer.whole_run()
    old, young = place.spool / "a.new", place.spool / "b.new"
    for path in (old, young):
        path.touch()
    os.utime(old, (time.time() - 2 * 86_400,) * 2)
    journal.ingest()
    assert not list(place.scratch.iterdir())
    assert not old.exists()
    assert young.exists()


def test_two_journals_in_one_folder_do_not_share_their_spools(tmp_path):
    places = [Place(tmp_path / ".kepler" / name) for name in ("journal.duckdb", "smoke.duckdb")]
    assert places[0].folder == tmp_path / ".kepler"
    assert places[1].folder == tmp_path / ".kepler" / "smoke.duckdb.kepler"


def test_the_folder_ignores_itself_in_git(journal):
    journal.make_folder()
    assert (journal.folder / ".gitignore").read_text() == "*\n"


def test_journal_and_spool_agree_on_names(journal):
    place = Place(journal.path)
    assert place.spool == journal.folder / spool_module.FOLDER
    assert spool_module.SUFFIX == ".jsonl"
    listed = {
        line.split("``")[1] for line in spool_module.__doc__.splitlines() if line.startswith("``")
    }
    assert listed == set(events.REQUIRED)


def test_a_block_border_inside_a_line_loses_nothing(journal, writer, monkeypatch):
    monkeypatch.setattr(slices, "_BLOCK_BYTES", 64)
    ids = {writer.whole_run({"accuracy": 0.5}) for _ in range(5)}
    journal.ingest()
    assert {run.run_id for run in journal.all_runs()} == ids
    assert all(run.metrics == {"accuracy": 0.5} for run in journal.all_runs())


KILLED_WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from conftest import Writer
writer = Writer(Path({folder!r})).begin()
print("ready", flush=True)
while True:
    run = writer.run()
    for step in range(20):
        writer.spool.metric(run, "loss", float(step), step)
        print(run, step, flush=True)
    writer.end(run)
    print(run, "end", flush=True)
"""


def test_a_killed_writer_loses_nothing_that_was_logged(journal):
    code = KILLED_WRITER.format(here=str(Path(__file__).parent), folder=str(journal.folder))
    draw = random.Random(7)
    acknowledged: list[str] = []
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.02 + draw.random() / 20)
        process.send_signal(signal.SIGKILL)
        output, _ = process.communicate()
        acknowledged += output.splitlines(keepends=True)
        journal.ingest()
    said = [line.split() for line in acknowledged if line.endswith("\n")]
    stored = set(rows(journal, "SELECT run_id, CAST(step AS VARCHAR) FROM metrics"))
    assert {tuple(words) for words in said if words[1] != "end"} <= stored
    status = {run.run_id: run.status for run in journal.all_runs()}
    assert all(status[run] == "passed" for run, what in said if what == "end")
    assert set(status.values()) <= {"passed", "crashed"}
    last = {run.run_id: run.metrics.get("loss") for run in journal.all_runs()}
    assert all(value is None or value <= 19 for value in last.values())


INGESTER = """
from pathlib import Path
from pytest_kepler.journal import Journal
Journal(Path({path!r})).ingest()
"""


def test_a_killed_ingester_neither_loses_nor_doubles(journal, new_writer):
    draw = random.Random(3)
    code = INGESTER.format(path=str(journal.path))
    n_runs = 0
    for _ in range(6):
        writer = new_writer().begin()
        for _ in range(300):
            writer.whole_run({"accuracy": 0.5, "loss": 0.25})
        n_runs += 300
        writer.close()
        process = subprocess.Popen([sys.executable, "-c", code])
        time.sleep(0.15 + draw.random() / 4)
        process.kill()
        process.wait()
    journal.ingest()
    assert rows(journal, "SELECT count(*), count(DISTINCT run_id) FROM runs") == [(n_runs, n_runs)]
    assert rows(journal, "SELECT count(*) FROM metrics") == [(2 * n_runs,)]
    assert not list((journal.folder / "spool").iterdir())


CROWD = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from conftest import Writer
from pytest_kepler.journal import Journal
journal = Journal(Path({path!r}))
writer = Writer(journal.folder).begin()
for _ in range(5):
    for _ in range(20):
        writer.whole_run({{"accuracy": 0.5}})
    journal.ingest()
    assert len(journal.all_runs()) >= 20
"""


def test_processes_that_write_and_read_at_once_lose_nothing(journal):
    code = CROWD.format(here=str(Path(__file__).parent), path=str(journal.path))
    crowd = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait() for process in crowd] == [0, 0, 0]
    journal.ingest()
    assert rows(journal, "SELECT count(DISTINCT run_id) FROM runs") == [(300,)]
    assert rows(journal, "SELECT count(*) FROM metrics") == [(300,)]
