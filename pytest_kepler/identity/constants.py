"""Values that code reaches: by their content, and with the code that they hold.

A value in a module's global, a default, a closure's cell or a class's attribute is read here.
What is data is left to the fingerprint; what holds code (a dict of functions, a partial, an
instance of a user's class) is walked, so that the code in it is followed, not copied.
"""

from __future__ import annotations

import collections
import enum
import functools
import hashlib
import logging
import os
import re
import sys
import types
import typing
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from pytest_kepler.errors import UnreadableValueError
from pytest_kepler.identity.normal_form import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_PartT = TypeVar("_PartT")

_SCALARS: Final = frozenset({type(None), bool, int, float, complex, str, bytes, type(...)})
_SEQUENCES: Final = (list, tuple, collections.deque)
_MAPPINGS: Final = (dict, types.MappingProxyType)
_SETS: Final = (set, frozenset)
_MAX_DEPTH: Final = 60
_LONGEST_PATH: Final = 1024
_BLOCK_BYTES: Final = 1 << 22

#: Attributes under which wrappers keep the function that they wrap.
WRAPPED: Final = ("__wrapped__", "py_func", "_python_function")


class Reading(NamedTuple, Generic[_PartT]):
    """A value's digest, the parts of code in it, and why it could not be read ("" if it could)."""

    digest: str
    parts: list[_PartT]
    unreadable: str


class CodeSource(typing.Protocol[_PartT]):
    """What follows code, for values that hold some."""

    def code(self, value: object, name: str) -> _PartT | str | None:
        """Return the part for a user's function, class or module, a label for an installed one.

        None if the value is no code.
        """

    def held(self, value: object) -> list[_PartT]:
        """Return the user's code that an installed library's wrapper holds."""


class ConstantReader:
    """Reads values.

    Parameters
    ----------
    root : Path
        Folder that the places of folders are relative to.
    fingerprint : callable or None
        Content hash of data, raising :class:`UnreadableValueError`. With None scalars and
        containers can be read, and nothing else.
    """

    def __init__(self, root: Path, fingerprint: Callable[[object], str] | None) -> None:
        self._root = root
        self._prefix = os.path.join(str(root), "")  # noqa: PTH118 - ends in a separator
        self._fingerprint = fingerprint or builtin_fingerprint

    def read(self, value: object, name: str, source: CodeSource[_PartT]) -> Reading[_PartT]:
        """Return the reading of a value that is called `name`."""
        walk = _Walk(self, name, source)
        walk.describe(value, name)
        return Reading(digest_of(*walk.tokens), walk.parts, walk.unreadable)

    def is_plain(self, value: object, depth: int = 0) -> bool:
        """Tell whether a builtin container holds scalars only, and no path of this machine."""
        kind = type(value)
        if kind in _SCALARS:
            return not (isinstance(value, str) and value.startswith(self._prefix))
        if depth > _MAX_DEPTH:
            return False
        if kind in _MAPPINGS:
            mapping: Any = value
            return self._all_plain(mapping.keys(), depth) and self._all_plain(
                mapping.values(), depth
            )
        if kind in _SEQUENCES or kind in _SETS:
            items: Any = value
            return self._all_plain(items, depth)
        return False

    def _all_plain(self, items: Iterable[object], depth: int) -> bool:
        kinds = set(map(type, items))
        if kinds <= _SCALARS and str not in kinds:
            return True  # a million numbers, without a million calls
        return all(self.is_plain(item, depth + 1) for item in items)

    def content(self, value: object) -> str:
        """Return the fingerprint of data."""
        return self._fingerprint(value)

    def place(self, path: PurePath) -> str:
        """Return a token for a path: a file's content, else its place relative to the root."""
        try:
            found = Path(path)
            if not found.is_absolute() and not found.exists():
                found = self._root / found
            if found.is_file():
                return f"file {_file_digest(found)}"
        except (OSError, ValueError):
            return f"path {path.as_posix()}"
        if not path.is_absolute():
            return f"path {path.as_posix()}"
        try:
            return f"path {os.path.relpath(path, self._root).replace(os.sep, '/')}"
        except ValueError:  # another drive
            return f"path {path.as_posix()}"

    def text(self, value: str) -> str:
        """Return a token for a string, which may name a file or a folder."""
        if len(value) > _LONGEST_PATH or not _looks_like_a_path(value):
            return f"str {value}"
        if value.startswith(self._prefix) or value == str(self._root):
            return self.place(PurePath(value))
        try:
            is_file = any(path.is_file() for path in (Path(value), self._root / value))
        except (OSError, ValueError):
            is_file = False
        return f"str {value} {self.place(PurePath(value))}" if is_file else f"str {value}"


class _Walk(Generic[_PartT]):
    """One value, while it is read."""

    def __init__(self, reader: ConstantReader, name: str, source: CodeSource[_PartT]) -> None:
        self.tokens: list[str] = []
        self.parts: list[_PartT] = []
        self.unreadable = ""
        self._reader = reader
        self._source = source
        self._name = name
        # The objects too: the id of one that is gone could be another's.
        self._seen: dict[int, tuple[int, object]] = {}
        self._depth = 0

    def describe(self, value: object, where: str) -> None:
        """Write the tokens of a value; `where` is its place, for messages."""
        kind = type(value)
        if isinstance(value, str) and kind is str:
            self.tokens.append(self._reader.text(value))
        elif kind in _SCALARS:
            self.tokens.append(f"{kind.__name__} {scalar_text(value)}")
        elif id(value) in self._seen:
            self.tokens.append(f"again {self._seen[id(value)][0]}")
        elif self._depth > _MAX_DEPTH:
            self._give_up(value, where, "nested too deep")
        else:
            self._seen[id(value)] = (len(self._seen), value)
            self._depth += 1
            self._describe_object(value, where)
            self._depth -= 1

    def _describe_object(self, value: object, where: str) -> None:
        code = self._source.code(value, where)
        if code is not None:
            self._refer(code)
        elif isinstance(value, enum.Enum):
            self._class_of(value)
            self.tokens.append(f"member {value.name}")
        elif isinstance(value, PurePath):
            self.tokens.append(self._reader.place(value))
        elif self._reader.is_plain(value):
            self._read_content(value, where)
        elif not (self._describe_container(value, where) or self._describe_wrapper(value, where)):
            self._describe_instance(value, where)

    def _refer(self, code: _PartT | str) -> None:
        if isinstance(code, str):
            self.tokens.append(code)
        else:
            self.tokens.append("part")
            self.parts.append(code)

    def _class_of(self, value: object) -> bool:
        """Refer to the class of an instance; tell whether it is the user's own."""
        code = self._source.code(type(value), type(value).__qualname__)
        if code is not None:
            self._refer(code)
        return code is not None and not isinstance(code, str)

    def _describe_container(self, value: Any, where: str) -> bool:
        kind = type(value)
        if kind in _MAPPINGS:
            self.tokens.append(f"mapping {len(value)}")
            self._describe_items(value, where)
        elif kind in _SEQUENCES:
            self.tokens.append(f"{kind.__name__} {len(value)}")
            for index, item in enumerate(value):
                self.describe(item, f"{where}[{index}]")
        elif kind in _SETS:
            # A set has no order: sort its members by what they are called.
            self.tokens.append(f"set {len(value)}")
            for item in sorted(value, key=_set_key):
                self.describe(item, where)
        else:
            return False
        return True

    def _describe_items(self, mapping: Mapping[Any, Any], where: str) -> None:
        keys = list(mapping)
        if all(type(key) is str for key in keys):
            keys.sort()
        for key in keys:
            place = f"{where}[{key!r}]" if type(key) in _SCALARS else where
            self.describe(key, place)
            self.describe(mapping[key], place)

    def _describe_wrapper(self, value: Any, where: str) -> bool:
        inner: tuple[object, ...]
        if isinstance(value, functools.partial):
            inner = (value.func, value.args, value.keywords)
        elif isinstance(value, functools.partialmethod):
            inner = (value.func, value.args, dict(value.keywords))
        elif isinstance(value, types.MethodType):
            inner = (value.__func__, value.__self__)
        elif isinstance(value, staticmethod | classmethod):
            inner = (value.__func__,)
        elif isinstance(value, property):
            inner = (value.fget, value.fset, value.fdel)
        elif isinstance(value, functools.cached_property):
            inner = (value.func,)
        elif isinstance(value, types.GenericAlias | types.UnionType) or _is_typing(value):
            origin = typing.get_origin(value)
            union = origin in {typing.Union, types.UnionType}
            inner = ("union" if union else origin, typing.get_args(value))
        else:
            attributes = attributes_of(value)
            inner = tuple(attributes[name] for name in WRAPPED if name in attributes)
            if not inner:
                return False
        self.tokens.append(f"{type(value).__name__} {len(inner)}")
        for one in inner:
            self.describe(one, where)
        return True

    def _describe_instance(self, value: object, where: str) -> None:
        simple = _simple_text(value)
        if simple is not None:
            self.tokens.append(simple)
            return
        is_own = self._class_of(value)
        if is_own and _state_is_all(type(value), self._is_own):
            self._describe_state(value, where)
        else:
            self._read_content(value, where)

    def _is_own(self, kind: type) -> bool:
        code = self._source.code(kind, kind.__qualname__)
        return code is not None and not isinstance(code, str)

    def _describe_state(self, value: Any, where: str) -> None:
        for base in (dict, list, tuple, set, frozenset):
            if isinstance(value, base):
                self._describe_container(base(value), where)
        for scalar in (int, float, complex, str, bytes):
            if isinstance(value, scalar):
                plain: Any = scalar
                self.tokens.append(scalar_text(plain(value)))
        state = _state(value)
        self.tokens.append(f"state {len(state)}")
        for name in sorted(state):
            self.tokens.append(name)
            self.describe(state[name], f"{where}.{name}")

    def _read_content(self, value: object, where: str) -> None:
        try:
            self.tokens.append(f"content {self._reader.content(value)}")
        except UnreadableValueError as error:
            held = self._source.held(value)
            if held:
                self.tokens.append(f"holds {len(held)} {type(value).__qualname__}")
                self.parts += held
            else:
                self._give_up(value, where, str(error))
        except Exception as error:  # noqa: BLE001 - the value's own methods may raise anything
            self._give_up(value, where, f"{type(error).__name__}: {error}")

    def _give_up(self, value: object, where: str, reason: str) -> None:
        self.tokens.append(f"unreadable {type(value).__qualname__}")
        self.unreadable = self.unreadable or f"{where}: {reason}"


def attributes_of(value: object) -> Mapping[str, Any]:
    """Return an object's own attributes, without running its ``__getattr__``."""
    try:
        found = object.__getattribute__(value, "__dict__")
    except (AttributeError, TypeError):
        return {}
    return found if isinstance(found, _MAPPINGS) else {}


def _looks_like_a_path(value: str) -> bool:
    return "\n" not in value and "\0" not in value and ("/" in value or "." in value[1:])


def _file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()[:32]


def _set_key(item: object) -> tuple[str, str]:
    name = getattr(item, "__qualname__", None)
    if type(item) in _SCALARS:
        name = scalar_text(item)
    return type(item).__qualname__, name if isinstance(name, str) else ""


def _is_typing(value: object) -> bool:
    return type(value).__module__ == "typing" and typing.get_origin(value) is not None


def _simple_text(value: object) -> str | None:
    """Return the text of what has no content of its own, or None."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    text = None
    if kind is object:
        text = "a sentinel"
    elif isinstance(value, logging.Logger | logging.LoggerAdapter):
        text = "a logger"  # its name is mostly the module's, which is a place
    elif isinstance(value, re.Pattern):
        text = f"pattern {value.pattern!a} {int(value.flags)}"
    elif package == "_pytest":
        text = f"pytest's {kind.__qualname__}"  # a mark: marks do not count
    elif isinstance(value, typing.TypeVar | typing.ParamSpec):
        text = f"type variable {value.__name__}"
    elif package == "numpy" and kind.__name__ == "ufunc":
        text = f"ufunc {getattr(value, '__name__', '')}"
    return text


def _state_is_all(kind: type, is_own: Callable[[type], bool]) -> bool:
    """Tell whether an instance is no more than its attributes (and a builtin container).

    A subclass of an installed class (an array, a model) may keep its content elsewhere.
    """
    return not hasattr(kind, "__kepler_fingerprint__") and all(
        base.__module__.partition(".")[0] in sys.stdlib_module_names or is_own(base)
        for base in kind.__mro__
    )


def _state(value: object) -> dict[str, object]:
    state: dict[str, object] = {}
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            private = name.startswith("__") and not name.endswith("__")
            stored = f"_{kind.__name__.lstrip('_')}{name}" if private else name
            try:
                state[stored] = object.__getattribute__(value, stored)
            except AttributeError:
                continue  # a slot that was never filled
    state.update(attributes_of(value))
    for name in ("__dict__", "__weakref__"):
        state.pop(name, None)
    return state


def scalar_text(value: object) -> str:
    """Return the text of a builtin scalar, the same under every version of Python."""
    if isinstance(value, bool) or value is None or value is ...:
        return str(value)
    if isinstance(value, int):
        return hex(value)
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, complex):
        return f"{value.real.hex()} {value.imag.hex()}"
    return ascii(value)


def builtin_fingerprint(value: object) -> str:
    """Return the content hash of builtin scalars, slices and containers.

    Raises
    ------
    UnreadableValueError
        If the value is or holds anything else.
    """
    kind = type(value)
    own: Any = getattr(kind, "__kepler_fingerprint__", None)
    if own is not None:
        return digest_of("own", str(own(value)))
    if kind in _SCALARS:
        return digest_of(kind.__name__, scalar_text(value))
    items: Any = value
    if kind in _MAPPINGS:
        pairs = [
            builtin_fingerprint(key) + builtin_fingerprint(item) for key, item in items.items()
        ]
        return digest_of("mapping", *sorted(pairs))
    if kind in _SEQUENCES:
        return digest_of(kind.__name__, *map(builtin_fingerprint, items))
    if kind in _SETS:
        return digest_of("set", *sorted(map(builtin_fingerprint, items)))
    if kind is slice:
        return digest_of("slice", *map(builtin_fingerprint, (items.start, items.stop, items.step)))
    raise UnreadableValueError(f"{kind.__qualname__} has no content that can be read")
