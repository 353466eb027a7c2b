"""The gate: findings about what a fit was given, what of them blocks, and how they read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.checks import codes
from pytest_kepler.errors import KeplerUsageError
from pytest_kepler.records import EMPTY, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping, Sequence

    from pytest_kepler.checks.config import CheckConfig
    from pytest_kepler.checks.running import Outcome

#: Arguments of a fit that say more about its rows or its classes.
_ABOUT_DATA: Final = ("sample_weight", "groups", "class_weight")
#: What the data that a fit validates on is looked at for.
_NOT_FINITE: Final = ("K304", "K305")
_FOLDED: Final = 3
_WAIVER_KEYS: Final = {"reason", "until"}


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
    """

    findings: list[Finding] = field(default_factory=list)
    blocking: list[Finding] = field(default_factory=list)
    not_applicable: Mapping[str, str] = EMPTY


@dataclass(frozen=True, slots=True)
class Waiver:
    """A reason for which a check's findings do not count, and the last day that it holds."""

    reason: str
    until: date | None = None

    @property
    def text(self) -> str:
        """The reason with its last day, as it is recorded."""
        return self.reason if self.until is None else f"{self.reason} (until {self.until})"


def validate_waivers(waive: Mapping[str, Any]) -> dict[str, Waiver]:
    """Return the waivers of a marker.

    Parameters
    ----------
    waive : mapping
        ``{"K305": "why"}`` or ``{"K305": {"reason": "why", "until": "2027-06-30"}}``.

    Raises
    ------
    KeplerUsageError
        If a code is unknown, a reason is missing, or a day cannot be read.
    """
    return {codes.find(str(code)).code: _waiver(str(code), value) for code, value in waive.items()}


def valid_waivers(waive: Mapping[str, Any], today: date | None = None) -> set[str]:
    """Return the codes of a marker's waivers that still hold."""
    day = today or datetime.now().astimezone().date()
    waivers = validate_waivers(waive)
    return {code for code, one in waivers.items() if one.until is None or one.until >= day}


def _waiver(code: str, value: Any) -> Waiver:
    given = value if isinstance(value, Mapping) else {"reason": value}
    reason, until = given.get("reason"), given.get("until")
    if unknown := set(given) - _WAIVER_KEYS:
        msg = f"The waiver of {code} has {min(map(str, unknown))!r}: it takes reason, until."
        raise KeplerUsageError(msg)
    if not isinstance(reason, str) or not reason.strip():
        msg = f'The waiver of {code} needs a reason: waive={{"{code}": "why it does not count"}}.'
        raise KeplerUsageError(msg)
    return Waiver(reason.strip(), None if until is None else _day(code, until))


def _day(code: str, value: Any) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        msg = f'The waiver of {code} ends on {value!r}: write a day as "2027-06-30".'
        raise KeplerUsageError(msg) from None


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

    Raises
    ------
    KeplerUsageError
        If a waiver cannot be read.
    """
    from pytest_kepler.checks import families
    from pytest_kepler.checks.running import Outcome

    waivers = validate_waivers(waive)
    about_data = _data_outcome(model, X, y, fit_kwargs, config, (cache, data_key))
    keys = (data_key, validation_key)
    about_validation = _validation_outcomes(model, X, y, fit_kwargs, config, (cache, keys))
    waived = valid_waivers(waive, today)
    has_errors = any(
        one.severity == "error" and not one.waiver and one.code not in waived
        for part in (about_data, *about_validation)
        for one in part.findings
    )
    about_model = families.examine_model(
        model, X, y, fit_kwargs, config, has_errors=has_errors, waived=waived
    )
    outcome = Outcome.joined([about_data, *about_validation, about_model])
    findings = [_waived(finding, waivers, today) for finding in outcome.findings]
    findings += _unused_waivers(waivers, outcome)
    return Verdict(
        findings,
        [one for one in findings if one.severity == "error" and not one.waiver],
        outcome.not_applicable,
    )


def _data_outcome(  # noqa: PLR0913, PLR0917 - as above
    model: Any,
    X: Any,
    y: Any,
    fit_kwargs: Mapping[str, Any],
    config: CheckConfig,
    kept: tuple[MutableMapping[Any, Any] | None, str | None],
) -> Outcome:
    from pytest_kepler.checks import families

    extras = {name: fit_kwargs[name] for name in _ABOUT_DATA if name in fit_kwargs}
    cache, data_key = kept
    if cache is None or data_key is None or extras:
        return families.examine_data(X, y, model, config, extras)
    # What a finding says may depend on the kind of model, never on its weights.
    key = (data_key, families.model_key(model))
    if key not in cache:
        cache[key] = families.examine_data(X, y, model, config)
    found: Outcome = cache[key]
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
    key = (data_key, validation_key if given is not None else share, families.model_key(model))
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


def _waived(finding: Finding, waivers: Mapping[str, Waiver], today: date) -> Finding:
    waiver = waivers.get(finding.code)
    if waiver is None:
        return finding
    if waiver.until is not None and waiver.until < today:
        return replace(finding, message=f"{finding.message} Its waiver ended on {waiver.until}.")
    return replace(finding, waiver=waiver.text)


def _unused_waivers(waivers: Mapping[str, Waiver], outcome: Outcome) -> list[Finding]:
    """Return a note for each waiver of a check that ran and found nothing."""
    return [
        Finding(
            code=codes.GENERAL,
            name="unused-waiver",
            severity="note",
            message=f"{code} is waived ({waiver.text}), but it found nothing.",
            location="waive= of the experiment",
            fix="Take the waiver away.",
            basis="static",
        )
        for code, waiver in waivers.items()
        if code in outcome.passed
    ]


# --- How findings read --------------------------------------------------------------------


def report(findings: Iterable[Finding]) -> str:
    """Return the block that people see: a line and a fix for each finding, errors first.

    Findings of one check with the same fix share it; beyond three, the rest is a count.
    """
    from pytest_kepler.checks.running import severity_order

    groups: dict[tuple[str, str, str, str], list[Finding]] = {}
    for one in sorted(findings, key=severity_order):
        groups.setdefault((one.code, one.severity, one.fix, one.waiver), []).append(one)
    blocks = [_block(group) for group in groups.values()]
    return "\n".join(line for block in blocks for line in block)


def _block(group: Sequence[Finding]) -> list[str]:
    lines = list(dict.fromkeys(_line(one) for one in group))
    shown = lines[:_FOLDED]
    if len(lines) > _FOLDED:
        shown.append(f"  … and {len(lines) - _FOLDED:,} more of {group[0].code} {group[0].name}")
    if group[0].waiver:
        shown.append(f"  waived: {group[0].waiver}")
    elif group[0].fix:
        shown.append(f"  fix: {group[0].fix}")
    return shown


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
        self, config: CheckConfig, record: Callable[[Finding], None] | None = None
    ) -> None:
        self.findings: list[Finding] = []
        self._config = config
        self._record = record

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
            msg = f"sanity.{what} found {count}:\n{report(found)}"
            raise AssertionError(msg)
        if found and raises:
            # Captured by pytest, and shown with -rP or when the test fails.
            print(report(found))  # noqa: T201 - the test's own output
        return found
