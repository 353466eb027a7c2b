"""What did not change since it was read is not read again, where that can be trusted."""

from __future__ import annotations

import os
import sqlite3
import time

import pytest

from pytest_kepler.errors import UnreadableValueError
from pytest_kepler.identity import file_memory, files
from pytest_kepler.identity.file_memory import FileMemory
from pytest_kepler.identity.fingerprint import read


@pytest.fixture
def memory(tmp_path, monkeypatch):
    monkeypatch.setattr(file_memory, "_kind_of", lambda _device: "ext4")
    monkeypatch.setattr(files, "_WORTH_REMEMBERING", 0)
    return FileMemory(tmp_path / "cache" / "files.sqlite")


@pytest.fixture
def at_rest(monkeypatch):
    """Let the files of this test look as if they had been left alone for a minute."""
    now = time.time
    monkeypatch.setattr(file_memory.time, "time", lambda: now() + 120)


@pytest.fixture
def folder(tmp_path):
    for name in ("a/1.txt", "a/2.txt", "b/3.txt", "4.txt"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "data"


@pytest.fixture
def n_read(monkeypatch):
    counted = []
    original = files._read_once
    monkeypatch.setattr(files, "_read_once", lambda path: counted.append(path) or original(path))
    return counted


def test_a_folder_at_rest_is_read_once(folder, memory, at_rest, n_read):
    first = read(folder, memory=memory)
    assert len(n_read) == 4
    assert read(folder, memory=memory) == first == read(folder)
    assert len(n_read) == 4 + 4  # the last read had no memory


def test_of_a_folder_that_changed_only_the_changed_file_is_read(folder, memory, at_rest, n_read):
    first = read(folder, memory=memory)
    (folder / "a" / "1.txt").write_text("other")
    del n_read[:]
    assert read(folder, memory=memory) != first
    assert [path.name for path in n_read] == ["1.txt"]
    assert read(folder, memory=memory) == read(folder)


def test_a_change_behind_restored_times_is_seen(folder, memory, at_rest):
    path = folder / "4.txt"
    before = path.stat()
    first = read(folder, memory=memory)
    path.write_text("5.txt")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert read(folder, memory=memory) != first


def test_a_single_file_is_remembered_too(folder, memory, at_rest, n_read):
    path = folder / "4.txt"
    first = read(path, memory=memory)
    assert read(path, memory=memory) == first
    assert len(n_read) == 1
    path.write_text("5")
    assert read(path, memory=memory) != first


def test_what_changed_lately_is_read_each_time(folder, memory, n_read):
    read(folder, memory=memory)
    read(folder, memory=memory)
    assert len(n_read) == 8


def test_on_a_network_file_system_everything_is_read(folder, memory, at_rest, n_read, monkeypatch):
    monkeypatch.setattr(file_memory, "_kind_of", lambda _device: "nfs4")
    read(folder, memory=memory)
    read(folder, memory=memory)
    assert len(n_read) == 8


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "a" / "1.txt").rename(folder / "a" / "9.txt"),
        lambda folder: (folder / "empty").mkdir(),
        lambda folder: (folder / "4.txt").unlink(),
        lambda folder: (folder / "new.txt").write_text(""),
    ],
    ids=["renamed", "empty folder", "removed", "added"],
)
def test_a_change_of_what_a_folder_holds_is_seen(folder, memory, at_rest, change):
    first = read(folder, memory=memory)
    change(folder)
    assert read(folder, memory=memory).hash == read(folder).hash != first.hash


def test_a_memory_that_is_damaged_remembers_nothing(folder, memory, at_rest):
    memory._path.parent.mkdir()
    memory._path.write_bytes(b"no database" * 100)
    assert read(folder, memory=memory) == read(folder)


def test_a_memory_without_a_place_remembers_nothing(folder, at_rest, tmp_path):
    (tmp_path / "file").write_text("in the way")
    memory = FileMemory(tmp_path / "file" / "files.sqlite")
    assert read(folder, memory=memory) == read(folder)


def test_another_process_that_writes_makes_nobody_wait_for_long(
    folder, memory, at_rest, monkeypatch
):
    monkeypatch.setattr(file_memory, "_WAIT_S", 0.01)
    read(folder, memory=memory)
    with sqlite3.connect(memory._path) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert read(folder, memory=memory) == read(folder)


def test_the_kind_of_a_file_system_is_told_on_linux(tmp_path):
    kind = file_memory._kind_of(tmp_path.stat().st_dev)
    assert isinstance(kind, str)
    assert file_memory._kind_of(0xFFFFFF) == ""


def test_a_link_that_leads_nowhere_is_named(folder, memory, at_rest):
    (folder / "gone").symlink_to(folder / "nothing")
    with pytest.raises(UnreadableValueError, match="gone"):
        read(folder, memory=memory)
