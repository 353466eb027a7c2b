"""The plugin of the process that reports: one a session, the xdist controller where there is one.

At the end it takes the spools into the journal, judges the thresholds from it, and prints.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import textwrap
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kepler.baseline import BASELINE_FILE, read_baselines
from pytest_kepler.errors import KeplerError, KeplerUsageError
from pytest_kepler.harness.actions import Annotations, write_job_summary
from pytest_kepler.harness.concluding import (
    Miss,
    baseline_event,
    claim_event,
    misses,
    threshold_event,
    update_baseline,
)
from pytest_kepler.harness.settings import read_settings, setting
from pytest_kepler.harness.stash import SESSION
from pytest_kepler.identity.collector import collector_paused
from pytest_kepler.spool import Spool, new_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_kepler.answering import Comparing, SessionAnswer
    from pytest_kepler.harness.selection import Selection
    from pytest_kepler.harness.workbench import Workbench

_SHOWN_NOTICES = 12


class Controller:
    """Counts what happened, and makes the end of the session.

    Parameters
    ----------
    config : pytest.Config
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.session_id = new_id()
        self.turns = Path(tempfile.gettempdir()) / f"kepler-turns-{self.session_id}"
        self.n_left_out = 0
        self.notices: list[str] = []
        self.troubles: list[str] = []
        self.usage_error = ""
        self.outcome: SessionAnswer | None = None
        self._bench: Workbench | None = None
        self._selection: Selection | None = None
        self._blocked: Counter[str] = Counter()
        self._n_reports = 0
        self._is_summary = False
        self._is_whole = False
        self._missed: list[Miss] = []
        self._annotations = Annotations(config)

    def take(self, bench: Workbench) -> None:
        """Be the controller of the only process."""
        self._bench = bench
        self._selection = bench.selection
        self._is_whole = bench.selection.is_whole

    def show_gates(self, selection: Selection) -> None:
        """Be asked what would be run, by ``--collect-only``."""
        self._selection = selection

    # Under xdist

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker which session it belongs to."""
        node.workerinput["kepler"] = {"session": self.session_id, "turns": str(self.turns)}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take a worker's last words; one that crashed has none."""
        del error
        output = getattr(node, "workeroutput", {})
        self.usage_error = self.usage_error or output.get("kepler_usage", "")
        words = output.get("kepler")
        if words is not None:
            self._n_reports += 1
            self.notices += [one for one in words["notices"] if one not in self.notices]
            self._add_troubles(words["troubles"])
            self._is_whole = words["is_whole"]

    def _add_troubles(self, troubles: Iterable[str]) -> None:
        """Add what was not said yet: the processes of a session are in the same trouble."""
        self.troubles += [one for one in troubles if one not in self.troubles]

    # What is seen of each test

    def pytest_report_collectionfinish(self) -> list[str]:
        """Name the journal, and say what was left out."""
        lines = []
        if self.n_left_out:
            lines.append(
                f"kepler: {self.n_left_out} experiment runs left out "
                "(kepler_experiments = explicit): name them with -m experiment or --kepler-run"
            )
        if self._bench is not None and self._selection is not None:
            settings = self._bench.settings
            if settings.smoke:
                lines.append("kepler: smoke: a few steps on a few rows, nothing is judged")
            lines.append(f"kepler: journal {_shown(settings.journal, self.config)}")
            width = self._width()
            lines += [_wrapped(one, width) for one in self._bench.notices[:_SHOWN_NOTICES]]
            del self._bench.notices[:]
        return lines

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        """Give blocked runs and duplicates words of their own."""
        told = _told(report)
        if told is None:
            return None
        if told["status"] == "blocked" and report.skipped:
            return "blocked", "B", ("BLOCKED", {"yellow": True})
        word = {"reused": "REUSED", "duplicate": "DUPLICATE"}.get(told["status"])
        if word is None or not report.skipped or hasattr(report, "wasxfail"):
            return None
        shown = word
        # The summary of -rs folds reports, and asks for the word of the first.
        if told["status"] == "duplicate" and not self._is_summary:
            shown += told["reason"].removeprefix("duplicate")
        return "skipped", "d", (shown, {"green": True})

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count, and let ``--lf`` bring back what was blocked."""
        told = _told(report)
        if not self._missed:  # else it is our own entry of a miss
            self._annotations.see(report, told or {})
        if told is None:
            return
        self._n_reports += 1
        if told["status"] == "blocked" and (report.skipped or report.failed):
            self._blocked[told["reason"]] += 1
            plugin = self.config.pluginmanager.get_plugin("lfplugin")
            if plugin is not None and hasattr(plugin, "lastfailed"):
                plugin.lastfailed[getattr(report, "id", report.nodeid)] = True

    # The end

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Ingest, judge, and decide the exit status."""
        if self.usage_error:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
            return
        if self._bench is not None:
            self._bench.close()
            self.notices += self._bench.notices
            self._add_troubles(self._bench.troubles())
        if not self._n_reports:
            return
        with collector_paused():
            missed = self._ingest_and_judge(exitstatus)
        self._missed = missed
        session.testscollected += len(missed)  # the terminal counts up to it
        for miss in missed:
            self._report_miss(miss)
        failed = bool(missed or self._blocked or self.troubles)
        if failed and session.exitstatus in (
            pytest.ExitCode.OK,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _ingest_and_judge(self, exitstatus: int) -> list[Miss]:
        from pytest_kepler.answering import Comparing, answer_session

        settings = read_settings(self.config)
        try:
            comparing = None
            if not settings.smoke:
                in_file = read_baselines(self.config.rootpath / BASELINE_FILE)
                entries = tuple(in_file.get(settings.baseline, ()))
                # Where there is trouble, runs may be missing in the journal that are not gone.
                is_whole = self._is_whole and not self.troubles
                comparing = Comparing(settings.baseline, entries, settings.tolerances, is_whole)
            self.outcome = answer_session(settings.journal, self.session_id, comparing)
            if comparing is not None and not comparing.entries:
                self._tell_other_baseline(self.outcome.comparing)
        except KeplerError as error:
            self._add_troubles([str(error)])
            return []
        missed = misses(self.outcome)
        self._record(self.outcome, int(exitstatus) or int(bool(missed or self._blocked)))
        if settings.share is not None:
            from pytest_kepler.journal import Journal

            self.notices += Journal(settings.journal).sync(settings.share).troubles
        return missed

    def _tell_other_baseline(self, used: Comparing | None) -> None:
        """Say that the journal's own record stood in for a file that has no such baseline."""
        if used is not None and used.entries and (self.config.rootpath / BASELINE_FILE).exists():
            self.notices.append(
                f"{BASELINE_FILE} has no baseline {used.name!r}: compared with what the journal "
                "recorded of it"
            )

    def _record(self, outcome: SessionAnswer, status: int) -> None:
        """Spool what the session concluded, and its end."""
        from pytest_kepler.journal import last_words

        spool = Spool(outcome.folder, last_words(self.session_id))
        for threshold in outcome.thresholds:
            spool.write(threshold_event(threshold, self.session_id))
        for claim in outcome.claims:
            spool.write(claim_event(claim, self.session_id))
        comparing = outcome.comparing
        if comparing is not None and self.config.getoption("kepler_update_baseline"):
            try:
                changed, told = update_baseline(self.config.rootpath, outcome, comparing)
            except KeplerUsageError as error:
                self.troubles.append(str(error))
            else:
                self.notices += told
                for entry in changed:
                    spool.write(baseline_event(entry, comparing.name))
        spool.write(
            {
                "e": "session_end",
                "session": self.session_id,
                "at": time.time(),
                "exit_status": status,
            }
        )
        spool.close()
        self._add_troubles([spool.trouble] if spool.trouble else [])

    def _report_miss(self, miss: Miss) -> None:
        """Make a miss an entry of its own, in the terminal and in JUnit's file."""
        node_id = f"{miss.experiment}::{miss.name}"
        path = miss.experiment.partition("::")[0]
        name = node_id.partition("::")[2].replace("::", ".")
        hook = self.config.hook
        location = (path, None, name)
        hook.pytest_runtest_logstart(nodeid=node_id, location=location)
        for when in ("setup", "call", "teardown"):
            report = pytest.TestReport(
                nodeid=node_id,
                location=location,
                keywords={},
                outcome="failed" if when == "call" else "passed",
                longrepr=miss.message if when == "call" else None,
                when=when,
            )
            hook.pytest_runtest_logreport(report=report)
            self._forget_failure(report)
        hook.pytest_runtest_logfinish(nodeid=node_id, location=location)

    def _forget_failure(self, report: pytest.TestReport) -> None:
        """Keep ``--lf`` from looking for a test that does not exist."""
        plugin = self.config.pluginmanager.get_plugin("lfplugin")
        if plugin is not None and hasattr(plugin, "lastfailed"):
            plugin.lastfailed.pop(getattr(report, "id", report.nodeid), None)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the report of the session."""
        self._is_summary = True
        from pytest_kepler.answering import Look, render

        if self.usage_error:
            terminalreporter.write_line(f"ERROR: {self.usage_error}", red=True)
            return
        if self.outcome is not None and self.config.get_verbosity() >= -1:
            terminalreporter.section("experiments", sep="=")
            writer = terminalreporter._tw  # noqa: SLF001  # its width and colour
            encoding = getattr(writer._file, "encoding", None) or "utf-8"  # noqa: SLF001
            look = Look(
                setting(self.config, "format"), writer.fullwidth, writer.hasmarkup, encoding
            )
            terminalreporter.write_line(render(self.outcome.report, look).rstrip())
        self._write_markdown()
        if self.config.option.collectonly and self._selection is not None:
            self.notices += guarding(self._selection)
        width = self._width()
        for notice in self.notices:
            terminalreporter.write_line(_wrapped(notice, width), yellow=True)
        for trouble in self.troubles:
            terminalreporter.write_line(_wrapped(trouble, width), red=True)
        for line in self._annotations.lines(self._missed):
            terminalreporter.write_line(line)

    def _width(self) -> int:
        """Return how wide the terminal is, as pytest has found."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        return int(reporter._tw.fullwidth) if reporter is not None else 80  # noqa: SLF001

    def _write_markdown(self) -> None:
        target = self.config.getoption("kepler_markdown")
        if self.outcome is None or not (target or os.environ.get("GITHUB_STEP_SUMMARY")):
            return
        from pytest_kepler.answering import Look, render, write_text

        text = render(self.outcome.report, Look("markdown"))
        if trouble := write_job_summary(text):
            self.notices.append(trouble)
        if target:
            try:
                write_text(Path(target), text)
            except KeplerUsageError as error:
                self.troubles.append(str(error))

    @pytest.hookimpl(tryfirst=True)
    def pytest_unconfigure(self) -> None:
        """Remove what the workers shared, and let go of all runs: their number may be large."""
        self._bench = self._selection = self.outcome = None
        for name in ("kepler-gatekeeper", "kepler-protocol", "kepler-producers"):
            if self.config.pluginmanager.has_plugin(name):
                self.config.pluginmanager.unregister(name=name)
        if SESSION in self.config.stash:
            del self.config.stash[SESSION]
        with contextlib.suppress(OSError):
            if self.turns.is_dir():
                shutil.rmtree(self.turns)


def guarding(selection: Selection) -> list[str]:
    """Return a sentence for each gate: what it guards, an experiment and its runs."""
    from pytest_kepler.harness.selection import experiment_name
    from pytest_kepler.reports.wording import count

    guarded: dict[str, Counter[str]] = {node_id: Counter() for node_id in selection.gates}
    for item, gates in selection.gates_of.items():
        for gate in gates:
            guarded[gate.nodeid][experiment_name(item)] += 1
    return [
        f"{node_id} is a gate of "
        + ", ".join(f"{name} ({count(n, 'run')})" for name, n in experiments.items())
        for node_id, experiments in guarded.items()
    ] + selection.notices


def _told(report: pytest.TestReport) -> dict[str, Any] | None:
    told: dict[str, Any] | None = getattr(report, "_kepler", None)
    return told


def _wrapped(sentence: str, width: int) -> str:
    """Return a line of ours, broken at the terminal's width but not within commands and paths."""
    glued = re.sub(
        "`[^`]*`", lambda command: command[0].replace(" ", "\N{NO-BREAK SPACE}"), sentence
    )
    lines = textwrap.wrap(
        f"kepler: {glued}",
        width,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")


def _shown(path: Path, config: pytest.Config) -> str:
    for base in (Path(config.invocation_params.dir), config.rootpath):
        with contextlib.suppress(ValueError):
            return str(path.relative_to(base))
    return str(path)
