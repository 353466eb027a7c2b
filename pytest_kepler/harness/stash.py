"""Where the plugin's door and the harness leave things for each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_kepler.harness.explaining import Explainer
    from pytest_kepler.harness.session import SessionPlugin

CAPTURED: pytest.StashKey[dict[pytest.Collector, list[Any]]] = pytest.StashKey()
SESSION: pytest.StashKey[SessionPlugin] = pytest.StashKey()
EXPLAINER: pytest.StashKey[Explainer] = pytest.StashKey()
