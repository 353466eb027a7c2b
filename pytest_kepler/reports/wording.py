"""Wording: numbers, durations, ages and parameters as people read them."""

from __future__ import annotations

import json
import math
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

_DIGITS: Final = 4
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
#: Beyond this many days an age is a date.
_OLD_DAYS: Final = 14
#: A column whose values differ by more than this factor is not aligned at the decimal point.
_WIDE_RANGE: Final = 1e4


def visible(text: str) -> str:
    """Return `text` with a question mark for every character that moves a terminal's cursor."""
    return "".join(char if unicodedata.category(char)[0] != "C" else "?" for char in text)


def clean(text: str) -> str:
    """Return `text` on one line, blanks set as one, with nothing but visible characters."""
    return visible(" ".join(text.split()))


def count(n: int, noun: str) -> str:
    """Return ``1 run``, ``3 runs``."""
    return f"{n:,} {noun if n == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Return ``runs``, ``classes``, ``entries``."""
    if noun.endswith("y"):
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x")) else "s")


def number(value: float | None, *, digits: int = _DIGITS, none: str = "") -> str:
    """Return a number with few significant digits; None as `none`."""
    if value is None:
        return none
    if isinstance(value, bool | int):
        return str(value)
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{value:+}".replace("+", "")
    text = f"{value:.{digits}g}"
    if "e" in text and abs(value) >= 1 and abs(value) < 1e7:  # noqa: PLR2004  # 123456, not 1.235e+05
        return f"{value:.0f}"
    return text


def metric_text(value: float) -> str:
    """Return a metric's value as it is told in a sentence."""
    return number(float(value))


def decimals(values: Iterable[float]) -> int | None:
    """Return with how many decimals a column of numbers is aligned, or None if it is not.

    Four significant digits of the largest; a column that spans several magnitudes keeps four of
    each of its numbers instead.
    """
    sizes = [abs(value) for value in values if math.isfinite(value) and value]
    if not sizes:
        return 0
    largest, smallest = max(sizes), min(sizes)
    if largest / smallest > _WIDE_RANGE or largest >= 1e7 or largest < 1e-3:  # noqa: PLR2004
        return None
    return max(0, _DIGITS - 1 - math.floor(math.log10(largest)))


def aligned(value: float, places: int | None) -> str:
    """Return a number for a column with `places` decimals."""
    if places is None or not math.isfinite(value):
        return number(float(value))
    return f"{value:.{places}f}"


def duration(seconds: float | None) -> str:
    """Return ``12 ms``, ``1.2 s``, ``3 min 20 s`` or ``2 h 5 min``."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    if seconds < 0.0995:  # noqa: PLR2004  # shown as 0.1 s from here on
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:  # noqa: PLR2004  # shown as 10 s from here on
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    big, small, names = (
        (whole // _MINUTE, whole % _MINUTE, ("min", "s"))
        if whole < _HOUR
        else (whole // _HOUR, whole % _HOUR // _MINUTE, ("h", "min"))
    )
    return f"{big} {names[0]}" + (f" {small} {names[1]}" if small else "")


def utc(moment: datetime) -> datetime:
    """Return an aware moment; what names no zone is UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def date(moment: datetime, now: datetime) -> str:
    """Return ``2026-11-20``, in the time zone of `now`."""
    return f"{utc(moment).astimezone(utc(now).tzinfo):%Y-%m-%d}"


def age(moment: datetime, now: datetime | None = None) -> str:
    """Return ``just now``, ``5 min ago``, ``2 h ago``, ``yesterday``, ``3 days ago`` or a date."""
    now = now or datetime.now(UTC)
    seconds = (utc(now) - utc(moment)).total_seconds()
    if seconds < _MINUTE:
        return "just now" if seconds > -_MINUTE else date(moment, now)
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min ago"
    if seconds < _DAY:
        return f"{seconds // _HOUR:.0f} h ago"
    days = int(seconds // _DAY)
    if days > _OLD_DAYS:
        return date(moment, now)
    return "yesterday" if days == 1 else f"{days} days ago"


def value(item: object) -> str:
    """Return a parameter's value on one line: text as it is, nested values as JSON."""
    if isinstance(item, str):
        return clean(item)
    if isinstance(item, bool) or item is None:
        return str(item)
    if isinstance(item, float):
        return number(item, digits=6)
    if isinstance(item, int):
        return str(item)
    return clean(json.dumps(item, default=str, ensure_ascii=False))


def settings(params: Mapping[str, object], names: Collection[str] | None = None) -> str:
    """Return ``C=10, gamma=scale``, of the named parameters or of all."""
    shown = params if names is None else [name for name in params if name in names]
    return ", ".join(f"{clean(name)}={value(params[name])}" for name in shown)


def short(identity: str) -> str:
    """Return the first eight digits of an id."""
    return identity[:8]


def first_line(text: str) -> str:
    """Return the line of a failure's message that says most."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = next((each[1:].strip() for each in lines if each.startswith("E  ")), "")
    line = line or (lines[0] if lines else "")
    return clean(line.removeprefix("AssertionError: ").removeprefix("Failed: ").removesuffix(":"))


def listing(items: Sequence[str], most: int = 3, separator: str = "; ") -> str:
    """Return ``a; b; c and 4 more``."""
    rest = len(items) - most
    return separator.join(items[:most]) + (f" and {rest} more" if rest > 0 else "")
