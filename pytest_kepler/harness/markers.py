"""Reading the markers: from what a person wrote to an `ExperimentSpec`, or a sentence."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from pytest_kepler.errors import KeplerUsageError, nearest
from pytest_kepler.gate import validate_waivers
from pytest_kepler.records import ExperimentSpec, goal_of_name

if TYPE_CHECKING:
    import pytest

_FIELDS = ExperimentSpec.__dataclass_fields__
_REPLICATES: tuple[str, ...] = ("seed", "fold")


def read_spec(item: pytest.Item) -> ExperimentSpec:
    """Return what the nearest experiment mark of `item` says.

    Raises
    ------
    KeplerUsageError
        If an argument is unknown, has the wrong type, or does not fit the others.
    """
    mark = item.get_closest_marker("experiment")
    if mark is None:
        msg = f"{item.nodeid} has no experiment mark."
        raise KeplerUsageError(msg)
    where = f"@pytest.mark.experiment of {item.nodeid.partition('[')[0]}"
    if mark.args:
        msg = (
            f"{where} takes named arguments only, got {mark.args[0]!r}. "
            f"Write for example experiment(metric={mark.args[0]!r})."
        )
        raise KeplerUsageError(msg)
    for name in mark.kwargs:
        if name not in _FIELDS:
            msg = f"{where} has no argument {name!r}: {nearest(name, _FIELDS)}"
            raise KeplerUsageError(msg)
    spec = _Reader(where, mark.kwargs).spec(_docstring(item))
    if "replicates" in mark.kwargs:
        known = getattr(getattr(item, "callspec", None), "params", {})
        for name in spec.replicates:
            if name not in known:
                msg = f"{where}: replicates names {name!r}, which is no parameter: "
                raise KeplerUsageError(msg + nearest(name, known))
    return spec


def _docstring(item: pytest.Item) -> str | None:
    function = getattr(item, "function", None)
    text = getattr(function, "__doc__", None)
    return inspect.cleandoc(text) if isinstance(text, str) and text.strip() else None


class _Reader:
    """Checks one mark's arguments, each error naming the mark, the argument and the way out."""

    def __init__(self, where: str, given: Mapping[str, Any]) -> None:
        self.where = where
        self.given = given

    def spec(self, docstring: str | None) -> ExperimentSpec:
        metric = self.text("metric")
        waive = self.given.get("waive", {})
        if not isinstance(waive, Mapping):
            self.refuse("waive", "a mapping of check codes to reasons")
        try:
            validate_waivers(waive)
        except KeplerUsageError as error:
            msg = f"{self.where}: {error}"
            raise KeplerUsageError(msg) from None
        gate = self.given.get("gate", True)
        if not isinstance(gate, bool):
            self.refuse("gate", "True or False")
        spec = ExperimentSpec(
            metric=metric,
            goal=self.goal(metric),
            at_least=self.bound("at_least", metric),
            at_most=self.bound("at_most", metric),
            replicates=self.names("replicates", _REPLICATES),
            hypothesis=self.text("hypothesis") or docstring,
            project=self.text("project"),
            needs=self.needs(),
            gate=gate,
            waive=dict(waive),
            tags=self.names("tags", ()),
            version=self.text("version"),
        )
        for _, name, _ in spec.bounds():
            if spec.goal_for(name) is None:
                msg = (
                    f"{self.where}: nobody can tell from the name {name!r} which way it is "
                    f'better. Say goal={{"{name}": "max"}} or goal={{"{name}": "min"}}.'
                )
                raise KeplerUsageError(msg)
        return spec

    def refuse(self, name: str, wanted: str) -> None:
        msg = f"{self.where}: {name} must be {wanted}, got {self.given[name]!r}."
        raise KeplerUsageError(msg)

    def text(self, name: str) -> str | None:
        value = self.given.get(name)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            self.refuse(name, "a non-empty text")
        return value

    def names(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        value = self.given.get(name, default)
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, Collection) or not all(isinstance(one, str) for one in value):
            self.refuse(name, "names, such as ('seed', 'fold')")
        return tuple(value)

    def goal(self, metric: str | None) -> Any:
        value = self.given.get("goal")
        if value is None:  # left to the name where the name tells: a loss is never maximised
            return (metric and goal_of_name(metric)) or "max"
        goals = value.values() if isinstance(value, Mapping) else [value]
        for goal in goals:
            if goal not in ("max", "min"):
                hint = nearest(goal, ("max", "min")) if isinstance(goal, str) else ""
                self.refuse("goal", f"'max' or 'min', or a dict of them by metric ({hint})")
        return dict(value) if isinstance(value, Mapping) else value

    def bound(self, name: str, metric: str | None) -> Any:
        value = self.given.get(name)
        if value is None:
            return None
        if isinstance(value, Mapping):
            for key, limit in value.items():
                if not isinstance(key, str) or not _is_number(limit):
                    self.refuse(name, "a number, or a dict of numbers by metric")
            return dict(value)
        if not _is_number(value):
            self.refuse(name, "a number, or a dict of numbers by metric")
        if metric is None:
            msg = (
                f"{self.where}: {name}={value!r} is for the headline metric, and none is named. "
                f'Add metric="…", or write {name}={{"…": {value!r}}}.'
            )
            raise KeplerUsageError(msg)
        return value

    def needs(self) -> tuple[Any, ...]:
        value = self.given.get("needs", ())
        if isinstance(value, str) or callable(value):
            value = (value,)
        if not isinstance(value, Collection):
            self.refuse("needs", "sanity tests by name, node id or function")
        for need in value:
            if not isinstance(need, str) and not callable(need):
                self.refuse("needs", "sanity tests by name, node id or function")
        return tuple(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value  # noqa: PLR0124  # not NaN


def sanity_subjects(item: pytest.Item) -> tuple[str, ...] | None:
    """Return the fixtures that a sanity test names with ``of=``, or None."""
    mark = item.get_closest_marker("sanity")
    if mark is None:
        return None
    where = f"@pytest.mark.sanity of {item.nodeid.partition('[')[0]}"
    unknown = set(mark.kwargs) - {"of"}
    if mark.args or unknown:
        given = repr(mark.args[0]) if mark.args else repr(min(unknown))
        msg = f"{where} takes of= only, got {given}. Write for example sanity(of='digits')."
        raise KeplerUsageError(msg)
    subjects = mark.kwargs.get("of")
    if subjects is None:
        return None
    names = (subjects,) if isinstance(subjects, str) else tuple(subjects)
    known = getattr(item, "fixturenames", [])
    for name in names:
        if name not in known:
            hint = nearest(str(name), known)
            msg = f"{where}: the test does not use the fixture {name!r} that of= names: {hint}"
            raise KeplerUsageError(msg)
    return names
