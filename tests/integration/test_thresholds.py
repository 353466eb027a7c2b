"""`at_least` and `at_most`: the best configuration's mean, judged once, an entry of its own."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

TRAINING = """
    import pytest

    @pytest.mark.experiment(metric="accuracy", at_least=0.9)
    @pytest.mark.parametrize("seed", [0, 1])
    @pytest.mark.parametrize("depth", [1, 2])
    def test_fit(experiment, depth, seed):
        experiment.log(accuracy=0.8 + depth / 100 + 0.2 * seed)
"""


@pytest.fixture
def grid(project):
    project.write("test_grid.py", TRAINING)
    return project


def test_the_mean_over_seeds_decides_and_not_one_lucky_seed(grid):
    result = grid.run()
    assert result.ret == 0, result.stdout.str()
    grid.replace("test_grid.py", "at_least=0.9", "at_least=0.95")
    missed = grid.run()
    missed.assert_outcomes(skipped=4, failed=1)
    missed.stdout.fnmatch_lines(["FAILED *::at_least*accuracy*"])
    assert missed.ret == 1


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_miss_stands_in_junit_and_never_in_last_failed(grid, workers):
    grid.replace("test_grid.py", "at_least=0.9", "at_least=0.95")
    result = grid.run("--junitxml=report.xml", *workers)
    assert result.ret == 1
    suite = ET.parse(grid.path / "report.xml").getroot()[0]  # noqa: S314  # pytest wrote it
    assert suite.attrib["failures"] == "1"
    assert suite.attrib["tests"] == "5"
    names = [case.attrib["name"] for case in suite if case.find("failure") is not None]
    assert names == ["at_least[accuracy]"]
    again = grid.run("--lf", "--cache-show", "cache/lastfailed")
    assert "at_least" not in again.stdout.str()


def test_a_part_of_the_grid_is_reported_without_failing(grid):
    grid.replace("test_grid.py", "at_least=0.9", "at_least=0.95")
    for arguments in [("-k", "1-0"), ("test_grid.py::test_fit[1-0]",)]:
        result = grid.run(*arguments)
        assert result.ret == 0, result.stdout.str()
        assert re.search("part", result.stdout.str())


def test_a_metric_that_was_never_logged_misses_and_the_nearest_is_named(grid):
    grid.replace(
        "test_grid.py", "at_least=0.9", "at_least={'acuracy': 0.5}, goal={'acuracy': 'max'}"
    )
    result = grid.run()
    assert result.ret == 1
    text = result.stdout.str()
    assert "at_least" in text
    assert "'acuracy'" in text
    assert "accuracy" in text


def test_nan_misses(grid):
    grid.replace("test_grid.py", "0.8 + depth / 100 + 0.2 * seed", "float('nan')")
    result = grid.run()
    assert result.ret == 1
    assert grid.query("select distinct value from metrics") == [{"value": "NaN"}]


def test_a_plain_assert_in_the_body_judges_every_run(grid):
    grid.replace("test_grid.py", "experiment.log", "assert seed == 0\n    experiment.log")
    grid.run().assert_outcomes(passed=2, failed=3)


def test_a_loss_is_minimised_without_being_told(project):
    project.write(
        "test_loss.py",
        """
        import pytest

        @pytest.mark.experiment(metric="val_loss", at_most=0.3)
        @pytest.mark.parametrize("lr", [1, 2])
        def test_fit(experiment, lr):
            experiment.log(val_loss=lr / 4)
        """,
    )
    assert project.run().ret == 0
    project.replace("test_loss.py", "at_most=0.3", "at_most=0.2")
    assert project.run().ret == 1


def test_bounds_that_leave_no_room_are_refused(grid):
    grid.replace("test_grid.py", "at_least=0.9", "at_least=0.9, at_most=0.5")
    result = grid.run()
    assert result.ret == 4
    assert "no 'accuracy' is at least 0.9 and at most 0.5" in result.stderr.str()


def test_a_miss_is_counted_among_what_ran(grid):
    grid.replace("test_grid.py", "at_least=0.9", "at_least=0.95")
    text = grid.run().stdout.str()
    assert "[100%]" in text
    assert "[125%]" not in text
