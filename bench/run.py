"""Measure what pytest-kepler costs, each figure beside its yardstick in the same run.

    python bench/run.py                 all of it, printed
    python bench/run.py --write         and written to bench/RESULTS.md
    python bench/run.py startup steps   some of it

Every pair is run in turn, A B A B …, after one warm-up; the ratio is the median over the pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "RESULTS.md"


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    what: str
    ours: str
    beside: str
    ratio: str
    how: str


def cpu_seconds(command: list[str], cwd: Path, **environment: str) -> float:
    """Run a command and return its user and system seconds, children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def wall_seconds(command: list[str], cwd: Path) -> float:
    """Run a command and return how long it took."""
    started = time.perf_counter()
    subprocess.run(
        command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return time.perf_counter() - started


def paired(
    ours: Callable[[], float], beside: Callable[[], float], pairs: int
) -> tuple[float, float, float]:
    """Return the medians of both and the median ratio, over pairs run in turn."""
    ours()
    beside()
    found = [(ours(), beside()) for _ in range(pairs)]
    return (
        statistics.median(a for a, _ in found),
        statistics.median(b for _, b in found),
        statistics.median(a / b for a, b in found),
    )


def project(folder: Path, text: str) -> Path:
    """Write a project of one test file."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text(textwrap.dedent(text))
    return folder


def pytest_command(*arguments: str) -> list[str]:
    """Return the command line of a quiet pytest."""
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]


def startup() -> Iterable[Figure]:
    """Run a suite without experiments, with the plugin and without it."""
    with tempfile.TemporaryDirectory() as name:
        folder = project(
            Path(name),
            """
            import pytest

            @pytest.mark.parametrize("n", range(1000))
            def test_plain(n):
                assert n >= 0
            """,
        )
        ours, beside, ratio = paired(
            lambda: cpu_seconds(pytest_command(), folder),
            lambda: cpu_seconds(pytest_command("-p", "no:kepler"), folder),
            pairs=15,
        )
    yield Figure(
        "1,000 plain tests, no experiment",
        f"{ours:.3f} s",
        f"without the plugin {beside:.3f} s",
        f"{ratio:.3f}",
        "CPU seconds of the whole process, 15 pairs",
    )
    code = (
        "import pytest, time; t = time.perf_counter(); import pytest_kepler.plugin; "
        "print(time.perf_counter() - t)"
    )
    seconds = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(15)
    ]
    yield Figure(
        "import of the plugin, pytest loaded",
        f"{statistics.median(seconds) * 1000:.2f} ms",
        "–",
        "–",
        "median of 15 processes",
    )


def empty() -> Iterable[Figure]:
    """Run an empty experiment beside an empty test."""
    n = 1000
    plain = f"""
        import pytest

        @pytest.mark.parametrize("n", range({n}))
        def test_it(n):
            pass
        """
    marked = plain.replace(
        "        @pytest.mark.parametrize",
        "        @pytest.mark.experiment(gate=False)\n        @pytest.mark.parametrize",
    )
    with tempfile.TemporaryDirectory() as name:
        experiments = Path(name) / "experiments"
        tests = Path(name) / "tests"
        experiments.mkdir()
        tests.mkdir()
        project(experiments, marked)
        project(tests, plain)
        run_again = pytest_command("--kepler-duplicates=run")
        ours, beside, ratio = paired(
            lambda: wall_seconds(run_again, experiments),
            lambda: wall_seconds(pytest_command(), tests),
            pairs=7,
        )
    yield Figure(
        f"an empty experiment ({n} of them, journal and report included)",
        f"{ours / n * 1000:.2f} ms a run",
        f"plain test {beside / n * 1000:.2f} ms",
        f"{ratio:.2f} (+{(ours - beside) / n * 1000:.2f} ms)",
        "wall seconds of the whole process, 7 pairs",
    )


def steps() -> Iterable[Figure]:
    """Log a step beside a bare append of the same line."""
    code = textwrap.dedent(
        """
        import json, os, sys, tempfile, time
        from pathlib import Path
        import pytest

        N = 20_000

        @pytest.mark.experiment(gate=False)
        def test_steps(experiment):
            experiment.log(loss=1.0, step=0)
            descriptor = os.open("bare.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            ours, bare = [], []
            for _ in range(7):
                started = time.perf_counter()
                for step in range(N):
                    experiment.log(loss=step * 0.1, step=step)
                ours.append((time.perf_counter() - started) / N)
                started = time.perf_counter()
                for step in range(N):
                    event = {"r": "3f2a1b2c3f2a1b2c3f2a", "n": "loss", "v": step * 0.1, "s": step,
                             "t": time.time()}
                    os.write(descriptor, (json.dumps(event) + "\\n").encode())
                bare.append((time.perf_counter() - started) / N)
            Path("figures.json").write_text(json.dumps([ours, bare]))
        """
    )
    with tempfile.TemporaryDirectory() as name:
        folder = project(Path(name), code)
        wall_seconds(pytest_command(), folder)
        ours, bare = json.loads((folder / "figures.json").read_text())
    ratio = statistics.median(a / b for a, b in zip(ours, bare, strict=True))
    yield Figure(
        "a logged step",
        f"{statistics.median(ours) * 1e6:.1f} µs",
        f"json.dumps and one write {statistics.median(bare) * 1e6:.1f} µs",
        f"{ratio:.2f}",
        "20,000 steps, 7 pairs in one process",
    )


def example() -> Iterable[Figure]:
    """Run the example project's first and second run, in a journal of its own."""
    libraries = "import keras, tensorflow, sklearn.ensemble, pandas, palmerpenguins, hypothesis"
    with tempfile.TemporaryDirectory() as name:
        command = [
            *pytest_command("example_project", "-m", "experiment"),
            f"--kepler-journal={name}/journal.duckdb",
        ]
        first = wall_seconds(command, ROOT)
        second, imports, _ = paired(
            lambda: wall_seconds(command, ROOT),
            lambda: wall_seconds([sys.executable, "-c", libraries], ROOT),
            pairs=5,
        )
    yield Figure("the example's first run", f"{first:.1f} s", "–", "–", "wall, once, nothing known")
    yield Figure(
        "the example's second run",
        f"{second:.2f} s",
        f"importing its libraries {imports:.2f} s",
        f"+{second - imports:.2f} s",
        "wall, 5 pairs",
    )


def duplicates() -> Iterable[Figure]:
    """Run ten thousand duplicates beside ten thousand skips."""
    n = 10_000
    marked = f"""
        import pytest

        @pytest.mark.experiment(gate=False)
        @pytest.mark.parametrize("n", range({n}))
        def test_it(n):
            pass
        """
    with tempfile.TemporaryDirectory() as name:
        experiments, tests = Path(name) / "experiments", Path(name) / "tests"
        experiments.mkdir()
        tests.mkdir()
        project(experiments, marked)
        project(tests, marked.replace("mark.experiment(gate=False)", 'mark.skip(reason="why")'))
        ours, beside, ratio = paired(
            lambda: cpu_seconds(pytest_command(), experiments),
            lambda: cpu_seconds(pytest_command(), tests),
            pairs=3,
        )
    yield Figure(
        f"{n:,} duplicates, journal and report included",
        f"{ours:.2f} s",
        f"{n:,} plain skips {beside:.2f} s",
        f"{ratio:.2f}",
        "CPU seconds of the whole process, 3 pairs",
    )


def fingerprints() -> Iterable[Figure]:
    """Take fingerprints beside joblib's hash of the same values."""
    import joblib
    import numpy as np
    import pandas as pd

    from pytest_kepler import fingerprint

    def seconds(function: Callable[[object], object], value: object) -> float:
        started = time.perf_counter()
        function(value)
        return time.perf_counter() - started

    rng = np.random.default_rng(0)
    array = rng.normal(size=12_500_000)
    n = 1_000_000
    frame = pd.DataFrame(
        {
            "number": rng.normal(size=n),
            "count": rng.integers(0, 1000, n),
            "flag": rng.integers(0, 2, n).astype(bool),
            "name": rng.choice(["ada", "grace", "marie", "emmy"], n).astype(object),
            "label": pd.Categorical(rng.choice(["a", "b", "c"], n)),
            "when": pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.arange(n), unit="s"),
            "maybe": pd.array(rng.integers(0, 9, n), dtype="Int64"),
            "text": pd.Series(rng.choice(["x", "yy", "zzz"], n), dtype="str"),
        }
    )
    for what, value in (("100 MB of float64", array), ("a mixed frame of 1M rows", frame)):
        ours, beside, ratio = paired(
            lambda value=value: seconds(fingerprint, value),
            lambda value=value: seconds(joblib.hash, value),
            pairs=5,
        )
        yield Figure(
            f"fingerprint of {what}",
            f"{ours * 1000:.0f} ms",
            f"joblib.hash {beside * 1000:.0f} ms",
            f"{ratio:.3f} (1/{1 / ratio:.0f})",
            "wall, 5 pairs in one process",
        )
    ours, beside, ratio = paired(
        lambda: seconds(fingerprint, array), lambda: seconds(np.sum, array), pairs=9
    )
    yield Figure(
        "fingerprint of 100 MB of float64",
        f"{ours * 1000:.0f} ms",
        f"reading it once (np.sum) {beside * 1000:.0f} ms",
        f"{ratio:.2f}",
        "wall, 9 pairs in one process",
    )


PARTS = {
    "startup": startup,
    "empty": empty,
    "steps": steps,
    "duplicates": duplicates,
    "fingerprints": fingerprints,
    "example": example,
}


def table(figures: Iterable[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = ["| what | pytest-kepler | beside | ratio | how |", "|---|---|---|---|---|"]
    lines += [f"| {f.what} | {f.ours} | {f.beside} | {f.ratio} | {f.how} |" for f in figures]
    return "\n".join(lines)


def main() -> None:
    """Run the parts that were asked for."""
    # Compiling every module at every start would be measured on both sides, and hide the rest.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    options = parser.parse_args()
    figures: list[Figure] = []
    for part in options.parts or PARTS:
        for figure in PARTS[part]():
            figures.append(figure)
            print(f"{figure.what}: {figure.ours} | {figure.beside} | {figure.ratio}", flush=True)
    text = table(figures)
    print(f"\n{text}")
    if options.write:
        RESULTS.write_text(
            "# Results\n\n"
            f"Measured on {date.today().isoformat()} by `python bench/run.py --write`: "  # noqa: DTZ011
            f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python "
            f"{platform.python_version()}. Ratios hold; milliseconds depend on the machine.\n\n"
            f"{text}\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
