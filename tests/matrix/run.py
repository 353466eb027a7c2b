"""Runs the matrix of invocations and gate states: ``python tests/matrix/run.py``.

Each test of the project writes when it begins and when it is done, so that what is judged is what
happened: how many experiments trained, that each gate ran once, and that nothing trained before
every gate that was run for it had passed or been reported.
"""

# ruff: noqa: T201 - its output is the table

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from cases import CASES, Case

_LEFT_OUT = ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "PYTEST_ADDOPTS")


@dataclass(frozen=True)
class Outcome:
    """What came of a case: empty troubles are a pass."""

    case: Case
    troubles: tuple[str, ...]
    output: str = ""


def run(case: Case, folder: Path, *, python: str = sys.executable) -> Outcome:
    """Write the project, call pytest, and compare."""
    for name, text in case.files.items():
        if text is not None:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.lstrip("\n"), encoding="utf-8")
    for name, old, new in case.changes:
        path = folder / name
        text = path.read_text(encoding="utf-8")
        if old not in text:
            return Outcome(case, (f"{name} does not have {old!r}",))
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
    trace = folder.parent / f"{folder.name}.trace"
    if case.before is not None:
        _pytest(case.before, folder, trace, python)
    trace.write_text("")
    done = _pytest(case.arguments, folder / case.folder, trace, python)
    output = done.stdout + done.stderr
    lines = trace.read_text(encoding="utf-8").splitlines()
    return Outcome(case, tuple(_troubles(case, done.returncode, output, lines)), output)


def _pytest(
    arguments: str, folder: Path, trace: Path, python: str
) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in _LEFT_OUT}
    environment |= {"TRACE": str(trace), "COLUMNS": "300", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [python, "-m", "pytest", *shlex.split(arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def is_gate(node_id: str) -> bool:
    """Tell from its place or name whether a test of these projects is a gate."""
    path, _, name = node_id.partition("::")
    if path.endswith("test_gates.py") or path.startswith(("gates/", "far/")) or "gate" in path:
        return True
    return any(word in name for word in ("test_mine", "test_rule", "test_words", "test_level"))


def _troubles(case: Case, status: int, output: str, lines: list[str]) -> list[str]:
    found = []
    began = Counter(line[6:] for line in lines if line.startswith("began "))
    gates = {name for name in began if is_gate(name)}
    trained = [line[5:] for line in lines if line.startswith("done ") and not is_gate(line[5:])]
    numbers = re.findall(r"(\d+) blocked", output.rpartition("=== ")[2] or output)
    if not numbers and (quiet := re.findall(r"(\d+) blocked.* in \d", output)):
        numbers = quiet
    blocked = int(numbers[-1]) if numbers else 0
    for what, is_, due in (
        ("trained", len(trained), case.trained),
        ("blocked", blocked, case.blocked),
        ("gates", len(gates), case.gates),
        ("status", status, case.status),
    ):
        if due not in (is_, -1):
            found.append(f"{what} {is_} instead of {due}")
    twice = [name for name, count in began.items() if count > 1]
    if twice and not case.is_rerun:
        found.append(f"ran twice: {', '.join(twice)[:100]}")
    if case.says and case.says not in output:
        found.append(f"does not say {case.says!r}")
    if "INTERNALERROR" in output or "Traceback (most recent call last)" in output:
        found.append("an internal error")
    return found + _untimely(lines)


def _untimely(lines: list[str]) -> list[str]:
    """Name a gate that ran after an experiment of the same data had trained."""
    done: set[str] = set()
    for line in lines:
        word, _, node_id = line.partition(" ")
        case = re.findall(r"\[(good|bad)", node_id)
        if word == "done" and not is_gate(node_id):
            done.update(case)
        elif word == "began" and is_gate(node_id) and done & set(case):
            return [f"{node_id} ran after what it guards"]
    return []


def main() -> int:
    """Run the matrix and print the table; exit status 1 if a case is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-k", default="", help="only cases whose name or arguments have this text")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("-v", action="store_true", help="print the output of what is wrong")
    options = parser.parse_args()
    chosen = [one for one in CASES if options.k in f"{one.name} {one.arguments}"]
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="kepler-matrix-") as name:
        folders = [Path(name) / f"case-{number}" for number in range(len(chosen))]

        def judge(pair: tuple[Case, Path]) -> Outcome:
            pair[1].mkdir()
            return run(*pair, python=options.python)

        with ThreadPoolExecutor(options.jobs) as pool:
            outcomes = list(pool.map(judge, zip(chosen, folders, strict=True)))
    wrong = [one for one in outcomes if one.troubles]
    for one in outcomes:
        verdict = "; ".join(one.troubles) or "right"
        print(f"{one.case.name[:44]:<44}  {one.case.arguments[:56]:<56}  {verdict}")
        if options.v and one.troubles:
            print(one.output)
    seconds = time.perf_counter() - started
    print(f"{len(outcomes)} invocations, {len(wrong)} wrong, in {seconds:.0f} s")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
