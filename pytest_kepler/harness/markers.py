"""Reading the markers: from what a person wrote to an `ExperimentSpec`, or a sentence."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_kepler.comparing import read_tolerance
from pytest_kepler.errors import KeplerUsageError, nearest
from pytest_kepler.gate import validate_waivers
from pytest_kepler.harness.params import flatten
from pytest_kepler.records import ClaimSpec, ExperimentSpec, goal_of_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

_FIELDS = ExperimentSpec.__dataclass_fields__.keys() - {"claims"}
_CLAIM_FIELDS = ("metric", "better", "than", "margin")
#: An experiment and the name of its artefact.
_PAIR = 2
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
    known = getattr(getattr(item, "callspec", None), "params", {})
    claims = [_read_claim(item, one, spec, known) for one in item.iter_markers("claim")]
    if claims:
        spec = replace(spec, claims=tuple(reversed(claims)))  # the topmost is the last applied
    if "replicates" in mark.kwargs:
        for name in spec.replicates:
            if name not in known:
                msg = f"{where}: replicates names {name!r}, which is no parameter: "
                raise KeplerUsageError(msg + nearest(name, known))
    return spec


def _read_claim(
    item: pytest.Item, mark: pytest.Mark, spec: ExperimentSpec, params: Mapping[str, Any]
) -> ClaimSpec:
    where = f"@pytest.mark.claim of {item.nodeid.partition('[')[0]}"
    if len(mark.args) != 1 or not isinstance(mark.args[0], str) or not mark.args[0].strip():
        msg = f'{where} takes one sentence, then names: claim("…", better={{…}}, than={{…}}).'
        raise KeplerUsageError(msg)
    given = mark.kwargs
    for name in given:
        if name not in _CLAIM_FIELDS:
            msg = f"{where} has no argument {name!r}: {nearest(name, _CLAIM_FIELDS)}"
            raise KeplerUsageError(msg)
    metric = given.get("metric", spec.metric)
    if not isinstance(metric, str):
        msg = f'{where}: which metric? The experiment names none. Add metric="…".'
        raise KeplerUsageError(msg)
    goal = spec.goal_for(metric)
    if goal is None:
        msg = (
            f"{where}: nobody can tell from the name {metric!r} which way it is better. Say "
            f'goal={{"{metric}": "max"}} or goal={{"{metric}": "min"}} in the experiment\'s mark.'
        )
        raise KeplerUsageError(msg)
    margin = given.get("margin", 0)
    if not _is_number(margin) or margin < 0:
        msg = f"{where}: margin must be a number, 0 or more, got {margin!r}."
        raise KeplerUsageError(msg)
    sides = [_read_side(where, name, given.get(name), spec, params) for name in ("better", "than")]
    if sides[0] == sides[1]:
        msg = f"{where}: better and than are the same, {sides[0]!r}: nothing would be compared."
        raise KeplerUsageError(msg)
    return ClaimSpec(mark.args[0].strip(), metric, goal, sides[0], sides[1], float(margin))


def _read_side(
    where: str, name: str, value: Any, spec: ExperimentSpec, params: Mapping[str, Any]
) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not value:
        msg = f'{where}: {name} must be parameters with their values, such as {{"kernel": "rbf"}}'
        raise KeplerUsageError(f"{msg}, got {value!r}." if value is not None else f"{msg}.")
    flat = flatten(value)
    known = flatten(params)
    for one in flat:
        if one in spec.replicates:
            msg = f"{where}: {name} names {one!r}, which is a replicate: sides are paired over it."
            raise KeplerUsageError(msg)
        if one not in known:
            msg = f"{where}: {name} names {one!r}, which is no parameter of the grid: "
            raise KeplerUsageError(msg + nearest(one, known))
    return flat


def refuse_misplaced(items: Iterable[pytest.Item], *, has_experiments: bool) -> None:
    """Refuse a claim on a test that is no experiment, and a sanity test that is one.

    Parameters
    ----------
    items : iterable of pytest.Item
        What was collected.
    has_experiments : bool
        Whether there are any among them: else a claim without sides is somebody else's mark.

    Raises
    ------
    KeplerUsageError
        If there is one.
    """
    for item in items:
        homes: dict[str, Any] = {}
        for node, mark in item.iter_markers_with_node():  # the nearest first
            homes.setdefault(mark.name, node)
        if "experiment" in homes:
            _refuse_sanity(item, homes)
        elif "claim" in homes:
            _refuse_claim(item, has_experiments=has_experiments)


def _refuse_sanity(item: pytest.Item, homes: Mapping[str, Any]) -> None:
    if "sanity" not in homes:
        return
    chain = item.listchain()
    # One of a class or module whose tests are sanity tests may still be an experiment itself.
    if chain.index(homes["sanity"]) >= chain.index(homes["experiment"]):
        msg = (
            f"{item.nodeid.partition('[')[0]} is marked as a sanity test and as an experiment: it "
            "cannot stand before itself. Make two tests of it, or remove one mark."
        )
        raise KeplerUsageError(msg)


def _refuse_claim(item: pytest.Item, *, has_experiments: bool) -> None:
    mark = item.get_closest_marker("claim")
    if mark is not None and (has_experiments or {"better", "than"} & mark.kwargs.keys()):
        msg = (
            f"@pytest.mark.claim of {item.nodeid.partition('[')[0]}: the test is no experiment, "
            "and a claim is decided from an experiment's runs. Add "
            '@pytest.mark.experiment(metric="…"), or remove the claim.'
        )
        raise KeplerUsageError(msg)


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
            uses=self.uses(),
            waive=dict(waive),
            tags=self.names("tags", ()),
            version=self.text("version"),
            tolerance=self.tolerance(),
        )
        self.require_room(spec)
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

    def tolerance(self) -> dict[str, Any]:
        value = self.given.get("tolerance", {})
        if not isinstance(value, Mapping):
            self.refuse("tolerance", 'a dict by metric, such as {"rmse": "1%"}')
        for metric, amount in value.items():
            read_tolerance(amount, f"{self.where}: tolerance of {metric!r}")
        return dict(value)

    def require_room(self, spec: ExperimentSpec) -> None:
        """Refuse bounds between which no value lies."""
        limits = {(which, name): limit for which, name, limit in spec.bounds()}
        for (which, name), limit in limits.items():
            most = limits.get(("at_most", name))
            if which == "at_least" and most is not None and limit > most:
                msg = (
                    f"{self.where}: no {name!r} is at least {limit:g} and at most {most:g}: "
                    "exchange the two, or leave one out."
                )
                raise KeplerUsageError(msg)

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

    def uses(self) -> Mapping[str, tuple[Any, str | None]]:
        value = self.given.get("uses", {})
        wanted = 'experiments by the name to load them by, such as {"base": "test_pretrain"}'
        if not isinstance(value, Mapping):
            self.refuse("uses", wanted)
        found: dict[str, tuple[Any, str | None]] = {}
        for alias, one in value.items():
            producer, artifact = (
                one if isinstance(one, tuple) and len(one) == _PAIR else (one, None)
            )
            is_named = isinstance(alias, str) and bool(alias.strip())
            is_producer = (isinstance(producer, str) and bool(producer)) or callable(producer)
            if not is_named or not is_producer or not isinstance(artifact, str | None):
                self.refuse("uses", f'{wanted} or {{"base": ("test_pretrain", "weights")}}')
            found[alias] = (producer, artifact)
        return found


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
