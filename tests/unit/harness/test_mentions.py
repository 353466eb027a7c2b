"""Files that could hold a sanity test are found by text, aliases and inheritance included."""

from __future__ import annotations

import textwrap

import pytest

from pytest_kepler.harness.mentions import Mentions, may_guard

RULES = "import pytest\ngate = pytest.mark.sanity\n"


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")


def is_candidate(folder, name="tests/test_a.py"):
    return Mentions(folder, {b"sanity"}).in_reach_of(folder / name)


@pytest.mark.parametrize(
    "files",
    [
        {"tests/test_a.py": "import pytest\n@pytest.mark.sanity\ndef test_a(): pass\n"},
        {"tests/test_a.py": "from rules import gate\n", "rules.py": RULES},
        {"tests/test_a.py": "from rules import gate\n", "tests/rules.py": RULES},
        {"tests/test_a.py": "import os, rules as r\n", "rules.py": RULES},
        {
            "tests/test_a.py": "from kit import (  # two\n    other,\n    rules,\n)\n",
            "kit/rules.py": RULES,
        },
        {
            "tests/test_a.py": "from kit.rules import gate\n",
            "kit/__init__.py": "",
            "kit/rules.py": RULES,
        },
        {"tests/test_a.py": "from .rules import gate\n", "tests/rules.py": RULES},
        {"tests/test_a.py": "from ..kit import rules\n", "kit/rules.py": RULES},
        {
            "tests/test_a.py": "from more import *\n",
            "more.py": "from rules import *\n",
            "rules.py": RULES,
        },
        {
            "tests/test_a.py": "from a import x\n",
            "a.py": "import b\n",
            "b.py": f"import a\n{RULES}",
        },
        {"tests/test_a.py": "if True:\n    from rules import gate\n", "rules.py": RULES},
        {
            "tests/test_a.py": "def test_a(): pass\n",
            "conftest.py": "def pytest_collection_modifyitems(items):\n    'sanity'\n",
        },
    ],
    ids=str,
)
def test_a_file_in_reach_of_the_mark_is_a_candidate(tmp_path, files):
    write(tmp_path, files)
    assert is_candidate(tmp_path)


@pytest.mark.parametrize(
    "files",
    [
        {"tests/test_a.py": "import os\nimport pytest\nimport pytest_kepler\n"},
        {"tests/test_a.py": "import other\n", "other.py": "x = 1\n", "rules.py": RULES},
        {"tests/test_a.py": "import a\n", "a.py": "import b\n", "b.py": "import a\n"},
        {"tests/test_a.py": "import nothing_of_this_name\nfrom . import nor_this\n"},
        {"tests/test_a.py": "x = 1\n", "conftest.py": "sanity = 1\n"},
        {"tests/test_a.py": "", "elsewhere/conftest.py": "def pytest_x(): 'sanity'\n"},
    ],
    ids=str,
)
def test_a_file_out_of_reach_of_the_mark_is_none(tmp_path, files):
    write(tmp_path, files)
    assert not is_candidate(tmp_path)


def test_a_negative_answer_of_a_cycle_does_not_hide_a_later_find(tmp_path):
    write(
        tmp_path,
        {
            "test_a.py": "import a\n",
            "a.py": "import b\n",
            "b.py": "import a\n",
            "test_b.py": "import b\nimport rules\n",
            "rules.py": RULES,
        },
    )
    mentions = Mentions(tmp_path, {b"sanity"})
    assert not mentions.in_reach_of(tmp_path / "test_a.py")
    assert mentions.in_reach_of(tmp_path / "test_b.py")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def test_a(digits): pass\n", True),
        ("def test_a(digits, tmp_path): pass\n", True),
        ("def test_a(): pass\n", False),
        ("def test_a(other): pass\n", False),
        ("@fixture\ndef net(): pass\ndef test_a(digits, net): pass\n", False),
        ("@fixture\ndef net(): pass\n@sanity(of='digits')\ndef test_a(digits, net): pass\n", True),
        ("@usefixtures('digits')\ndef test_a(): pass\n", True),
        ("class TestA:\n    def test_a(self, digits): pass\n", True),
        ("class TestA(Rules): pass\n", True),
        ("async def test_a(digits): pass\n", True),
        ("def broken(:\n", True),
    ],
)
def test_a_file_that_cannot_be_collected_blocks_what_it_may_guard(tmp_path, text, expected):
    path = tmp_path / "test_a.py"
    path.write_text(text)
    assert may_guard(path, {"digits"}) is expected


def test_a_file_that_cannot_be_read_may_guard_anything(tmp_path):
    assert may_guard(tmp_path / "none.py", ())
    assert is_candidate(tmp_path, "none.py")
