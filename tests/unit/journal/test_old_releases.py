"""A journal and a spool of each release that had its own tables: they open, and nothing is lost."""

from __future__ import annotations

import gzip
import math
import shutil
from pathlib import Path

import pytest

from pytest_kepler.journal import Journal, migrate

ASSETS = Path(__file__).parents[2] / "assets" / "journals"
RELEASES = sorted(path.name for path in ASSETS.iterdir() if path.is_dir())
#: Those that have to be upgraded.
OLDER = [
    name for name in RELEASES if name < max(one[:4] for one in migrate.names() if one[0] == "0")
]
ENDS = {
    "ok": "passed",
    "again": "duplicate",
    "bad": "failed",
    "gone": "void",
    "odd": "passed",
    "open": "running",
}


def run_id(name: str) -> str:
    return name.encode().hex().ljust(20, "0")


@pytest.fixture(params=RELEASES)
def release(request) -> str:
    return request.param


@pytest.fixture
def old(tmp_path, release) -> Journal:
    journal = Journal(tmp_path / ".kepler" / "journal.duckdb")
    journal.make_folder()
    journal.path.write_bytes(gzip.decompress((ASSETS / release / "journal.duckdb.gz").read_bytes()))
    return journal


def statuses(journal: Journal) -> dict[str, str]:
    return dict(journal.query("SELECT run_id, status FROM runs").rows)


def test_every_run_of_an_old_journal_is_found(old):
    assert statuses(old) == {run_id(f"a{name}"): status for name, status in ENDS.items()}


@pytest.mark.parametrize("release", OLDER)
def test_an_old_journal_is_copied_before_it_is_upgraded(old, release):
    content = old.path.read_bytes()
    statuses(old)
    assert old.path.with_name(f"journal.v{int(release)}.duckdb").read_bytes() == content


def test_an_old_spool_comes_into_an_old_journal(old, release):
    (old.folder / "spool").mkdir()
    shutil.copy(ASSETS / release / "b-1.jsonl", old.folder / "spool")
    done = old.ingest()
    assert (done.n_runs, done.n_crashed, done.torn) == (6, 1, [])
    ends = {**ENDS, "open": "crashed"}
    found = statuses(old)
    assert {name: found[run_id(f"b{name}")] for name in ends} == ends
    assert len(found) == 12


def test_the_values_of_an_old_journal_are_what_was_logged(old):
    run = old.run(run_id("aok"))["run"]
    assert run.params == {"C": 1, "kernel": "rbf", "seed": 0, "deep": {"x": [1, 2.5, None, True]}}
    assert (run.metrics["accuracy"], run.eval_hash) == (0.9, "e")
    values = [value for _, value in old.run(run_id("aok"))["curves"]["loss"]]
    assert values[0] == 0.5
    assert math.isnan(values[1])
    assert values[2] == math.inf
    assert next(one for one in old.all_runs() if one.run_id == run_id("aodd")).unsound


def test_an_old_journal_answers_filters(old):
    assert [row[0] for row in old.where("C >= 1 and accuracy > .8").rows] == [run_id("aok")]
    assert [row[0] for row in old.where("kernel = 'rbf' and status = 'passed'").rows] == [
        run_id("aok")
    ]


def test_old_journals_merge_into_a_new_one(tmp_path, old):
    merged = Journal(tmp_path / "merged.duckdb")
    (one,) = merged.merge([old.path])
    assert (one.n_runs, len(merged.where("status is not null").rows)) == (5, 6)


@pytest.mark.parametrize("release", OLDER)
def test_what_a_damaged_journal_lost_comes_from_the_copy_before_its_upgrade(old):
    statuses(old)
    old.path.write_bytes(old.path.read_bytes()[:20_000])
    repaired, *_ = old.examine(repair=True)
    assert "0 runs were rescued from it and 5 from older copies" in repaired.cure
    ends = {**ENDS, "open": "crashed"}  # its spool is not there
    assert statuses(old) == {run_id(f"a{name}"): status for name, status in ends.items()}
