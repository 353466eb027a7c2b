"""The baselines in the repository: ``kepler-baseline.toml``, small, sorted, read in review.

One table for each baseline and experiment, and in it one for each metric. A baseline is written
anew for the experiments that ran; all others stay as they were.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from typing import TYPE_CHECKING, Any, Final, TypeGuard, cast

from pytest_kepler.errors import KeplerUsageError, nearest
from pytest_kepler.intervals import mean_and_deviation
from pytest_kepler.records import BaselineEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from pytest_kepler.records import Goal

BASELINE_FILE: Final = "kepler-baseline.toml"
DEFAULT: Final = "main"
_CONFLICT: Final = re.compile(r"^(<{7}|={7}|>{7})(\s|$)", re.MULTILINE)
_HEADER: Final = """\
# The results that later sessions are compared with. Written by
# pytest --kepler-update-baseline; a change is to be read in review like a change of code.
"""
_METRICS: Final = "metrics"
#: Of the largest; more than the sum of some floats is off by, and less than anybody edits.
_ROUNDING: Final = 1e-6


def read_baselines(path: Path) -> dict[str, list[BaselineEntry]]:
    """Return the baselines of a file by name; none where there is no file.

    Raises
    ------
    KeplerUsageError
        If the file cannot be read, or says something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read ({getattr(error, 'strerror', None) or error})."
        raise KeplerUsageError(msg) from error
    if conflict := _CONFLICT.search(text):
        line = text.count("\n", 0, conflict.start()) + 1
        msg = f"{path}, line {line}: a merge conflict is not resolved. Resolve it, then run again."
        raise KeplerUsageError(msg)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"{path} is no TOML: {error}."
        raise KeplerUsageError(msg) from error
    return {name: list(_entries(path, name, table)) for name, table in content.items()}


def _entries(path: Path, name: str, table: Any) -> Iterable[BaselineEntry]:
    if not isinstance(table, dict):
        msg = f"{path}: {name!r} must be a table of experiments, as --kepler-update-baseline writes"
        raise KeplerUsageError(f"{msg}.")
    for experiment, found in table.items():
        if not isinstance(found, dict):
            msg = f"{path}: [{name}.{experiment!r}] must be a table of metrics."
            raise KeplerUsageError(msg)
        metrics = found.get(_METRICS, {})
        for metric, entry in metrics.items() if isinstance(metrics, dict) else ():
            where = f"{path}: [{name}.{experiment!r}.{_METRICS}.{metric}]"
            yield _entry(where, experiment, metric, entry, found)


def _entry(
    where: str, experiment: str, metric: str, entry: Any, about: Mapping[str, Any]
) -> BaselineEntry:
    value = entry.get("value") if isinstance(entry, dict) else None
    if not _is_number(value):
        msg = f"{where} has no finite number under value."
        raise KeplerUsageError(msg)
    goal = entry.get("goal")
    if goal not in ("max", "min", None):
        msg = f"{where} has the goal {goal!r}: {nearest(str(goal), ('max', 'min'))}"
        raise KeplerUsageError(msg)
    replicates = entry.get("replicates", {"": value})
    values = list(replicates.values()) if isinstance(replicates, dict) else []
    if not values or not all(map(_is_number, values)):
        msg = f"{where}: replicates must be a table of finite numbers."
        raise KeplerUsageError(msg)
    mean = math.fsum(one / len(values) for one in values)
    if abs(mean - value) > _ROUNDING * max(abs(one) for one in values):
        msg = (
            f"{where}: value is {value!r}, and the mean of its replicates is {mean!r}. One of them "
            "was edited: write the baseline anew with pytest --kepler-update-baseline."
        )
        raise KeplerUsageError(msg)
    return BaselineEntry(
        experiment=experiment,
        metric=metric,
        value=float(value),
        goal=cast("Goal | None", goal),
        replicates={key: float(one) for key, one in replicates.items()},
        params=str(about.get("params", "")),
        run_ids=tuple(str(about.get("runs", "")).split()),
        commit=str(about.get("commit", "")),
        data=str(about.get("data", "")),
    )


def _is_number(value: object) -> TypeGuard[float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)


def write_baseline(
    path: Path,
    baselines: Mapping[str, Sequence[BaselineEntry]],
    name: str,
    new: Sequence[BaselineEntry],
) -> None:
    """Write a file in which one baseline has new entries for the experiments that ran.

    Raises
    ------
    KeplerUsageError
        If it cannot be written.
    """
    ran = {entry.experiment for entry in new}
    kept = [entry for entry in baselines.get(name, ()) if entry.experiment not in ran]
    content = {**baselines, name: [*kept, *new]}
    lines = [_HEADER]
    for baseline in sorted(content):
        by_experiment: dict[str, list[BaselineEntry]] = {}
        for entry in content[baseline]:
            by_experiment.setdefault(entry.experiment, []).append(entry)
        for experiment in sorted(by_experiment):
            lines += _table(baseline, experiment, by_experiment[experiment])
    try:
        path.write_text("\n".join(lines), encoding="utf-8")
    except OSError as error:
        msg = f"{path} cannot be written ({error.strerror})."
        raise KeplerUsageError(msg) from error


def _table(baseline: str, experiment: str, entries: Sequence[BaselineEntry]) -> list[str]:
    head = f"{_key(baseline)}.{_key(experiment)}"
    first = entries[0]
    about = {
        "params": first.params,
        "runs": " ".join(first.run_ids),
        "commit": first.commit,
        "data": first.data,
    }
    lines = [f"[{head}]", *(f"{key} = {_text(value)}" for key, value in about.items() if value), ""]
    for entry in sorted(entries, key=lambda entry: entry.metric):
        lines += [f"[{head}.{_METRICS}.{_key(entry.metric)}]", f"value = {entry.value!r}"]
        if len(entry.replicates) > 1:
            lines.append(f"spread = {mean_and_deviation(tuple(entry.replicates.values()))[1]!r}")
        if entry.goal:
            lines.append(f"goal = {_text(entry.goal)}")
        if set(entry.replicates) != {""}:
            pairs = ", ".join(
                f"{_key(one)} = {value!r}" for one, value in sorted(entry.replicates.items())
            )
            lines.append(f"replicates = {{ {pairs} }}")
        lines.append("")
    return lines


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _text(text)


def _text(text: str) -> str:
    # A basic string of TOML is one of JSON, but for DEL and lone surrogates.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
