"""Who uses what others save: the experiments that an experiment waits for, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_kepler.errors import KeplerUsageError, nearest
from pytest_kepler.harness.pairing import params_of, same_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pytest

    from pytest_kepler.records import ExperimentSpec


@dataclass(frozen=True, slots=True)
class Use:
    """One name in an experiment's ``uses``.

    Attributes
    ----------
    alias : str
        What `experiment.load` calls it.
    artifact : str or None
        What the producer saved it by; None stands for ``model``, or the only one that it saved.
    producers : tuple of pytest.Item
        The cases of the producer that agree with the user in all parameters that both have.
    """

    alias: str
    artifact: str | None
    producers: tuple[pytest.Item, ...]


def plain_name(producer: Any) -> str:
    """Return the name of the function that a ``uses`` means, without class and case."""
    name = producer if isinstance(producer, str) else producer.__name__
    return str(name).partition("[")[0].rpartition("::")[2]


class UseFinder:
    """Finds the producers of experiments, and theirs in turn.

    Parameters
    ----------
    find : callable
        Takes names of functions and returns the experiments that are called so, anywhere below
        the rootdir.
    read : callable
        Returns what the mark of an experiment says.
    """

    def __init__(
        self,
        find: Callable[[set[str]], Iterable[pytest.Item]],
        read: Callable[[pytest.Item], ExperimentSpec],
    ) -> None:
        self._find = find
        self._read = read
        self._known: dict[str, dict[str, pytest.Item]] = {}
        self.specs: dict[pytest.Item, ExperimentSpec] = {}
        self.uses_of: dict[pytest.Item, tuple[Use, ...]] = {}

    def resolve(self, selected: Mapping[pytest.Item, ExperimentSpec]) -> None:
        """Fill `specs`, producers included, and `uses_of`.

        Raises
        ------
        KeplerUsageError
            If a producer is not there, several are called so, none of its cases fits, it cannot
            be told which fits best, or experiments use each other.
        """
        self.specs = dict(selected)
        by_id = {item.nodeid: item for item in selected}
        waiting = [item for item, spec in selected.items() if spec.uses]
        while waiting:
            self._look_for(waiting, by_id)
            found: list[pytest.Item] = []
            for item in waiting:
                self.uses_of[item] = tuple(self._uses(item))
                for use in self.uses_of[item]:
                    found += [one for one in use.producers if one not in self.specs]
            new = dict.fromkeys(found)
            self.specs |= {one: self._read(one) for one in new}
            waiting = [one for one in new if self.specs[one].uses]
        self._refuse_circles()

    def _look_for(self, items: Sequence[pytest.Item], by_id: Mapping[str, pytest.Item]) -> None:
        names = {
            plain_name(producer) for item in items for producer, _ in self.specs[item].uses.values()
        } - self._known.keys()
        if not names:
            return
        found = [by_id.get(one.nodeid, one) for one in (*by_id.values(), *self._find(names))]
        for name in names:
            self._known[name] = {one.nodeid: one for one in found if plain_name(one.nodeid) == name}

    def _uses(self, item: pytest.Item) -> Iterable[Use]:
        for alias, (producer, artifact) in self.specs[item].uses.items():
            where = f"uses={{{alias!r}: …}} of {item.nodeid.partition('[')[0]}"
            cases = self._cases(producer, where)
            own = params_of(item)
            fitting = [one for one in cases if _agree(own, params_of(one))]
            if not fitting:
                shared = sorted(own.keys() & params_of(cases[0]).keys())
                msg = (
                    f"{where}: no case of {cases[0].nodeid.partition('[')[0]} has the "
                    f"{', '.join(shared)} of {item.nodeid}."
                )
                raise KeplerUsageError(msg)
            self._require_a_best(fitting, where)
            yield Use(alias, artifact, tuple(fitting))

    def _cases(self, producer: Any, where: str) -> list[pytest.Item]:
        name = plain_name(producer)
        found = list(self._known[name].values())
        if not isinstance(producer, str):
            found = [one for one in found if getattr(one, "function", None) is producer] or found
        elif producer != name:
            found = [one for one in found if _is_called(one, producer)]
        if not found:
            known = {one.nodeid.partition("[")[0] for one in self._known[name].values()}
            known = known or {plain_name(one.nodeid) for one in self.specs}
            msg = f"{where}: no experiment is called {producer!r}: {nearest(str(producer), known)}"
            raise KeplerUsageError(msg)
        homes = sorted({one.nodeid.partition("[")[0] for one in found})
        if len(homes) > 1:
            msg = (
                f"{where}: {producer!r} names several experiments, {', '.join(homes)}. Write the "
                "node id of the one that is meant."
            )
            raise KeplerUsageError(msg)
        return found

    def _require_a_best(self, cases: Sequence[pytest.Item], where: str) -> None:
        spec = self.specs.get(cases[0]) or self._read(cases[0])
        settings = {repr(configuration_of(one, spec)) for one in cases}
        if len(settings) > 1 and spec.metric is None:
            name = cases[0].nodeid.partition("[")[0]
            msg = (
                f"{where}: {len(settings)} configurations of {name} fit, and it has no headline "
                'metric to say which is best. Give it metric="…", name one case by its node id, '
                "or let both have the same parameter."
            )
            raise KeplerUsageError(msg)

    def _refuse_circles(self) -> None:
        done: set[pytest.Item] = set()
        for item in self.uses_of:
            self._walk(item, [], done)

    def _walk(self, item: pytest.Item, path: list[pytest.Item], done: set[pytest.Item]) -> None:
        if item in path:
            names = [one.nodeid for one in (*path[path.index(item) :], item)]
            msg = f"Experiments use each other: {' uses '.join(names)}."
            raise KeplerUsageError(msg)
        if item in done:
            return
        for producer in producers_of(self.uses_of.get(item, ())):
            self._walk(producer, [*path, item], done)
        done.add(item)


def producers_of(uses: Iterable[Use]) -> Iterable[pytest.Item]:
    """Return the experiments that stand behind some uses, each once."""
    return dict.fromkeys(producer for use in uses for producer in use.producers)


def configuration_of(item: pytest.Item, spec: ExperimentSpec) -> list[tuple[str, Any]]:
    """Return the parameters of a case without its replicates."""
    params = params_of(item)
    return [(name, params[name]) for name in sorted(params) if name not in spec.replicates]


def _is_called(item: pytest.Item, name: str) -> bool:
    """Tell whether a node id, whole or its end, with or without case, is that of an item."""
    own = item.nodeid if "[" in name else item.nodeid.partition("[")[0]
    return own == name or own.endswith((f"::{name}", f"/{name}"))


def _agree(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    return all(name not in right or same_value(value, right[name]) for name, value in left.items())
