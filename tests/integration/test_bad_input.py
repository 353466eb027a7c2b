"""A mistake of the user's gets a sentence that names it, what is near, and what to do."""

from __future__ import annotations

import os
import stat

import pytest


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("at_least=0.5", "at_lest=0.5", ["no argument 'at_lest'", "'at_least'"]),
        ("at_least=0.5", "at_least='high'", ["at_least must be a number", "'high'"]),
        ("at_least=0.5", "goal='maximum'", ["goal must be 'max' or 'min'", "'maximum'"]),
        ("at_least=0.5", "at_least={'zeal': 1}", ["which way it is better", "zeal"]),
        ("metric='accuracy', at_least=0.5", "at_least=0.5", ["headline metric", "none is named"]),
        ("metric='accuracy', at_least=0.5", "'accuracy'", ["named arguments only", "'accuracy'"]),
        ("at_least=0.5", "needs=['test_digits_are_finit']", ["needs", "'test_digits_are_finite'"]),
        ("at_least=0.5", "waive={'K999': 'no'}", ["K999"]),
        ("at_least=0.5", "waive={'K304': ''}", ["K304", "reason"]),
    ],
)
@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_a_wrong_marker_is_a_usage_error_and_nothing_runs(project, old, new, expected, workers):
    project.standard()
    project.replace("test_train.py", '"', "'")
    project.replace("test_train.py", old, new)
    result = project.run("-s", *workers)
    text = result.stdout.str() + result.stderr.str()
    assert result.ret == 4, text
    for words in expected:
        assert words in text
    assert "Traceback" not in text
    assert "TRAINED" not in text
    assert not (project.path / ".kepler").exists()


def test_an_unknown_option_value_names_the_choices(project):
    project.standard()
    result = project.run("--kepler-duplicates=maybe")
    assert result.ret == 4
    assert "skip" in result.stderr.str()


def test_an_unknown_ini_value_names_the_nearest(project):
    project.standard()
    project.write("pytest.ini", "[pytest]\nkepler_duplicates = skipp\n")
    result = project.run()
    assert result.ret == 4
    assert "did you mean 'skip'?" in result.stdout.str() + result.stderr.str()


def test_a_unittest_method_is_refused(project):
    project.write(
        "test_case.py",
        """
        import unittest
        import pytest

        class TestIt(unittest.TestCase):
            @pytest.mark.experiment
            def test_fit(self):
                pass
        """,
    )
    result = project.run()
    assert result.ret == 4
    assert "unittest.TestCase" in result.stdout.str() + result.stderr.str()


def test_an_overridden_fixture_is_refused(project):
    project.standard()
    project.write(
        "conftest.py",
        (project.path / "conftest.py").read_text()
        + "\n@pytest.fixture\ndef experiment():\n    return None\n",
    )
    result = project.run()
    assert result.ret == 4
    assert "overridden" in result.stdout.str() + result.stderr.str()


def test_the_fixture_without_the_mark_says_so(project):
    project.write("test_plain.py", "def test_plain(experiment):\n    pass\n")
    result = project.run()
    assert result.ret == 1
    assert "is not marked" in result.stdout.str()
    assert not (project.path / ".kepler").exists()


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("experiment.log(accuracy='text')", "metric 'accuracy' must be a number, got 'text'"),
        ("experiment.log({'a': {'b': []}})", "metric 'a/b' must be a number"),
    ],
)
def test_a_value_that_is_no_number_is_refused_by_name(project, call, expected):
    project.write(
        "test_log.py",
        f"""
        import pytest

        @pytest.mark.experiment
        def test_log(experiment):
            {call}
        """,
    )
    result = project.run()
    assert expected in result.stdout.str()
    assert project.statuses() == ["error"]


def test_evaluating_twice_under_one_prefix_says_so(project):
    project.write(
        "test_twice.py",
        """
        import numpy as np
        import pytest
        from sklearn.linear_model import LogisticRegression

        @pytest.mark.experiment
        def test_twice(experiment):
            X = np.random.default_rng(0).normal(size=(40, 2))
            y = (X[:, 0] > 0).astype(int)
            model = experiment.fit(LogisticRegression(), X, y)
            experiment.evaluate(model, X, y)
            experiment.evaluate(model, X, y)
        """,
    )
    result = project.run()
    assert result.ret == 1
    assert "prefix" in result.stdout.str()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_journal_cut_in_half_is_not_written_into_and_the_spool_keeps_the_runs(project, share):
    project.standard()
    project.run()
    path = project.path / ".kepler" / "journal.duckdb"
    cut = path.read_bytes()[: int(path.stat().st_size * share)]
    path.write_bytes(cut)
    project.replace("helpers.py", "FACTOR = 0.05", "FACTOR = 0.06")
    result = project.run()
    assert result.parseoutcomes()["passed"] == 5
    assert result.ret == 1
    text = result.stdout.str()
    assert "journal.duckdb" in text
    assert "Traceback" not in text
    assert path.read_bytes() == cut
    path.unlink()
    assert project.statuses() == ["passed"] * 4


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_keeps_the_verdicts(project):
    project.standard()
    project.path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        result = project.run("-p", "no:cacheprovider")
    finally:
        project.path.chmod(stat.S_IRWXU)
    assert result.parseoutcomes()["passed"] == 5
    assert result.ret == 1


def test_a_file_in_the_place_of_the_folder_keeps_the_verdicts_and_names_where_the_runs_are(project):
    project.standard()
    (project.path / ".kepler").write_text("in the way")
    result = project.run()
    assert result.parseoutcomes()["passed"] == 5
    assert result.ret == 1
    assert "kepler-spool-" in result.stdout.str()
