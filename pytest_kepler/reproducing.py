"""Reproducing: a run executed again from its commit, and compared with what the journal has.

The repository's commit is checked out beside the working tree, with the uncommitted difference that
was kept. What git does not know (data, settings) is linked from the working tree.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.errors import KeplerError, KeplerUsageError
from pytest_kepler.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_kepler.records import Run

#: Names of metrics that tell how long something took: no two runs agree on them.
_TIMES: Final = ("seconds", "time")
_NOT_LINKED: Final = (".kepler", ".pytest_cache", "__pycache__", ".hypothesis")
_MOST_LINES: Final = 30
#: Parts of an identity, as people call them.
_PARTS: Final = {"code_hash": "code", "data_hash": "data", "params_hash": "parameters"}


@dataclass(frozen=True, slots=True)
class Compared:
    """One metric, then and now; None where a run does not have it."""

    name: str
    then: float | None
    now: float | None

    @property
    def is_same(self) -> bool:
        """Whether the numbers are equal to the last digit; NaN equals NaN."""
        if self.then is None or self.now is None:
            return False
        return self.then == self.now or (math.isnan(self.then) and math.isnan(self.now))


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What came of running a run again.

    Attributes
    ----------
    run, again : Run
        Then and now.
    metrics : tuple of Compared
        Without those that tell how long something took.
    changed : tuple of str
        Which of code, data and parameters differ, and what of the environment.
    remarks : tuple of str
        What could not be brought back.
    """

    run: Run
    again: Run
    metrics: tuple[Compared, ...]
    changed: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def differing(self) -> int:
        """How many metrics are not the same."""
        return sum(not one.is_same for one in self.metrics)


def reproduce(
    path: Path, prefix: str, folder: Path, *, python: str = sys.executable
) -> Reproduction:
    """Run a run again and compare.

    Parameters
    ----------
    path : Path
        The journal's file.
    prefix : str
        The run's id, or how it begins; of a duplicate the run that it repeats is meant.
    folder : Path
        In the project.
    python : str
        The interpreter.

    Raises
    ------
    KeplerUsageError
        If there is no such run, it trained nothing, or its commit is not in this repository.
    KeplerError
        If the test did not come to the end of a run.
    """
    journal = Journal(path)
    journal.ingest()
    found = journal.run(prefix)
    if found["run"].duplicate_of:
        found = journal.run(found["run"].duplicate_of)
    run: Run = found["run"]
    if run.status not in ("passed", "failed", "xfailed"):
        msg = f"Run {run.short_id} is {run.status}: it has no result that could be reproduced."
        raise KeplerUsageError(msg)
    remarks: list[str] = []
    with _checked_out(found["session"], folder, remarks) as project, _scratch() as scratch:
        again = _run(python, project, run.node_id, scratch / "again.duckdb")
        then, now = found, Journal(scratch / "again.duckdb").run(again.run_id)
    return Reproduction(
        run=run,
        again=again,
        metrics=tuple(_compare(run.metrics, again.metrics)),
        changed=tuple(_changed(run, again, then["environment"], now["environment"])),
        remarks=tuple(remarks),
    )


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kepler-reproduce-") as name:
        yield Path(name)


@contextlib.contextmanager
def _checked_out(session: Mapping[str, Any], folder: Path, remarks: list[str]) -> Iterator[Path]:
    """Yield the rootdir of a session in a checkout of its commit, or the folder as it is."""
    commit = session.get("commit") or ""
    root = _git(folder, "rev-parse", "--show-toplevel").stdout.strip()
    if not commit or not root:
        remarks.append("its session knew no commit, so the code as it is was run")
        yield folder
        return
    if _git(folder, "cat-file", "-e", f"{commit}^{{commit}}").returncode:
        msg = f"The commit {commit[:12]} of the run is not in this repository: fetch it first."
        raise KeplerUsageError(msg)
    rootdir = Path(str(session.get("rootdir") or root))
    below = rootdir.relative_to(root) if rootdir.is_relative_to(root) else Path()
    with _scratch() as scratch:
        tree = scratch / "tree"
        added = _git(folder, "worktree", "add", "--detach", str(tree), commit)
        if added.returncode:
            msg = f"git cannot check out {commit[:12]}: {added.stderr.strip()}"
            raise KeplerError(msg)
        try:
            _apply(tree, str(session.get("diff") or ""), remarks)
            _link_untracked(Path(root), tree)
            yield tree / below
        finally:
            _git(folder, "worktree", "remove", "--force", str(tree))


def _apply(tree: Path, diff: str, remarks: list[str]) -> None:
    if not diff.strip():
        return
    whole = diff if diff.endswith("\n") else f"{diff}\n"
    if _git(tree, "apply", "--whitespace=nowarn", "-", given=whole).returncode:
        remarks.append("its uncommitted changes were not kept whole and are not applied")


def _link_untracked(root: Path, tree: Path) -> None:
    """Link what git does not know, such as data, unless the commit has something there."""
    listed = _git(root, "ls-files", "--others", "--directory", "-z").stdout
    for name in filter(None, listed.split("\0")):
        place = Path(name.rstrip("/"))
        target = tree / place
        if place.parts[0] in _NOT_LINKED or place.name in _NOT_LINKED or place.suffix == ".pyc":
            continue
        if target.exists() or not target.parent.is_dir():
            continue
        if place.suffix == ".py":  # a test that is a link would be another one to pytest
            shutil.copy2(root / place, target)
        else:
            target.symlink_to(root / place)


def _git(
    folder: Path, *arguments: str, given: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # arguments of our own
        ["git", *arguments],  # noqa: S607  # git, wherever it is
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )


def _run(python: str, project: Path, node_id: str, journal: Path) -> Run:
    done = subprocess.run(  # noqa: S603  # the user's own tests
        [
            *(python, "-m", "pytest", node_id, "-p", "no:cacheprovider", "-q"),
            *("--rootdir", str(project), "--kepler-duplicates=run", f"--kepler-journal={journal}"),
        ],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    if journal.exists():
        there = Journal(journal)
        there.ingest()
        for run in there.all_runs():
            if run.node_id == node_id and run.status in ("passed", "failed", "xfailed"):
                return run
    output = (done.stdout + done.stderr).strip().splitlines()
    tail = "\n".join(output[-_MOST_LINES:])
    msg = f"{node_id} did not come to a result (pytest's exit status {done.returncode}):\n{tail}"
    raise KeplerError(msg)


def _compare(then: Mapping[str, float], now: Mapping[str, float]) -> Iterator[Compared]:
    for name in sorted(then.keys() | now.keys()):
        if not name.rpartition("/")[2].endswith(_TIMES):
            yield Compared(name, then.get(name), now.get(name))


def _changed(
    run: Run, again: Run, then: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[str]:
    for field, word in _PARTS.items():
        if getattr(run, field) != getattr(again, field):
            yield f"{word}{_named(run, again, word)}"
    yield from _environment(then, now)


def _named(run: Run, again: Run, word: str) -> str:
    """Return in brackets the functions or fixtures that differ, if the parts tell."""
    before, after = run.parts.get(word, {}), again.parts.get(word, {})
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return f" ({', '.join(names)})" if names else ""


def _environment(then: Mapping[str, Any], now: Mapping[str, Any]) -> Sequence[str]:
    from pytest_kepler.identity import environment

    return environment.differ(then, now) if then and now else []
