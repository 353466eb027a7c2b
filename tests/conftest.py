"""Every warning in the project's own tests is an error; each exception has its reason."""

from __future__ import annotations

import compileall
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

# pytester forgets the modules that a test imported; these cannot be imported twice.
import duckdb  # noqa: F401
import numpy as np  # noqa: F401
from hypothesis import settings

import pytest_kepler

if TYPE_CHECKING:
    import pytest

# A project's file that a test edits twice within a second would be read from its old bytecode. Ours
# is made here, once: thousands of sessions read it.
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
sys.dont_write_bytecode = True
compileall.compile_dir(Path(pytest_kepler.__file__).parent, quiet=1)

# In CI the same examples each time: what chance finds is for the desk, where it can be mended.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
if "CI" in os.environ:
    settings.load_profile("ci")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "error")
    # NumPy is reloaded when an inner pytest is run in this process: harmless here.
    config.addinivalue_line("filterwarnings", "ignore:The NumPy module was reloaded:UserWarning")
