"""What an earlier failure becomes when its run is a duplicate, as the marks are now."""

from __future__ import annotations

import pytest

FAILING = """
    import pytest

    @pytest.mark.experiment(metric="score", gate=False)
    def test_fails(experiment):
        print("TRAINED")
        experiment.log(score=1)
        assert False
"""


@pytest.fixture
def failed(project):
    project.write("test_fails.py", FAILING)
    project.run().assert_outcomes(failed=1)
    return project


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        ("xfail(reason='known')", {"xfailed": 1}),
        ("xfail(True, reason='known')", {"xfailed": 1}),
        ("xfail(False, reason='not here')", {"failed": 1}),
        ("xfail(raises=AssertionError)", {"xfailed": 1}),
        ("xfail(raises=(ValueError, AssertionError))", {"xfailed": 1}),
        ("xfail(raises=ValueError)", {"failed": 1}),
    ],
)
def test_a_failure_is_replayed_as_its_mark_of_now_says(failed, mark, expected):
    failed.replace("test_fails.py", "@pytest.mark.exp", f"@pytest.mark.{mark}\n@pytest.mark.exp")
    result = failed.run("-s")
    assert "TRAINED" not in result.stdout.str()
    assert result.parseoutcomes() == expected


def test_runxfail_replays_the_failure(failed):
    failed.replace("test_fails.py", "@pytest.mark.exp", "@pytest.mark.xfail\n@pytest.mark.exp")
    assert failed.run("--runxfail").parseoutcomes() == {"failed": 1}


def test_what_getfixturevalue_reached_is_never_a_ground_to_skip(project):
    project.standard()
    project.replace(
        "test_train.py",
        "(experiment, digits, C, seed):",
        "(experiment, request, C, seed):\n    digits = request.getfixturevalue('digits')",
    )
    project.run("-m", "experiment")
    assert project.run("-s", "-m", "experiment").stdout.str().count("TRAINED") == 4
    reasons = {row["why_new"] for row in project.query("select why_new from runs")}
    assert any("getfixturevalue" in reason for reason in reasons), reasons


@pytest.mark.parametrize("scope", ["session", "function"])
def test_an_expected_error_is_replayed_after_the_fixtures_too(project, scope):
    project.write(
        "test_fails.py",
        f"""
        import pytest

        @pytest.fixture(scope={scope!r})
        def data():
            return [1.0]

        @pytest.mark.xfail(raises=ValueError, reason="known")
        @pytest.mark.experiment(gate=False)
        def test_fails(experiment, data):
            print("TRAINED")
            raise ValueError("as ever")
        """,
    )
    assert project.run().parseoutcomes() == {"xfailed": 1}
    second = project.run("-s")
    assert second.parseoutcomes() == {"xfailed": 1}
    assert "TRAINED" not in second.stdout.str()
    assert project.statuses() == ["xfailed", "duplicate"]


def test_an_experiment_that_is_skipped_leaves_a_run_that_says_why(project):
    project.write(
        "test_skips.py",
        """
        import pytest

        @pytest.fixture
        def gpu():
            pytest.skip("no GPU here")

        @pytest.mark.experiment(gate=False)
        def test_on_gpu(experiment, gpu):
            pass

        @pytest.mark.skip(reason="not now")
        @pytest.mark.experiment(gate=False)
        def test_later(experiment):
            pass
        """,
    )
    assert project.run().parseoutcomes() == {"skipped": 2}
    rows = project.query("select status, message from runs order by message")
    assert rows == [
        {"status": "skipped", "message": "no GPU here"},
        {"status": "skipped", "message": "not now"},
    ]
    assert project.run().parseoutcomes() == {"skipped": 2}


def test_a_headline_metric_that_nobody_logs_is_named(project):
    project.standard()
    project.replace("test_train.py", 'metric="accuracy", at_least=0.5', 'metric="acuracy"')
    text = project.run().stdout.str()
    assert "'acuracy' was never logged; did you mean 'accuracy'?" in text
