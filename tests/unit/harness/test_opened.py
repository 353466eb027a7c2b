from __future__ import annotations

import os
import time

import pytest

from pytest_kepler.harness.opened import OpenedFiles


@pytest.fixture
def project(tmp_path):
    """Return a folder of data in a project, all of it an hour old."""
    data = tmp_path / "project" / "data"
    data.mkdir(parents=True)
    for name in ("a.csv", "b.csv"):
        (data / name).write_text(name)
    hour_ago = time.time() - 3600
    os.utime(data, (hour_ago, hour_ago))
    return tmp_path / "project"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def listen(project):
    """Return a function that says what was opened and listed while another ran."""
    made = []

    def heard(body, *left_out):
        made.append(OpenedFiles(project, [project / ".kepler", *left_out]))
        made[-1].start()
        body()
        return made[-1].stop()

    yield heard
    for one in made:
        one.stop()


def listing(folder):
    return lambda: list(folder.iterdir())


def test_a_folder_that_was_listed_and_a_file_that_was_read_are_heard(listen, project):
    data = project / "data"
    assert listen(lambda: [path.read_text() for path in data.glob("a*")]) == [data / "a.csv", data]
    assert listen(listing(project / "data")) == [data]
    assert listen(data.exists) == []


def test_what_is_elsewhere_left_out_or_the_root_itself_is_not(listen, project):
    assert listen(listing(project.parent)) == []
    assert listen(listing(project)) == []
    assert listen(listing(project / "data"), project / "data") == []
    assert listen(listing(project / "data"), project.parent) == [project / "data"]


def test_a_folder_that_changed_meanwhile_or_is_gone_is_an_output(listen, project):
    def write_by_descriptor():
        list((project / "data").iterdir())
        os.mknod(project / "data" / "c.csv")  # no event of Python's

    assert listen(write_by_descriptor) == []
    assert listen(lambda: (listing(project / "data")(), (project / "data").rename("x"))) == []


def test_packages_that_were_installed_into_the_project_are_not_data(listen, project):
    installed = project / "venv" / "lib" / "site-packages"
    installed.mkdir(parents=True)
    os.utime(installed, (0, 0))
    assert listen(listing(installed)) == []


def test_the_entries_are_hashed_by_their_names_alone(project):
    opened = OpenedFiles(project, [])
    data = project / "data"
    before = opened.entries_hash(data)
    (data / "a.csv").write_text("other")
    (data / "__pycache__").mkdir()
    (data / "code.py").write_text("")
    (data / ".swap").write_text("")
    assert opened.entries_hash(data) == before
    (data / "a.csv").rename(data / "c.csv")
    assert opened.entries_hash(data) != before
    with pytest.raises(OSError, match="No such file"):
        opened.entries_hash(project / "nothing")


def test_a_folder_that_was_left_alone_is_listed_once(project, monkeypatch):
    opened = OpenedFiles(project, [])
    data = project / "data"
    listed = []
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: listed.append(path) or real(path))
    assert len({opened.entries_hash(data) for _ in range(2)}) == 1
    assert len(listed) == 2  # it was changed just now
    monkeypatch.setattr(time, "time_ns", lambda: int(2e18))
    before = {opened.entries_hash(data) for _ in range(3)}
    assert len(listed) == 3
    (data / "c.csv").write_text("")
    assert opened.entries_hash(data) not in before
