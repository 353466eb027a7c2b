"""A live line while a model trains, drawn beside pytest's own output and erased again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pytest_kepler.reports.terminal import progress_line

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from pytest_kepler.tracking.context import Progress

_SECONDS_BETWEEN = 0.25
_LEAST_WIDTH = 20
_SAVE, _RESTORE, _ERASE = "\x1b7", "\x1b8", "\x1b[K"


def reporter_for(item: pytest.Item) -> Callable[[Progress], None] | None:
    """Return what to call after each epoch, or None where no person watches a terminal."""
    config = item.config
    terminal: Any = config.pluginmanager.get_plugin("terminalreporter")
    is_watched = terminal is not None and terminal.isatty and not hasattr(config, "workerinput")
    if not is_watched or config.get_verbosity() < 0:
        return None
    return _Line(item, terminal)


class _Line:
    """Text after the cursor, clipped to the rest of the line, the cursor put back before it."""

    def __init__(self, item: pytest.Item, terminal: Any) -> None:
        self._name = item.name
        self._terminal = terminal
        self._capture: Any = item.config.pluginmanager.get_plugin("capturemanager")
        self._started = time.monotonic()
        self._drawn_at = 0.0
        item.addfinalizer(self.erase)

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._drawn_at < _SECONDS_BETWEEN:
            return
        self._drawn_at = now
        writer = self._terminal._tw  # noqa: SLF001  # the only way to its column
        width = writer.fullwidth - writer.width_of_current_line - 2
        if width >= _LEAST_WIDTH:
            text = progress_line(
                self._name,
                progress.done,
                progress.total,
                progress.metrics,
                seconds=now - self._started,
                width=width,
            )
            self._write(f"{_SAVE} {text}{_ERASE}{_RESTORE}")

    def erase(self) -> None:
        """Leave the line as pytest left it."""
        if self._drawn_at:
            self._drawn_at = 0.0
            self._write(f"{_SAVE}{_ERASE}{_RESTORE}")

    def _write(self, text: str) -> None:
        if self._capture is None:
            self._put(text)
            return
        with self._capture.global_and_fixture_disabled():
            self._put(text)

    def _put(self, text: str) -> None:
        # Past pytest's writer: it would count these characters as part of the line.
        file = self._terminal._tw._file  # noqa: SLF001
        file.write(text)
        file.flush()
