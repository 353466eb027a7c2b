"""Which experiments run, which sanity tests they pull in, and in which order.

The gates of the selected experiments run with them, whatever the command line selected: they are
found, paired with what they guard, and put right before it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_kepler.errors import KeplerUsageError
from pytest_kepler.harness.gates import GateFinder, is_experiment, is_sanity_test
from pytest_kepler.harness.markers import read_spec
from pytest_kepler.harness.mentions import may_guard
from pytest_kepler.harness.pairing import Pairer, fixture_of
from pytest_kepler.harness.uses import UseFinder, producers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping

    from pytest_kepler.harness.gates import Captured
    from pytest_kepler.harness.uses import Use
    from pytest_kepler.records import ExperimentSpec

#: What a message about a gate that did not pass offers, beside running it.
WAYS_OUT: Final = (
    "a gate that does not run has not passed: let it run, say gate=False in the experiment's "
    "mark, or use --kepler-gate=warn"
)


@dataclass(slots=True)
class Selection:
    """What the session runs, and what stands before it."""

    specs: dict[pytest.Item, ExperimentSpec] = field(default_factory=dict)
    gates: dict[str, pytest.Item] = field(default_factory=dict)
    gates_of: dict[pytest.Item, list[pytest.Item]] = field(default_factory=dict)
    uses_of: dict[pytest.Item, tuple[Use, ...]] = field(default_factory=dict)
    #: Sentences for an experiment whose gates could not be collected, or were left out.
    unseen: dict[pytest.Item, list[str]] = field(default_factory=dict)
    #: A sentence for an experiment that uses another which was left out.
    unusable: dict[pytest.Item, str] = field(default_factory=dict)
    grid_sizes: dict[str, int] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    #: Whether these are all experiments that the project has, as far as was seen.
    is_whole: bool = False


def experiment_name(item: pytest.Item) -> str:
    """Return the node id without the parameters, which names the experiment."""
    name = getattr(item, "originalname", None) or item.name
    return f"{item.parent.nodeid}::{name}" if item.parent is not None else name


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
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
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
        self.is_project = functools.cache(is_project)
        self._specs: dict[tuple[int, int], ExperimentSpec] = {}

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
                selection.specs[item] = self._spec(item)
        finder = GateFinder(self.session, self.captured)
        self._add_producers(selection, finder, items)
        self._count_grids(selection)
        gated = {item: spec for item, spec in selection.specs.items() if spec.gate}
        homes = {item: self._homes(item) for item in gated}
        known = {item.nodeid: item for item in items if is_sanity_test(item)}
        everywhere = {path for paths in homes.values() for path in paths}
        for test in finder.find(everywhere, _needed(gated.values()), items):
            known.setdefault(test.nodeid, test)
        pairing = Pairer(self.is_project).pair(list(selection.specs.items()), list(known.values()))
        selection.notices = pairing.unguarded
        selection.is_whole = self._is_whole(selection)
        if selection.is_whole:
            selection.notices = [*pairing.idle, *pairing.unguarded]
        needed: dict[pytest.Item, None] = {}
        for item, gates in pairing.gates_of.items():
            selection.gates_of[item] = [one for one in gates if one.nodeid not in finder.left_out]
            needed.update(dict.fromkeys(selection.gates_of[item]))
            sentences = [
                f"{gate.nodeid} was left out by {finder.left_out[gate.nodeid]}, and {WAYS_OUT}"
                for gate in gates
                if gate.nodeid in finder.left_out
            ]
            sentences += self._broken_gates(item, homes.get(item, set()), finder.broken)
            if sentences:
                selection.unseen[item] = sentences
        selection.unusable = {
            item: f"it uses {one.nodeid}, which was left out by {finder.left_out[one.nodeid]}"
            for item, uses in selection.uses_of.items()
            for one in producers_of(uses)
            if one.nodeid in finder.left_out
        }
        selection.gates = {gate.nodeid: gate for gate in needed}
        self._pull_in(items, selection, finder.left_out)
        return selection

    def _add_producers(
        self, selection: Selection, finder: GateFinder, items: list[pytest.Item]
    ) -> None:
        """Select the experiments whose artefacts are used, whatever the command line selected."""
        if not any(spec.uses for spec in selection.specs.values()):
            return
        uses = UseFinder(lambda names: finder.find_experiments(names, items), self._spec)
        uses.resolve(selection.specs)
        for item in uses.specs.keys() - selection.specs.keys():
            _refuse_misuse(item)
        selection.specs = uses.specs
        selection.uses_of = uses.uses_of

    def _spec(self, item: Any) -> ExperimentSpec:
        """Return what the mark says, read once for all cases of a test."""
        mark = item.get_closest_marker("experiment")
        key = (id(mark), id(getattr(item, "function", item)))  # both live as long as the item
        if key not in self._specs:
            self._specs[key] = read_spec(item)
        return self._specs[key]

    def _broken_gates(
        self, item: Any, homes: set[Path], broken: Mapping[Path, str]
    ) -> Iterable[str]:
        """Yield a sentence for each file that may hold a gate of `item` and was not collected."""
        if not broken:
            return
        own = {name for name in item.fixturenames if self._is_own_fixture(item, name)}
        for path, reason in broken.items():
            is_home = path == item.path
            is_near = any(home == path or home in path.parents for home in homes)
            if is_near and (is_home or may_guard(path, own)):
                yield (
                    f"{_relative(path, self.session)} could not be collected ({reason}), "
                    f"so its sanity tests did not pass; {WAYS_OUT}"
                )

    def _is_own_fixture(self, item: Any, name: str) -> bool:
        definition = fixture_of(item, name)
        return definition is not None and self.is_project(definition)

    def _is_whole(self, selection: Selection) -> bool:
        """Tell whether the selected experiments are all that the project has, as far as is seen."""
        config = self.session.config
        directories = all(
            Path(config.invocation_params.dir, arg.partition("::")[0]).is_dir()
            for arg in config.args
        )
        everything = (child for children in self.captured.values() for child in children)
        experiments = (
            child for child in everything if isinstance(child, pytest.Item) and is_experiment(child)
        )
        selected = {item.nodeid for item in selection.specs}
        return directories and all(item.nodeid in selected for item in experiments)

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
            if self._is_own_fixture(item, name):
                place = fixture_of(item, name).baseid.partition("::")[0]
                homes.add(self.session.config.rootpath / place)
        return homes

    def _pull_in(
        self, items: list[pytest.Item], selection: Selection, left_out: Container[str]
    ) -> None:
        """Put each gate and producer directly before the first experiment that needs it."""
        before = {item.nodeid for item in items}
        by_id = {item.nodeid: item for item in items}
        placed: set[str] = set()
        ordered: list[pytest.Item] = []

        def place(item: pytest.Item) -> None:
            if item.nodeid in placed:
                return
            placed.add(item.nodeid)
            for producer in producers_of(selection.uses_of.get(item, ())):
                if producer.nodeid not in left_out:
                    place(producer)
            for gate in selection.gates_of.get(item, ()):
                place(gate)
            ordered.append(by_id.get(item.nodeid, item))

        for item in items:
            place(item)
        items[:] = ordered
        pulled = [item for item in ordered if item.nodeid not in before]
        for item in pulled:
            item.ihook.pytest_itemcollected(item=item)
        _correct_counts(self.session.config, pulled)


def _needed(specs: Iterable[ExperimentSpec]) -> set[str]:
    """Return the names of the functions that experiments need, without class and case."""
    names = set()
    for spec in specs:
        for need in spec.needs:
            name = need if isinstance(need, str) else need.__name__
            names.add(name.partition("[")[0].rpartition("::")[2])
    return names


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


def _relative(path: Path, session: pytest.Session) -> str:
    try:
        return path.relative_to(session.config.rootpath).as_posix()
    except ValueError:
        return str(path)
