"""Answers of the journal: columns and rows that are ours, after the file is closed again."""

from __future__ import annotations

import html
import json
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import polars as pl
    import pyarrow as pa

_SHOWN_ROWS: Final = 50


@dataclass(frozen=True, slots=True)
class Rows:
    """The answer to a query.

    Attributes
    ----------
    columns : tuple of str
        Names, in the order of the query; two may be equal.
    types : tuple of str
        DuckDB's type of each column, ``JSON`` among them.
    rows : list of tuple
        Values as DuckDB gives them to Python; JSON is text.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows, as a cursor would."""
        return list(self.rows)

    def df(self) -> pd.DataFrame:
        """Return a pandas frame; pandas must be installed."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=list(self.columns))

    def pl(self) -> pl.DataFrame:
        """Return a polars frame; polars must be installed."""
        import polars as pl

        columns = {name: pl.Series(name, values) for name, values in self._by_name().items()}
        return pl.DataFrame(columns)

    def arrow(self) -> pa.Table:
        """Return an Arrow table; pyarrow must be installed."""
        import pyarrow as pa

        return pa.table(self._by_name())

    def _by_name(self) -> dict[str, list[Any]]:
        return {
            name: [_columnar(row[index]) for row in self.rows]
            for index, name in enumerate(_distinct(self.columns))
        }

    def _repr_html_(self) -> str:
        """Return the table that a notebook shows."""
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(_shown(value))}</td>" for value in row) + "</tr>"
            for row in self.rows[:_SHOWN_ROWS]
        )
        more = len(self.rows) - _SHOWN_ROWS
        foot = f"<p>and {more} more rows</p>" if more > 0 else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{foot}"


def rows_as_json(rows: Rows) -> str:
    """Return one array of objects keyed by column.

    JSON columns are nested, NaN and infinities are the strings ``NaN``, ``Infinity`` and
    ``-Infinity``, times are ISO 8601 in UTC.
    """
    names = _distinct(rows.columns)
    nested = [kind == "JSON" for kind in rows.types]
    objects = [
        {
            name: _json_value(json.loads(value) if is_json and value is not None else value)
            for name, is_json, value in zip(names, nested, row, strict=True)
        }
        for row in rows.rows
    ]
    return json.dumps(objects, ensure_ascii=False, allow_nan=False)


def _json_value(value: Any) -> Any:  # noqa: PLR0911  # one line for each kind of value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, dict):
        return {str(key): _json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat() + ("" if value.tzinfo else "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return _json_value(float(value))
    return value.hex() if isinstance(value, bytes) else str(value)


def _columnar(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)


def _distinct(names: Sequence[str]) -> list[str]:
    """Return the names with a number behind those that come again."""
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return distinct
