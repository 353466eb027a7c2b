"""A declared dataset is known before anything is loaded."""

from __future__ import annotations

import pytest

TRAINING = """
    import threading
    from pathlib import Path

    import pytest
    import pytest_kepler

    @pytest.fixture(scope="session")
    @pytest_kepler.dataset(files=["data/*.csv"], version="1")
    def stream():
        print("LOADED")
        lines = [path.read_text() for path in Path(__file__).parent.glob("data/*.csv")]
        return threading.Lock(), lines

    @pytest.mark.experiment(gate=False)
    def test_stream(experiment, stream):
        print("TRAINED")
        experiment.log(score=1)
"""


@pytest.fixture
def stream(project):
    project.write("data/a.csv", "1,2\n")
    project.write("test_stream.py", TRAINING)
    return project


def test_a_duplicate_loads_nothing(stream):
    assert "TRAINED" in stream.run("-s").stdout.str()
    second = stream.run("-s").stdout.str()
    assert "LOADED" not in second
    assert "TRAINED" not in second


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("data/a.csv", "1,2", "1,3"),
        ("test_stream.py", 'version="1"', 'version="2"'),
        ("test_stream.py", "path.read_text()", "path.read_text().upper()"),
    ],
)
def test_a_change_of_files_version_or_code_runs_again(stream, file, old, new):
    stream.run()
    stream.replace(file, old, new)
    assert "TRAINED" in stream.run("-s").stdout.str()


def test_a_new_file_runs_again(stream):
    stream.run()
    stream.write("data/b.csv", "5,6\n")
    assert "TRAINED" in stream.run("-s").stdout.str()


def test_a_file_that_is_not_there_is_named_and_never_skipped(stream):
    stream.replace("test_stream.py", "data/*.csv", "dota/*.csv")
    stream.run()
    assert "TRAINED" in stream.run("-s").stdout.str()
    reason = stream.query("select why_new from runs order by started_at desc limit 1")[0]["why_new"]
    assert "dota/*.csv" in reason


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("dataset()", "declares nothing"),
        ("dataset(version=3)", "version must be a text"),
        ("dataset(files=[1])", "paths or patterns"),
    ],
)
def test_a_wrong_declaration_says_so(stream, call, expected):
    stream.replace("test_stream.py", 'dataset(files=["data/*.csv"], version="1")', call)
    result = stream.run()
    assert expected in result.stdout.str()
    assert result.ret != 0
