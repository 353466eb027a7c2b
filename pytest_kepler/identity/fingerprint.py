"""The fingerprint of a value: a hash of its content, the same in every process.

Arrays, frames, sparse matrices, files and folders count by their content, however it lies in
memory; models by configuration and weights; functions by code; objects by class and attributes.
Types count (``1``, ``1.0``, ``True`` and ``"1"`` differ, so do int32 and int64), and so does the
sign of zero. The order in which a dict was filled, chunks, byte order, memory layout and the bits
of a NaN do not. What has no content that can be read is refused, never guessed.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from pytest_kepler.errors import UnreadableValueError
from pytest_kepler.identity import arrays, frames
from pytest_kepler.identity.files import Folders, read_path, relative_names
from pytest_kepler.identity.framing import (
    SCALARS,
    UNORDERED,
    Framed,
    Item,
    Kind,
    joined,
    text_digest,
)
from pytest_kepler.identity.models import Models
from pytest_kepler.identity.objects import Objects, roots_of
from pytest_kepler.identity.values import VALUES, Containers

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Mapping, Sequence

    from pytest_kepler.identity.file_memory import FileMemory
    from pytest_kepler.identity.framing import Leaf, Walk

_WAYS_OUT = (
    "declare what it stands for: `@pytest_kepler.dataset` on the fixture, a method "
    "`__kepler_fingerprint__()` on the object that returns a text, or the hook "
    "`pytest_kepler_fingerprint(value)`"
)
_DECLARATION = "__kepler_fingerprint__"
_SEVERAL = 2
#: Stands for a part that is in one cycle with what holds it.
_INNER = Framed("inner").digest()
_SHAPED = frozenset({"numpy", "pandas", "polars", "pyarrow", "scipy", "tensorflow", "torch"})


@dataclass(frozen=True, slots=True)
class Print:
    """What was read of a value.

    Attributes
    ----------
    hash : str
        The content hash, 32 hexadecimal digits.
    is_data : bool
        Whether it consists of arrays, frames, sparse matrices, files or declared datasets, as
        against settings, models and scalars. A container is data if anything in it is.
    n_bytes : int
        Bytes of content that were read, without names, shapes and single scalars.
    kind : str
        The type, for people: ``numpy.ndarray``, ``file``, ``dict``.
    shape : tuple of int
        Of an array or a frame its shape, -1 for a ragged axis; of a container its length;
        else empty.
    """

    hash: str
    is_data: bool
    n_bytes: int
    kind: str
    shape: tuple[int, ...]


def fingerprint(value: object) -> str:
    """Return the content hash of a value, the one that a run's identity is made of.

    Parameters
    ----------
    value : object
        Anything with content: arrays, frames, files (a path, or a text that names an existing
        file), folders, models, functions, containers and plain objects.

    Returns
    -------
    str
        32 hexadecimal digits (XXH3, 128 bits).

    Raises
    ------
    UnreadableValueError
        A `TypeError`, if the value or anything in it has no content that can be read: a socket,
        a lock, a generator. It says where in the value, and what to do.

    Notes
    -----
    A function counts here by its own byte code, an object's class by its name. A run's identity
    follows the source instead.

    Examples
    --------
    >>> fingerprint({"a": 1, "b": [1.0, "x"]}) == fingerprint({"b": [1.0, "x"], "a": 1})
    True
    >>> fingerprint(1) == fingerprint(True)
    False
    """
    return read(value).hash


def read(
    value: object,
    *,
    hook: Callable[[object], str | None] | None = None,
    code: Callable[[types.FunctionType], str] | None = None,
    root: Path | None = None,
    memory: FileMemory | None = None,
) -> Print:
    """Read a value's content.

    Parameters
    ----------
    value : object
        The value.
    hook : callable, optional
        Asked first for each object that is no built-in scalar, container, array or frame; a text
        that it returns stands for the object.
    code : callable, optional
        Returns the hash of a function's source and of what that reaches.
    root : pathlib.Path, optional
        A path below it that does not exist counts by its place relative to it.
    memory : FileMemory, optional
        Keeps the digests of files and folders.

    Returns
    -------
    Print
        The hash and what was met.

    Raises
    ------
    UnreadableValueError
        If the value or anything in it has no content that can be read.
    """
    reader = _Reader(hook, code, root, memory=memory)
    digest = reader.digest(value)
    return Print(
        hash=digest.hex(),
        is_data=reader.is_data,
        n_bytes=reader.n_bytes,
        kind=reader.kind,
        shape=_shape(value, reader.kind),
    )


def params_hash(
    params: Mapping[str, object],
    *,
    hook: Callable[[object], str | None] | None = None,
    code: Callable[[types.FunctionType], str] | None = None,
    root: Path | None = None,
    memory: FileMemory | None = None,
) -> str:
    """Return the hash of named parameters with typed values; their order does not count.

    Parameters are settings: a text counts as it is written, and if it names a file, the file's
    content counts as well. The other arguments and the error are those of `read`.
    """
    reader: _Reader | None = None
    framed = Framed("params").count(len(params))
    for name in sorted(params):
        value = params[name]
        scalar = SCALARS.get(type(value)) if type(value) is not str else None
        if scalar is not None:  # as the reader would, which need not be made for it
            framed.text(name).add(scalar(value))
            continue
        reader = reader or _Reader(hook, code, root, texts_count=True, memory=memory)
        framed.text(name).add(reader.digest(value, name))
    return framed.digest().hex()


def _shape(value: Any, kind: str) -> tuple[int, ...]:
    if type(value) in (list, tuple, dict, set, frozenset):
        return (len(value),)
    # Only a library's own `shape` is asked: that of the user's object may load its data.
    if kind.partition(".")[0] not in _SHAPED:
        return ()
    return tuple(-1 if length is None else int(length) for length in getattr(value, "shape", ()))


class _Frame:
    """A value whose parts are being read."""

    __slots__ = ("has_data", "index", "inner", "kind", "label", "low", "value", "walk")

    def __init__(self, walk: Walk, value: object, label: object, kind: Kind, index: int) -> None:
        self.walk = walk
        self.value = value
        self.label = label
        self.kind = kind
        self.index = index
        self.low = index
        self.has_data = kind.role == "data"
        # Ids of the parts that are in one cycle with the value.
        self.inner: list[int] = []


class _Reader:
    """Walks through a value without recursion, so that no depth is too deep.

    Digests are remembered: shared parts cost nothing, and sharing does not count.

    Values that hold themselves are found as strongly connected components (Tarjan 1972,
    https://doi.org/10.1137/0201010). Each of their members is read once, with a mark in the
    place of the others; `_digests_in_cycle` then tells the members apart.
    """

    def __init__(
        self,
        hook: Callable[[object], str | None] | None,
        code: Callable[[types.FunctionType], str] | None,
        root: Path | None,
        *,
        texts_count: bool = False,
        memory: FileMemory | None = None,
    ) -> None:
        self._memory = memory
        self._hook = hook
        self._root = root
        self._texts_count = texts_count
        self._folders = Folders()
        self._objects = Objects(code)
        self._models = Models(self._objects)
        self._containers = Containers(self)
        self._kinds: dict[int, tuple[type, Kind]] = {}
        # By whether texts name files; with the value, so that its id is not given to another.
        self._known: dict[tuple[int, bool], tuple[bytes, bool, object]] = {}
        self._path = "value"
        self._begin()

    def _begin(self) -> None:
        self.n_bytes = 0
        self.is_data = False
        self.kind = ""
        self._frames: list[_Frame] = []
        self._open: list[object] = []
        self._position: dict[int, int] = {}
        # Of the open values that were read: the digest but for the parts in the same cycle.
        self._read: dict[int, tuple[bytes, list[int]]] = {}
        # How many frames, models and the like are being read: no text in one names a file.
        self._n_quiet = 0
        self._label: object = ""

    def digest(self, value: object, name: str = "value") -> bytes:
        """Return the digest of a value, called `name` in messages."""
        self._path = name
        try:
            return self._walk(value)
        except Warning:
            # A library's own, where the session makes errors of warnings.
            self._begin()
        except Exception as error:
            raise self._refusal(error) from error
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self._walk(value)
        except Exception as error:
            raise self._refusal(error) from error

    def _refusal(self, error: Exception) -> Exception:
        if isinstance(error, MemoryError):
            return error
        if isinstance(error, UnreadableValueError):
            return self._located(str(error))
        # The value's own code, or its library's, has failed: nothing may be concluded.
        return self._located(f"what could not be read ({_words(error)})")

    def _walk(self, value: object) -> bytes:
        result = self._enter("", value)
        while self._frames:
            frame = self._frames[-1]
            self._label = ""
            try:
                # A walk that begins is sent None.
                label, part = frame.walk.send(result)  # type: ignore[arg-type]
            except StopIteration as stop:
                result = self._leave(stop.value)
            else:
                result = self._enter(label, part)
        return result or b""

    def _enter(self, label: object, value: object) -> bytes | None:
        """Return the digest of a value, or None where it has parts that come first."""
        self._label = label
        cls = type(value)
        scalar = SCALARS.get(cls)
        if scalar is not None:
            if type(value) is str:
                return self._text(value)
            self.kind = self.kind or cls.__name__
            return scalar(value)
        if issubclass(cls, PurePath):  # `isinstance` may call the object's own `__class__`
            return self._place(value)  # type: ignore[arg-type]
        return self._enter_object(label, value, cls)

    def _enter_object(self, label: object, value: object, cls: type) -> bytes | None:
        known = self._known.get((id(value), self._n_quiet > 0))
        if known is not None:
            self._note_data(is_data=known[1])
            return known[0]
        if id(value) in self._position:
            self._refer(label, value, self._position[id(value)])
            return _INNER
        kind = self._kind_of(cls)
        self.kind = self.kind or kind.name
        declared = self._declared(value, kind)
        if declared is not None:
            self._note_data(is_data=kind.role != "model")
            return declared
        found = kind.read(value)
        if isinstance(found, tuple):
            return self._take(value, kind, found)
        self._push(_Frame(found, value, label, kind, len(self._open)))
        return None

    def _take(self, value: object, kind: Kind, leaf: Leaf) -> bytes:
        digest, n_bytes = leaf
        self.n_bytes += n_bytes
        is_data = kind.role == "data"
        self._note_data(is_data=is_data)
        if n_bytes:
            self._known[id(value), self._n_quiet > 0] = (digest, is_data, value)
        return digest

    def _push(self, frame: _Frame) -> None:
        self._frames.append(frame)
        self._open.append(frame.value)
        self._position[id(frame.value)] = frame.index
        self._n_quiet += frame.kind.role != "value"

    def _leave(self, leaf: Leaf) -> bytes:
        digest, n_bytes = leaf
        self.n_bytes += n_bytes
        frame = self._frames.pop()
        self._n_quiet -= frame.kind.role != "value"
        is_data = frame.has_data and frame.kind.role != "model"
        self._read[id(frame.value)] = (digest, frame.inner)
        if frame.low == frame.index:
            digest = self._close(frame, is_data=is_data)
        else:
            self._refer(frame.label, frame.value, frame.low)
            digest = _INNER
        self._note_data(is_data=is_data)
        return digest

    def _close(self, frame: _Frame, *, is_data: bool) -> bytes:
        members = self._open[frame.index :]
        del self._open[frame.index :]
        parts = {id(value): self._read.pop(id(value)) for value in members}
        digest, inner = parts[id(frame.value)]
        digests = _digests_in_cycle(parts) if inner else {id(frame.value): digest}
        for value in members:
            del self._position[id(value)]
            known = (digests[id(value)], is_data, value)
            self._known[id(value), self._n_quiet > 0] = known
        return digests[id(frame.value)]

    def _refer(self, label: object, value: object, index: int) -> None:
        """Note that the value now being read leads to one of its own cycle."""
        if label is UNORDERED:
            msg = "a set or a key that leads back to what holds it, which has no order of its own"
            raise UnreadableValueError(msg)
        holder = self._frames[-1]
        holder.inner.append(id(value))
        holder.low = min(holder.low, index)

    def _note_data(self, *, is_data: bool) -> None:
        if not self._frames:
            self.is_data = self.is_data or is_data
        elif is_data:
            self._frames[-1].has_data = True

    def _kind_of(self, cls: type) -> Kind:
        found = self._kinds.get(id(cls))
        if found is None:
            found = self._kinds[id(cls)] = (cls, self._looked_up(cls))
        return found[1]

    def _looked_up(self, cls: type) -> Kind:
        plain = self._containers.kinds.get(cls) or VALUES.get(cls)
        if plain is not None:
            return plain
        roots = roots_of(cls)
        return (
            ("numpy" in roots and arrays.kind_of(cls))
            or frames.kind_of(cls, roots)
            or self._models.kind_of(cls, roots)
            or self._objects.kind_of(cls)
        )

    def _declared(self, value: object, kind: Kind) -> bytes | None:
        if not kind.asked:
            return None
        answer: object = None if self._hook is None else self._hook(value)
        source = "the hook pytest_kepler_fingerprint"
        if answer is None and not issubclass(type(value), type):
            source = f"its {_DECLARATION}()"
            answer = _own_declaration(value)
        if answer is None:
            return None
        if type(answer) is not str:
            msg = f"{source} returned {type(answer).__name__}, which must be a text"
            raise UnreadableValueError(msg)
        return Framed("declared").text(type(value).__qualname__, answer).digest()

    # Texts, files and folders

    def _text(self, text: str) -> bytes:
        content = None
        if not self._n_quiet and self._folders.file_named(text):
            content = self._content(Path(text))
        if content is not None and not self._texts_count:
            return content
        self.kind = self.kind or "str"
        return text_digest(text) if content is None else joined("text", text_digest(text), content)

    def _place(self, path: PurePath) -> bytes:
        content = None
        if isinstance(path, Path) and not self._n_quiet:
            content = self._content(path)
        if content is not None and not self._texts_count:
            return content
        self.kind = self.kind or "path"
        if self._root is not None and path.is_relative_to(self._root):
            path = path.relative_to(self._root)
        place = Framed("path").text(path.as_posix()).digest()
        return place if content is None else joined("place", place, content)

    def _content(self, path: Path) -> bytes | None:
        found = read_path(path, self._memory)
        if found is None:
            return None
        self.kind = self.kind or ("folder" if path.is_dir() else "file")
        self.n_bytes += found[1]
        self._note_data(is_data=True)
        return found[0]

    def names_a_file(self, values: Sequence[object]) -> bool:
        """Tell whether a text among `values` is the path of a file."""
        return not self._n_quiet and any(
            type(value) is str and self._folders.file_named(value) for value in values
        )

    def places(self, values: Sequence[object]) -> Mapping[int, str]:
        """Return, by position, the names of the files among `values` below their common folder."""
        if self._n_quiet:
            return {}
        files: dict[int, str | Path] = {
            position: value  # type: ignore[misc]
            for position, value in enumerate(values)
            if self._exists(value)
        }
        if len(files) < _SEVERAL:
            return {}
        return dict(zip(files, relative_names(files.values()), strict=True))

    def _exists(self, value: Any) -> bool:
        cls = type(value)
        if cls is str:
            return self._folders.file_named(value)
        return issubclass(cls, Path) and bool(value.exists())

    def _located(self, what: str) -> UnreadableValueError:
        labels = [frame.label for frame in self._frames] + [self._label]
        where = self._path + "".join(map(_shown, labels))
        return UnreadableValueError(f"{where}: {what}. It has no fingerprint; {_WAYS_OUT}")


def _digests_in_cycle(parts: Mapping[int, tuple[bytes, list[int]]]) -> dict[int, bytes]:
    """Return a digest for each member of a cycle, whichever of them was met first.

    A member is told by what can be seen from it: first by its own content, then by that of the
    members it holds, and so on until no step tells more of them apart. The last two steps
    together say all that the cycle is, so they join each digest.
    """
    seen: dict[int, bytes] = {}
    further = {member: digest for member, (digest, _) in parts.items()}
    while len(set(further.values())) > len(set(seen.values())):
        seen = further
        further = {
            member: joined("seen", digest, *(seen[part] for part in inner))
            for member, (digest, inner) in parts.items()
        }
    steps = {seen[member] + further[member] for member in parts}
    cycle = joined("cycle", *sorted(steps))
    return {member: joined("member", digest, cycle) for member, digest in seen.items()}


def _own_declaration(value: object) -> object:
    """Return what the object says of itself, or None if it says nothing."""
    cls = type(value)
    if any(_DECLARATION in base.__dict__ for base in cls.__mro__):
        return value.__kepler_fingerprint__()  # type: ignore[attr-defined]
    try:
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return own[_DECLARATION]() if _DECLARATION in own else None


def _shown(label: object) -> str:
    if isinstance(label, str):
        return label
    if isinstance(label, int):
        return f"[{label}]"
    if isinstance(label, Item):
        key = label.key
        return f"[{key!r}]" if type(key) in SCALARS else f"[<{type(key).__qualname__}>]"
    return "{…}"


def _words(error: Exception) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - the error's own `__str__` raises
        return type(error).__name__
