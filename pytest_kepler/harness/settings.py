"""What the options and the ini settings say, read once a session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pytest_kepler.errors import KeplerUsageError, nearest
from pytest_kepler.options import BY_NAME, OPTIONS, Option

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from pytest_kepler.records import Tolerance

SMOKE_JOURNAL = "smoke.duckdb"
_ENVIRONMENT_PARTS = ("libraries", "python", "device")


def add_options(parser: pytest.Parser) -> None:
    """Register every option and setting of the table with pytest."""
    group = parser.getgroup("kepler", "experiments (pytest-kepler)")
    for option in OPTIONS:
        if option.command_line:
            group.addoption(option.flag, dest=option.setting, help=_help(option), **_form(option))
        if option.ini:
            parser.addini(option.setting, _help(option), type=option.ini_type, default=None)


def _form(option: Option) -> dict[str, Any]:
    if option.kind == "flag":
        return {"action": "store_true", "default": False}
    form: dict[str, Any] = {"action": "store", "default": None, "metavar": option.metavar}
    if option.kind == "list":
        form["action"] = "append"
    if option.kind == "choice":
        form |= {"choices": option.choices, "metavar": "|".join(option.choices)}
    return form


def _help(option: Option) -> str:
    text = option.help
    if option.default and option.kind == "choice":
        text += f" (default: {option.default})"
    if option.choices and not option.command_line:
        text += f": {' | '.join(option.choices)}"
    return text.replace("%", "%%")


def setting(config: pytest.Config, name: str) -> Any:
    """Return the value of an option: the command line's, else the ini's, else the default.

    Raises
    ------
    KeplerUsageError
        If the ini holds a value that the option does not have.
    """
    option = BY_NAME[name]
    value = config.getoption(option.setting, default=None) if option.command_line else None
    if value is None and option.ini:
        value = config.getini(option.setting)
        if value in (None, "", []):
            return option.default
        if option.kind == "choice" and value not in option.choices:
            msg = f"{option.setting} = {value!r}: {nearest(value, option.choices)}"
            raise KeplerUsageError(msg)
    return option.default if value is None else value


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that a session with experiments works by."""

    journal: Path
    duplicates: Literal["skip", "run", "fail", "require"]
    gate: Literal["block", "warn"]
    identity: tuple[str, ...]
    redact: tuple[str, ...]
    diff: bool
    rows: bool
    fsync: Literal["never", "end"]
    share: Path | None
    baseline: str
    tolerances: Mapping[str, Tolerance]
    update_baseline: bool
    smoke: bool


def read_settings(config: pytest.Config) -> Settings:
    """Read them all.

    Raises
    ------
    KeplerUsageError
        If one has a value that it does not have.
    """
    from pytest_kepler.comparing import parse_tolerance

    smoke = config.getoption(BY_NAME["smoke"].setting)
    update = config.getoption(BY_NAME["update_baseline"].setting)
    tolerances = () if smoke else setting(config, "compare_fail")
    if smoke and update:
        msg = "--kepler-smoke has no results that could be a baseline: leave one option out."
        raise KeplerUsageError(msg)
    identity = tuple(" ".join(setting(config, "identity")).split())
    for part in identity:
        if part not in _ENVIRONMENT_PARTS:
            msg = f"kepler_identity = {part!r}: {nearest(part, _ENVIRONMENT_PARTS)}"
            raise KeplerUsageError(msg)
    return Settings(
        journal=journal_path(config),
        # A trial is to be made, and every gate in full.
        duplicates="run" if smoke else setting(config, "duplicates"),
        gate=setting(config, "gate"),
        identity=identity,
        redact=tuple(setting(config, "redact")),
        diff=setting(config, "diff"),
        rows=setting(config, "rows"),
        fsync=setting(config, "fsync"),
        share=None if smoke else _share(config),
        baseline=setting(config, "baseline"),
        tolerances=dict(parse_tolerance(one) for one in tolerances),
        update_baseline=update,
        smoke=smoke,
    )


def _share(config: pytest.Config) -> Path | None:
    given = setting(config, "share")
    return Path(config.rootpath, Path(given).expanduser()) if given else None


def journal_path(config: pytest.Config) -> Path:
    """Return where the journal of this session is, or will be; that of trials lies beside it."""
    path = _journal_path(config)
    return path.with_name(SMOKE_JOURNAL) if config.getoption(BY_NAME["smoke"].setting) else path


def _journal_path(config: pytest.Config) -> Path:
    from pytest_kepler.journal import find_journal

    configured = config.getoption(BY_NAME["journal"].setting, default=None)
    if configured:
        return Path(config.invocation_params.dir, configured).expanduser().absolute()
    in_ini = config.getini(BY_NAME["journal"].setting)
    if in_ini:
        return Path(config.rootpath, in_ini).expanduser().absolute()
    return find_journal(Path(config.invocation_params.dir), config.rootpath, None)
