"""Nothing trains before what guards it has passed, however pytest is called."""

from __future__ import annotations

import pytest

DATASETS = """
    import numpy as np
    import pytest

    @pytest.fixture(scope="session", params=["good", "bad"])
    def dataset(request):
        values = np.arange(6.0).reshape(3, 2)
        if request.param == "bad":
            values[1, 1] = np.nan
        return values
"""

GATES = """
    import numpy as np
    import pytest

    @pytest.mark.sanity
    def test_no_nan(dataset):
        assert not np.isnan(dataset).any()
"""

EXPERIMENTS = """
    import pytest

    @pytest.mark.experiment(metric="score")
    @pytest.mark.parametrize("lr", [0.1, 0.2])
    def test_train(experiment, dataset, lr):
        print("TRAINED", lr)
        experiment.log(score=lr)
"""


@pytest.fixture
def two_datasets(project):
    project.write("conftest.py", DATASETS)
    project.write("test_gates.py", GATES)
    project.write("test_train.py", EXPERIMENTS)
    return project


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("-m", "experiment"),
        ("-k", "test_train"),
        ("test_train.py",),
        ("test_train.py::test_train",),
        ("-p", "no:cacheprovider"),
        ("-n", "2"),
        ("-n", "2", "-m", "experiment"),
        ("-n", "2", "test_train.py"),
        ("-n", "2", "--dist", "loadfile"),
        ("-n", "2", "--dist", "worksteal"),
        ("--ff",),
    ],
    ids=" ".join,
)
def test_only_what_stands_on_the_bad_data_is_blocked(two_datasets, arguments):
    result = two_datasets.run("-rA", *arguments)
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed") == 1, result.stdout.str()
    assert outcomes.get("blocked") == 2
    assert outcomes.get("passed") == 3  # one gate, two experiments
    assert result.ret == 1
    assert sorted(two_datasets.statuses()) == ["blocked", "blocked", "passed", "passed"]


def test_a_node_id_pulls_in_the_gate_of_its_dataset_alone(two_datasets):
    result = two_datasets.run("-v", "test_train.py::test_train[good-0.1]")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*test_gates.py::test_no_nan[[]good[]] PASSED*"])
    assert "test_no_nan[bad]" not in result.stdout.str()


def test_last_failed_brings_the_blocked_back(two_datasets):
    two_datasets.run()
    again = two_datasets.run("--lf", "-v")
    outcomes = again.parseoutcomes()
    assert (outcomes["failed"], outcomes["blocked"]) == (1, 2)
    assert "passed" not in outcomes
    two_datasets.replace("conftest.py", "values[1, 1] = np.nan", "pass")
    mended = two_datasets.run("--lf", "-s")
    assert mended.stdout.str().count("TRAINED") == 2
    assert mended.ret == 0


def test_collect_only_lists_the_gates_and_writes_nothing(two_datasets):
    result = two_datasets.run("--collect-only", "-q", "test_train.py")
    result.stdout.fnmatch_lines(["*test_gates.py::test_no_nan[[]good[]]"])
    assert not (two_datasets.path / ".kepler").exists()


def test_setup_plan_runs_and_writes_nothing(two_datasets):
    result = two_datasets.run("--setup-plan", "-s", "test_train.py")
    assert "TRAINED" not in result.stdout.str()
    assert not (two_datasets.path / ".kepler").exists()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("    assert not", "    pytest.skip('later')\n    assert not", "skipped (later)"),
        ("    assert not", "    raise RuntimeError('no')\n    assert not", "failed"),
        ("import numpy", "import nothing_of_this_name\nimport numpy", "could not be collected"),
    ],
    ids=["skipped", "error", "not-importable"],
)
def test_a_gate_that_has_not_passed_blocks(two_datasets, old, new, reason):
    two_datasets.replace("test_gates.py", old, new)
    result = two_datasets.run("-s", "test_train.py")
    assert "TRAINED" not in result.stdout.str()
    assert result.ret == 1
    assert result.parseoutcomes()["blocked"] == 4
    assert reason in result.stdout.str()


def test_an_expected_failure_with_a_reason_lets_pass_and_without_one_blocks(two_datasets):
    two_datasets.replace(
        "test_gates.py",
        "@pytest.mark.sanity",
        "@pytest.mark.xfail(reason='known')\n@pytest.mark.sanity",
    )
    assert two_datasets.run("-s", "test_train.py").stdout.str().count("TRAINED") == 4
    two_datasets.replace("test_gates.py", "(reason='known')", "")
    result = two_datasets.run("-s", "test_train.py", "--kepler-duplicates=run")
    assert result.stdout.str().count("TRAINED") == 2
    assert result.parseoutcomes()["blocked"] == 2
    assert result.ret == 1


def test_a_gate_comes_before_duplicates(two_datasets):
    two_datasets.replace("conftest.py", "values[1, 1] = np.nan", "values[1, 1] = 9")
    two_datasets.run()
    two_datasets.replace("test_gates.py", "assert not", "assert 0 and not")
    result = two_datasets.run()
    assert result.parseoutcomes()["blocked"] == 4
    assert "skipped" not in result.parseoutcomes()


def test_with_warn_experiments_run_behind_a_failed_gate_and_are_no_ground_to_skip(two_datasets):
    result = two_datasets.run("-s", "--kepler-gate=warn")
    assert result.stdout.str().count("TRAINED") == 4
    assert result.ret == 1  # the sanity test itself fails
    two_datasets.replace("test_gates.py", "assert not np.isnan(dataset).any()", "pass")
    again = two_datasets.run("-s")
    assert again.stdout.str().count("TRAINED") == 2


def test_an_assertion_in_a_fixture_blocks_what_uses_it(project):
    project.standard()
    project.replace("conftest.py", "return X,", "assert X.max() < 0.5, 'not scaled'\n    return X,")
    result = project.run("-s", "-m", "experiment")
    assert "TRAINED" not in result.stdout.str()
    assert result.ret == 1
    assert set(project.statuses()) == {"blocked"}
    assert "not scaled" in result.stdout.str()


def test_a_sanity_test_without_fixtures_guards_its_module(project):
    project.write(
        "test_one.py",
        """
        import pytest

        @pytest.mark.sanity
        def test_never():
            assert False

        @pytest.mark.experiment
        def test_train(experiment):
            print("TRAINED one")
        """,
    )
    project.write(
        "test_two.py",
        """
        import pytest

        @pytest.mark.experiment
        def test_train(experiment):
            print("TRAINED two")
        """,
    )
    result = project.run("-s", "-m", "experiment")
    assert "TRAINED one" not in result.stdout.str()
    assert "TRAINED two" in result.stdout.str()
    assert "test_two.py::test_train has no sanity test that guards it" in result.stdout.str()


def test_a_parameter_of_the_sanity_test_alone_is_its_own(project):
    project.standard()
    project.write(
        "test_axes.py",
        """
        import pytest

        @pytest.mark.sanity
        @pytest.mark.parametrize("axis", [0, 1])
        def test_axis(digits, axis):
            assert axis == 0
        """,
    )
    result = project.run("-s", "test_train.py")
    assert "TRAINED" not in result.stdout.str()
    assert result.parseoutcomes()["blocked"] == 4


def test_of_names_the_subject_where_a_sanity_test_uses_more(project):
    project.standard()
    project.write(
        "test_of.py",
        """
        import pytest

        @pytest.fixture
        def ruler():
            return 3

        @pytest.mark.sanity(of="digits")
        def test_measured(digits, ruler):
            assert ruler == 4
        """,
    )
    assert project.run("test_train.py").parseoutcomes()["blocked"] == 4
    project.replace("test_of.py", '(of="digits")', "")
    result = project.run("-m", "experiment")
    assert "blocked" not in result.parseoutcomes()
    assert "test_of.py::test_measured guards none" in result.stdout.str()
    part = project.run("test_train.py")  # what it guards elsewhere cannot be seen
    assert "guards none" not in part.stdout.str()


def test_needs_adds_a_gate_by_name(project):
    project.standard()
    project.write(
        "sub/test_other.py",
        """
        import pytest

        @pytest.fixture
        def unrelated():
            return 1

        @pytest.mark.sanity
        def test_other_rule(unrelated):
            assert unrelated == 2
        """,
    )
    project.replace("test_train.py", "at_least=0.5", "at_least=0.5, needs=['test_other_rule']")
    result = project.run("test_train.py")
    assert result.parseoutcomes()["blocked"] == 4


def test_gate_false_opts_out(project):
    project.standard()
    project.replace("test_train.py", "X.shape == (60, 4)", "False")
    project.replace("test_train.py", "at_least=0.5", "gate=False")
    result = project.run("-s", "-m", "experiment")
    assert result.stdout.str().count("TRAINED") == 4


def test_fit_checks_what_it_is_given_before_the_first_step(project):
    project.write(
        "test_fit.py",
        """
        import numpy as np
        import pytest
        from sklearn.linear_model import LogisticRegression

        @pytest.mark.experiment(metric="accuracy")
        @pytest.mark.parametrize("C", [1, 2])
        def test_fit(experiment, C):
            X = np.random.default_rng(0).normal(size=(50, 3))
            y = (X[:, 0] > 0).astype(int)
            X[3, 1] = np.nan
            try:
                experiment.fit(LogisticRegression(C=C), X, y)
            finally:
                print("AFTER")
            print("TRAINED")
        """,
    )
    result = project.run("-s")
    assert "TRAINED" not in result.stdout.str()
    assert result.parseoutcomes() == {"blocked": 2}
    assert result.ret == 1
    assert "K304" in result.stdout.str()
    assert project.statuses() == ["blocked", "blocked"]
    codes = project.query("select distinct code from checks where severity = 'error'")
    assert {"code": "K304"} in codes


def test_a_fixture_that_fails_shows_the_users_code_alone_and_no_threshold_is_missed(project):
    project.standard()
    project.replace("conftest.py", "return X,", "assert X.max() < 0.5, 'not scaled'\n    return X,")
    result = project.run("-m", "experiment")
    text = result.stdout.str()
    assert "pytest_kepler" not in text
    assert "::at_least" not in text
    assert result.parseoutcomes() == {"errors": 1, "blocked": 4}
