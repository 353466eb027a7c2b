"""Layout: width, colour, symbols and tables of plain text; knows nothing of experiments."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from pytest_kepler.reports.wording import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

Paint = Literal["", "bold", "dim", "good", "bad", "warn", "title"]

_CODES: Final = {
    "bold": "1",
    "dim": "2",
    "good": "32",
    "bad": "31",
    "warn": "33",
    "title": "1;36",
}
_ANSI: Final = re.compile(r"\x1b\[[0-9;]*m")
#: No column is clipped to less than this, unless it is narrower by itself.
_LEAST_WIDTH: Final = 6


@dataclass(frozen=True, slots=True)
class Symbols:
    """The characters beyond ASCII that reports use, or what stands for them."""

    star: str = "★"
    good: str = "✓"
    bad: str = "✗"
    part: str = "~"
    spread: str = " ± "
    dot: str = " · "
    times: str = "\N{MULTIPLICATION SIGN}"
    more: str = "…"
    to: str = "→"
    opening: str = "“"
    closing: str = "”"
    rule: str = "─"
    bars: str = "▁▂▃▄▅▆▇█"


UNICODE: Final = Symbols()
ASCII: Final = Symbols(
    star="*",
    good="ok",
    bad="!!",
    spread=" +- ",
    dot=" | ",
    times="x",
    more="...",
    to="->",
    opening='"',
    closing='"',
    rule="-",
    bars="_.-=+*#@",
)


def symbols_for(encoding: str) -> Symbols:
    """Return the symbols that a stream of this encoding can show."""
    try:
        "".join(getattr(UNICODE, name) for name in Symbols.__slots__).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def encodable(text: str, encoding: str) -> str:
    """Return `text` with a question mark for each column of what the encoding lacks.

    No line changes its width by this: what takes no column is left out.
    """
    try:
        text.encode(encoding)
    except LookupError:
        return encodable(text, "ascii")
    except UnicodeEncodeError:
        return "".join(_encodable(char, encoding) for char in text)
    return text


def _encodable(char: str, encoding: str) -> str:
    try:
        char.encode(encoding)
    except UnicodeEncodeError:
        return "?" * _cells_of(char)
    return char


def cells(text: str) -> int:
    """Return how many columns of a terminal `text` takes; colour takes none."""
    if text.isascii() and "\x1b" not in text:
        return len(text)
    return sum(map(_cells_of, _ANSI.sub("", text)))


def _cells_of(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in {"Cf", "Me", "Mn"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def clip(text: str, width: int, more: str = "…") -> str:
    """Return `text` cut to `width` columns, the cut shown."""
    if cells(text) <= width:
        return text
    room = width - cells(more)
    kept = ""
    for char in text:
        room -= _cells_of(char)
        if room < 0:
            break
        kept += char
    return (kept.rstrip() + more)[: max(width, 1)]


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Return `text` filled with blanks to `width` columns."""
    blanks = " " * (width - cells(text))
    return blanks + text if right else text + blanks


def wrap(text: str, width: int, *, first: str = "", rest: str = "") -> list[str]:
    """Break `text` into lines of `width` columns; longer words are cut across lines."""
    lines, line, started = [], first, False
    # A separator stays at the end of its line.
    for word in re.sub(r" ([·|]) ", "\N{NO-BREAK SPACE}\\1 ", clean(text)).split(" "):
        piece = word.replace("\N{NO-BREAK SPACE}", " ")
        if started and cells(line) + 1 + cells(piece) > width:
            lines.append(line)
            line, started = rest, False
        while not started and cells(line) + cells(piece) > width > cells(line):
            head = _head(piece, width - cells(line))
            lines.append(line + head)
            line, piece = rest, piece[len(head) :]
        line += f" {piece}" if started else piece
        started = True
    return [*lines, line] if started or not lines else lines


def _head(text: str, width: int) -> str:
    used = 0
    for index, char in enumerate(text):
        used += _cells_of(char)
        if used > width:
            return text[: max(index, 1)]
    return text


@dataclass(frozen=True, slots=True)
class Style:
    """How a text is to look."""

    width: int = 80
    colour: bool = False
    symbols: Symbols = UNICODE

    def paint(self, text: str, paint: Paint) -> str:
        """Return `text` in a colour, if colours are wanted."""
        if not self.colour or not paint or not text:
            return text
        return f"\x1b[{_CODES[paint]}m{text}\x1b[0m"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    ``rank`` says how early it goes when the table is too wide: 0 never, the highest first. Those
    below 0 go last, the lowest first, and only where clipping their cells is not enough. Cells
    are clipped to no less than ``least``.
    """

    title: str
    right: bool = False
    rank: int = 0
    paint: Paint = ""
    least: int = _LEAST_WIDTH


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table; one with `span` is a remark across all columns."""

    values: tuple[str, ...] = ()
    paint: Paint = ""
    span: str = ""
    paints: dict[int, Paint] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts, not yet fitted to any width."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def widths(self) -> list[int]:
        """Return the width that each column would like."""
        return [
            max(
                [cells(column.title)]
                + [cells(row.values[index]) for row in self.rows if not row.span]
            )
            for index, column in enumerate(self.columns)
        ]

    def leasts(self) -> list[int]:
        """Return the width that each column needs."""
        return [
            min(width, column.least)
            for width, column in zip(self.widths(), self.columns, strict=True)
        ]

    def without(self, index: int) -> Table:
        """Return the table without a column."""
        return Table(
            self.columns[:index] + self.columns[index + 1 :],
            tuple(
                row
                if row.span
                else Row(
                    row.values[:index] + row.values[index + 1 :],
                    row.paint,
                    "",
                    {at - (at > index): each for at, each in row.paints.items() if at != index},
                )
                for row in self.rows
            ),
        )


def draw(table: Table, style: Style, *, indent: str = "", gap: str = "  ") -> list[str]:
    """Return the lines of a table that fits the width: columns go, then cells are clipped."""
    room = style.width - cells(indent)
    table = _drop_columns(table, room, len(gap))
    table, left_out = _drop_last_resorts(table, room, len(gap))
    widths = fit(table.widths(), room - len(gap) * (len(table.columns) - 1), table.leasts())
    more = style.symbols.more

    def line(values: Sequence[str], paints: Sequence[Paint]) -> str:
        shown = [
            pad(style.paint(clip(value, width, more), paint), width, right=column.right)
            for value, width, column, paint in zip(
                values, widths, table.columns, paints, strict=True
            )
        ]
        return (indent + gap.join(shown)).rstrip()

    lines = [line([column.title for column in table.columns], ["dim"] * len(table.columns))]
    for row in table.rows:
        if row.span:
            lines.append(style.paint(indent + clip(row.span, room, more), "dim"))
            continue
        paints = [
            row.paints.get(at) or row.paint or column.paint
            for at, column in enumerate(table.columns)
        ]
        lines.append(line(row.values, paints))
    if left_out:
        text = f"  {more} too wide for {', '.join(left_out)}"
        lines.append(style.paint(indent + clip(text, room, more), "dim"))
    return lines


def _drop_columns(table: Table, room: int, gap: int) -> Table:
    while sum(table.widths()) + gap * (len(table.columns) - 1) > room:
        rank, at = max((column.rank, at) for at, column in enumerate(table.columns))
        if rank <= 0:
            break
        table = table.without(at)
    return table


def _drop_last_resorts(table: Table, room: int, gap: int) -> tuple[Table, list[str]]:
    """Return the table without the columns that do not fit even when clipped, and their titles."""
    left_out: list[str] = []
    while not fits(table, room, gap):
        rank, at = min((column.rank, at) for at, column in enumerate(table.columns))
        if rank >= 0:
            break
        left_out.insert(0, table.columns[at].title)
        table = table.without(at)
    return table, left_out


def fit(widths: Sequence[int], room: int, leasts: Sequence[int]) -> list[int]:
    """Return widths that together take no more than `room`: the widest give way first."""
    fitted = list(widths)
    for _ in range(sum(fitted) - room):
        spare = [at for at, width in enumerate(fitted) if width > leasts[at]]
        if not spare:
            break
        fitted[max(spare, key=lambda at: fitted[at])] -= 1
    return fitted


def fits(table: Table, room: int, gap: int = 2) -> bool:
    """Tell whether the columns of a table can be clipped into `room`."""
    return sum(table.leasts()) + gap * (len(table.columns) - 1) <= room


def sparkline(values: Sequence[float], width: int, bars: str) -> str:
    """Return a curve in one line; what is not finite is a blank."""
    if not values:
        return ""
    # A long curve is shown by the last value of each of `width` equal parts.
    n = min(len(values), width)
    shown = [values[(index + 1) * len(values) // n - 1] for index in range(n)]
    finite = [value for value in shown if abs(value) < float("inf")]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    scale = (len(bars) - 1) / (high - low) if high > low else 0.0
    return "".join(
        bars[round((value - low) * scale)] if abs(value) < float("inf") else " " for value in shown
    )
