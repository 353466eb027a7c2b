"""Runs the corpus of edits against the real plugin: ``python tests/corpus/run.py``.

The laboratory is run once; each edit is made in a copy of it, journal included, in a folder of
another name. An item that ran although it need not is needless; one that was skipped although it
had to run is wrong.
"""

# ruff: noqa: T201 - its output is the table

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from edits import EDITS, Edit
from lab import FILES

_QUIET = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "random"}
_LEFT_OUT = ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "PYTEST_ADDOPTS", "LAB_INPUT")


@dataclass(frozen=True)
class Outcome:
    """What an edit led to.

    Attributes
    ----------
    wrong, needless : tuple of str
        Items that were skipped and had to run; that ran and need not.
    trouble : str
        What kept the edit from being judged.
    """

    edit: Edit
    wrong: tuple[str, ...] = ()
    needless: tuple[str, ...] = ()
    n_items: int = 0
    trouble: str = ""


def make(folder: Path) -> None:
    """Write the laboratory, as it is before any edit."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip("\n"), encoding="utf-8")


def run(folder: Path, edit: Edit, *, python: str = sys.executable) -> tuple[dict[str, str], str]:
    """Run pytest in a folder; return each experiment's outcome by name, and the output."""
    report = folder.parent / f"{folder.name}.xml"
    environment = {k: v for k, v in os.environ.items() if k not in _LEFT_OUT}
    # A dying fixture leaves its traces in the report: no line of the terminal is read.
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    done = subprocess.run(
        [*command, *edit.arguments],
        cwd=folder,
        env={**environment, **_QUIET, **edit.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    if done.returncode not in (0, 1) or not report.exists():
        return {}, output
    found = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - written by our own pytest
        name = case.attrib["name"]
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            found[name] = "failed"
        elif skipped is not None:
            is_duplicate = "duplicate" in skipped.attrib.get("message", "")
            found[name] = "duplicate" if is_duplicate else "skipped"
        else:
            found[name] = "ran"
    return found, output


def is_plain(name: str) -> bool:
    """Tell whether an item of the laboratory is no experiment."""
    return name in ("test_plain", "test_new", "test_more")


def judge(base: Path, edit: Edit, scratch: Path, *, python: str = sys.executable) -> Outcome:
    """Make an edit in a copy of the laboratory and compare what ran with what had to."""
    folder = scratch / f"edit-{EDITS.index(edit) if edit in EDITS else 'x'}"
    shutil.copytree(base, folder)
    try:
        edit.apply(folder)
        found, output = run(folder, edit, python=python)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    items = {name: outcome for name, outcome in found.items() if not is_plain(name)}
    odd = [f"{name} {one}" for name, one in items.items() if one not in ("ran", "duplicate")]
    if odd or not items:
        return Outcome(edit, trouble=", ".join(odd) or output[-1500:])
    everything = "*" in edit.runs
    due = {name for name in items if everything or edit.must_run(name)}
    missing = (
        []
        if everything
        else [
            one
            for one in edit.runs
            if not any(one in (name, name.partition("[")[0]) for name in items)
        ]
    )
    if missing:
        return Outcome(edit, trouble=f"no item is called {', '.join(missing)}")
    ran = {name for name, outcome in items.items() if outcome == "ran"}
    return Outcome(edit, tuple(sorted(due - ran)), tuple(sorted(ran - due)), len(items))


def main() -> int:
    """Run all of it, print the table; exit status 1 for a wrong skip or too many needless."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-k", default="", help="only edits whose name has this text")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--python", default=sys.executable, help="interpreter of the edited runs")
    options = parser.parse_args()
    chosen = [edit for edit in EDITS if options.k in edit.name]
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="kepler-corpus-") as name:
        scratch = Path(name)
        base = scratch / "lab"
        make(base)
        first, output = run(base, Edit("before"))
        if not first or set(first.values()) != {"ran"}:
            print(output)
            return 1
        with ThreadPoolExecutor(options.jobs) as pool:
            outcomes = list(
                pool.map(lambda edit: judge(base, edit, scratch, python=options.python), chosen)
            )
    return show(outcomes, time.perf_counter() - started)


def show(outcomes: list[Outcome], seconds: float) -> int:
    """Print the table and return the exit status."""
    for one in outcomes:
        for kind, names in (("WRONG SKIP", one.wrong), ("needless", one.needless)):
            if names:
                more = f" and {len(names) - 4} more" if len(names) > 4 else ""
                print(f"{kind:<11} {one.edit.name}: {', '.join(names[:4])}{more} {one.edit.why}")
        if one.trouble:
            print(f"TROUBLE     {one.edit.name}: {one.trouble}")
    must = [one for one in outcomes if one.edit.runs]
    need_not = [one for one in outcomes if not one.edit.runs]
    wrong = [one for one in outcomes if one.wrong]
    needless = [one for one in outcomes if one.needless]
    trouble = [one for one in outcomes if one.trouble]
    share = len(needless) / max(1, len(outcomes))
    print(f"edits                {len(outcomes):>6}   in {seconds:.0f} s")
    print(f"  must run again     {len(must):>6}")
    print(f"  must be skipped    {len(need_not):>6}")
    print(f"decisions            {sum(one.n_items for one in outcomes):>6}")
    print(f"wrong skips          {len(wrong):>6}")
    print(f"needless reruns      {len(needless):>6}   {share:.1%}")
    print(f"not judged           {len(trouble):>6}")
    return int(bool(wrong or trouble or share > 0.02))


if __name__ == "__main__":
    sys.exit(main())
