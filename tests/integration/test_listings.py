"""A folder of the project that a test lists counts by what is in it, and an output does not."""

from __future__ import annotations

import pytest

TRAINING = """
    import glob
    import importlib.metadata
    import os
    import shutil
    from pathlib import Path

    import pytest

    DATA = Path(__file__).parent / "data"

    @pytest.mark.experiment(gate=False)
    @pytest.mark.parametrize("seed", [0, 1])
    def test_fit(experiment, tmp_path, seed):
        {body}
        print("TRAINED")
        experiment.log(n=1)
"""
GATE = """
    import os
    import time

    import numpy as np
    import pytest

    @pytest.fixture(scope="session")
    def numbers():
        return np.arange(10.0)

    @pytest.mark.sanity
    def test_slow(numbers):
        print("CHECKED")
        time.sleep(1.01)
        assert os.listdir("data")

    @pytest.mark.experiment(metric="score")
    def test_train(experiment, numbers):
        experiment.log(score=1)
"""


@pytest.fixture
def listing(project):
    project.write("data/a.csv", "1\n")
    project.write("data/deep/b.csv", "2\n")

    def write(body: str):
        project.write("test_train.py", TRAINING.replace("{body}", body))
        return project

    return write


def trained(project, *arguments) -> int:
    result = project.run("-s", *arguments)
    assert result.ret == 0, result.stdout.str()
    return result.stdout.str().count("TRAINED")


@pytest.mark.parametrize(
    "body",
    [
        "os.listdir('data')",
        "list(os.scandir(DATA))",
        "list(DATA.iterdir())",
        "list(DATA.glob('*.csv'))",
        "glob.glob('data/*')",
        "list(os.walk('data'))",
        "os.listdir(b'data')",
        "os.chdir('data'); os.listdir(); os.chdir('..')",
        "shutil.copytree('data', tmp_path / 'copy')",
    ],
)
def test_what_comes_into_a_folder_or_leaves_it_trains_again(listing, body):
    project = listing(body)
    assert [trained(project) for _ in range(2)] == [2, 0]
    project.write("data/c.csv", "3\n")
    assert trained(project) == 2
    (newest,) = project.query("select why_new from runs order by started_at desc limit 1")
    assert newest["why_new"].startswith("file changed since")
    assert "data/" in newest["why_new"]
    assert trained(project) == 0
    (project.path / "data" / "a.csv").unlink()
    assert trained(project) == 2


def test_every_listing_of_a_walk_counts_and_none_that_is_deeper_than_what_was_listed(listing):
    project = listing("list(DATA.rglob('*.csv'))")
    assert [trained(project) for _ in range(2)] == [2, 0]
    project.write("data/deep/c.csv", "3\n")
    assert trained(project) == 2
    listing("os.listdir('data')")
    assert [trained(project) for _ in range(2)] == [2, 0]
    project.write("data/deep/d.csv", "3\n")
    assert trained(project) == 0


@pytest.mark.parametrize(
    "body",
    [
        # Outputs: what this run made, and where it made or removed something.
        "out = Path(f'out{seed}'); out.mkdir(exist_ok=True); os.listdir(out)",
        "os.makedirs('out', exist_ok=True); Path(f'out/{seed}').write_text('x'); os.listdir('out')",
        "os.listdir('data'); Path('data/mine').mkdir(); os.rmdir('data/mine')",
        # Places in which much comes and goes.
        "Path('root.txt').write_text(str(seed)); os.listdir('.'); list(Path.cwd().glob('*.csv'))",
        "os.listdir(tmp_path.parent); list(tmp_path.iterdir())",
        "os.makedirs('.hidden', exist_ok=True); os.listdir('.hidden')",
        "list(experiment.dir.parent.iterdir()); list(experiment.checkpoint.iterdir())",
        # Listings for code.
        "importlib.metadata.version('pytest'); importlib.metadata.entry_points(group='x')",
        "importlib.invalidate_caches(); import another",
    ],
)
def test_outputs_and_the_places_of_code_and_tests_are_no_input(listing, body):
    project = listing(body)
    project.write("another.py", "VALUE = 1\n")
    assert trained(project) == 2
    project.write("lib/more.py", "VALUE = 2\n")
    project.write("report.xml", "<a/>")
    assert trained(project, "-p", "no:cacheprovider") == 0
    assert trained(project, "--junitxml=other.xml") == 0


@pytest.mark.parametrize("name", ["more.py", "__pycache__/x.pyc", ".swap"])
def test_code_and_hidden_files_in_a_folder_are_none_of_its_data(listing, name):
    project = listing("list(DATA.glob('*.csv'))")
    assert trained(project) == 2
    project.write(f"data/{name}", "")
    assert trained(project) == 0


def test_a_gate_that_lists_a_folder_is_run_again_when_something_comes_into_it(project):
    project.write("data/a.csv", "1\n")
    project.write("test_it.py", GATE)
    assert "CHECKED" in project.run("-s").stdout.str()
    assert "CHECKED" not in project.run("-s").stdout.str()
    project.write("data/b.csv", "2\n")
    assert "CHECKED" in project.run("-s").stdout.str()
    assert "CHECKED" not in project.run("-s").stdout.str()
