"""Hands the catalogue to the `sanity` fixture, in any session."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_kepler.checks import config as check_config
from pytest_kepler.gate import Sanity
from pytest_kepler.harness.settings import setting
from pytest_kepler.harness.stash import SESSION

if TYPE_CHECKING:
    import pytest

    from pytest_kepler.records import Finding


def make_sanity(request: pytest.FixtureRequest) -> Sanity:
    """Return the object behind the `sanity` fixture.

    Findings are kept in the journal, if there is one, and told to JUnit's file.
    """
    session = request.config.stash.get(SESSION, None)

    def record(finding: Finding) -> None:
        if session is not None:
            session.record_finding(finding)
        tell_junit(request.node, finding)

    # What an assertion says goes into JUnit's file too.
    to_file = bool(request.config.getoption("xmlpath", default=None))
    rows = not to_file or bool(setting(request.config, "rows"))
    return Sanity(check_config.load(request.config.rootpath), record, rows=rows)


def tell_junit(item: pytest.Item, finding: Finding) -> None:
    """Let JUnit's file have a finding as a property of its test, in JSON."""
    if not item.config.getoption("xmlpath", default=None):
        return
    names = ("code", "name", "severity", "message", "location", "fix", "waiver")
    fields = {name: getattr(finding, name) for name in names}
    numbers = {"measured": dict(finding.measured), "threshold": dict(finding.threshold)}
    text = json.dumps({**fields, **numbers}, ensure_ascii=False, default=str)
    item.user_properties.append(("kepler_finding", text))
