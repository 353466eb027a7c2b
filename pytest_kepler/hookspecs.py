"""Hooks that a project, or another plugin, may implement."""

from __future__ import annotations

import pytest


@pytest.hookspec(firstresult=True)
def pytest_kepler_fingerprint(value: object) -> str | None:
    """Return the fingerprint of a value that pytest-kepler cannot read, or reads too finely.

    Return None for a value that is not yours. Two values with the same text count as the same
    content: whatever could change a result must change the text.
    """
