"""``--kepler-report`` and its kin: an answer on standard output, and no session."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_kepler import answering
from pytest_kepler.errors import KeplerError, KeplerUsageError
from pytest_kepler.harness.settings import journal_path, setting

if TYPE_CHECKING:
    from pytest_kepler.answering import Look


def answer(config: pytest.Config) -> int:
    """Print what was asked for, and return the exit status."""
    try:
        text = _text(config)
    except KeplerUsageError as error:
        raise pytest.UsageError(str(error)) from None
    except KeplerError as error:
        sys.stderr.write(f"ERROR: {error}\n")
        return int(pytest.ExitCode.USAGE_ERROR)
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    return int(pytest.ExitCode.OK)


def _text(config: pytest.Config) -> str:
    options = config.option
    path = journal_path(config)
    look = _look(config)
    if options.kepler_query is not None:
        return answering.answer_query(path, options.kepler_query, look)
    if options.kepler_where is not None:
        return answering.answer_where(path, options.kepler_where, look)
    if options.kepler_search is not None:
        return answering.answer_search(path, options.kepler_search, look)
    is_whole = setting(config, "format") == "json"
    report = answering.journal_report(path, long=None if is_whole else answering.LONG)
    if options.kepler_markdown:
        target = Path(config.invocation_params.dir) / options.kepler_markdown
        answering.write_text(target, answering.render(report, answering.Look("markdown")))
    return answering.render(report, look)


def _look(config: pytest.Config) -> Look:
    colour = getattr(config.option, "color", "auto")
    return answering.Look(
        setting(config, "format"),
        shutil.get_terminal_size().columns,
        colour == "yes" or (colour == "auto" and sys.stdout.isatty()),
        sys.stdout.encoding or "utf-8",
    )
