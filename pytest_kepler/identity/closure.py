"""The identity of code: a test's function and every piece of the user's code that it reaches.

The user's own code is what lies outside Python's library, outside ``site-packages`` and outside
this package, wherever that is: the rootdir, editable installs, ``PYTHONPATH``, conftest files.

From a test's function and class, the closure follows global names, attributes of modules,
closures' cells, defaults, decorators, ``functools.partial`` and ``wraps``, the members, bases
and metaclasses of classes, code in containers and in instances, re-exports. Functions and classes
count by the normal form of their source, global values by their content, what is imported from a
library by the name that it is imported by. Comments, formatting, docstrings, the names and places
of files, pytest's marks and fixture decorators, and annotations of undecorated functions do not
count. The hash is the same on every machine, in every process, under every version of Python.

A module that a function imports when it runs counts whole, with the user's modules that it
imports in turn, but not the packages around it; so does a module that is handed on as a value.
``setup_module``, ``setUpModule`` and ``setup_function`` count for each test of their module.

What is not followed:

- names that are made at run time: ``getattr(object, name)`` on anything but a module,
  ``globals()[name]``, ``importlib.import_module(name)``, ``exec``;
- code that a library calls through a registry of its own (entry points, string keys such as
  ``"my_optimizer"``), unless the code itself is named as well;
- what the code asks of the world: environment variables, the clock, the network, a database;
- what a module does when it is imported, beyond the values that it leaves in the names used;
- patches of a library's insides, and attributes set on functions;
- compiled extensions and installed packages (their versions are recorded with each run);
- a module's ``__getattr__``: said in ``opaque``.

Values are read once a session, when they are first reached: ask for a closure before tests run,
so that a cache or a counter in a global has the value that importing gave it. ``version=`` on the
experiment's mark stands for all of it where the closure sees too little or too much.
"""

from __future__ import annotations

import hashlib
import types
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_kepler.identity.collector import collector_paused
from pytest_kepler.identity.constants import ConstantReader
from pytest_kepler.identity.normal_form import FORM_VERSION
from pytest_kepler.identity.reach import Reach
from pytest_kepler.identity.source_files import SourceFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_kepler.identity.reach import Part

_SHORT_DIGITS = 16


@dataclass(frozen=True, slots=True)
class CodePrint:
    """The identity of a test's code.

    Attributes
    ----------
    hash : str
        32 hex digits over all of it.
    parts : mapping of str to str
        Hash of each part alone, by its qualified name. Parts in the test's own module go
        without the module's name: ``test_svm``, ``helpers.scale``, ``helpers.Model.build``.
    sources : mapping of str to str
        Source text of each part as it was written, dedented; of a value ``NAME = …``, shortened.
        Made when it is looked up.
    opaque : mapping of str to str
        Parts that could be followed or read in part only, and why.
    """

    hash: str
    parts: Mapping[str, str]
    sources: Mapping[str, str]
    opaque: Mapping[str, str]


class CodeReader:
    """Reads the closures of a session; each file, function and value once.

    Parameters
    ----------
    rootdir : Path
        Folder that the places of folders are relative to.
    fingerprint : callable, optional
        Content hash of values that are data, raising ``UnreadableValueError`` where there is
        none. Without it only builtin scalars and containers can be read.
    cache : Path, optional
        Folder for the tables of source files, kept between sessions by :meth:`save`.
    """

    def __init__(
        self,
        rootdir: Path,
        *,
        fingerprint: Callable[[object], str] | None = None,
        cache: Path | None = None,
    ) -> None:
        self._files = SourceFiles(cache)
        self._reach = Reach(self._files, ConstantReader(rootdir, fingerprint))
        self._prints: dict[tuple[int, int], tuple[CodePrint, object]] = {}

    def of(self, function: Callable[..., Any], *, cls: type | None = None) -> CodePrint:
        """Return the identity of a test's code.

        Parameters
        ----------
        function : callable
            The function itself, out of pytest's wrappers. A bound method stands for its function
            and the class of its instance.
        cls : type, optional
            The class of a method: its attributes and bases count, and its methods except
            tests that are not called.
        """
        if isinstance(function, types.MethodType):
            owner = function.__self__
            cls = cls or (owner if isinstance(owner, type) else type(owner))
            function = function.__func__
        key = (id(function), id(cls))
        known = self._prints.get(key)
        if known is None:
            with collector_paused():
                known = (_print(self._reach.test_part(function, cls)), (function, cls))
            self._prints[key] = known
        return known[0]

    def save(self) -> None:
        """Keep the tables of the files that were read, if there is a cache; call it at the end."""
        self._files.save()


def _print(root: Part) -> CodePrint:
    """Hash the parts and their edges, each numbered in the order in which it is first met.

    The order follows from the code alone, so the numbers stand for the parts: neither the names
    of modules nor addresses enter the hash.
    """
    numbers = {id(root): 0}
    order = [root]
    waiting = deque([root])
    digest = hashlib.sha256(f"code {FORM_VERSION}\n".encode())
    while waiting:
        part = waiting.popleft().expanded()
        edges = []
        for edge in part.edges:
            if id(edge) not in numbers:
                numbers[id(edge)] = len(order)
                order.append(edge)
                waiting.append(edge)
            edges.append(str(numbers[id(edge)]))
        digest.update(f"{part.own} {','.join(edges)}\n".encode())
    named = _named(order[1:], root.module)
    return CodePrint(
        hash=digest.hexdigest()[:32],
        parts={name: part.own[:_SHORT_DIGITS] for name, part in named.items()},
        sources=_Sources(named),
        opaque={name: part.opaque for name, part in named.items() if part.opaque},
    )


def _named(parts: list[Part], home: str) -> dict[str, Part]:
    named: dict[str, Part] = {}
    for part in parts:
        names = (part.module, part.name)
        full = part.name if part.module == home and part.name else ".".join(filter(None, names))
        if not full:
            continue  # an installed wrapper: what it wraps has its own entry
        name, count = full, 1
        while name in named:
            count += 1
            name = f"{full}#{count}"
        named[name] = part
    return named


class _Sources(Mapping[str, str]):
    """Source texts, cut out of their files when they are asked for: most never are."""

    def __init__(self, parts: dict[str, Part]) -> None:
        self._parts = parts

    def __getitem__(self, name: str) -> str:
        return self._parts[name].source()

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return in words how the parts of two closures differ: changed, added, removed.

    Parameters
    ----------
    old, new : mapping of str to str
        ``parts`` of two :class:`CodePrint`.

    Returns
    -------
    list of str
        ``helpers.scale changed``, ``helpers.clip added``, ``helpers.old removed``, each group
        by name. Empty although the hashes differ, when only the connections between parts do.
    """
    changed = [
        f"{name} changed" for name in sorted(old.keys() & new.keys()) if old[name] != new[name]
    ]
    added = [f"{name} added" for name in sorted(new.keys() - old.keys())]
    removed = [f"{name} removed" for name in sorted(old.keys() - new.keys())]
    return changed + added + removed
