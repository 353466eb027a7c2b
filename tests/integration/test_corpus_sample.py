"""A fixed dozen of the corpus of edits; ``python tests/corpus/run.py`` runs all of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.loading import load

CORPUS = Path(__file__).parents[1] / "corpus" / "run.py"

#: Without pandas and scikit-learn, which take a second to import.
LIGHT = ("--ignore=test_frames.py", "--ignore=test_models.py")

SAMPLE = [
    "a comment",
    "broken over lines",
    "three levels down",
    "the second lambda of a line",
    "a decorator's body",
    "a base's method",
    "a file's content",
    "a renamed file",
    "setup_module",
    "an array's element",
    "an array's layout",
    "the input of a fixture of none",
]


@pytest.fixture(scope="module")
def corpus():
    return load("kepler_corpus", CORPUS)


@pytest.fixture(scope="module")
def laboratory(corpus, tmp_path_factory):
    """The laboratory, run once: only what needs neither pandas nor scikit-learn."""
    base = tmp_path_factory.mktemp("corpus") / "lab"
    corpus.make(base)
    first, output = corpus.run(base, corpus.Edit("before", arguments=LIGHT))
    assert first, output
    assert set(first.values()) == {"ran"}, output
    return base


@pytest.mark.parametrize("name", SAMPLE)
def test_an_edit_runs_again_what_it_touches_and_nothing_else(corpus, laboratory, name, tmp_path):
    edit = next(edit for edit in corpus.EDITS if edit.name == name)
    outcome = corpus.judge(laboratory, replace(edit, arguments=edit.arguments or LIGHT), tmp_path)
    assert not outcome.trouble
    assert (outcome.wrong, outcome.needless) == ((), ())
