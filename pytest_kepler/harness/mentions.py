"""Which files could hold a sanity test: told from their text, before anything is imported.

A file is a candidate if it mentions the mark, or imports one of the user's modules that does, at
first hand or through others: an alias (``gate = pytest.mark.sanity``) and a base class with marked
tests leave no trace in the text of the file that uses them. So is each file below a conftest with
hooks that mentions the mark.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_IMPORT: Final = re.compile(
    rb"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import[ \t]*(\([^)]*\)|[^\n#;]+)|import[ \t]+([^\n#;]+))",
    re.MULTILINE,
)
_NAME: Final = re.compile(r"\w+")
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
_HOOK: Final = b"def pytest_"
_LIBRARY: Final = tuple(
    dict.fromkeys(sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))
)


class Mentions:
    """Looks for texts in files and in what they import; each file is read once.

    Parameters
    ----------
    rootdir : Path
    needles : collection of bytes
        The texts.
    """

    def __init__(self, rootdir: Path, needles: Collection[bytes]) -> None:
        self._rootdir = rootdir
        self._needles = needles
        self._texts: dict[Path, bytes | None] = {}
        self._imports: dict[Path, list[Path]] = {}
        self._found: dict[tuple[Path, str], list[Path]] = {}
        self._without: set[Path] = set()
        self._own_paths = [Path(entry) for entry in sys.path if entry and _is_own(Path(entry))]

    def in_reach_of(self, path: Path) -> bool:
        """Tell whether a file mentions one of the texts, or something that it stands on does."""
        waiting = [path]
        seen = {path}
        while waiting:
            file = waiting.pop()
            if file in self._without:
                continue
            if self._mentioned_in(file):
                return True
            new = [one for one in self._imported(file) if one not in seen]
            seen.update(new)
            waiting += new
        self._without |= seen
        return self._is_marked_from_above(path)

    def _is_marked_from_above(self, path: Path) -> bool:
        return any(
            self._mentioned_in(conftest) and _HOOK in (self._text(conftest) or b"")
            for folder in self._folders_above(path)
            if (conftest := folder / "conftest.py").is_file()
        )

    def _folders_above(self, path: Path) -> Iterator[Path]:
        for folder in path.parents:
            yield folder
            if folder == self._rootdir:
                return

    def _mentioned_in(self, path: Path) -> bool:
        text = self._text(path)
        if text is None:
            return True  # collecting it will say what is wrong
        return any(needle in text for needle in self._needles)

    def _text(self, path: Path) -> bytes | None:
        if path not in self._texts:
            try:
                self._texts[path] = path.read_bytes()
            except OSError:
                self._texts[path] = None
        return self._texts[path]

    def _imported(self, path: Path) -> list[Path]:
        if path not in self._imports:
            found: dict[Path, None] = {}
            for source, names, modules in _IMPORT.findall(self._text(path) or b""):
                if source:
                    members = _NAME.findall(names.decode("utf-8", "replace"))
                    found.update(dict.fromkeys(self._files_of(path, source.decode(), members)))
                for module in modules.decode("utf-8", "replace").split(","):
                    name = module.split(" as ")[0].strip()
                    found.update(dict.fromkeys(self._files_of(path, name, ())))
            self._imports[path] = list(found)
        return self._imports[path]

    def _files_of(self, path: Path, module: str, members: Collection[str]) -> Iterator[Path]:
        """Yield the user's files that an import statement reads."""
        name = module.lstrip(".")
        level = len(module) - len(name)
        top = name.partition(".")[0]
        if not level and (top in sys.stdlib_module_names or top in ("pytest", "pytest_kepler")):
            return
        bases = [path.parents[level - 1]] if 0 < level <= len(path.parents) else []
        if not level:
            bases = [*self._folders_above(path), *self._own_paths]
        for base in bases:
            found = self._below(base, name, members)
            if found:
                yield from found
                return
        if not level and (home := _installed_elsewhere(top)) is not None:
            yield from self._below(home, name, members)

    def _below(self, base: Path, name: str, members: Collection[str]) -> list[Path]:
        key = (base, name)
        if key not in self._found:
            self._found[key] = list(_walk_down(base, name))
        found = self._found[key]
        if found and found[-1].name != "__init__.py":
            return found
        folder = found[-1].parent if found else base.joinpath(*name.split(".")) if name else base
        inside = [one for member in members for one in _walk_down(folder, member)]
        return [*found, *inside]


def _walk_down(base: Path, name: str) -> Iterator[Path]:
    """Yield the files that importing a dotted name from a folder runs, if it is there."""
    folder = base
    for part in filter(None, name.split(".")):
        folder = folder / part
        if (file := folder / "__init__.py").is_file() or (
            file := folder.with_name(f"{part}.py")
        ).is_file():
            yield file
        elif not folder.is_dir():
            return


def _is_own(folder: Path) -> bool:
    is_installed = any(part.endswith("-packages") for part in folder.parts)
    return not is_installed and not str(folder).startswith(_LIBRARY)


def _installed_elsewhere(top: str) -> Path | None:
    """Return the folder of a module of the user's that lies on no path, as in editable installs."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return None
    origin = spec.origin if spec is not None else None
    if origin is None or not origin.endswith(".py") or not _is_own(Path(origin)):
        return None
    file = Path(origin)
    return file.parents[1] if file.name == "__init__.py" else file.parent


def may_guard(path: Path, fixtures: Collection[str]) -> bool:
    """Tell whether a file that could not be collected may hold a gate of an experiment elsewhere.

    Parameters
    ----------
    path : Path
        The file.
    fixtures : collection of str
        The names of the project's fixtures that the experiment uses.

    Notes
    -----
    A sanity test guards from another file only if it uses some of the experiment's fixtures, and
    none of its own file's. In doubt it may.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return True
    functions = [node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)]
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    if any(node.bases for node in classes):
        return True  # its tests may be inherited
    own = {node.name for node in functions if node.decorator_list}
    text = ast.unparse(tree)
    if any(word in text for word in ("of=", "usefixtures", "pytest_generate_tests")):
        return True
    return any(
        _names(node) & set(fixtures) and not _names(node) & own
        for node in functions
        if node.name.startswith("test")
    )


def _names(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    arguments = function.args
    return {one.arg for one in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]}
