"""The words of a filter: names, numbers, texts and marks, as SQL reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from pytest_kepler.errors import QueryError

Kind = Literal["name", "number", "text", "mark"]

_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|/\*.*?\*/)
  | (?P<text>'(?:[^']|'')*')
  | (?P<name>(?:"(?:[^"]|"")+"|[^\W\d]\w*)(?:\s*\.\s*(?:"(?:[^"]|"")+"|[^\W\d]\w*))*)
  | (?P<number>(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<mark><=|>=|<>|!=|==|\|\||::|!~|[-+*/%()<>=,~\[\]^&|])
    """,
    re.VERBOSE | re.DOTALL,
)
_PART: Final = re.compile(r'"((?:[^"]|"")+)"|([^\W\d]\w*)')


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a filter."""

    kind: Kind
    text: str

    @property
    def word(self) -> str:
        """The text in lower case, for keywords and functions."""
        return self.text.lower()

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of a name, without their quotes."""
        return tuple(
            (quoted.replace('""', '"') if quoted else plain)
            for quoted, plain in _PART.findall(self.text)
        )

    @property
    def is_quoted(self) -> bool:
        """Whether a name is in quotes, hence never a keyword."""
        return self.text.startswith('"')


def tokenize(expression: str) -> list[Token]:
    """Return the words of a filter, without spaces and comments.

    Raises
    ------
    QueryError
        If a character has no place in a filter, such as a semicolon or an open quote.
    """
    found = []
    position = 0
    while position < len(expression):
        match = _TOKEN.match(expression, position)
        if match is None:
            msg = (
                f"The filter cannot be read at {expression[position : position + 12]!r} "
                f"(character {position + 1})."
            )
            raise QueryError(msg)
        if match.lastgroup != "space":
            found.append(Token(match.lastgroup, match.group()))  # type: ignore[arg-type]
        position = match.end()
    return found
