"""Commands that keep the journal in order: void, purge, merge, export, import, doctor."""

from __future__ import annotations


def best(project) -> dict:
    (row,) = project.query(
        "select run_id, params ->> '$.C' as C from runs where status = 'passed' "
        "order by (metrics ->> '$.accuracy')::double desc limit 1"
    )
    return row


def test_a_void_run_trains_again_and_is_never_the_best(kepler, project):
    run = best(project)["run_id"]
    assert "C=10; mean of 2 runs" in kepler("report").stdout
    done = kepler("void", run[:10], "--why", "the labels were shifted")
    assert (done.returncode, done.stderr) == (0, "")
    assert run[:8] in done.stdout
    assert "C=10; mean of 2 runs" not in kepler("report").stdout
    assert project.query("select count(*) as n from runs where status <> 'void'") == [{"n": 3}]
    assert "void" in kepler("show", run).stdout
    result = project.run("-rA")
    assert result.stdout.str().count("TRAINED") == 1
    result.assert_outcomes(passed=2, skipped=3)


def test_a_void_run_needs_a_reason(kepler, project):
    run = best(project)["run_id"]
    assert kepler("void", run).returncode == 4
    assert kepler("void", run, "--why", " ").returncode == 4
    assert kepler("void", "ffff", "--why", "x").returncode == 4
    assert project.statuses() == ["passed"] * 4


def test_a_purged_run_is_gone_and_trains_again(kepler, project):
    run = best(project)["run_id"]
    project.run()  # a duplicate of each
    done = kepler("purge", run)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Purged: {run[:8]} with 1 duplicate")
    assert kepler("show", run).returncode == 4
    files = [file for file in (project.path / ".kepler").rglob("*") if file.is_file()]
    assert not [file for file in files if run.encode() in file.read_bytes()]
    assert project.run("-rA").stdout.str().count("TRAINED") == 1


def test_journals_of_several_jobs_come_together(kepler, project, tmp_path):
    project.run("--kepler-journal", "ci-1.duckdb", "-k", "1-0")
    project.run("--kepler-journal", "ci-2.duckdb", "--kepler-duplicates", "run")
    done = kepler("merge", "ci-1.duckdb", "ci-2.duckdb")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ci-2.duckdb: 4 new run(s), 0 known" in done.stdout
    assert "ci-2.duckdb: 0 new run(s), 4 known" in kepler("merge", "ci-2.duckdb").stdout
    assert kepler("merge", "nothing.duckdb").returncode == 4
    done = kepler("merge", "ci-1.duckdb", "--journal", "all.duckdb")
    assert "ci-1.duckdb" in done.stdout
    assert (project.path / "all.duckdb").exists()


def test_an_export_comes_back(kepler, project):
    done = kepler("export", "--format", "csv", "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert len((project.path / "out" / "runs.csv").read_text().splitlines()) == 5
    done = kepler("import", "out", "--journal", "again.duckdb")
    assert "out: 4 new run(s), 0 known" in done.stdout
    assert kepler("export", "out").returncode == 4
    assert kepler("import", "nowhere").returncode == 4


def test_the_doctor_says_what_it_found_and_repairs_it(kepler, project):
    done = kepler("doctor")
    assert done.returncode == 0
    assert "is healthy" in done.stdout
    file = project.path / ".kepler" / "journal.duckdb"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    done = kepler("doctor")
    assert done.returncode == 1
    assert "--repair would move it aside" in done.stdout
    assert kepler("doctor", "--repair").returncode == 0
    assert list(file.parent.glob("journal.damaged-*.duckdb"))
    assert kepler("doctor", "--format", "json").stdout == "[]\n"
