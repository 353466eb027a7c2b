"""Looking into live functions, classes and code objects, without running any of their code."""

from __future__ import annotations

import functools
import reprlib
import sys
import types
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.identity.constants import WRAPPED, attributes_of, builtin_fingerprint
from pytest_kepler.identity.normal_form import Definition, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def library_name(value: Any) -> str:
    """Return what an installed object is called: its package and its name, not its module."""
    module = getattr(value, "__module__", None)
    if not isinstance(module, str):
        owner = getattr(value, "__objclass__", None) or getattr(value, "__self__", None)
        module = getattr(owner, "__name__", "") if owner is not None else ""
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", "")
    return f"{str(module).partition('.')[0]}:{name}"


def is_made_by_pytest(value: object) -> bool:
    """Tell whether an object is of one of pytest's own types: a fixture, a mark."""
    return type(value).__module__.partition(".")[0] == "_pytest"


def cells_of(function: types.FunctionType) -> dict[str, Any]:
    """Return what a function's closure holds, by name."""
    cells = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            cells[name] = cell.cell_contents
        except ValueError:
            continue  # not filled yet
    return cells


def held_objects(value: Any) -> list[Any]:
    """Return the objects that one holds directly."""
    if isinstance(value, types.FunctionType):
        return [*cells_of(value).values(), *vars(value).values()]
    if isinstance(value, dict | types.MappingProxyType):
        return list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    return list(attributes_of(value).values())


def functions_in_attribute(value: Any) -> Iterator[types.FunctionType]:
    """Yield the functions of a class's attribute: itself, or what a descriptor holds."""
    if isinstance(value, types.FunctionType):
        yield value
    elif isinstance(value, staticmethod | classmethod):
        yield from functions_in_attribute(value.__func__)
    elif isinstance(value, property):
        for one in (value.fget, value.fset, value.fdel):
            yield from functions_in_attribute(one)
    elif isinstance(value, functools.cached_property | functools.partialmethod):
        yield from functions_in_attribute(value.func)
    elif value is not None and not isinstance(value, type | types.ModuleType):
        for name in WRAPPED:
            yield from functions_in_attribute(attributes_of(value).get(name))


def functions_in_class(cls: type) -> Iterator[types.FunctionType]:
    """Yield the functions among a class's attributes."""
    for value in vars(cls).values():
        yield from functions_in_attribute(value)


def globals_of(cls: type) -> dict[str, Any]:
    """Return the variables of the module that a class was written in.

    By its own methods, where it has some: of several modules of one name, such as conftest
    files, ``sys.modules`` has the last one only.
    """
    functions = list(functions_in_class(cls))
    for function in functions:
        is_own = function.__qualname__.startswith(f"{cls.__qualname__}.")
        if is_own and function.__globals__.get("__name__") == cls.__module__:
            return function.__globals__
    module = sys.modules.get(cls.__module__)
    if module is not None:
        return vars(module)
    return functions[0].__globals__ if functions else {}


def definition_at(found: Iterable[Definition], code: types.CodeType) -> Definition | None:
    """Pick the lambda of a line by the place of its body."""
    places = [
        (line, column, end_line, end_column)
        for line, end_line, column, end_column in code.co_positions()
        if None not in (line, end_line, column, end_column)
        and (line, column) != (end_line, end_column)
    ]
    if not places:
        return None  # compiled without columns
    start = min((line, column) for line, column, _, _ in places)
    end = max((line, column) for _, _, line, column in places)
    around = [
        one
        for one in found
        if len(one.span) == 4 and tuple(one.span[:2]) <= start and end <= tuple(one.span[2:])  # noqa: PLR2004
    ]
    # The innermost of those around it.
    return max(around, key=lambda one: (*one.span[:2], -one.span[2], -one.span[3]), default=None)


def compiled_digest(code: types.CodeType) -> str:
    """Return the digest of compiled code, for want of its source."""
    tokens = [code.co_name, code.co_code.hex(), *code.co_names, *code.co_varnames]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            tokens.append(compiled_digest(constant))
        else:
            # Not repr: a set's order differs between processes.
            tokens.append(builtin_fingerprint(constant))
    return digest_of(*tokens)


def compiled_refs(code: types.CodeType) -> list[str]:
    """Return the names that compiled code may look up."""
    refs = [*code.co_names, *code.co_freevars]
    # Which name is an attribute of which is not told apart: try each of each.
    refs += [f"{one}.{other}" for one in code.co_names for other in code.co_names if one != other]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            refs += compiled_refs(constant)
    return refs


def shown_value(value: object) -> str:
    """Return a short text of a value, for people."""
    if type(value).__module__.partition(".")[0] in {"builtins", "numpy", "pathlib"}:
        try:
            return _SHORT.repr(value)
        except Exception:  # noqa: BLE001 - a value inside may have a broken __repr__
            return f"<{type(value).__qualname__}>"
    return f"<{type(value).__qualname__}>"


_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = 20
