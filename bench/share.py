"""What a team's share costs: files, bytes a session, and the time to publish and take in.

    python bench/share.py                   a day of 10,000 sessions
    python bench/share.py --sessions 1000   fewer

Each session has 4 runs with 20 steps of two metrics. They are published by as many journals as
there are members, by their own code, and taken in by one that has none of them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from pytest_kepler.journal import Journal
from pytest_kepler.spool import Spool, new_id

RUNS = 4
STEPS = 20


def work(journal: Journal) -> None:
    """Spool one session, as pytest would."""
    session = new_id()
    spool = Spool(journal.folder, f"{session}-main")
    about = {
        "project": "p",
        "rootdir": "/home/ann/project",
        "python": "3.11.7",
        "platform": "linux",
    }
    about |= {"args": ["-m", "experiment"], "host": "ann", "commit": "3" * 40, "dirty": False}
    spool.write({"e": "session", "session": session, "at": time.time(), **about})
    for n in range(RUNS):
        run = new_id()
        experiment = "tests/test_cnn.py::test_cnn"
        event = {"e": "run", "run": run, "session": session, "project": "p", "at": time.time()}
        event |= {"experiment": experiment, "node": f"{experiment}[{n}-0.1]", "seed": 0}
        event |= {"params": {"depth": n, "lr": 0.1, "batch_size": 32}, "identity": new_id()}
        event |= {"code": "c" * 32, "data": "d" * 32, "params_hash": new_id(), "environment": "e"}
        event |= {"parts": {"code": {"test_cnn": "c" * 32}, "data": {"digits": "d" * 32}}}
        spool.write(event | {"spec": {"metric": "accuracy"}, "replicates": []})
        for step in range(STEPS):
            spool.metric(run, "loss", 1 / (step + 1), step)
            spool.metric(run, "accuracy", step / STEPS, step)
        spool.write({"e": "end", "run": run, "at": time.time(), "status": "passed", "seconds": 1.5})
    spool.write({"e": "session_end", "session": session, "at": time.time(), "exit_status": 0})
    spool.close()


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=10_000)
    sessions = parser.parse_args().sessions
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        share = home / "share"
        share.mkdir()
        member = Journal(home / "ann" / ".kepler" / "journal.duckdb")
        member.share_by(share)
        began = time.perf_counter()
        for _ in range(sessions):
            work(member)
        spooled = time.perf_counter() - began
        began = time.perf_counter()
        published = member.sync(share).n_published
        publishing = time.perf_counter() - began
        files = [path for path in share.rglob("*") if path.is_file()]
        n_bytes = sum(path.stat().st_size for path in files)

        other = Journal(home / "ben" / ".kepler" / "journal.duckdb")
        began = time.perf_counter()
        taken = other.sync(share).n_taken
        taking = time.perf_counter() - began
        began = time.perf_counter()
        other.sync(share)
        nothing = time.perf_counter() - began
        work(member)
        began = time.perf_counter()
        member.sync(share)
        one = time.perf_counter() - began
        began = time.perf_counter()
        other.sync(share)
        news = time.perf_counter() - began
        size = other.path.stat().st_size
    print(f"load {os.getloadavg()[0]:.1f}, {published} sessions of {RUNS} runs, {taken} taken in")
    print(
        f"{len(files)} files, {n_bytes / 1e6:.1f} MB, {n_bytes / len(files):,.0f} bytes a session"
    )
    print(f"spooling          {spooled / sessions * 1e3:8.2f} ms a session")
    print(
        f"publishing        {publishing / sessions * 1e3:8.2f} ms a session, one alone {one:.2f} s"
    )
    print(f"building anew     {taking:8.2f} s, the journal then has {size / 1e6:.1f} MB")
    print(f"nothing new       {nothing:8.2f} s")
    print(f"one new session   {news:8.2f} s")


if __name__ == "__main__":
    main()
