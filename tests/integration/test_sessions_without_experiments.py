"""Who has no experiment pays nothing: no import, no file, no line."""

from __future__ import annotations

import sys


def test_nothing_is_imported_written_or_printed(project):
    project.write(
        "test_plain.py",
        """
        import sys
        import pytest

        @pytest.mark.sanity
        def test_nothing_heavy_is_loaded():
            loaded = {"duckdb", "numpy", "pandas", "sklearn", "keras", "xxhash"} & set(sys.modules)
            assert not loaded
            ours = {name for name in sys.modules if name.startswith("pytest_kepler")}
            assert ours <= {
                "pytest_kepler", "pytest_kepler.plugin", "pytest_kepler.options",
                "pytest_kepler.errors", "pytest_kepler.harness", "pytest_kepler.harness.stash",
                "pytest_kepler.harness.settings", "pytest_kepler.hookspecs",
            }, ours
        """,
    )
    result = project.run()
    result.assert_outcomes(passed=1)
    assert "kepler" not in "\n".join(
        line for line in result.stdout.str().splitlines() if not line.startswith("plugins:")
    )
    assert not (project.path / ".kepler").exists()


def test_the_controller_of_workers_is_silent_too(project):
    project.write("test_plain.py", "def test_one():\n    pass\n")
    result = project.run("-n", "1")
    result.assert_outcomes(passed=1)
    assert not (project.path / ".kepler").exists()


def test_the_package_is_imported_without_heavy_libraries():
    import subprocess

    code = (
        "import sys, pytest_kepler.plugin; "
        "print(sorted({'duckdb', 'numpy', 'pandas', 'sklearn', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_explicit_experiments_run_only_when_named(project):
    project.standard()
    project.write("pytest.ini", "[pytest]\nkepler_experiments = explicit\n")
    left_out = project.run("-s")
    assert "TRAINED" not in left_out.stdout.str()
    assert "4 experiment runs left out" in left_out.stdout.str()
    for arguments, n_trained in [
        (("-m", "experiment"), 4),
        (("-k", "test_fit", "--kepler-duplicates=run"), 4),
        (("test_train.py::test_fit[1-0]", "--kepler-duplicates=run"), 1),
        (("--kepler-run", "--kepler-duplicates=run"), 4),
        (("-m", "not slow", "--kepler-duplicates=run"), 0),
    ]:
        result = project.run("-s", *arguments)
        assert result.stdout.str().count("TRAINED") == n_trained, arguments
