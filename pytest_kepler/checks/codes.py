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

Family = Literal["data", "split", "model", "training", "behaviour"]
#: C0 reads shapes and configuration, C1 passes over the data, C2 runs one batch forward,
#: C4 reads a history.
Cost = Literal["C0", "C1", "C2", "C4"]
Limits = Mapping[str, float]
Check = Callable[[Any, Limits], Iterator[Finding]]

FAMILIES: Final = ("data", "split", "model", "training", "behaviour")
#: What the checks themselves report: a check that crashed, a waiver that nothing matches.
GENERAL: Final = "K000"
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
        )


def _table(*rows: CheckInfo) -> dict[str, CheckInfo]:
    return {row.code: row for row in rows}


CHECKS: Final = _table(
    CheckInfo("K101", "batch-exceeds-data", "error", "model", "C0"),
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
    CheckInfo("K107", "group-in-both-splits", "error", "split", "C1", {"max-shared": 0}),
    CheckInfo("K108", "test-before-train", "warning", "split", "C1", {"overlap": 0.0}),
    CheckInfo("K109", "class-unseen-in-training", "error", "split", "C1", {"min-rows": 5}),
    CheckInfo("K110", "test-is-train", "error", "split", "C1", {"share": 0.95}),
    CheckInfo("K115", "rows-misaligned", "error", "data", "C0"),
    CheckInfo("K116", "scale-differs-across-split", "error", "split", "C1", {"share": 0.3}),
    CheckInfo("K117", "columns-differ-across-split", "error", "split", "C0"),
    CheckInfo(
        "K204",
        "input-scale-wrong-for-first-layer",
        "error",
        "model",
        "C2",
        {"warn-high": 5.0, "error-high": 30.0, "warn-low": 1e-3},
    ),
    CheckInfo("K301", "redundant-columns", "warning", "data", "C1", {"min-r": 0.9999}),
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
    CheckInfo("K309", "target-among-features", "error", "data", "C1", {"min-rows": 30}),
    CheckInfo(
        "K310",
        "suspiciously-perfect-feature",
        "warning",
        "data",
        "C1",
        {"min-score": 0.98, "min-lead": 0.03, "min-rank-r": 0.999},
    ),
    CheckInfo("K312", "labels-not-zero-based", "error", "model", "C1"),
    CheckInfo("K319", "constant-target", "error", "data", "C1"),
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
    CheckInfo("K410", "crossentropy-for-numbers", "error", "model", "C1", {"share": 0.01}),
    CheckInfo("K412", "linear-stack", "warning", "model", "C0"),
    CheckInfo("K505", "noisy-updates", "warning", "training", "C4", {"ratio": 0.3}),
    CheckInfo("K509", "loss-not-finite", "error", "training", "C4", is_firm=True),
    CheckInfo("K510", "stuck-at-prior", "error", "training", "C4", {"margin": 0.03}),
    CheckInfo("K511", "loss-not-decreasing", "warning", "training", "C4", {"min-drop": 0.01}),
    CheckInfo("K710", "inference-is-random", "error", "behaviour", "C2", {"tol": 1e-6}),
    CheckInfo("K711", "constant-prediction", "error", "behaviour", "C2", {"min-rel-sd": 0.01}),
    CheckInfo("K712", "invalid-probabilities", "error", "behaviour", "C2", {"max-sum-off": 1e-3}),
)

#: Rules that one fault can satisfy together: of an output, a column or a split, the first is told.
ONE_FAULT: Final = (
    ("K404", "K405", "K407", "K406", "K312", "K410", "K403"),
    ("K309", "K310"),
    ("K110", "K105"),
)
_COST_ORDER: Final = ("C0", "C2", "C1", "C4")


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
    for info in CHECKS.values():
        lines += ["", f"## {info.code} {info.name}", "", *_page(info)]
    return "\n".join(lines) + "\n"


def _page(info: CheckInfo) -> Iterator[str]:
    first, *rest = (info.load().__doc__ or "").strip().splitlines()
    yield _capital(first.partition(": ")[2])
    for line in rest:
        if line and not line.startswith(" "):
            yield ""
            yield f"**{line}**"
        elif line:
            yield line.strip()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
