"""Marks on the wrong test, and tables and metrics that name what is not there: told at once."""

from __future__ import annotations

import pytest

CLAIM = """
    import pytest

    @pytest.mark.claim("rbf is better", better={"kernel": "rbf"}, than={"kernel": "linear"})
    @pytest.mark.parametrize("kernel", ["rbf", "linear"])
    def test_fit(kernel):
        print("TRAINED")
"""
TABLE = """
    [tool.kepler.experiment."test_train.py::{name}"]
    ignore = { K304 = "a gap" }
"""
LOGS = """
    import pytest

    @pytest.mark.experiment(metric="acuracy")
    @pytest.mark.parametrize("seed", [0, 1])
    def test_fit(experiment, seed):
        experiment.log({logged})
"""


def said(result) -> str:
    """Return what was printed as one line, however it was broken."""
    return " ".join((result.stdout.str() + result.stderr.str()).split())


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside an experiment"])
def test_a_claim_on_a_test_that_is_no_experiment_is_a_usage_error(project, workers, beside):
    project.write("test_claim.py", CLAIM)
    if beside:
        project.standard()
    result = project.run("-s", *workers)
    assert result.ret == 4
    assert "@pytest.mark.claim of test_claim.py::test_fit: the test is no experi" in said(result)
    assert "Traceback" not in said(result)
    assert "TRAINED" not in said(result)
    assert not (project.path / ".kepler").exists()


def test_a_claim_of_another_program_is_left_alone_where_there_are_no_experiments(project):
    project.write(
        "test_claim.py",
        """
        import pytest

        @pytest.mark.claim("ticket 12")
        def test_lost():
            pass
        """,
    )
    result = project.run()
    assert result.ret == 0
    assert "kepler:" not in result.stdout.str()
    assert not (project.path / ".kepler").exists()


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_a_table_of_no_experiment_is_told_with_the_nearest(project, workers):
    project.standard()
    project.write("pyproject.toml", TABLE.replace("{name}", "test_fitt"))
    result = project.run(*workers)
    assert result.ret == 0
    assert (
        'kepler: [tool.kepler.experiment."test_train.py::test_fitt"] is no experiment: '
        "did you mean 'test_train.py::test_fit'?"
    ) in said(result)
    assert "is no experiment" in said(project.run("test_train.py::test_fit[1-0]"))


@pytest.mark.parametrize("name", ["test_fit[1-0]", "test_digits_are_finite", "TestFit::test_fit"])
def test_a_table_of_a_case_a_sanity_test_or_a_class_that_is_not_there_is_told(project, name):
    project.standard()
    project.write("pyproject.toml", TABLE.replace("{name}", name))
    assert f'"test_train.py::{name}"] is no experiment' in said(project.run())


def test_a_table_that_fits_or_of_what_was_not_collected_is_no_mistake(project):
    project.standard()
    project.write("test_other.py", "class TestIt:\n    def test_x(self):\n        pass\n")
    names = ["test_fit", "TestMany::test_one"]
    tables = [TABLE.replace("{name}", name) for name in names]
    project.write("test_train.py", (project.path / "test_train.py").read_text() + METHODS)
    project.write(
        "pyproject.toml", "".join(tables) + TABLE.replace("_train.py::{name}", "_g.py::a")
    )
    for arguments in ([], ["test_train.py::test_fit"], ["test_other.py", "test_train.py"]):
        assert "is no experiment" not in said(project.run(*arguments))


METHODS = """

class TestMany:
    @pytest.mark.experiment
    def test_one(self, experiment):
        pass
"""


@pytest.mark.parametrize(
    ("logged", "told"),
    [
        ("accuracy=0.5, loss=0.1", "'acuracy' was never logged; did you mean 'accuracy'?"),
        ("", "'acuracy' was never logged; nothing was"),
    ],
)
def test_a_metric_that_was_never_logged_is_told_with_what_was(project, logged, told):
    project.write("test_train.py", LOGS.replace("{logged}", logged))
    for _ in range(2):  # also where all of it is skipped
        result = project.run()
        assert result.ret == 0
        assert said(result).count(told) == 1


def test_of_runs_that_failed_nobody_says_that_they_logged_nothing(project):
    project.write("test_train.py", LOGS.replace("{logged}", "accuracy=1 / 0"))
    assert "never logged" not in said(project.run())
