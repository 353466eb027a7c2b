"""One run in full: what ``kepler show`` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.reports.layout import (
    Style,
    cells,
    clip,
    encodable,
    pad,
    sparkline,
    symbols_for,
    wrap,
)
from pytest_kepler.reports.remarks import describe_finding, finding_below, finding_label
from pytest_kepler.reports.wording import (
    age,
    clean,
    count,
    date,
    duration,
    first_line,
    metric_text,
    number,
    settings,
    short,
    utc,
    value,
    visible,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from pytest_kepler.records import Finding, Run
    from pytest_kepler.reports.layout import Paint, Symbols

_INDENT: Final = "  "
_MOST_NAME: Final = 30
_MOST_CURVE: Final = 40
_LEAST_CURVE: Final = 8
_LEAST_WIDTH: Final = 40
_STATUS: Final[dict[str, Paint]] = {
    "passed": "good",
    "failed": "bad",
    "error": "bad",
    "crashed": "bad",
    "duplicate": "dim",
}
_KILO: Final = 1024
#: Kinds of datasets whose shape is how many they hold.
_CONTAINERS: Final = frozenset({"tuple", "list", "dict"})


def render_run(
    detail: Mapping[str, Any],
    width: int = 80,
    colour: bool = False,
    *,
    now: datetime | None = None,
    encoding: str = "utf-8",
) -> str:
    """Return all that the journal knows of a run, as text.

    Parameters
    ----------
    detail : mapping
        ``run`` (a Run); and, each optional, ``curves`` (metric to list of (step, value)),
        ``findings`` (list of Finding), ``notes`` (mappings with ``text`` and ``noted_at``),
        ``facts``, ``environment`` and ``code`` (mappings; of code, qualified name to source),
        ``models`` (``name, framework, kind, params, n_weights``), ``datasets`` (``name, kind,
        shape, n_bytes, data_hash``), ``artifacts`` (``name, kind, n_bytes, path``) and ``session``
        (``args, host, python, platform, diff``), ``duplicates`` (ids of runs that repeat this one).
    width : int
        Columns of the terminal.
    colour : bool
        Whether to use ANSI colours.
    now : datetime, optional
        What the run's age counts back from.
    encoding : str
        Of the stream.
    """
    style = Style(max(width, _LEAST_WIDTH), colour, symbols_for(encoding))
    run: Run = detail["run"]
    lines = _head(run, len(detail.get("duplicates") or ()), style, now)
    lines += _pairs("parameters", run.params, style)
    lines += _curves(run.metrics, detail.get("curves") or {}, style)
    lines += _findings(detail.get("findings") or (), style)
    lines += _list("notes", [_note(note, now) for note in detail.get("notes") or ()], style)
    lines += _pairs("facts", detail.get("facts") or {}, style)
    lines += _list("models", map(_model, detail.get("models") or ()), style)
    lines += _list("data", map(_dataset, detail.get("datasets") or ()), style)
    lines += _list("artifacts", map(_artifact, detail.get("artifacts") or ()), style)
    lines += _pairs("environment", detail.get("environment") or {}, style)
    lines += _pairs("session", _session(detail.get("session") or {}, run), style)
    lines += _code(detail.get("code") or {}, style)
    return encodable("\n".join(lines) + "\n", encoding)


def _head(run: Run, n_duplicates: int, style: Style, now: datetime | None) -> list[str]:
    dot = style.symbols.dot
    title = f"run {run.short_id}"
    lines = [
        f"{style.paint(title, 'title')}  {style.paint(run.status, _STATUS.get(run.status, 'warn'))}"
    ]
    lines += wrap(clean(run.node_id), style.width, first=_INDENT, rest=_INDENT * 2)
    if run.hypothesis:
        quoted = f"{style.symbols.opening}{clean(run.hypothesis)}{style.symbols.closing}"
        lines += wrap(quoted, style.width, first=_INDENT, rest=_INDENT + " ")
    started = f"{utc(run.started_at):%Y-%m-%d %H:%M} UTC ({age(run.started_at, now)})"
    facts = [started, duration(run.seconds)]
    if run.seed is not None:
        facts.append(f"seed {run.seed}")
    if run.duplicate_of:
        facts.append(f"repeats run {short(run.duplicate_of)}")
    if n_duplicates:
        facts.append(f"repeated by {count(n_duplicates, 'duplicate')}")
    if run.why_new:
        facts.append(f"new: {clean(run.why_new).removeprefix('new: ')}")
    lines += wrap(dot.join(filter(None, facts)), style.width, first=_INDENT, rest=_INDENT * 2)
    # The findings that blocked a run are told below.
    message = first_line(run.message) if run.status == "blocked" else run.message
    for line in message.splitlines():
        lines += [
            style.paint(each, "bad" if run.status in {"failed", "error"} else "dim")
            for each in wrap(clean(line), style.width, first=_INDENT, rest=_INDENT * 2)
        ]
    return lines


def _title(text: str, style: Style) -> list[str]:
    return ["", style.paint(text, "bold")]


def _pairs(title: str, pairs: Mapping[str, object], style: Style) -> list[str]:
    shown = {
        clean(name): text
        for name, item in pairs.items()
        if (text := _value(item)) not in {"", "None"}
    }
    if not shown:
        return []
    room = min(max(map(cells, shown)), _MOST_NAME)
    lines = _title(title, style)
    for name, text in shown.items():
        label = pad(clip(name, room, style.symbols.more), room)
        rest = " " * (len(_INDENT) + room + 2)
        lines += wrap(text, style.width, first=f"{_INDENT}{label}  ", rest=rest)
    return lines


def _value(item: object) -> str:
    return settings(item) if isinstance(item, Mapping) else value(item)


def _list(title: str, items: Iterable[str], style: Style) -> list[str]:
    lines = [
        line for item in items for line in wrap(item, style.width, first=_INDENT, rest=_INDENT * 2)
    ]
    return [*_title(title, style), *lines] if lines else []


@dataclass(frozen=True, slots=True)
class _Metric:
    """A line about a metric: its last value, its spread, and the curve or the folds behind it."""

    name: str
    text: str
    spread: str = ""
    values: Sequence[float] = ()
    unit: str = "step"


def _metrics(
    metrics: Mapping[str, float], curves: Mapping[str, Sequence[float]], symbols: Symbols
) -> list[_Metric]:
    """Return the metrics as logged; what cross-validation logs beside a mean is in its line."""
    folded = {name for name in metrics if f"{name}_fold" in curves and f"{name}_std" in metrics}
    beside = {f"{name}{end}" for name in folded for end in ("_fold", "_std")}
    found = []
    for name in dict.fromkeys([*metrics, *curves]):
        if name in beside:
            continue
        values = curves.get(name, ())
        text = metric_text(metrics[name] if name in metrics else values[-1])
        if name in folded:
            spread = f"{symbols.spread}{number(metrics[f'{name}_std'], digits=2)}"
            found.append(_Metric(name, text, spread, curves[f"{name}_fold"], "fold"))
        else:
            found.append(_Metric(name, text, "", values))
    return found


def _curves(
    metrics: Mapping[str, float],
    curves: Mapping[str, Sequence[tuple[int | None, float]]],
    style: Style,
) -> list[str]:
    values = {name: [each for _, each in points] for name, points in curves.items() if points}
    found = _metrics(metrics, values, style.symbols)
    if not found:
        return []
    name_width = min(max(cells(clean(each.name)) for each in found), _MOST_NAME)
    text_width = max(len(each.text) for each in found)
    spread_width = max(len(each.spread) for each in found)
    lines = _title("metrics", style)
    for each in found:
        label = pad(clip(clean(each.name), name_width, style.symbols.more), name_width)
        text = pad(each.text, text_width, right=True) + pad(each.spread, spread_width)
        line = f"{_INDENT}{label}  {text}"
        lines.append((line + _curve(each, style, style.width - cells(line))).rstrip())
    return lines


def _curve(metric: _Metric, style: Style, room: int) -> str:
    values = metric.values
    if len(values) <= 1:
        return ""
    finite = [each for each in values if math.isfinite(each)]
    low, high = number(min(finite, default=None)), number(max(finite, default=None))
    about = "  " + count(len(values), metric.unit)
    if low == high:
        return f"{about}, all {low}" if low and len(finite) == len(values) else about
    about += f", {low} to {high}"
    width = min(room - len(about) - 2, _MOST_CURVE)
    if width < _LEAST_CURVE:
        return ""
    return "  " + style.paint(sparkline(values, width, style.symbols.bars), "good") + about


def _findings(findings: Iterable[Finding], style: Style) -> list[str]:
    """Return every finding; those that follow each other with the same fix share it."""
    found, lines = list(findings), []
    for finding, follower in zip_longest(found, found[1:]):
        label, paint = finding_label(finding)
        first, *rest = wrap(
            f"{label}  {describe_finding(finding)}",
            style.width,
            first=_INDENT,
            rest=_INDENT * 3,
        )
        lines += [first.replace(label, style.paint(label, paint), 1), *rest]
        below = finding_below(finding)
        if below and (follower is None or finding_below(follower) != below):
            lines += wrap(below, style.width, first=_INDENT * 3, rest=_INDENT * 4)
    return [*_title("checks", style), *lines] if lines else []


def _note(note: Mapping[str, Any], now: datetime | None) -> str:
    moment = note.get("noted_at")
    day = f" ({date(moment, now or moment)})" if moment else ""
    return f"{clean(str(note['text']))}{day}"


def _model(model: Mapping[str, Any]) -> str:
    parts = [f"{model.get('name') or 'model'}: {model.get('kind') or model.get('framework')}"]
    if model.get("n_weights"):
        parts.append(f"{model['n_weights']:,} weights")
    params = model.get("params")
    if isinstance(params, Mapping):
        parts += [f"{clean(str(name))}={value(item)}" for name, item in params.items()]
    return ", ".join(parts)


def _dataset(dataset: Mapping[str, Any]) -> str:
    shape = dataset.get("shape")
    text = str(dataset.get("name") or dataset.get("kind"))
    if dataset.get("kind") in _CONTAINERS and shape:
        text += f", {count(shape[0], 'part')}"
    elif isinstance(shape, list | tuple) and shape:
        text += " " + " x ".join(map(str, shape))
    size = f", {_size(dataset['n_bytes'])}" if dataset.get("n_bytes") else ""
    content = f", content {short(str(dataset['data_hash']))}" if dataset.get("data_hash") else ""
    return clean(f"{text}{size}{content}")


def _artifact(artifact: Mapping[str, Any]) -> str:
    size = f", {_size(artifact['n_bytes'])}" if artifact.get("n_bytes") is not None else ""
    return clean(
        f"{artifact['name']}: {artifact.get('path', '')} ({artifact.get('kind', '')}{size})"
    )


def _size(n_bytes: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if n_bytes < _KILO:
            return f"{n_bytes:.3g} {unit}" if n_bytes < 1000 else f"{n_bytes:.0f} {unit}"  # noqa: PLR2004
        n_bytes /= _KILO
    return f"{n_bytes:,.1f} GB"


def _session(session: Mapping[str, Any], run: Run) -> dict[str, object]:
    state = " with uncommitted changes" if run.dirty else ""
    diff = str(session.get("diff") or "")
    args = session.get("args")
    return {
        "id": short(run.session_id),
        "command": " ".join(map(str, args)) if isinstance(args, list | tuple) else args,
        "commit": f"{run.commit[:10]}{state}" if run.commit else "",
        "diff": f"{len(diff.splitlines())} lines kept" if diff else "",
        "host": session.get("host"),
        "python": session.get("python"),
        "platform": session.get("platform"),
    }


def _code(sources: Mapping[str, str], style: Style) -> list[str]:
    if not sources:
        return []
    lines = _title("code", style)
    for name, source in sources.items():
        lines.append(style.paint(f"{_INDENT}{clean(name)}", "dim"))
        lines += [
            clip(
                f"{_INDENT * 2}{visible(line.expandtabs(4).rstrip())}",
                style.width,
                style.symbols.more,
            )
            for line in source.splitlines()
        ]
    return lines
