"""What cannot be read, or not twice alike, gets a sentence and never a wrong skip."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPERIMENT = """
    import pytest

    @pytest.mark.experiment(metric="score", gate=False)
    def test_fit(experiment, subject):
        print("TRAINED")
        experiment.log(score=1)
"""
#: What no message to a user may have in it.
OURS = ("Traceback", "INTERNALERROR", "site-packages/pytest_kepler", "pytest_kepler/")


def one_fixture(project, body: str, *, scope: str = "session", before: str = "") -> None:
    """Write an experiment on one fixture, whose body is `body`."""
    lines = [
        "import pytest",
        *before.strip("\n").splitlines(),
        "",
        f"@pytest.fixture(scope={scope!r})",
        "def subject():",
        *(f"    {line}" for line in body.strip("\n").splitlines()),
    ]
    (project.path / "conftest.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    project.write("test_train.py", EXPERIMENT)


def run(project, *arguments: str) -> tuple[int, str]:
    """Run pytest; return how often it trained, and all that it printed."""
    result = project.run("-s", *arguments)
    text = result.stdout.str() + result.stderr.str()
    for word in OURS:
        assert word not in text, text
    return result.stdout.str().count("TRAINED"), text


def why_new(project) -> list[str]:
    rows = project.query("select why_new from runs where status = 'passed' order by started_at")
    return [row["why_new"] for row in rows]


# Fixtures that fail


@pytest.mark.parametrize("scope", ["function", "session"])
def test_a_fixture_that_raises_is_an_error_and_runs_once_mended(project, scope):
    one_fixture(project, "raise OSError('the disk is gone')", scope=scope)
    trained, text = run(project)
    assert trained == 0
    assert "OSError: the disk is gone" in text
    assert project.statuses() == ["error"]
    assert run(project)[0] == 0
    one_fixture(project, "return [1]", scope=scope)
    assert run(project)[0] == 1
    assert run(project)[0] == 0


@pytest.mark.parametrize("scope", ["function", "session"])
def test_a_fixture_that_raises_as_it_goes_is_an_error(project, scope):
    one_fixture(project, "yield [1]\nraise OSError('cannot be closed')", scope=scope)
    trained, text = run(project)
    assert trained == 1
    assert "OSError: cannot be closed" in text
    assert project.statuses() == ["error"]
    assert run(project)[0] == 1


def test_a_fixture_that_exits_the_session_leaves_nothing_to_skip(project):
    one_fixture(project, "pytest.exit('enough', returncode=3)")
    trained, text = run(project)
    assert trained == 0
    assert "enough" in text
    one_fixture(project, "return [1]")
    assert run(project)[0] == 1


def test_fixtures_that_need_each_other_are_pytests_error_and_nothing_is_recorded_as_passed(project):
    project.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture
        def subject(other):
            return 1

        @pytest.fixture
        def other(subject):
            return 2
        """,
    )
    project.write("test_train.py", EXPERIMENT)
    trained, text = run(project)
    assert trained == 0
    assert "recursive dependency involving fixture" in text
    assert project.statuses() == ["error"]


# Needs


def test_experiments_that_need_each_other_are_told_that_a_need_is_a_sanity_test(project):
    project.write(
        "test_train.py",
        """
        import pytest

        @pytest.mark.experiment(needs=["test_second"])
        def test_first(experiment):
            print("TRAINED")

        @pytest.mark.experiment(needs=["test_first"])
        def test_second(experiment):
            print("TRAINED")
        """,
    )
    result = project.run("-s")
    text = result.stdout.str() + result.stderr.str()
    assert result.ret == 4
    assert "TRAINED" not in text
    assert "test_second" in text
    assert "sanity" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("mark", ["experiment", "experiment(needs=['test_both'])"])
@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_a_sanity_test_that_is_an_experiment_too_is_refused(project, mark, workers):
    project.write(
        "test_train.py",
        f"""
        import pytest

        @pytest.mark.sanity
        @pytest.mark.{mark}
        def test_both(experiment):
            print("TRAINED")
        """,
    )
    result = project.run("-s", *workers)
    text = result.stdout.str() + result.stderr.str()
    assert result.ret == 4
    assert "test_both is marked as a sanity test and as an experiment" in text
    assert "Traceback" not in text
    assert "TRAINED" not in text


def test_an_experiment_in_a_module_of_sanity_tests_is_an_experiment(project):
    project.write(
        "test_train.py",
        """
        import pytest

        pytestmark = pytest.mark.sanity

        def test_rule():
            pass

        @pytest.mark.experiment
        def test_fit(experiment):
            pass
        """,
    )
    project.run().assert_outcomes(passed=2)
    assert project.statuses() == ["passed"]


def test_a_need_that_matches_several_functions_names_them(project):
    for name in ("one", "two"):
        project.write(
            f"{name}/test_{name}.py",
            "import pytest\n\n@pytest.mark.sanity\ndef test_rule():\n    pass\n",
        )
    project.write(
        "test_train.py",
        """
        import pytest

        @pytest.mark.experiment(needs=["test_rule"])
        def test_fit(experiment):
            print("TRAINED")
        """,
    )
    result = project.run("-s")
    text = result.stdout.str() + result.stderr.str()
    assert result.ret == 4
    assert "one/test_one.py::test_rule" in text
    assert "two/test_two.py::test_rule" in text
    assert "TRAINED" not in text


def test_a_need_with_several_cases_needs_them_all(project):
    project.write(
        "test_train.py",
        """
        import pytest

        @pytest.mark.sanity
        @pytest.mark.parametrize("n", [1, 2])
        def test_rule(n, tmp_path):
            assert n == 1

        class TestAway:
            @pytest.mark.experiment(needs=["test_rule"])
            def test_fit(self, experiment):
                print("TRAINED")
        """,
    )
    assert run(project, "-k", "test_fit")[0] == 0
    assert project.statuses() == ["blocked"]


# Objects that fight back

HOSTILE = {
    "eq": "def __eq__(self, other): raise RuntimeError('no eq')\n    __hash__ = None",
    "hash": "def __hash__(self): raise RuntimeError('no hash')",
    "reduce": "def __reduce_ex__(self, protocol): raise RuntimeError('no reduce')",
    "getstate": "def __getstate__(self): raise RuntimeError('no state')",
    "repr": "def __repr__(self): raise RuntimeError('no repr')",
    "bool": "def __bool__(self): raise RuntimeError('no truth')",
    "getattr": "def __getattr__(self, name): raise RuntimeError('no attribute')",
    "len": "def __len__(self): raise RuntimeError('no length')",
    "array": "def __array__(self, *a, **k): raise RuntimeError('no array')",
    "class": "@property\n    def __class__(self): raise RuntimeError('no class')",
}


def hostile_classes() -> str:
    return "\n".join(
        f"class {name.title()}:\n    def __init__(self, size=1): self.size = size\n    {method}\n"
        for name, method in HOSTILE.items()
    )


@pytest.mark.parametrize("scope", ["function", "session"])
def test_objects_whose_own_methods_raise_count_by_their_attributes(project, scope):
    made = ", ".join(f"'{name}': {name.title()}()" for name in HOSTILE)
    one_fixture(project, f"return {{{made}}}", before=hostile_classes(), scope=scope)
    assert run(project)[0] == 1
    assert run(project)[0] == 0
    project.replace("conftest.py", "'bool': Bool()", "'bool': Bool(2)")
    assert run(project)[0] == 1


def test_such_objects_may_be_parameters(project):
    # pytest itself asks a parameter for its class.
    names = [name for name in HOSTILE if name != "class"]
    made = ", ".join(f"pytest.param(things.{name.title()}(), id='{name}')" for name in names)
    project.write("pytest.ini", "[pytest]\npythonpath = .\n")
    project.write("things.py", hostile_classes())
    project.write(
        "test_train.py",
        f"""
        import pytest
        import things

        THINGS = [{made}]

        @pytest.fixture
        def subject():
            return 1

        @pytest.mark.sanity
        @pytest.mark.parametrize("thing", THINGS)
        def test_gate(subject, thing):
            pass

        @pytest.mark.experiment(metric="score")
        @pytest.mark.parametrize("thing", THINGS)
        def test_fit(experiment, subject, thing):
            print("TRAINED")
            experiment.log(score=1)
        """,
    )
    assert run(project)[0] == len(names)
    assert run(project)[0] == 0
    project.replace("test_train.py", "things.Bool()", "things.Bool(2)")
    assert run(project)[0] == 1


@pytest.mark.parametrize(
    "error", ["RuntimeError('boom')", "Silent()"], ids=["error", "error-without-words"]
)
def test_a_declaration_that_raises_is_never_guessed_at(project, error):
    before = (
        "class Silent(Exception):\n"
        "    def __str__(self): raise RuntimeError\n"
        "class Hostile:\n"
        f"    def __kepler_fingerprint__(self): raise {error}\n"
    )
    one_fixture(project, "return Hostile()", before=before)
    for _ in range(2):
        trained, _text = run(project)
        assert trained == 1
    told = why_new(project)
    assert all("subject" in one and "__kepler_fingerprint__" in one for one in told), told


def test_a_hook_that_raises_is_never_guessed_at(project):
    one_fixture(
        project,
        "return Thing()",
        before=(
            "class Thing: pass\ndef pytest_kepler_fingerprint(value): raise OSError('no hook')\n"
        ),
    )
    for _ in range(2):
        trained, text = run(project)
        assert trained == 1
    assert "no hook" in text


# Values that hold themselves

CIRCULAR = {
    "list": "value = [1]\nvalue.append(value)\nreturn value",
    "dict": "value = {'a': 1}\nvalue['me'] = value\nreturn value",
    "object": "value = Node()\nvalue.n, value.me = 1, [value]\nreturn value",
    "array": (
        "import numpy as np\nvalue = np.empty(2, dtype=object)\nvalue[:] = [value, 1]\nreturn value"
    ),
}


@pytest.mark.parametrize("name", CIRCULAR)
def test_a_value_that_holds_itself_has_content(project, name):
    one_fixture(project, CIRCULAR[name], before="class Node: pass")
    assert run(project)[0] == 1
    assert run(project)[0] == 0
    project.replace("conftest.py", "1", "2")
    assert run(project)[0] == 1


def test_a_value_in_a_set_of_its_own_is_named_and_runs_each_time(project):
    one_fixture(
        project, "value = Node()\nvalue.all = {value}\nreturn value", before="class Node: pass"
    )
    assert run(project)[0] == 1
    assert run(project)[0] == 1
    assert all("subject" in one and "leads back" in one for one in why_new(project))


# Files


@pytest.fixture
def sparse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file that is large, and holds nothing."""
    path = tmp_path_factory.mktemp("sparse") / "sparse.bin"
    with path.open("wb") as file:
        file.truncate(20 * 2**30)
    if path.stat().st_blocks:
        path.unlink()
        pytest.skip("files are not sparse here")
    yield path
    path.unlink()


def test_a_mapped_array_of_20_gigabytes_takes_no_memory(sparse):
    # The reading is stopped early: what is looked at is memory, and that it can be stopped.
    script = (
        "import sys, numpy as np\nfrom pytest_kepler import fingerprint\n"
        "array = np.memmap(sys.argv[1], dtype='float64', mode='r')\n"
        "print('begun', flush=True)\nfingerprint(array)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, sparse], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        time.sleep(1.5)
        status = Path(f"/proc/{process.pid}/status")
        own = [one for one in status.read_text().splitlines() if one.startswith("RssAnon")]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert int(own[0].split()[1]) < 300_000  # kB
    assert b"KeyboardInterrupt" in errors


def test_a_session_that_reads_a_large_array_can_be_interrupted_and_skips_nothing_later(
    project, sparse
):
    one_fixture(
        project,
        f"import numpy as np\nreturn np.memmap({str(sparse)!r}, dtype='float64', mode='r')",
    )
    project.replace(
        "conftest.py", "    import numpy", "    print('BEGUN', flush=True)\n    import numpy"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-s"],
        cwd=project.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        while "BEGUN" not in process.stdout.readline():
            assert process.poll() is None
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        text, _ = process.communicate(timeout=60)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, text
    assert "INTERNALERROR" not in text
    assert "passed" not in project.statuses()


def test_a_file_that_changes_while_it_is_read_is_named_and_runs_each_time(project):
    # The file grows with each look at it, as one does that something else still writes.
    before = (
        "import os, pathlib\n"
        "path = pathlib.Path(__file__).parent / 'growing.bin'\n"
        "real = os.fstat\n"
        "def growing(descriptor):\n"
        "    found = real(descriptor)\n"
        "    if os.path.exists(path) and os.path.samestat(found, os.stat(path)):\n"
        "        with open(path, 'ab') as file:\n"
        "            file.write(b'x')\n"
        "    return found\n"
    )
    one_fixture(
        project, "path.write_bytes(b'x' * 100)\nos.fstat = growing\nreturn path", before=before
    )
    for _ in range(2):
        assert run(project)[0] == 1
    told = why_new(project)
    assert all("subject" in one and "changes while it is read" in one for one in told), told


def test_a_file_that_goes_while_it_is_used_is_told_and_the_run_stands_on_what_it_was(project):
    one_fixture(
        project,
        "path = folder / 'data.bin'\npath.write_bytes(b'1')\nreturn path",
        before="import pathlib\nfolder = pathlib.Path(__file__).parent",
    )
    project.replace("test_train.py", 'print("TRAINED")', 'print("TRAINED")\n    subject.unlink()')
    trained, text = run(project)
    assert trained == 1
    assert "test_train.py::test_fit changed the shared fixture 'subject' in place" in text
    assert run(project)[0] == 0
    project.replace("conftest.py", "b'1'", "b'2'")
    assert run(project)[0] == 1


@pytest.fixture
def unprivileged() -> list[str]:
    """What to put before a command so that it may not read everything, as root may."""
    if os.geteuid() != 0:
        return []
    command = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    if (
        shutil.which("setpriv") is None
        or subprocess.run([*command, "true"], check=False).returncode
    ):
        pytest.skip("root reads everything")
    return command


@pytest.mark.parametrize("locked", ["data", "data/inner", "data/inner/a.csv"])
def test_what_may_not_be_read_is_named_and_runs_each_time(project, unprivileged, locked):
    one_fixture(project, "return pathlib.Path(__file__).parent / 'data'", before="import pathlib")
    project.write("data/inner/a.csv", "1\n")
    path = project.path / locked
    path.chmod(0)
    try:
        for _ in range(2):
            done = subprocess.run(
                [*unprivileged, sys.executable, "-m", "pytest", "-s", "test_train.py"],
                cwd=project.path,
                capture_output=True,
                text=True,
                check=False,
            )
            text = done.stdout + done.stderr
            assert done.stdout.count("TRAINED") == 1, text
            assert "Traceback" not in text
            assert "INTERNALERROR" not in text
    finally:
        path.chmod(0o700)
    told = why_new(project)
    assert all("subject" in one and "Permission denied" in one for one in told), told


# Size and names


def test_a_dict_of_a_million_keys_is_content(project):
    one_fixture(project, "return {f'key {n}': n for n in range(10**6)}")
    assert run(project)[0] == 1
    project.replace("conftest.py", "n for n in", "(n if n != 999 else 0) for n in")
    assert run(project)[0] == 1


def test_names_in_any_script_are_names(project):
    project.write(
        "données/test_größe.py",
        """
        import pytest

        @pytest.fixture
        def データ():
            return {"größe": [1, 2], "\\ud83d\\ude00": 3}

        @pytest.mark.sanity
        def test_prüfung(データ):
            assert データ

        @pytest.mark.experiment(metric="genauigkeit_ä")
        @pytest.mark.parametrize("größe", ["klein ☃", "\\u4e2d\\u6587", "e\\u0301", "\\u00e9"])
        def test_größe(experiment, データ, größe):
            "Größe hilft: наверное."
            print("TRAINED")
            experiment.log({"genauigkeit_ä": len(größe)})
        """,
    )
    assert run(project)[0] == 4
    assert run(project)[0] == 0
    rows = project.query("select hypothesis, node_id from runs where status = 'passed'")
    assert {row["hypothesis"] for row in rows} == {"Größe hilft: наверное."}
    assert len({row["node_id"] for row in rows}) == 4


def test_texts_that_no_encoding_has_are_content(project):
    one_fixture(project, "return ['\\ud800', 'a\\0b', b'\\xff']")
    project.replace("test_train.py", "experiment, subject", "experiment, subject, word")
    project.replace(
        "test_train.py",
        "@pytest.mark.experiment",
        "@pytest.mark.parametrize('word', ['\\udcff', 'b'], ids=['a', 'b'])\n"
        "@pytest.mark.experiment",
    )
    assert run(project)[0] == 2
    assert run(project)[0] == 0
    assert sorted(set(project.statuses())) == ["duplicate", "passed"]


def test_a_file_whose_name_no_encoding_has_is_read(project):
    folder = project.path / "data"
    folder.mkdir()
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.csv")).write_text("1")
    except OSError:
        pytest.skip("the file system refuses such names")
    one_fixture(
        project,
        "return pathlib.Path(__file__).parent / 'data'",
        before="import pathlib",
    )
    assert run(project)[0] == 1
    assert run(project)[0] == 0
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.csv")).write_text("2")
    assert run(project)[0] == 1
