"""Runs other projects' own tests with the plugin and without: ``python tests/neighbours/run.py``.

NumPy, pandas and scikit-learn install their tests. Each part of them is run twice, and each
phase of each test, each warning and the exit status must be the same. The plugin must have
imported nothing and left nothing behind. Where something differs, both are run once more: what does
not differ again is the part's own unsteadiness (threads, random data), and is only counted.
"""

# ruff: noqa: T201 - its output is the table

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: A good part of each suite: what takes a machine minutes, not hours.
PARTS: Final = (
    "numpy._core",
    "numpy.fft",
    "numpy.lib",
    "numpy.linalg",
    "numpy.ma",
    "numpy.matrixlib",
    "numpy.polynomial",
    "numpy.random",
    "pandas.tests.apply",
    "pandas.tests.base",
    "pandas.tests.dtypes",
    "pandas.tests.frame",
    "pandas.tests.groupby",
    "pandas.tests.indexes",
    "pandas.tests.reshape",
    "pandas.tests.series",
    "sklearn.cluster",
    "sklearn.ensemble",
    "sklearn.feature_extraction",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.preprocessing",
    "sklearn.svm",
    "sklearn.tree",
)
#: Seconds, and still a conftest, parametrised fixtures and a mark of each project's.
QUICK: Final = (
    "numpy.lib.tests.test_arraypad",
    "numpy.ma.tests.test_mrecords",
    "pandas.tests.reshape.concat.test_concat",
    "pandas.tests.series.methods.test_drop",
    "sklearn.preprocessing.tests.test_label",
    "sklearn.tests.test_dummy",
)
#: What a project deselects when it runs its own tests on a user's machine.
MARKS: Final = {"pandas": "not slow and not network and not db", "numpy": "not slow"}
#: Other plugins are left out: what they shuffle would differ by itself.
ALONE: Final = ("-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist", "-p", "no:kepler")
#: Left out: what makes a session another one.
NOT_PASSED_ON: Final = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_XDIST_WORKER")

RECORDER: Final = '''
"""Writes what each phase of each test came to."""

import json
import os
import sys

found = []


def pytest_collectreport(report):
    if not report.passed:
        found.append(["collect", report.nodeid, report.outcome])


def pytest_runtest_logreport(report):
    found.append([report.when, report.nodeid, report.outcome, getattr(report, "wasxfail", None)])


def pytest_warning_recorded(warning_message, when, nodeid):
    found.append(["warning", nodeid, when, str(warning_message.category.__name__)])


def pytest_unconfigure(config):
    with open(os.environ["KEPLER_RECORD"], "w", encoding="utf-8") as file:
        json.dump({"found": found, "duckdb": "duckdb" in sys.modules}, file)
'''


@dataclass(frozen=True)
class Session:
    """One run of a part."""

    status: int
    found: tuple[tuple[object, ...], ...]
    seconds: float
    troubles: tuple[str, ...]
    output: str

    @property
    def n_tests(self) -> int:
        """How many tests were begun."""
        return sum(1 for one in self.found if one[0] == "setup")

    def count(self, outcome: str) -> int:
        """Return how many phases ended in a way."""
        return sum(1 for one in self.found if one[2] == outcome and one[0] != "warning")


def run(part: str, folder: Path, *, with_plugin: bool, python: str = sys.executable) -> Session:
    """Run one part of an installed suite in an empty folder."""
    folder.mkdir(parents=True)
    (folder / "kepler_recorder.py").write_text(RECORDER, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    record = folder.with_name(f"{folder.name}.json")
    environment = {name: one for name, one in os.environ.items() if name not in NOT_PASSED_ON}
    environment |= {"KEPLER_RECORD": str(record), "PYTHONPATH": _import_path(folder)}
    environment |= {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    project = part.partition(".")[0]
    arguments = [*ALONE[: len(ALONE) - 2 * with_plugin], "-p", "kepler_recorder", "-q"]
    arguments += ["-c", "pytest.ini", "--rootdir=.", "--tb=line", "--hypothesis-seed=0"]
    arguments += ["-m", MARKS[project]] if project in MARKS else []
    started = time.perf_counter()
    done = subprocess.run(
        [python, "-m", "pytest", *arguments, "--pyargs", part],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    output = done.stdout + done.stderr
    if not record.exists():
        return Session(done.returncode, (), seconds, ("it did not end",), output)
    recorded = json.loads(record.read_text(encoding="utf-8"))
    troubles = []
    if recorded["duckdb"]:
        troubles.append("DuckDB was imported")
    if (folder / ".kepler").exists():
        troubles.append(".kepler was made")
    if "kepler:" in output:
        troubles.append("the plugin printed a line")
    found = tuple(tuple(one) for one in recorded["found"])
    return Session(done.returncode, found, seconds, tuple(troubles), output)


def _import_path(folder: Path) -> str:
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


def differences(without: Session, with_it: Session) -> list[str]:
    """Say what is not the same."""
    told = [*without.troubles, *with_it.troubles]
    if without.status != with_it.status:
        told.append(f"exit status {without.status} without, {with_it.status} with")
    if not without.n_tests:
        told.append("no test was run")
    if without.found != with_it.found:
        before, after = set(without.found), set(with_it.found)
        told += [f"only without: {_shown(one)}" for one in sorted(before - after, key=str)]
        told += [f"only with: {_shown(one)}" for one in sorted(after - before, key=str)]
        if before == after:
            told.append("the same tests, in another order or number")
    return told


def _shown(one: tuple[object, ...]) -> str:
    return " ".join(str(word) for word in one)


def compare(part: str, folder: Path, *, python: str = sys.executable) -> list[str]:
    """Run a part both ways, print its line, and return what differs."""
    without = run(part, folder / "without", with_plugin=False, python=python)
    with_it = run(part, folder / "with", with_plugin=True, python=python)
    told = differences(without, with_it)
    n_all = len(told)
    if told:
        again = [
            run(part, folder / f"again-{with_plugin}", with_plugin=with_plugin, python=python)
            for with_plugin in (False, True)
        ]
        repeated = differences(*again)
        told = [one for one in told if one in repeated]
    n_unsteady = n_all - len(told)
    counts = [with_it.count(outcome) for outcome in ("failed", "skipped")]
    print(
        f"{part:<42} {with_it.n_tests:>7} {counts[0]:>7} {counts[1]:>8} "
        f"{without.seconds:>9.1f} {with_it.seconds:>8.1f}  {len(told) or 'same'}"
        f"{f', {n_unsteady} that did not repeat' if n_unsteady else ''}",
        flush=True,
    )
    return told


def installed(parts: tuple[str, ...]) -> list[str]:
    """Return the parts whose project is there."""
    there = {name: importlib.util.find_spec(name) for name in {one.split(".")[0] for one in parts}}
    return [part for part in parts if there[part.split(".")[0]] is not None]


def main() -> int:
    """Compare the parts and print the table; exit status 1 on a difference."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", nargs="+", metavar="NAME", help="those below these names only")
    parser.add_argument("--quick", action="store_true", help="a sample of seconds")
    options = parser.parse_args()
    chosen = installed(QUICK if options.quick else PARTS)
    if options.parts:
        chosen = [
            part
            for part in chosen
            if any(f"{part}.".startswith(f"{name}.") for name in options.parts)
        ] or options.parts
    print(f"{'part':<42} {'tests':>7} {'failed':>7} {'skipped':>8} {'without s':>9} {'with s':>8}")
    wrong = []
    with tempfile.TemporaryDirectory(prefix="kepler-neighbours-") as name:
        for number, part in enumerate(chosen):
            told = compare(part, Path(name) / str(number))
            wrong += [f"{part}: {one}" for one in told]
    print("\n".join(wrong))
    print(f"{len(chosen)} parts, {len(wrong)} differences")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
