"""Experiments as tests: sanity checks first, nothing trained twice, everything in a journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_kepler import checks
    from pytest_kepler.declared import dataset
    from pytest_kepler.identity.fingerprint import fingerprint
    from pytest_kepler.journal import open_journal
    from pytest_kepler.records import Finding

__version__ = "0.1.0"
__all__ = ["Finding", "__version__", "checks", "dataset", "fingerprint", "open_journal"]

_HOMES = {
    "Finding": "pytest_kepler.records",
    "dataset": "pytest_kepler.declared",
    "fingerprint": "pytest_kepler.identity.fingerprint",
    "open_journal": "pytest_kepler.journal",
}


def __getattr__(name: str) -> Any:
    # Imported when used: a session without experiments must not pay for any of it.
    import importlib

    if name == "checks":
        return importlib.import_module("pytest_kepler.checks")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    msg = f"module 'pytest_kepler' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
