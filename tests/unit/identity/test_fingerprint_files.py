"""Files and folders count by content, wherever they lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_kepler.errors import UnreadableValueError
from pytest_kepler.identity import files
from pytest_kepler.identity.fingerprint import fingerprint, params_hash, read


def written(path, content="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def folder(root, entries):
    for name, content in entries.items():
        written(root / name, content)
    return root


def test_a_file_counts_by_its_content_alone(tmp_path):
    first, copy = written(tmp_path / "a.csv"), written(tmp_path / "b" / "c.csv")
    os.utime(copy, (1, 1))
    assert fingerprint(first) == fingerprint(copy)
    assert fingerprint(first) != fingerprint(written(tmp_path / "d.csv", "y"))


def test_a_text_that_names_a_file_is_the_file(tmp_path, monkeypatch):
    path = written(tmp_path / "a.csv")
    monkeypatch.chdir(tmp_path)
    assert fingerprint(str(path)) == fingerprint(path) == fingerprint("a.csv")
    before = fingerprint({"train": "a.csv"})
    written(path, "changed")
    assert fingerprint({"train": "a.csv"}) != before


def test_a_text_that_names_no_file_is_a_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = fingerprint("folder"), fingerprint("file")
    (tmp_path / "folder").mkdir()
    assert (fingerprint("folder"), fingerprint("file")) == before
    for text in ("", "\0", "a\nb", "x" * 5000, ".", "/"):
        assert read(text).kind == "str"


def test_many_texts_are_looked_up_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = [f"word {number}" for number in range(100)] + ["data/a.csv"]
    before = fingerprint(texts)
    written(tmp_path / "data" / "a.csv", "x")
    filled = fingerprint(texts)
    written(tmp_path / "data" / "a.csv", "y")
    assert len({before, filled, fingerprint(texts)}) == 3


def test_what_a_folder_holds_counts_and_not_where_it_lies(tmp_path):
    entries = {"a.txt": "1", "b/c.txt": "2"}
    one, copy = folder(tmp_path / "one", entries), folder(tmp_path / "x" / "copy", entries)
    assert fingerprint(one) == fingerprint(copy)
    assert read(one).is_data
    assert (read(one).kind, read(one).n_bytes) == ("folder", 2)


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param({"a.txt": "1", "b/c.txt": "3"}, id="content"),
        pytest.param({"a.txt": "1", "b/d.txt": "2"}, id="name"),
        pytest.param({"a.txt": "1", "c.txt": "2"}, id="place"),
        pytest.param({"a.txt": "1"}, id="one less"),
        pytest.param({"a.txt": "2", "b/c.txt": "1"}, id="exchanged"),
        pytest.param({"a.txt": "1", "b/c.txt": "2", "e/f": ""}, id="one more"),
    ],
)
def test_every_change_in_a_folder_counts(tmp_path, entries):
    base = folder(tmp_path / "base", {"a.txt": "1", "b/c.txt": "2"})
    assert fingerprint(base) != fingerprint(folder(tmp_path / "other", entries))


def test_an_empty_folder_inside_counts(tmp_path):
    base = folder(tmp_path / "base", {"a.txt": "1"})
    before = fingerprint(base)
    (base / "b").mkdir()
    assert fingerprint(base) != before


def test_a_list_of_files_counts_by_names_below_the_common_folder(tmp_path):
    def images(root, names):
        return [written(tmp_path / root / name, name[-5]) for name in names]

    names = ["cat/1.jpg", "dog/2.jpg"]
    assert fingerprint(images("one", names)) == fingerprint(images("two", names))
    relabelled = images("three", ["dog/1.jpg", "dog/2.jpg"])
    assert fingerprint(relabelled) != fingerprint(images("one", names))
    assert fingerprint(set(images("one", names))) == fingerprint(set(images("two", names)))


def test_a_path_to_nothing_counts_by_its_place_below_the_root(tmp_path):
    def at(root):
        return read(root / "new.csv", root=root).hash

    assert at(tmp_path / "one") == at(tmp_path / "two")
    assert fingerprint(tmp_path / "one") != fingerprint(tmp_path / "two")
    assert not read(tmp_path / "one").is_data


def test_a_file_larger_than_a_block_is_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_BLOCK", 10)
    path = written(tmp_path / "a", "x" * 35)
    found = read(path)
    assert (found.n_bytes, found.kind) == (35, "file")
    assert found.hash != fingerprint(written(tmp_path / "b", "x" * 34 + "y"))


def growing(path, n_times, monkeypatch):
    left = [n_times]
    real = os.fstat

    def stat(descriptor):
        found = real(descriptor)
        if left[0]:
            left[0] -= 1
            with path.open("a", encoding="utf-8") as file:
                file.write("more")
        return found

    monkeypatch.setattr(os, "fstat", stat)


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    path = written(tmp_path / "a")
    growing(path, 1, monkeypatch)
    assert fingerprint(path) == fingerprint(written(tmp_path / "b", "xmore"))


def test_a_file_that_keeps_changing_is_refused(tmp_path, monkeypatch):
    path = written(tmp_path / "a")
    growing(path, 2, monkeypatch)
    with pytest.raises(UnreadableValueError, match=r"^value\[0\]: the file .*changes while"):
        fingerprint([path])


def test_a_pipe_is_refused_and_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableValueError, match="no plain file"):
        fingerprint(tmp_path / "pipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_refused(tmp_path):
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(UnreadableValueError, match="Permission denied"):
        fingerprint(tmp_path / "closed")


def test_a_link_to_a_folder_above_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    with pytest.raises(UnreadableValueError, match="links back"):
        fingerprint(tmp_path)


def test_a_link_to_a_file_is_the_file(tmp_path):
    target = written(tmp_path / "target")
    link = tmp_path / "link"
    link.symlink_to(target)
    assert fingerprint(link) == fingerprint(target)


def test_a_parameter_counts_as_written_and_by_the_file_it_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "a.csv")
    written(tmp_path / "b.csv")
    one = params_hash({"file": "a.csv"})
    assert one != params_hash({"file": "b.csv"})
    assert params_hash({"file": Path("a.csv")}) != params_hash({"file": Path("b.csv")})
    written(tmp_path / "a.csv", "changed")
    assert params_hash({"file": "a.csv"}) != one
