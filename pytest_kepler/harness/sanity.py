"""Hands the catalogue to the `sanity` fixture, in any session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.checks import config as check_config
from pytest_kepler.gate import Sanity
from pytest_kepler.harness.stash import SESSION

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from pytest_kepler.records import Finding


def make_sanity(request: pytest.FixtureRequest) -> Sanity:
    """Return the object behind the `sanity` fixture; findings are kept if there is a journal."""
    session = request.config.stash.get(SESSION, None)
    record: Callable[[Finding], None] | None = None
    if session is not None:
        record = session.record_finding
    return Sanity(check_config.load(request.config.rootpath), record)
