"""Run every check on sound programs, and count what they call faulty.

    python tests/zoo/run.py                 two seeds, all programs
    python tests/zoo/run.py --seeds 3       three
    python tests/zoo/run.py --only LSTM     the programs with that in their name
    python tests/zoo/run.py --write         and the table into bench/CHECKS_RESULTS.md

An error on a sound program is a defect of the checks: the exit status is then 1.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent))

import programs
from results import write_section

from pytest_kepler import checks, gate
from pytest_kepler.checks.config import CheckConfig

if TYPE_CHECKING:
    from pytest_kepler.records import Finding


@dataclass
class Account:
    """What the checks said of one program."""

    before: list[Finding] = field(default_factory=list)
    after: list[Finding] = field(default_factory=list)
    not_applicable: dict[str, str] = field(default_factory=dict)
    gate_seconds: float = 0.0

    @property
    def findings(self) -> list[Finding]:
        """All findings but notes, and the crash of a check, which is never allowed."""
        both = (*self.before, *self.after)
        return [one for one in both if one.severity != "note" or one.name == "check-crashed"]


def examine(program: programs.Program) -> Account:
    """Return what is found before the training of a program."""
    account = Account()
    began = time.perf_counter()
    verdict = gate.examine_fit(
        program.model,
        program.X,
        program.y,
        program.fit_kwargs,
        config=CheckConfig(),
        today=datetime.now(UTC).date(),
    )
    account.gate_seconds = time.perf_counter() - began
    account.before += verdict.findings
    account.not_applicable |= verdict.not_applicable
    return account


def train(program: programs.Program, account: Account) -> None:
    """Train a program, and add what is found of its split, its curves and its answers."""
    one_target = not isinstance(program.y, dict)
    if program.X_test is not None and program.y is not None and one_target:
        halves = (program.X, program.X_test, program.y, program.y_test)
        account.after += checks.split(*halves, time=program.time)
    labels = () if program.y is None else (program.y,)
    history = program.model.fit(program.X, *labels, **program.fit_kwargs)
    if hasattr(history, "history"):
        account.after += checks.training(history, program.y if one_target else None)
    if program.X_test is not None and hasattr(program.model, "predict"):
        account.after += checks.behaviour(program.model, program.X_test, program.y_test)


def run(name: str, seed: int, *, is_trained: bool = True) -> Account:
    """Make a program from a seed and examine it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = programs.PROGRAMS[name](seed)
        account = examine(program)
        if is_trained:
            train(program, account)
    return account


def main() -> int:
    """Run the zoo; return 1 if a check calls a sound program faulty."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", default="", help="a part of the programs' names")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    rows: list[str] = []
    errors = n_warnings = runs = 0
    for name in programs.PROGRAMS:
        if options.only.lower() not in name.lower():
            continue
        accounts = [run(name, seed) for seed in range(options.seeds)]
        found = [one for account in accounts for one in account.findings]
        loud = [one for one in found if one.severity == "error" or one.name == "check-crashed"]
        soft = [one for one in found if one not in loud]
        seconds = sorted(account.gate_seconds for account in accounts)[len(accounts) // 2]
        errors, n_warnings, runs = errors + len(loud), n_warnings + len(soft), runs + len(accounts)
        row = f"| {name} | {_codes(loud)} | {_codes(soft)} | {seconds:.2f} |"
        rows.append(row)
        print(row, flush=True)  # noqa: T201 - a command
        for one in loud:
            print("   ", gate.report([one]))  # noqa: T201 - a command
    total = (
        f"{len(rows)} sound programs, {options.seeds} seeds each: {errors} errors, "
        f"{n_warnings} warnings ({n_warnings / max(1, runs):.2f} a run)."
    )
    print(total)  # noqa: T201 - a command
    if options.write:
        table = ["| program | errors | warnings | gate, s |", "|---|---|---|---|", *rows]
        how = f"`python tests/zoo/run.py --seeds {options.seeds} --write`"
        write_section("Sound programs", how, [total, "", *table])
    return int(errors > 0)


def _codes(findings: list[Any]) -> str:
    counts = Counter(one.code for one in findings)
    return ", ".join(f"{code} ×{n}" if n > 1 else code for code, n in sorted(counts.items())) or "–"


if __name__ == "__main__":
    sys.exit(main())
