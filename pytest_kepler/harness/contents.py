"""What an experiment's fixtures hand over: their content, once a value, and whether it changed."""

from __future__ import annotations

import functools
import inspect
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kepler.declared import ATTRIBUTE
from pytest_kepler.errors import UnreadableValueError
from pytest_kepler.harness.pairing import fixture_of, params_of, requested_directly
from pytest_kepler.identity import parts
from pytest_kepler.identity.closure import CodeReader
from pytest_kepler.identity.file_memory import FileMemory
from pytest_kepler.identity.fingerprint import Print, params_hash, read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_kepler.declared import Declared

_INSTALLED = tuple(
    dict.fromkeys(
        str(Path(sysconfig.get_path(name)).resolve())
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
    )
)
#: Fixtures that are no data: pytest's, xdist's and our own.
_NO_DATA = ("_pytest", "xdist", "pytest_kepler")
#: Shared data is hashed again after each run up to these many bytes, and bytes a second it took.
_CHECKED_BYTES = 32_000_000
_CHECKED_BYTES_PER_SECOND = 250_000_000

_PARAM_PRINTS: pytest.StashKey[dict[str, str]] = pytest.StashKey()

Definitions = list[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A fixture whose content cannot be told, so that the run is never a duplicate."""

    fixture: str
    reason: str


Prints = dict[str, Print | Unreadable]


@dataclass(frozen=True, slots=True)
class _Shared:
    """A fixture of a broader scope, as it was read; and the runs since it was verified.

    ``print`` is None where the content does not count: what the test requests is made of it.
    """

    print: Print | Unreadable | None
    value: Any
    users: list[str] = field(default_factory=list)


def is_project(definition: Any) -> bool:
    """Tell whether a fixture is the project's own: its code is not an installed library's."""
    function = inspect.unwrap(definition.func)  # a cache, or another library's decorator
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(function, "__code__", None)
    if code is None or _module(definition) in _NO_DATA:
        return False
    path = str(Path(code.co_filename).resolve())
    return not path.startswith(_INSTALLED) and "-packages" not in path


def _module(definition: Any) -> str:
    return (definition.func.__module__ or "").partition(".")[0]


class Contents:
    """Fingerprints of fixtures, parameters and code, each taken once.

    Parameters
    ----------
    config : pytest.Config
        Its hooks are asked for the values that nobody else can read.
    cache : Path
        The folder in which what was read of source files is kept.
    """

    def __init__(self, config: pytest.Config, cache: Path) -> None:
        self._config = config
        self._memory = FileMemory(cache / "files.sqlite")
        self.code = CodeReader(config.rootpath, fingerprint=self._constant, cache=cache)
        self._shared: dict[Any, _Shared] = {}
        #: Values that a test changed in place, until their fixtures are set up anew.
        self._changed: dict[Any, Any] = {}
        self._definitions: dict[int, tuple[Any, Definitions, Definitions]] = {}
        self._is_project: dict[Any, bool] = {}
        self._below: dict[tuple[int, Any], frozenset[str]] = {}

    # Values

    def read(self, value: object) -> Print:
        """Fingerprint one value, asking the project's hooks first.

        Raises
        ------
        UnreadableValueError
            If it has no content that can be read.
        """
        return read(
            value,
            hook=self._ask_hooks,
            code=self._function_code,
            root=self._config.rootpath,
            memory=self._memory,
        )

    def _constant(self, value: object) -> str:
        return read(value, code=self._function_code, root=self._config.rootpath).hash

    def _function_code(self, function: Any) -> str:
        return self.code.of(function).hash

    def _ask_hooks(self, value: object) -> str | None:
        answer = self._config.hook.pytest_kepler_fingerprint(value=value)
        return str(answer) if answer is not None else None

    def of_params(self, item: pytest.Item) -> dict[str, str]:
        """Return the fingerprints of an item's parameters, by name."""
        known = item.stash.get(_PARAM_PRINTS, None)
        if known is None:
            known = {name: self._param(value) for name, value in params_of(item).items()}
            item.stash[_PARAM_PRINTS] = known
        return known

    def _param(self, value: object) -> str:
        try:
            # A text or a path counts as such beside the file that it names: of two files of the
            # same content the second is another case.
            return params_hash(
                {"": value},
                hook=self._ask_hooks,
                code=self._function_code,
                root=self._config.rootpath,
                memory=self._memory,
            )
        except UnreadableValueError:
            return f"unreadable:{id(value)}"  # new each time

    # Which fixtures count

    def _counting(self, item: Any) -> tuple[Definitions, Definitions]:
        """Return the fixtures that count by content, and those that count only if None.

        By content: those that the test requests, by argument or ``usefixtures``, and autouse
        ones. Of the rest of the closure the content is in theirs, except of a fixture that gives
        None: it is there for what it does, and counts by its code. Parameters count apart.
        """
        fixed = item._fixtureinfo  # noqa: SLF001  # no public way
        known = self._definitions.get(id(fixed))
        if known is None:
            direct = dict.fromkeys([*requested_directly(item), *fixed.initialnames])
            counted = self._found(item, direct)
            counted = [pair for pair in counted if _module(pair[1]) not in _NO_DATA]
            rest = self._found(item, [name for name in item.fixturenames if name not in direct])
            others = [pair for pair in rest if self.is_project(pair[1])]
            known = self._definitions[id(fixed)] = (fixed, counted, others)
        return known[1], known[2]

    def shared_names(self, item: Any) -> list[str]:
        """Return the fixtures that count for an item and live longer than it."""
        counting = [pair for definitions in self._counting(item) for pair in definitions]
        return [name for name, definition in counting if definition.scope != "function"]

    @staticmethod
    def _found(item: Any, names: Any) -> Definitions:
        pairs = [(name, fixture_of(item, name)) for name in names]
        return [(name, definition) for name, definition in pairs if definition is not None]

    def is_project(self, definition: Any) -> bool:
        """Tell whether a fixture is the project's own; remembered."""
        if definition not in self._is_project:
            self._is_project[definition] = is_project(definition)
        return self._is_project[definition]

    def _key(self, item: Any, definition: Any) -> Any:
        """Tell apart the values of one fixture within a session: by all parameters below it."""
        params = self.of_params(item)
        if not params:
            return (definition, ())
        place = (id(item._fixtureinfo), definition)  # noqa: SLF001  # as above
        below = self._below.get(place)
        if below is None:
            below = self._below[place] = frozenset(_names_below(item, definition))
        return (definition, tuple((name, one) for name, one in params.items() if name in below))

    # Content of fixtures

    def if_known(self, item: Any) -> Prints | None:
        """Return the fingerprints of an item's fixtures, or None if a fixture must run for it."""
        found: Prints = {}
        for definitions, counts in zip(self._counting(item), (True, False), strict=True):
            for name, definition in definitions:
                declared = self._declared(item, definition)
                if declared is not None:
                    found[name] = declared
                    continue
                shared = self._shared.get(self._key(item, definition))
                # What was below another test's fixture may be known as not counting there.
                if shared is None or (counts and shared.print is None):
                    return None
                if shared.print is not None:
                    found[name] = shared.print
        return found

    def of(self, item: Any) -> Prints:
        """Return the fingerprints of an item's fixtures, which are set up."""
        found: Prints = {}
        counted, others = self._counting(item)
        for definitions, counts in ((counted, True), (others, False)):
            for name, definition in definitions:
                result = self._declared(item, definition)
                if result is None:
                    result = self._content(item, name, definition, counts=counts)
                if result is not None:
                    found[name] = result
        return found

    def _content(
        self, item: Any, name: str, definition: Any, *, counts: bool
    ) -> Print | Unreadable | None:
        cached = definition.cached_result
        if cached is None or cached[2] is not None:
            return Unreadable(name, "it was not set up by pytest") if counts else None
        value = cached[0]
        if definition.scope == "function":
            return self._part(item, name, definition, value, counts=counts)
        key = self._key(item, definition)
        known = self._shared.get(key)
        if known is not None and known.value is value and (known.print is not None or not counts):
            return known.print
        result = self._part(item, name, definition, value, counts=counts)
        self._shared[key] = _Shared(result, value)
        return result

    def _part(
        self, item: Any, name: str, definition: Any, value: object, *, counts: bool
    ) -> Print | Unreadable | None:
        if value is None:
            return self._effect(item, definition)
        return self._read(name, definition, value) if counts else None

    def _effect(self, item: Any, definition: Any) -> Print | Unreadable:
        """Fingerprint a fixture that is there for what it does: by its code and its inputs."""
        effect = {"code": self.code.of(definition.func).hash}
        for name, other in self._found(item, definition.argnames):
            if other is definition or not self.is_project(other):
                continue
            one = self._input(item, name, other)
            if isinstance(one, Unreadable):
                return one
            if one is not None:
                effect[name] = one.hash
        return read(parts.digest(effect))

    def _read(self, name: str, definition: Any, value: object) -> Print | Unreadable:
        try:
            return self.read(value)
        except UnreadableValueError as error:
            if not self.is_project(definition):
                return read(type(value).__qualname__)  # another plugin's, and no data
            return Unreadable(name, str(error))

    # Declared datasets

    def _declared(self, item: Any, definition: Any) -> Print | Unreadable | None:
        """Fingerprint a fixture by what it declares; None where it declares nothing.

        Also None while an input of it is not known: then it is told once the fixtures are there.
        """
        declared: Declared | None = getattr(definition.func, ATTRIBUTE, None)
        if declared is None:
            return None
        key = ("declared", self._key(item, definition))
        known = self._shared.get(key)
        if known is not None:
            return known.print
        inputs: dict[str, str] = {}
        for name in definition.argnames:
            other = fixture_of(item, name)
            if other is None or not self.is_project(other):
                continue
            one = self._input(item, name, other)
            if one is None or isinstance(one, Unreadable):
                return one
            inputs[name] = one.hash
        result = self._read_declared(item, definition, declared, inputs)
        self._shared[key] = _Shared(result, None)
        return result

    def _input(self, item: Any, name: str, definition: Any) -> Print | Unreadable | None:
        declared = self._declared(item, definition)
        if declared is not None:
            return declared
        shared = self._shared.get(self._key(item, definition))
        if shared is not None and shared.print is not None:
            return shared.print
        is_there = definition.cached_result is not None
        return self._content(item, name, definition, counts=True) if is_there else None

    def _read_declared(
        self, item: Any, definition: Any, declared: Declared, inputs: Mapping[str, str]
    ) -> Print | Unreadable:
        home = Path(definition.func.__code__.co_filename).parent
        contents: dict[str, str] = {}
        n_bytes = 0
        for pattern in declared.files:
            paths = sorted(path for path in home.glob(pattern) if path.is_file())
            if not paths:
                reason = f"it declares files={pattern!r}, and {home} has no such file"
                return Unreadable(definition.argname, reason)
            for path in paths:
                try:
                    one = self.read(path)
                except UnreadableValueError as error:
                    return Unreadable(definition.argname, str(error))
                contents[path.relative_to(home).as_posix()] = one.hash
                n_bytes += one.n_bytes
        content = {
            "files": contents,
            "version": declared.version,
            "code": self.code.of(definition.func).hash,
            "param": self.of_params(item).get(definition.argname),
            "inputs": dict(inputs),
        }
        return Print(parts.digest(content), is_data=True, n_bytes=n_bytes, kind="dataset", shape=())

    # Changes in place

    def verify(self, item: Any, run_id: str, seconds: float) -> list[Change]:
        """Look whether the run that just ended changed shared data in place.

        Data that is large beside the run's time is looked at when its fixture goes.
        """
        budget = max(_CHECKED_BYTES, int(seconds * _CHECKED_BYTES_PER_SECOND))
        changes = []
        for _, definition in self._counting(item)[0]:
            if definition.scope == "function" or definition.cached_result is None:
                continue
            key = self._key(item, definition)
            shared = self._shared.get(key)
            if shared is None or not isinstance(shared.print, Print):
                continue
            if key in self._changed and self._changed[key] is definition.cached_result[0]:
                changes.append(Change(definition.argname, "", [run_id]))  # no gate has seen this
            shared.users.append(run_id)
            budget -= shared.print.n_bytes
            value = definition.cached_result[0]
            is_original = value is shared.value
            if not is_original:  # it was set up anew, and taken for what it was before
                self._shared[key] = _Shared(shared.print, value, shared.users)
            if budget >= 0 and value is not None:
                changes += self._compared(key, item.nodeid, is_original=is_original)
        return changes

    def verify_last(self, definition: Any) -> list[Change]:
        """Look at a shared fixture's value for the last time, as it is torn down."""
        changes: list[Change] = []
        cached = definition.cached_result
        for key, shared in list(self._shared.items()):
            if key[0] is not definition or cached is None or shared.value is not cached[0]:
                continue
            if isinstance(shared.print, Print) and shared.value is not None:
                changes += self._compared(key, "", is_original=True)
            # The content is kept for the runs to come, the value itself is let go.
            self._shared[key] = _Shared(shared.print, None)
        return changes

    def _compared(self, key: Any, changer: str, *, is_original: bool) -> list[Change]:
        shared, definition = self._shared[key], key[0]
        if self._read(definition.argname, definition, shared.value) == shared.print:
            shared.users.clear()
            return []
        del self._shared[key]
        self._changed[key] = shared.value
        # A run that was looked at right after it, alone, began on the content as it was read.
        is_known = bool(changer) and is_original and len(shared.users) == 1
        unsound = [] if is_known else list(shared.users)
        return [Change(definition.argname, changer, unsound, is_news=True)]


@dataclass(frozen=True, slots=True)
class Change:
    """A shared fixture whose value is no longer what it was.

    Attributes
    ----------
    fixture, changer : str
        Its name, and the test that changed it where that is known.
    unsound : list of str
        Runs that may have seen other content than their identity says.
    is_news : bool
        Whether it was just found; else a run has used what was known to be changed.
    """

    fixture: str
    changer: str
    unsound: list[str]
    is_news: bool = False


def _names_below(item: Any, definition: Any) -> set[str]:
    """Return the names of a fixture and of all that it is built from."""
    names: set[str] = set()
    pending = [definition.argname]
    while pending:
        name = pending.pop()
        if name not in names:
            names.add(name)
            found = fixture_of(item, name)
            pending += list(found.argnames) if found is not None else []
    return names
