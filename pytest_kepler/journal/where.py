"""``--kepler-where``: SQL over the runs, each parameter and metric a column of its own name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from pytest_kepler.errors import QueryError, nearest
from pytest_kepler.journal.tokens import Token, tokenize

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Sense = Literal["number", "text", "truth"]

#: Columns of `runs` that a filter may name.
COLUMNS: Final = (
    *("run_id", "session_id", "project", "experiment", "node_id", "status", "started_at"),
    *("seconds", "seed", "hypothesis", "identity", "code_hash", "data_hash", "params_hash"),
    *("eval_hash", "commit", "dirty", "why_new", "duplicate_of", "message", "unsound"),
    *("environment_hash", "worker"),
)
_KEYWORDS: Final = frozenset(
    {
        *("and", "or", "not", "is", "null", "in", "like", "ilike", "between", "escape", "similar"),
        *("to", "case", "when", "then", "else", "end", "as", "cast", "try_cast", "true", "false"),
        *("order", "by", "limit", "offset", "asc", "desc", "nulls", "first", "last", "distinct"),
        *("from", "interval", "date", "timestamp", "double", "integer", "bigint", "varchar"),
        *("boolean", "current_date", "current_timestamp"),
    }
)
_COMPARISONS: Final = frozenset(
    {"=", "==", "<>", "!=", "<", ">", "<=", ">=", "~", "!~", "like", "ilike", "in", "between"}
)
_ARITHMETIC: Final = frozenset({"+", "-", "*", "/", "%", "^"})
_TRUTHS: Final = frozenset({"true", "false"})
_ABOUT_NAN: Final = frozenset({"isnan", "isfinite", "isinf"})
_TEXT_WORDS: Final = frozenset({"like", "ilike", "~", "!~", "||", "similar"})


@dataclass(frozen=True, slots=True)
class Names:
    """What the journal has names for.

    Attributes
    ----------
    params : mapping of str to {"number", "text", "truth"}
        Each parameter with what its values are; one with several kinds of values is a text.
    metrics : collection of str
        Each metric.
    """

    params: Mapping[str, Sense]
    metrics: frozenset[str]


@dataclass(slots=True)
class Filter:
    """A filter that DuckDB can run over the private view of all runs.

    Attributes
    ----------
    condition, order, limit : str
        What stands behind WHERE, and the ``order by …`` and ``limit …`` that the filter ended in.
    named : list of (str, str)
        The parameters and metrics that it speaks of, as (label, expression), to be shown.
    says_status : bool
        Whether it speaks of the status; if not, duplicates and void runs are left out.
    """

    condition: str = ""
    order: str = ""
    limit: str = ""
    named: list[tuple[str, str]] = field(default_factory=list)
    says_status: bool = False

    def where(self) -> str:
        """Return the whole WHERE clause with what follows it."""
        parts = [f"({self.condition})"] if self.condition else []
        if not self.says_status:
            parts.append("status NOT IN ('duplicate', 'void')")
        condition = f"WHERE {' AND '.join(parts)}" if parts else ""
        # Ties have a fixed order, the newest first.
        order = f"{self.order}, " if self.order else "ORDER BY "
        return f"{condition} {order}started_at DESC, run_id {self.limit}"


def compile_filter(expression: str, names: Names) -> Filter:
    """Return the filter in DuckDB's words.

    Parameters
    ----------
    expression : str
        SQL over `runs`, parameters and metrics; it may end in ``order by … limit n``. NaN is no
        number here: it is never greater than a limit, and comes last in an order; ``isnan(loss)``
        finds it.
    names : Names
        What the journal knows.

    Raises
    ------
    QueryError
        If a name is unknown or may mean two things, or the brackets do not match.
    """
    tokens = tokenize(expression)
    order, limit = _split(tokens)
    compiler = _Compiler(tokens, names)
    words = [compiler.word(index) for index in range(len(tokens))]
    return Filter(
        condition=" ".join(words[:order]),
        order=" ".join(words[order:limit]),
        limit=" ".join(words[limit:]),
        named=list(compiler.named.items()),
        says_status=compiler.says_status,
    )


def _split(tokens: list[Token]) -> tuple[int, int]:
    """Return where the order and the limit begin, outside all brackets."""
    depth = 0
    order = limit = len(tokens)
    for index, token in enumerate(tokens):
        depth += (token.text == "(") - (token.text == ")")
        if depth < 0:
            break
        follows = tokens[index + 1].word if index + 1 < len(tokens) else ""
        if depth == 0 and token.word == "order" and follows == "by":
            order = min(order, index)
        if depth == 0 and token.word == "limit" and follows.isdigit():
            limit = min(limit, index)
    if depth:
        raise QueryError("The brackets of the filter do not match.")
    return min(order, limit), limit


class _Compiler:
    def __init__(self, tokens: list[Token], names: Names) -> None:
        self.tokens = tokens
        self.names = names
        self.named: dict[str, str] = {}
        self.says_status = False

    def word(self, index: int) -> str:
        """Return what stands for a token in DuckDB's words."""
        token = self.tokens[index]
        if token.kind != "name":
            return token.text
        is_plain = len(token.parts) == 1 and not token.is_quoted
        is_call = self._text(index + 1) == "("
        if is_plain and (token.word in _KEYWORDS or (is_call and token.word != "in")):
            # A parameter named like a keyword is written params.x or in quotes.
            return token.text
        if is_plain and self._text(index - 1) == "::":
            return token.text  # a type
        return self._column(token, index)

    def _text(self, index: int) -> str:
        return self.tokens[index].word if 0 <= index < len(self.tokens) else ""

    def _column(self, token: Token, index: int) -> str:
        kind, name = self._resolve(token)
        if kind == "runs":
            self.says_status |= name == "status"
            return f'"{name}"'
        quoted = name.replace("'", "''")
        if kind == "metrics":
            value = f"metrics['{quoted}']"
            self._show("metrics", name, value)
            about_nan = self._text(index - 1) == "(" and self._text(index - 2) in _ABOUT_NAN
            return value if about_nan else f"CASE WHEN NOT isnan({value}) THEN {value} END"
        value = f"params['{quoted}']"
        self._show("params", name, value)
        sense = self._sense(index) or self.names.params[name]
        if sense == "number":
            return f"TRY_CAST({value} ->> '$' AS DOUBLE)"
        if sense == "truth":
            return f"TRY_CAST({value} ->> '$' AS BOOLEAN)"
        return f"({value} ->> '$')"

    def _show(self, home: str, name: str, value: str) -> None:
        is_shared = name in self.names.params and name in self.names.metrics
        self.named[f"{home}.{name}" if is_shared else name] = value

    def _sense(self, index: int) -> Sense | None:
        """Tell from its neighbours what a parameter is compared as."""
        following, behind = self._operand_after(index)
        preceding, before = self._operand_before(index)
        for operator, operand in ((following, behind), (preceding, before)):
            if operand is not None and (operand.kind == "text" or operator in _TEXT_WORDS):
                return "text"
            if operand is not None and operand.word in _TRUTHS:
                return "truth"
        for operator, operand in ((following, behind), (preceding, before)):
            if operator in _ARITHMETIC or (operand is not None and operand.kind == "number"):
                return "number"
        return None

    def _operand_after(self, index: int) -> tuple[str, Token | None]:
        position = index + 1
        operator = ""
        while self._text(position) in _COMPARISONS | _ARITHMETIC | _TEXT_WORDS | {
            *("(", "not", "is", "to", "similar", "distinct", "from")
        }:
            if not operator and self._text(position) not in {"(", "not"}:
                operator = self._text(position)
            position += 1
        if not operator or position >= len(self.tokens):
            return operator, None
        return operator, self.tokens[position]

    def _operand_before(self, index: int) -> tuple[str, Token | None]:
        operator = self._text(index - 1)
        if operator in _COMPARISONS | _ARITHMETIC | {"||"} and index >= 2:  # noqa: PLR2004  # x < y
            return operator, self.tokens[index - 2]
        return "", None

    def _resolve(self, token: Token) -> tuple[Literal["runs", "params", "metrics"], str]:
        parts = token.parts
        name = ".".join(parts)
        if len(parts) > 1:
            space, rest = parts[0].lower(), ".".join(parts[1:])
            if space == "params" and name not in self.names.params:
                return "params", _known(rest, self.names.params, "parameter")
            if space == "metrics" and name not in self.names.metrics:
                return "metrics", _known(rest, self.names.metrics, "metric")
            if space == "runs":
                return "runs", _known(rest, COLUMNS, "column")
        return self._resolve_bare(name)

    def _resolve_bare(self, name: str) -> tuple[Literal["runs", "params", "metrics"], str]:
        candidates: list[tuple[Literal["runs", "params", "metrics"], str]] = []
        homes: tuple[tuple[Literal["runs", "params", "metrics"], Iterable[str]], ...] = (
            ("runs", COLUMNS),
            ("params", self.names.params),
            ("metrics", self.names.metrics),
        )
        for home, known in homes:
            candidates += [
                (home, other) for other in sorted(known) if other.lower() == name.lower()
            ]
        if ("runs", "seed") in candidates and ("params", "seed") in candidates:
            candidates.remove(("params", "seed"))  # the column is this parameter
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            meanings = " or ".join(f"{home}.{_written(other)}" for home, other in candidates)
            msg = f"{name!r} could mean two things: write {meanings}."
            raise QueryError(msg)
        every = [*COLUMNS, *self.names.params, *self.names.metrics]
        msg = (
            f"There is no column, parameter or metric {name!r}; "
            f"{nearest(name, [_written(other) for other in every])}"
        )
        raise QueryError(msg)


def _known(name: str, known: Iterable[str], what: str) -> str:
    names = set(known)
    if name in names:
        return name
    folded = [other for other in names if other.lower() == name.lower()]
    if len(folded) == 1:
        return folded[0]
    msg = f"There is no {what} {name!r}; {nearest(name, names)}"
    raise QueryError(msg)


def _written(name: str) -> str:
    """Return a name as a filter must have it: in quotes where it is no plain word."""
    is_plain = all(part.isidentifier() for part in name.split("."))
    return name if is_plain and name.lower() not in _KEYWORDS else f'"{name}"'
