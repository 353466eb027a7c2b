"""Beside other plugins nothing changes: gates come first, runs are done once, failures block."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

#: By the module that must be there: the name to switch it off by, and a use of it.
NEIGHBOURS = {
    "pytest_randomly": ("randomly", "--randomly-seed=3"),
    "random_order": ("random_order", "--random-order-bucket=global --random-order-seed=3"),
    "pytest_asyncio": ("asyncio", "--asyncio-mode=auto"),
    "pytest_timeout": ("timeout", "--timeout=300 --timeout-method=signal"),
    "pytest_cov": ("pytest_cov", "--cov=helpers --cov-report="),
    "anyio": ("anyio", ""),
    "pytest_subtests": ("subtests", ""),
    "pytest_rerunfailures": ("rerunfailures", "--reruns=1"),
    "xdist": ("xdist", "-n 2"),
    "pytest_mock": ("pytest_mock", ""),
    "pytest_benchmark": ("benchmark", "--benchmark-disable"),
    "syrupy": ("syrupy", ""),
}
#: Each for itself, those that only bring fixtures together.
TOGETHER = [
    ("pytest_randomly",),
    ("random_order",),
    ("pytest_asyncio", "anyio"),
    ("pytest_timeout",),
    ("pytest_cov",),
    ("pytest_rerunfailures",),
    ("xdist",),
    ("pytest_mock", "pytest_benchmark"),
]
#: pytest has subtests of its own since 9.0, under the name of the plugin.
HAS_SUBTESTS = hasattr(pytest, "Subtests")

CONFTEST = """
    import os

    import numpy as np
    import pytest

    def write(text):
        with open(os.environ["TRACE"], "a") as file:
            file.write(text + "\\n")

    @pytest.fixture
    def trace(request):
        write(f"began {request.node.nodeid}")
        return lambda: write(f"done {request.node.nodeid}")

    @pytest.fixture(scope="session", params=["first", "second"])
    def dataset(request):
        return np.arange(6.0) + (request.param == "second")

    @pytest.fixture(scope="session")
    def digits():
        return np.ones((3, 2))
"""

GATES = """
    import pytest

    @pytest.mark.sanity
    def test_gate(dataset, trace):
        assert dataset.max() < 100
        trace()

    @pytest.mark.sanity
    def test_gate_of_digits(digits, trace):
        assert digits.shape == (3, 2)
        trace()
"""

TRAINING = """
    import pytest
    import helpers

    @pytest.mark.experiment(metric="score", at_least=1)
    @pytest.mark.parametrize("lr", [1, 2])
    def test_fit(experiment, dataset, lr, trace):
        experiment.log(score=helpers.score(lr))
        trace()

    @pytest.mark.experiment(metric="score")
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_fit_digits(experiment, digits, seed, trace):
        experiment.log(score=seed)
        trace()

    def test_plain(digits):
        assert digits.any()
"""


class Lab:
    """A project beside one plugin, with the others out of the way."""

    def __init__(self, project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.project = project
        self.path: Path = project.path
        # Outside of the project: what a run leaves must not be a file of the project's.
        self.trace = project.path.parent / f"{project.path.name}.trace"
        monkeypatch.setenv("TRACE", str(self.trace))
        monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
        self.others: list[str] = []
        project.write("conftest.py", CONFTEST)
        project.write("helpers.py", "def score(lr):\n    return lr\n")
        project.write("test_gates.py", GATES)
        project.write("test_train.py", TRAINING)

    def beside(self, *modules: str) -> Lab:
        """Keep these plugins and switch the other neighbours off."""
        for module in modules:
            pytest.importorskip(module)
        self.others = []
        for module, (name, _) in NEIGHBOURS.items():
            if module not in modules and not (name == "subtests" and HAS_SUBTESTS):
                self.others += ["-p", f"no:{name}"]
        if "xdist" not in modules:
            self.others += ["-p", "no:xdist.looponfail"]
        return self

    def only(self, text: str) -> Lab:
        """Have one file of tests alone."""
        (self.path / "test_gates.py").unlink(missing_ok=True)
        self.project.write("test_train.py", text)
        return self

    def run(self, *arguments: str) -> pytest.RunResult:
        self.trace.write_text("")
        result: pytest.RunResult = self.project.run(*self.others, *arguments)
        text = result.stdout.str() + result.stderr.str()
        assert "INTERNALERROR" not in text, text
        return result

    def lines(self) -> list[str]:
        return self.trace.read_text(encoding="utf-8").splitlines()

    def trained(self) -> list[str]:
        done = [line[5:] for line in self.lines() if line.startswith("done ")]
        return [name for name in done if "gate" not in name]

    def assert_gates_came_first(self) -> None:
        """Each gate's body ran once, and before any experiment of its data.

        Another worker may set a gate's fixtures up, to see that its data is the same.
        """
        lines = self.lines()
        gates = [line for line in lines if line.startswith("done ") and "gate" in line]
        assert len(gates) == len(set(gates)) == 3, lines
        passed: set[str] = set()
        for line in lines:
            word, _, node_id = line.partition(" ")
            data = next((one for one in ("first", "second") if one in node_id), "digits")
            if "gate" not in node_id:
                assert data in passed, lines
            elif word == "done":
                passed.add(data)


@pytest.fixture
def lab(project, monkeypatch):
    return Lab(project, monkeypatch)


def outcomes(result: pytest.RunResult) -> dict[str, int]:
    found: dict[str, int] = result.parseoutcomes()
    for name in ("deselected", "warnings", "warning"):
        found.pop(name, None)
    return found


# Each plugin, the whole way


@pytest.mark.parametrize("modules", TOGETHER, ids="-".join)
def test_beside_a_plugin_runs_are_done_once_and_a_failing_gate_blocks(lab, modules):
    arguments = [one for module in modules for one in NEIGHBOURS[module][1].split()]
    lab.beside(*modules)
    first = lab.run(*arguments)
    assert outcomes(first) == {"passed": 11}, first.stdout.str()
    assert first.ret == 0
    assert len(lab.trained()) == 7
    lab.assert_gates_came_first()

    second = lab.run(*arguments)
    assert outcomes(second) == {"passed": 4, "skipped": 7}, second.stdout.str()
    assert second.ret == 0
    assert lab.trained() == []
    lab.assert_gates_came_first()

    lab.project.replace("conftest.py", "np.arange(6.0) +", "np.arange(6.0) + 99 *")
    blocked = lab.run("-m", "experiment", *arguments)
    found = outcomes(blocked)
    found.pop("rerun", None)
    assert found == {"passed": 2, "failed": 1, "skipped": 5, "blocked": 2}, blocked.stdout.str()
    assert blocked.ret == 1
    assert lab.trained() == []
    assert sorted(set(lab.project.statuses())) == ["blocked", "duplicate", "passed"]

    lab.project.replace("test_train.py", "at_least=1", "at_least=9")
    lab.project.replace("conftest.py", "+ 99 *", "+")
    missed = lab.run(*arguments)
    assert missed.ret == 1
    assert outcomes(missed) == {"passed": 4, "failed": 1, "skipped": 7}
    assert "score 2 misses at_least=9" in missed.stdout.str()


def test_beside_all_of_them_at_once_a_run_is_done_once(lab):
    modules = [module for modules in TOGETHER for module in modules]
    lab.beside(*modules)
    arguments = [one for module in modules for one in NEIGHBOURS[module][1].split()]
    assert outcomes(lab.run(*arguments)) == {"passed": 11}
    lab.assert_gates_came_first()
    assert outcomes(lab.run(*arguments)) == {"passed": 4, "skipped": 7}


# Order


@pytest.mark.parametrize(
    ("seed", "workers"), [(1, ()), (2, ()), (3, ("-n", "2"))], ids=["one", "two", "xdist"]
)
@pytest.mark.parametrize(
    ("module", "option"),
    [
        ("pytest_randomly", "--randomly-seed={}"),
        ("random_order", "--random-order-bucket=global --random-order-seed={}"),
    ],
    ids=["randomly", "random-order"],
)
def test_in_any_order_a_gate_comes_before_what_it_guards(lab, module, option, seed, workers):
    lab.beside(module, *(["xdist"] if workers else []))
    result = lab.run(*option.format(seed).split(), *workers)
    assert outcomes(result) == {"passed": 11}
    lab.assert_gates_came_first()


def test_in_another_order_the_same_runs_are_duplicates(lab):
    lab.beside("pytest_randomly")
    lab.run("--randomly-seed=1")
    assert outcomes(lab.run("--randomly-seed=2")) == {"passed": 4, "skipped": 7}


def test_the_seed_of_a_run_is_its_own_and_not_the_shuffler_s(lab):
    lab.beside("pytest_randomly").only(
        """
        import random
        import numpy as np
        import pytest

        @pytest.fixture
        def weights():
            return np.random.normal(size=3)

        @pytest.mark.experiment(metric="drawn")
        def test_draw(experiment, weights, trace):
            experiment.log(drawn=random.random() + np.random.random())
            trace()
        """
    )
    lab.run("--randomly-seed=1")
    lab.run("--randomly-seed=2", "--kepler-duplicates=run")
    sql = "select distinct identity, metrics.drawn as drawn from runs"
    assert len(lab.project.query(sql)) == 1
    assert outcomes(lab.run("--randomly-seed=3")) == {"skipped": 1}


# Coroutines

ASYNC = """
    import asyncio
    import pytest

    {mark}
    @pytest.mark.sanity
    async def test_gate(digits, trace):
        await asyncio.sleep(0)
        assert digits.shape == (3, {width})
        trace()

    {mark}
    @pytest.mark.experiment(metric="score", at_least=1)
    @pytest.mark.parametrize("lr", [1, 2])
    async def test_fit(experiment, digits, lr, trace):
        await asyncio.sleep(0)
        experiment.log(score=lr)
        trace()
"""
_RUNNERS = [
    ("pytest_asyncio", "@pytest.mark.asyncio", ()),
    ("pytest_asyncio", "", ("--asyncio-mode=auto",)),
    ("anyio", "@pytest.mark.anyio", ()),
]


def text_of(mark: str, width: int) -> str:
    lines = ASYNC.format(mark=mark, width=width).splitlines()
    return "\n".join(line for line in lines if line.strip() or not line)


@pytest.fixture
def one_backend(lab):
    path = lab.path / "conftest.py"
    path.write_text(
        path.read_text() + "\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
    )


@pytest.mark.parametrize(("module", "mark", "arguments"), _RUNNERS, ids=["strict", "auto", "anyio"])
def test_a_coroutine_is_an_experiment_and_is_run_once(lab, one_backend, module, mark, arguments):
    lab.beside(module).only(text_of(mark, 2))
    assert outcomes(lab.run(*arguments)) == {"passed": 3}
    assert len(lab.trained()) == 2
    assert outcomes(lab.run(*arguments)) == {"passed": 1, "skipped": 2}
    assert lab.trained() == []
    rows = lab.project.query("select metrics.score as score from runs where status = 'passed'")
    assert sorted(row["score"] for row in rows) == [1, 2]


@pytest.mark.parametrize(("module", "mark", "arguments"), _RUNNERS, ids=["strict", "auto", "anyio"])
def test_a_gate_that_is_a_coroutine_blocks(lab, one_backend, module, mark, arguments):
    lab.beside(module).only(text_of(mark, 3))
    result = lab.run("-m", "experiment", *arguments)
    assert outcomes(result) == {"failed": 1, "blocked": 2}
    assert lab.trained() == []


@pytest.mark.parametrize(("module", "mark", "arguments"), _RUNNERS, ids=["strict", "auto", "anyio"])
def test_a_coroutine_that_was_edited_runs_again(lab, one_backend, module, mark, arguments):
    lab.beside(module).only(text_of(mark, 2))
    lab.run(*arguments)
    lab.project.replace("test_train.py", "score=lr", "score=lr + 1")
    assert outcomes(lab.run(*arguments)) == {"passed": 3}
    assert "test_fit" in str(lab.project.query("select why_new from runs where why_new != ''"))


def test_the_data_of_an_asynchronous_fixture_counts_by_content(lab):
    lab.beside("pytest_asyncio").only(
        """
        import pytest
        import pytest_asyncio

        @pytest_asyncio.fixture(scope="session", loop_scope="session")
        async def fetched():
            yield [1, 2, 3]

        @pytest.mark.asyncio(loop_scope="session")
        @pytest.mark.experiment(metric="score")
        async def test_fit(experiment, fetched, trace):
            experiment.log(score=sum(fetched))
            trace()
        """
    )
    assert outcomes(lab.run()) == {"passed": 1}
    assert outcomes(lab.run()) == {"skipped": 1}
    lab.project.replace("test_train.py", "[1, 2, 3]", "[1, 2, 4]")
    assert outcomes(lab.run()) == {"passed": 1}


def test_each_backend_of_anyio_is_a_case_of_its_own(lab):
    pytest.importorskip("trio")
    lab.beside("anyio").only(
        """
        import pytest

        @pytest.mark.anyio
        @pytest.mark.experiment(metric="score")
        async def test_fit(experiment, digits, trace):
            experiment.log(score=1)
            trace()
        """
    )
    assert outcomes(lab.run()) == {"passed": 2}
    assert outcomes(lab.run()) == {"skipped": 2}


# Time limits

HANGING_GATE = """
    import time
    import pytest

    @pytest.mark.timeout(1)
    @pytest.mark.sanity
    def test_gate(digits):
        time.sleep(30)

    @pytest.mark.experiment(metric="score")
    def test_fit(experiment, digits, trace):
        experiment.log(score=1)
        trace()
"""


def test_a_gate_that_hangs_blocks_and_its_limit_is_the_reason(lab):
    lab.beside("pytest_timeout").only(HANGING_GATE)
    result = lab.run("-m", "experiment", "--timeout-method=signal")
    assert outcomes(result) == {"failed": 1, "blocked": 1}
    assert lab.trained() == []
    assert "1 run: test_gate failed (Timeout (>1.0s)" in result.stdout.str()
    assert lab.project.statuses() == ["blocked"]


def test_a_gate_whose_limit_ends_the_process_lets_nothing_train(lab):
    lab.beside("pytest_timeout").only(HANGING_GATE)
    result = lab.run("-m", "experiment", "--timeout-method=thread")
    assert result.ret != 0
    assert lab.trained() == []
    assert lab.project.query("select status from runs") == []


def test_a_gate_whose_limit_ends_a_worker_blocks(lab):
    lab.beside("pytest_timeout", "xdist").only(HANGING_GATE)
    result = lab.run("-m", "experiment", "--timeout-method=thread", "-n", "2")
    assert result.ret == 1
    assert lab.trained() == []
    # Where the experiment's own worker took the gate, xdist reports the experiment as crashed.
    crashed = "crashed while running 'test_train.py::test_fit'" in result.stdout.str()
    assert lab.project.statuses() == ([] if crashed else ["blocked"])


def test_a_run_whose_limit_ends_the_process_is_crashed_and_runs_again(lab):
    lab.beside("pytest_timeout").only(
        """
        import time
        import pytest
        import helpers

        @pytest.mark.experiment(metric="score")
        def test_fit(experiment, digits, trace):
            experiment.log(score=1)
            time.sleep(float(open("seconds.txt").read()))
            trace()
        """
    )
    (lab.path / "seconds.txt").write_text("30")
    lab.run("--timeout=1", "--timeout-method=thread")
    assert lab.project.statuses() == ["crashed"]
    (lab.path / "seconds.txt").write_text("0")
    assert outcomes(lab.run("--timeout=20", "--timeout-method=thread")) == {"passed": 1}


# Coverage


def coverage_of(lab: Lab, *arguments: str) -> dict[str, list[int]]:
    result = lab.run("--cov=.", "--cov-branch", "--cov-report=json:cov.json", *arguments)
    assert "CoverageWarning" not in result.stdout.str(), result.stdout.str()
    report = json.loads((lab.path / "cov.json").read_text())
    return {name: one["executed_lines"] for name, one in report["files"].items()}


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_the_users_lines_are_counted_as_without_the_plugin(lab, workers):
    lab.beside("pytest_cov", *(["xdist"] if workers else []))
    (lab.path / "test_gates.py").unlink()
    lab.project.write(
        "test_train.py",
        """
        import helpers
        import pytest

        @pytest.mark.parametrize("lr", [1, 2])
        def test_score(digits, lr):
            assert helpers.score(lr) == lr
        """,
    )
    with_it = coverage_of(lab, *workers)
    without = coverage_of(lab, "-p", "no:kepler", *workers)
    assert with_it == without
    assert 2 in with_it["helpers.py"]


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_what_an_experiment_runs_is_counted_and_what_is_skipped_is_not(lab, workers):
    lab.beside("pytest_cov", *(["xdist"] if workers else []))
    assert 2 in coverage_of(lab, *workers)["helpers.py"]
    assert 2 not in coverage_of(lab, *workers)["helpers.py"]


# Subtests


@pytest.fixture
def with_subtests(lab):
    """Use pytest's own subtests, or the plugin where pytest has none."""
    return lab.beside(*(() if HAS_SUBTESTS else ("pytest_subtests",)))


SUBTESTS = """
    import pytest

    @pytest.mark.sanity
    def test_gate(digits, subtests, trace):
        for number in range(3):
            with subtests.test(number=number):
                assert number != {bad_gate}
        trace()

    @pytest.mark.experiment(metric="score")
    def test_fit(experiment, digits, subtests, trace):
        for number in range(3):
            with subtests.test(number=number):
                assert number != {bad_run}
        experiment.log(score=1)
        trace()
"""


def test_a_subtest_that_fails_in_a_gate_blocks(with_subtests):
    with_subtests.only(SUBTESTS.format(bad_gate=1, bad_run=-1))
    result = with_subtests.run("-m", "experiment")
    assert outcomes(result)["blocked"] == 1
    assert result.ret == 1
    assert with_subtests.trained() == []


def test_a_run_with_subtests_is_done_once(with_subtests):
    with_subtests.only(SUBTESTS.format(bad_gate=-1, bad_run=-1))
    with_subtests.run()
    assert len(with_subtests.trained()) == 1
    again = with_subtests.run()
    assert again.ret == 0
    assert with_subtests.trained() == []
    assert with_subtests.project.statuses() == ["passed", "duplicate"]


def test_a_unittest_subtest_that_fails_in_a_gate_blocks(lab):
    lab.beside(*(() if HAS_SUBTESTS else ("pytest_subtests",))).only(
        """
        import unittest
        import pytest

        class TestGate(unittest.TestCase):
            @pytest.mark.sanity
            def test_gate(self):
                for number in range(3):
                    with self.subTest(number=number):
                        self.assertNotEqual(number, 1)

        @pytest.mark.experiment(metric="score", needs=["test_gate"])
        def test_fit(experiment, digits, trace):
            experiment.log(score=1)
            trace()
        """
    )
    result = lab.run("-m", "experiment")
    assert outcomes(result).get("blocked") == 1, result.stdout.str()
    assert lab.trained() == []


# Reruns

FLAKY = """
    import os
    import pytest

    def fails_at_first(name):
        count = os.environ["TRACE"] + name
        with open(count, "a") as file:
            file.write("x")
        return os.path.getsize(count) == 1

    @pytest.mark.sanity
    def test_gate(digits):
        assert not fails_at_first("{gate}")

    @pytest.mark.experiment(metric="score", at_least=2)
    @pytest.mark.parametrize("lr", [1, 2])
    def test_fit(experiment, digits, lr, trace):
        experiment.log(score=lr)
        if lr == 2:
            assert not fails_at_first("{run}")
        trace()
"""


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_gate_that_passes_when_run_anew_opens(lab, workers):
    lab.beside("pytest_rerunfailures", *(["xdist"] if workers else []))
    lab.only(FLAKY.format(gate="gate", run="gate"))
    result = lab.run("--reruns=1", *workers)
    assert outcomes(result) == {"passed": 3, "rerun": 1}, result.stdout.str()
    assert result.ret == 0
    assert lab.project.statuses() == ["passed", "passed"]


# Fixtures of other plugins are no data

TOOLS = {
    "pytest_mock": "mocker",
    "pytest_benchmark": "benchmark",
    "pytest_cov": "cov",
    "xdist": "worker_id",
    "pytest_asyncio": "event_loop_policy",
}


@pytest.mark.parametrize("module", TOOLS)
def test_a_plugins_tool_does_not_make_a_run_new(lab, module):
    lab.beside(module).only(
        f"""
        import pytest

        @pytest.mark.experiment(metric="score")
        def test_fit(experiment, digits, {TOOLS[module]}, trace):
            experiment.log(score=1)
            trace()
        """
    )
    first = lab.run("-W", "ignore")
    assert outcomes(first) == {"passed": 1}, first.stdout.str()
    second = lab.run("-W", "ignore")
    assert outcomes(second) == {"skipped": 1}, second.stdout.str()


def test_a_benchmark_in_an_experiment_is_measured_and_the_run_is_done_once(lab):
    lab.beside("pytest_benchmark").only(
        """
        import pytest

        @pytest.mark.experiment(metric="score")
        def test_fit(experiment, digits, benchmark, trace):
            benchmark.pedantic(sum, args=([1, 2],), rounds=2)
            experiment.log(score=1)
            trace()
        """
    )
    assert outcomes(lab.run()) == {"passed": 1}
    assert outcomes(lab.run()) == {"skipped": 1}


# Reports


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
@pytest.mark.parametrize("family", ["xunit1", "xunit2"])
def test_each_run_is_one_entry_of_the_junit_file(lab, family, workers):
    lab.beside(*(["xdist"] if workers else []))
    lab.project.replace("conftest.py", "np.arange(6.0) +", "np.arange(6.0) + 99 *")
    lab.run("--junitxml=out.xml", "-o", f"junit_family={family}", *workers)
    suite = ET.parse(lab.path / "out.xml").getroot().find("testsuite")  # noqa: S314 - our own
    assert suite is not None
    cases = [case.get("name") for case in suite.iter("testcase")]
    assert len(cases) == len(set(cases)) == 11
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("11", "1", "2")
    messages = [one.get("message") for one in suite.iter("skipped")]
    assert all("blocked: test_gates.py::test_gate[second] failed" in one for one in messages)


def test_properties_that_a_test_records_stay_in_the_junit_file(lab):
    lab.beside().only(
        """
        import pytest

        @pytest.mark.experiment(metric="score")
        def test_fit(experiment, digits, record_property, trace):
            record_property("size", 3)
            experiment.log(score=1)
        """
    )
    lab.run("--junitxml=out.xml")
    found = ET.parse(lab.path / "out.xml").getroot().iter("property")  # noqa: S314 - our own
    told = {one.get("name"): one.get("value") for one in found}
    assert told.keys() == {"size", "kepler.run_id", "kepler.metric.score"}
    assert (told["size"], float(told["kepler.metric.score"])) == ("3", 1.0)
    assert outcomes(lab.run("--junitxml=out.xml")) == {"skipped": 1}


def test_a_run_in_which_a_subtest_failed_has_not_passed(with_subtests):
    with_subtests.only(SUBTESTS.format(bad_gate=-1, bad_run=1))
    first = with_subtests.run()
    assert first.ret == 1
    assert with_subtests.project.statuses() == ["failed"]
    again = with_subtests.run()
    assert again.ret == 1, again.stdout.str()


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_each_execution_of_a_run_that_is_run_anew_is_recorded_once(lab, workers):
    lab.beside("pytest_rerunfailures", *(["xdist"] if workers else []))
    (lab.trace.parent / f"{lab.trace.name}gate").write_text("x")
    lab.only(FLAKY.format(gate="gate", run="run"))
    result = lab.run("--reruns=1", *workers)
    assert outcomes(result) == {"passed": 3, "rerun": 1}, result.stdout.str()
    rows = lab.project.query("select status, metrics.score as score from runs order by 2, 1")
    assert [(row["status"], row["score"]) for row in rows] == [
        ("passed", 1),
        ("failed", 2),
        ("passed", 2),
    ]
    assert outcomes(lab.run("--reruns=1", *workers)) == {"passed": 1, "skipped": 2}


def test_a_mark_that_asks_for_reruns_works_on_an_experiment(lab):
    lab.beside("pytest_rerunfailures")
    (lab.trace.parent / f"{lab.trace.name}gate").write_text("x")
    lab.only(FLAKY.format(gate="gate", run="run"))
    lab.project.replace(
        "test_train.py",
        "@pytest.mark.experiment",
        "@pytest.mark.flaky(reruns=2)\n@pytest.mark.experiment",
    )
    assert outcomes(lab.run()) == {"passed": 3, "rerun": 1}
    assert outcomes(lab.run()) == {"passed": 1, "skipped": 2}


def test_a_plugins_fixture_of_none_for_all_tests_does_not_make_runs_new(lab):
    lab.beside("syrupy")
    lab.run()
    assert outcomes(lab.run()) == {"passed": 4, "skipped": 7}


@pytest.mark.parametrize("scope", ["session", "module"])
def test_a_shared_fixture_of_none_is_not_changed(lab, scope):
    lab.beside().only(
        f"""
        import pytest

        @pytest.fixture(scope="{scope}", autouse=True)
        def prepare():
            yield

        @pytest.mark.experiment(metric="score")
        def test_fit(experiment, trace):
            experiment.log(score=1)
            trace()
        """
    )
    assert "in place" not in lab.run().stdout.str()
    assert outcomes(lab.run()) == {"skipped": 1}


def test_files_that_are_opened_after_a_subtest_count(with_subtests):
    with_subtests.only(
        """
        import pytest

        @pytest.mark.experiment(metric="score")
        def test_fit(experiment, subtests, trace):
            with subtests.test(msg="first"):
                assert True
            with open("value.txt") as file:
                experiment.log(score=float(file.read()))
            trace()
        """
    )
    (with_subtests.path / "value.txt").write_text("1")
    with_subtests.run()
    (with_subtests.path / "value.txt").write_text("2")
    with_subtests.run()
    assert len(with_subtests.trained()) == 1


def test_a_body_that_the_debugger_left_out_is_no_ground_to_skip(lab):
    lab.beside()
    lab.project.run(*lab.others, "--trace")  # standard input is closed: the debugger quits
    lab.run()
    assert len(lab.trained()) == 7


def test_a_time_limit_that_was_raised_lets_the_run_be_done(lab):
    lab.beside("pytest_timeout").only(
        """
        import time
        import pytest

        @pytest.mark.experiment(metric="score")
        def test_fit(experiment, trace):
            time.sleep(2)
            experiment.log(score=1)
            trace()
        """
    )
    assert lab.run("--timeout=1").ret == 1
    assert outcomes(lab.run("--timeout=60")) == {"passed": 1}


def test_a_coroutine_that_nobody_ran_is_done_when_somebody_can(lab):
    lab.beside("pytest_asyncio").only(
        """
        import pytest

        @pytest.mark.experiment(metric="score")
        async def test_fit(experiment, trace):
            experiment.log(score=1)
            trace()
        """
    )
    assert lab.run("-p", "no:asyncio").ret == 1
    assert outcomes(lab.run("--asyncio-mode=auto")) == {"passed": 1}


_ODD = {
    "getattr": "class Odd:\n    def __getattr__(self, name): raise RuntimeError('no')\nodd = Odd()",
    "circular dict": "odd = {'a': 1}\nodd['me'] = odd",
    "circular dataclass": (
        "import dataclasses\n@dataclasses.dataclass\nclass Odd:\n    other: object = None\n"
        "odd = Odd()\nodd.other = odd"
    ),
    "unset field": (
        "import dataclasses\n@dataclasses.dataclass\nclass Odd:\n"
        "    a: int = dataclasses.field(init=False)\nodd = Odd()"
    ),
    "shape of its own": "class Odd:\n    shape = 3\nodd = Odd()",
    "item that raises": (
        "class Odd:\n    shape = ()\n    def item(self): raise RuntimeError('no')\nodd = Odd()"
    ),
    "dict without items": (
        "class Odd(dict):\n    def items(self): raise RuntimeError('no')\nodd = Odd(a=1)"
    ),
    "mapping without length": (
        "import collections.abc\nclass Odd(collections.abc.Mapping):\n"
        "    def __getitem__(self, k): raise RuntimeError('no')\n"
        "    def __iter__(self): raise RuntimeError('no')\n"
        "    def __len__(self): raise RuntimeError('no')\nodd = Odd()"
    ),
    "integer beyond what Python prints": "odd = 10 ** 5000",
}


@pytest.mark.parametrize("name", _ODD)
def test_an_odd_parameter_is_no_internal_error(lab, name):
    (lab.path / "odd.py").write_text(_ODD[name] + "\n")
    lab.beside().only(
        """
        import pytest
        import odd

        @pytest.mark.experiment(metric="score")
        @pytest.mark.parametrize("thing", [pytest.param(odd.odd, id="odd")])
        def test_fit(experiment, thing, trace):
            experiment.log(score=1)
            trace()
        """
    )
    lab.run()
    assert len(lab.trained()) == 1
