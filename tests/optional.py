"""Libraries that are no part of dev."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

HAS_TORCH = find_spec("torch") is not None
needs_torch = pytest.mark.skipif(
    not HAS_TORCH, reason="no part of dev, because its wheel is gigabytes on Linux"
)
