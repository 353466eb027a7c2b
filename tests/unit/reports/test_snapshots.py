"""The reports as they look; set KEPLER_WRITE_SNAPSHOTS=1 to take what is drawn as right."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_kepler.reports.markdown import render_markdown
from pytest_kepler.reports.terminal import render_terminal

SNAPSHOTS = Path(__file__).parent / "snapshots"


def assert_looks_like(name: str, text: str) -> None:
    path = SNAPSHOTS / name
    if os.environ.get("KEPLER_WRITE_SNAPSHOTS"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [80, 140])
def test_a_session_looks_as_it_should(session, width):
    assert_looks_like(f"session_{width}.txt", render_terminal(session, width))


@pytest.mark.parametrize("width", [80, 140])
def test_a_journal_looks_as_it_should(whole_journal, width):
    assert_looks_like(f"journal_{width}.txt", render_terminal(whole_journal, width))


def test_a_session_in_ascii_looks_as_it_should(session):
    assert_looks_like("session_ascii.txt", render_terminal(session, 80, encoding="ascii"))


def test_markdown_looks_as_it_should(session):
    assert_looks_like("session.md", render_markdown(session))
