"""Rows: the answer to a query, a filter or a search as a table of text or Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from pytest_kepler.reports.layout import (
    Column,
    Row,
    Style,
    Table,
    cells,
    clip,
    draw,
    encodable,
    fits,
    pad,
    symbols_for,
    wrap,
)
from pytest_kepler.reports.markdown import markdown_table
from pytest_kepler.reports.wording import clean, count, number, short

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_DIGITS: Final = 6
_GAP: Final = 2
#: No text is clipped to less than this; numbers and times are not clipped at all.
_LEAST_TEXT: Final = 10
_WHOLE: Final = 1000
#: A cell of a list takes no more lines than this.
_MOST_LINES: Final = 8
_NODE_ID: Final = re.compile(r"[^:\s]+\.py(?:::\w+)*::(?P<short>\w+(\[.*\])?)")
_RUN_ID: Final = re.compile(r"[0-9a-f]{20}|[0-9a-f]{32}")
_TIME: Final = re.compile(r"(?P<day>\d{4}-\d\d-\d\d) (?P<minute>\d\d:\d\d)(:\d\d)?")


def render_rows(  # noqa: PLR0913  # columns, rows, and how they are to look
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    format: Literal["text", "markdown"] = "text",  # noqa: A002  # the option's word
    width: int = 80,
    *,
    colour: bool = False,
    encoding: str = "utf-8",
) -> str:
    """Return rows as an aligned table that fits the width.

    Where they are too wide, ids and times are shortened as far as they stay unique, and what is
    the same in all rows is said once, below. If that is not enough, texts are clipped; where
    there are too many columns for that, each row is written as a list of its own.

    Parameters
    ----------
    columns : sequence of str
        The names.
    rows : sequence of sequence
        Values of any kind; numbers stand at the right, None is empty.
    format : {"text", "markdown"}
        Markdown is never shortened.
    width : int
        Columns of the terminal.
    colour : bool
        Whether to use ANSI colours.
    encoding : str
        Of the stream.
    """
    table = _table(columns, rows)
    if format == "markdown":
        return markdown_table(table) + "\n"
    style = Style(width, colour, symbols_for(encoding))
    if not rows:
        return "no rows\n"
    lines = _drawn(table, style) or _records(table, style)
    return encodable("\n".join(lines) + "\n", encoding)


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    numeric = [
        any(_is_number(row[at]) for row in rows)
        and all(row[at] is None or _is_number(row[at]) for row in rows)
        for at in range(len(columns))
    ]
    body = [tuple(_text(item) for item in row) for row in rows]
    whole = [
        right or all(_TIME.fullmatch(row[at]) for row in body if row[at])
        for at, right in enumerate(numeric)
    ]
    return Table(
        tuple(
            Column(clean(name), right=numeric[at], least=_WHOLE if whole[at] else _LEAST_TEXT)
            for at, name in enumerate(columns)
        ),
        tuple(map(Row, body)),
    )


def _is_number(item: object) -> bool:
    return isinstance(item, int | float) and not isinstance(item, bool)


def _text(item: object) -> str:
    if item is None:
        return ""
    if isinstance(item, datetime):
        return f"{item:%Y-%m-%d %H:%M:%S}"
    if isinstance(item, float):
        return number(item, digits=_DIGITS)
    if isinstance(item, Mapping | list | tuple):
        return clean(json.dumps(_rounded(item), default=str, ensure_ascii=False))
    text = str(item)
    return _json_text(text) if text[:1] in {"{", "["} else clean(text)


def _json_text(text: str) -> str:
    """Return JSON, which is how the journal gives mappings, with few digits."""
    try:
        return _text(json.loads(text))
    except ValueError:
        return clean(text)


def _rounded(item: object) -> object:
    if isinstance(item, float):
        return float(f"{item:.{_DIGITS}g}")
    if isinstance(item, Mapping):
        return {name: _rounded(each) for name, each in item.items()}
    return [_rounded(each) for each in item] if isinstance(item, list | tuple) else item


def _drawn(table: Table, style: Style) -> list[str]:
    """Return the lines of the table as it fits with the least loss, or none where it does not."""
    forms = list(_forms(table))
    whole = (each for each in forms if _width(each[0]) <= style.width)
    form, told_once = next(whole, forms[-1])
    if not fits(form, style.width, _GAP):
        return []
    lines = draw(form, style)
    if told_once:
        below = f"all with {style.symbols.dot.join(told_once)}"
        lines += ["", *(style.paint(line, "dim") for line in wrap(below, style.width, rest="  "))]
    return lines


def _width(table: Table) -> int:
    return sum(table.widths()) + _GAP * (len(table.columns) - 1)


def _forms(table: Table) -> Iterator[tuple[Table, list[str]]]:
    """Yield the table shortened more and more, with what it tells no longer row by row."""
    yield table, []
    table = _shortened(_shortened(table, _brief, keeps_apart=True), _minute)
    yield table, []
    yield _without_constants(table)
    yield _without_constants(_shortened(table, _day))


def _brief(text: str) -> str:
    """Return the name of a node id, or the first digits of a run's id or a hash."""
    node = _NODE_ID.fullmatch(text)
    return node["short"] if node else short(text) if _RUN_ID.fullmatch(text) else text


def _minute(text: str) -> str:
    time = _TIME.fullmatch(text)
    return f"{time['day']} {time['minute']}" if time else text


def _day(text: str) -> str:
    time = _TIME.fullmatch(text)
    return time["day"] if time else text


def _shortened(table: Table, shorten: Callable[[str], str], *, keeps_apart: bool = False) -> Table:
    """Return the table with shorter cells, in columns where different ones stay different."""
    columns = list(zip(*(row.values for row in table.rows), strict=True))
    for at, values in enumerate(columns):
        shorter = tuple(map(shorten, values))
        if not keeps_apart or len(set(shorter)) == len(set(values)):
            columns[at] = shorter
    return Table(table.columns, tuple(map(Row, zip(*columns, strict=True))))


def _without_constants(table: Table) -> tuple[Table, list[str]]:
    """Return the table without the columns that are the same in all rows, and what they say."""
    told: list[str] = []
    for at in reversed(range(len(table.columns))):
        values = {row.values[at] for row in table.rows}
        if len(table.rows) > 1 == len(values) < len(table.columns):
            name, text = table.columns[at].title, values.pop()
            told.insert(0, f"{name}={text}" if text else f"{name} empty")
            table = table.without(at)
    return table, told


def _records(table: Table, style: Style) -> list[str]:
    """Return each row as a list, long values over some lines."""
    room = min(max(cells(column.title) for column in table.columns), style.width // 2)
    more = style.symbols.more
    lines = []
    for place, row in enumerate(table.rows, start=1):
        head = f"{place} of {count(len(table.rows), 'row')} "
        lines.append(style.paint(head + style.symbols.rule * (style.width - len(head)), "dim"))
        for column, text in zip(table.columns, row.values, strict=True):
            label, indent = pad(clip(column.title, room, more), room), " " * (room + 2)
            first, *rest = wrap(text, style.width, first=f"{label}  ", rest=indent)
            if len(rest) >= _MOST_LINES:
                rest = [*rest[: _MOST_LINES - 2], f"{indent}{more}"]
            lines += [style.paint(label, "dim") + first[len(label) :].rstrip(), *rest]
    return lines
