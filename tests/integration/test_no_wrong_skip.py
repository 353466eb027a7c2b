"""What a stranger found in an hour: each of these once skipped, or trained, wrongly."""

from __future__ import annotations


def test_data_that_stands_below_one_experiment_and_directly_in_another_counts_in_both(project):
    project.write(
        "test_both.py",
        """
        import numpy as np
        import pytest

        @pytest.fixture(scope="session")
        def raw():
            return np.array([1.0, 2.0])

        @pytest.fixture(scope="session")
        def scaled(raw):
            return raw / raw.max()

        @pytest.mark.experiment(gate=False)
        def test_scaled(experiment, scaled):
            experiment.log(score=scaled.sum())

        @pytest.mark.experiment(gate=False)
        def test_raw(experiment, raw):
            experiment.log(score=raw.sum())
        """,
    )
    project.run()
    project.replace("test_both.py", "[1.0, 2.0]", "[2.0, 4.0]")
    result = project.run("-v")
    result.stdout.fnmatch_lines(["*test_scaled DUPLICATE*", "*test_raw PASSED*"])
    hashes = project.query("select data_hash from runs where experiment like '%raw'")
    assert len({row["data_hash"] for row in hashes} - {""}) == 2


def test_a_waiver_that_ended_is_no_ground_to_skip(project):
    project.write(
        "test_waived.py",
        """
        import pytest

        UNTIL = {"reason": "meant", "until": "2099-01-01"}

        @pytest.mark.experiment(gate=False, waive={"K309": UNTIL})
        def test_fit(experiment):
            print("TRAINED")
            experiment.log(score=1)
        """,
    )
    project.run()
    assert "TRAINED" not in project.run("-s").stdout.str()
    project.replace("test_waived.py", "2099", "2020")
    assert "TRAINED" in project.run("-s").stdout.str()
    newest = project.query("select why_new from runs order by started_at desc limit 1")[0]
    assert "waiver that no longer holds" in newest["why_new"]


def test_a_run_on_data_that_another_changed_in_place_is_no_ground_to_skip(project):
    project.write(
        "test_changed.py",
        """
        import numpy as np
        import pytest

        @pytest.fixture(scope="module")
        def data():
            return np.ones(3)

        @pytest.mark.experiment(gate=False)
        def test_a(experiment, data):
            data *= 100
            experiment.log(score=1)

        @pytest.mark.experiment(gate=False)
        def test_b(experiment, data):
            experiment.log(score=data.max())
        """,
    )
    project.run()
    unsound = project.query("select experiment from runs where unsound <> ''")
    assert unsound == [{"experiment": "test_changed.py::test_b"}]


def test_the_best_of_an_earlier_version_of_the_code_stays_the_best(project):
    project.write(
        "test_fit.py",
        """
        import numpy as np
        import pytest

        @pytest.fixture
        def data():
            return np.arange(5.0)

        @pytest.mark.experiment(metric="accuracy", gate=False)
        def test_fit(experiment, data):
            experiment.log(accuracy=0.9)
        """,
    )
    for old, new in (("0.9", "0.9"), ("0.9", "0.8"), ("0.8", "0.85")):
        project.replace("test_fit.py", f"accuracy={old}", f"accuracy={new}")
        text = project.run().stdout.str()
    assert "best so far  0.9 " in text
    assert "0.05 behind" in text


def test_a_replicate_that_is_no_parameter_is_a_usage_error(project):
    project.standard()
    project.replace("test_train.py", "at_least=0.5", "replicates=['sed']")
    result = project.run()
    assert result.ret == 4
    assert "did you mean 'seed'?" in result.stdout.str() + result.stderr.str()


def test_a_bare_dataset_declaration_says_what_it_needs(project):
    project.write(
        "test_bare.py",
        """
        import pytest
        import pytest_kepler

        @pytest.fixture
        @pytest_kepler.dataset
        def data():
            return 1
        """,
    )
    result = project.run()
    assert "needs to be told what" in result.stdout.str()


def test_a_replayed_failure_names_no_class_of_ours(project):
    project.standard()
    project.replace("test_train.py", "experiment.log", "assert C == 1\n    experiment.log")
    project.run()
    text = project.run("--junitxml=report.xml").stdout.str()
    assert "pytest_kepler.harness" not in text
    assert "pytest_kepler.harness" not in (project.path / "report.xml").read_text()


OPENING = """
    from pathlib import Path
    import pytest

    HERE = Path(__file__).parent

    @pytest.mark.experiment(gate=False)
    def test_read(experiment):
        print("TRAINED")
        (HERE / "out.txt").write_text("what the run itself wrote")
        (HERE / "out.txt").read_text()
        experiment.log(score=float((HERE / "value.txt").read_text()))
"""


def test_a_file_that_the_body_opens_counts_while_what_it_wrote_itself_does_not(project):
    project.write("value.txt", "3")
    project.write("test_read.py", OPENING)
    project.run()
    assert "TRAINED" not in project.run("-s").stdout.str()
    project.write("out.txt", "changed by somebody")
    assert "TRAINED" not in project.run("-s").stdout.str()
    project.write("value.txt", "4")
    assert "TRAINED" in project.run("-s").stdout.str()
    newest = project.query("select why_new from runs order by started_at desc limit 1")[0]
    assert newest["why_new"].startswith("file changed since run")
    assert newest["why_new"].endswith("(value.txt)")
    assert "TRAINED" not in project.run("-s").stdout.str()


def test_a_file_that_is_gone_runs_again(project):
    project.write("value.txt", "3")
    project.write("test_read.py", OPENING)
    project.run()
    (project.path / "value.txt").unlink()
    assert "TRAINED" in project.run("-s").stdout.str()


def test_setup_only_sets_up_and_runs_nothing(project):
    project.standard()
    result = project.run("--setup-only", "-s")
    assert result.ret == 0
    assert "TRAINED" not in result.stdout.str()
    assert not (project.path / ".kepler").exists()
