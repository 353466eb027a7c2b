"""What documents say is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_kepler.journal import Journal
from pytest_kepler.options import OPTIONS, option_table

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")


def test_the_table_of_options_is_current():
    assert option_table() in REFERENCE


def test_the_columns_of_every_view_are_listed(tmp_path):
    block = REFERENCE.split("<!-- views -->")[1].split("<!-- end -->")[0]
    listed = {
        view: re.findall(r"`(\w+)`", columns)
        for view, columns in re.findall(r"^\| `(\w+)` \| (.*) \|$", block, re.MULTILINE)
    }
    with Journal(tmp_path / "journal.duckdb").reading() as db:
        for view, columns in listed.items():
            rows = db.execute(f"DESCRIBE {view}").fetchall()
            assert [row[0] for row in rows] == columns, view
    assert len(listed) == 12


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_what_sets_something_has_a_setting_and_what_does_something_has_none(option):
    does = {"report", "where", "search", "query", "markdown", "run", "update_baseline", "smoke"}
    assert option.ini is (option.name not in does)


def test_the_readme_has_exactly_two_commands_that_set_themselves_up():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"```sh\n(.*?)\n```", readme, re.DOTALL)
    assert len(commands) == 2
    for command in commands:
        assert "\n" not in command
        assert command.startswith("python3 -m venv .venv && ")
    assert commands[0].endswith("pytest example_project -m experiment")
    assert commands[1].endswith("-m pytest")
