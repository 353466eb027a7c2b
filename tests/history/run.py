"""A project's history in five commits, and what CI says of each: ``python tests/history/run.py``.

A repository is made in a temporary folder: real data, a scikit-learn model, a baseline that is
committed. Each commit changes one thing, and CI's command is run on it.
"""

# ruff: noqa: T201 - its output is the table

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CI: Final = ("--kepler-compare-fail=accuracy:0.5%", "-q", "-p", "no:cacheprovider")
TESTS: Final = """
    import pytest
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    import model

    @pytest.fixture(scope="session")
    def tumours():
        return load_breast_cancer(return_X_y=True)

    @pytest.mark.sanity
    def test_tumours_have_two_classes(tumours):
        assert set(tumours[1]) == {0, 1}

    def held_out(tumours, seed):
        X, y = tumours
        return train_test_split(X, y, test_size=model.TEST_SIZE, stratify=y, random_state=seed)

    @pytest.mark.experiment(metric="accuracy")
    @pytest.mark.parametrize("seed", range(5))
    def test_model(experiment, tumours, seed):
        '''A few questions are enough for these tumours.'''
        X_train, X_test, y_train, y_test = held_out(tumours, seed)
        fitted = experiment.fit(model.make(seed), X_train, y_train)
        experiment.evaluate(fitted, X_test, y_test)

    @pytest.mark.experiment(metric="accuracy")
    @pytest.mark.parametrize("seed", range(5))
    def test_bayes(experiment, tumours, seed):
        '''Naive Bayes is a fair yardstick.'''
        X_train, X_test, y_train, y_test = held_out(tumours, seed)
        fitted = experiment.fit(make_pipeline(StandardScaler(), GaussianNB()), X_train, y_train)
        experiment.evaluate(fitted, X_test, y_test)
"""
MODEL: Final = """
    from sklearn.tree import DecisionTreeClassifier

    TEST_SIZE = 0.3

    def make(seed):
        return DecisionTreeClassifier(max_depth=1, random_state=0)
"""
FOREST: Final = """
    from sklearn.ensemble import RandomForestClassifier

    TEST_SIZE = 0.3

    def make(seed):
        return RandomForestClassifier(100, random_state=0)
"""


@dataclass(frozen=True)
class Said:
    """What CI said of one commit."""

    title: str
    status: int
    lines: tuple[str, ...]
    output: str


def main() -> int:
    """Print what CI says of each commit."""
    with tempfile.TemporaryDirectory(prefix="kepler-history-") as name:
        for said in history(Path(name)):
            print(f"{said.title:<34} exit status {said.status}")
            for line in said.lines:
                print(f"    {line}")
    return 0


def history(folder: Path) -> list[Said]:
    """Make the repository commit by commit, and run CI's command on each."""
    _write(folder, "test_tumours.py", TESTS)
    _write(folder, "model.py", MODEL)
    _write(folder, "pytest.ini", "[pytest]\npythonpath = .\n")
    _write(folder, ".gitignore", ".kepler/\n__pycache__/\n")
    _git(folder, "init", "-q")
    _pytest(folder, "-q", "--kepler-update-baseline")
    _commit(folder, "The first model, and its baseline")
    said = []

    def ci(title: str) -> None:
        _commit(folder, title)
        said.append(_ci(folder, title))

    _write(folder, "model.py", FOREST)
    ci("better: a forest")
    _pytest(folder, "-q", "--kepler-update-baseline")
    _write(folder, "model.py", FOREST.replace("100,", "100, max_depth=1, max_features=1,"))
    ci("worse: stumps of one feature")
    _write(
        folder, "model.py", FOREST.replace("random_state=0", "random_state=seed, max_samples=0.5")
    )
    ci("noise: another seed, half the rows")
    _write(folder, "model.py", FOREST.replace("TEST_SIZE = 0.3", "TEST_SIZE = 0.4"))
    ci("other data: a larger test set")
    start = TESTS.index(
        '    @pytest.mark.experiment(metric="accuracy")', TESTS.index("def test_model")
    )
    _write(folder, "model.py", FOREST)
    _write(folder, "test_tumours.py", TESTS[:start])
    ci("removed: the yardstick is gone")
    return said


def _ci(folder: Path, title: str) -> Said:
    done = _pytest(folder, *CI, GITHUB_ACTIONS="true", COLUMNS="160")
    words = ("baseline ", "vanished", "to make it", "::error", "✗ worse")
    lines = [line.strip() for line in done.stdout.splitlines()]
    shown = tuple(line for line in lines if line.startswith(words))
    return Said(title, done.returncode, shown, done.stdout + done.stderr)


def _write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")


def _git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=ci", "-c", "user.email=ci@example.org")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def _commit(folder: Path, title: str) -> None:
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", title)


def _pytest(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {
        name: one for name, one in os.environ.items() if not name.startswith(("PYTEST", "GITHUB"))
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=folder,
        env={**kept, "PYTHONDONTWRITEBYTECODE": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
