"""Run every check on sound programs, and count what they call faulty.

    python tests/zoo/run.py                 two seeds, all programs
    python tests/zoo/run.py --seeds 3       three
    python tests/zoo/run.py --only LSTM     the programs with that in their name
    python tests/zoo/run.py --kind torch    those of one library
    python tests/zoo/run.py --write         and the table into bench/CHECKS_RESULTS.md
    python tests/zoo/run.py --applications  instead, all of keras.applications

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

import applications
import programs
import torch_programs
from results import write_section

from pytest_kepler import checks, gate
from pytest_kepler.adapters import fits
from pytest_kepler.checks import families
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
    account.after += compare(program)
    history = _trained(program)
    if history is not None:
        account.after += checks.training(history, program.y if one_target else None)
    can_answer = hasattr(program.model, "predict") or is_torch(program)
    if program.X_test is not None and can_answer:
        held_out = (program.X_test, program.y_test)
        account.after += checks.behaviour(program.model, *held_out, **trained_on(program))


def trained_on(program: programs.Program) -> dict[str, Any]:
    """Return the training rows of a program as `behaviour` takes them, if they have a target."""
    return {} if program.y is None else {"X_train": program.X, "y_train": program.y}


def compare(program: programs.Program) -> list[Finding]:
    """Return what is found of the test rows, beside what a program is trained and validated on."""
    if program.X_test is None or program.y is None or isinstance(program.y, dict):
        return []
    halves = (program.X, program.X_test, program.y, program.y_test)
    found = checks.split(*halves, time=program.time)
    past = fits.remember(
        program.model, program.X, program.y, program.fit_kwargs, learns_on=not is_torch(program)
    )
    view = fits.EvaluationView(program.X_test, [past])
    return found + families.examine_evaluation(view, CheckConfig()).findings


def is_torch(program: programs.Program) -> bool:
    """Tell whether a program's model is a torch module."""
    return hasattr(program.model, "state_dict")


def _trained(program: programs.Program) -> Any:
    """Train a program; return its curves, or None where there are none."""
    if is_torch(program):
        return None if program.y is None else torch_programs.train(program)
    labels = () if program.y is None else (program.y,)
    history = program.model.fit(program.X, *labels, **program.fit_kwargs)
    return history if hasattr(history, "history") else None


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
    parser.add_argument("--kind", default="", help="sklearn, keras, xgboost or torch")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--applications", action="store_true")
    options = parser.parse_args()
    return run_applications(options) if options.applications else run_programs(options)


def run_programs(options: argparse.Namespace) -> int:
    """Run the sound programs; return 1 if one is called faulty."""
    rows: list[str] = []
    errors = n_warnings = runs = 0
    for name in programs.PROGRAMS:
        if options.only.lower() not in name.lower():
            continue
        if options.kind not in {"", programs.KINDS[name]}:
            continue
        accounts = [run(name, seed) for seed in range(options.seeds)]
        loud, soft = _told(accounts)
        seconds = sorted(account.gate_seconds for account in accounts)[len(accounts) // 2]
        errors, n_warnings, runs = errors + len(loud), n_warnings + len(soft), runs + len(accounts)
        rows.append(f"| {name} | {_codes(loud)} | {_codes(soft)} | {seconds:.2f} |")
        _show(rows[-1], loud)
    total = (
        f"{len(rows)} sound programs, {options.seeds} seeds each: {errors} errors, "
        f"{n_warnings} warnings ({n_warnings / max(1, runs):.2f} a run)."
    )
    print(total)  # noqa: T201 - a command
    if options.write:
        table = ["| program | errors | warnings | gate, s |", "|---|---|---|---|", *rows]
        of_kind = f" --kind {options.kind}" if options.kind else ""
        how = f"`python tests/zoo/run.py --seeds {options.seeds}{of_kind} --write`"
        name = f"Sound programs: {options.kind}" if options.kind else "Sound programs"
        write_section(name, how, [total, "", *table])
    return int(errors > 0)


def run_applications(options: argparse.Namespace) -> int:
    """Run the gate on all of keras.applications; return 1 if one is called faulty."""
    rows: list[str] = []
    errors = n_warnings = left = 0
    names = [name for name in applications.names() if options.only.lower() in name.lower()]
    for name in names:
        try:
            with applications.limited(applications.SECONDS), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                program, seconds = applications.timed(name)
                account = examine(program)
        except applications.TooLong:
            left += 1
            rows.append(f"| {name} | more than {applications.SECONDS} s | – | – | – |")
            _show(rows[-1], [])
            continue
        loud, soft = _told([account])
        errors, n_warnings = errors + len(loud), n_warnings + len(soft)
        rows.append(
            f"| {name} | {seconds:.0f} | {account.gate_seconds:.0f} | {_codes(loud)} "
            f"| {_codes(soft)} |"
        )
        _show(rows[-1], loud)
    total = (
        f"{len(names) - left} of {len(names)} networks looked at: {errors} errors, {n_warnings} "
        f"warnings."
    )
    print(total)  # noqa: T201 - a command
    if options.write:
        table = ["| network | made in, s | gate, s | errors | warnings |", "|---|---|---|---|---|"]
        how = "`python tests/zoo/run.py --applications --write`"
        write_section("keras.applications", how, [total, "", *table, *rows])
    return int(errors > 0)


def _told(accounts: list[Account]) -> tuple[list[Finding], list[Finding]]:
    """Return (errors and crashes, the other findings)."""
    found = [one for account in accounts for one in account.findings]
    loud = [one for one in found if one.severity == "error" or one.name == "check-crashed"]
    return loud, [one for one in found if one not in loud]


def _show(row: str, loud: list[Finding]) -> None:
    print(row, flush=True)  # noqa: T201 - a command
    for one in loud:
        print("   ", gate.report([one]))  # noqa: T201 - a command


def _codes(findings: list[Any]) -> str:
    counts = Counter(one.code for one in findings)
    return ", ".join(f"{code} ×{n}" if n > 1 else code for code, n in sorted(counts.items())) or "–"


if __name__ == "__main__":
    sys.exit(main())
