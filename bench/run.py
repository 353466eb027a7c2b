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


PAIRING = """
    import sys, time
    import pytest
    from pytest_kepler.harness.pairing import Pairer
    from pytest_kepler.harness.selection import Selector

    def timed(cls, name):
        original = getattr(cls, name)
        def wrapper(*args):
            started = time.perf_counter()
            result = original(*args)
            print(f"{name}={time.perf_counter() - started}", file=sys.stderr)
            return result
        setattr(cls, name, wrapper)

    timed(Pairer, "pair")
    timed(Selector, "select")
    pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider"])
"""


def gates() -> Iterable[Figure]:
    """Pair ten thousand experiment runs with thirty gates."""
    n, n_gates = 10_000, 30
    checks = "\n".join(
        f"@pytest.mark.sanity\ndef test_gate_{one}(data):\n    pass\n" for one in range(n_gates)
    )
    code = f"""
import pytest

@pytest.fixture(scope="session")
def data():
    return [1.0]

{checks}
@pytest.mark.experiment
@pytest.mark.parametrize("n", range({n}))
def test_it(n, data):
    pass
"""
    found: dict[str, list[float]] = {"pair": [], "select": []}
    with tempfile.TemporaryDirectory() as name:
        folder = project(Path(name), code)
        for _ in range(5):
            done = subprocess.run(
                [sys.executable, "-c", textwrap.dedent(PAIRING)],
                cwd=folder,
                capture_output=True,
                text=True,
                check=True,
            )
            for line in done.stderr.splitlines():
                key, _, seconds = line.partition("=")
                if key in found:
                    found[key].append(float(seconds))
    for key, what in (("pair", "pairing"), ("select", "selecting, all of it, with")):
        yield Figure(
            f"{what} {n:,} runs and {n_gates} gates",
            f"{statistics.median(found[key]):.2f} s",
            "–",
            "–",
            "wall, median of 5 processes",
        )


CLOSURE = """
    import importlib, sys, time
    from pathlib import Path
    from pytest_kepler.identity.closure import CodeReader

    sys.path.insert(0, ".")
    module = importlib.import_module("test_it")
    reader = CodeReader(Path("."), cache=Path("cache"))
    started = time.perf_counter()
    found = reader.of(module.test_it)
    seconds = time.perf_counter() - started
    reader.save()
    print(seconds, len(found.parts))
"""


def closure() -> Iterable[Figure]:
    """Take the identity of a test that reaches two thousand functions."""
    n_modules, n_functions = 40, 50
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for m in range(n_modules):
            lines = ["import math", f"import part_{m + 1}" if m + 1 < n_modules else "", ""]
            for f in range(n_functions):
                then = f"f_{f + 1}(x)" if f + 1 < n_functions else "x"
                if f + 1 == n_functions and m + 1 < n_modules:
                    then = f"part_{m + 1}.f_0(x)"
                lines += [
                    f"def f_{f}(x):",
                    f'    """Scale by {f}."""',
                    f"    y = math.sqrt(abs(x)) * {m}.{f}",
                    "    if y > 3:",
                    "        y = y - 1",
                    f"    return y + {then}",
                    "",
                    "",
                ]
            (folder / f"part_{m}.py").write_text("\n".join(lines))
        project(folder, "import part_0\n\ndef test_it():\n    assert part_0.f_0(1.0)\n")

        def seconds() -> tuple[float, int]:
            done = subprocess.run(
                [sys.executable, "-c", textwrap.dedent(CLOSURE)],
                cwd=folder,
                capture_output=True,
                text=True,
                check=True,
            )
            taken, parts = done.stdout.split()
            return float(taken), int(parts)

        cold, warm, n_parts = [], [], 0
        for _ in range(5):
            for file in (folder / "cache").glob("**/*"):
                file.unlink()
            taken, n_parts = seconds()
            cold.append(taken)
            warm.append(seconds()[0])
    for label, taken in (("nothing known", cold), ("files known from before", warm)):
        yield Figure(
            f"identity of code that reaches {n_parts:,} functions, {label}",
            f"{statistics.median(taken) * 1000:.0f} ms",
            "–",
            "–",
            "wall, median of 5 processes",
        )


def folders() -> Iterable[Figure]:
    """Take the fingerprint of a folder of ten thousand files, changed or not."""
    from pytest_kepler.identity import file_memory
    from pytest_kepler.identity.file_memory import FileMemory
    from pytest_kepler.identity.fingerprint import read

    # Files count as unchanged once they were left alone for a minute: let that be over.
    file_memory._AT_REST_S = -60.0  # noqa: SLF001
    n = 10_000
    with tempfile.TemporaryDirectory(dir=ROOT) as name:
        folder = Path(name) / "images"
        for one in range(n):
            path = folder / f"class_{one % 10}" / f"{one}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(one.to_bytes(4, "little") * 500)

        def seconds(memory: FileMemory | None) -> float:
            started = time.perf_counter()
            read(folder, memory=memory)
            return time.perf_counter() - started

        def beside() -> float:
            started = time.perf_counter()
            for path in folder.rglob("*.bin"):
                path.read_bytes()
            return time.perf_counter() - started

        for label, memory in (
            ("content read", None),
            ("nothing changed", FileMemory(Path(name) / "files.sqlite")),
        ):
            mine, reading, ratio = paired(lambda memory=memory: seconds(memory), beside, pairs=7)
            yield Figure(
                f"fingerprint of a folder of {n:,} files of 2 kB, {label}",
                f"{mine * 1000:.0f} ms",
                f"reading them all {reading * 1000:.0f} ms",
                f"{ratio:.2f}",
                "wall, 7 pairs in one process",
            )


PARTS = {
    "startup": startup,
    "empty": empty,
    "steps": steps,
    "duplicates": duplicates,
    "gates": gates,
    "closure": closure,
    "fingerprints": fingerprints,
    "folders": folders,
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
