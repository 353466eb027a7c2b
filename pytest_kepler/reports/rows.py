"""Rows: the answer to a query, a filter or a search as a table of text or Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Literal

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
)
from pytest_kepler.reports.markdown import markdown_table
from pytest_kepler.reports.wording import clean, count, number

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIGITS = 6


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

    Cells are clipped where they must be; where there are too many columns for that, each row is
    written as a list of its own.

    Parameters
    ----------
    columns : sequence of str
        The names.
    rows : sequence of sequence
        Values of any kind; numbers stand at the right, None is empty.
    format : {"text", "markdown"}
        Markdown is never clipped.
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
    room = width - 2 * (len(columns) - 1)
    lines = draw(table, style) if fits(table.widths(), room) else _records(table, style)
    return encodable("\n".join(lines) + "\n", encoding)


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    numeric = [
        any(_is_number(row[at]) for row in rows)
        and all(row[at] is None or _is_number(row[at]) for row in rows)
        for at in range(len(columns))
    ]
    return Table(
        tuple(
            Column(clean(name), right=right) for name, right in zip(columns, numeric, strict=True)
        ),
        tuple(Row(tuple(_text(item) for item in row)) for row in rows),
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
        return clean(json.dumps(item, default=str, ensure_ascii=False))
    return clean(str(item))


def _records(table: Table, style: Style) -> list[str]:
    names = max(cells(column.title) for column in table.columns)
    names = min(names, style.width // 2)
    more = style.symbols.more
    lines = []
    for place, row in enumerate(table.rows, start=1):
        head = f"{place} of {count(len(table.rows), 'row')} "
        lines.append(style.paint(head + style.symbols.rule * (style.width - len(head)), "dim"))
        lines += [
            style.paint(pad(clip(column.title, names, more), names), "dim")
            + "  "
            + clip(text, style.width - names - 2, more)
            for column, text in zip(table.columns, row.values, strict=True)
        ]
    return lines
