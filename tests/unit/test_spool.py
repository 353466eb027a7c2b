from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

from pytest_kepler.spool import Spool, encode, new_id


def lines(spool: Spool) -> list[dict]:
    return [json.loads(line) for line in spool.path.read_bytes().splitlines()]


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / ".kepler", "session-main")
    yield spool
    spool.close()


def test_nothing_is_made_before_the_first_event(spool, tmp_path):
    assert not list(tmp_path.iterdir())
    spool.close()
    assert not list(tmp_path.iterdir())


def test_an_event_is_one_line_and_there_when_write_returns(spool):
    spool.write({"e": "note", "text": "two\nlines"})
    spool.metric("r" * 20, "loss", 0.5, 3)
    first, second = lines(spool)
    assert first == {"e": "note", "text": "two\nlines"}
    assert {**second, "t": 0} == {"e": "m", "r": "r" * 20, "n": "loss", "v": 0.5, "s": 3, "t": 0}
    assert second["t"] > 1e9


def test_git_ignores_the_folder(spool, tmp_path):
    spool.write({"e": "x"})
    assert (tmp_path / ".kepler" / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (1e301, 1e301),
        (3, 3),
        (-0.1, -0.1),
    ],
)
def test_a_value_is_strict_json_and_keeps_what_it_is(spool, value, text):
    spool.metric("r", 'quo"te', value, None)
    (line,) = lines(spool)
    assert (line["n"], line["v"], line["s"]) == ('quo"te', text, None)


def refuse_constant(name: str) -> None:
    raise AssertionError(name)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({1, 2}, [1, 2]),
        (np.float32("nan"), "NaN"),
        (np.float64("inf"), "Infinity"),
        ([math.nan, {"a": -math.inf}], ["NaN", {"a": "-Infinity"}]),
        (np.int64(3), 3),
        ({(1, 2): np.float32("inf")}, {"(1, 2)": "Infinity"}),
        (np.longdouble("nan"), repr(np.longdouble("nan"))),
        (Path("/x"), repr(Path("/x"))),
        (np.arange(2), repr(np.arange(2))),
    ],
    ids=repr,
)
def test_no_event_is_refused_and_every_line_is_strict_json(value, expected):
    line = encode({"e": "fact", "facts": value, "odd": math.nan})
    assert line.endswith(b"\n")
    event = json.loads(line, parse_constant=refuse_constant)
    assert event["facts"] == expected


def test_what_contains_itself_is_still_one_line():
    loop: list = [1]
    loop.append(loop)
    assert json.loads(encode({"e": "fact", "facts": loop}))["facts"] == "[1, [...]]"


def test_the_file_is_locked_while_the_process_lives_and_free_after(spool):
    spool.write({"e": "x"})
    with spool.path.open("rb") as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        spool.close()
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_forked_child_has_a_spool_of_its_own_and_not_its_parents_lock(spool):
    spool.write({"e": "parent"})
    parents = spool.path
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            spool.write({"e": "child"})
            os.write(write, os.fsencode(spool.path))
        finally:
            os._exit(0)  # never goes on as a second pytest
    os.waitpid(child, 0)
    path = Path(os.fsdecode(os.read(read, 4096)))
    os.close(read)
    os.close(write)
    assert path != parents
    assert path.read_bytes() == b'{"e":"child"}\n'
    assert parents.read_bytes() == b'{"e":"parent"}\n'


def test_a_child_that_outlives_its_parent_does_not_keep_the_lock(spool):
    code = """
import os, sys
from pathlib import Path
from pytest_kepler.spool import Spool
spool = Spool(Path(sys.argv[1]), "s")
spool.write({"e": "x"})
if os.fork():
    os.kill(os.getpid(), 9)
print(spool.path, flush=True)
sys.stdin.read()
"""
    arguments = [sys.executable, "-c", code, str(spool.folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(arguments, text=True, **pipes) as parent:
        path = Path(parent.stdout.readline().strip())  # the child is there and waits
        parent.wait()
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        parent.stdin.close()


def test_threads_share_a_spool_without_mixing_lines(spool):
    def log(name: str) -> None:
        for step in range(200):
            spool.metric("r", name, 1.0, step)

    threads = [threading.Thread(target=log, args=(f"m{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [
        json.loads(line)
        for path in spool.folder.glob("*.jsonl")
        for line in path.read_bytes().splitlines()
    ]
    assert len({(event["n"], event["s"]) for event in found}) == 800
    assert spool.trouble == ""


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Return the folder that stands in for the system's, in which nothing is to stay."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_folder_that_cannot_be_made_moves_the_spools_and_says_once_where_and_what_then(
    tmp_path, temporary
):
    (tmp_path / ".kepler").write_text("in the way")
    spools = [Spool(tmp_path / ".kepler", f"session-{worker}") for worker in ("gw0", "gw1")]
    for spool in spools:
        spool.write({"e": "x"})
        assert lines(spool) == [{"e": "x"}]
        spool.close()
    (home,) = temporary.iterdir()
    assert {spool.path.parent for spool in spools} == {home / "spool"}
    assert home.stat().st_mode & 0o777 == 0o700
    (said,) = {spool.trouble for spool in spools}
    assert f"kept in {home}; `kepler merge {home}`" in said


def test_a_disk_that_is_full_in_the_middle_of_a_line_keeps_the_whole_line(
    spool, temporary, monkeypatch
):
    spool.write({"e": "before"})
    first = spool.path
    real = os.write
    answers = iter([lambda fd, line: real(fd, line[:5]), None])

    def full(descriptor: int, line: bytes) -> int:
        answer = next(answers, real)
        if answer is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return answer(descriptor, line)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        spool.write({"e": "after"})
    assert first.read_bytes().startswith(b'{"e":"before"}\n')
    assert lines(spool) == [{"e": "after"}]
    assert "No space left" in spool.trouble


def test_ids_are_unique_and_of_one_form():
    ids = {new_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    assert {len(one) for one in ids} == {20}


def test_ends_are_synced_where_that_is_asked_for(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    for asked in (False, True):
        spool = Spool(tmp_path / ".kepler", "session-main", sync_ends=asked)
        spool.write({"e": "run", "run": "r"})
        spool.metric("r", "loss", 0.5, 0)
        assert synced == []
        spool.write({"e": "end", "run": "r"})
        spool.close()
    assert synced == [spool.path.stat().st_ino, spool.folder.stat().st_ino]


def test_a_disk_that_cannot_be_synced_is_said_and_nothing_fails(tmp_path, monkeypatch):
    def refuse(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", refuse)
    spool = Spool(tmp_path / ".kepler", "session-main", sync_ends=True)
    spool.write({"e": "end", "run": "r"})
    spool.close()
    assert "cannot be synced to the disk" in spool.trouble
    assert lines(spool) == [{"e": "end", "run": "r"}]
