"""The user's source files: which files are the user's own, their text and their tables."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.machinery
import importlib.util
import json
import linecache
import os
import site
import sys
import sysconfig
import tempfile
import textwrap
import tokenize
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.identity.normal_form import FORM_VERSION, FileTable, read_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Tables that the cache keeps: those of this session, then the most lately used.
_KEPT_TABLES: Final = 2_000
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})


class SourceFiles:
    """Reads each source file once a session, and keeps tables on disk between sessions.

    Parameters
    ----------
    cache : Path or None
        Folder of the cache. A table is kept under the hash of the text that it was made from,
        so an entry cannot be stale, and files that moved or have copies share theirs. (Reading
        and hashing a file takes a fiftieth of parsing it: sizes and times need not be trusted.)

    Notes
    -----
    The cache is one JSON file, replaced in one step. Of two sessions that write at the same
    moment one may lose its new tables: they are made again.
    """

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = cache / f"source-tables-{FORM_VERSION}.json" if cache else None
        self._cached: dict[str, Any] | None = None
        self._used: dict[str, Any] = {}
        self._has_new = False
        self._texts: dict[str, bytes | None] = {}
        self._lines: dict[str, list[str]] = {}
        self._tables: dict[str, FileTable | None] = {}
        self._own: dict[str, bool] = {}
        self._library_prefixes = tuple(_library_prefixes())

    def is_own(self, filename: str) -> bool:
        """Tell whether a file is the user's: not Python's, not installed, not ours."""
        known = self._own.get(filename)
        if known is None:
            known = self._own[filename] = self._is_own(filename)
        return known

    def _is_own(self, filename: str) -> bool:
        if filename.startswith("<"):
            return False
        parts = Path(filename).parts
        return not (
            _INSTALLED.intersection(parts)
            or filename.startswith(self._library_prefixes)
            or os.path.realpath(filename).startswith(self._library_prefixes)
        )

    def module_file(self, variables: Mapping[str, Any]) -> str:
        """Return the source file of a module by its variables, or "" where it has none."""
        filename = variables.get("__file__")
        if not isinstance(filename, str):
            return ""
        if filename.endswith(".pyc"):
            with contextlib.suppress(ValueError):
                filename = importlib.util.source_from_cache(filename)
        return filename

    def table(self, filename: str) -> FileTable | None:
        """Return the table of a file, or None where it has no source that can be parsed."""
        if filename not in self._tables:
            text = self._text(filename)
            self._tables[filename] = None if text is None else self._table_of(text)
        return self._tables[filename]

    def source(self, filename: str, first_line: int, last_line: int) -> str:
        """Return lines of a file as they were written, dedented."""
        lines = self._lines.get(filename)
        if lines is None:
            lines = self._lines[filename] = _decoded(self._text(filename) or b"").splitlines()
        return textwrap.dedent("\n".join(lines[first_line - 1 : last_line]))

    def _text(self, filename: str) -> bytes | None:
        if filename not in self._texts:
            self._texts[filename] = _read(filename)
        return self._texts[filename]

    def _table_of(self, text: bytes) -> FileTable | None:
        key = hashlib.sha256(text).hexdigest()
        cached = self._stored().get(key)
        if cached is not None:
            with contextlib.suppress(TypeError, ValueError, AttributeError):
                table = FileTable.from_json(cached)
                self._used[key] = cached
                return table
        made = read_file(text)
        if made is not None:
            self._used[key] = made.to_json()
            self._has_new = True
        return made

    def _stored(self) -> dict[str, Any]:
        if self._cached is None:
            self._cached = _load(self._cache) if self._cache else {}
        return self._cached

    def save(self) -> None:
        """Write the tables that this session made to the cache; without a cache do nothing.

        A cache that cannot be written is passed over: the next session parses again.
        """
        if self._cache is None or not self._has_new:
            return
        # Read anew: another session may have added its own since.
        others = [(key, row) for key, row in _load(self._cache).items() if key not in self._used]
        room = max(0, _KEPT_TABLES - len(self._used))
        tables = dict(others[-room:] if room else []) | self._used
        with contextlib.suppress(OSError):
            _replace(self._cache, json.dumps(tables, separators=(",", ":")))
            self._has_new = False


def _library_prefixes() -> Iterator[str]:
    paths = sysconfig.get_paths()
    folders = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders.update(site.getsitepackages())
    folders.add(str(Path(__file__).parents[1]))
    for folder in folders:
        for spelling in {folder, os.path.realpath(folder)}:
            yield os.path.join(spelling, "")  # noqa: PTH118 - the separator at the end matters


def _read(filename: str) -> bytes | None:
    try:
        return Path(filename).read_bytes()
    except (OSError, ValueError):
        # A notebook's cell, a doctest, a module in a zip: Python's own line cache may know it.
        lines = linecache.getlines(filename)
        return "".join(lines).encode("utf-8", "surrogatepass") if lines else None


def _decoded(text: bytes) -> str:
    try:
        encoding, _ = tokenize.detect_encoding(BytesIO(text).readline)
        return text.decode(encoding, "replace")
    except (SyntaxError, LookupError):
        return text.decode("utf-8", "replace")


def _load(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)  # noqa: PTH105 - a plain name, no Path was made
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise


def find_module_file(name: str) -> str:
    """Return the file of a module by its absolute dotted name, without importing anything.

    Returns
    -------
    str
        The source file, or "" where there is none: built in, a namespace, or not there.
    """
    loaded = sys.modules.get(name)
    if loaded is not None:
        filename = getattr(loaded, "__file__", None)
        return filename if isinstance(filename, str) else ""
    return _search(name)


def _search(name: str) -> str:
    head, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(head)
        for part in rest:
            if spec is None or spec.submodule_search_locations is None:
                return ""
            head = f"{head}.{part}"
            folders = list(spec.submodule_search_locations)
            spec = importlib.machinery.PathFinder.find_spec(head, folders)
    except (ImportError, ValueError, AttributeError):
        return ""
    origin = spec.origin if spec is not None else None
    return origin if origin is not None and origin.endswith(".py") else ""
