"""Source files: whose they are, and the cache of their tables."""

import json
import os
import sys
import sysconfig
import threading
from pathlib import Path

import numpy as np
import pytest

import pytest_kepler
from pytest_kepler.identity import source_files
from pytest_kepler.identity.source_files import SourceFiles, find_module_file

TEXT = "def f(x):\n    return x\n"


def write(path: Path, text: str = TEXT) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


def entries(folder: Path) -> dict:
    (path,) = folder.iterdir()
    return json.loads(path.read_text(encoding="utf-8"))


def refuse(_: object) -> None:
    message = "parsed again"
    raise AssertionError(message)


def test_the_users_files_are_those_that_are_not_installed(tmp_path):
    files = SourceFiles()
    assert files.is_own(str(tmp_path / "helpers.py"))
    assert files.is_own(str(Path("relative/helpers.py")))
    assert not files.is_own(sysconfig.get_paths()["stdlib"] + "/json/__init__.py")
    assert not files.is_own(np.__file__)
    assert not files.is_own(pytest_kepler.__file__)
    assert not files.is_own(str(tmp_path / "venv/lib/site-packages/x.py"))
    assert not files.is_own("<frozen os>")


def test_a_table_is_read_back_from_the_cache(tmp_path, monkeypatch):
    filename = write(tmp_path / "a.py")
    first = SourceFiles(tmp_path / "cache")
    made = first.table(filename)
    first.save()
    monkeypatch.setattr(source_files, "read_file", refuse)
    found = SourceFiles(tmp_path / "cache").table(filename)
    assert found is not None
    assert found.named("f")[0].digest == made.named("f")[0].digest


def test_a_changed_file_is_parsed_again_whatever_its_time(tmp_path):
    path = tmp_path / "a.py"
    filename = write(path)
    first = SourceFiles(tmp_path / "cache")
    before = first.table(filename).digest
    first.save()
    stat = path.stat()
    write(path, TEXT.replace("return x", "return 7"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert SourceFiles(tmp_path / "cache").table(filename).digest != before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"KEY": 1}', '{"KEY": [1, 2, 3, 4, 5]}', "\xff"])
def test_a_broken_cache_is_passed_over(text, tmp_path):
    filename = write(tmp_path / "a.py")
    first = SourceFiles(tmp_path / "cache")
    first.table(filename)
    first.save()
    (cache,) = (tmp_path / "cache").iterdir()
    (key,) = entries(tmp_path / "cache")
    cache.write_text(text.replace("KEY", key), encoding="latin-1")
    again = SourceFiles(tmp_path / "cache")
    assert again.table(filename).named("f")
    again.save()
    assert list(entries(tmp_path / "cache")) == [key]


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path):
    (tmp_path / "cache").write_text("a file in the way", encoding="utf-8")
    files = SourceFiles(tmp_path / "cache")
    assert files.table(write(tmp_path / "a.py")).named("f")
    files.save()


def test_writers_at_the_same_time_leave_a_whole_cache(tmp_path):
    def work(number: int) -> None:
        files = SourceFiles(tmp_path / "cache")
        for index in range(5):
            name = f"m{number}_{index}.py"
            files.table(write(tmp_path / name, f"def g{number}_{index}(): pass\n"))
            files.save()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 5 <= len(entries(tmp_path / "cache")) <= 20


def test_the_cache_keeps_the_tables_of_this_session_first(tmp_path, monkeypatch):
    monkeypatch.setattr(source_files, "_KEPT_TABLES", 2)
    for name in "abc":
        files = SourceFiles(tmp_path / "cache")
        files.table(write(tmp_path / f"{name}.py", f"def {name}(): pass\n"))
        files.save()
    assert len(entries(tmp_path / "cache")) == 2
    assert '"c"' in json.dumps(entries(tmp_path / "cache"))


def test_a_file_in_another_encoding_is_read(tmp_path):
    path = tmp_path / "a.py"
    path.write_bytes("# coding: latin-1\ndef f():\n    return 'é'\n".encode("latin-1"))
    files = SourceFiles()
    assert files.table(str(path)).named("f")
    assert files.source(str(path), 2, 3) == "def f():\n    return 'é'"


def test_a_missing_file_has_no_table(tmp_path):
    assert SourceFiles().table(str(tmp_path / "none.py")) is None


def test_modules_are_found_without_importing_them(tmp_path, monkeypatch):
    write(tmp_path / "found_pkg/__init__.py", "")
    deep = write(tmp_path / "found_pkg/sub/deep.py")
    write(tmp_path / "found_pkg/sub/__init__.py", "raise RuntimeError\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_module_file("found_pkg.sub.deep") == deep
    assert find_module_file("found_pkg.sub.none") == ""
    assert find_module_file("no_such_module_at_all") == ""
    assert find_module_file("sys") == ""
    assert "found_pkg" not in sys.modules
