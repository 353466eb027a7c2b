"""A report of long experiments, folded by the database, is that which judging all runs gives."""

from __future__ import annotations

import random
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pytest_kepler import answering
from pytest_kepler.answering import Look
from pytest_kepler.journal import Journal
from pytest_kepler.spool import encode

# An example makes a journal and judges it twice: none to shrink.
SETTINGS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    report_multiple_bugs=False,
)

EXPERIMENTS = ("t.py::test_a", "t.py::test_b")
STATUSES = ("passed",) * 6 + ("failed", "error", "crashed", "blocked", "skipped", "xfailed", "")
values = st.sampled_from([0.5, 0.25, 1.0, 1, -0.0, 1e300, "NaN", "Infinity"])
settings_ = st.sampled_from([1, 1.0, True, None, "1", 0.1, [1, 2], "a=b", ""])
names = st.sampled_from(["C", "depth", "seed", "fold", "it's"])

runs = st.fixed_dictionaries(
    {
        "experiment": st.sampled_from(EXPERIMENTS),
        "params": st.lists(st.tuples(names, settings_), max_size=4).map(dict),
        "status": st.sampled_from(STATUSES),
        "metrics": st.dictionaries(st.sampled_from(["accuracy", "loss", "acc"]), values),
        "eval": st.sampled_from(["", "e1", "e2"]),
        "data": st.sampled_from(["d1", "d2"]),
        "session": st.integers(0, 2),
        "message": st.sampled_from(["", "assert 1 > 2", "E   boom\nmore", "x::y failed; z failed"]),
        # The run that this one repeats, counted back; 0 for none.
        "repeats": st.sampled_from([0, 0, 0, 1, 2, 3]),
        "is_void": st.sampled_from([False] * 9 + [True]),
        "marks": st.sets(st.sampled_from(["unsound", "note", "check"])),
        "at": st.integers(0, 4),
        "goal": st.sampled_from(["max", "min"]),
        "replicates": st.sampled_from([["seed"], ["seed", "fold"]]),
    }
)


def events_of(index: int, told: dict) -> list[dict]:
    run = f"{index:020x}"
    begin = {
        "e": "run",
        "run": run,
        "session": f"s{told['session']}",
        "experiment": told["experiment"],
        "node": f"{told['experiment']}[{index % 5}]",
        "at": 1_700_000_000 + told["at"],
        "params": told["params"],
        "data": told["data"],
        "spec": {
            "metric": "accuracy",
            "goal": told["goal"],
            "at_least": {"accuracy": 0.4, "loss": 0.2},
            "replicates": told["replicates"],
            "grid": 4,
        },
        "message": told["message"],
    }
    found: list[dict] = []
    original = index - told["repeats"]
    if told["repeats"] and original >= 0:
        found.append({**begin, "status": "duplicate", "duplicate_of": f"{original:020x}"})
    else:
        found.append(begin)
        found += [
            {"e": "m", "r": run, "n": name, "v": value, "s": None, "t": 1.0}
            for name, value in told["metrics"].items()
        ]
        if told["eval"]:
            found.append({"e": "eval", "run": run, "hash": told["eval"]})
        if told["status"]:
            end = {"e": "end", "run": run, "at": 1_700_000_009, "status": told["status"]}
            found.append({**end, "message": told["message"], "seconds": 2.0})
    if told["is_void"]:
        found.append({"e": "void", "run": run, "reason": "r", "at": 1_700_000_010})
    if "unsound" in told["marks"]:
        found.append({"e": "unsound", "run": run, "reason": told["message"], "at": 1.0})
    if "note" in told["marks"]:
        found.append({"e": "note", "note": f"n{index}", "run": run, "text": "seen", "at": index})
    if "check" in told["marks"]:
        check = {"e": "check", "run": run, "code": "K301", "severity": "warning", "at": index}
        found.append({**check, "message": told["message"], "measured": {"x": index}})
    return found


@SETTINGS
@given(told=st.lists(runs, min_size=1, max_size=24))
def test_folding_in_the_database_changes_no_word_of_the_report(told):
    assert_same_report_of(told)


@settings(SETTINGS, max_examples=8)
@given(seed=st.integers(0, 1000), ties=st.booleans())
def test_of_many_configurations_those_that_are_shown_are_the_same(seed, ties):
    chance = random.Random(seed)
    told = []
    for _ in range(150):
        value = chance.choice([0.5, 0.25]) if ties else chance.random()
        told.append(
            {
                "experiment": chance.choice(EXPERIMENTS),
                "params": {"C": chance.randrange(40), "b": chance.random() < 0.5, "seed": 0},
                "status": "passed" if chance.random() < 0.95 else "failed",
                "metrics": {"accuracy": value, "loss": chance.random()},
                "eval": chance.choice(["e1", "e1", "e1", "e2"]),
                "data": "d1",
                "session": 0,
                "message": chance.choice(["", f"assert {value}"]),
                "repeats": chance.choice([0] * 9 + [5]),
                "is_void": chance.random() < 0.02,
                "marks": set(),
                "at": chance.randrange(5),
                "goal": "max",
                "replicates": ["seed"],
            }
        )
    assert_same_report_of(told)


def assert_same_report_of(told: list[dict]) -> None:
    with tempfile.TemporaryDirectory() as name:
        journal = Journal(Path(name) / ".kepler" / "journal.duckdb")
        journal.make_folder()
        (journal.folder / "spool").mkdir()
        lines = [encode(event) for index, one in enumerate(told) for event in events_of(index, one)]
        (journal.folder / "spool" / "a.jsonl").write_bytes(b"".join(lines))
        journal.ingest()
        assert_same_report(journal.path)


def assert_same_report(path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answering, "datetime", Clock)
        folded = answering.journal_report(path, long=0)
        whole = answering.journal_report(path)
    for form in ("text", "markdown"):
        look = Look(form, width=200)
        assert answering.render(folded, look) == answering.render(whole, look)


class Clock(datetime):
    """Ages are counted from one moment."""

    @classmethod
    def now(cls, tz=None):
        return datetime(2026, 1, 1, tzinfo=tz or UTC)
