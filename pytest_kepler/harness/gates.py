"""Finding sanity tests: in what was collected, and in files that nobody named.

Everything that pytest collected was captured before node ids, ``-k``, ``-m`` or ``--lf`` thinned
it, and directories list the files that nobody named, so that there is no second collection tree.
What ``--deselect`` or ``--ignore`` leave out is found as well, and known to be left out: a gate
that does not run has not passed.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_kepler.harness.mentions import Mentions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

Captured = dict[pytest.Collector, list[Any]]

#: The plugins of ``--lf`` that thin what is collected; out of the way while gates are looked for.
_LAST_FAILED: Final = ("lfplugin-collwrapper", "lfplugin-collskip")
_IGNORE: Final = ("ignore", "ignore_glob")
_MODIFY: Final = "pytest_collection_modifyitems"


def is_experiment(item: pytest.Item) -> bool:
    """Tell whether a test carries the mark."""
    return item.get_closest_marker("experiment") is not None


def is_sanity_test(item: pytest.Item) -> bool:
    """Tell whether a test is a sanity test, and not an experiment."""
    return item.get_closest_marker("sanity") is not None and not is_experiment(item)


class GateFinder:
    """Finds the sanity tests that could guard the experiments of a session.

    Parameters
    ----------
    session : pytest.Session
        Its collection is complete.
    captured : dict of collector to list
        What each collector gave, before anything thinned it; filled on as more is collected.

    Attributes
    ----------
    broken : dict of Path to str
        Files that could not be collected, and why.
    left_out : dict of str to str
        Node ids of sanity tests that were found and must not be run, and by what.
    """

    def __init__(self, session: pytest.Session, captured: Captured) -> None:
        self.session = session
        self.captured = captured
        self.broken: dict[Path, str] = {}
        self.left_out: dict[str, str] = {}
        self._ignored: set[pytest.Collector | pytest.Item] = set()
        self._collected_here: set[str] = set()

    def find(
        self, homes: Collection[Path], needed: Collection[str], items: Sequence[pytest.Item]
    ) -> list[pytest.Item]:
        """Return the sanity tests below some folders and files, and those that are needed by name.

        Parameters
        ----------
        homes : collection of Path
            Where a sanity test could see what the experiments use.
        needed : collection of str
            Names of functions, which may stand anywhere below the rootdir.
        items : sequence of pytest.Item
            What the session has selected.
        """
        root = self.session.config.rootpath
        with self._without_last_failed():
            found = dict.fromkeys(self._below(homes, Mentions(root, {b"sanity"})))
            if needed:
                found.update(dict.fromkeys(self._called(needed)))
        tests = list(found)
        self._let_conftests_modify(tests, items)
        sanity_tests = [test for test in tests if is_sanity_test(test)]
        self._note_what_is_left_out(sanity_tests, {item.nodeid for item in items})
        return sanity_tests

    def find_experiments(
        self, names: Collection[str], items: Sequence[pytest.Item]
    ) -> list[pytest.Item]:
        """Return the experiments that are called so, anywhere below the rootdir.

        Parameters
        ----------
        names : collection of str
            Names of functions.
        items : sequence of pytest.Item
            What the session has selected.
        """
        with self._without_last_failed():
            tests = list(dict.fromkeys(self._called(names)))
        self._let_conftests_modify(tests, items)
        experiments = [test for test in tests if is_experiment(test)]
        self._note_what_is_left_out(experiments, {item.nodeid for item in items})
        return experiments

    def _called(self, names: Collection[str]) -> Iterator[pytest.Item]:
        root = self.session.config.rootpath
        return self._below({root}, Mentions(root, {f"def {name}".encode() for name in names}))

    def _below(self, homes: Collection[Path], mentions: Mentions) -> Iterator[pytest.Item]:
        roots = [
            node
            for node in list(self.captured)
            if isinstance(node, pytest.Directory | pytest.File)
            and any(home == node.path or home in node.path.parents for home in homes)
        ]
        visited: set[pytest.Collector] = set()
        for root in roots:
            yield from self._walk(root, mentions, visited)

    def _walk(
        self, node: pytest.Collector, mentions: Mentions, visited: set[pytest.Collector]
    ) -> Iterator[pytest.Item]:
        if node in visited:
            return
        visited.add(node)
        for child in self._children(node, mentions):
            if node in self._ignored:
                self._ignored.add(child)
            if isinstance(child, pytest.Item):
                yield child
            else:
                yield from self._walk(child, mentions, visited)

    def _children(self, node: pytest.Collector, mentions: Mentions) -> Sequence[Any]:
        found = self._collected(node, mentions)
        if isinstance(node, pytest.Directory) and self._are_some_ignored():
            return [*found, *self._ignored_in(node, found)]
        return found

    def _collected(self, node: pytest.Collector, mentions: Mentions) -> Sequence[Any]:
        known = self.captured.get(node)
        skipped_by_last_failed = known == [] and isinstance(node, pytest.File)
        if known is not None and not skipped_by_last_failed:
            return known
        if isinstance(node, pytest.File):
            if not isinstance(node, pytest.Module) or node.nodeid in self._collected_here:
                return known or []
            if not mentions.in_reach_of(node.path):
                return []
            self._collected_here.add(node.nodeid)
        from _pytest.runner import collect_one_node

        report = collect_one_node(node)
        if report.passed:
            return self.captured.get(node, report.result)
        if isinstance(node, pytest.File):
            self.broken[node.path] = _reason(report)
        return []

    # What options leave out

    def _are_some_ignored(self) -> bool:
        return any(self.session.config.getoption(name, default=None) for name in _IGNORE)

    def _ignored_in(self, node: pytest.Directory, children: Iterable[Any]) -> list[Any]:
        """Return the collectors that a directory would have but for ``--ignore``."""
        listed = {child.path for child in children}
        hook, config = node.ihook, self.session.config
        found: list[Any] = []
        with self._nothing_ignored():
            for entry in sorted(os.scandir(node.path), key=lambda one: one.name):
                path = node.path / entry.name
                if path in listed or hook.pytest_ignore_collect(
                    collection_path=path, config=config
                ):
                    continue
                if entry.is_dir():
                    found.append(hook.pytest_collect_directory(path=path, parent=node))
                elif path.name not in ("__init__.py", "conftest.py"):
                    for some in hook.pytest_collect_file(file_path=path, parent=node):
                        found += some if isinstance(some, list) else [some]
        found = [one for one in found if one is not None]
        self._ignored.update(found)
        return found

    @contextlib.contextmanager
    def _nothing_ignored(self) -> Iterator[None]:
        option = self.session.config.option
        given = {name: getattr(option, name, None) for name in _IGNORE}
        try:
            for name in _IGNORE:
                setattr(option, name, None)
            yield
        finally:
            for name, value in given.items():
                setattr(option, name, value)

    def _note_what_is_left_out(
        self, tests: Iterable[pytest.Item], selected: Collection[str]
    ) -> None:
        deselected = tuple(self.session.config.getoption("deselect", default=None) or ())
        for test in tests:
            if test.nodeid in selected:
                continue
            if test in self._ignored:
                self.left_out[test.nodeid] = "--ignore"
            elif test.nodeid.startswith(deselected):
                self.left_out[test.nodeid] = "--deselect"

    # What the project does with its tests

    def _let_conftests_modify(
        self, tests: list[pytest.Item], selected: Sequence[pytest.Item]
    ) -> None:
        """Let conftest files mark, skip or leave out the tests that they have not seen yet."""
        manager = self.session.config.pluginmanager
        others = {
            plugin
            for plugin in manager.get_plugins()
            if not str(getattr(plugin, "__file__", "")).endswith("conftest.py")
        }
        hook = manager.subset_hook_caller(_MODIFY, remove_plugins=others)
        reporter: Any = manager.get_plugin("terminalreporter")
        deselected = reporter.stats.get("deselected", ()) if reporter is not None else ()
        seen = {*selected, *deselected}
        new = [test for test in tests if test not in seen]
        if not new:
            return
        kept = list(new)
        hook(session=self.session, config=self.session.config, items=kept)
        for test in set(new) - set(kept):
            self.left_out[test.nodeid] = f"a conftest's {_MODIFY}"

    @contextlib.contextmanager
    def _without_last_failed(self) -> Iterator[None]:
        manager = self.session.config.pluginmanager
        away = {name: manager.get_plugin(name) for name in _LAST_FAILED}
        away = {name: plugin for name, plugin in away.items() if plugin is not None}
        for plugin in away.values():
            manager.unregister(plugin)
        try:
            yield
        finally:
            for name, plugin in away.items():
                manager.register(plugin, name)


def _reason(report: pytest.CollectReport) -> str:
    """Return in a line why a file could not be collected, or what it said when it skipped."""
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    lines = [line.strip() for line in report.longreprtext.splitlines() if line.strip()]
    errors = [line[1:].strip() for line in lines if line.startswith("E ")]
    return (errors or lines or ["no reason given"])[-1]
