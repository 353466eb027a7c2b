"""GitHub Actions: the job's summary, and annotations at the tests that need a look."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_kepler.reports.wording import count, first_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pytest

    from pytest_kepler.harness.concluding import Miss

#: A plugin that annotates failed tests by itself.
_ANNOTATOR = "pytest_github_actions_annotate_failures"
Place = tuple[str, int | None]


class Annotations:
    """Collects what is worth an annotation: GitHub shows ten of a step, so they are folded.

    Parameters
    ----------
    config : pytest.Config
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.is_on = os.environ.get("GITHUB_ACTIONS") == "true"
        self._places: dict[str, Place] = {}
        self._blocked: dict[str, tuple[Place, int]] = {}
        self._failed: list[tuple[Place, str, str]] = []

    def see(self, report: pytest.TestReport, told: Mapping[str, Any]) -> None:
        """Take in the report of a test, with what an experiment's tells of its run."""
        if not self.is_on:
            return
        place = report.location[0], report.location[1]
        self._places.setdefault(report.nodeid.partition("[")[0], place)
        if told.get("status") == "blocked" and (report.skipped or report.failed):
            known, n = self._blocked.get(told["reason"], (place, 0))
            self._blocked[told["reason"]] = known, n + 1
        elif report.failed and not _has_plugin(self.config, _ANNOTATOR):
            text = first_line(report.longreprtext.strip().rpartition("\nE  ")[2])
            self._failed.append((place, report.nodeid.rpartition("::")[2], text))

    def lines(self, misses: Iterable[Miss]) -> list[str]:
        """Return the workflow commands."""
        if not self.is_on:
            return []
        found = [
            _command("error", place, f"{name} failed", text) for place, name, text in self._failed
        ]
        for reason, (place, n) in self._blocked.items():
            found.append(_command("error", place, f"{count(n, 'run')} blocked", reason))
        for miss in misses:
            name = miss.experiment.rpartition("::")[2]
            place = self._places.get(miss.experiment, (miss.experiment.partition("::")[0], None))
            word = "got worse" if miss.is_worse else "missed a threshold"
            found.append(_command("error", place, f"{name} {word}", miss.message))
        return found


def _has_plugin(config: pytest.Config, name: str) -> bool:
    found = config.pluginmanager.list_plugin_distinfo()
    return any(str(info.project_name).replace("-", "_") == name for _, info in found)


def _command(kind: str, place: Place, title: str, text: str) -> str:
    path, line = place
    parts = {"file": _in_repository(path), "title": title}
    if line is not None:
        parts["line"] = str(line + 1)
    properties = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in parts.items())
    return f"::{kind} {properties}::{_escaped(text)}"


def _in_repository(path: str) -> str:
    """Return a path below the rootdir as one below the repository, which GitHub wants."""
    workspace = os.environ.get("GITHUB_WORKSPACE")
    if not workspace:
        return path
    try:
        return Path(path).absolute().relative_to(workspace).as_posix()
    except ValueError:
        return path


def _escaped(text: str, more: str = "") -> str:
    for sign in ("%", "\r", "\n", *more):
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text


def write_job_summary(markdown: str) -> str:
    """Add a report to the job's summary, where there is one.

    Returns
    -------
    str
        Empty, or a sentence that says why it could not be written.
    """
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if not target:
        return ""
    try:
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(markdown + "\n")
    except OSError as error:
        return f"the job's summary cannot be written to {target} ({error.strerror})"
    return ""
