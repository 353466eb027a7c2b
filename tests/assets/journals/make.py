"""Make the small journal and the spool that this release leaves, for the tests of all later ones.

    python tests/assets/journals/make.py

Run it before a release whose migrations are new, and keep what it wrote: it is never made again.
"""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

from pytest_kepler.journal import Journal, migrate
from pytest_kepler.spool import encode

HERE = Path(__file__).parent
SPEC = {"metric": "accuracy", "goal": "max", "replicates": ["seed", "fold"]}


def run_id(name: str) -> str:
    """Return the id of a run of the assets."""
    return name.encode().hex().ljust(20, "0")


def events_of(session: str) -> list[dict]:
    """Return what a session wrote: a run of each way to end, and all that hangs on runs."""
    common = {"session": session, "project": "p", "code": "c", "data": "d", "spec": SPEC}

    def begin(name: str, **more: object) -> dict:
        run = {"e": "run", "run": run_id(f"{session}{name}"), "experiment": "t.py::test_svm"}
        at = 1_700_000_000 + len(found)
        return {**run, "node": f"t.py::test_svm[{name}]", "at": at, **common, **more}

    def end(name: str, status: str, message: str = "") -> dict:
        ended = {"e": "end", "run": run_id(f"{session}{name}"), "at": 1_700_000_100}
        return {**ended, "status": status, "seconds": 1.5, "message": message}

    found: list[dict] = [
        {"e": "session", "session": session, "at": 1_700_000_000, "project": "p", "commit": "abc"},
        {"e": "environment", "hash": "env", "facts": {"python": "3.13"}},
        {"e": "code", "hash": "c", "parts": {"test_svm": "def test_svm(): ..."}},
    ]
    first = run_id(f"{session}ok")
    params = {"C": 1, "kernel": "rbf", "seed": 0, "deep": {"x": [1, 2.5, None, True]}}
    found.append(begin("ok", params=params, identity="i-ok", environment="env"))
    found += [
        {"e": "m", "r": first, "n": "loss", "v": value, "s": step, "t": 1_700_000_001.5}
        for step, value in enumerate([0.5, "NaN", "Infinity"])
    ]
    found += [
        {"e": "m", "r": first, "n": "accuracy", "v": 0.9, "s": None, "t": 1_700_000_002.0},
        {"e": "eval", "run": first, "prefix": "", "hash": "e"},
        {"e": "fact", "run": first, "facts": {"gpu": None}},
        {"e": "note", "note": f"{session}n", "run": first, "text": "a note", "at": 1_700_000_003},
        {
            "e": "check",
            "run": first,
            "session": session,
            "code": "K301",
            "at": 1_700_000_003,
            "severity": "warning",
            "message": "unscaled",
            "measured": {"max": 255},
        },
        {"e": "model", "run": first, "name": "model", "kind": "SVC", "hash": "m", "n_weights": 3},
        {"e": "dataset", "hash": "d", "name": "digits", "kind": "ndarray", "shape": [10, 64]},
        end("ok", "passed"),
        begin("again", status="duplicate", duplicate_of=first, identity="i-ok"),
        begin("bad", params={"C": "ten"}),
        end("bad", "failed", "assert 0.1 > 0.5"),
        begin("gone", params={"C": 3}),
        end("gone", "passed"),
        {"e": "void", "run": run_id(f"{session}gone"), "reason": "wrong data", "at": 1_700_000_200},
        begin("odd", params={"C": 4}),
        end("odd", "passed"),
        {"e": "unsound", "run": run_id(f"{session}odd"), "reason": "data changed", "at": 1.0},
        {
            "e": "gate",
            "session": session,
            "node": "t.py::test_sane",
            "status": "passed",
            "seconds": 0.5,
            "at": 1_700_000_000,
            "identity": "g",
        },
        begin("open", params={"C": 5}),
        {"e": "m", "r": run_id(f"{session}open"), "n": "loss", "v": 0.25, "s": 0, "t": 1.0},
    ]
    return found


def main() -> None:
    """Write the journal, compressed, and a spool that waits for the next session."""
    newest = max(name[:4] for name in migrate.names() if name[:4].isdigit())
    target = HERE / newest
    if target.exists():
        raise SystemExit(f"{target} is there already: what a release left is never made again.")
    with tempfile.TemporaryDirectory() as name:
        journal = Journal(Path(name) / ".kepler" / "journal.duckdb")
        spool = journal.folder / "spool"
        spool.mkdir(parents=True)
        # The run without an end is in the journal as one: its process lives while this is read.
        with (spool / "a-1.jsonl").open("wb") as held:
            import fcntl

            fcntl.flock(held, fcntl.LOCK_EX)
            held.write(b"".join(map(encode, events_of("a"))))
            held.flush()
            journal.ingest()
        target.mkdir()
        packed = gzip.compress(journal.path.read_bytes(), mtime=0)
        (target / "journal.duckdb.gz").write_bytes(packed)
    (target / "b-1.jsonl").write_bytes(b"".join(map(encode, events_of("b"))))


if __name__ == "__main__":
    main()
