"""Put faults into sound programs, one at a time, and count which the checks find.

    python tests/zoo/mutate.py                    every fault in each subject that it suits
    python tests/zoo/mutate.py --all              in all programs of the zoo
    python tests/zoo/mutate.py --fault "labels"   the faults with that in their name, or of a family
    python tests/zoo/mutate.py --kind torch       in the programs of one library
    python tests/zoo/mutate.py --write            and the table into bench/CHECKS_RESULTS.md

A fault counts as found where the faulty program has a finding, an error or a warning, that the
sound one does not have. Faults that show only in what was learned (their family is behaviour) are
judged after the training; all others before it, as the gate does.

A faulty program of which nothing is found is trained, as the sound one is: where it comes as far
on rows that neither has seen, it is no fault there, and is listed as such.
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
import torch_faults
from faults import FAULTS, Fault
from results import write_section

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
    *(name for name, kind in programs.KINDS.items() if kind == "torch"),
]


@dataclass
class Score:
    """How often a fault was found, and by which code first."""

    made: int = 0
    by_error: int = 0
    by_warning: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    missed_in: list[str] = field(default_factory=list)
    #: Where the faulty program learns as much as the sound one.
    harmless_in: list[str] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """The share that was found, as an error or as a warning."""
        return (self.by_error + self.by_warning) / max(1, self.made)


def account_of(program: programs.Program, *, is_trained: bool) -> list[Finding]:
    """Return what is found in a program; with its split, and trained where that is asked for."""
    account = run.examine(program)
    if is_trained:
        run.train(program, account)
    else:
        account.after += run.compare(program)
    return account.findings


def judge(fault: Fault, name: str, seed: int, sound: set[str], score: Score) -> None:
    """Put a fault into a program and note whether it is found."""
    if fault.family == torch_faults.FAMILY and programs.KINDS[name] != "torch":
        return
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
    elif is_harmless(programs.PROGRAMS[name](seed), mutant):
        score.made -= 1
        score.harmless_in.append(name)
    else:
        score.missed_in.append(name)


def is_harmless(program: programs.Program, mutant: programs.Program) -> bool:
    """Tell whether a faulty Keras program learns as much as the sound one, by its test rows.

    The accuracy may be two standard errors lower; where there is none, the loss a tenth higher.
    """
    if run.is_torch(program) or not hasattr(program.model, "compute_loss"):
        return False
    if program.X_test is None or program.y_test is None:
        return False
    sound, faulty = (_tested(one) for one in (program, mutant))
    if "accuracy" in sound and "accuracy" in faulty:
        share = sound["accuracy"]
        error = (share * (1 - share) / len(program.y_test)) ** 0.5
        return faulty["accuracy"] >= share - 2 * error
    return faulty["loss"] <= 1.1 * sound["loss"]


def _tested(program: programs.Program) -> dict[str, float]:
    program.model.fit(program.X, program.y, **program.fit_kwargs)
    found: dict[str, float] = program.model.evaluate(
        program.X_test, program.y_test, verbose=0, return_dict=True
    )
    return found


def main() -> None:
    """Run the mutants and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fault", default="", help="a part of the faults' names")
    parser.add_argument("--only", default="", help="a part of the programs' names")
    parser.add_argument("--kind", default="", help="sklearn, keras, xgboost or torch")
    parser.add_argument("--all", action="store_true", help="in all programs of the zoo")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    wanted = options.fault.lower()
    chosen = [one for one in FAULTS if one.family == wanted]
    chosen = chosen or [one for one in FAULTS if wanted in one.name.lower()]
    if options.kind not in {"", torch_faults.FAMILY}:
        chosen = [one for one in chosen if one.family != torch_faults.FAMILY]
    if options.kind == "torch":
        # The others are put into Keras' layers, or into data.
        chosen = [one for one in chosen if one.family in {"data", "split", torch_faults.FAMILY}]
    scores = {one.name: Score() for one in chosen}
    alarms: Counter[str] = Counter()
    subjects = list(programs.PROGRAMS) if options.all else SUBJECTS
    names = [
        name
        for name in subjects
        if options.only.lower() in name.lower() and options.kind in {"", programs.KINDS[name]}
    ]
    for name in names:
        sound = account_of(programs.PROGRAMS[name](options.seed), is_trained=False)
        alarms.update(one.severity for one in sound)
        needs_training = any(fault.family == "behaviour" for fault in chosen)
        trained = (
            account_of(programs.PROGRAMS[name](options.seed), is_trained=True)
            if needs_training
            else sound
        )
        for fault in chosen:
            known = {one.code for one in (trained if fault.family == "behaviour" else sound)}
            judge(fault, name, options.seed, known, scores[fault.name])
        print(name, flush=True)  # noqa: T201 - a command
    lines = [*tables(chosen, scores, alarms, len(names)), ""]
    for one in chosen:
        if missed := scores[one.name].missed_in:
            lines.append(f"- {one.name}: missed in {', '.join(missed)}.")
        if harmless := scores[one.name].harmless_in:
            lines.append(
                f"- {one.name}: learns as much, and is not counted, in {', '.join(harmless)}."
            )
    print("\n".join(lines))  # noqa: T201 - a command
    if options.write:
        asked = {"kind": options.kind, "fault": options.fault}
        given = "".join(f" --{name} {value!r}" for name, value in asked.items() if value)
        parts = ", ".join(value for value in asked.values() if value)
        title = "Faults put into sound programs" + (f": {parts}" if parts else "")
        write_section(title, f"`python tests/zoo/mutate.py{given} --write`", lines)


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
