"""Which experiments run, which sanity tests they pull in, and in which order.

Everything that pytest collected was captured before node ids, ``-k``, ``-m`` or ``--lf`` thinned
it, and the directories list the files that nobody named: the gates of the selected experiments
are found there, without a second collection tree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kepler.errors import KeplerUsageError
from pytest_kepler.harness.markers import read_spec
from pytest_kepler.harness.pairing import Pairer, fixture_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pytest_kepler.records import ExperimentSpec

Captured = dict[pytest.Collector, list[Any]]

#: The plugins of ``--lf`` that thin what is collected; out of the way while gates are looked for.
_LAST_FAILED = ("lfplugin-collwrapper", "lfplugin-collskip")


@dataclass(slots=True)
class Selection:
    """What the session runs, and what stands before it."""

    specs: dict[pytest.Item, ExperimentSpec] = field(default_factory=dict)
    gates: dict[str, pytest.Item] = field(default_factory=dict)
    gates_of: dict[pytest.Item, list[pytest.Item]] = field(default_factory=dict)
    #: Sentences for an experiment that a gate could not even be collected for.
    unseen: dict[pytest.Item, list[str]] = field(default_factory=dict)
    grid_sizes: dict[str, int] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)


def experiment_name(item: pytest.Item) -> str:
    """Return the node id without the parameters, which names the experiment."""
    name = getattr(item, "originalname", None) or item.name
    return f"{item.parent.nodeid}::{name}" if item.parent is not None else name


def is_experiment(item: pytest.Item) -> bool:
    """Tell whether a test carries the mark."""
    return item.get_closest_marker("experiment") is not None


def is_sanity_test(item: pytest.Item) -> bool:
    """Tell whether a test is a sanity test, and not an experiment."""
    return item.get_closest_marker("sanity") is not None and not is_experiment(item)


def leave_out_unnamed(config: pytest.Config, items: list[pytest.Item]) -> int:
    """Deselect the experiments that nobody named, for ``kepler_experiments = explicit``.

    Returns
    -------
    int
        How many were left out.
    """
    if config.getoption("lf", default=False) or config.getoption("keyword", default=""):
        return 0
    named = [arg for arg in config.args if "::" in arg]
    expression = config.getoption("markexpr", default="")
    kept, left_out = [], []
    for item in items:
        unnamed = is_experiment(item) and not (
            any(_names(arg, item) for arg in named) or _needs_the_mark(expression, item)
        )
        (left_out if unnamed else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept
    return len(left_out)


def _names(argument: str, item: pytest.Item) -> bool:
    path, _, inside = argument.partition("::")
    same_file = Path(path).resolve() == item.path or item.nodeid.startswith(f"{path}::")
    _, _, own = item.nodeid.partition("::")
    return same_file and (own == inside or own.startswith((f"{inside}[", f"{inside}::")))


def _needs_the_mark(expression: str, item: pytest.Item) -> bool:
    """Tell whether ``-m`` selects the item only because it is an experiment."""
    if not expression:
        return False
    from _pytest.mark.expression import Expression

    others = {mark.name for mark in item.iter_markers()} - {"experiment"}
    return not Expression.compile(expression).evaluate(lambda name, /, **_: name in others)


class Selector:
    """Builds the selection of one session.

    Parameters
    ----------
    session : pytest.Session
        Its collection is complete.
    captured : dict of collector to list
        What each collector gave, before anything thinned it; filled on as more is collected.
    is_project : callable
        Tells of a fixture definition whether it is the project's own.
    """

    def __init__(
        self, session: pytest.Session, captured: Captured, is_project: Callable[[Any], bool]
    ) -> None:
        self.session = session
        self.captured = captured
        self.is_project = is_project
        self.broken: dict[Path, str] = {}
        self._collected_here: set[str] = set()

    def select(self, items: list[pytest.Item]) -> Selection:
        """Return the selection, and put the gates into `items` before what they guard.

        Raises
        ------
        KeplerUsageError
            If a mark, a need or the use of the `experiment` fixture is wrong.
        """
        selection = Selection()
        for item in items:
            if is_experiment(item):
                _refuse_misuse(item)
                selection.specs[item] = read_spec(item)
        self._count_grids(selection)
        gated = {item: spec for item, spec in selection.specs.items() if spec.gate}
        homes = {item: self._homes(item) for item in gated}
        known = {item.nodeid: item for item in items if is_sanity_test(item)}
        with self._without_last_failed():
            for test in self._sanity_tests(homes.values(), gated):
                known.setdefault(test.nodeid, test)
        pairing = Pairer(self.is_project).pair(list(selection.specs.items()), list(known.values()))
        selection.gates_of = pairing.gates_of
        selection.notices = pairing.notices
        needed = {gate.nodeid: gate for gates in pairing.gates_of.values() for gate in gates}
        selection.gates = needed
        for item, directories in homes.items():
            sentences = [
                f"{_relative(path, self.session)} could not be collected ({reason}), "
                "so its sanity tests did not pass"
                for path, reason in self.broken.items()
                if any(directory in path.parents or directory == path for directory in directories)
            ]
            if sentences:
                selection.unseen[item] = sentences
        self._pull_in(items, selection)
        return selection

    def _count_grids(self, selection: Selection) -> None:
        names = {experiment_name(item) for item in selection.specs}
        seen: dict[str, set[str]] = {name: set() for name in names}
        for children in self.captured.values():
            for child in children:
                if isinstance(child, pytest.Item) and (name := experiment_name(child)) in seen:
                    seen[name].add(child.nodeid)
        selection.grid_sizes = {name: len(ids) for name, ids in seen.items()}

    def _homes(self, item: Any) -> set[Path]:
        """Return the directories and files in which a test could guard `item`."""
        homes = {item.path}
        for name in item.fixturenames:
            definition = fixture_of(item, name)
            if definition is not None and self.is_project(definition):
                home = self.session.config.rootpath / definition.baseid.partition("::")[0]
                homes.add(home)
        return homes

    def _sanity_tests(
        self, homes: Iterable[set[Path]], gated: Mapping[pytest.Item, ExperimentSpec]
    ) -> Iterator[pytest.Item]:
        wanted = {path for paths in homes for path in paths}
        needles = {b"sanity"}
        named: set[str] = set()
        for spec in gated.values():
            for need in spec.needs:
                name = need if isinstance(need, str) else need.__name__
                named.add(name.rpartition("::")[2].partition("[")[0])
        yield from self._below(wanted, needles)
        if named:  # a need may stand in any file below the rootdir
            everywhere = {self.session.config.rootpath}
            yield from self._below(everywhere, {f"def {name}".encode() for name in named})

    def _below(self, wanted: set[Path], needles: set[bytes]) -> Iterator[pytest.Item]:
        roots = [
            node
            for node in list(self.captured)
            if isinstance(node, pytest.Directory | pytest.File)
            and any(home == node.path or home in node.path.parents for home in wanted)
        ]
        visited: set[pytest.Collector] = set()
        for root in roots:
            yield from self._walk(root, needles, visited)

    def _walk(
        self, node: pytest.Collector, needles: set[bytes], visited: set[pytest.Collector]
    ) -> Iterator[pytest.Item]:
        if node in visited:
            return
        visited.add(node)
        for child in self._children(node, needles):
            if isinstance(child, pytest.Item):
                if is_sanity_test(child):
                    yield child
            else:
                yield from self._walk(child, needles, visited)

    def _children(self, node: pytest.Collector, needles: set[bytes]) -> Sequence[Any]:
        known = self.captured.get(node)
        skipped_by_last_failed = known == [] and isinstance(node, pytest.File)
        if known is not None and not skipped_by_last_failed:
            return known
        if isinstance(node, pytest.File):
            if not isinstance(node, pytest.Module) or node.nodeid in self._collected_here:
                return known or []
            if not _mentions(node.path, needles):
                return []
            self._collected_here.add(node.nodeid)
        from _pytest.runner import collect_one_node

        report = collect_one_node(node)
        if report.passed:
            return self.captured.get(node, report.result)
        if report.failed and isinstance(node, pytest.File):
            self.broken[node.path] = _last_line(report.longreprtext)
        return []

    def _without_last_failed(self) -> Any:
        import contextlib

        manager = self.session.config.pluginmanager

        @contextlib.contextmanager
        def out_of_the_way() -> Iterator[None]:
            away = {name: manager.get_plugin(name) for name in _LAST_FAILED}
            away = {name: plugin for name, plugin in away.items() if plugin is not None}
            for plugin in away.values():
                manager.unregister(plugin)
            try:
                yield
            finally:
                for name, plugin in away.items():
                    manager.register(plugin, name)

        return out_of_the_way()

    def _pull_in(self, items: list[pytest.Item], selection: Selection) -> None:
        """Put each gate directly before the first experiment that it guards."""
        before = {item.nodeid for item in items}
        by_id = {item.nodeid: item for item in items}
        placed: set[str] = set()
        ordered: list[pytest.Item] = []
        for item in items:
            for gate in selection.gates_of.get(item, ()):
                if gate.nodeid not in placed:
                    placed.add(gate.nodeid)
                    ordered.append(by_id.get(gate.nodeid, gate))
            if item.nodeid not in placed:
                placed.add(item.nodeid)
                ordered.append(item)
        items[:] = ordered
        pulled = [item for item in ordered if item.nodeid not in before]
        for item in pulled:
            item.ihook.pytest_itemcollected(item=item)
        _correct_counts(self.session.config, pulled)


def _correct_counts(config: pytest.Config, pulled: list[pytest.Item]) -> None:
    """Make pytest's "collected N items / M deselected" true again."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    ids = {item.nodeid for item in pulled}
    deselected = reporter.stats.get("deselected", [])
    back = [item for item in deselected if item.nodeid in ids]
    if back:
        reporter.stats["deselected"] = [item for item in deselected if item.nodeid not in ids]
        if not reporter.stats["deselected"]:
            del reporter.stats["deselected"]
    if hasattr(reporter, "_numcollected"):
        reporter._numcollected += len(pulled) - len(back)  # noqa: SLF001  # no public way


def _refuse_misuse(item: Any) -> None:
    if getattr(item, "cls", None) is not None:
        import unittest

        if issubclass(item.cls, unittest.TestCase):
            msg = (
                f"{item.nodeid}: a unittest.TestCase method cannot be an experiment, because "
                "it has no fixtures and no parameters. Make it a function or a plain class."
            )
            raise KeplerUsageError(msg)
    definition = fixture_of(item, "experiment") if hasattr(item, "_fixtureinfo") else None
    if definition is not None and definition.func.__module__ != "pytest_kepler.plugin":
        msg = (
            f"{item.nodeid}: the fixture 'experiment' is overridden in "
            f"{definition.baseid or definition.func.__module__}, so nothing would be recorded. "
            "Give the other fixture another name."
        )
        raise KeplerUsageError(msg)


def _mentions(path: Path, needles: set[bytes]) -> bool:
    try:
        text = path.read_bytes()
    except OSError:
        return True  # collecting it will say what is wrong
    return any(needle in text for needle in needles)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line[1:].strip() for line in lines if line.startswith("E ")]
    return (errors or lines or ["no reason given"])[-1]


def _relative(path: Path, session: pytest.Session) -> str:
    try:
        return path.relative_to(session.config.rootpath).as_posix()
    except ValueError:
        return str(path)
