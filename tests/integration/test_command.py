"""The command `kepler` and pytest's options give the same answers."""

from __future__ import annotations

import json

import pytest


def test_the_report_names_the_experiment_its_hypothesis_and_its_best(kepler, project):
    done = kepler("report")
    assert done.returncode == 0
    for words in ("test_fit", "A larger C is better.", "0.555", "C"):
        assert words in done.stdout
    option = project.run("--kepler-report", "-n", "2", "no/such/file.py")
    assert option.ret == 0
    assert "A larger C is better." in option.stdout.str()
    assert "test session starts" not in option.stdout.str()


def test_the_report_is_json_and_markdown_too(kepler):
    report = json.loads(kepler("report", "--format", "json").stdout)
    assert report["experiments"][0]["experiment"] == "test_train.py::test_fit"
    assert "| " in kepler("report", "--format", "markdown").stdout


def test_a_query_prints_rows_and_nothing_else_as_json(kepler):
    done = kepler(
        "query", "select seed, params, metrics from runs order by node_id", "--format", "json"
    )
    rows = json.loads(done.stdout)
    assert rows[0] == {"seed": 0, "params": {"C": 1, "seed": 0}, "metrics": {"accuracy": 0.505}}
    assert len(rows) == 4


def test_a_filter_reads_parameters_and_metrics_as_columns(kepler, project):
    done = kepler("where", "C > 5 and accuracy > .5 order by accuracy desc", "--format", "json")
    rows = json.loads(done.stdout)
    assert [row["accuracy"] for row in rows] == [0.56, 0.55]
    option = project.run("--kepler-where", "C > 5 and seed = 0")
    assert option.ret == 0
    assert "0.55" in option.stdout.str()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("where", "acuracy > 1"), ["acuracy", "accuracy"]),
        (("query", "select run from runs"), ["run"]),
        (("query", "delete from runs"), ["read"]),
        (("query", "select 1; select 2"), ["one statement"]),
        (("query", "select * from read_csv('/etc/passwd')"), []),
        (("show", "ffffffffffff"), ["No run has an id"]),
        (("note", "test_train.py::test_fitt", "text"), ["did you mean", "test_fit"]),
        (("note", "test_train.py::test_fit", "  "), ["empty"]),
        (("check", "K9999"), ["K9999"]),
        (("check", "nothing.csv"), ["no file"]),
        (("reprot",), ["invalid choice"]),
    ],
)
def test_a_mistake_is_a_sentence_and_exit_status_4(kepler, arguments, words):
    done = kepler(*arguments)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr


def test_a_note_is_found_shown_and_searched(kepler, project):
    run = project.query("select run_id from runs limit 1")[0]["run_id"]
    assert kepler("note", "test_train.py::test_fit", "a larger C did help").returncode == 0
    assert kepler("note", run[:10], "a lucky seed").returncode == 0
    assert "a lucky seed" in kepler("show", run[:10]).stdout
    assert "test_fit" in kepler("search", "larger help").stdout
    assert "Nothing" in kepler("search", "dropout").stdout
    assert kepler("note", "test_fit", "by its name alone").returncode == 0
    unknown = kepler("note", "test_fti", "?")
    assert unknown.returncode == 4
    notes = project.query("select text from notes where text not like 'by%' order by noted_at")
    assert [note["text"] for note in notes] == ["a larger C did help", "a lucky seed"]


def test_show_has_the_procedure(kepler, project):
    run = project.query("select run_id from runs where seed = 1 limit 1")[0]["run_id"]
    text = kepler("show", run).stdout
    for words in ("A larger C is better.", "def score", "accuracy", "python", "seed"):
        assert words in text


def test_every_command_has_help_with_an_example(kepler):
    for command in ("report", "query", "where", "search", "show", "note", "check"):
        done = kepler(command, "--help")
        assert done.returncode == 0
        assert "example:\n  kepler" in done.stdout


def test_a_check_is_explained_and_a_file_is_checked(kepler, project):
    assert "Why it matters" in kepler("check", "K304").stdout
    project.write("data.csv", "a,b,y\n" + "".join(f"{n},{n % 7},{n % 2}\n" for n in range(60)))
    assert kepler("check", "data.csv", "--target", "y").returncode == 0
    wrong = kepler("check", "data.csv", "--target", "z")
    assert wrong.returncode == 4
    assert "'z'" in wrong.stderr
    project.write("bad.csv", "a,b,y\n" + "".join(f"{n},{n % 2},{n % 2}\n" for n in range(60)))
    bad = kepler("check", "bad.csv", "--target", "y")
    assert bad.returncode == 1
    assert "K309" in bad.stdout


def test_a_journal_that_is_not_there_reads_as_empty(project):
    result = project.run("--kepler-report")
    assert result.ret == 0
    assert "no runs yet" in " ".join(result.stdout.str().split())
    assert not (project.path / ".kepler").exists()


def test_the_journal_is_found_from_a_folder_below(kepler, project):
    (project.path / "sub" / "deeper").mkdir(parents=True)
    done = kepler("report", folder="sub/deeper")
    assert done.returncode == 0, done.stderr
    assert "test_fit" in done.stdout


def test_a_report_is_written_as_markdown_beside_the_session(project):
    project.standard()
    project.run("--kepler-markdown", "out/report.md")
    assert "test_fit" in (project.path / "out" / "report.md").read_text()


def test_a_notebook_reads_the_same_journal(kepler, project, monkeypatch):
    import pytest_kepler

    monkeypatch.chdir(project.path)
    journal = pytest_kepler.open_journal()
    assert len(journal.runs().fetchall()) == 4
    assert len(journal.runs("C > 5").df()) == 2
    assert journal.query("select max(value) from metrics").fetchall() == [(0.56,)]
    assert "<table" in journal.runs()._repr_html_()
