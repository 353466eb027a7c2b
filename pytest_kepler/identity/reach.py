"""From a live function or class to the user's code that it reaches.

Each function, class, module and value is a :class:`Part`. A part is expanded when it is first
asked for: its own digest comes from the source file's table, its edges from looking up the names
in that table among the live objects (globals, a closure's cells, modules, defaults).
"""

from __future__ import annotations

import enum
import functools
import importlib.util
import inspect
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pytest_kepler.identity.constants import ConstantReader, attributes_of
from pytest_kepler.identity.live_objects import (
    cells_of,
    compiled_digest,
    compiled_refs,
    definition_at,
    functions_in_attribute,
    functions_in_class,
    globals_of,
    held_objects,
    is_made_by_pytest,
    library_name,
    shown_value,
)
from pytest_kepler.identity.normal_form import (
    GLOBAL,
    Definition,
    Import,
    digest_of,
    may_read_annotations,
)
from pytest_kepler.identity.source_files import SourceFiles, find_module_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pytest_kepler.identity.normal_form import FileTable

#: Packages whose decorators say how a test runs, not what it computes.
_PYTESTS: Final = frozenset({"pytest", "_pytest", "pytest_asyncio", "pytest_kepler"})
#: Variables that a module has by itself: they say where it lies.
_PLACE_NAMES: Final = frozenset(
    {
        "__builtins__",
        "__cached__",
        "__doc__",
        "__file__",
        "__loader__",
        "__name__",
        "__package__",
        "__path__",
        "__spec__",
    }
)
#: Functions of a module that pytest calls before its tests, without a fixture's mark.
_MODULE_SETUP: Final = ("setUpModule", "setup_module", "setup_function")
_LONGEST_CHASE: Final = 20
_DEEPEST_HOLD: Final = 4
_WIDEST_HOLD: Final = 256
_LIBRARY_CALLABLES: Final = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
)


@dataclass(slots=True, eq=False)
class Part:
    """One function, class, module or value in a closure.

    ``expand`` fills the rest when it is called; it is called once.
    """

    module: str
    name: str
    expand: Callable[[Part], None]
    own: str = ""
    edges: list[Part] = field(default_factory=list)
    opaque: str = ""
    source: Callable[[], str] = str
    is_expanded: bool = False

    def expanded(self) -> Part:
        """Return the part, with its digest and edges."""
        if not self.is_expanded:
            self.is_expanded = True
            self.expand(self)
        return self


@dataclass(slots=True)
class _Names:
    """The names that a piece of code sees: its module's variables and its closure's cells."""

    variables: dict[str, Any]
    cells: dict[str, Any]


class _Found(NamedTuple):
    """What a dotted name led to; ``variables`` of the module that has it, None for a cell."""

    is_there: bool
    value: object
    variables: dict[str, Any] | None
    name: str
    label: str


@dataclass(slots=True)
class _Content:
    """What a part is being made of."""

    tokens: list[str] = field(default_factory=list)
    edges: list[Part] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    opaque: str = ""

    def refer(self, label: str, target: Part | str) -> None:
        if isinstance(target, Part):
            self.tokens.append(label)
            self.edges.append(target)
        else:
            self.tokens.append(f"{label} is {target}")

    def fill(self, part: Part) -> None:
        part.own = digest_of(*self.tokens)
        part.edges = self.edges
        part.opaque = part.opaque or self.opaque


class Reach:
    """Makes the parts; one for each object a session.

    Parameters
    ----------
    files : SourceFiles
        The source files and their tables.
    constants : ConstantReader
        Reads values.
    """

    def __init__(self, files: SourceFiles, constants: ConstantReader) -> None:
        self._files = files
        self._constants = constants
        self._parts: dict[object, Part] = {}
        # A part is known by its object's id, which stays the object's only while it is alive.
        self._alive: list[object] = []
        self._targets: dict[tuple[int, str], Part | str] = {}
        self._own_modules: dict[int, bool] = {}
        self._module_files: dict[str, str] = {}

    # Which code is whose

    def code(self, value: object, name: str) -> Part | str | None:
        """Return the part of a user's function, class or module, a label for an installed one.

        None if the value is no code.
        """
        if isinstance(value, types.FunctionType):
            return self._function_or_label(value, name)
        if isinstance(value, type):
            return self.class_part(value) if self.is_own_class(value) else library_name(value)
        if isinstance(value, types.ModuleType):
            if self.is_own_module(value):
                return self._module_part(self._files.module_file(vars(value)), value.__name__)
            return f"module {value.__name__}"
        return library_name(value) if isinstance(value, _LIBRARY_CALLABLES) else None

    def _function_or_label(self, function: types.FunctionType, name: str) -> Part | str:
        if self._is_own_function(function):
            return self.function_part(function, name)
        return self._held_part(function) or library_name(function)

    def _is_own_function(self, function: types.FunctionType) -> bool:
        filename = function.__code__.co_filename
        if filename.startswith("<"):  # made by exec, or in a notebook: its module tells
            return self._is_own_namespace(function.__globals__)
        return self._files.is_own(filename)

    def _module_file(self, name: str) -> str:
        if name not in self._module_files:
            self._module_files[name] = find_module_file(name)
        return self._module_files[name]

    def _is_own_namespace(self, variables: Mapping[str, Any]) -> bool:
        filename = self._files.module_file(variables)
        if filename:
            return self._files.is_own(filename)
        if variables.get("__name__") == "__main__":
            return True
        # A namespace package has folders only.
        return any(self._files.is_own(str(path)) for path in variables.get("__path__") or ())

    def is_own_module(self, module: types.ModuleType) -> bool:
        """Tell whether a module is the user's own."""
        known = self._own_modules.get(id(module))
        if known is None:
            known = self._own_modules[id(module)] = self._is_own_namespace(vars(module))
            self._alive.append(module)
        return known

    def is_own_class(self, cls: type) -> bool:
        """Tell whether a class is the user's own."""
        module = sys.modules.get(cls.__module__)
        if module is not None:
            return self.is_own_module(module)
        return any(self._is_own_function(function) for function in functions_in_class(cls))

    def held(self, value: object) -> list[Part]:
        """Return the user's code that an installed library's object holds."""
        return list(dict.fromkeys(self._held(value, _DEEPEST_HOLD, set())))

    def _held(self, value: object, depth: int, seen: set[int]) -> Iterator[Part]:
        if depth < 0 or id(value) in seen:
            return
        seen.add(id(value))
        is_code = isinstance(value, types.FunctionType | type | types.ModuleType)
        if isinstance(value, types.FunctionType) and self._is_own_function(value):
            yield self.function_part(value, value.__qualname__)
        elif isinstance(value, type) and self.is_own_class(value):
            yield self.class_part(value)
        elif isinstance(value, types.FunctionType) or not is_code:
            for one in held_objects(value)[:_WIDEST_HOLD]:
                yield from self._held(one, depth - 1, seen)

    def _held_part(self, function: types.FunctionType) -> Part | None:
        # Only what wraps the user's code: a library's own registries may know some of it, too,
        # by chance of what else was imported.
        if not self._wraps_own(function, _DEEPEST_HOLD):
            return None
        held = self.held(function)

        def expand(part: Part) -> None:
            part.own = digest_of("wrapper", library_name(function))
            part.edges = held

        return self._known(id(function), function, lambda: Part("", "", expand))

    def _wraps_own(self, function: types.FunctionType, depth: int) -> bool:
        for one in (attributes_of(function).get("__wrapped__"), *cells_of(function).values()):
            if isinstance(one, types.FunctionType):
                if self._is_own_function(one) or (depth and self._wraps_own(one, depth - 1)):
                    return True
            elif isinstance(one, type) and self.is_own_class(one):
                return True
        return False

    def _known(self, key: object, value: object, make: Callable[[], Part]) -> Part:
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = make()
            self._alive.append(value)
        return part

    # Functions

    def test_part(self, function: Callable[..., Any], cls: type | None) -> Part:
        """Return the part that a test's closure starts from: its name, function and class."""
        name = str(getattr(function, "__name__", type(function).__name__))
        qualname = self._qualname(function)

        def expand(part: Part) -> None:
            content = _Content(["test", part.name])
            if isinstance(function, types.FunctionType):
                in_class = cls is not None
                content.edges.append(self.function_part(function, qualname, in_class=in_class))
            else:  # a partial, an instance that can be called, a wrapper
                self._add_value(content, function, name)
            if cls is not None:
                self._test_classes(content, function, cls)
            self._add_module_setup(content, function, cls)
            content.fill(part)

        shown = f"{cls.__qualname__}.{name}" if cls else qualname
        module = str(getattr(function, "__module__", ""))
        make = functools.partial(Part, module, shown, expand)
        return self._known(("test", id(function), id(cls)), (function, cls), make)

    def _add_module_setup(
        self, content: _Content, function: Callable[..., Any], cls: type | None
    ) -> None:
        """Add what pytest calls before each test of a module: ``setup_module`` and its kin."""
        variables = getattr(function, "__globals__", {})
        for name in _MODULE_SETUP:
            if cls is not None and name == "setup_function":
                continue
            if isinstance(variables.get(name), types.FunctionType):
                self._follow(content, _Names(variables, {}), name)

    def function_part(
        self, function: types.FunctionType, name: str, *, in_class: bool = False
    ) -> Part:
        """Return the part of a function; a lambda is called by `name`.

        A method that is reached through its class (`in_class`) leaves the class to its part.
        """

        def make() -> Part:
            qualname = self._qualname(function)
            shown = name if "<lambda>" in qualname else qualname
            expand = functools.partial(self._expand_function, function, in_class)
            return Part(function.__module__ or "", shown, expand)

        return self._known((id(function), in_class), function, make)

    def _expand_function(self, function: types.FunctionType, in_class: bool, part: Part) -> None:
        code = function.__code__
        names = _Names(self._variables_of(function), cells_of(function))
        content = _Content()
        definition = self._definition_of(code)
        if definition is None:
            part.opaque = (
                "its source text was not found: its compiled form counts, "
                "which differs between versions of Python"
            )
            content.tokens.append(compiled_digest(code))
            self._follow_all(content, names, compiled_refs(code))
        else:
            part.source = functools.partial(
                self._files.source, code.co_filename, definition.first_line, definition.last_line
            )
            self._add_definition(content, names, definition)
        self._add_defaults(content, function, part)
        if not in_class and "__class__" in names.cells:  # it calls super()
            self._follow(content, names, "__class__")
        wrapped = vars(function).get("__wrapped__")
        if wrapped is not None:
            self._add_value(content, wrapped, f"{part.name}.__wrapped__")
        content.fill(part)

    def _qualname(self, function: Callable[..., Any]) -> str:
        """Return the qualified name, by the source: a decorator may have put its own there."""
        if isinstance(function, types.FunctionType):
            definition = self._definition_of(function.__code__)
            if definition is not None:
                return definition.qualname
        return str(getattr(function, "__qualname__", type(function).__qualname__))

    def _variables_of(self, function: types.FunctionType) -> dict[str, Any]:
        """Return the variables of the module that a function was written in.

        Hypothesis makes a function of its own that passes for the user's, file and line included,
        but has the library's globals.
        """
        variables = function.__globals__
        filename = function.__code__.co_filename
        if self._files.module_file(variables) == filename:
            return variables
        module = sys.modules.get(function.__module__ or "")
        if module is not None and self._files.module_file(vars(module)) == filename:
            return vars(module)
        return variables

    def _definition_of(self, code: types.CodeType) -> Definition | None:
        table = self._files.table(code.co_filename)
        if table is None:
            return None
        found = table.at(code.co_firstlineno, code.co_name)
        if len(found) <= 1:
            return found[0] if found else None
        return definition_at(found, code)

    def _add_definition(
        self,
        content: _Content,
        names: _Names,
        definition: Definition,
        skip: frozenset[type] = frozenset(),
    ) -> None:
        content.tokens.append(definition.digest)
        for decorator in definition.decorators:
            if decorator.name and self._is_pytests(names, decorator.name):
                continue
            content.tokens.append(decorator.digest)
            self._follow_all(content, names, decorator.refs)
            if definition.annotations.digest and may_read_annotations(decorator):
                content.tokens.append(definition.annotations.digest)
                self._follow_all(content, names, definition.annotations.refs)
        self._follow_all(content, names, definition.refs, skip)
        self._add_imports(content, definition.imports, _package(names.variables))

    def _is_pytests(self, names: _Names, chain: str) -> bool:
        value = self._walk(names, chain).value
        while isinstance(value, functools.partial):
            value = value.func
        if isinstance(value, types.ModuleType):
            home = value.__name__
        elif isinstance(value, types.FunctionType | type):
            home = value.__module__
        else:
            home = type(value).__module__
        return str(home).partition(".")[0] in _PYTESTS

    def _add_defaults(self, content: _Content, function: types.FunctionType, part: Part) -> None:
        by_keyword = function.__kwdefaults__ or {}
        for value in [*(function.__defaults__ or ()), *(by_keyword[k] for k in sorted(by_keyword))]:
            self._add_value(content, value, f"{part.name}, a default")

    def _add_value(self, content: _Content, value: object, where: str) -> None:
        reading = self._constants.read(value, where, self)
        content.tokens.append(reading.digest)
        content.edges += reading.parts
        content.opaque = content.opaque or reading.unreadable

    # Names

    def _follow_all(
        self,
        content: _Content,
        names: _Names,
        chains: Iterable[str],
        skip: frozenset[type] = frozenset(),
    ) -> None:
        for chain in chains:
            self._follow(content, names, chain, skip)

    def _follow(
        self,
        content: _Content,
        names: _Names,
        chain: str,
        skip: frozenset[type] = frozenset(),
    ) -> None:
        """Add what a dotted name stands for."""
        found = self._walk(names, chain)
        label = found.label
        if label in content.seen:
            return
        content.seen.add(label)
        if not found.is_there:  # a builtin, or not there yet
            if "__getattr__" in (found.variables or ()):
                content.opaque = content.opaque or f"{label} comes from its module's __getattr__"
        elif isinstance(found.value, type) and found.value in skip:
            content.tokens.append(label)
        elif found.variables is None:
            self._add_cell(content, label, found.value)
        else:
            content.refer(label, self._target(found.variables, found.name, found.value))

    def _walk(self, names: _Names, chain: str) -> _Found:
        """Walk a dotted name through the user's modules, as far as they go."""
        first, _, rest = chain.partition(".")
        if first in names.cells:
            variables, value, is_there = None, names.cells[first], True
        else:
            first = first.removeprefix(GLOBAL)
            variables = names.variables
            value, is_there = variables.get(first), first in variables
        label = name = first
        while rest and isinstance(value, types.ModuleType) and self.is_own_module(value):
            module, variables = value, vars(value)
            name, _, rest = rest.partition(".")
            label = f"{label}.{name}"
            if name in variables:
                value = variables[name]
            else:
                value = sys.modules.get(f"{module.__name__}.{name}")
                is_there = value is not None
        return _Found(is_there, value, variables, name, label)

    def _add_cell(self, content: _Content, name: str, value: object) -> None:
        code = self.code(value, name)
        if code is not None:
            content.refer(name, code)
        else:
            content.tokens.append(name)
            self._add_value(content, value, f"{name}, in a closure")

    def _target(self, variables: dict[str, Any], name: str, value: object) -> Part | str:
        """Return the part or the label that a module's variable stands for."""
        if name in _PLACE_NAMES:
            return "a place"
        key = (id(variables), name)
        target = self._targets.get(key)
        if target is None:
            target = self._targets[key] = self._find_target(variables, name, value)
            self._alive.append(variables)
        return target

    def _find_target(self, variables: dict[str, Any], name: str, value: object) -> Part | str:
        code = self.code(value, name)
        if isinstance(code, Part):
            return code
        home, at, origin = self._origin(variables, name)
        # By its import rather than by the object: libraries move their insides.
        return origin or code or self._value_part(value, home, at)

    def _origin(self, variables: dict[str, Any], name: str) -> tuple[dict[str, Any], str, str]:
        """Chase a name through the imports of the user's modules.

        Returns the variables of the module that defines it, its name there, and, where that
        module is an installed one, what it is imported as.
        """
        for _ in range(_LONGEST_CHASE):
            table = self._table_of(variables)
            if table is None or name in table.assignments:
                break
            library = []
            onward = None
            for row in [*table.imports.get(name, ()), *table.imports.get("*", ())]:
                target = sys.modules.get(_absolute(row, _package(variables)))
                is_own = target is not None and self.is_own_module(target)
                there = name if row.name == "*" else row.name
                if is_own and there in vars(target):
                    onward = onward or (vars(target), there)
                elif not is_own and row.name != "*":
                    library.append(f"{'.' * row.level}{row.module}:{row.name}")
            if onward is None:
                return variables, name, "|".join(sorted(library))
            variables, name = onward
        return variables, name, ""

    def _table_of(self, variables: Mapping[str, Any]) -> FileTable | None:
        return self._files.table(self._files.module_file(variables))

    # Values

    def _value_part(self, value: object, variables: dict[str, Any], name: str) -> Part:
        module = variables.get("__name__", "")

        def make() -> Part:
            expand = functools.partial(self._expand_value, value, variables, name)
            return Part(module, name, expand, source=lambda: f"{name} = {shown_value(value)}")

        return self._known(("value", id(variables), name), (variables, value), make)

    def _expand_value(
        self, value: object, variables: dict[str, Any], name: str, part: Part
    ) -> None:
        content = _Content()
        self._add_value(content, value, name)
        if content.opaque:
            # What it was made by is the next best.
            names = _Names(variables, {})
            self._add_assignments(content, names, name)
            table = self._table_of(variables)
            for definition in table.named(name) if table else ():
                self._add_definition(content, names, definition)
        content.fill(part)

    def _add_assignments(self, content: _Content, names: _Names, name: str) -> bool:
        """Add the statements that gave a module's name its value; tell whether there are any."""
        table = self._table_of(names.variables)
        rows = table.assignments.get(name, ()) if table else ()
        for row in rows:
            content.tokens.append(row.digest)
            self._follow_all(content, names, (ref for ref in row.refs if ref != name))
        return bool(rows)

    # Classes

    def class_part(self, cls: type) -> Part:
        """Return the part of a class, with all its members and bases."""

        def make() -> Part:
            return Part(cls.__module__, cls.__qualname__, expand)

        def expand(part: Part) -> None:
            content = _Content()
            self._add_class(content, cls, part, skip=frozenset())
            for name, function in self._methods(cls):
                content.refer(name, self._method_part(cls, name, function))
            for base in cls.__bases__:
                if self.is_own_class(base):
                    content.refer("base", self.class_part(base))
            if type(cls) is not type and self.is_own_class(type(cls)):
                content.refer("metaclass", self.class_part(type(cls)))
            content.fill(part)

        return self._known(id(cls), cls, make)

    def _test_classes(self, content: _Content, function: Callable[..., Any], cls: type) -> None:
        """Add a test's class and bases, but of their tests only those that it calls itself."""
        own = [one for one in cls.__mro__ if self.is_own_class(one)]
        methods = [
            (one, name, method)
            for one in own
            for name, method in self._methods(one, fixtures=False)
            if method is not function
        ]
        called = self._called(function)
        wanted: list[tuple[type, str, types.FunctionType]] = []
        grown = True
        while grown:
            grown = False
            for entry in methods:
                _, name, method = entry
                if entry not in wanted and (not name.startswith("test") or name in called):
                    wanted.append(entry)
                    called |= self._called(method)
                    grown = True
        skip = frozenset(own)
        for one in own:
            mine = sorted((name, method) for owner, name, method in wanted if owner is one)
            content.edges.append(self._test_class_part(one, tuple(mine), skip))

    def _test_class_part(
        self, cls: type, methods: tuple[tuple[str, types.FunctionType], ...], skip: frozenset[type]
    ) -> Part:
        def expand(part: Part) -> None:
            content = _Content()
            self._add_class(content, cls, part, skip)
            for name, method in methods:
                content.refer(name, self._method_part(cls, name, method))
            content.fill(part)

        key = ("test class", id(cls), *(name for name, _ in methods), *map(id, skip))
        make = functools.partial(Part, cls.__module__, cls.__qualname__, expand)
        return self._known(key, (cls, methods, skip), make)

    def _method_part(self, cls: type, name: str, function: types.FunctionType) -> Part:
        return self.function_part(function, f"{cls.__qualname__}.{name}", in_class=True)

    def _called(self, function: Callable[..., Any]) -> set[str]:
        if not isinstance(function, types.FunctionType):
            return set()
        definition = self._definition_of(function.__code__)
        return set(definition.attributes) if definition else set(function.__code__.co_names)

    def _methods(self, cls: type, *, fixtures: bool = True) -> list[tuple[str, types.FunctionType]]:
        """Return the user's functions among a class's attributes, by name."""
        found = []
        for name, value in vars(cls).items():
            if not fixtures and is_made_by_pytest(value):
                continue
            for function in functions_in_attribute(value):
                is_made = function.__code__.co_filename.startswith("<")
                # What dataclasses and their kin make is made from the class's own text.
                if not is_made and self._is_own_function(function):
                    found.append((name, function))
        return sorted(found, key=lambda one: (one[0], one[1].__code__.co_firstlineno))

    def _add_class(self, content: _Content, cls: type, part: Part, skip: frozenset[type]) -> None:
        variables = globals_of(cls)
        names = _Names(variables, {})
        filename = self._files.module_file(variables)
        definitions = self._class_definitions(cls, self._files.table(filename))
        for definition in definitions:
            self._add_definition(content, names, definition, skip)
            part.source = functools.partial(
                self._files.source, filename, definition.first_line, definition.last_line
            )
        if not definitions:
            content.tokens += ["made class", cls.__name__, *map(library_name, cls.__bases__)]
            if not self._add_assignments(content, names, cls.__name__):
                part.opaque = "it was made at run time: its members count, not how it was made"
        written = {name for definition in definitions for name in definition.attributes}
        self._add_class_values(content, cls, written)

    def _class_definitions(self, cls: type, table: FileTable | None) -> list[Definition]:
        found = list(table.named(cls.__qualname__)) if table else []
        found = [one for one in found if one.kind == "class"]
        if len(found) <= 1:
            return found
        lines = [
            function.__code__.co_firstlineno
            for value in vars(cls).values()
            for function in functions_in_attribute(value)
        ]
        first = cls.__dict__.get("__firstlineno__")  # Python 3.13 and later
        matching = [
            one
            for one in found
            if first == one.first_line
            or any(one.first_line <= line <= one.last_line for line in lines)
        ]
        return matching[:1] if len(matching) == 1 else found

    def _add_class_values(self, content: _Content, cls: type, written: set[str]) -> None:
        if issubclass(cls, enum.Enum):
            return  # its members are what its text says
        for name in sorted(vars(cls)):
            value = vars(cls)[name]
            if (
                name.startswith("__")
                or name == "pytestmark"
                or any(True for _ in functions_in_attribute(value))
            ):
                continue
            if inspect.isdatadescriptor(value) or is_made_by_pytest(value):
                continue
            # An attribute that was set from outside counts if it is plain; what installed base
            # classes leave behind is no affair of the user's code.
            is_set = not name.startswith("_") and self._constants.is_plain(value)
            if name in written or is_set:
                reading = self._constants.read(value, name, self)
                content.tokens += [name, reading.digest]
                content.edges += reading.parts

    # Modules

    def _add_imports(self, content: _Content, imports: Iterable[Import], package: str) -> None:
        """Add the user's modules that a function imports when it runs.

        Such a module counts whole, with the user's modules that it imports: whether it is
        loaded yet depends on what else the session did, and importing it here could have effects.
        """
        for row in imports:
            for names in _imported_modules(row, package):
                found = ((name, self._module_file(name)) for name in names)
                name, filename = next((one for one in found if one[1]), ("", ""))
                if filename and self._files.is_own(filename):
                    part = self._module_part(filename, name)
                    if part not in content.edges:
                        content.edges.append(part)

    def _module_part(self, filename: str, name: str) -> Part:
        def expand(part: Part) -> None:
            content = _Content()
            table = self._files.table(filename)
            if table is None:
                part.opaque = "its source text was not found"
            else:
                content.tokens.append(table.digest)
                is_package = Path(filename).stem == "__init__"
                package = name if is_package else name.rpartition(".")[0]
                self._add_imports(content, table.all_imports, package)
            content.fill(part)

        make = functools.partial(Part, name, "", expand)
        return self._known(("module", filename, name), filename, make)


def _package(variables: Mapping[str, Any]) -> str:
    package = variables.get("__package__")
    if isinstance(package, str):
        return package
    return str(variables.get("__name__", "")).rpartition(".")[0]


def _absolute(row: Import, package: str) -> str:
    return _absolute_name(row.module, package, row.level)


def _absolute_name(module: str, package: str, level: int) -> str:
    if not level:
        return module
    try:
        return importlib.util.resolve_name("." * level + module, package)
    except ImportError:
        return module


def _imported_modules(row: Import, package: str) -> Iterator[tuple[str, ...]]:
    """Yield the modules that an import statement is for, those of which the first has a file.

    Of ``from a.b import c`` the module ``a.b.c``, else ``a.b``. What the packages around it do
    when they are imported does not count, as it does not for an import at a module's top.
    ``import a.b`` gives the name ``a``, by which all of them can be reached.
    """
    name = _absolute(row, package)
    if row.name == "":
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            yield (".".join(parts[:count]),)
    elif row.name == "*":
        yield (name,)
    else:
        yield (f"{name}.{row.name}", name)
