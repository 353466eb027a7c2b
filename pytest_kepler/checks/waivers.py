"""Waivers: reasons for which a finding does not count, and the last day that they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.checks import codes
from pytest_kepler.errors import KeplerUsageError

if TYPE_CHECKING:
    from pytest_kepler.records import Finding

_KEYS: Final = {"reason", "until"}


@dataclass(frozen=True, slots=True)
class Waiver:
    """A reason for which a check's findings do not count, and the last day that it holds."""

    reason: str
    until: date | None = None

    @property
    def text(self) -> str:
        """The reason with its last day, as it is recorded."""
        return self.reason if self.until is None else f"{self.reason} (until {self.until})"

    def holds(self, day: date) -> bool:
        """Tell whether it holds on a day."""
        return self.until is None or day <= self.until


def read_waivers(waive: Mapping[str, Any]) -> dict[str, Waiver]:
    """Return waivers by code.

    Parameters
    ----------
    waive : mapping
        ``{"K305": "why"}`` or ``{"K305": {"reason": "why", "until": "2027-06-30"}}``.

    Raises
    ------
    KeplerUsageError
        If a code is unknown, a reason is missing, or a day cannot be read.
    """
    return {codes.find(str(code)).code: _read(str(code), value) for code, value in waive.items()}


def waived(finding: Finding, waivers: Mapping[str, Waiver], day: date) -> Finding:
    """Return a finding with the waiver that holds for it, or with the day that one ended."""
    waiver = waivers.get(finding.code)
    if waiver is not None and waiver.holds(day):
        return replace(finding, waiver=waiver.text)
    if waiver is None or finding.waiver:
        return finding
    return replace(finding, message=f"{finding.message} Its waiver ended on {waiver.until}.")


def today() -> date:
    """Return the day, where the machine is."""
    return datetime.now().astimezone().date()


def _read(code: str, value: Any) -> Waiver:
    given = value if isinstance(value, Mapping) else {"reason": value}
    reason, until = given.get("reason"), given.get("until")
    if unknown := set(given) - _KEYS:
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
