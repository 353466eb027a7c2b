"""The main job: train once, then skip; train again exactly what changed."""

from __future__ import annotations

import json


def test_the_first_run_trains_and_the_second_does_not(project):
    project.standard()
    first = project.run("-s", "-m", "experiment")
    first.assert_outcomes(passed=5)
    assert first.stdout.str().count("TRAINED") == 4
    second = project.run("-s", "-m", "experiment")
    second.assert_outcomes(passed=1, skipped=4)
    assert "TRAINED" not in second.stdout.str()
    assert second.ret == 0
    assert project.statuses() == ["passed"] * 4 + ["duplicate"] * 4


def test_a_duplicate_names_the_run_that_it_repeats(project):
    project.standard()
    project.run()
    second = project.run("-v")
    second.stdout.re_match_lines(
        [r".*test_fit\[1-0\] DUPLICATE of passed run [0-9a-f]{8} \(.*accuracy 0\.505.*"]
    )
    rows = project.query("select status, duplicate_of, run_id from runs order by started_at")
    executed = {row["run_id"] for row in rows if row["status"] == "passed"}
    repeated = {row["duplicate_of"] for row in rows if row["status"] == "duplicate"}
    assert repeated == executed
    assert project.query("select count(*) as n from metrics") == [{"n": 4}]


def test_a_third_run_names_the_executed_run_and_not_the_duplicate(project):
    project.standard()
    for _ in range(3):
        project.run()
    rows = project.query("select distinct duplicate_of as id from runs where status = 'duplicate'")
    executed = project.query("select run_id as id from runs where status = 'passed'")
    assert sorted(row["id"] for row in rows) == sorted(row["id"] for row in executed)


def test_a_change_of_the_data_runs_everything_again_and_says_so(project):
    project.standard()
    project.run()
    project.replace("conftest.py", "return X,", "X[3, 2] += 1e-9\n    return X,")
    result = project.run("-s")
    assert result.stdout.str().count("TRAINED") == 4
    reasons = {row["why_new"] for row in project.query("select why_new from runs")} - {"first run"}
    assert len(reasons) == 4
    assert all(reason.startswith("data changed since run") for reason in reasons)
    assert all(reason.endswith("(digits)") for reason in reasons)


def test_a_change_of_a_helper_runs_everything_again_and_names_it(project):
    project.standard()
    project.run()
    project.replace("helpers.py", "0.5 + FACTOR", "0.6 + FACTOR")
    result = project.run("-s")
    assert result.stdout.str().count("TRAINED") == 4
    newest = project.query("select why_new from runs order by started_at desc limit 1")[0]
    assert "code changed since run" in newest["why_new"]
    assert "score" in newest["why_new"]


def test_a_change_of_a_constant_that_a_helper_reads_runs_everything_again(project):
    project.standard()
    project.run()
    project.replace("helpers.py", "FACTOR = 0.05", "FACTOR = 0.06")
    assert project.run("-s").stdout.str().count("TRAINED") == 4


def test_a_comment_a_docstring_and_a_threshold_run_nothing_again(project):
    project.standard()
    project.run()
    project.replace("helpers.py", "def score(C):\n", 'def score(C):\n    """Score."""  # why\n')
    project.replace("test_train.py", "A larger C", "A much larger C")
    project.replace("test_train.py", "at_least=0.5", "at_least=0.51")
    result = project.run("-s")
    result.assert_outcomes(passed=1, skipped=4)
    assert "TRAINED" not in result.stdout.str()


def test_a_new_parameter_runs_alone(project):
    project.standard()
    project.run()
    project.replace("test_train.py", '"C", [1, 10]', '"C", [1, 10, 100]')
    result = project.run("-s")
    assert result.stdout.str().count("TRAINED") == 2
    newest = project.query("select why_new from runs where status = 'passed' order by started_at")
    assert newest[-1]["why_new"].startswith("parameters not run before (C=100")


def test_a_file_that_moved_keeps_its_history(project):
    project.standard()
    project.run()
    (project.path / "test_train.py").rename(project.path / "test_renamed.py")
    assert "TRAINED" not in project.run("-s").stdout.str()


def test_what_failed_by_an_assertion_fails_again_with_its_message(project):
    project.standard()
    project.replace(
        "test_train.py", "experiment.log", "assert C == 1, 'too soft'\n    experiment.log"
    )
    first = project.run()
    first.assert_outcomes(passed=3, failed=2)
    second = project.run("-s")
    second.assert_outcomes(passed=1, skipped=2, failed=2)
    assert "TRAINED" not in second.stdout.str()
    second.stdout.fnmatch_lines(["*too soft*", "*To run it anew: pytest --kepler-duplicates=run*"])
    assert second.ret == 1


def test_what_ended_with_an_error_runs_again(project):
    project.standard()
    project.replace("test_train.py", "experiment.log", "1 / (C - 10)\n    experiment.log")
    project.run()
    second = project.run("-s")
    assert second.stdout.str().count("TRAINED 10") == 2
    assert second.stdout.str().count("TRAINED 1 ") == 0


def test_duplicates_are_run_failed_or_required_as_asked(project):
    project.standard()
    required = project.run("-s", "--kepler-duplicates=require")
    required.assert_outcomes(passed=1, failed=4)
    assert "TRAINED" not in required.stdout.str()
    project.run()
    project.run("--kepler-duplicates=require").assert_outcomes(passed=1, skipped=4)
    project.run("--kepler-duplicates=fail").assert_outcomes(passed=1, failed=4)
    again = project.run("-s", "--kepler-duplicates=run")
    assert again.stdout.str().count("TRAINED") == 4


def test_workers_share_the_gate_and_the_journal(project):
    project.standard()
    first = project.run("-n", "2", "-m", "experiment")
    first.assert_outcomes(passed=5)
    second = project.run("-n", "2", "-m", "experiment")
    second.assert_outcomes(passed=1, skipped=4)
    assert project.statuses() == ["passed"] * 4 + ["duplicate"] * 4


def test_the_journal_keeps_what_was_done_without_asking(project):
    project.standard()
    project.run()
    row = project.query("select * from runs where seed = 1 order by started_at limit 1")[0]
    assert row["hypothesis"] == "A larger C is better."
    assert row["params"] == {"C": 1, "seed": 1}
    assert json.loads(json.dumps(row["metrics"])) == {"accuracy": 0.515}
    assert row["code_hash"]
    assert row["data_hash"]
    assert row["experiment"] == "test_train.py::test_fit"
    assert (project.path / ".kepler" / ".gitignore").read_text() == "*\n"


def test_a_function_scoped_model_counts_by_its_content(project):
    project.standard()
    project.write(
        "test_model.py",
        """
        import numpy as np
        import pytest

        class Model:
            def __init__(self, depth):
                self.depth = depth
                self.weights = np.random.normal(size=3)

        @pytest.fixture
        def model():
            return Model(depth=3)

        @pytest.mark.experiment(gate=False)
        def test_model(experiment, model):
            print("TRAINED")
            experiment.log(depth=model.depth)
        """,
    )
    project.run("test_model.py")
    assert "TRAINED" not in project.run("-s", "test_model.py").stdout.str()
    project.replace("test_model.py", "Model(depth=3)", "Model(depth=4)")
    assert "TRAINED" in project.run("-s", "test_model.py").stdout.str()


def test_a_fixture_without_content_is_run_each_time_and_named(project):
    project.write(
        "test_stream.py",
        """
        import threading
        import pytest

        @pytest.fixture
        def stream():
            return threading.Lock()

        @pytest.mark.experiment(gate=False)
        def test_stream(experiment, stream):
            print("TRAINED")
            experiment.log(score=1)
        """,
    )
    project.run()
    assert "TRAINED" in project.run("-s").stdout.str()
    newest = project.query("select why_new from runs order by started_at desc limit 1")[0][
        "why_new"
    ]
    assert "fixture 'stream'" in newest


def test_shared_data_that_a_run_changed_in_place_is_found_out(project):
    project.standard()
    project.replace("test_train.py", "experiment.log", "X[0, 0] += 1\n    experiment.log")
    result = project.run("-s")
    assert "changed the shared fixture 'digits' in place" in result.stdout.str()
