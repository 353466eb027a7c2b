"""A mistake of the user's gets a sentence that names it, what is near, and what to do."""

from __future__ import annotations

import os
import stat

import pytest

BASELINE = """
    [main."test_train.py::test_fit"]
    params = "C=10"

    [main."test_train.py::test_fit".metrics.accuracy]
    value = 0.1
    goal = "max"
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory, monkeypatch):
    """Return the folder that stands in for the system's temporary one."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


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
    home = project.path / ".kepler"
    home.write_text("in the way")
    result = project.run()
    assert result.parseoutcomes()["passed"] == 5
    assert result.ret == 1
    assert "kepler-spool-" in result.stdout.str()


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_runs_that_the_journal_could_not_take_are_told_once_and_brought_back(
    project, temporary, workers
):
    project.standard()
    project.write("kepler-baseline.toml", BASELINE)
    home = project.path / ".kepler"
    home.write_text("in the way")
    result = project.run("-p", "no:cacheprovider", *workers)
    text = result.stdout.str()
    assert result.ret == 1
    assert "vanished" not in text
    (folder,) = temporary.glob("kepler-spool-*")
    assert not (temporary / ".gitignore").exists()
    assert text.count("this session's runs are kept in") == 1
    assert f"`kepler merge {folder}`" in text.replace("\n  ", " ")
    home.unlink()
    assert "4 new run(s), 0 known" in project.kepler("merge", str(folder)).stdout
    assert "0 new run(s), 4 known" in project.kepler("merge", str(folder)).stdout
    assert project.statuses() == ["passed"] * 4
    project.run().assert_outcomes(passed=1, skipped=4)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
@pytest.mark.parametrize("content", ["", "no database"], ids=["empty", "text"])
def test_a_damaged_journal_is_told_once_with_the_command_that_mends_it(project, content, workers):
    project.standard()
    project.write(".kepler/journal.duckdb", content)
    result = project.run(*workers)
    assert result.ret == 1
    assert result.stdout.str().count("is damaged") == 1
    assert "`kepler doctor --repair`" in result.stdout.str()
    assert project.kepler("doctor", "--repair").returncode == 0
    assert project.statuses() == ["passed"] * 4


def test_what_we_say_at_the_end_is_no_wider_than_the_terminal(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    project.standard()
    project.write(".kepler/journal.duckdb", "no database")
    lines = project.run("-p", "no:cacheprovider").outlines
    first = next(i for i, line in enumerate(lines) if line.startswith("kepler: The journal"))
    told = [lines[first]]
    for line in lines[first + 1 :]:
        if not line.startswith("  "):
            break
        told.append(line)
    assert len(told) > 2
    assert all(len(line) <= 80 or " " not in line.strip() for line in told)
    assert any("`kepler doctor --repair`" in line for line in told)
