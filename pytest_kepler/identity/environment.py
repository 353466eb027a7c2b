"""What surrounds a run: Python, libraries, device, and the state of the repository."""

from __future__ import annotations

import fnmatch
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_LONGEST_DIFF = 1_000_000
_GIT_SECONDS = 10
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_\-]*)[\"']?\s*[:=]")


def libraries() -> dict[str, str]:
    """Return the versions of the libraries that this process has imported, by name."""
    found = {}
    for name, module in list(sys.modules.items()):
        if "." in name or name.startswith("_"):
            continue
        version = getattr(module, "__dict__", {}).get("__version__")
        path = getattr(module, "__dict__", {}).get("__file__")
        if isinstance(version, str) and isinstance(path, str) and "-packages" in path:
            found[name] = version
    return dict(sorted(found.items()))


def device() -> str:
    """Return ``cpu``, or how many GPUs the imported library sees; nothing is imported."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return f"gpu x{torch.cuda.device_count()}"
    tensorflow = sys.modules.get("tensorflow")
    config = getattr(tensorflow, "config", None)
    if config is not None:
        gpus = config.list_physical_devices("GPU")
        if gpus:
            return f"gpu x{len(gpus)}"
    return "cpu"


def facts() -> dict[str, Any]:
    """Return what is recorded of the environment with every run."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "machine": platform.machine(),
        "device": device(),
        "libraries": libraries(),
    }


def chosen(all_facts: Mapping[str, Any], parts: Sequence[str]) -> dict[str, str]:
    """Return those parts of the environment that the user lets join the identity."""
    counted: dict[str, str] = {}
    for part in parts:
        if part == "libraries":
            counted |= {f"library {name}": one for name, one in all_facts["libraries"].items()}
        else:
            counted[part] = str(all_facts[part])
    return counted


def differ(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name what differs between two environments; a library counts where both have it."""
    changes = [
        f"{name} {old[name]} → {new[name]}"
        for name in ("python", "device", "system", "machine")
        if name in old and old[name] != new.get(name)
    ]
    before, now = old.get("libraries", {}), new.get("libraries", {})
    changes += [
        f"{name} {before[name]} → {now[name]}"
        for name in before
        if name in now and before[name] != now[name]
    ]
    return changes


@dataclass(frozen=True, slots=True)
class Repository:
    """The commit that a session ran from, and what was not committed."""

    commit: str = ""
    dirty: bool = False
    diff: str | None = None


def repository(root: Path, *, keep_diff: bool, redact: Sequence[str]) -> Repository:
    """Ask git about the folder; without git or a repository the answer is empty.

    Parameters
    ----------
    root : Path
        A folder of the work tree.
    keep_diff : bool
        Whether the uncommitted difference is kept.
    redact : sequence of str
        Patterns of names; lines of the difference that assign to one lose their value.
    """
    commit = _git(root, "rev-parse", "HEAD")
    if not commit:
        return Repository()
    status = _git(root, "status", "--porcelain", "--untracked-files=no")
    if not status:
        return Repository(commit.strip())
    diff = None
    if keep_diff:
        text = _git(root, "diff", "HEAD", "--no-color", "--no-ext-diff")
        diff = redacted(text, redact)[:_LONGEST_DIFF]
    return Repository(commit.strip(), dirty=True, diff=diff)


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(  # noqa: S603  # fixed arguments
            command, capture_output=True, timeout=_GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def is_secret(name: str, patterns: Sequence[str]) -> bool:
    """Tell whether a parameter or variable name matches a pattern, whatever its case."""
    lowered = name.lower()
    return any(fnmatch.fnmatchcase(lowered, pattern.lower()) for pattern in patterns)


def redacted(text: str, patterns: Sequence[str]) -> str:
    """Return `text` with the lines that assign to a secret's name cut at the assignment."""
    lines = []
    for line in text.splitlines(keepends=True):
        for match in _ASSIGNMENT.finditer(line):
            if is_secret(match.group(1), patterns):
                end = "\n" if line.endswith("\n") else ""
                lines.append(f"{line[: match.end()]} [redacted]{end}")
                break
        else:
            lines.append(line)
    return "".join(lines)
