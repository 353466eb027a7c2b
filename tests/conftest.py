"""Every warning in the project's own tests is an error; each exception has its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

# pytester forgets the modules that a test imported; these cannot be imported twice.
import duckdb  # noqa: F401
import numpy as np  # noqa: F401

if TYPE_CHECKING:
    import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "error")
    # NumPy is reloaded when an inner pytest is run in this process: harmless here.
    config.addinivalue_line("filterwarnings", "ignore:The NumPy module was reloaded:UserWarning")
