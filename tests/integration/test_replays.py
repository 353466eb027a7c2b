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
