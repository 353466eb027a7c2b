"""What README.md and docs/sessions.md show is what a person sees."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from tests.loading import load

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def recorder():
    return load("record", ROOT / "docs" / "record.py")


@pytest.fixture(scope="module")
def recorded(recorder, tmp_path_factory):
    for name in ("tensorflow", "palmerpenguins"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"needs {name}")
    return recorder.record(tmp_path_factory.mktemp("clone"))


def _shown(document: str, name: str) -> str:
    text = (ROOT / document).read_text(encoding="utf-8")
    found = re.search(
        rf"<!-- session: {name} -->\n```text\n(.*?)\n```\n<!-- end -->", text, re.DOTALL
    )
    assert found is not None
    return found.group(1).partition("\n")[2]


@pytest.mark.parametrize(
    "name", ["first", "second", "pixel", "helper", "parameter", "workers", "broken", "report"]
)
def test_the_sessions_are_those_of_today(recorder, recorded, name):
    assert recorder.words(_shown("docs/sessions.md", name)) == recorder.words(recorded[name])


@pytest.mark.parametrize("name", ["first", "second", "broken"])
def test_the_readme_shows_the_same_sessions(name):
    assert _shown("README.md", name) == _shown("docs/sessions.md", name)
