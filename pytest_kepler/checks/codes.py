"""The one table of checks: code, name, severity, family, cost, limits.

A code is never given a new meaning; retired ones are listed so that nobody does.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from pytest_kepler.errors import KeplerUsageError, nearest
from pytest_kepler.records import EMPTY, Finding, Severity

if TYPE_CHECKING:
    from types import ModuleType

Family = Literal["data", "split", "model", "training", "evaluation", "behaviour"]
#: C0 reads shapes and configuration, C1 passes over the data, C2 runs one batch forward,
#: C3 reads the training probe, C4 a history, C5 trains something small.
Cost = Literal["C0", "C1", "C2", "C3", "C4", "C5"]
Limits = Mapping[str, float]
Check = Callable[[Any, Limits], Iterator[Finding]]

FAMILIES: Final = ("data", "split", "model", "training", "evaluation", "behaviour")
#: What the checks report of themselves.
GENERAL: Final = "K000"
_GENERAL_PAGE: Final = """\
K000 of-the-checks: what the checks say of themselves, whatever they look at.

model-not-asked, an error
    The model raised an error where it was asked, so checks of its answers could not judge.
    Mostly it is not fitted, or the rows have other columns.
check-crashed, a note
    A check failed. Nothing was concluded from it, and it blocks nothing. Please report it.
unused-waiver, a note
    A waiver met nothing, since its check has passed. Take it away, unless another run of the
    experiment needs it.
Why it matters
    A check that could not judge is not one that passed, and silence would read as that.
What it cannot see
    A check that lacks an input: that is no fault. The journal, and ``kepler check`` with
    ``--format json``, have the reason.
"""
RETIRED: Final = ("K203", "K501", "K503", "K1010", "K1011")


@dataclass(frozen=True, slots=True)
class CheckInfo:
    """What is known of a check without importing it.

    ``severity`` is the highest that the check gives; ``limits`` are its configurable limits
    with their defaults. ``is_firm`` marks the checks of values that are not numbers, which may
    be waived for an experiment but not lowered or ignored for a whole project.
    """

    code: str
    name: str
    severity: Severity
    family: Family
    cost: Cost
    limits: Limits = EMPTY
    is_firm: bool = False

    @property
    def module(self) -> str:
        """The module that holds the check."""
        return f"{__package__}.catalogue.{self.family}.{self.name.replace('-', '_')}"

    def load(self) -> ModuleType:
        """Import the check's module."""
        return importlib.import_module(self.module)

    def run(self, view: Any, limits: Limits) -> Iterator[Finding]:
        """Return the findings of the check on a view of its family."""
        return cast("Check", self.load().check)(view, limits)

    def finding(  # noqa: PLR0913 - the fields of a finding
        self,
        message: str,
        *,
        fix: str,
        severity: Severity | None = None,
        location: str = "",
        measured: Mapping[str, Any] = EMPTY,
        threshold: Mapping[str, Any] = EMPTY,
        basis: str = "data",
        is_inferred: bool = False,
        example: tuple[str, ...] = (),
    ) -> Finding:
        """Return a finding of this check."""
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity or self.severity,
            message=message,
            location=location,
            measured=measured,
            threshold=threshold,
            fix=fix,
            basis=basis,
            confidence="inferred" if is_inferred else "declared",
            example=example,
        )


def _table(*rows: CheckInfo) -> dict[str, CheckInfo]:
    return {row.code: row for row in rows}


CHECKS: Final = _table(
    CheckInfo("K101", "batch-exceeds-data", "error", "model", "C0"),
    CheckInfo("K102", "not-shuffled", "error", "model", "C1", {"change-ratio": 0.5}),
    CheckInfo(
        "K103",
        "class-shares-differ",
        "warning",
        "split",
        "C1",
        {"min-diff": 0.05, "min-errors": 4.0},
    ),
    CheckInfo(
        "K104",
        "normalised-separately",
        "error",
        "split",
        "C1",
        {"max-mean": 1e-3, "max-sd-off": 1e-2, "share": 0.9},
    ),
    CheckInfo(
        "K105",
        "rows-shared-across-split",
        "error",
        "split",
        "C1",
        {"warn-share": 0.01, "error-share": 0.05, "min-rows": 3},
    ),
    CheckInfo(
        "K106",
        "near-copies-across-split",
        "warning",
        "split",
        "C1",
        {"radius": 0.05, "share": 0.01, "min-rows": 5},
    ),
    CheckInfo("K107", "group-in-both-splits", "error", "split", "C1", {"max-shared": 0}),
    CheckInfo("K108", "test-before-train", "warning", "split", "C1", {"overlap": 0.0}),
    CheckInfo("K109", "class-unseen-in-training", "error", "split", "C1", {"min-rows": 5}),
    CheckInfo("K110", "test-is-train", "error", "split", "C1", {"share": 0.95}),
    CheckInfo(
        "K111",
        "features-drift",
        "warning",
        "split",
        "C1",
        {"min-ks": 0.2, "min-tv": 0.2, "missing-gap": 0.3, "p": 0.01},
    ),
    CheckInfo(
        "K112",
        "split-distinguishable",
        "warning",
        "split",
        "C5",
        {"min-gain": 0.1, "errors": 4.0},
    ),
    CheckInfo("K113", "last-batch-of-one", "warning", "model", "C0"),
    CheckInfo("K114", "batches-single-class", "error", "model", "C1", {"ratio": 0.5}),
    CheckInfo("K115", "rows-misaligned", "error", "data", "C0"),
    CheckInfo("K116", "scale-differs-across-split", "error", "split", "C1", {"share": 0.3}),
    CheckInfo("K117", "columns-differ-across-split", "error", "split", "C0"),
    CheckInfo("K201", "signal-vanishes-at-init", "error", "model", "C3", {"min-rel-grad": 1e-5}),
    CheckInfo("K202", "signal-explodes-at-init", "warning", "model", "C2", {"max-logit-rms": 30.0}),
    CheckInfo(
        "K204",
        "input-scale-wrong-for-first-layer",
        "error",
        "model",
        "C2",
        {"warn-high": 5.0, "error-high": 30.0, "warn-low": 1e-3},
    ),
    CheckInfo("K205", "symmetric-init", "error", "model", "C3"),
    CheckInfo(
        "K206",
        "dead-units-at-init",
        "error",
        "model",
        "C2",
        {"warn-share": 0.5, "error-share": 0.95},
    ),
    CheckInfo(
        "K207",
        "initial-loss-off",
        "error",
        "model",
        "C3",
        {"warn-ratio": 3.0, "error-ratio": 10.0, "low-ratio": 0.5},
    ),
    CheckInfo("K208", "output-ignores-input", "error", "model", "C3", {"min-variation": 1e-5}),
    CheckInfo("K209", "non-finite-weights", "error", "model", "C0", is_firm=True),
    CheckInfo("K210", "saturated-at-init", "warning", "model", "C2", {"share": 0.5}),
    CheckInfo("K211", "frozen-random-base", "warning", "model", "C0", {"max-random-share": 0.5}),
    CheckInfo("K301", "redundant-columns", "warning", "data", "C1", {"min-r": 0.9999}),
    CheckInfo(
        "K302",
        "duplicate-rows",
        "warning",
        "data",
        "C1",
        {"max-share": 0.05, "min-repeats": 3},
    ),
    CheckInfo(
        "K303",
        "unscaled-features",
        "warning",
        "model",
        "C1",
        {"max-ratio": 100.0, "max-rms": 30.0},
    ),
    CheckInfo("K304", "non-finite-input", "error", "data", "C1", is_firm=True),
    CheckInfo("K305", "non-finite-target", "error", "data", "C1", is_firm=True),
    CheckInfo("K306", "constant-column", "error", "data", "C1", {"error-share": 0.5}),
    CheckInfo("K307", "id-like-column", "warning", "data", "C1", {"unique-share": 0.99}),
    CheckInfo(
        "K308",
        "conflicting-labels",
        "error",
        "data",
        "C1",
        {"warn-share": 0.01, "error-share": 0.2, "min-conflicts": 3},
    ),
    CheckInfo("K309", "target-among-features", "error", "data", "C1", {"min-rows": 30}),
    CheckInfo(
        "K310",
        "suspiciously-perfect-feature",
        "warning",
        "data",
        "C1",
        {"min-score": 0.98, "min-lead": 0.03, "min-rank-r": 0.999},
    ),
    CheckInfo("K311", "class-imbalance", "warning", "data", "C1", {"ratio": 0.05}),
    CheckInfo("K312", "labels-not-zero-based", "error", "model", "C1"),
    CheckInfo(
        "K313",
        "sentinel-values",
        "warning",
        "data",
        "C1",
        {"min-sentinel-share": 0.001, "max-sentinel-share": 0.6, "iqr": 5.0},
    ),
    CheckInfo(
        "K314", "numbers-stored-as-text", "warning", "data", "C1", {"min-number-share": 0.95}
    ),
    CheckInfo(
        "K315",
        "extreme-outliers",
        "warning",
        "data",
        "C1",
        {"iqr-multiple": 1000.0, "log-multiple": 10.0},
    ),
    CheckInfo(
        "K316",
        "target-unscaled",
        "warning",
        "model",
        "C1",
        {"max-sd": 100.0, "max-offset": 20.0},
    ),
    CheckInfo("K317", "bad-sample-weights", "error", "data", "C0", {"max-row-share": 0.5}),
    CheckInfo("K318", "mostly-missing-column", "warning", "data", "C1", {"share": 0.95}),
    CheckInfo("K319", "constant-target", "error", "data", "C1"),
    CheckInfo("K320", "too-few-per-class", "error", "data", "C1", {"min-per-class": 2}),
    CheckInfo("K324", "mixed-types-in-column", "warning", "data", "C1", {"max-rare-share": 0.1}),
    CheckInfo("K325", "category-variants", "warning", "data", "C1"),
    CheckInfo("K401", "deep-saturating-stack", "warning", "model", "C0", {"depth": 3}),
    CheckInfo("K402", "tanh-vs-labels", "error", "model", "C1", {"share": 0.01}),
    CheckInfo("K403", "output-range-vs-targets", "error", "model", "C1", {"share": 0.01}),
    CheckInfo("K404", "crossentropy-form-vs-labels", "error", "model", "C0"),
    CheckInfo("K405", "output-units-vs-classes", "error", "model", "C1"),
    CheckInfo(
        "K406",
        "from-logits-mismatch",
        "error",
        "model",
        "C2",
        {"max-sum-off": 1e-3, "share": 0.01},
    ),
    CheckInfo("K407", "softmax-over-one", "error", "model", "C0"),
    CheckInfo("K408", "wrong-activation-for-task", "error", "model", "C1", {"share": 0.01}),
    CheckInfo("K409", "squared-error-for-classes", "warning", "model", "C1"),
    CheckInfo("K410", "crossentropy-for-numbers", "error", "model", "C1", {"share": 0.01}),
    CheckInfo("K411", "double-activation", "error", "model", "C0"),
    CheckInfo("K412", "linear-stack", "warning", "model", "C0"),
    CheckInfo("K413", "metric-mismatch", "error", "model", "C1"),
    CheckInfo("K414", "dropout-misplaced", "error", "model", "C0", {"max-rate": 0.9}),
    CheckInfo("K415", "nothing-to-train", "error", "model", "C0"),
    CheckInfo("K416", "regularisation-dominates", "warning", "model", "C3", {"ratio": 10.0}),
    CheckInfo("K417", "channels-misplaced", "warning", "model", "C0"),
    CheckInfo("K418", "loss-broadcasts", "error", "model", "C2"),
    CheckInfo("K424", "monitor-missing", "error", "model", "C0"),
    CheckInfo(
        "K502",
        "gradient-vanishes-by-depth",
        "error",
        "model",
        "C3",
        {"warn": 3e-4, "error": 1e-5},
    ),
    CheckInfo(
        "K504",
        "overfitting",
        "warning",
        "training",
        "C4",
        {"patience-share": 0.25, "rise": 1.2, "min-drop": 0.03},
    ),
    CheckInfo("K505", "noisy-updates", "warning", "training", "C4", {"ratio": 0.3}),
    CheckInfo("K506", "weights-unreached", "error", "model", "C3"),
    CheckInfo(
        "K507",
        "learning-rate-too-high",
        "error",
        "model",
        "C3",
        {"blow-up": 3.0, "max-update": 0.1, "max-boosting-rate": 1.0},
    ),
    CheckInfo(
        "K508",
        "learning-rate-too-low",
        "warning",
        "model",
        "C3",
        {"min-update": 1e-6, "min-change": 1e-3},
    ),
    CheckInfo("K509", "loss-not-finite", "error", "training", "C4", is_firm=True),
    CheckInfo("K510", "stuck-at-prior", "error", "training", "C4", {"margin": 0.03}),
    CheckInfo("K511", "loss-not-decreasing", "warning", "training", "C4", {"min-drop": 0.01}),
    CheckInfo("K512", "metric-collapse", "warning", "training", "C4", {"drop": 0.1}),
    CheckInfo(
        "K515",
        "test-set-used-in-training",
        "error",
        "evaluation",
        "C1",
        {"same-share": 0.99, "min-rows": 3},
    ),
    CheckInfo(
        "K513",
        "validation-better-than-training",
        "warning",
        "behaviour",
        "C2",
        {"min-lead": 0.02, "lead-errors": 3.0, "loss-ratio": 0.5},
    ),
    CheckInfo(
        "K514",
        "dead-units-after-training",
        "warning",
        "behaviour",
        "C2",
        {"dead-share": 0.7, "good-skill": 0.9},
    ),
    CheckInfo(
        "K516",
        "train-inference-gap",
        "warning",
        "behaviour",
        "C2",
        {"max-mode-ratio": 1.5, "min-mode-gap": 0.1, "min-steps": 1000},
    ),
    CheckInfo(
        "K601",
        "preprocessing-saw-test-rows",
        "warning",
        "split",
        "C1",
        {"share": 0.9, "max-mean-ratio": 0.02, "max-sd-off": 1e-3},
    ),
    CheckInfo("K603", "unknown-category-fails", "error", "model", "C1"),
    CheckInfo(
        "K604",
        "high-cardinality-onehot",
        "warning",
        "model",
        "C1",
        {"max-levels": 100, "max-row-share": 0.1},
    ),
    CheckInfo(
        "K605",
        "collinear-coefficients",
        "warning",
        "model",
        "C1",
        {"max-cond": 1e8, "max-vif": 10.0},
    ),
    CheckInfo("K606", "fold-lacks-class", "error", "model", "C1", {"change-ratio": 0.5}),
    CheckInfo("K607", "cv-splits-groups", "error", "model", "C1", {"max-shared": 0}),
    CheckInfo("K608", "cv-ignores-time", "warning", "model", "C0"),
    CheckInfo("K609", "metric-hides-minority", "warning", "model", "C1", {"share": 0.9}),
    CheckInfo("K610", "optimizer-not-converged", "warning", "behaviour", "C2"),
    CheckInfo(
        "K611",
        "ordinal-code-as-number",
        "warning",
        "model",
        "C1",
        {"min-levels": 3, "max-levels": 50},
    ),
    CheckInfo("K612", "estimator-vs-target", "error", "model", "C1", {"max-fractions": 20}),
    CheckInfo("K613", "constant-split-seed", "note", "model", "C0"),
    CheckInfo(
        "K614",
        "test-used-for-choice",
        "error",
        "evaluation",
        "C1",
        {"choice-share": 0.1, "fit-share": 0.2, "min-rows": 5},
    ),
    CheckInfo(
        "K701",
        "cannot-learn-one-batch",
        "error",
        "model",
        "C3",
        {"warn": 0.85, "error": 0.95},
    ),
    CheckInfo("K702", "no-better-than-dummy", "error", "behaviour", "C2", {"errors": 2.0}),
    CheckInfo(
        "K703",
        "no-better-than-linear",
        "warning",
        "behaviour",
        "C5",
        {"min-lead": 0.05, "lead-errors": 3.0},
    ),
    CheckInfo(
        "K704",
        "learns-shuffled-labels",
        "error",
        "behaviour",
        "C5",
        {"margin": 0.05, "errors": 3.0},
    ),
    CheckInfo("K705", "not-reproducible", "error", "behaviour", "C5", {"tol": 1e-6}),
    CheckInfo("K706", "row-order-changes-prediction", "error", "behaviour", "C2", {"tol": 1e-3}),
    CheckInfo("K707", "batch-size-changes-prediction", "error", "behaviour", "C2", {"tol": 1e-3}),
    CheckInfo("K708", "input-does-not-matter", "error", "behaviour", "C2", {"min-fall": 1.0}),
    CheckInfo("K709", "save-load-differs", "error", "behaviour", "C2", {"max-difference": 1e-5}),
    CheckInfo("K710", "inference-is-random", "error", "behaviour", "C2", {"tol": 1e-6}),
    CheckInfo("K711", "constant-prediction", "error", "behaviour", "C2", {"min-rel-sd": 0.01}),
    CheckInfo("K712", "invalid-probabilities", "error", "behaviour", "C2", {"max-sum-off": 1e-3}),
    CheckInfo(
        "K713",
        "declared-expectation-broken",
        "error",
        "behaviour",
        "C2",
        {"fail-rate": 0.05, "tol": 0.01},
    ),
)

#: Rules that one fault can satisfy together: of an output, a column or a split, the first is told.
ONE_FAULT: Final = (
    ("K404", "K405", "K407", "K411", "K406", "K312", "K408", "K410", "K409", "K403"),
    ("K309", "K310"),
    ("K110", "K105"),
    ("K207", "K205", "K201", "K506", "K502", "K208", "K701"),
    ("K710", "K706", "K707"),
    ("K711", "K702", "K703"),
)
#: A check that only says once more, at some cost, what any of the others has said.
FOLLOWS: Final = {"K112": ("K103", "K104", "K105", "K108", "K110", "K111", "K116", "K117")}
_COST_ORDER: Final = ("C0", "C2", "C1", "C3", "C4", "C5")


def of_family(family: Family) -> list[CheckInfo]:
    """Return the checks of a family, the cheapest kind first."""
    found = [info for info in CHECKS.values() if info.family == family]
    return sorted(found, key=lambda info: (_COST_ORDER.index(info.cost), info.code))


def find(code: str) -> CheckInfo:
    """Return a check by its code or its name.

    Raises
    ------
    KeplerUsageError
        If there is no such check; the message names the nearest.
    """
    known = CHECKS.get(code.upper()) or next(
        (info for info in CHECKS.values() if info.name == code.lower()), None
    )
    if known is not None:
        return known
    if code.upper() in RETIRED:
        raise KeplerUsageError(f"The check {code.upper()} is retired: its rule was not sound.")
    hint = nearest(code.upper(), CHECKS) if code[:1] in "Kk" else _nearest_name(code)
    raise KeplerUsageError(f"There is no check {code!r}: {hint}")


def _nearest_name(name: str) -> str:
    return nearest(name, (info.name for info in CHECKS.values()))


def require_prefix(prefix: str) -> None:
    """Raise `KeplerUsageError` unless some check's code starts with `prefix`."""
    if prefix != GENERAL and not any(code.startswith(prefix) for code in CHECKS):
        # A whole family may be named before its first check is there.
        if prefix in {f"K{digit}" for digit in range(1, 8)} or prefix == "K":
            return
        raise KeplerUsageError(f"No check is called {prefix!r}: {nearest(prefix, CHECKS)}")


def explain(code: str) -> str:
    """Return the help page of a check: what it looks at, why, what it cannot see, its limits.

    Parameters
    ----------
    code : str
        A code, ``K304``, or a name, ``non-finite-input``.

    Raises
    ------
    KeplerUsageError
        If there is no such check.
    """
    if code.upper() == GENERAL:
        return _GENERAL_PAGE
    info = find(code)
    page = (info.load().__doc__ or "").strip()
    facts = [f"{info.severity}, family {info.family}"]
    facts += [f"{name} = {value:g}" for name, value in info.limits.items()]
    return f"{page}\nSeverity and limits\n    {', '.join(facts)}\n"


def check_table() -> str:
    """Return the page ``docs/checks.md``: every check with its help, made from this table."""
    lines = [
        "# The checks",
        "",
        "Made from the checks themselves by `pytest_kepler.checks.check_table()`: do not edit.",
        "",
        "| code | name | at most | family | limits |",
        "|---|---|---|---|---|",
    ]
    for info in CHECKS.values():
        limits = ", ".join(f"`{name}` {value:g}" for name, value in info.limits.items())
        anchor = f"{info.code.lower()}-{info.name}"
        row = [f"[{info.code}](#{anchor})", info.name, info.severity, info.family, limits]
        lines.append(f"| {' | '.join(row)} |")
    lines += ["", f"## {GENERAL}", "", *_page(_GENERAL_PAGE)]
    for info in CHECKS.values():
        page = info.load().__doc__ or ""
        lines += ["", f"## {info.code} {info.name}", "", *_page(page)]
    return "\n".join(lines) + "\n"


def _page(text: str) -> Iterator[str]:
    first, *rest = text.strip().splitlines()
    yield _capital(first.partition(": ")[2])
    for line in rest:
        if line and not line.startswith(" "):
            yield ""
            yield f"**{line}**"
        elif line:
            yield line.strip()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
