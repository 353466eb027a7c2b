"""Classes, functions, modules and plain objects as canonical content.

What the user wrote counts by its code, what is installed by its name. Attributes are taken from
where they lie; no method of the object is called, so that one which raises does no harm.
"""

from __future__ import annotations

import collections
import enum
import functools
import importlib.metadata
import io
import sys
import threading
import types
from typing import TYPE_CHECKING, Any

from pytest_kepler.errors import UnreadableValueError
from pytest_kepler.identity.framing import SCALARS, Framed, Kind
from pytest_kepler.identity.source_files import SourceFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_kepler.identity.framing import Leaf, Walk

_POINTER = 8
_BUILTIN_BASES = (tuple, list, dict, set, frozenset, str, bytes, int, float, complex)
_METHODS = (
    types.BuiltinFunctionType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
)
_DATABASES = frozenset(
    {"sqlite3", "_sqlite3", "duckdb", "_duckdb", "psycopg", "psycopg2", "sqlalchemy", "pymysql"}
)
#: Streams of other libraries: (package, class) and what they are called.
_STREAMS: Mapping[tuple[str, str], str] = {
    ("socket", "socket"): "a socket",
    ("_socket", "socket"): "a socket",
    ("_thread", "lock"): "a lock",
    ("_thread", "RLock"): "a lock",
    ("tensorflow", "DatasetV2"): "a tf.data.Dataset",
    ("torch", "DataLoader"): "a torch DataLoader",
    ("polars", "LazyFrame"): "a polars LazyFrame",
    ("pyarrow", "RecordBatchReader"): "an Arrow stream",
    ("pyarrow", "Dataset"): "an Arrow dataset",
}
_MAY_RAISE = (AttributeError, TypeError, ValueError)


def roots_of(cls: type) -> frozenset[str]:
    """Return the top-level packages that made a class and its bases."""
    modules = map(_module_of, cls.__mro__)
    return frozenset(module.partition(".")[0] for module in modules if isinstance(module, str))


# The getter of `type` itself: a metaclass, or a property of the class, may have put its own.
_module_of = type.__dict__["__module__"].__get__


def is_installed(module: str) -> bool:
    """Tell whether a module is Python's, in site-packages or ours: anything but the user's."""
    if module == "__main__":
        return False
    top = module.partition(".")[0]
    file = getattr(sys.modules.get(module) or sys.modules.get(top), "__file__", None)
    if isinstance(file, str):
        # The file decides: a user's `profile.py` has the name of one of Python's.
        return not _sources().is_own(file)
    return top in sys.stdlib_module_names


@functools.cache
def _sources() -> SourceFiles:
    return SourceFiles()


class Objects:
    """Readers of what is no plain value.

    Parameters
    ----------
    code : callable, optional
        Returns the hash of a function's source and of what it reaches. Without it a function
        counts by its byte code, which is another in each minor version of Python; and the
        class of an object by its name.
    """

    def __init__(self, code: Callable[[Any], str] | None) -> None:
        self._code = code

    def kind_of(self, cls: type) -> Kind:
        """Return how values of `cls` are read."""
        stream = _stream(cls)
        if stream is not None:
            return Kind(stream, functools.partial(_refuse, stream))
        for base, read in self._by_base().items():
            if issubclass(cls, base):
                return Kind(base.__name__, read)
        if issubclass(cls, _BUILTIN_BASES):
            is_named = issubclass(cls, tuple) and isinstance(cls.__dict__.get("_fields"), tuple)
            return Kind(cls.__qualname__, self._namedtuple if is_named else self._derived)
        return Kind(f"{cls.__module__}.{cls.__qualname__}", self._object)

    def _by_base(self) -> dict[type, Callable[[Any], Leaf | Walk]]:
        return {
            type: self._class,
            enum.Enum: self._enum,
            types.FunctionType: self._function,
            types.CodeType: _code_object,
            types.MethodType: _method,
            types.ModuleType: _module,
            functools.partial: self._partial,
            **dict.fromkeys(_METHODS, _builtin),
            staticmethod: _wrapper,
            classmethod: _wrapper,
            property: _property,
            functools._lru_cache_wrapper: _cached_function,  # noqa: SLF001 - it has no other name
            functools.cached_property: _cached_property,
            types.GenericAlias: _generic_alias,
            types.UnionType: _union,
            types.CellType: _cell,
            BaseException: self._exception,
        }

    # Classes

    def class_of(self, framed: Framed, value: object) -> Walk:
        """Add the class of `value`: an installed one by its name, the user's own by its code."""
        cls = type(value)
        if self._code is None and not is_installed(cls.__module__):
            return framed.text("class", cls.__qualname__).leaf()
        return framed.add((yield "", cls)).leaf()

    def _class(self, cls: type) -> Walk:
        module = cls.__module__
        if is_installed(module):
            return Framed("class").text(module, cls.__qualname__).leaf()
        framed = Framed("own class").text(cls.__qualname__)
        has_source = self._code is not None
        if self._code is not None:  # members, bases and decorators, as they are written
            framed.text("code", self._code(cls))
        for base in () if has_source else cls.__bases__:
            framed.text("base").add((yield "", base))
        for name, part in sorted(vars(cls).items()):
            if _is_setting(name, part) or (_is_code(part) and not has_source):
                framed.text(name).add((yield f".{name}", part))
        return framed.leaf()

    # Functions

    def _function(self, function: types.FunctionType) -> Leaf | Walk:
        module, name = function.__module__ or "", function.__qualname__
        if is_installed(module) and "<" not in name:
            return Framed("function").text(module, name).leaf()
        if self._code is not None:
            return Framed("function").text("code", self._code(function)).leaf()
        return _byte_code(function)

    def _partial(self, value: functools.partial[Any]) -> Walk:
        framed = Framed("partial")
        framed.add((yield ".func", value.func))
        framed.add((yield ".args", value.args))
        return framed.add((yield ".keywords", value.keywords)).leaf()

    # Objects

    def _enum(self, value: enum.Enum) -> Walk:
        framed = Framed("enum").text(str(value.name))
        yield from self.class_of(framed, value)
        raw = value.value
        if type(raw) is str:
            return framed.text(raw).leaf()
        return framed.add((yield ".value", raw)).leaf()

    def _namedtuple(self, value: Any) -> Walk:
        framed = Framed("namedtuple")
        yield from self.class_of(framed, value)
        for name, part in zip(value._fields, tuple.__iter__(value), strict=True):
            framed.text(name).add((yield f".{name}", part))
        return framed.leaf()

    def _derived(self, value: Any) -> Walk:
        framed = Framed("derived")
        yield from self.class_of(framed, value)
        framed.add((yield "", _as_builtin(value)))
        if issubclass(type(value), collections.defaultdict):
            framed.add((yield ".default_factory", value.default_factory))
        yield from self.attributes(framed, value)
        return framed.leaf()

    def _object(self, value: object) -> Walk:
        if _hides_state(type(value)):
            return _by_name(value) or (yield from self._reduced(value))
        framed = Framed("object")
        yield from self.class_of(framed, value)
        yield from self.attributes(framed, value)
        return framed.leaf()

    def _exception(self, value: BaseException) -> Walk:
        framed = Framed("exception")
        yield from self.class_of(framed, value)
        framed.add((yield ".args", value.args))
        yield from self.attributes(framed, value)
        return framed.leaf()

    def attributes(
        self, framed: Framed, value: object, *, without: frozenset[str] = frozenset()
    ) -> Walk:
        """Add the attributes that an object holds in its ``__dict__`` and its slots."""
        held = {name: part for name, part in _held(value) if name not in without}
        framed.count(len(held))
        for name in sorted(held):
            framed.text(name).add((yield f".{name}", held[name]))
        return framed.leaf()

    def _reduced(self, value: object) -> Walk:
        # Compiled classes show their content in this protocol alone. What it says is read as
        # any other value; nothing is pickled.
        cls = type(value)
        if not roots_of(cls) & {"sklearn", "scipy", "numpy", "operator"}:
            _refuse(f"a {cls.__module__}.{cls.__qualname__}", value)
        reduced = value.__reduce_ex__(2)
        if not isinstance(reduced, tuple):
            _refuse(f"a {cls.__module__}.{cls.__qualname__}", value)
        framed = Framed("compiled").text(cls.__module__, cls.__qualname__).count(len(reduced))
        for part in reduced:
            framed.add((yield "", _without_counters(value, part)))
        return framed.leaf()


def _without_counters(value: Any, state: object) -> object:
    # scikit-learn's neighbour trees count their own calls among the plain integers of their state.
    if isinstance(state, tuple) and hasattr(value, "get_n_calls"):
        return tuple(part for part in state if type(part) is not int)
    return state


def _refuse(what: str, _value: object) -> Leaf:
    raise UnreadableValueError(what)


def _stream(cls: type) -> str | None:
    """Return what a stream is called, or None for a class whose values have content."""
    names = {(root, base.__name__) for base in cls.__mro__ for root in roots_of(base)}
    called = [called for key, called in _STREAMS.items() if key in names]
    if issubclass(cls, io.IOBase):
        called.append("an open file")
    elif issubclass(cls, threading.Thread):
        called.append("a thread")
    elif issubclass(cls, types.GeneratorType | types.CoroutineType | types.AsyncGeneratorType):
        called.append("a generator")
    elif cls.__name__.endswith(("Connection", "Cursor", "Engine")) and roots_of(cls) & _DATABASES:
        called.append("a database connection")
    elif any("__next__" in base.__dict__ for base in cls.__mro__):
        called.append(f"an iterator ({cls.__qualname__})")
    return called[0] if called else None


def _is_code(part: object) -> bool:
    if isinstance(part, types.FunctionType):
        # A dataclass writes methods of its own, which no source shows.
        return not part.__code__.co_filename.startswith("<")
    return type(part) in (staticmethod, classmethod, property, functools.cached_property)


def _is_setting(name: str, part: object) -> bool:
    cls = type(part)
    is_value = cls in SCALARS or cls in (list, tuple, dict, set, frozenset)
    return not name.startswith("__") and (is_value or "numpy" in roots_of(cls))


def _byte_code(function: types.FunctionType) -> Walk:
    framed = Framed("function").text("byte code")
    framed.add((yield ".__code__", function.__code__))
    framed.add((yield ".__defaults__", function.__defaults__))
    framed.add((yield ".__kwdefaults__", function.__kwdefaults__))
    return framed.add((yield ".__closure__", function.__closure__)).leaf()


def _code_object(code: types.CodeType) -> Walk:
    framed = Framed("code").count(code.co_argcount, code.co_posonlyargcount)
    framed.count(code.co_kwonlyargcount, code.co_flags)
    for names in (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars):
        framed.count(len(names)).text(*names)
    framed.count(len(code.co_code)).raw(code.co_code).count(len(code.co_consts))
    for constant in code.co_consts:
        framed.add((yield "", constant.encode() if type(constant) is str else constant))
    return framed.leaf()


def _cell(cell: types.CellType) -> Walk:
    try:
        content = cell.cell_contents
    except ValueError:
        return Framed("empty cell").leaf()
    return Framed("cell").add((yield "", content)).leaf()


def _method(method: types.MethodType) -> Walk:
    framed = Framed("method").add((yield ".__func__", method.__func__))
    return framed.add((yield ".__self__", method.__self__)).leaf()


def _builtin(value: Any) -> Walk:
    framed = Framed("builtin").text(value.__qualname__, getattr(value, "__module__", None) or "")
    owner = getattr(value, "__self__", None)
    if owner is None:
        owner = getattr(value, "__objclass__", None)
    if owner is None or isinstance(owner, types.ModuleType):
        return framed.leaf()
    return framed.add((yield ".__self__", owner)).leaf()


def _wrapper(value: staticmethod[Any, Any] | classmethod[Any, Any, Any]) -> Walk:
    return Framed(type(value).__name__).add((yield "", value.__func__)).leaf()


def _property(value: property) -> Walk:
    framed = Framed("property")
    for function in (value.fget, value.fset, value.fdel):
        framed.add((yield "", function))
    return framed.leaf()


def _cached_property(value: functools.cached_property[Any]) -> Walk:
    return Framed("cached_property").add((yield "", value.func)).leaf()


def _cached_function(value: Any) -> Walk:
    return Framed("lru_cache").add((yield "", value.__wrapped__)).leaf()


def _generic_alias(value: types.GenericAlias) -> Walk:
    framed = Framed("generic alias").add((yield "", value.__origin__))
    return framed.add((yield "", value.__args__)).leaf()


def _union(value: types.UnionType) -> Walk:
    return Framed("union").add((yield "", frozenset(value.__args__))).leaf()


def _module(module: types.ModuleType) -> Leaf:
    name = module.__name__
    if not is_installed(name):
        msg = f"the module {name}, which is no installed one"
        raise UnreadableValueError(msg)
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return Framed("module").text(name).leaf()
    version = getattr(module, "__version__", None)
    if not isinstance(version, str):
        try:
            version = importlib.metadata.version(top)
        except importlib.metadata.PackageNotFoundError:
            msg = f"the module {name}, which has no version"
            raise UnreadableValueError(msg) from None
    return Framed("module").text(name, version).leaf()


def _by_name(value: Any) -> Leaf | None:
    # Compiled functions and dispatchers of libraries are known by the name they are found under.
    try:
        module, name = value.__module__, value.__qualname__
    except Exception:  # noqa: BLE001 - the object's own `__getattr__` may do anything
        return None
    if type(module) is not str or type(name) is not str or not is_installed(module):
        return None
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return Framed("by name").text(module, name).leaf() if found is value else None


def _hides_state(cls: type) -> bool:
    """Tell whether instances hold more than ``__dict__`` and slots: memory of a compiled class."""
    n_slots = sum(1 for base in cls.__mro__ for _ in _slots(base))
    known = object.__basicsize__ + _POINTER * n_slots
    known += _POINTER * (cls.__dictoffset__ > 0) + _POINTER * (cls.__weakrefoffset__ > 0)
    return cls.__itemsize__ > 0 or cls.__basicsize__ > known


def _slots(cls: type) -> Iterator[tuple[str, types.MemberDescriptorType]]:
    if "__slots__" in cls.__dict__:
        for name, member in cls.__dict__.items():
            if isinstance(member, types.MemberDescriptorType):
                yield name, member


def _held(value: object) -> Iterator[tuple[str, object]]:
    cls = type(value)
    for base in cls.__mro__:
        for name, member in _slots(base):
            try:
                yield name, member.__get__(value, cls)
            except AttributeError:
                continue  # the slot is empty
    try:
        own = object.__getattribute__(value, "__dict__")
    except _MAY_RAISE:
        return
    cached = _cached_names(cls)
    for name, part in list(own.items()):
        if name not in cached:
            yield str(name), part


def _cached_names(cls: type) -> frozenset[str]:
    # What a cached property has stored follows from the rest, and is there or not by chance.
    return frozenset(
        name
        for base in cls.__mro__
        for name, part in base.__dict__.items()
        if isinstance(part, functools.cached_property)
    )


def _as_builtin(value: Any) -> object:
    for base, convert in _CONVERSIONS.items():
        if issubclass(type(value), base):
            return convert(value)
    raise UnreadableValueError(type(value).__qualname__)


_CONVERSIONS: Mapping[type, Callable[[Any], object]] = {
    # The built-in's own methods: those of the subclass may have been replaced.
    list: lambda value: list.__getitem__(value, slice(None)),
    tuple: lambda value: tuple.__getitem__(value, slice(None)),
    collections.OrderedDict: lambda value: collections.OrderedDict(
        collections.OrderedDict.items(value)
    ),
    dict: lambda value: dict(dict.items(value)),
    set: lambda value: set().union(set.__iter__(value)),
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
    str: lambda value: str.__getitem__(value, slice(None)),
    bytes: lambda value: bytes.__getitem__(value, slice(None)),
    int: int.__int__,
    float: float.__float__,
    complex: complex.__complex__,
}
