"""Simulates what claims promise: ``python bench/claims.py --write``.

Runs are made up and go through the code that a session uses: how often a claim is called
supported though nothing differs, how often the interval covers the true difference, how often a
real difference is found, what looking again and again brings, and what picking a winner does.
"""

from __future__ import annotations

import argparse
import math
import platform
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from pytest_kepler import judging
from pytest_kepler.inference import decide_claims
from pytest_kepler.intervals import interval_of
from pytest_kepler.records import ClaimOutcome, ClaimSpec, Decided, ExperimentSpec, Run

RESULTS: Final = Path(__file__).parent / "CLAIMS.md"
NAME: Final = "test_sim.py::test_sim"
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
SPREAD: Final = 0.01
#: What both sides of a pair share: a seed that is easy for one is easy for the other.
SHARED: Final = 0.02


def run(params: dict[str, object], value: float, moment: float = 0.0) -> Run:
    """Return a run that passed."""
    name = ",".join(f"{key}={one}" for key, one in params.items())
    return Run(
        run_id=name,
        session_id="s",
        project="p",
        experiment=NAME,
        node_id=f"{NAME}[{name}]",
        status="passed",
        started_at=START + timedelta(seconds=moment),
        params=params,
        metrics={"accuracy": value},
        eval_hash="e",
    )


def decide(runs: list[Run], claim: ClaimSpec, decided: list[Decided]) -> ClaimOutcome:
    """Return the verdict on a claim."""
    spec = ExperimentSpec(metric="accuracy", claims=(claim,))
    return decide_claims(judging.assess(runs, specs={NAME: spec}), decided)[0]


def two_sides(rng: np.random.Generator, n: int, gain: float) -> list[Run]:
    """Return n pairs of runs, the one side better by `gain` on average."""
    shared = rng.normal(0.8, SHARED, n)
    better = shared + rng.normal(gain, SPREAD / math.sqrt(2), n)
    than = shared + rng.normal(0, SPREAD / math.sqrt(2), n)
    return [
        run({"kernel": kernel, "seed": seed}, float(value))
        for kernel, column in (("a", better), ("b", than))
        for seed, value in enumerate(column)
    ]


CLAIM: Final = ClaimSpec("a beats b", "accuracy", "max", {"kernel": "a"}, {"kernel": "b"})


def one_look(rng: np.random.Generator, n: int, gain: float, times: int) -> dict[str, float]:
    """Return the shares of verdicts, and of intervals that cover the true difference."""
    found = [decide(two_sides(rng, n, gain), CLAIM, []) for _ in range(times)]
    return {
        "supported": sum(one.verdict == "supported" for one in found) / times,
        "refuted": sum(one.verdict == "refuted" for one in found) / times,
        "covered": sum(one.low <= gain <= one.high for one in found) / times,
    }


def many_looks(rng: np.random.Generator, looks: int, times: int, *, corrected: bool) -> float:
    """Return how often one of many looks supports a claim though nothing differs."""
    wrong = 0
    for _ in range(times):
        runs, decided = two_sides(rng, looks + 1, 0.0), []
        for n in range(2, looks + 2):
            seen = [one for one in runs if one.params["seed"] < n]
            found = decide(seen, CLAIM, decided if corrected else [])
            if found.verdict == "supported":
                wrong += 1
                break
            decided.append(Decided(NAME, CLAIM.definition, START, n, found.evidence))
    return wrong / times


def picked(rng: np.random.Generator, n: int, times: int, *, protected: bool) -> float:
    """Return how often the best of ten equal settings is called better than the first."""
    wrong = 0
    for _ in range(times):
        values = rng.normal(0.8, SPREAD, (10, n))
        winner = int(np.argmax(values.mean(axis=1)))
        other = 0 if winner else 1
        claim = ClaimSpec("it wins", "accuracy", "max", {"C": winner}, {"C": other})
        runs = [
            run({"C": C, "seed": seed}, float(values[C, seed]))
            for C in range(10)
            for seed in range(n)
        ]
        worded = START + timedelta(hours=1 if protected else -1)
        known = [Decided(NAME, claim.definition, worded, 0, frozenset())]
        wrong += decide(runs, claim, known).verdict == "supported"
    return wrong / times


def folds(rng: np.random.Generator, times: int, *, corrected: bool) -> float:
    """Return how often ten folds of one data set tell two equal learners apart.

    Two nearest-centroid classifiers, each on one of two features that are equally good, in a
    cross-validation of 100 rows: the folds' training rows overlap, which the correction is for.
    """
    wrong = 0
    for _ in range(times):
        y = rng.integers(0, 2, 100)
        features = rng.normal(y[:, None] * 1.0, 1.0, (100, 2))
        parts = np.array_split(rng.permutation(100), 10)
        differences = []
        for part in parts:
            train = np.setdiff1d(np.arange(100), part)
            scores = []
            for column in range(2):
                middle = [features[train][y[train] == one, column].mean() for one in (0, 1)]
                guess = abs(features[part, column] - middle[1]) < abs(
                    features[part, column] - middle[0]
                )
                scores.append(float((guess == y[part]).mean()))
            differences.append(scores[0] - scores[1])
        low, high = interval_of(differences, n_folds=10 if corrected else 0) or (0.0, 0.0)
        wrong += not low <= 0 <= high
    return wrong / times


def table(times: int, seed: int) -> list[str]:
    """Return the tables as lines of Markdown."""
    rng = np.random.default_rng(seed)
    lines = [
        "| pairs | true gain | supported | refuted | interval covers the truth |",
        "|--:|--:|--:|--:|--:|",
    ]
    for n in (2, 3, 5, 10, 30):
        for gain in (0.0, 0.5, 1.0, 2.0):
            found = one_look(rng, n, gain * SPREAD, times)
            cells = " | ".join(f"{found[key]:.1%}" for key in ("supported", "refuted", "covered"))
            lines.append(f"| {n} | {gain:g} sd | {cells} |")
    lines += [
        "",
        "| what is tried, where nothing differs | without protection | with it |",
        "|---|--:|--:|",
    ]
    few = max(times // 4, 1)
    for looks in (2, 5, 20):
        shares = [many_looks(rng, looks, few, corrected=one) for one in (False, True)]
        lines.append(f"| {looks} looks, a seed more each | {shares[0]:.1%} | {shares[1]:.1%} |")
    shares = [picked(rng, 5, few, protected=one) for one in (False, True)]
    lines.append(f"| the best of 10 settings over 5 seeds | {shares[0]:.1%} | {shares[1]:.1%} |")
    shares = [folds(rng, times, corrected=one) for one in (False, True)]
    lines.append(f"| ten folds of one data set, either way | {shares[0]:.1%} | {shares[1]:.1%} |")
    return lines


def main() -> None:
    """Simulate, print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=4000, help="simulations a line")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    options = parser.parse_args()
    began = time.perf_counter()
    lines = table(options.times, options.seed)
    text = "\n".join(lines)
    print(text)
    if options.write:
        head = (
            "# Claims, simulated\n\n"
            f"`python bench/claims.py --write`: {options.times} simulations a line (a quarter of "
            f"that for looks and picking), seed {options.seed}, Python "
            f"{platform.python_version()}, {time.perf_counter() - began:.0f} s. Differences of "
            "pairs are normal with a standard deviation (sd) of .01. At no difference a first look "
            "may support wrongly in 2.5 %, all looks together in 5 %; ten folds may differ either "
            "way in 5 %.\n\n"
        )
        RESULTS.write_text(f"{head}{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
