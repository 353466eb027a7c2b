"""The gate: findings about what a fit was given, what of them blocks, and how they read."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.checks import codes
from pytest_kepler.checks.waivers import Waiver, read_waivers, today, waived
from pytest_kepler.records import EMPTY, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
    from datetime import date

    from pytest_kepler.adapters.fits import EvaluationView
    from pytest_kepler.checks.config import CheckConfig
    from pytest_kepler.checks.running import Outcome

#: Arguments of a fit that say more about its rows or its classes.
_ABOUT_DATA: Final = ("sample_weight", "groups", "class_weight")
#: Asked again of what is evaluated: there a waiver may still be of use.
_ASKED_AGAIN: Final = ("K115",)
#: What the data that a fit validates on is looked at for.
_NOT_FINITE: Final = ("K304", "K305")
#: What stands below a finding that shows a row of the data.
_EXAMPLE: Final = re.compile(r"\n  for example .*(\n    .*)*")
_FOLDED: Final = 3


@dataclass(frozen=True)
class Verdict:
    """What the gate found.

    Attributes
    ----------
    findings : list of Finding
        Errors first; waived ones carry the reason in ``waiver``.
    blocking : list of Finding
        The errors that are not waived.
    not_applicable : mapping of str to str
        Codes of the checks that could not judge, with what they lacked.
    passed : tuple of str
        Codes of the checks that ran and found nothing.
    """

    findings: list[Finding] = field(default_factory=list)
    blocking: list[Finding] = field(default_factory=list)
    not_applicable: Mapping[str, str] = EMPTY
    passed: tuple[str, ...] = ()

    @property
    def account(self) -> dict[str, Any]:
        """What was looked at, for the journal: passed, and what could not be judged, and why."""
        reasons: dict[str, list[str]] = {}
        for code, reason in sorted(self.not_applicable.items()):
            reasons.setdefault(reason, []).append(code)
        lacking = {reason: " ".join(of_it) for reason, of_it in reasons.items()}
        return {"passed": " ".join(sorted(set(self.passed))), "not applicable": lacking}


def validate_waivers(waive: Mapping[str, Any]) -> dict[str, Waiver]:
    """Return the waivers of a marker; see `pytest_kepler.checks.waivers.read_waivers`.

    Raises
    ------
    KeplerUsageError
        If a code is unknown, a reason is missing, or a day cannot be read.
    """
    return read_waivers(waive)


def valid_waivers(waive: Mapping[str, Any], day: date | None = None) -> set[str]:
    """Return the codes of a marker's waivers that still hold."""
    on = day or today()
    return {code for code, one in read_waivers(waive).items() if one.holds(on)}


def examine_fit(  # noqa: PLR0913 - what `fit` was given, and how to judge it
    model: Any,
    X: Any,
    y: Any,
    fit_kwargs: Mapping[str, Any],
    *,
    config: CheckConfig,
    today: date,
    waive: Mapping[str, Any] = EMPTY,
    cache: MutableMapping[Any, Any] | None = None,
    data_key: str | None = None,
    validation_key: str | None = None,
    experiment: str = "",
) -> Verdict:
    """Run the checks of data and model on what a fit was given.

    Parameters
    ----------
    model, X, y, fit_kwargs
        As `fit` takes them; none of them is changed.
    config : CheckConfig
        The settings of the project, or of the experiment.
    today : date
        The day on which waivers must still hold.
    waive : mapping
        The marker's waivers.
    cache : mutable mapping, optional
        Where findings about data are kept, so that a grid pays once.
    data_key : str, optional
        What tells X and y from all other data: their fingerprint. Without it nothing is kept.
    validation_key : str, optional
        The same for the data that the fit validates on.
    experiment : str, optional
        The experiment's name: a waiver that nothing matches is told once for each.

    Raises
    ------
    KeplerUsageError
        If a waiver cannot be read.
    """
    from pytest_kepler.checks import families
    from pytest_kepler.checks.running import Outcome

    waivers = validate_waivers(waive)
    # One view for all: what it has found out of the model is found out once.
    model = families.view_model(model, X, y, fit_kwargs)
    about_data = _data_outcome(model, X, y, fit_kwargs, config, (cache, data_key))
    keys = (data_key, validation_key)
    about_validation = _validation_outcomes(model, X, y, fit_kwargs, config, (cache, keys))
    kept = {code for code, one in waivers.items() if one.holds(today)}
    has_errors = any(
        one.severity == "error" and not one.waiver and one.code not in kept
        for part in (about_data, *about_validation)
        for one in part.findings
    )
    about_model = families.examine_model(
        model, X, y, fit_kwargs, config, has_errors=has_errors, waived=kept, is_seeded=True
    )
    outcome = Outcome.joined([about_data, *about_validation, about_model])
    findings = [waived(finding, waivers, today) for finding in outcome.findings]
    known = {**config.ignored_with, **waivers}
    passed = [code for code in outcome.passed if code not in _ASKED_AGAIN]
    findings += _once(cache, experiment, _unused_waivers(known, passed, today))
    return Verdict(
        findings,
        [one for one in findings if one.severity == "error" and not one.waiver],
        outcome.not_applicable,
        tuple(outcome.passed),
    )


def _once(
    cache: MutableMapping[Any, Any] | None, experiment: str, notes: list[Finding]
) -> list[Finding]:
    """Return the notes that this experiment has not had yet."""
    if cache is None or not experiment:
        return notes
    told: set[str] = cache.setdefault(("told", experiment), set())
    new = [note for note in notes if note.location not in told]
    told.update(note.location for note in new)
    return new


def examine_curves(  # noqa: PLR0913 - the curves, and how to judge them
    history: Mapping[str, Sequence[float]],
    y: Any = None,
    *,
    config: CheckConfig,
    today: date,
    waive: Mapping[str, Any] = EMPTY,
    select: Iterable[str] = (),
) -> Verdict:
    """Run the checks of a training on its curves.

    Parameters
    ----------
    history : mapping of str to sequence of float
        A value an epoch for each name.
    y : array-like, optional
        The target that was trained on.
    config, today, waive
        As in `examine_fit`.
    select : iterable of str, optional
        The codes of the checks to run; all by default.

    Raises
    ------
    KeplerUsageError
        If a waiver cannot be read.
    """
    from pytest_kepler.checks import families

    waivers = validate_waivers(waive)
    outcome = families.examine_training(
        history, y, config.narrowed(select=select, family="training")
    )
    return _after_the_fit(outcome, waivers, today)


def examine_evaluation(
    view: EvaluationView, *, config: CheckConfig, today: date, waive: Mapping[str, Any] = EMPTY
) -> Verdict:
    """Run the checks of what a run evaluates, beside what it has fitted.

    Parameters
    ----------
    view : EvaluationView
        The evaluated rows, and the fits before.
    config, today, waive
        As in `examine_fit`.

    Raises
    ------
    KeplerUsageError
        If a waiver cannot be read.
    """
    from pytest_kepler.checks import families

    waivers = validate_waivers(waive)
    return _after_the_fit(families.examine_evaluation(view, config), waivers, today)


def examine_rows(
    X: Any,
    y: Any,
    *,
    config: CheckConfig,
    today: date,
    waive: Mapping[str, Any] = EMPTY,
) -> Verdict:
    """Check that rows and their target belong together (K115).

    Parameters
    ----------
    X, y
        What a model is about to be evaluated on.
    config, today, waive
        As in `examine_fit`.

    Raises
    ------
    KeplerUsageError
        If a waiver cannot be read.
    """
    from pytest_kepler.checks import families

    waivers = validate_waivers(waive)
    return _after_the_fit(families.examine_rows(X, y, config), waivers, today)


def _after_the_fit(outcome: Outcome, waivers: Mapping[str, Waiver], day: date) -> Verdict:
    findings = [waived(finding, waivers, day) for finding in outcome.findings]
    blocking = [one for one in findings if one.severity == "error" and not one.waiver]
    return Verdict(findings, blocking, outcome.not_applicable)


def _data_outcome(  # noqa: PLR0913, PLR0917 - as above
    model: Any,
    X: Any,
    y: Any,
    fit_kwargs: Mapping[str, Any],
    config: CheckConfig,
    kept: tuple[MutableMapping[Any, Any] | None, str | None],
) -> Outcome:
    from pytest_kepler.checks import families

    extras = _about_data(fit_kwargs)
    cache, data_key = kept
    if cache is None or data_key is None or extras:
        return families.examine_data(X, y, model, config, extras)
    # What a finding says may depend on the kind of model, never on its weights.
    key = (data_key, families.model_key(model), config.of_experiment)
    if key not in cache:
        cache[key] = families.examine_data(X, y, model, config)
    found: Outcome = cache[key]
    return found


def _about_data(fit_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a fit is told of its rows and classes, also where a step or the loss has it."""
    found = {}
    for name, value in fit_kwargs.items():
        plain = name.rpartition("__")[2]  # model__sample_weight is for the step "model"
        if plain in _ABOUT_DATA and value is not None:
            found[plain] = value
    loss = fit_kwargs.get("loss")
    weights = [getattr(loss, name, None) for name in ("weight", "pos_weight")]
    known = [one for one in weights if one is not None and hasattr(one, "shape")]
    if known:
        found.setdefault("class_weight", known[0])
    return found


def _validation_outcomes(  # noqa: PLR0913, PLR0917 - as above
    model: Any,
    X: Any,
    y: Any,
    fit_kwargs: Mapping[str, Any],
    config: CheckConfig,
    kept: tuple[MutableMapping[Any, Any] | None, tuple[str | None, str | None]],
) -> list[Outcome]:
    """Look at what the fit validates on, and at how it was split from what it trains on."""
    from pytest_kepler.checks import families

    given, share = fit_kwargs.get("validation_data"), fit_kwargs.get("validation_split")
    if given is None and not share:
        return []
    cache, (data_key, validation_key) = kept
    about = validation_key if given is not None else share
    key = (data_key, about, families.model_key(model), config.of_experiment)
    if cache is not None and None not in key[:2] and key in cache:
        known: list[Outcome] = cache[key]
        return known
    outcomes = [families.examine_validation(X, y, fit_kwargs, model, config)]
    if isinstance(given, tuple | list) and len(given) >= 2:  # noqa: PLR2004 - features, target
        # Values that are no numbers hide in the validation loss.
        selected = [code for code in _NOT_FINITE if config.is_selected(code)]
        if selected:
            narrowed = config.narrowed(select=selected)
            outcomes.append(families.examine_data(given[0], given[1], model, narrowed))
    where = "validation_data" if given is not None else "validation_split"
    found = [
        replace(one, findings=[_of_validation(finding, where) for finding in one.findings])
        for one in outcomes
    ]
    if cache is not None and None not in key[:2]:
        cache[key] = found
    return found


def _of_validation(finding: Finding, where: str) -> Finding:
    """Return a finding about a test split in the words of what it is here."""
    message, location = (
        re.sub(r"\btest\b", "validation", text) for text in (finding.message, finding.location)
    )
    return replace(finding, message=message, location=f"{where}, {location}")


def _unused_waivers(
    waivers: Mapping[str, Waiver], passed: Iterable[str], day: date
) -> list[Finding]:
    """Return a note for each waiver of a check that ran and found nothing."""
    return [
        Finding(
            code=codes.GENERAL,
            name="unused-waiver",
            severity="note",
            message=f"The waiver of {code} ({waivers[code].text}) met nothing in this run."
            + ("" if waivers[code].holds(day) else " It has ended."),
            location=f"waiver of {code}",
            fix="Take the waiver away, unless another run of the experiment needs it.",
            basis="static",
        )
        for code in passed
        if code in waivers
    ]


# --- How findings read --------------------------------------------------------------------


def report(findings: Iterable[Finding], width: int | None = None) -> str:
    """Return the block that people see: a line and a fix for each finding, errors first.

    Findings of one check with the same fix share it; beyond three, the rest is a count.

    Parameters
    ----------
    findings : iterable of Finding
    width : int, optional
        Lines longer than this are wrapped, with what follows set in.
    """
    from pytest_kepler.checks.running import severity_order

    groups: dict[tuple[str, str, str, str], list[Finding]] = {}
    for one in sorted(findings, key=severity_order):
        groups.setdefault((one.code, one.severity, one.fix, one.waiver), []).append(one)
    blocks = [_block(group) for group in groups.values()]
    lines = (line for block in blocks for line in block)
    if width is not None:
        lines = (part for line in lines for part in _wrapped(line, width))
    return "\n".join(lines)


def _wrapped(line: str, width: int) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    wrapper = textwrap.TextWrapper(
        width, subsequent_indent=f"{indent}    ", break_long_words=False, break_on_hyphens=False
    )
    return wrapper.wrap(line)


def waiving(findings: Iterable[Finding]) -> str:
    """Return the argument of the marker that waives findings."""
    codes_found = dict.fromkeys(one.code for one in findings)
    reasons = ", ".join(f'"{code}": "why"' for code in codes_found)
    return f"waive={{{reasons}}}"


def ways_out(findings: Sequence[Finding]) -> str:
    """Return the line that says how an experiment trains nevertheless, where that is meant."""
    found = dict.fromkeys(one.code for one in findings)
    limits = [f"[tool.kepler.{code}]" for code in found if _limits_of(code)]
    where = f", or another limit: {', '.join(limits)} in pyproject.toml" if limits else ""
    return f"  if it is meant: @pytest.mark.experiment({waiving(findings)}){where}"


def _limits_of(code: str) -> Mapping[str, float]:
    info = codes.CHECKS.get(code)
    return info.limits if info else EMPTY


def _block(group: Sequence[Finding]) -> list[str]:
    told = list(dict.fromkeys((_line(one), *_example(one)) for one in group))
    shown = [line for lines in told[:_FOLDED] for line in lines]
    if len(told) > _FOLDED:
        shown.append(f"  … and {len(told) - _FOLDED:,} more of {group[0].code} {group[0].name}")
    if group[0].waiver:
        shown.append(f"  waived: {group[0].waiver}")
    elif group[0].fix:
        shown.append(f"  fix: {group[0].fix}")
    return shown


def _example(finding: Finding) -> list[str]:
    first, *rest = finding.example or ("",)
    return [f"  for example {first}", *(f"    {line}" for line in rest)] if first else []


def without_rows(text: str) -> str:
    """Return a report without its examples, which show rows of the data."""
    return _EXAMPLE.sub("", text)


def _line(finding: Finding) -> str:
    severity = "waived" if finding.waiver else finding.severity
    where = "" if finding.tells_its_place else f"{finding.location}: "
    return f"{finding.code} {severity}  {where}{finding.message}{_numbers(finding)}"


def _numbers(finding: Finding) -> str:
    """Return in brackets what was measured beside the limit, unless the message has it."""
    if finding.tells_its_measure:
        return ""
    measured = _pairs(finding.measured, leave_out=("rows",))
    threshold = _pairs(finding.threshold)
    if not measured:
        return ""
    return f"  (measured {measured}{f'; limit {threshold}' if threshold else ''})"


def _pairs(values: Mapping[str, Any], leave_out: tuple[str, ...] = ()) -> str:
    kept = {name: value for name, value in values.items() if value is not None}
    return ", ".join(
        f"{name} {_number(value)}"
        for name, value in kept.items()
        if name not in leave_out or not isinstance(value, list)
    )


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


# --- The `sanity` fixture -----------------------------------------------------------------


class Sanity:
    """The catalogue in tests; each method raises one assertion that lists every error.

    With ``raises=False`` a method returns the findings instead. ``select=`` and ``ignore=``
    take codes or prefixes of codes; other keywords are limits, as in `pytest_kepler.checks`.

    Attributes
    ----------
    findings : list of Finding
        Everything that was found so far, errors and warnings.
    """

    def __init__(
        self,
        config: CheckConfig,
        record: Callable[[Finding], None] | None = None,
        *,
        rows: bool = True,
    ) -> None:
        self.findings: list[Finding] = []
        self._config = config
        self._record = record
        self._rows = rows

    def data(self, X: Any, y: Any = None, *, raises: bool = True, **options: Any) -> list[Finding]:
        """Check features and target; see `pytest_kepler.checks.data`.

        Raises
        ------
        AssertionError
            If an error was found and `raises` is true.
        """
        __tracebackhide__ = True
        from pytest_kepler import checks

        found = checks.data(X, y, config=self._config, **options)
        return self._conclude("data", found, raises=raises)

    def split(  # noqa: PLR0913 - the four parts of a split, and keywords
        self,
        X_train: Any,
        X_test: Any,
        y_train: Any = None,
        y_test: Any = None,
        *,
        groups: Any = None,
        time: Any = None,
        raises: bool = True,
        **options: Any,
    ) -> list[Finding]:
        """Check a train and a test split; see `pytest_kepler.checks.split`.

        Raises
        ------
        AssertionError
            If an error was found and `raises` is true.
        """
        __tracebackhide__ = True
        from pytest_kepler import checks

        parts = (X_train, X_test, y_train, y_test)
        found = checks.split(*parts, groups=groups, time=time, config=self._config, **options)
        return self._conclude("split", found, raises=raises)

    def model(
        self, model: Any, X: Any, y: Any = None, *, raises: bool = True, **options: Any
    ) -> list[Finding]:
        """Check a model against its data before training; see `pytest_kepler.checks.model`.

        Raises
        ------
        AssertionError
            If an error was found and `raises` is true.
        """
        __tracebackhide__ = True
        from pytest_kepler import checks

        found = checks.model(model, X, y, config=self._config, **options)
        return self._conclude("model", found, raises=raises)

    def training(
        self, history: Any, y: Any = None, *, raises: bool = True, **options: Any
    ) -> list[Finding]:
        """Check the curves of a training; see `pytest_kepler.checks.training`.

        Raises
        ------
        AssertionError
            If an error was found and `raises` is true.
        """
        __tracebackhide__ = True
        from pytest_kepler import checks

        found = checks.training(history, y, config=self._config, **options)
        return self._conclude("training", found, raises=raises)

    def behaviour(
        self, model: Any, X: Any, y: Any = None, *, raises: bool = True, **options: Any
    ) -> list[Finding]:
        """Check what a trained model answers; see `pytest_kepler.checks.behaviour`.

        Raises
        ------
        AssertionError
            If an error was found and `raises` is true.
        """
        __tracebackhide__ = True
        from pytest_kepler import checks

        found = checks.behaviour(model, X, y, config=self._config, **options)
        return self._conclude("behaviour", found, raises=raises)

    def _conclude(self, what: str, found: list[Finding], *, raises: bool) -> list[Finding]:
        __tracebackhide__ = True
        self.findings += found
        if self._record is not None:
            for one in found:
                self._record(one)
        errors = [one for one in found if one.severity == "error" and not one.waiver]
        if errors and raises:
            count = "an error" if len(errors) == 1 else f"{len(errors)} errors"
            ignored = ", ".join(f'"{code}"' for code in dict.fromkeys(one.code for one in errors))
            told = report(found) if self._rows else without_rows(report(found))
            msg = (
                f"sanity.{what} found {count}:\n{told}\n"
                f"  if it is meant: sanity.{what}(…, ignore=[{ignored}])"
            )
            raise AssertionError(msg)
        if found and raises:
            # Captured by pytest, and shown with -rP or when the test fails.
            print(report(found))  # noqa: T201 - the test's own output
        return found
