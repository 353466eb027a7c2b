"""What pytest keeps about items and reports, where there is no public way to it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

_MESSAGE_LIMIT = 8_000


def place_of(item: pytest.Item) -> tuple[str, int]:
    """Return the file and the line of a test, as pytest tells them of one that is skipped."""
    path, line, _ = item.location
    return os.path.join(item.config.rootpath, path), (line or 0) + 1  # noqa: PTH118  # told often


def short_message(report: pytest.TestReport) -> str:
    """Return the message of a failure, without its traceback."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else report.longreprtext
    return str(text)[:_MESSAGE_LIMIT]


def setup_state(item: pytest.Item) -> Any:
    """Return what knows which collectors and fixtures are set up."""
    return item.session._setupstate  # noqa: SLF001  # no public way


def xdist_interactor(config: pytest.Config) -> Any:
    """Return xdist's object in a worker, which must know the item whose reports come."""
    if not hasattr(config, "workerinput"):
        return None
    for plugin in config.pluginmanager.get_plugins():
        if hasattr(plugin, "item_index") and hasattr(plugin, "sendevent"):
            return plugin
    return None
