"""The journal's lock: readers together, writers alone, and nobody waits for ever."""

from __future__ import annotations

import threading
import time

import pytest

from pytest_kepler.errors import JournalError
from pytest_kepler.journal import lock
from pytest_kepler.journal.place import Place


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path / ".kepler" / "journal.duckdb")
    place.make_folder()
    return place


def refused(place, kind) -> bool:
    try:
        with lock.locked(place, kind, patience=0.05):
            return False
    except JournalError as error:
        return "has held the journal" in str(error)


def test_readers_share_and_a_writer_is_alone(place):
    with lock.locked(place, "shared"), lock.locked(place, "shared"):
        assert refused(place, "exclusive")
    with lock.locked(place, "exclusive"):
        assert refused(place, "shared")
        assert refused(place, "exclusive")
    assert not refused(place, "exclusive")


def test_a_writer_gets_its_turn_though_readers_never_leave_it_free(place):
    over = threading.Event()
    begun = threading.Barrier(5)

    def read() -> None:
        begun.wait()
        while not over.is_set():
            with lock.locked(place, "shared"):
                time.sleep(0.03)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    begun.wait()
    try:
        with lock.locked(place, "exclusive", patience=1.5):
            pass
    finally:
        over.set()
        for reader in readers:
            reader.join()


def test_whoever_reads_already_may_read_again_though_a_writer_waits(place, monkeypatch):
    monkeypatch.setattr(lock, "_COURTESY", 0.1)
    got = threading.Event()

    def write() -> None:
        with lock.locked(place, "exclusive"):
            got.set()

    writer = threading.Thread(target=write)
    with lock.locked(place, "shared"):
        writer.start()
        time.sleep(0.05)
        with lock.locked(place, "shared", patience=5):
            assert not got.is_set()
    writer.join()
    assert got.is_set()
