"""An experiment that uses what another saved: order, blocking, identity, parameters, workers."""

from __future__ import annotations

import shutil

import pytest

pytestmark = pytest.mark.filterwarnings("default")

PAIR = """
    import pytest

    @pytest.mark.experiment(uses={"base": "test_pretrain"}, metric="accuracy")
    def test_tune(experiment):
        base = experiment.load("base")
        print("TUNED", base)
        experiment.log(accuracy=base["accuracy"])

    @pytest.mark.experiment
    def test_pretrain(experiment):
        print("PRETRAINED")
        experiment.save({"accuracy": 0.5})
"""

GRID = """
    import pytest

    @pytest.mark.experiment(metric="loss")
    @pytest.mark.parametrize("depth", [1, 2, 3])
    @pytest.mark.parametrize("seed", [0, 1])
    def test_pretrain(experiment, depth, seed):
        experiment.log(loss=abs(depth - 2) + seed / 10)
        experiment.save({"depth": depth, "seed": seed})

    @pytest.mark.experiment(uses={"base": "test_pretrain"})
    def test_best(experiment):
        print("BEST", experiment.load("base"))

    @pytest.mark.experiment(uses={"base": "test_pretrain"})
    @pytest.mark.parametrize("depth", [1, 3])
    def test_same_depth(experiment, depth):
        assert experiment.load("base")["depth"] == depth

    @pytest.mark.experiment(uses={"base": "test_pretrain[1-3]"})
    def test_one_case(experiment):
        print("CASE", experiment.load("base"))
"""


@pytest.fixture
def pair(project):
    project.write("test_pair.py", PAIR)
    return project


def statuses(project) -> dict[str, list[str]]:
    rows = project.query("select node_id, status from runs order by started_at")
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["node_id"].rpartition("::")[2], []).append(row["status"])
    return found


def test_the_producer_runs_first_and_its_artefact_is_loaded(pair):
    result = pair.run("-s")
    result.assert_outcomes(passed=2)
    text = result.stdout.str()
    assert text.index("PRETRAINED") < text.index("TUNED {'accuracy': 0.5}")


def test_the_producer_is_pulled_in_when_only_the_user_was_named(pair):
    result = pair.run("test_pair.py::test_tune", "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["*collected 2 items*", "*test_pretrain PASSED*", "*test_tune PASSED*"]
    )


def test_a_producer_in_a_file_that_nobody_named_is_found(project):
    project.write(
        "sub/test_first.py",
        PAIR[PAIR.index("    @pytest.mark.experiment\n") :].replace(
            "    @pytest.mark.experiment\n", "    import pytest\n    @pytest.mark.experiment\n", 1
        ),
    )
    project.write("test_second.py", PAIR[: PAIR.index("    @pytest.mark.experiment\n")])
    project.run("test_second.py").assert_outcomes(passed=2)


def test_again_both_are_duplicates(pair):
    pair.run()
    result = pair.run("-s")
    result.assert_outcomes(skipped=2)
    assert "TUNED" not in result.stdout.str()


def test_the_identity_follows_the_content_of_the_artefact(pair):
    pair.run()
    pair.replace("test_pair.py", "0.5", "0.7")
    result = pair.run()
    result.assert_outcomes(passed=2)
    (row,) = pair.query(
        "select why_new from runs where node_id like '%tune' order by started_at desc limit 1"
    )
    assert "artefact changed since run" in row["why_new"]
    assert "(base)" in row["why_new"]


def test_other_code_that_saves_the_same_changes_nothing_for_the_user(pair):
    pair.run()
    pair.replace("test_pair.py", 'print("PRETRAINED")', 'print("PRETRAINED ANEW")')
    result = pair.run()
    result.assert_outcomes(passed=1, skipped=1)
    assert statuses(pair)["test_tune"] == ["passed", "duplicate"]


def test_an_artefact_that_is_gone_makes_its_producer_run_again(pair):
    pair.run()
    shutil.rmtree(pair.path / ".kepler" / "artifacts")
    result = pair.run()
    result.assert_outcomes(passed=1, skipped=1)
    assert statuses(pair) == {
        "test_pretrain": ["passed", "passed"],
        "test_tune": ["passed", "duplicate"],
    }
    (row,) = pair.query(
        "select why_new from runs where node_id like '%pretrain' order by started_at desc limit 1"
    )
    assert "the artefact 'model' of run" in row["why_new"]


@pytest.mark.parametrize(
    ("broken", "ended"),
    [
        ("assert False, 'no good'", "which failed"),
        ("raise OSError('disk')", "which ended with error"),
    ],
)
def test_a_producer_that_fails_blocks_its_user(pair, broken, ended):
    pair.replace("test_pair.py", 'print("PRETRAINED")', broken)
    result = pair.run()
    assert result.ret == 1
    assert statuses(pair)["test_tune"] == ["blocked"]
    assert f"it uses 'base' of test_pair.py::test_pretrain, {ended}" in result.stdout.str()


def test_a_producer_that_is_blocked_blocks_its_user(pair):
    gate = """
    @pytest.mark.sanity
    def test_gate():
        assert False
    """
    pair.write("test_pair.py", PAIR + gate)
    pair.replace(
        "test_pair.py", "@pytest.mark.experiment(uses", "@pytest.mark.experiment(gate=False, uses"
    )
    assert pair.run().ret == 1
    assert statuses(pair) == {"test_pretrain": ["blocked"], "test_tune": ["blocked"]}


def test_a_producer_that_was_left_out_blocks_its_user(pair):
    result = pair.run("--deselect", "test_pair.py::test_pretrain", "--kepler-gate=warn")
    assert result.ret == 1
    assert "which was left out by --deselect" in result.stdout.str()


def test_what_was_saved_under_another_name_must_be_named(pair):
    pair.replace(
        "test_pair.py",
        'experiment.save({"accuracy": 0.5})',
        'experiment.save({"accuracy": 0.5}, "a"); experiment.save("x", "b")',
    )
    result = pair.run()
    assert "saved no 'model' (it saved a, b)" in result.stdout.str()
    pair.replace("test_pair.py", '"test_pretrain"}', '("test_pretrain", "a")}')
    pair.run().assert_outcomes(passed=1, skipped=1)


def test_a_chain_of_three_runs_in_its_order(project):
    project.write(
        "test_chain.py",
        """
        import pytest

        @pytest.mark.experiment(uses={"it": "test_b"})
        def test_c(experiment):
            assert experiment.load("it") == "ab"

        @pytest.mark.experiment(uses={"it": "test_a"})
        def test_b(experiment):
            experiment.save(experiment.load("it") + "b", "text")

        @pytest.mark.experiment
        def test_a(experiment):
            experiment.save("a", "text")
        """,
    )
    project.run("test_chain.py::test_c").assert_outcomes(passed=3)
    for workers in ("-n2", "-n3"):
        result = project.run(workers, "--kepler-duplicates=run")
        result.assert_outcomes(passed=3)


def test_experiments_that_use_each_other_are_a_usage_error(pair):
    pair.replace(
        "test_pair.py",
        "@pytest.mark.experiment\n",
        '@pytest.mark.experiment(uses={"x": "test_tune"})\n',
    )
    result = pair.run()
    assert result.ret == 4
    assert "Experiments use each other" in result.stderr.str()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('{"base": "test_pretrian"}', "did you mean"),
        ('"test_pretrain"', "uses must be experiments by the name"),
        ('{"base": 3}', "uses must be experiments by the name"),
    ],
)
def test_a_mistake_in_uses_is_a_usage_error(pair, given, said):
    pair.replace("test_pair.py", '{"base": "test_pretrain"}', given)
    result = pair.run()
    assert result.ret == 4
    assert said in result.stderr.str()


@pytest.fixture
def grid(project):
    project.write("test_grid.py", GRID)
    return project


def test_of_a_grid_the_best_configuration_counts_or_the_one_with_equal_parameters(grid):
    result = grid.run("-s")
    result.assert_outcomes(passed=10)
    assert "BEST {'depth': 2, 'seed': 0}" in result.stdout.str()
    assert "CASE {'depth': 3, 'seed': 1}" in result.stdout.str()


def test_of_a_grid_without_a_metric_nobody_knows_the_best(grid):
    grid.replace("test_grid.py", '(metric="loss")', "")
    result = grid.run("-k", "best")
    assert result.ret == 4
    assert "3 configurations of test_grid.py::test_pretrain fit" in result.stderr.str()


def test_a_configuration_with_a_failed_replicate_is_not_the_best(grid):
    grid.replace(
        "test_grid.py", "experiment.save", "assert (depth, seed) != (2, 1); experiment.save"
    )
    result = grid.run("-s")
    assert "BEST {'depth': 1, 'seed': 0}" in result.stdout.str()


@pytest.mark.parametrize("dist", ["load", "loadfile", "worksteal"])
def test_under_workers_each_producer_runs_once_and_everybody_gets_it(grid, dist):
    result = grid.run("-n2", "--dist", dist)
    result.assert_outcomes(passed=10)
    found = statuses(grid)
    assert {name: len(ran) for name, ran in found.items()} == dict.fromkeys(found, 1)
    grid.run("-n2").assert_outcomes(skipped=10)


def test_a_worker_that_dies_in_a_producer_blocks_the_user(pair):
    pair.replace("test_pair.py", 'print("PRETRAINED")', "import os; os._exit(3)")
    result = pair.run("-n2", "--dist", "loadfile")
    assert result.ret == 1
    assert statuses(pair)["test_tune"] == ["blocked"]


def test_a_model_saved_again_with_the_same_weights_is_the_same_artefact(project):
    pytest.importorskip("sklearn")
    pytest.importorskip("skops")
    project.write(
        "test_model.py",
        """
        import pytest
        from sklearn.linear_model import LinearRegression

        @pytest.mark.experiment
        def test_pretrain(experiment):
            model = LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])
            experiment.save(model)

        @pytest.mark.experiment(uses={"base": test_pretrain})
        def test_tune(experiment):
            assert experiment.load("base").predict([[2.0]]) == pytest.approx(4.0)
        """,
    )
    project.run().assert_outcomes(passed=2)
    shutil.rmtree(project.path / ".kepler" / "artifacts")
    project.run().assert_outcomes(passed=1, skipped=1)


def test_the_journal_says_what_was_used(pair):
    pair.run()
    (used,) = pair.query("select spec from runs where node_id like '%tune'")
    assert used["spec"]["uses"] == {"base": "test_pretrain"}


def test_kepler_why_says_that_a_producer_would_run_first(pair, monkeypatch):
    def why() -> str:
        told = pair.kepler("why", "test_pair.py::test_tune")
        assert told.returncode == 0, told.stderr
        return told.stdout

    assert "it uses test_pair.py::test_pretrain, which would run before it" in why()
    pair.run()
    assert why().count("would be skipped") == 2
