"""Frozen records that travel between the rooms; no behaviour beyond reading themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003  # dataclass fields are looked up at run time
from typing import Any, Final, Literal

Severity = Literal["error", "warning", "note"]
Goal = Literal["max", "min"]
Status = Literal[
    "running",
    "passed",
    "failed",
    "error",
    "skipped",
    "xfailed",
    "blocked",
    "duplicate",
    "crashed",
    "interrupted",
    "pruned",
    "void",
]
Scalar = str | int | float | bool | None


class _Empty(Mapping[str, Any]):
    """A mapping with nothing in it, as a default of dataclasses.

    It can be hashed, which a dataclass asks of a default: ``MappingProxyType`` can only since
    Python 3.12.
    """

    __slots__ = ()

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "{}"


EMPTY: Final[Mapping[str, Any]] = _Empty()

#: Statuses that count as a result of the experiment, with numbers of its own.
COUNTED: Final = ("passed", "duplicate")

#: Statuses of runs whose code was never begun.
NOT_STARTED: Final = frozenset({"duplicate", "blocked", "pruned", "skipped"})

_MINIMISED = (
    "loss",
    "error",
    "mae",
    "mse",
    "mape",
    "rmse",
    "msle",
    "seconds",
    "deviance",
    "perplexity",
    "divergence",
    "brier",
    "hinge",
    "crossentropy",
)
_MAXIMISED = (
    "accuracy",
    "acc",
    "auc",
    "roc_auc",
    "f1",
    "r2",
    "score",
    "precision",
    "recall",
    "kappa",
    "mcc",
    "jaccard",
    "iou",
    "dice",
    "likelihood",
    "similarity",
)


def goal_of_name(metric: str) -> Goal | None:
    """Return the goal that a metric's name tells, or None if it does not tell.

    The last part of the name decides (``val/log_loss`` is a loss), by whole words.
    scikit-learn's ``neg_…`` scorers are maximised.
    """
    name = metric.lower().rsplit("/", 1)[-1]
    if name.startswith("neg_"):
        return "max"
    words = set(name.replace("-", "_").split("_"))
    if words & set(_MINIMISED) or name in _MINIMISED:
        return "min"
    if words & set(_MAXIMISED) or name in _MAXIMISED:
        return "max"
    return None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check reports.

    Attributes
    ----------
    code, name : str
        Stable identity of the check, ``K304`` and ``non-finite-input``.
    severity : {"error", "warning", "note"}
        After overrides. An error blocks.
    message : str
        One sentence, what is wrong; no advice.
    location : str
        The smallest place that a person can go to: split, column, row, layer, epoch.
    measured, threshold : mapping of str to number or text
        What was measured and the limit, in the same units.
    fix : str
        One imperative sentence, the most likely cause first.
    basis : str
        ``static``, ``data``, ``batch``, ``probe``, ``history``; with the sampling if any.
    confidence : {"declared", "inferred"}
        Whether the task that the answer rests on was declared.
    waiver : str
        Empty, or the reason for which the finding does not count.
    example : tuple of str
        Lines with rows of the user's data that show it; for the terminal alone.
    """

    code: str
    name: str
    severity: Severity
    message: str
    location: str = ""
    measured: Mapping[str, Any] = EMPTY
    threshold: Mapping[str, Any] = EMPTY
    fix: str = ""
    basis: str = "data"
    confidence: Literal["declared", "inferred"] = "declared"
    waiver: str = ""
    example: tuple[str, ...] = ()

    @property
    def tells_its_place(self) -> bool:
        """Whether the message names the location already, or there is none to name."""
        return not self.location or _has_word(self.message, self.location)

    @property
    def tells_its_measure(self) -> bool:
        """Whether the message has all that was measured: zeros and lists of places aside."""
        plain = self.message.replace(",", "")
        measured = [one for one in self.measured.values() if one and not isinstance(one, list)]
        texts = [f"{one:.6g}" if isinstance(one, float) else str(one) for one in measured]
        return bool(texts) and all(_has_word(plain, one) for one in texts)


def _has_word(text: str, word: str) -> bool:
    return bool(re.search(rf"(?<![\w.]){re.escape(word)}(?!\w|\.\d)", text, re.IGNORECASE))


@dataclass(frozen=True, slots=True)
class ClaimSpec:
    """What `@pytest.mark.claim` says of an experiment.

    Attributes
    ----------
    claim : str
        The sentence.
    metric : str
    goal : {"max", "min"}
    better, than : mapping of str to value
        The parameters that tell the two sides apart, flattened as in ``Run.params``.
    margin : float
        By how much the one side must be better, in the metric's units.
    """

    claim: str
    metric: str
    goal: Goal
    better: Mapping[str, Any]
    than: Mapping[str, Any]
    margin: float = 0.0

    @property
    def definition(self) -> str:
        """What is claimed, whatever its words: the same for claims that differ in their text."""
        parts = {"metric": self.metric, "goal": self.goal, "margin": self.margin}
        parts |= {"better": dict(self.better), "than": dict(self.than)}
        return json.dumps(parts, sort_keys=True)


@dataclass(frozen=True, slots=True)
class ExperimentSpec:
    """What `@pytest.mark.experiment` says; the argument names are the marker's.

    ``claims`` are those of the marks ``claim`` beside it.
    """

    metric: str | None = None
    goal: Goal | Mapping[str, Goal] = "max"
    at_least: float | Mapping[str, float] | None = None
    at_most: float | Mapping[str, float] | None = None
    replicates: tuple[str, ...] = ("seed", "fold")
    hypothesis: str | None = None
    project: str | None = None
    needs: tuple[Any, ...] = ()
    gate: bool = True
    #: Name in `experiment.load` -> (experiment by name, node id or function; artefact or None).
    uses: Mapping[str, tuple[Any, str | None]] = EMPTY
    waive: Mapping[str, Any] = EMPTY
    tags: tuple[str, ...] = ()
    version: str | None = None
    tolerance: Mapping[str, Any] = EMPTY
    claims: tuple[ClaimSpec, ...] = ()

    def goal_for(self, metric: str) -> Goal | None:
        """Return which way `metric` is better, or None where it cannot be told."""
        if isinstance(self.goal, Mapping):
            return self.goal.get(metric) or goal_of_name(metric)
        if metric == self.metric:
            return self.goal
        return goal_of_name(metric)

    def bounds(self) -> list[tuple[Literal["at_least", "at_most"], str, float]]:
        """Return every threshold as (which, metric, limit), in the marker's order."""
        found: list[tuple[Literal["at_least", "at_most"], str, float]] = []
        for which, value in (("at_least", self.at_least), ("at_most", self.at_most)):
            if value is None:
                continue
            by_metric = value if isinstance(value, Mapping) else {self.metric or "": value}
            found += [(which, metric, limit) for metric, limit in by_metric.items()]  # type: ignore[misc]
        return found


@dataclass(frozen=True, slots=True)
class Run:
    """One row of the journal's runs, with what decisions and reports need.

    ``metrics`` holds the last value of each metric. For a duplicate it holds those of the
    run that was executed (``duplicate_of``), so that tables and thresholds can count it.
    """

    run_id: str
    session_id: str
    project: str
    experiment: str
    node_id: str
    status: Status
    started_at: datetime
    seconds: float | None = None
    seed: int | None = None
    params: Mapping[str, Any] = EMPTY
    metrics: Mapping[str, float] = EMPTY
    hypothesis: str = ""
    identity: str = ""
    code_hash: str = ""
    data_hash: str = ""
    params_hash: str = ""
    eval_hash: str = ""
    environment_hash: str = ""
    commit: str = ""
    dirty: bool = False
    why_new: str = ""
    duplicate_of: str = ""
    message: str = ""
    #: Why the run is no ground to skip, though it counts; empty for a sound one.
    unsound: str = ""
    #: The marker's spec as JSON-able mapping: metric, goal, at_least, at_most, replicates, …
    spec: Mapping[str, Any] = EMPTY
    #: Fingerprints by part, for "why is this new": {"code": {name: hash}, "data": {fixture: hash}}.
    parts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def short_id(self) -> str:
        """The first eight characters of the id, as shown to people."""
        return self.run_id[:8]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that holds what a run saved.

    Attributes
    ----------
    name : str
        What the run called it.
    kind : str
        ``model``, ``weights``, ``figure``, ``frame``, ``array``, ``json``, ``text``, ``bytes``,
        ``file`` or ``pickle``.
    sha256 : str
        Of the file's content.
    n_bytes : int
    path : str
        Below the journal's folder: ``artifacts/ab/ab….npy``.
    content : str
        The fingerprint of the object, the same where a file of equal content differs by the time
        at which it was written; empty where it has none.
    run_id : str
        The run that saved it.
    """

    name: str
    kind: str
    sha256: str
    n_bytes: int
    path: str
    content: str = ""
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class Statistic:
    """Mean, standard deviation (n - 1; None below two values) and count over replicates."""

    mean: float
    std: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Configuration:
    """The runs of an experiment that differ only in their replicates, folded into one.

    Attributes
    ----------
    params : mapping
        The parameters without the replicates.
    runs : tuple of Run
        The newest run of each replicate, in the order of the replicates.
    outcomes : tuple of str
        For each of the runs its status; ``failed`` for the duplicate of a failed run.
    statistics : mapping of str to Statistic
        By metric, over the replicates that have a value.
    seconds : float or None
        Mean duration of the runs as executed, duplicates by the run that they repeat.
    evaluated_on : frozenset of str
        The hashes of the data that the values were measured on.
    is_current : bool
        Whether that is data that the newest session of the experiment used.
    """

    params: Mapping[str, Any]
    runs: tuple[Run, ...]
    outcomes: tuple[str, ...]
    statistics: Mapping[str, Statistic] = EMPTY
    seconds: float | None = None
    evaluated_on: frozenset[str] = frozenset()
    is_current: bool = True

    def value(self, metric: str) -> float | None:
        """Return the mean of `metric`, or None unless each replicate that ran has a value."""
        statistic = self.statistics.get(metric)
        n_run = sum(outcome != "skipped" for outcome in self.outcomes)
        return statistic.mean if statistic and statistic.n == n_run else None


@dataclass(frozen=True, slots=True)
class ThresholdOutcome:
    """What became of one `at_least` or `at_most` of an experiment.

    ``partial`` is the status where only a part of the grid ran: reported, never failing.
    """

    experiment: str
    metric: str
    bound: Literal["at_least", "at_most"]
    limit: float
    value: float | None
    status: Literal["reached", "missed", "partial"]
    configuration: Mapping[str, Any]
    n: int
    message: str


@dataclass(frozen=True, slots=True)
class BestSoFar:
    """The best configuration of a session beside the best of the sessions before it.

    ``difference`` is signed so that a positive one is an improvement. With the status
    ``data-changed``, ``earlier`` is the newest one on other data and nothing is compared; with
    ``fewer-replicates`` the session is better without having run all replicates of the earlier.
    """

    metric: str
    status: Literal[
        "first", "beaten", "equalled", "unbeaten", "fewer-replicates", "data-changed", "no-value"
    ]
    session: Configuration | None
    earlier: Configuration | None
    difference: float | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """One experiment, judged: what reports show of it."""

    experiment: str
    spec: ExperimentSpec
    goal: Goal | None
    hypothesis: str
    runs: tuple[Run, ...]
    #: Best first; without a headline metric in the order of the parameters.
    configurations: tuple[Configuration, ...]
    best: Configuration | None
    thresholds: tuple[ThresholdOutcome, ...] = ()
    best_so_far: BestSoFar | None = None
    #: What the duplicates would have taken, by the runs that they repeat.
    saved_seconds: float = 0.0
    comparisons: tuple[Comparison, ...] = ()
    claims: tuple[ClaimOutcome, ...] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    """What is said of all configurations of an experiment, where only those shown were read.

    Attributes
    ----------
    n_runs, n_configurations : int
        Void runs aside.
    n_rows, n_ranked, n_other_data : int
        Configurations with a result; those of them with a place in the ranking; and those that
        were evaluated on data which is no longer in use.
    n_replicates : int
        How many runs a configuration has, or 0 where that differs.
    varying : frozenset of str
        The parameters that differ between configurations, replicates aside.
    fixed : mapping
        Those that are the same in all.
    logged : mapping of str to int
        In how many configurations each metric has a value.
    names : frozenset of str
        The metrics that any run logged.
    statuses : mapping of str to int
        How the newest runs ended, of the configurations whose data is in use.
    in_use : frozenset of str
        The hashes of the data that the newest session used.
    troubles : tuple of (label, message, run id)
        Runs without a number, and those that are no ground to skip (``unsound``), newest first.
    noted : frozenset of str
        The ids of runs with notes.
    findings : tuple of (Finding, ids)
        What checks reported, each once, with the runs.
    """

    n_runs: int
    n_configurations: int
    n_rows: int
    n_ranked: int
    n_other_data: int
    n_replicates: int
    varying: frozenset[str]
    fixed: Mapping[str, Any]
    logged: Mapping[str, int]
    names: frozenset[str]
    statuses: Mapping[str, int]
    in_use: frozenset[str]
    troubles: tuple[tuple[str, str, str], ...] = ()
    noted: frozenset[str] = frozenset()
    findings: tuple[tuple[Finding, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class SharedData:
    """The experiments that were evaluated on the same data, each by its best configuration."""

    evaluated_on: frozenset[str]
    metric: str | None
    goal: Goal | None
    #: (experiment, configuration), best first where a metric is shared.
    entries: tuple[tuple[str, Configuration], ...]


@dataclass(frozen=True, slots=True)
class Guard:
    """A sanity test that guards an experiment: why it does, and how it ended the last time."""

    node_id: str
    because: str
    last: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One part in which a run differs from an earlier one.

    Attributes
    ----------
    kind : {"parameter", "code", "data", "fixture", "environment"}
    name : str
        Of the parameter, the function, class or constant, or the fixture.
    before, now : str
        What it was and what it is, shortened; empty where it is not there.
    diff : tuple of str
        Of code: the lines of a unified diff.
    """

    kind: str
    name: str
    before: str = ""
    now: str = ""
    diff: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would be done with an experiment's item, and why.

    Attributes
    ----------
    node_id : str
    verdict : str
        ``would be skipped``, ``would run`` and the like, with the reason.
    guards : tuple of Guard
        The sanity tests that must pass before it trains.
    remarks : tuple of str
        What keeps it from being told, or is worth a line.
    hashes : mapping of str to str
        ``identity`` and its parts; empty where they cannot be told.
    nearest : Run or None
        The earlier run that differs least.
    differences : tuple of Difference
        From that run.
    """

    node_id: str
    verdict: str
    guards: tuple[Guard, ...] = ()
    remarks: tuple[str, ...] = ()
    hashes: Mapping[str, str] = EMPTY
    nearest: Run | None = None
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class BaselineEntry:
    """What one metric of an experiment was when a baseline was set.

    Attributes
    ----------
    experiment, metric : str
    value : float
        The mean over the replicates of the best configuration by the headline metric.
    goal : {"max", "min"} or None
        Which way the metric was better; None where it could not be told.
    replicates : mapping of str to float
        The value of each replicate, by its own parameters: ``seed=0``; one of none is ``""``.
    params : str
        The configuration, for people.
    run_ids : tuple of str
        The runs that the values come from.
    commit, data : str
        The commit, and the hash of the data that it was evaluated on.
    """

    experiment: str
    metric: str
    value: float
    goal: Goal | None
    replicates: Mapping[str, float]
    params: str = ""
    run_ids: tuple[str, ...] = ()
    commit: str = ""
    data: str = ""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much worse a metric may be: a share of the baseline's value, or a number."""

    amount: float
    is_relative: bool = False

    def limit(self, value: float) -> float:
        """Return the tolerated loss beside a baseline of `value`, in the metric's units."""
        return abs(value) * self.amount if self.is_relative else self.amount

    def __str__(self) -> str:
        """Return it as it is written: ``1%`` or ``0.01``."""
        return f"{self.amount * 100:g}%" if self.is_relative else f"{self.amount:g}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of one metric of an experiment beside a baseline.

    Attributes
    ----------
    status : str
        ``held`` (within the tolerance, or none was asked for), ``better``, ``worse`` (the gate
        fails), ``noise`` (worse, and not told apart from chance), ``itself`` (the runs are the
        baseline's), ``data-changed``, ``goal-changed``, ``no-value`` (the gate fails), ``new``
        (the baseline does not have it) or ``partial``.
    loss : float or None
        How much worse the mean is, positive, in the metric's units.
    interval : pair of float or None
        Of the loss, at the level .95, over the pairs.
    """

    experiment: str
    metric: str
    status: str
    message: str
    loss: float | None = None
    interval: tuple[float, float] | None = None
    n_pairs: int = 0

    @property
    def fails(self) -> bool:
        """Whether the session's exit status is 1 because of it."""
        return self.status in {"worse", "no-value"}


@dataclass(frozen=True, slots=True)
class Decided:
    """An earlier decision about a claim, as far as a later one asks for it.

    ``worded_at`` is when the session began that decided, ``evidence`` as in `ClaimOutcome`.
    """

    experiment: str
    definition: str
    worded_at: datetime
    n_pairs: int
    evidence: frozenset[str]


@dataclass(frozen=True, slots=True)
class ClaimOutcome:
    """The verdict on a claim.

    Attributes
    ----------
    estimate, low, high : float or None
        By how much the one side is better, in the goal's direction and the metric's units, and
        the interval of that at `level`; None where there are too few pairs.
    level : float
        Of the interval: .95 at the first look, more at later ones.
    n_pairs : int
        Pairs of replicates that it rests on.
    look : int
        How often the claim was looked at with a part of these runs, this time included.
    evidence : frozenset of str
        Digests of the ids of the executed runs that it rests on.
    message : str
        What there is to say, the numbers included.
    """

    experiment: str
    spec: ClaimSpec
    verdict: Literal["supported", "refuted", "inconclusive"]
    message: str
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    n_pairs: int = 0
    look: int = 1
    evidence: frozenset[str] = frozenset()
