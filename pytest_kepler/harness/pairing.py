"""Who guards whom: which sanity tests must pass before which experiments train.

A sanity test guards every experiment that uses all the project's fixtures that it requests
directly, with equal parameters. One without project fixtures guards the experiments of its
class, or else of its module.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_kepler.errors import KeplerUsageError, nearest
from pytest_kepler.harness.markers import sanity_subjects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pytest

    from pytest_kepler.records import ExperimentSpec


@dataclass(slots=True)
class Pairing:
    """The answer: the gates of each experiment, and what is worth a line.

    ``idle`` speaks of sanity tests that guard nothing, or only a part: true of the experiments
    that were paired, and worth saying where they are all that there are. ``unguarded`` speaks of
    experiments.
    """

    gates_of: dict[pytest.Item, list[pytest.Item]] = field(default_factory=dict)
    idle: list[str] = field(default_factory=list)
    unguarded: list[str] = field(default_factory=list)


def fixture_of(item: Any, name: str) -> Any:
    """Return the definition that `item` sees under a fixture's name, or None."""
    definitions = item._fixtureinfo.name2fixturedefs.get(name)  # noqa: SLF001  # no public way
    return definitions[-1] if definitions else None


def requested_directly(item: Any) -> list[str]:
    """Return the names that a test asks for by argument or by ``usefixtures``."""
    names = list(item._fixtureinfo.argnames)  # noqa: SLF001  # no public way
    for mark in item.iter_markers("usefixtures"):
        names += mark.args
    return list(dict.fromkeys(names))


def params_of(item: Any) -> dict[str, Any]:
    """Return the values of parametrize, direct ones and those of fixtures, by name."""
    callspec = getattr(item, "callspec", None)
    return callspec.params if callspec is not None else {}


def same_value(left: object, right: object) -> bool:
    """Tell whether two parameters are the same value of the same type."""
    if left is right:
        return True
    if type(left) is not type(right):
        return False
    try:
        return bool(left == right)
    except Exception:  # noqa: BLE001  # an array, or an __eq__ of the user's that raises
        return False


class Pairer:
    """Pairs experiments with sanity tests.

    Parameters
    ----------
    is_project : callable
        Tells of a fixture definition whether it is the project's own.
    """

    def __init__(self, is_project: Callable[[Any], bool]) -> None:
        self._is_project = is_project
        self._subjects: dict[int, dict[str, Any]] = {}
        self._sees: dict[tuple[int, int], bool] = {}
        self._shared: dict[tuple[int, int], str] = {}

    def pair(
        self,
        experiments: Sequence[tuple[pytest.Item, ExperimentSpec]],
        sanity_tests: Sequence[pytest.Item],
    ) -> Pairing:
        """Find the gates of each experiment, in the order of `sanity_tests`.

        Raises
        ------
        KeplerUsageError
            If a need matches no sanity test, or several functions.
        """
        result = Pairing()
        by_name = _by_name(sanity_tests)
        guarding: set[pytest.Item] = set()
        sharing: dict[pytest.Item, str] = {}
        for item, spec in experiments:
            gates: list[pytest.Item] = []
            if spec.gate:
                for test in sanity_tests:
                    if self.guards(test, item):
                        gates.append(test)
                    elif test not in sharing and (shared := self._shares(test, item)):
                        sharing[test] = f"{shared} with {item.nodeid}"
                for need in spec.needs:
                    gates += [one for one in by_name(need, item) if one not in gates]
            guarding.update(gates)
            result.gates_of[item] = gates
        result.idle = _idle(sanity_tests, guarding, sharing)
        result.unguarded = _unguarded(result.gates_of, experiments)
        return result

    def subjects(self, test: Any) -> dict[str, Any]:
        """Return the project's fixtures that a sanity test stands for, by name."""
        key = id(test._fixtureinfo)  # noqa: SLF001  # shared by the cases of a test
        if key not in self._subjects:
            names = sanity_subjects(test) or requested_directly(test)
            found = {name: fixture_of(test, name) for name in names}
            self._subjects[key] = {
                name: definition
                for name, definition in found.items()
                if definition is not None and self._is_project(definition)
            }
        return self._subjects[key]

    def guards(self, test: Any, experiment: Any) -> bool:
        """Tell whether a sanity test guards an experiment by the coverage rule."""
        pair = _infos(test, experiment)
        sees = self._sees.get(pair)
        if sees is None:
            subjects = self.subjects(test)
            sees = all(
                fixture_of(experiment, name) is definition for name, definition in subjects.items()
            )
            if not subjects:
                sees = _home(test) is not None and _home(test) in experiment.listchain()
            self._sees[pair] = sees
        if not sees:
            return False
        params = params_of(test)
        return not params or _agree(params, params_of(experiment))

    def _shares(self, test: Any, experiment: Any) -> str:
        """Name the fixtures that both use although the test does not guard the experiment."""
        pair = _infos(test, experiment)
        if pair not in self._shared:
            subjects = self.subjects(test)
            shared = [name for name, one in subjects.items() if fixture_of(experiment, name) is one]
            # All of them: other cases of its fixtures, and nothing to say.
            self._shared[pair] = ", ".join(shared) if len(shared) < len(subjects) else ""
        return self._shared[pair]


def _infos(test: Any, experiment: Any) -> tuple[int, int]:
    """Return what the cases of two tests have in common: the fixtures that each sees."""
    return id(test._fixtureinfo), id(experiment._fixtureinfo)  # noqa: SLF001  # no public way


def _agree(left: dict[str, Any], right: dict[str, Any]) -> bool:
    for name, value in left.items():  # a loop, because there may be very many pairs
        if name in right and not same_value(value, right[name]):
            return False
    return True


def _home(test: pytest.Item) -> object:
    """Return the class, or else the module, of a test."""
    import pytest

    return test.getparent(pytest.Class) or test.getparent(pytest.Module)


def _by_name(sanity_tests: Sequence[pytest.Item]) -> Callable[[Any, pytest.Item], list[Any]]:
    """Return a look-up of needs: by node id (with or without case), name or function."""
    index: dict[str, list[pytest.Item]] = {}
    for test in sanity_tests:
        plain = test.nodeid.partition("[")[0]
        name = getattr(test, "originalname", None) or test.name
        for key in {test.nodeid, plain, name, test.name}:
            index.setdefault(key, []).append(test)

    def find(need: Any, experiment: pytest.Item) -> list[pytest.Item]:
        key = need if isinstance(need, str) else getattr(need, "__name__", repr(need))
        found = index.get(key, [])
        if not isinstance(need, str):
            found = [test for test in found if getattr(test, "function", None) is need] or found
        where = f"needs of {experiment.nodeid.partition('[')[0]}"
        if not found:
            msg = f"{where}: no sanity test is called {key!r}: {nearest(key, index)}"
            raise KeplerUsageError(msg)
        homes = {test.nodeid.partition("[")[0] for test in found}
        if len(homes) > 1:
            msg = f"{where}: {key!r} names several sanity tests, {', '.join(sorted(homes))}."
            raise KeplerUsageError(f"{msg} Write the node id of the one that is meant.")
        return found

    return find


def _idle(
    sanity_tests: Iterable[pytest.Item],
    guarding: set[pytest.Item],
    sharing: dict[pytest.Item, str],
) -> list[str]:
    lines = []
    seen: set[str] = set()
    active = {test.nodeid.partition("[")[0] for test in guarding}
    for test in sanity_tests:
        plain = test.nodeid.partition("[")[0]
        if plain in seen:
            continue
        if plain not in active:
            seen.add(plain)
            shared = f", though it shares {sharing[test]}" if test in sharing else ""
            lines.append(f"{plain} guards none of these experiments{shared}")
        elif test in sharing:
            seen.add(plain)
            lines.append(f"{plain} shares {sharing[test]}, and does not guard it")
    return lines


def _unguarded(
    gates_of: dict[pytest.Item, list[pytest.Item]],
    experiments: Sequence[tuple[pytest.Item, ExperimentSpec]],
) -> list[str]:
    opted_out = {item for item, spec in experiments if not spec.gate}
    bare = dict.fromkeys(
        item.nodeid.partition("[")[0]
        for item, gates in gates_of.items()
        if not gates and item not in opted_out
    )
    return [f"{name} has no sanity test that guards it" for name in bare]
