"""Record what a person sees: the example project's first, second, changed and broken sessions.

    python docs/record.py      run them in a copy, and write README.md and docs/sessions.md

A test runs the same sessions again and compares their words; numbers, ids and times may differ.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 80
_SETTINGS = '[tool.pytest.ini_options]\npythonpath = ["."]\n'
_BLOCK = r"<!-- session: {name} -->\n```text\n(?:(?!<!-- end -->).)*```\n<!-- end -->"


@dataclass(frozen=True)
class Edit:
    """One line of the example that is changed before a session."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Session:
    """One command, after an edit, with what it shows."""

    name: str
    title: str
    command: str
    edit: Edit | None = None


_DIGITS = "example_project/digits.py"
_PIXEL = "    images = scaled(images).reshape(-1, 8, 8, 1)\n"
_RUN = "pytest example_project -m experiment"
SESSIONS = (
    Session("first", "The first run: everything trains", _RUN),
    Session("second", "The second run: nothing trains", _RUN),
    Session(
        "pixel",
        "One pixel of the data changed",
        _RUN,
        Edit(_DIGITS, _PIXEL, f"{_PIXEL}    images[0, 3, 3, 0] = 0.5\n"),
    ),
    Session(
        "helper",
        "One line of a helper changed",
        _RUN,
        Edit("example_project/penguins.py", "n_estimators=100", "n_estimators=50"),
    ),
    Session(
        "parameter",
        "One parameter added",
        _RUN,
        Edit("example_project/test_digits.py", '"filters", [8, 16]', '"filters", [8, 16, 24]'),
    ),
    Session("workers", "Two workers", f"{_RUN} -n 2"),
    Session(
        "broken",
        "A value that is no number got into the data",
        _RUN,
        Edit(_DIGITS, _PIXEL, f'{_PIXEL}    images[5, 2, 2, 0] = float("nan")\n'),
    ),
    Session("report", "What has been tried", "pytest --kepler-report"),
)


def record(folder: Path) -> dict[str, str]:
    """Run every session in a copy of the example and return what each printed."""
    shutil.copytree(
        ROOT / "example_project",
        folder / "example_project",
        ignore=shutil.ignore_patterns("__pycache__", ".*"),
    )
    (folder / "pyproject.toml").write_text(_SETTINGS, encoding="utf-8")
    return {session.name: _run(session, folder) for session in SESSIONS}


def _run(session: Session, folder: Path) -> str:
    if session.edit is not None:
        path = folder / session.edit.file
        text = path.read_text(encoding="utf-8")
        if session.edit.old not in text:
            msg = f"{session.edit.file} has no {session.edit.old!r}: mend the session's edit"
            raise SystemExit(msg)
        path.write_text(text.replace(session.edit.old, session.edit.new), encoding="utf-8")
    environment = {
        **os.environ,
        "COLUMNS": str(WIDTH),
        "PYTHONWARNINGS": "ignore",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    for name in ("CI", "GITHUB_ACTIONS", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-m", *session.command.split()],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return _shown(done.stdout, folder)


def _shown(text: str, folder: Path) -> str:
    """Take away what only this machine has: its paths and its plugins."""
    text = text.replace(str(folder.resolve()), "~/clone").replace(str(folder), "~/clone")
    lines = [
        line for line in text.splitlines() if not re.match(r"(plugins|platform|created):?", line)
    ]
    return "\n".join(line.rstrip() for line in lines).strip()


#: Columns that are shown where the width allows it, which a shorter number may.
_OPTIONAL = {"balanced_accuracy", "f1", "log_loss", "precision", "recall", "roc_auc"}


def words(text: str) -> Counter[str]:
    """Return the words of an output, however wrapped, without what differs between machines.

    Numbers, ids, addresses and times do, the columns that still fit, and whether a result on
    changed data came out better than the one before.
    """
    text = re.sub(r"best so far.*?(?=\n\n|\n  \S)", "", text, flags=re.DOTALL)
    # Workers report in an order of their own.
    text = re.sub(r"(?<!\S)[.dBEF]{4,}(?!\S)", lambda found: "".join(sorted(found[0])), text)
    text = re.sub(r"\b[0-9a-f]{8}\b|0x[0-9a-f]+", "ID", text)
    text = re.sub(r"array\(.*?\.(min|max)$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"[-=]{3,}", " ", text)
    text = re.sub(r"\d[\d.,]*", "#", text)
    text = re.sub(r"just now|# (?:s|min|h) ago|# (?:ms|s|min)\b|\(#:#:#\)", "#", text)
    return Counter(text.split()) - Counter(dict.fromkeys(("★", "#", *_OPTIONAL), len(text)))


def blocks(recorded: dict[str, str]) -> dict[str, str]:
    """Return each session as the Markdown that stands in the documents."""
    by_name = {session.name: session for session in SESSIONS}
    return {
        name: (
            f"<!-- session: {name} -->\n```text\n$ {by_name[name].command}\n{text}\n```\n"
            "<!-- end -->"
        )
        for name, text in recorded.items()
    }


def write(recorded: dict[str, str]) -> None:
    """Put the sessions into README.md, where it names them, and all into docs/sessions.md."""
    drawn = blocks(recorded)
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    for name, block in drawn.items():
        text = re.sub(_BLOCK.format(name=name), lambda _, block=block: block, text, flags=re.DOTALL)
    readme.write_text(text, encoding="utf-8")
    parts = [
        "# What a person sees",
        (
            "Recorded from the example project by `python docs/record.py`, each session after the "
            "one before it; a test runs them again and compares the words."
        ),
    ]
    for session in SESSIONS:
        parts += [f"## {session.title}", *_told(session.edit), drawn[session.name]]
    (ROOT / "docs" / "sessions.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _told(edit: Edit | None) -> list[str]:
    if edit is None:
        return []
    old = "".join(f"-{line}\n" for line in edit.old.splitlines())
    new = "".join(f"+{line}\n" for line in edit.new.splitlines())
    return [f"In `{edit.file}`:", f"```diff\n{old}{new}```"]


def main() -> None:
    """Record and write."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    with tempfile.TemporaryDirectory() as name:
        write(record(Path(name)))


if __name__ == "__main__":
    main()
