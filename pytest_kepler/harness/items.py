"""What pytest keeps about items and reports, where there is no public way to it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kepler.gate import without_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

_MESSAGE_LIMIT = 8_000


Location = tuple[str, int | None, str]


class Locations:
    """Where tests are. Pytest looks for the file and the line anew for each set of parameters."""

    def __init__(self) -> None:
        self._places: dict[object, tuple[str, int | None]] = {}

    def of(self, item: pytest.Item) -> Location:
        """Return the same as ``item.location``."""
        if type(item) is not pytest.Function:  # it may tell its place by its own rules
            return item.location
        place = self._places.get(item.function)
        if place is not None:
            return (*place, item.getmodpath())
        path, line, _ = item.location
        self._places[item.function] = path, line
        return item.location


def place_of(item: pytest.Item, location: Location) -> tuple[str, int]:
    """Return the file and the line of a test, as pytest tells them of one that is skipped."""
    path, line, _ = location
    return os.path.join(item.config.rootpath, path), (line or 0) + 1  # noqa: PTH118  # told often


def short_message(report: pytest.TestReport) -> str:
    """Return the message of a failure for the journal: without its traceback and rows of data."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else report.longreprtext
    return without_rows(str(text))[:_MESSAGE_LIMIT]


def setup_state(item: pytest.Item) -> Any:
    """Return what knows which collectors and fixtures are set up."""
    return item.session._setupstate  # noqa: SLF001  # no public way


class Reporter:
    """Lets a test run, and report, within the turn of another that needs it."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {}

    @contextlib.contextmanager
    def reporting(self, test: pytest.Item, item: pytest.Item) -> Iterator[None]:
        """Be in the turn of `test` for the length of the block, then in that of `item` again."""
        interactor = xdist_interactor(item.config)
        if interactor is None:
            yield
            return
        # It checks each report against the item that it believes in.
        if not self._index:
            self._index = {one.nodeid: n for n, one in enumerate(item.session.items)}
        current, interactor.item_index = interactor.item_index, self._index[test.nodeid]
        try:
            yield
        finally:
            interactor.item_index = current


def xdist_interactor(config: pytest.Config) -> Any:
    """Return xdist's object in a worker, which must know the item whose reports come."""
    if not hasattr(config, "workerinput"):
        return None
    for plugin in config.pluginmanager.get_plugins():
        if hasattr(plugin, "item_index") and hasattr(plugin, "sendevent"):
            return plugin
    return None
