"""Every command is in the reference, and the reference names no other."""

from __future__ import annotations

import re
from pathlib import Path

from pytest_kepler import cli

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")


def test_the_reference_lists_the_commands_that_there_are():
    section = REFERENCE.split("## Command", 1)[1]
    listed = re.findall(r"^\| `kepler (\w+)", section, re.MULTILINE)
    usage = cli._parser().format_help()
    there = re.findall(r"^    (\w+)(?:  |$)", usage, re.MULTILINE)
    assert sorted(listed) == sorted(there)
