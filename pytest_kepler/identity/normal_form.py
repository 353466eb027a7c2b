"""Source text to normal form: digests that see what code does, not how it is written.

One walk over a file's syntax tree gives a :class:`FileTable`: for each function, class and lambda
a digest and the outer names that it uses; for each module-level name its assignments and imports.
Comments, formatting, docstrings, statements without effect and the annotations of functions do
not enter a digest. (A decorated function's annotations do: its decorator may read them.)

The form is our own, rather than that of ``ast.dump`` or of code objects, because a table must be
the same under every Python that can parse the file.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from pytest_kepler.identity.collector import collector_paused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Raised whenever a digest or the layout of a table changes: old cached tables are then useless.
FORM_VERSION: Final = 1

#: Marks a name declared ``global``. The space keeps it apart from every identifier, so that no
#: enclosing function's local variable hides it.
GLOBAL: Final = "global "

Kind = Literal["function", "class", "lambda"]


class Import(NamedTuple):
    """One imported name: ``from ..module import name`` has level 2; ``import module`` no name."""

    level: int
    module: str
    name: str


class Expression(NamedTuple):
    """The digest of an expression or a statement, and the dotted outer names that it uses."""

    digest: str
    refs: Sequence[str]


class Decorator(NamedTuple):
    """A decorator: its digest, the outer names in it, and its own dotted name ("" if none)."""

    digest: str
    refs: Sequence[str]
    name: str


NOTHING: Final = Expression("", ())


class Definition(NamedTuple):
    """A function, a class or a lambda.

    ``first_line`` is that of the first decorator, as in code objects. ``span`` is, for a lambda,
    the place of its body: line, column, end line, end column, columns in UTF-8 bytes.
    ``digest`` leaves out the decorators and, of a class, the methods. ``attributes`` are the
    names assigned in a class's body; of a function, those read from its local names (``self.x``).
    ``annotations`` are a function's, kept apart: whether they count depends on its decorators.
    """

    kind: Kind
    qualname: str
    first_line: int
    last_line: int
    span: Sequence[int]
    digest: str
    refs: Sequence[str]
    imports: Sequence[Import]
    decorators: Sequence[Decorator]
    annotations: Expression
    attributes: Sequence[str]

    @property
    def name(self) -> str:
        """The last part of the qualified name."""
        return self.qualname.rpartition(".")[2]


class FileTable:
    """What one file defines."""

    def __init__(
        self,
        digest: str,
        definitions: list[Definition],
        assignments: dict[str, list[Expression]],
        imports: dict[str, list[Import]],
        all_imports: list[Import],
    ) -> None:
        self.digest = digest
        self.definitions = definitions
        self.assignments = assignments
        self.imports = imports
        self.all_imports = all_imports
        self._by_place: dict[tuple[int, str], list[Definition]] = {}
        self._by_qualname: dict[str, list[Definition]] = {}
        for definition in definitions:
            place = (definition.first_line, definition.name)
            self._by_place.setdefault(place, []).append(definition)
            self._by_qualname.setdefault(definition.qualname, []).append(definition)

    def at(self, first_line: int, name: str) -> Sequence[Definition]:
        """Return the definitions of that name that start in that line."""
        return self._by_place.get((first_line, name), ())

    def named(self, qualname: str) -> Sequence[Definition]:
        """Return the definitions of that qualified name, in the order of the file."""
        return self._by_qualname.get(qualname, ())

    def to_json(self) -> list[Any]:
        """Return the table as lists and dicts."""
        return [self.digest, self.definitions, self.assignments, self.imports, self.all_imports]

    @classmethod
    def from_json(cls, data: list[Any]) -> FileTable:
        """Build the table from what :meth:`to_json` gave, after a round trip through JSON."""
        digest, definitions, assignments, imports, all_imports = data
        return cls(
            digest,
            [_definition(row) for row in definitions],
            {name: [Expression(*row) for row in rows] for name, rows in assignments.items()},
            {name: [Import(*row) for row in rows] for name, rows in imports.items()},
            [Import(*row) for row in all_imports],
        )


def read_file(source: str | bytes) -> FileTable | None:
    """Return the table of a file's text, or None if this Python cannot parse it."""
    with collector_paused(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape is the file's affair, not ours
        try:
            tree = ast.parse(source)
            return _Walker().module(tree)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _definition(row: list[Any]) -> Definition:
    plain = Definition._make(row)
    return plain._replace(
        imports=[Import(*one) for one in plain.imports],
        decorators=[Decorator(*one) for one in plain.decorators],
        annotations=Expression(*plain.annotations),
    )


def digest_of(*tokens: str) -> str:
    """Return 32 hex digits over a sequence of texts; where one ends and the next begins counts."""
    text = "".join([f"{len(token)}:{token}" for token in tokens])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class _Scope:
    """Names of one scope while it is walked."""

    __slots__ = ("bound", "chains", "declared", "imports", "kind")

    def __init__(self, kind: Literal["module", "class", "function", "inner", "outer"]) -> None:
        self.kind = kind  # inner: a comprehension; outer: what a definition evaluates outside
        self.bound: set[str] = set()
        self.chains: dict[str, None] = {}
        self.declared: set[str] = set()
        self.imports: dict[Import, None] = {}

    def load(self, chain: str) -> None:
        # A class's body sees the outer name until it binds its own.
        if self.kind != "class" or chain.partition(".")[0] not in self.bound:
            self.chains[chain] = None

    def free(self) -> tuple[list[str], list[str]]:
        """Return the chains that lead out of the scope, and those that stay in it."""
        out, local = [], []
        for chain in self.chains:
            root = chain.partition(".")[0]
            if root in self.declared:
                out.append(GLOBAL + chain)
            elif root in self.bound and self.kind in {"function", "inner"}:
                local.append(chain)
            else:
                out.append(chain)
        return out, local


_IGNORED_FIELDS: Final = frozenset({"ctx", "kind", "type_comment", "type_ignores", "simple"})
_BLOCKS: Final = frozenset({"body", "orelse", "finalbody"})
_NEUTRAL_DECORATORS: Final = frozenset(
    {"property", "staticmethod", "classmethod", "setter", "getter", "deleter"}
)
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


class _Walker:
    """Writes the normal form of a tree as tokens, and collects the table on the way."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._scopes: list[_Scope] = []
        self._path: list[str] = []
        self._fields: dict[type[ast.AST], list[tuple[str, str]]] = {}
        self._definitions: list[Definition] = []
        self._assignments: dict[str, list[Expression]] = {}
        self._imports: dict[str, list[Import]] = {}
        self._all_imports: dict[Import, None] = {}
        self._special: dict[type[ast.AST], Callable[[Any], None]] = {
            ast.Name: self._name,
            ast.Attribute: self._attribute,
            ast.Constant: self._constant,
            ast.JoinedStr: self._joined,
            ast.FunctionDef: self._function,
            ast.AsyncFunctionDef: self._function,
            ast.Lambda: self._lambda,
            ast.ClassDef: self._class,
            ast.Assign: self._assign,
            ast.AnnAssign: self._annotated,
            ast.AugAssign: self._assign,
            ast.ListComp: self._comprehension,
            ast.SetComp: self._comprehension,
            ast.GeneratorExp: self._comprehension,
            ast.DictComp: self._comprehension,
            ast.NamedExpr: self._walrus,
            ast.Import: self._import,
            ast.ImportFrom: self._import,
            ast.Global: self._declare,
            ast.Nonlocal: self._declare,
            ast.ExceptHandler: self._binds_name,
            ast.MatchAs: self._binds_name,
            ast.MatchStar: self._binds_name,
            ast.MatchMapping: self._binds_rest,
        }

    def module(self, tree: ast.Module) -> FileTable:
        self._scopes.append(_Scope("module"))
        self._block(tree.body)
        return FileTable(
            _digest(self._out),
            self._definitions,
            self._assignments,
            self._imports,
            list(self._all_imports),
        )

    # The general case

    def _visit(self, node: ast.AST) -> None:
        special = self._special.get(node.__class__)
        if special is not None:
            special(node)
        else:
            self._plain(node)

    def _plain(self, node: ast.AST) -> None:
        kind = node.__class__
        out = self._out
        fields = self._fields.get(kind)
        if fields is None:
            names = [name for name in kind._fields if name not in _IGNORED_FIELDS]
            fields = self._fields[kind] = [(name, f",{name}=") for name in names]
        out.append(kind.__name__ + "(")
        for name, mark in fields:
            value = getattr(node, name, None)
            if value is None or value == []:
                continue  # absent and empty are the same under every version of Python
            if isinstance(value, ast.AST):
                out.append(mark)
                self._visit(value)
            elif not isinstance(value, list):
                out.append(mark + _literal(value))
            elif name in _BLOCKS:
                self._marked_block(mark, value)
            else:
                out.append(mark + "[")
                self._sequence(value)
                out.append("]")
        out.append(")")

    def _sequence(self, values: list[Any]) -> None:
        for value in values:
            if isinstance(value, ast.AST):
                self._visit(value)
            else:  # a None among a dict's keys or a keyword-only argument's defaults; a name
                self._out.append(_literal(value))
            self._out.append(";")

    def _marked_block(self, mark: str, statements: list[ast.stmt]) -> None:
        start = len(self._out)
        self._out.append(mark + "[")
        self._block(statements)
        if len(self._out) == start + 1:
            self._out.pop()  # ``else: pass`` is no ``else``
        else:
            self._out.append("]")

    def _block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            if not _has_no_effect(statement):
                start = len(self._out)
                self._visit(statement)
                if len(self._out) > start:  # a bare annotation writes nothing
                    self._out.append("\n")

    # Names

    def _name(self, node: ast.Name) -> None:
        self._out.append(f"Name {node.id}")
        if isinstance(node.ctx, ast.Load):
            self._scopes[-1].load(node.id)
        else:
            self._scopes[-1].bound.add(node.id)

    def _attribute(self, node: ast.Attribute) -> None:
        names = [node.attr]
        value = node.value
        while isinstance(value, ast.Attribute):
            names.append(value.attr)
            value = value.value
        if isinstance(value, ast.Name):
            names.append(value.id)
            names.reverse()
            chain = ".".join(names)
            self._scopes[-1].load(chain)
            self._out.append(f"Name {chain}")
        else:
            self._visit(value)
            names.reverse()
            self._out.append("." + ".".join(names))

    def _walrus(self, node: ast.NamedExpr) -> None:
        # In a comprehension, ``:=`` binds in the function around it.
        scope = next(scope for scope in reversed(self._scopes) if scope.kind != "inner")
        scope.bound.add(node.target.id)
        self._out.append(f"{node.target.id}:=(")
        self._visit(node.value)
        self._out.append(")")

    def _binds_name(self, node: ast.ExceptHandler | ast.MatchAs | ast.MatchStar) -> None:
        if node.name is not None:
            self._scopes[-1].bound.add(node.name)
        self._plain(node)

    def _binds_rest(self, node: ast.MatchMapping) -> None:
        if node.rest is not None:
            self._scopes[-1].bound.add(node.rest)
        self._plain(node)

    def _declare(self, node: ast.Global | ast.Nonlocal) -> None:
        scope = self._scopes[-1]
        if isinstance(node, ast.Global) and scope.kind != "module":
            scope.declared.update(node.names)
        self._plain(node)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if isinstance(node, ast.Import):
                found = Import(0, alias.name, "")
                bound = alias.asname or alias.name.partition(".")[0]
                target = found if alias.asname else Import(0, bound, "")
            else:
                found = target = Import(node.level, node.module or "", alias.name)
                bound = alias.asname or alias.name
            self._all_imports[found] = None
            scope = self._scopes[-1]
            if scope.kind == "module":
                self._imports.setdefault(bound, []).append(target)
            else:
                scope.imports[found] = None
            scope.bound.add(bound)
        self._plain(node)

    # Constants

    def _constant(self, node: ast.Constant) -> None:
        self._out.append(_literal(node.value))

    def _joined(self, node: ast.JoinedStr) -> None:
        """Write an f-string; versions of Python cut its constant pieces differently."""
        if all(isinstance(value, ast.Constant) for value in node.values):
            self._out.append(_literal("".join(value.value for value in node.values)))  # type: ignore[attr-defined]
            return
        self._out.append("f(")
        pieces: list[str] = []
        for value in node.values:
            if isinstance(value, ast.Constant):
                pieces.append(str(value.value))
                continue
            self._flush(pieces)
            if isinstance(value, ast.FormattedValue):
                self._formatted(value)
            else:
                self._visit(value)
        self._flush(pieces)
        self._out.append(")")

    def _flush(self, pieces: list[str]) -> None:
        text = "".join(pieces)
        if text:
            self._out.append(_literal(text))
        pieces.clear()

    def _formatted(self, node: ast.FormattedValue) -> None:
        self._out.append("{")
        self._visit(node.value)
        self._out.append(f"!{node.conversion}")
        if node.format_spec is not None and getattr(node.format_spec, "values", None):
            self._out.append(":")
            self._visit(node.format_spec)
        self._out.append("}")

    # Statements that the table knows

    def _assign(self, node: ast.Assign | ast.AugAssign) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]

        def write() -> None:
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                self._scopes[-1].load(node.target.id)  # read before it is written
            self._plain(node)

        self._assigned(targets, write)

    def _annotated(self, node: ast.AnnAssign) -> None:
        if self._scopes[-1].kind == "class":
            self._class_annotation(node)
        elif node.value is None:
            if isinstance(node.target, ast.Name):
                self._scopes[-1].bound.add(node.target.id)
        else:
            plain = ast.Assign(targets=[node.target], value=node.value)
            self._assigned([node.target], lambda: self._plain(plain))

    def _class_annotation(self, node: ast.AnnAssign) -> None:
        # Dataclasses and their kin make code of the annotations in a class.
        self._out.append("field(")
        annotation: ast.expr = node.annotation
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            with contextlib.suppress(SyntaxError, ValueError):
                annotation = ast.parse(annotation.value.strip(), mode="eval").body
        self._visit(annotation)
        self._out.append(" ")
        self._visit(node.target)
        if node.value is not None:
            self._out.append("=")
            self._visit(node.value)
        self._out.append(")")

    def _assigned(self, targets: Sequence[ast.expr], write: Callable[[], None]) -> None:
        if self._scopes[-1].kind != "module":
            write()
            return
        assignment = self._expression(write)
        self._out.append(assignment.digest)
        for target in targets:
            for name in ast.walk(target):
                if isinstance(name, ast.Name):  # loaded, too: ``NAME[0] = …`` makes its value
                    self._assignments.setdefault(name.id, []).append(assignment)

    # Scopes

    def _detached(self, scope: _Scope, write: Callable[[], None]) -> str:
        """Let `write` write in a scope and an output of its own; return the digest."""
        outer, self._out = self._out, []
        self._scopes.append(scope)
        try:
            write()
            return _digest(self._out)
        finally:
            self._scopes.pop()
            self._out = outer

    def _hand_on(self, chains: Sequence[str], imports: dict[Import, None]) -> None:
        scope = self._scopes[-1]
        # Not `load`: a function does not see the names of the class around it.
        scope.chains.update(dict.fromkeys(chains))
        if scope.kind != "module":
            scope.imports.update(imports)

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
    ) -> None:
        self._out.append(node.__class__.__name__ + "(")
        # The first iterable is evaluated outside.
        self._visit(node.generators[0].iter)
        scope = _Scope("inner")
        self._scopes.append(scope)
        for index, generator in enumerate(node.generators):
            self._out.append(" async for " if generator.is_async else " for ")
            self._visit(generator.target)
            if index:
                self._out.append(" in ")
                self._visit(generator.iter)
            for condition in generator.ifs:
                self._out.append(" if ")
                self._visit(condition)
        self._out.append(" : ")
        if isinstance(node, ast.DictComp):
            self._visit(node.key)
            self._out.append(":")
            self._visit(node.value)
        else:
            self._visit(node.elt)
        self._scopes.pop()
        self._out.append(")")
        self._hand_on(scope.free()[0], scope.imports)

    def _decorators(self, nodes: list[ast.expr]) -> list[Decorator]:
        found = []
        for node in nodes:
            expression = self._expression(partial(self._visit, node))
            found.append(Decorator(*expression, _dotted(node)))
        return found

    def _expression(self, write: Callable[[], None]) -> Expression:
        scope = _Scope("outer")
        digest = self._detached(scope, write)
        refs, _ = scope.free()
        self._hand_on(refs, scope.imports)
        return Expression(digest, refs)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._scopes[-1].bound.add(node.name)
        decorators = self._decorators(node.decorator_list)

        def body() -> None:
            self._block(node.body)

        label = f"{node.__class__.__name__} {node.name}"
        self._callable(node, "function", label, decorators, body)

    def _lambda(self, node: ast.Lambda) -> None:
        def body() -> None:
            self._visit(node.body)

        self._callable(node, "lambda", "lambda", [], body)

    def _callable(
        self,
        node: Any,
        kind: Kind,
        label: str,
        decorators: list[Decorator],
        body: Callable[[], None],
    ) -> None:
        outer, inner = _Scope("outer"), _Scope("function")
        local: list[str] = []
        annotations = NOTHING
        if any(may_read_annotations(one) for one in decorators):
            annotations = self._expression(lambda: self._annotations(node))

        def write() -> None:
            self._out.append(label)
            self._type_params(node, inner)
            self._signature(node.args, inner)
            self._scopes.append(inner)
            body()
            self._scopes.pop()
            free, stays = inner.free()
            local.extend(stays)
            self._hand_on(free, inner.imports)

        self._path.append("<lambda>" if kind == "lambda" else node.name)
        qualname = ".".join(self._path)
        self._path.append("<locals>")
        digest = self._detached(outer, write)
        del self._path[-2:]
        refs, _ = outer.free()
        self._definitions.append(
            Definition(
                kind,
                qualname,
                _first_line(node),
                node.end_lineno or node.lineno,
                _span(node.body) if kind == "lambda" else (),
                digest,
                refs,
                list(outer.imports),
                decorators,
                annotations,
                sorted({chain.split(".")[1] for chain in local if "." in chain}),
            )
        )
        self._hand_on(refs, outer.imports)
        whole = digest_of(digest, annotations.digest, *(one.digest for one in decorators))
        self._out.append(whole)

    def _signature(self, args: ast.arguments, scope: _Scope) -> None:
        out = self._out
        groups = (
            ("/", args.posonlyargs),
            ("", args.args),
            ("*", [args.vararg] if args.vararg else []),
            ("=", args.kwonlyargs),
            ("**", [args.kwarg] if args.kwarg else []),
        )
        for mark, group in groups:
            for arg in group:
                scope.bound.add(arg.arg)
                out.append(f"{mark}{arg.arg},")
        out.append("|")
        self._sequence(args.defaults)
        out.append("|")
        self._sequence(args.kw_defaults)

    def _annotations(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        args = node.args
        named = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg]
        for annotation in [*(arg.annotation for arg in named if arg is not None), node.returns]:
            if annotation is not None:
                self._visit(annotation)
            self._out.append(",")

    def _type_params(self, node: ast.AST, scope: _Scope) -> None:
        for param in getattr(node, "type_params", ()):  # Python 3.12 and later
            scope.bound.add(param.name)
            self._plain(param)

    def _class(self, node: ast.ClassDef) -> None:
        self._scopes[-1].bound.add(node.name)
        decorators = self._decorators(node.decorator_list)
        methods: list[ast.stmt] = []
        outer, inner = _Scope("outer"), _Scope("class")
        params = _Scope("function")  # type parameters are visible in the bases and the body

        def write() -> None:
            self._scopes.append(params)
            self._out.append(f"class {node.name}(")
            self._type_params(node, params)
            self._sequence([*node.bases, *node.keywords])
            self._scopes.append(inner)
            for statement in node.body:
                if isinstance(statement, _FUNCTIONS):
                    methods.append(statement)
                    inner.bound.add(statement.name)
                elif not _has_no_effect(statement) and not _is_pytestmark(statement):
                    self._visit(statement)
                    self._out.append("\n")
            self._scopes.pop()
            self._hand_on(inner.free()[0], inner.imports)
            self._scopes.pop()
            self._hand_on(params.free()[0], params.imports)

        self._path.append(node.name)
        qualname = ".".join(self._path)
        digest = self._detached(outer, write)
        refs, _ = outer.free()
        around = _Scope("outer")
        self._scopes.append(params)
        members = self._detached(around, lambda: self._block(methods))
        self._scopes.pop()
        self._path.pop()
        self._definitions.append(
            Definition(
                "class",
                qualname,
                _first_line(node),
                node.end_lineno or node.lineno,
                (),
                digest,
                refs,
                list(outer.imports),
                decorators,
                NOTHING,
                sorted(inner.bound),
            )
        )
        self._hand_on(refs, outer.imports)
        self._hand_on(around.free()[0], around.imports)
        self._out.append(digest_of(digest, members, *(one.digest for one in decorators)))


def may_read_annotations(decorator: Decorator) -> bool:
    """Tell whether a decorator could look at the annotations of its function."""
    return decorator.name.rpartition(".")[2] not in _NEUTRAL_DECORATORS


def _digest(tokens: list[str]) -> str:
    text = "".join(tokens)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _literal(value: object) -> str:
    # Not repr: it depends on the version of Unicode, and refuses large integers.
    if isinstance(value, str):
        return ascii(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return hex(value)
    return repr(value)


def _has_no_effect(statement: ast.stmt) -> bool:
    """Tell whether a statement does nothing: a docstring, ``...`` or ``pass``."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Pass)


def _is_pytestmark(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    else:
        return False
    return any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in targets)


def _dotted(node: ast.expr) -> str:
    """Return the dotted name of a decorator, without its arguments; "" if it has none."""
    if isinstance(node, ast.Call):
        node = node.func
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    names.append(node.id)
    return ".".join(reversed(names))


def _first_line(node: Any) -> int:
    decorators: Sequence[ast.expr] = getattr(node, "decorator_list", ())
    line: int = node.lineno
    return min([line, *(one.lineno for one in decorators)])


def _span(node: ast.expr) -> tuple[int, int, int, int]:
    end_line = node.end_lineno or node.lineno
    return node.lineno, node.col_offset, end_line, node.end_col_offset or node.col_offset
