"""The settings of the checks: `[tool.kepler]` in pyproject.toml, read and verified."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, get_args

from pytest_kepler.checks import codes
from pytest_kepler.checks.waivers import Waiver, read_waivers
from pytest_kepler.errors import KeplerUsageError, nearest
from pytest_kepler.records import Severity

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_kepler.checks.codes import CheckInfo, Limits

_SETTINGS: Final = (
    "select",
    "ignore",
    "notes",
    "warnings-as-errors",
    "sample-rows",
    "time-budget-s",
    "probe-parameters",
    "experiment",
)
_EXPERIMENT_SETTINGS: Final = ("ignore", "severity")
_SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)


@dataclass(frozen=True, slots=True)
class Lowered:
    """The highest severity that a check's findings have in one experiment, and why."""

    to: Severity
    reason: str = ""


@dataclass(frozen=True)
class CheckConfig:
    """Which checks run, with which limits, and how severe their findings are.

    Attributes
    ----------
    select, ignore : tuple of str
        Prefixes of codes; the longest prefix that matches wins, and a tie is ignored.
    ignored_with : mapping of str to Waiver
        Codes whose findings do not count in one experiment, with the reason.
    notes : bool
        Whether notes are shown.
    warnings_as_errors : tuple of str
        Prefixes of the codes whose warnings block.
    sample_rows : int
        Above this number of rows, a sample is looked at.
    time_budget_s : float
        After so many seconds the checks of a family that have not begun are not run.
    probe_parameters : int
        Networks with more parameters are not cloned for the training probe.
    limits : mapping of str to mapping
        Changed limits by code.
    severities : mapping of str to Lowered
        Lowered severities by code, for one experiment.
    experiments : mapping of str to mapping
        The tables of single experiments by node id without parameters.
    """

    select: tuple[str, ...] = ("K",)
    ignore: tuple[str, ...] = ()
    ignored_with: Mapping[str, Waiver] = field(default_factory=dict)
    notes: bool = False
    warnings_as_errors: tuple[str, ...] = ()
    sample_rows: int = 100_000
    time_budget_s: float = 60.0
    probe_parameters: int = 20_000_000
    limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    severities: Mapping[str, Lowered] = field(default_factory=dict)
    experiments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def of_experiment(self) -> str:
        """What one experiment has of its own, as a key: by it findings may differ."""
        return repr((sorted(self.ignored_with.items()), sorted(self.severities.items())))

    def is_selected(self, code: str) -> bool:
        """Tell whether a check runs."""
        chosen = max((len(p) for p in self.select if code.startswith(p)), default=-1)
        left_out = max((len(p) for p in self.ignore if code.startswith(p)), default=-1)
        return chosen > left_out

    def limits_of(self, info: CheckInfo) -> Limits:
        """Return the limits of a check, the configured ones in place of the defaults."""
        return {**info.limits, **self.limits.get(info.code, {})}

    def for_experiment(self, node_id: str) -> CheckConfig:
        """Return the settings of one experiment, by its node id."""
        table = self.experiments.get(node_id.partition("[")[0])
        if table is None:
            return self
        return replace(
            self,
            ignored_with={**self.ignored_with, **table.get("ignore", {})},
            severities={**self.severities, **table.get("severity", {})},
        )

    def narrowed(
        self,
        *,
        select: Iterable[str] = (),
        ignore: Iterable[str] = (),
        limits: Mapping[str, Any] | None = None,
        family: codes.Family | None = None,
    ) -> CheckConfig:
        """Return the settings with what one call asks for on top.

        Parameters
        ----------
        select, ignore : iterable of str
            Codes or prefixes of codes, or one of them as a string.
        limits : mapping
            ``{"K105": {"error_share": 0.1}}``, or ``{"error_share": 0.1}`` where only one
            check of the family has a limit of that name.

        Raises
        ------
        KeplerUsageError
            If a code, prefix or limit is unknown, or several checks have the limit.
        """
        chosen = _prefixes(select, "select=")
        changed = {code: dict(values) for code, values in self.limits.items()}
        for name, value in (limits or {}).items():
            code, values = _limit_of_call(name, value, family)
            changed.setdefault(code, {}).update(values)
        return replace(
            self,
            select=chosen or self.select,
            ignore=(*self.ignore, *_prefixes(ignore, "ignore=")),
            limits=changed,
        )


def load(rootdir: Path) -> CheckConfig:
    """Return the settings in ``pyproject.toml`` of `rootdir`; the defaults if there are none.

    Raises
    ------
    KeplerUsageError
        If the file cannot be read, or names a setting, check or limit that does not exist.
    """
    path = rootdir / "pyproject.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return CheckConfig()
    except (OSError, UnicodeDecodeError) as error:
        raise KeplerUsageError(f"{path} cannot be read: {error}.") from error
    if "tool.kepler" not in text and "kepler" not in text:
        return CheckConfig()
    try:
        table = tomllib.loads(text).get("tool", {}).get("kepler", {})
    except tomllib.TOMLDecodeError as error:
        raise KeplerUsageError(f"{path} is not valid TOML: {error}.") from error
    try:
        return parse(table)
    except KeplerUsageError as error:
        raise KeplerUsageError(f"{path}, [tool.kepler]: {error}") from None


def parse(table: Any) -> CheckConfig:
    """Return the settings in the table ``[tool.kepler]``.

    Raises
    ------
    KeplerUsageError
        If it names a setting, check or limit that does not exist, or a value is of a wrong kind.
    """
    if not isinstance(table, Mapping):
        raise KeplerUsageError("it must be a table.")
    limits: dict[str, Mapping[str, float]] = {}
    for name, value in table.items():
        if name in _SETTINGS:
            continue
        if not isinstance(value, Mapping):
            hint = nearest(name, (*_SETTINGS, *codes.CHECKS))
            raise KeplerUsageError(f"there is no setting {name!r}: {hint}")
        info = codes.find(name)
        limits[info.code] = _known_limits(info, value)
    ignore = _prefixes(table.get("ignore", ()), "ignore")
    config = CheckConfig(
        select=_prefixes(table.get("select", ()), "select") or ("K",),
        ignore=ignore,
        notes=_flag(table, "notes"),
        warnings_as_errors=_prefixes(table.get("warnings-as-errors", ()), "warnings-as-errors"),
        sample_rows=_count(table.get("sample-rows", 100_000), "sample-rows"),
        time_budget_s=_seconds(table.get("time-budget-s", 60.0), "time-budget-s"),
        probe_parameters=_count(table.get("probe-parameters", 20_000_000), "probe-parameters"),
        limits=limits,
        experiments=_experiments(table.get("experiment", {})),
    )
    for info in codes.CHECKS.values():
        if info.is_firm and not config.is_selected(info.code):
            msg = (
                f"{info.code} {info.name} cannot be left out for a whole project: waive it where "
                f'it is meant, @pytest.mark.experiment(waive={{"{info.code}": "why"}}).'
            )
            raise KeplerUsageError(msg)
    return config


def _prefixes(value: Any, where: str) -> tuple[str, ...]:
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, Iterable) or isinstance(value, Mapping):
        raise KeplerUsageError(f"{where} must be a list of codes, got {value!r}.")
    found = []
    for prefix in value:
        if not isinstance(prefix, str):
            raise KeplerUsageError(f"{where} must be a list of codes, got {prefix!r} in it.")
        if prefix[:1] != "K":
            prefix = codes.find(prefix).code  # noqa: PLW2901 - a name stands for its code
        codes.require_prefix(prefix)
        found.append(prefix)
    return tuple(found)


def _flag(table: Mapping[str, Any], name: str) -> bool:
    value = table.get(name, False)
    if not isinstance(value, bool):
        raise KeplerUsageError(f"{name} must be true or false, got {value!r}.")
    return value


def _count(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise KeplerUsageError(f"{name} must be a whole number above 0, got {value!r}.")
    return value


def _seconds(value: Any, name: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        raise KeplerUsageError(f"{name} must be a number above 0, got {value!r}.")
    return float(value)


def _known_limits(info: CheckInfo, values: Any) -> dict[str, float]:
    if not isinstance(values, Mapping):
        raise KeplerUsageError(f"{info.code} needs a table of limits, got {values!r}.")
    found = {}
    for given, value in values.items():
        name = str(given).replace("_", "-")
        if name not in info.limits:
            hint = nearest(name, info.limits) if info.limits else "it has no limits"
            raise KeplerUsageError(f"{info.code} has no limit {given!r}: {hint}")
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise KeplerUsageError(f"{info.code}: {given} must be a number, got {value!r}.")
        found[name] = float(value)
    return found


def _limit_of_call(
    name: str, value: Any, family: codes.Family | None
) -> tuple[str, dict[str, float]]:
    if name[:1] == "K" and name[1:].isdigit():
        info = codes.find(name)
        return info.code, _known_limits(info, value)
    having = [
        info
        for info in codes.CHECKS.values()
        if name.replace("_", "-") in info.limits and family in (None, info.family)
    ]
    if not having:
        offered = [info for info in codes.CHECKS.values() if family in (None, info.family)]
        known = {limit.replace("-", "_") for info in offered for limit in info.limits}
        raise KeplerUsageError(f"There is no limit {name!r}: {nearest(name, known)}")
    if len(having) > 1:
        which = ", ".join(info.code for info in having)
        msg = f"{which} all have a limit {name!r}: write {having[0].code}={{{name!r}: {value!r}}}."
        raise KeplerUsageError(msg)
    return having[0].code, _known_limits(having[0], {name: value})


def _experiments(tables: Any) -> dict[str, Mapping[str, Any]]:
    if not isinstance(tables, Mapping):
        raise KeplerUsageError("experiment must hold a table for each experiment.")
    found: dict[str, Mapping[str, Any]] = {}
    for node_id, table in tables.items():
        if not isinstance(table, Mapping):
            raise KeplerUsageError(f"experiment.{node_id!r} must be a table.")
        for name in table:
            if name not in _EXPERIMENT_SETTINGS:
                hint = nearest(name, _EXPERIMENT_SETTINGS)
                msg = f"experiment.{node_id!r} has no setting {name!r}: {hint}"
                raise KeplerUsageError(msg)
        found[node_id] = {
            "ignore": _reasons(table.get("ignore", {}), node_id),
            "severity": _severities(table.get("severity", {}), node_id),
        }
    return found


def _reasons(table: Any, node_id: str) -> dict[str, Waiver]:
    if not isinstance(table, Mapping):
        msg = f'experiment.{node_id!r}: ignore needs a reason for each code, {{ K102 = "why" }}.'
        raise KeplerUsageError(msg)
    try:
        return read_waivers(table)
    except KeplerUsageError as error:
        raise KeplerUsageError(f"experiment.{node_id!r}: {error}") from None


def _severities(table: Any, node_id: str) -> dict[str, Lowered]:
    if not isinstance(table, Mapping):
        raise KeplerUsageError(f"experiment.{node_id!r}: severity must be a table.")
    found = {}
    for name, value in table.items():
        given = value if isinstance(value, Mapping) else {"to": value}
        info, reason = codes.find(name), given.get("reason", "")
        severity = next((one for one in _SEVERITIES if one == given.get("to")), None)
        if severity is None:
            known = ", ".join(_SEVERITIES)
            raise KeplerUsageError(f"{info.code}: a severity is {known}, not {given.get('to')!r}.")
        if unknown := set(given) - {"to", "reason"}:
            msg = f"{info.code}: severity has {min(unknown)!r}: it takes to, reason."
            raise KeplerUsageError(msg)
        is_lowered = info.severity == "error" and severity != "error"
        if not isinstance(reason, str) or (is_lowered and not reason.strip()):
            msg = (
                f"experiment.{node_id!r}: {info.code} finds errors, and lowering them needs a "
                f'reason: {info.code} = {{ to = "{severity}", reason = "why" }}.'
            )
            raise KeplerUsageError(msg)
        found[info.code] = Lowered(severity, reason.strip())
    return found
