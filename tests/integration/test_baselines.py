"""A baseline in the repository: written on request, compared with, judged over a merged journal."""

from __future__ import annotations

import json
import re
import tomllib
import xml.etree.ElementTree as ET

import pytest

TRAINING = """
    import pytest
    import helpers

    @pytest.fixture
    def data():
        return [1.0, 2.0, 3.0]

    @pytest.mark.sanity
    def test_data(data):
        assert len(data) == 3

    @pytest.mark.experiment(metric="accuracy")
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("C", [1, 2])
    def test_fit(experiment, data, C, seed):
        experiment.log(accuracy=helpers.score(C, seed), loss=1 - helpers.score(C, seed))
"""
HELPERS = """
    BASE = 0.90

    def score(C, seed):
        return BASE + C / 100 + seed / 1000
"""
EXPERIMENT = "test_train.py::test_fit"
FAIL = "--kepler-compare-fail=accuracy:1%"


@pytest.fixture
def trained(project):
    project.write("test_train.py", TRAINING)
    project.write("helpers.py", HELPERS)
    result = project.run("--kepler-update-baseline")
    assert result.ret == 0, result.stdout.str()
    return project


def baseline(project) -> dict:
    text = (project.path / "kepler-baseline.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def test_a_baseline_holds_every_metric_of_the_best_configuration(trained):
    found = baseline(trained)["main"][EXPERIMENT]
    assert found["params"] == "C=2"
    assert len(found["runs"].split()) == 3
    assert found["metrics"]["accuracy"]["value"] == pytest.approx(0.921)
    assert found["metrics"]["accuracy"]["goal"] == "max"
    assert found["metrics"]["loss"]["goal"] == "min"
    assert found["metrics"]["accuracy"]["replicates"]["seed=2"] == pytest.approx(0.922)
    assert trained.query("select name, metric, n_replicates from baselines order by metric") == [
        {"name": "main", "metric": "accuracy", "n_replicates": 3},
        {"name": "main", "metric": "loss", "n_replicates": 3},
    ]


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_worse_model_fails_with_an_entry_of_its_own(trained, workers):
    trained.replace("helpers.py", "BASE = 0.90", "BASE = 0.85")
    result = trained.run(FAIL, "--junitxml=report.xml", *workers)
    assert result.ret == 1
    text = result.stdout.str()
    assert "worse by 0.05, more than the tolerance of 1%" in " ".join(text.split())
    suite = ET.parse(trained.path / "report.xml").getroot()[0]  # noqa: S314  # pytest wrote it
    names = [case.attrib["name"] for case in suite if case.find("failure") is not None]
    assert names == ["baseline[accuracy]"]


def test_junit_has_the_runs_and_their_metrics(trained):
    trained.run("--junitxml=report.xml", "--kepler-duplicates=run")
    suite = ET.parse(trained.path / "report.xml").getroot()[0]  # noqa: S314  # pytest wrote it
    case = next(case for case in suite if case.attrib["name"] == "test_fit[2-0]")
    properties = {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}
    assert float(properties["kepler.metric.accuracy"]) == pytest.approx(0.92)
    (run,) = trained.query(
        f"select params from runs where run_id = '{properties['kepler.run_id']}'"
    )
    assert run["params"] == {"C": 2, "seed": 0}


def test_what_is_within_the_tolerance_passes(trained):
    trained.replace("helpers.py", "BASE = 0.90", "BASE = 0.895")
    assert trained.run(FAIL).ret == 0
    assert trained.run("--kepler-compare-fail=accuracy:0.001").ret == 1


def test_a_better_model_is_announced_with_the_command_that_keeps_it(trained):
    trained.replace("helpers.py", "BASE = 0.90", "BASE = 0.95")
    result = trained.run(FAIL)
    assert result.ret == 0
    assert "better by 0.05" in result.stdout.str()
    result.stdout.fnmatch_lines(["*pytest --kepler-update-baseline*"])
    result = trained.run("--kepler-update-baseline")
    assert "accuracy 0.921 -> 0.971" in result.stdout.str()
    assert baseline(trained)["main"][EXPERIMENT]["metrics"]["accuracy"]["value"] > 0.97
    assert "is the baseline's own" in trained.run(FAIL).stdout.str()


def test_an_experiment_that_is_gone_is_named_where_all_were_asked_for(trained):
    trained.write("test_other.py", TRAINING.replace("def test_fit", "def test_other"))
    trained.write("test_train.py", "def test_plain():\n    pass\n")
    sentence = f"{EXPERIMENT} is in the baseline and not run"
    assert sentence in trained.run(FAIL).stdout.str()
    assert sentence not in trained.run(FAIL, "test_other.py").stdout.str()


def test_an_experiments_own_tolerance_needs_no_option(trained):
    trained.replace(
        "test_train.py", 'metric="accuracy"', 'metric="accuracy", tolerance={"loss": 0}'
    )
    trained.replace("helpers.py", "BASE = 0.90", "BASE = 0.899")
    result = trained.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["FAILED *::baseline*loss*"])


def test_a_named_baseline_is_kept_beside_the_others(trained):
    trained.replace("helpers.py", "BASE = 0.90", "BASE = 0.80")
    assert trained.run("--kepler-baseline=small", "--kepler-update-baseline").ret == 0
    assert set(baseline(trained)) == {"main", "small"}
    assert trained.run("--kepler-baseline=small", FAIL).ret == 0
    assert trained.run(FAIL).ret == 1


def test_without_the_file_the_journal_has_the_baseline(trained):
    (trained.path / "kepler-baseline.toml").unlink()
    trained.replace("helpers.py", "BASE = 0.90", "BASE = 0.80")
    assert trained.run(FAIL).ret == 1


def test_a_part_of_the_grid_neither_fails_nor_writes(trained):
    before = baseline(trained)
    trained.replace("helpers.py", "BASE = 0.90", "BASE = 0.80")
    result = trained.run(FAIL, "--kepler-update-baseline", "-k", "2-0")
    assert result.ret == 0, result.stdout.str()
    assert "not written: only a part of the grid has run" in result.stdout.str()
    assert baseline(trained) == before


def test_what_was_blocked_is_not_said_to_be_worse(trained):
    trained.replace("test_train.py", "len(data) == 3", "len(data) == 4")
    result = trained.run(FAIL)
    assert result.ret == 1
    assert "FAILED test_train.py::test_fit::baseline" not in result.stdout.str()


@pytest.mark.parametrize(
    ("arguments", "text", "sentence"),
    [
        (
            [FAIL, "--kepler-baseline=mian"],
            None,
            "no baseline 'mian' to compare with: did you mean 'main'",
        ),
        (
            ["--kepler-compare-fail=acuracy:1%"],
            None,
            "no metric 'acuracy'; did you mean 'accuracy'",
        ),
        (["--kepler-compare-fail=accuracy"], None, "'accuracy' is no tolerance"),
        ([], "<<<<<<< HEAD\n", "line 1: a merge conflict is not resolved"),
        ([], "[main", "is no TOML"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_trains(
    trained, arguments, text, sentence
):
    if text is not None:
        trained.write("kepler-baseline.toml", text)
    result = trained.run("--kepler-duplicates=run", *arguments)
    assert result.ret == 4
    assert sentence in result.stdout.str() + result.stderr.str()
    assert trained.query("select count(*) as n from runs") == [{"n": 6}]


def test_under_workers_the_refusal_is_the_controllers(trained):
    result = trained.run("--kepler-compare-fail=acuracy:1%", "-n", "1")
    assert result.ret == 4
    assert "no metric 'acuracy'" in result.stdout.str() + result.stderr.str()


def test_a_tolerance_without_any_baseline_is_a_usage_error(project):
    project.write("test_train.py", TRAINING)
    project.write("helpers.py", HELPERS)
    result = project.run(FAIL)
    assert result.ret == 4
    assert "pytest --kepler-update-baseline" in result.stderr.str()
    assert not (project.path / ".kepler").exists()


def test_a_baseline_that_was_edited_is_not_taken_for_the_runs_that_it_names(trained):
    path = trained.path / "kepler-baseline.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"value = 0\.92\d*", "value = 0.99", text), encoding="utf-8")
    result = trained.run(FAIL)
    assert result.ret == 4
    assert "One of them was edited" in " ".join(result.stderr.str().split())
    edited = re.sub(r"replicates = .*\n", "", text)
    path.write_text(re.sub(r"value = 0\.92\d*", "value = 0.99", edited), encoding="utf-8")
    result = trained.run(FAIL)
    assert result.ret == 1
    assert "baseline 0.99: worse by 0.069" in " ".join(result.stdout.str().split())


def test_what_was_missed_or_got_worse_is_not_written_as_a_baseline(trained):
    before = (trained.path / "kepler-baseline.toml").read_text(encoding="utf-8")
    trained.replace("helpers.py", "BASE = 0.90", "BASE = 0.60")
    result = trained.run("--kepler-update-baseline", FAIL)
    assert result.ret == 1
    assert f"{EXPERIMENT}: not written: accuracy got worse" in " ".join(result.stdout.str().split())
    trained.replace("test_train.py", 'metric="accuracy"', 'metric="accuracy", at_least=0.9')
    result = trained.run("--kepler-update-baseline")
    assert result.ret == 1
    assert "not written: it missed what it must reach (accuracy)" in " ".join(
        result.stdout.str().split()
    )
    assert (trained.path / "kepler-baseline.toml").read_text(encoding="utf-8") == before


def test_a_file_without_the_baseline_is_said_where_the_journal_stands_in(trained):
    (trained.path / "kepler-baseline.toml").write_text("", encoding="utf-8")
    text = " ".join(trained.run().stdout.str().split())
    assert "kepler-baseline.toml has no baseline 'main': compared with what the journal" in text


def test_the_gate_fails_where_a_part_of_the_grid_did_not_run(trained):
    trained.run("--kepler-journal=part.duckdb", "-k", "1-0 or 1-1")
    decided = trained.kepler("gate", "--journal", "part.duckdb")
    assert decided.returncode == 1
    assert f"gate failed: 2 runs\n  {EXPERIMENT}: only 2 of its 6 runs are there\n" in (
        decided.stdout
    )


def test_the_gate_judges_the_whole_of_a_merged_journal(trained):
    trained.replace("helpers.py", "BASE = 0.90", "BASE = 0.80")
    for C in (1, 2):
        job = f"job{C}.duckdb"
        assert trained.run(f"--kepler-journal={job}", "-k", f"test_fit and {C}-").ret == 0
    merged = trained.kepler("merge", "job1.duckdb", "job2.duckdb", "--journal", "all.duckdb")
    assert merged.returncode == 0, merged.stderr
    decided = trained.kepler("gate", "--journal", "all.duckdb", "--compare-fail", "accuracy:1%")
    assert decided.returncode == 1, decided.stderr
    assert "gate failed: 6 runs" in decided.stdout
    assert "worse by 0.1" in decided.stdout
    fine = trained.kepler("gate", "--journal", "all.duckdb", "--compare-fail", "accuracy:20%")
    assert (fine.returncode, fine.stdout.splitlines()[-1]) == (0, "gate passed: 6 runs")
    wrong = trained.kepler("gate", "--journal", "all.duckdb", "--compare-fail", "accuracy:x")
    assert (wrong.returncode, wrong.stdout) == (4, "")
    assert "is no tolerance" in wrong.stderr


def test_the_gate_fails_on_runs_that_did_not_pass_and_speaks_markdown_and_json(
    trained, monkeypatch
):
    trained.replace("helpers.py", "return BASE", "assert C == 2 or seed < 2\n    return BASE")
    assert trained.run().ret == 1
    decided = trained.kepler("gate", "--format", "markdown")
    assert decided.returncode == 1
    assert "**Gate failed**:\n- 1 run failed\n" in decided.stdout
    summary = trained.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    written = trained.kepler("gate", "--markdown", "gate.md")
    assert written.stdout.endswith("gate failed: 6 runs\n  1 run failed\n")
    text = (trained.path / "gate.md").read_text(encoding="utf-8")
    assert text == summary.read_text(encoding="utf-8").removesuffix("\n")
    assert text == decided.stdout
    told = json.loads(trained.kepler("gate", "--format", "json").stdout)
    assert told["experiments"][0]["comparisons"][0]["metric"] == "accuracy"


def test_github_gets_a_summary_and_annotations_at_the_tests_lines(trained, monkeypatch):
    summary = trained.path / "summary.md"
    summary.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(trained.path.parent))
    trained.replace("helpers.py", "BASE = 0.90", "BASE = 0.80")
    folder = trained.path.name
    result = trained.run(FAIL)
    line = next(one for one in result.outlines if one.startswith("::error"))
    assert line.startswith(f"::error file={folder}/test_train.py,title=test_fit got worse,line=")
    assert "tolerance of 1%25" in line
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("before\n# Experiments\n")
    trained.replace("test_train.py", "len(data) == 3", "len(data) == 4")
    lines = [one for one in trained.run().outlines if one.startswith("::error")]
    assert len(lines) == 2, lines
    assert "title=test_data failed" in lines[0]
    assert "title=6 runs blocked" in lines[1]
