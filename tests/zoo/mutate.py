"""Put faults into sound programs, one at a time, and count which the checks find.

    python tests/zoo/mutate.py                    every fault in each subject that it suits
    python tests/zoo/mutate.py --all              in all programs of the zoo
    python tests/zoo/mutate.py --fault "labels"   the faults with that in their name
    python tests/zoo/mutate.py --write            and the table into bench/CHECKS_RESULTS.md

A fault counts as found where the faulty program has a finding, an error or a warning, that the
sound one does not have. Faults that show only in what was learned (their family is behaviour) are
judged after the training; all others before it, as the gate does.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent))

import programs
import run
from faults import FAULTS, Fault
from results import write_section

from pytest_kepler import checks

if TYPE_CHECKING:
    from pytest_kepler.records import Finding


#: All of scikit-learn's, and networks that differ in kind.
SUBJECTS = [
    *(name for name, kind in programs.KINDS.items() if kind == "sklearn"),
    "MLP, digits",
    "MLP, one-hot labels and RMSprop",
    "BatchNorm after the activation",
    "residual net with zero gamma, SGD with momentum",
    "dense autoencoder",
    "regression, standardised target",
    "LSTM",
    "two inputs",
    "multilabel",
    "generator with tanh",
    "embedding and average",
    "Normalization adapted",
    "L2, dropout and early stopping",
]


@dataclass
class Score:
    """How often a fault was found, and by which code first."""

    made: int = 0
    by_error: int = 0
    by_warning: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    missed_in: list[str] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """The share that was found, as an error or as a warning."""
        return (self.by_error + self.by_warning) / max(1, self.made)


def account_of(program: programs.Program, *, is_trained: bool) -> list[Finding]:
    """Return what is found in a program; with its split, and trained where that is asked for."""
    account = run.examine(program)
    if program.X_test is not None and program.y is not None and not isinstance(program.y, dict):
        halves = (program.X, program.X_test, program.y, program.y_test)
        account.after += checks.split(*halves, time=program.time)
    if is_trained:
        run.train(program, account)
    return account.findings


def judge(fault: Fault, name: str, seed: int, sound: set[str], score: Score) -> None:
    """Put a fault into a program and note whether it is found."""
    mutant = fault.inject(programs.PROGRAMS[name](seed), seed)
    if mutant is None:
        return
    score.made += 1
    found = account_of(mutant, is_trained=fault.family == "behaviour")
    new = [one for one in found if one.code not in sound and one.name != "check-crashed"]
    errors = [one for one in new if one.severity == "error"]
    if errors or new:
        score.codes[(errors or new)[0].code] += 1
        score.by_error += bool(errors)
        score.by_warning += not errors
    else:
        score.missed_in.append(name)


def main() -> None:
    """Run the mutants and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fault", default="", help="a part of the faults' names")
    parser.add_argument("--only", default="", help="a part of the programs' names")
    parser.add_argument("--all", action="store_true", help="in all programs of the zoo")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    chosen = [one for one in FAULTS if options.fault.lower() in one.name.lower()]
    scores = {one.name: Score() for one in chosen}
    alarms: Counter[str] = Counter()
    subjects = list(programs.PROGRAMS) if options.all else SUBJECTS
    names = [name for name in subjects if options.only.lower() in name.lower()]
    for name in names:
        sound = account_of(programs.PROGRAMS[name](options.seed), is_trained=False)
        alarms.update(one.severity for one in sound)
        trained = account_of(programs.PROGRAMS[name](options.seed), is_trained=True)
        for fault in chosen:
            known = {one.code for one in (trained if fault.family == "behaviour" else sound)}
            judge(fault, name, options.seed, known, scores[fault.name])
        print(name, flush=True)  # noqa: T201 - a command
    lines = tables(chosen, scores, alarms, len(names))
    print("\n".join(lines))  # noqa: T201 - a command
    for one in chosen:
        if missed := scores[one.name].missed_in:
            print(f"{one.name}: missed in {', '.join(missed)}")  # noqa: T201 - a command
    if options.write:
        write_section(
            "Faults put into sound programs", "`python tests/zoo/mutate.py --write`", lines
        )


def tables(
    faults: list[Fault], scores: dict[str, Score], alarms: Counter[str], n_programs: int
) -> list[str]:
    """Return the recall of each family and of each fault, with the false alarms beside."""
    families: dict[str, list[Score]] = defaultdict(list)
    for one in faults:
        families[one.family].append(scores[one.name])
    silence = f"{alarms['error']} errors, {alarms['warning']} warnings"
    lines = [
        f"False alarms on the {n_programs} sound programs beside them: {silence}.",
        "",
        "| family of faults | mutants | found | as an error | as a warning |",
        "|---|---|---|---|---|",
    ]
    for family, parts in families.items():
        made = sum(one.made for one in parts)
        hard, soft = sum(one.by_error for one in parts), sum(one.by_warning for one in parts)
        lines.append(
            f"| {family} | {made} | {(hard + soft) / max(1, made):.0%} | {hard} | {soft} |"
        )
    lines += ["", "| fault | mutants | found | first code |", "|---|---|---|---|"]
    for one in faults:
        score = scores[one.name]
        codes = ", ".join(f"{code} ×{n}" for code, n in score.codes.most_common())
        lines.append(f"| {one.name} | {score.made} | {score.recall:.0%} | {codes or '–'} |")
    return lines


if __name__ == "__main__":
    main()
