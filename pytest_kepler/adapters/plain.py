"""Values made plain: what the journal can hold as JSON, and how a thing is named in a sentence."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
import reprlib
import types
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import PurePath
from typing import Any, Final

import numpy as np

#: An array up to this size is written out; of a larger one only its dtype and shape.
MAX_VALUES: Final = 64
#: Containers nested deeper than this are named by their type.
MAX_DEPTH: Final = 12

_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def short(value: object) -> str:
    """Return how a value is shown inside an error's sentence."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        noun = "array" if isinstance(value, np.ndarray) else type(value).__name__
        return f"{article(noun)} of shape {shape}"
    try:
        return _SHORT.repr(value)
    except Exception:  # noqa: BLE001  # a broken __repr__ must not hide the message
        return article(type(value).__name__)


def article(noun: str) -> str:
    """Return the noun with its indefinite article: ``an SVC``, ``a dict``."""
    # Names of classes: one that opens with two capitals is spelt out when spoken.
    vowel = noun[:1] in "AEFHILMNORSX" if noun[:2].isupper() else noun[:1].lower() in "aeio"
    return f"an {noun}" if vowel else f"a {noun}"


def class_name(cls: type) -> str:
    """Return a class by its public name, ``sklearn.svm.SVC`` for ``sklearn.svm._classes.SVC``."""
    parts = [part for part in cls.__module__.split(".") if not part.startswith("_")]
    if parts[:2] == ["keras", "src"]:
        parts = ["keras", *parts[2:3]]
    if parts == ["builtins"]:
        parts = []
    return ".".join([*parts, cls.__qualname__])


def jsonable(value: Any, depth: int = 0) -> Any:  # noqa: PLR0911  # one return a kind of value
    """Return `value` as JSON, or a description of it where it has no JSON form.

    NaN and infinities stay as they are; the spool writes them as strings.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return _builtin(value)
    if isinstance(value, np.generic):
        return _numpy_scalar(value)
    if depth >= MAX_DEPTH:
        return f"<{class_name(type(value))}>"
    if isinstance(value, Mapping):
        return {_key(key): jsonable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item, depth + 1) for item in value]
    if isinstance(value, AbstractSet):
        return sorted((jsonable(item, depth + 1) for item in value), key=repr)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return jsonable(fields, depth + 1)
    if isinstance(value, np.ndarray) and value.size <= MAX_VALUES and value.dtype.kind in "biufU":
        return value.tolist()
    return _described(value)


def _numpy_scalar(value: Any) -> Any:
    if value.dtype.kind == "f":
        return float(value)  # a long double has no item() of Python's
    return value.item() if value.dtype.kind in "biu" else str(value)


def _builtin(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.name
    for kind in (bool, int, float, str):
        # A subclass, such as NumPy's float64, is written as what it extends.
        if isinstance(value, kind):
            return kind(value)
    return None


def _key(key: Any) -> str:
    return key if type(key) is str else str(jsonable(key))


def _described(value: Any) -> str:
    """Describe by what stays the same between processes: never an address in memory."""
    name = _name(value)
    if name is not None:
        return name
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple):
        of = f" of {dtype}" if dtype is not None else ""
        return f"<{class_name(type(value))}{of}, shape {shape}>"
    return f"<{class_name(type(value))}>"


def _name(value: Any) -> str | None:
    """Return the text of what is named or prints itself plainly; None for any other object."""
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, type):
        return class_name(value)
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType | np.ufunc):
        return f"{getattr(value, '__module__', None) or 'numpy'}.{value.__name__}"
    if isinstance(value, functools.partial):
        return f"partial({_described(value.func)})"
    is_plain = isinstance(value, _PRINTABLE) or type(value).__module__ in _PRINTABLE_MODULES
    return str(value) if is_plain else None


#: Their values print themselves plainly: dates as ISO 8601, Decimal, Fraction, UUID.
_PRINTABLE: Final = (complex, range, slice, dt.date, dt.time, dt.timedelta, PurePath)
_PRINTABLE_MODULES: Final = frozenset({"decimal", "fractions", "uuid"})
