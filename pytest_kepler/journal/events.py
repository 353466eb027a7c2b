"""What a sound event is: the kinds of the spool, and what each must have to become a row."""

from __future__ import annotations

import json
import math
from typing import Any, Final

#: What begins the line of a logged value, the hot event: looking at it is cheaper than parsing.
POINT: Final = b'{"e":"m",'

#: Kind -> the keys without which a line is no event of that kind.
REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "session": ("session", "at"),
    "session_end": ("session", "at"),
    "environment": ("hash",),
    "code": ("hash",),
    "run": ("run", "session", "experiment", "node", "at"),
    "end": ("run", "at", "status"),
    "m": ("r", "n", "v"),
    "eval": ("run", "hash"),
    "fact": ("run", "facts"),
    "note": ("note", "text", "at"),
    "check": ("code", "severity"),
    "model": ("run",),
    "dataset": ("hash",),
    "artifact": ("run", "name"),
    "gate": ("session", "node", "status"),
    "threshold": ("session", "experiment", "status"),
    "claim": ("session", "experiment", "text", "status", "facts"),
    "baseline": ("name", "experiment", "metric", "value", "facts"),
    "unsound": ("run",),
    "void": ("run",),
}
#: Those of them that are numbers; the others are texts.
NUMBERS: Final = frozenset({"at", "v"})
#: Keys whose value is kept as JSON.
NESTED: Final = frozenset(
    {
        *("args", "facts", "parts", "params", "replicates", "spec"),
        *("measured", "threshold", "config", "shape"),
    }
)
#: Every key of every kind but the hot one: the columns that lines are read into.
COLUMNS: Final = (
    *("e", "run", "session", "at", "project", "rootdir", "args", "host", "python", "platform"),
    *("pytest", "commit", "dirty", "diff", "ci", "worker", "exit_status", "hash", "facts"),
    *("parts", "experiment", "node", "seed", "params", "replicates", "hypothesis", "identity"),
    *("code", "data", "params_hash", "environment", "spec", "why_new", "status", "seconds"),
    *("duplicate_of", "message", "prefix", "note", "text", "name", "severity", "location"),
    *("measured", "threshold", "fix", "waiver", "framework", "kind", "n_weights", "config"),
    *("shape", "n_bytes", "sha256", "path", "metric", "bound", "limit", "value"),
    *("reason", "call_seconds"),
)
POINT_COLUMNS: Final = ("e", "r", "n", "v", "s", "t")

#: Integers that a JSON reader holds exactly; larger ones become floating.
_EXACT_BITS: Final = 63


def columns_sql(names: tuple[str, ...]) -> str:
    """Return the `columns` argument of DuckDB's ``read_json``: texts, casts come later."""
    kinds = ("JSON" if name in NESTED else "VARCHAR" for name in names)
    return "{" + ", ".join(f"'{n}': '{k}'" for n, k in zip(names, kinds, strict=True)) + "}"


def unsound_sql(kinds: tuple[str, ...]) -> str:
    """Return the condition that is true for a row that came from no sound event of `kinds`."""
    sound = [
        " AND ".join([f"e = '{kind}'", *(_given_sql(key) for key in REQUIRED[kind])])
        for kind in kinds
    ]
    return f"coalesce(NOT ({' OR '.join(f'({condition})' for condition in sound)}), true)"


def _given_sql(key: str) -> str:
    if key in NUMBERS:
        return f'TRY_CAST("{key}" AS DOUBLE) IS NOT NULL'
    return f'"{key}" IS NOT NULL'


def sound(line: bytes) -> bytes | None:
    """Return the line as one that DuckDB reads to the same event, or None if it is no event.

    This is the careful way, for spools in which some line was refused: lone surrogates, repeated
    keys and numbers beyond the range of a double are made readable.
    """
    try:
        event = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    kind = event.get("e") if isinstance(event, dict) else None
    if not isinstance(kind, str) or kind not in REQUIRED:
        return None
    for key in REQUIRED[kind]:
        value = _number(event.get(key)) if key in NUMBERS else event.get(key)
        if value is None:
            return None
        event[key] = value
    try:
        # The kind comes first, as the spool writes it: by it the hot lines are told apart.
        ordered = _readable({"e": kind, **event})
        text = json.dumps(ordered, ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return None
    return text.encode("utf-8", "replace")


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer beyond the range of a double
        return math.copysign(math.inf, 1 if int(value) > 0 else -1)
    except ValueError:
        return None


def _readable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if isinstance(value, int) and value.bit_length() > _EXACT_BITS:
        value = _number(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value
