"""What would be done with an experiment, and why: what ``kepler why`` prints."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.reports.layout import Style, cells, clip, encodable, pad, symbols_for, wrap
from pytest_kepler.reports.wording import age, clean, metric_text, visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_kepler.records import Difference, Explanation, Run
    from pytest_kepler.reports.layout import Paint

_INDENT: Final = "  "
_LEAST_WIDTH: Final = 40
_LABELS: Final = ("guarded by", "identity", "nearest run", "remark")
_PAINTS: Final[dict[str, Paint]] = {"+": "good", "-": "bad", "@": "dim"}


def render_why(
    explanations: Iterable[Explanation],
    width: int = 80,
    colour: bool = False,
    encoding: str = "utf-8",
) -> str:
    """Return explanations as text, one after the other."""
    style = Style(max(width, _LEAST_WIDTH), colour, symbols_for(encoding))
    blocks = ["\n".join(_block(each, style)) for each in explanations]
    return encodable("\n\n".join(blocks) + "\n", encoding)


def why_as_json(explanations: Iterable[Explanation]) -> str:
    """Return explanations as one array of objects; the nearest run is told by its id."""
    return json.dumps([_plain(each) for each in explanations], indent=2)


def _plain(each: Explanation) -> dict[str, Any]:
    return {
        "node_id": each.node_id,
        "verdict": each.verdict,
        "guards": [dataclasses.asdict(guard) for guard in each.guards],
        "remarks": list(each.remarks),
        "hashes": dict(each.hashes),
        "nearest": each.nearest.run_id if each.nearest else None,
        "differences": [dataclasses.asdict(one) for one in each.differences],
    }


def _block(each: Explanation, style: Style) -> list[str]:
    lines = wrap(clean(each.node_id), style.width)
    lines[0] = style.paint(lines[0], "title")
    lines += wrap(clean(each.verdict), style.width, first=_INDENT, rest=_INDENT * 2)
    room = max(map(len, _LABELS)) + 2
    guards = [f"{guard.node_id} ({guard.because}; {guard.last})" for guard in each.guards]
    named = [f"{name} {hash_[:8]}" for name, hash_ in each.hashes.items()]
    hashes = [style.symbols.dot.join(named).removeprefix("identity ")]
    nearest = [_nearest(each.nearest, style.symbols.dot)] if each.nearest else []
    told = (guards, hashes if each.hashes else [], nearest, each.remarks)
    for label, texts in zip(_LABELS, told, strict=True):
        for text in texts:
            first = f"{_INDENT}{pad(label, room)}"
            lines += wrap(clean(text), style.width, first=first, rest=" " * cells(first))
            label = ""  # noqa: PLW2901  # said once
    for one in each.differences:
        lines += _difference(one, style)
    return lines


def _nearest(run: Run, dot: str) -> str:
    facts = [run.short_id, run.status, age(run.started_at)]
    metric = run.spec.get("metric")
    if isinstance(metric, str) and metric in run.metrics:
        facts.append(f"{metric} {metric_text(run.metrics[metric])}")
    return dot.join(facts)


def _difference(one: Difference, style: Style) -> list[str]:
    if one.diff:
        head = f"{_INDENT}{one.kind} {visible(one.name)}"
        return [style.paint(head, "bold"), *(_line(line, style) for line in one.diff)]
    change = f"{one.before or 'not there'} {style.symbols.to} {one.now or 'not there'}"
    text = clean(f"{one.kind} {one.name}: {change}")
    return wrap(text, style.width, first=_INDENT, rest=_INDENT * 2)


def _line(line: str, style: Style) -> str:
    shown = clip(
        f"{_INDENT * 2}{visible(line.expandtabs(4).rstrip())}", style.width, style.symbols.more
    )
    paint = _PAINTS.get(line[:1])
    return style.paint(shown, paint) if paint else shown
