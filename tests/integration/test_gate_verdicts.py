"""A verdict of another worker or an earlier session stands for the same content alone."""

from __future__ import annotations

import pytest

PROJECT = """
    import os
    import time

    import numpy as np
    import pytest
    import pytest_kepler

    LIMIT = 100

    @pytest.fixture(scope="session")
    def numbers():
        print("LOADED")
        return np.arange(10.0)

    @pytest.mark.sanity
    def test_slow(numbers):
        print("CHECKED")
        time.sleep(1.01)
        with open("limit.txt") as file:
            assert numbers.max() < min(LIMIT, float(file.read()))

    @pytest.mark.experiment(metric="score")
    @pytest.mark.parametrize("c", [1, 2])
    def test_train(experiment, numbers, c):
        print("TRAINED")
        experiment.log(score=c)
"""


@pytest.fixture
def slow(project):
    project.write("limit.txt", "50")
    project.write("test_it.py", PROJECT)
    return project


def test_a_slow_gate_that_passed_on_the_same_is_not_run_again_and_says_so(slow):
    first = slow.run("-s").stdout.str()
    assert (first.count("CHECKED"), first.count("TRAINED")) == (1, 2)
    second = slow.run("-s", "-v", "-rs")
    text = second.stdout.str()
    assert "CHECKED" not in text
    assert "REUSED (sanity test passed" in text
    assert "on the same code and data, which took" in text
    assert "gates        passed · 0 ms · 1 by an earlier session · saved 1" in text
    assert second.ret == 0
    assert "REUSED" in slow.run("-v", "-k", "test_train").stdout.str()


def test_a_verdict_that_was_taken_over_is_taken_over_again(slow):
    slow.run()
    slow.run()
    assert "REUSED" in slow.run("-v").stdout.str()
    rows = slow.query("select status, count(*) as n from runs group by 1 order by 1")
    assert rows == [{"status": "duplicate", "n": 4}, {"status": "passed", "n": 2}]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("test_it.py", "np.arange(10.0)", "np.arange(11.0)"),
        ("test_it.py", "assert numbers.max() < min(", "assert numbers.min() < min("),
        ("test_it.py", "LIMIT = 100", "LIMIT = 99"),
        ("limit.txt", "50", "49"),
    ],
    ids=["data", "code", "constant", "file"],
)
def test_any_change_of_what_a_gate_rests_on_runs_it(slow, file, old, new):
    slow.run()
    slow.replace(file, old, new)
    text = slow.run("-s").stdout.str()
    assert "CHECKED" in text
    assert "REUSED" not in text


def test_other_limits_of_the_checks_run_the_gate(slow):
    slow.run()
    slow.write("pyproject.toml", '[tool.kepler]\nignore = ["K302"]\n')
    assert "CHECKED" in slow.run("-s").stdout.str()


def test_running_duplicates_again_runs_their_gates_again(slow):
    slow.run()
    text = slow.run("-s", "--kepler-duplicates=run").stdout.str()
    assert (text.count("CHECKED"), text.count("TRAINED")) == (1, 2)


def test_a_gate_that_failed_since_on_the_same_content_is_run(slow):
    slow.run()
    slow.write("limit.txt", "5")
    assert slow.run().ret == 1
    slow.write("limit.txt", "50")
    assert "CHECKED" in slow.run("-s").stdout.str()


def test_a_quick_gate_is_always_run(project):
    project.standard().run()
    assert "REUSED" not in project.run("-v").stdout.str()
    rows = project.query("select 1 as one from runs")  # the journal is whole
    assert len(rows) == 8


def test_with_declared_data_nothing_is_loaded_for_a_gate_that_passed(slow):
    slow.write("data.csv", "1\n")
    declared = "@pytest_kepler.dataset(files=['data.csv'])\ndef numbers"
    slow.replace("test_it.py", "def numbers", declared)
    assert "LOADED" in slow.run("-s").stdout.str()
    second = slow.run("-s").stdout.str()
    assert "LOADED" not in second
    assert "3 skipped" in second


def test_under_xdist_a_stored_verdict_serves_every_worker(slow):
    pytest.importorskip("xdist")
    slow.run()
    result = slow.run("-n", "2", "-v")
    text = result.stdout.str()
    assert text.count("REUSED") == 1
    assert result.ret == 0
    assert text.count("DUPLICATE") == 2


def test_a_worker_with_other_data_does_not_train_on_it(project):
    pytest.importorskip("xdist")
    project.write(
        "conftest.py",
        """
        import os
        import time

        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtestloop():
            if os.environ.get("PYTEST_XDIST_WORKER") == "gw1":
                time.sleep(1)  # the other worker takes the gate
        """,
    )
    project.write(
        "test_it.py",
        """
        import os
        import time

        import numpy as np
        import pytest

        @pytest.fixture(scope="session")
        def numbers():
            return np.arange(10.0) + len(os.environ["PYTEST_XDIST_WORKER"][:3]) * int(
                os.environ["PYTEST_XDIST_WORKER"][2:]
            )

        @pytest.mark.sanity
        def test_gate(numbers):
            assert numbers.min() < 1

        @pytest.mark.experiment(metric="score")
        @pytest.mark.parametrize("c", range(8))
        def test_train(experiment, numbers, c):
            time.sleep(0.3)
            experiment.log(score=float(numbers.min()))
        """,
    )
    result = project.run("-n", "2")
    rows = project.query("select distinct status, json_extract(metrics, '$.score') as s from runs")
    assert result.ret == 1
    trained = [row for row in rows if row["status"] == "passed"]
    assert [row["s"] for row in trained] == [0.0]  # what no gate has passed was not trained on
    assert any(row["status"] == "blocked" for row in rows)
    assert "the fixture 'numbers' gave other data" in " ".join(result.stdout.str().split())


def test_a_shared_fixture_is_set_up_once_for_a_look_and_for_the_run(slow):
    slow.run()
    slow.replace("limit.txt", "50", "49")
    assert slow.run("-s").stdout.str().count("LOADED") == 1


def test_what_was_changed_in_place_is_checked_again_before_the_next_run(project):
    project.standard()
    project.replace("test_train.py", 'print("TRAINED", C, seed)', "X *= 2")
    project.replace("test_train.py", "assert X.shape == (60, 4)", "assert abs(X).max() < 4")
    result = project.run("-v")
    text = result.stdout.str()
    assert "changed the shared fixture 'digits' in place" in text
    assert text.count("test_digits_are_finite PASSED") == 1
    assert text.count("test_digits_are_finite FAILED") == 1
    assert text.count("BLOCKED") == 3
    assert result.ret == 1


def test_a_gate_that_is_slow_by_its_fixtures_alone_is_run_where_they_are_set_up(slow):
    slow.replace("test_it.py", "time.sleep(1.01)", "pass")
    slow.replace("test_it.py", 'print("LOADED")', 'print("LOADED"); time.sleep(1.01)')
    slow.run()
    text = slow.run("-s").stdout.str()
    assert (text.count("LOADED"), text.count("CHECKED")) == (1, 1)
