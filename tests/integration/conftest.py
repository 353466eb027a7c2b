"""A small project of a user's, on which pytest is run for real."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = """
    import numpy as np
    import pytest

    @pytest.fixture(scope="session")
    def digits():
        rng = np.random.default_rng(0)
        X = rng.normal(size=(60, 4))
        return X, (X[:, 0] > 0).astype(int)
"""

TRAINING = """
    import pytest
    import helpers

    @pytest.mark.sanity
    def test_digits_are_finite(digits):
        X, y = digits
        assert X.shape == (60, 4)

    @pytest.mark.experiment(metric="accuracy", at_least=0.5)
    @pytest.mark.parametrize("seed", [0, 1])
    @pytest.mark.parametrize("C", [1, 10])
    def test_fit(experiment, digits, C, seed):
        '''A larger C is better.'''
        X, y = digits
        print("TRAINED", C, seed)
        experiment.log(accuracy=helpers.score(C) + seed / 100)
"""

HELPERS = """
    FACTOR = 0.05

    def score(C):
        return 0.5 + FACTOR * C / 10
"""


#: Of these modules every other test is run where no path was named: with all of them, a run of
#: everything takes half an hour on two cores. ``pytest tests/integration`` runs them whole.
SAMPLED = (
    "test_bad_input",
    "test_bad_input_identity",
    "test_gate_verdicts",
    "test_neighbours",
    "test_sharing",
    "test_uses",
)


def pytest_collection_modifyitems(config, items):
    if any(Path(arg.partition("::")[0]).exists() for arg in config.invocation_params.args):
        return
    seen = Counter()
    left_out = []
    for item in items:
        name = item.path.stem
        if name in SAMPLED:
            if seen[name] % 2:
                left_out.append(item)
            seen[name] += 1
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        out = set(left_out)
        items[:] = [item for item in items if item not in out]


class Project:
    """Writes files and runs pytest in them."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pytester = pytester
        self.path = pytester.path
        for name in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "PYTEST_XDIST_WORKER"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("COLUMNS", "120")
        self.write("pytest.ini", "[pytest]\n")

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    def standard(self) -> Project:
        """Write the project that most tests start from: four runs behind one gate."""
        self.write("conftest.py", DATA)
        self.write("helpers.py", HELPERS)
        self.write("test_train.py", TRAINING)
        return self

    def replace(self, name: str, old: str, new: str) -> None:
        path = self.path / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def run(self, *args: str) -> pytest.RunResult:
        """Run pytest in a process of its own, as a user does."""
        return self.pytester.runpytest_subprocess(*args)

    def kepler(self, *args: str, folder: str = ".") -> subprocess.CompletedProcess[str]:
        """Run the command `kepler` in a process of its own, in the project or a folder of it."""
        command = [sys.executable, "-m", "pytest_kepler.cli", *args]
        home = self.path / folder
        return subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)

    def query(self, sql: str) -> list[dict[str, Any]]:
        result = self.run("--kepler-query", sql, "--kepler-format", "json")
        assert result.ret == 0, result.stdout.str() + result.stderr.str()
        rows: list[dict[str, Any]] = json.loads(result.stdout.str())
        return rows

    def statuses(self) -> list[str]:
        return [row["status"] for row in self.query("select status from runs order by started_at")]


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(pytester, monkeypatch)


@pytest.fixture(scope="session", autouse=True)
def _rewritten(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let pytest rewrite the plugin's modules once: it keeps them, and each session reads that."""
    folder = tmp_path_factory.mktemp("warm")
    test = """
        import pytest

        @pytest.mark.experiment
        def test_warm(experiment):
            experiment.log(accuracy=1)
    """
    (folder / "test_warm.py").write_text(textwrap.dedent(test), encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    for _ in range(2):  # a first session, and one of duplicates
        subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)


@pytest.fixture
def kepler(project: Project) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command, in the standard project, which was run once."""
    project.standard()
    project.run()
    return project.kepler


def plain(result: pytest.RunResult) -> str:
    """Return what was printed, without times that change from run to run."""
    return re.sub(r"in \d+\.\d+s", "in 0s", result.stdout.str())
