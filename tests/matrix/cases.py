"""Invocations of pytest and states of a gate, each with what must come of them."""

# ruff: noqa: E501 - the texts of a project stand as they are there

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFTEST: Final = """
import os

import pytest


def write(text):
    with open(os.environ["TRACE"], "a") as file:
        file.write(text + "\\n")


@pytest.fixture
def trace(request):
    write(f"began {request.node.nodeid}")
    return lambda: write(f"done {request.node.nodeid}")


@pytest.fixture(scope="session", params=["good", "bad"])
def dataset(request):
    return [1.0, 2.0] if request.param == "good" else [1.0, None]


@pytest.fixture(scope="session")
def digits():
    return [3.0, 4.0]
"""

GATE: Final = """
import pytest


@pytest.mark.sanity
def test_no_nan(dataset, trace):
    assert None not in dataset
    trace()


@pytest.mark.sanity
def test_digits(digits, trace):
    assert len(digits) == 2
    trace()
"""

TRAIN: Final = """
import pytest


@pytest.mark.experiment(metric="score")
@pytest.mark.parametrize("lr", [1, 2])
def test_datasets(experiment, dataset, lr, trace):
    experiment.log(score=lr)
    trace()


@pytest.mark.experiment(metric="score")
@pytest.mark.parametrize("lr", [1, 2])
def test_digits(experiment, digits, lr, trace):
    experiment.log(score=lr)
    trace()


def test_plain(digits):
    assert digits
"""

FILES: Final = {
    "pytest.ini": "\n[pytest]\npythonpath = .\n",
    "conftest.py": CONFTEST,
    "gates/test_gates.py": GATE,
    "train/test_train.py": TRAIN,
}


@dataclass(frozen=True)
class Case:
    """One invocation.

    Attributes
    ----------
    name : str
        The state of the gate.
    arguments : str
        The command line.
    trained, blocked : int
        How many experiments train and how many are blocked; -1 where it depends.
    gates : int
        How many gates are run, each once.
    status : int
        The exit status.
    files : mapping of str to str
        Files instead of, or beside, the usual ones.
    changes : tuple of (file, old, new)
        Replacements in the usual files.
    says : str
        A text that must be printed.
    before : str or None
        An invocation that comes first.
    folder : str
        Where pytest is started.
    is_rerun : bool
        Whether a gate may be run more than once, because it is run anew.
    """

    name: str
    arguments: str
    trained: int
    blocked: int
    gates: int
    status: int
    files: Mapping[str, str | None] = field(default_factory=lambda: FILES)
    changes: tuple[tuple[str, str, str], ...] = ()
    says: str = ""
    before: str | None = None
    folder: str = "."
    is_rerun: bool = False


def _usual() -> list[Case]:
    """Return the ways to call pytest: one dataset of two is bad, the digits are good."""
    whole = [
        "",
        "-m experiment",
        "-k 'test_datasets or test_digits'",
        "train",
        "train/test_train.py",
        "train/test_train.py gates/test_gates.py",
        "gates train",
        "train/test_train.py::test_datasets train/test_train.py::test_digits",
        "--ff",
        "--nf",
        "-p no:cacheprovider",
        "--maxfail=9",
        "--import-mode=importlib",
        "--import-mode=append",
        "--strict-markers -W error::pytest.PytestWarning",
        "--setup-show -s",
        "-m 'not slow'",
        "-m 'experiment and not sanity'",
        "-rA -v --tb=short",
        "-n 2",
        "-n 2 --dist load",
        "-n 2 --dist loadscope",
        "-n 2 --dist loadfile",
        "-n 2 --dist worksteal",
        "-n 2 --dist loadgroup",
        "-n 2 -m experiment",
        "-n 2 train",
        "-n 0",
        "-p no:xdist",
        "-o addopts=-q",
        "--junitxml=out.xml",
        "--deselect train/test_train.py::test_plain",
        "--ignore nowhere",
        "-p no:randomly",
    ]
    found = [Case("one of two fails", one, 4, 2, 3, 1) for one in whole]
    found += [
        Case("fails, is run anew", "--reruns 1", 4, 2, 3, 1, is_rerun=True),
        Case("fails, is run anew", "--reruns 2 -m experiment", 4, 2, 3, 1, is_rerun=True),
        Case("fails, is run anew", "-n 2 --reruns 1", 4, 2, 3, 1, is_rerun=True),
        Case("one case of one dataset", "'train/test_train.py::test_datasets[bad-1]'", 0, 1, 1, 1),
        Case("one case of one dataset", "'train/test_train.py::test_datasets[good-1]'", 1, 0, 1, 0),
        Case("one case of one dataset", "-k good-2", 1, 0, 1, 0),
        Case("of other data", "train/test_train.py::test_digits", 2, 0, 1, 0),
        Case("of no experiment", "train/test_train.py::test_plain", 0, 0, 0, 0),
        Case("of no experiment", "gates", 0, 0, 3, 1),
        Case("of no experiment", "-m sanity", 0, 0, 3, 1),
        Case("only listed", "--collect-only", 0, 0, 0, 0),
        Case(
            "only listed", "--collect-only -q -m experiment", 0, 0, 0, 0, says="test_no_nan[good]"
        ),
        Case("only planned", "--setup-plan", 0, 0, 0, 0),
        Case("fails once", "--lf", 0, 2, 1, 1, before="-q"),
        Case("fails once", "--lf -n 2", 0, 2, 1, 1, before="-q"),
        Case("fails once", "--lf -m experiment", 0, 2, 1, 1, before="-m experiment"),
        Case("fails once", "--lf train", 0, 2, 1, 1, before="train"),
        Case("fails once", "--ff", 0, 2, 3, 1, before="-q"),
        Case("fails again", "--kepler-duplicates=run", 4, 2, 3, 1, before="-q"),
        Case("comes before duplicates", "", 0, 2, 3, 1, before="-q"),
        Case("from a subfolder", "", 4, 2, 3, 1, folder="train"),
        Case("from a subfolder", "test_train.py", 4, 2, 3, 1, folder="train"),
        Case("from a subfolder", "../gates ../train", 4, 2, 3, 1, folder="gates"),
        Case(
            "from a subfolder", "'test_train.py::test_datasets[good-2]'", 1, 0, 1, 0, folder="train"
        ),
        Case(
            "a rootdir",
            "--rootdir=. -c other.ini train",
            4,
            2,
            3,
            1,
            files=FILES | {"other.ini": "[pytest]\n"},
        ),
        Case("only warned of", "--kepler-gate=warn", 6, 0, 3, 1),
        Case("the first failure ends it", "-x -m experiment -k 'good or digits'", 4, 0, 2, 0),
        Case(
            "the first failure ends it",
            "-x 'train/test_train.py::test_datasets[bad-1]'",
            0,
            0,
            1,
            1,
        ),
    ]
    return found


def _gate(  # noqa: PLR0913 - a row of the table
    name: str,
    old: str,
    new: str,
    *,
    trained: int = 0,
    blocked: int = 2,
    says: str = "",
    status: int = 1,
    arguments: str = "train/test_train.py::test_digits",
    **more: object,
) -> Case:
    changes = (("gates/test_gates.py", old, new),)
    gates = int(str(more.pop("gates", 1)))
    return Case(
        name, arguments, trained, blocked, gates, status, changes=changes, says=says, **more
    )  # type: ignore[arg-type]


_DIGITS: Final = "@pytest.mark.sanity\ndef test_digits(digits, trace):\n"
_BODY: Final = "    assert len(digits) == 2\n    trace()"


_FLAKY: Final = """    import pathlib

    flag = pathlib.Path(__file__).with_name("flag")
    is_first = not flag.exists()
    flag.touch()
    assert not is_first
    trace()"""


def _states() -> list[Case]:
    """Return the states of the gate of the digits."""
    passes = {"trained": 2, "blocked": 0, "status": 0}
    flaky = {**passes, "is_rerun": True}
    one = "train/test_train.py::test_digits"
    return [
        _gate("passes when it is run anew", _BODY, _FLAKY, arguments=f"--reruns 1 {one}", **flaky),
        _gate(
            "passes when it is run anew", _BODY, _FLAKY, arguments=f"-n 2 --reruns 1 {one}", **flaky
        ),
        _gate("passes only later", _BODY, _FLAKY, arguments=one),
        _gate(
            "hits the first failure, stepwise",
            _BODY,
            "    assert False",
            arguments=f"--sw {one}",
            blocked=0,
            status=2,
        ),
        _gate("fails", _BODY, "    assert False"),
        _gate("raises", _BODY, "    1 / 0"),
        _gate(
            "is skipped by a mark",
            _DIGITS,
            f"@pytest.mark.skip(reason='later')\n{_DIGITS}",
            says="was skipped (later)",
            gates=0,
        ),
        _gate(
            "is skipped by a condition",
            _DIGITS,
            f"@pytest.mark.skipif(True, reason='never')\n{_DIGITS}",
            says="was skipped",
            gates=0,
        ),
        _gate("skips itself", _BODY, "    pytest.skip('not now')", says="was skipped (not now)"),
        _gate(
            "its module skips itself",
            "import pytest\n",
            "import pytest\n\npytest.skip('no module', allow_module_level=True)\n",
            gates=0,
            says="no module",
        ),
        _gate(
            "its module lacks something",
            "import pytest\n",
            "import pytest\n\npytest.importorskip('nothing_of_it')\n",
            gates=0,
            says="nothing_of_it",
        ),
        _gate(
            "is an expected failure with a reason",
            _DIGITS + _BODY,
            f"@pytest.mark.xfail(reason='known')\n{_DIGITS}    assert False",
            **passes,
        ),
        _gate(
            "is an expected failure without one",
            _DIGITS + _BODY,
            f"@pytest.mark.xfail\n{_DIGITS}    assert False",
        ),
        _gate(
            "is never run, without a reason",
            _DIGITS,
            f"@pytest.mark.xfail(run=False)\n{_DIGITS}",
            gates=0,
        ),
        _gate("xfails itself with a reason", _BODY, "    pytest.xfail('known')", **passes),
        _gate("xfails itself without one", _BODY, "    pytest.xfail()"),
        _gate(
            "passes unexpectedly, strictly",
            _DIGITS,
            f"@pytest.mark.xfail(reason='known', strict=True)\n{_DIGITS}",
        ),
        _gate(
            "passes unexpectedly",
            _DIGITS,
            f"@pytest.mark.xfail(reason='known')\n{_DIGITS}",
            **passes,
        ),
        _gate(
            "errs in set-up",
            _DIGITS,
            '@pytest.mark.sanity(of="digits")\ndef test_digits(digits, broken, trace):\n',
            files=FILES
            | {
                "conftest.py": CONFTEST
                + "\n\n@pytest.fixture\ndef broken():\n    raise OSError('no disk')\n"
            },
            gates=0,
        ),
        _gate(
            "errs in teardown",
            _DIGITS,
            "@pytest.fixture(autouse=True)\ndef ending():\n    yield\n    raise OSError('gone')\n\n\n"
            + _DIGITS,
        ),
        _gate(
            "fails in a subtest",
            "def test_digits(digits, trace):\n" + _BODY,
            "def test_digits(digits, trace, subtests):\n    with subtests.test('one'):\n        assert False\n    trace()",
        ),
        _gate(
            "passes in subtests",
            "def test_digits(digits, trace):\n" + _BODY,
            "def test_digits(digits, trace, subtests):\n    with subtests.test('one'):\n        pass\n    trace()",
            **passes,
        ),
        _gate(
            "in a class",
            _DIGITS + _BODY,
            "class TestDigits:\n    @pytest.mark.sanity\n    def test_it(self, digits, trace):\n        assert False",
        ),
        _gate(
            "a class that is marked",
            _DIGITS + _BODY,
            "@pytest.mark.sanity\nclass TestDigits:\n    def test_it(self, digits, trace):\n        assert False",
        ),
        _gate(
            "by pytestmark",
            "import pytest\n",
            "import pytest\n\npytestmark = [pytest.mark.sanity]\n"[:-1] + "\n",
            **passes,
        ),
        _gate(
            "by usefixtures",
            _DIGITS + _BODY,
            "@pytest.mark.sanity\n@pytest.mark.usefixtures('digits')\ndef test_digits(trace):\n    assert False",
        ),
        _gate(
            "with a parameter of its own",
            _DIGITS + _BODY,
            "@pytest.mark.sanity\n@pytest.mark.parametrize('axis', [0, 1])\ndef test_digits(digits, axis, trace):\n    assert axis == 0\n    trace()",
            gates=2,
        ),
        _gate(
            "not importable",
            "import pytest\n",
            "import pytest\nimport nothing_of_this_name\n",
            gates=0,
            says="could not be collected",
        ),
        _gate(
            "a syntax error",
            "import pytest\n",
            "import pytest\ndef broken(:\n",
            gates=0,
            says="could not be collected",
        ),
        _gate(
            "ends its process",
            _BODY,
            "    import os\n    os._exit(3)",
            arguments="-n 2 train/test_train.py::test_digits",
            says="crashed",
            blocked=-1,
        ),
        _gate(
            "is left out by --deselect",
            _BODY,
            _BODY,
            gates=0,
            says="--deselect",
            arguments="--deselect gates/test_gates.py::test_digits train/test_train.py::test_digits",
        ),
        _gate(
            "is left out by --deselect",
            _BODY,
            _BODY,
            gates=0,
            says="--deselect",
            arguments="--deselect gates -k digits",
        ),
        _gate(
            "is left out by --ignore",
            _BODY,
            _BODY,
            gates=0,
            says="--ignore",
            arguments="--ignore gates/test_gates.py train/test_train.py::test_digits",
        ),
        _gate(
            "is left out by --ignore",
            _BODY,
            _BODY,
            gates=0,
            says="--ignore",
            arguments="--ignore gates -m experiment -k digits",
        ),
        _gate(
            "is left out by --ignore-glob",
            _BODY,
            _BODY,
            gates=0,
            says="--ignore",
            arguments="--ignore-glob '*gates*' -m experiment -k digits",
        ),
        _gate(
            "is left out by --ignore, under workers",
            _BODY,
            _BODY,
            gates=0,
            says="--ignore",
            arguments="-n 2 --ignore gates -m experiment -k digits",
        ),
        _gate(
            "one of others is left out by --ignore",
            _BODY,
            _BODY,
            arguments="--ignore gates/test_others.py -m experiment -k digits",
            **passes,
            files=FILES
            | {
                "gates/test_others.py": "import pytest\n\n\n@pytest.fixture\ndef mine():\n    return 1\n\n\n@pytest.mark.sanity\ndef test_mine(mine):\n    assert mine == 2\n"
            },
        ),
    ]


_ALIAS: Final = """
from rules import gate


@gate
def test_aliased(digits, trace):
    assert False
"""

_INHERITED: Final = """
from rules import Rules


class TestDigits(Rules):
    pass
"""

_RULES: Final = """
import pytest

gate = pytest.mark.sanity


class Rules:
    pytestmark = gate

    def test_rule(self, digits, trace):
        assert False
"""

_BY_HOOK: Final = """

def pytest_collection_modifyitems(items):
    for item in items:
        if "rules_" in item.name:
            item.add_marker("sanity")
"""

_SLOW: Final = """

def pytest_collection_modifyitems(items):
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow ones are left out"))
"""

_ONE: Final = "train/test_train.py::test_digits"
_PLAIN_GATES: Final = {"gates/test_gates.py": None}


def _found() -> list[Case]:
    """Return gates that the text of their file does not show, or that lie elsewhere."""
    train = TRAIN.replace
    return [
        Case(
            "by an alias",
            _ONE,
            0,
            2,
            1,
            1,
            files=FILES | _PLAIN_GATES | {"rules.py": _RULES, "gates/test_a.py": _ALIAS},
        ),
        Case(
            "by an alias, under workers",
            "-n 2 -k test_digits train",
            0,
            2,
            1,
            1,
            files=FILES | _PLAIN_GATES | {"rules.py": _RULES, "gates/test_a.py": _ALIAS},
        ),
        Case(
            "by inheritance",
            _ONE,
            0,
            2,
            1,
            1,
            files=FILES | _PLAIN_GATES | {"rules.py": _RULES, "gates/test_a.py": _INHERITED},
        ),
        Case(
            "by inheritance over two files",
            _ONE,
            0,
            2,
            1,
            1,
            files=FILES
            | _PLAIN_GATES
            | {
                "rules.py": _RULES,
                "more.py": "from rules import *\n",
                "gates/test_a.py": _INHERITED.replace("from rules", "from more"),
            },
        ),
        Case(
            "by an alias in a package",
            _ONE,
            0,
            2,
            1,
            1,
            files=FILES
            | _PLAIN_GATES
            | {
                "kit/__init__.py": "",
                "kit/rules.py": _RULES,
                "gates/test_a.py": _ALIAS.replace(
                    "from rules import gate", "from kit import (\n    rules,\n)\ngate = rules.gate"
                ),
            },
        ),
        Case(
            "by an alias in conftest",
            _ONE,
            0,
            2,
            1,
            1,
            files=FILES
            | _PLAIN_GATES
            | {
                "conftest.py": CONFTEST + "\n\ngate = pytest.mark.sanity\n",
                "gates/test_a.py": _ALIAS.replace("rules", "conftest"),
            },
        ),
        Case(
            "by a hook of conftest",
            _ONE,
            0,
            2,
            1,
            1,
            files=FILES
            | _PLAIN_GATES
            | {
                "conftest.py": CONFTEST + _BY_HOOK,
                "gates/test_a.py": "def test_rules_it(digits, trace):\n    assert False\n",
            },
        ),
        Case(
            "by a hook of conftest",
            "-m experiment -k test_digits",
            0,
            2,
            1,
            1,
            files=FILES
            | _PLAIN_GATES
            | {
                "conftest.py": CONFTEST + _BY_HOOK,
                "gates/test_a.py": "def test_rules_it(digits, trace):\n    assert False\n",
            },
        ),
        Case(
            "skipped by a hook of conftest",
            _ONE,
            0,
            2,
            0,
            1,
            files=FILES
            | {
                "conftest.py": CONFTEST + _SLOW,
                "gates/test_gates.py": GATE.replace(
                    "@pytest.mark.sanity\ndef test_digits",
                    "@pytest.mark.slow\n@pytest.mark.sanity\ndef test_digits",
                ),
            },
            says="slow ones are left out",
        ),
        Case(
            "a file that mentions nothing fails to import",
            _ONE,
            2,
            0,
            1,
            0,
            files=FILES | {"gates/test_b.py": "import nothing_of_this_name\n"},
        ),
        Case(
            "not importable, the rest goes on",
            "--continue-on-collection-errors",
            0,
            6,
            0,
            1,
            files=FILES | {"gates/test_gates.py": "import nothing_of_this_name\n" + GATE},
        ),
        Case(
            "not importable",
            "",
            0,
            0,
            0,
            2,
            files=FILES | {"gates/test_gates.py": "import nothing_of_this_name\n" + GATE},
        ),
        Case(
            "two of one name in two files",
            "train -k test_digits",
            0,
            2,
            2,
            1,
            files=FILES
            | {"gates/test_second.py": GATE.replace("len(digits) == 2", "len(digits) == 3")},
        ),
        Case(
            "two of one name, one needed by name",
            _ONE,
            0,
            0,
            0,
            4,
            says="names several sanity tests",
            files=FILES
            | {
                "gates/test_second.py": GATE,
                "train/test_train.py": train(
                    'metric="score")\n@pytest.mark.parametrize("lr", [1, 2])\ndef test_digits',
                    'metric="score", needs=["test_no_nan"])\n@pytest.mark.parametrize("lr", [1, 2])\ndef test_digits',
                ),
            },
        ),
        Case(
            "two of one name, one needed by node id",
            _ONE,
            0,
            2,
            4,
            1,
            files=FILES
            | {
                "gates/test_second.py": GATE,
                "train/test_train.py": train(
                    'metric="score")\n@pytest.mark.parametrize("lr", [1, 2])\ndef test_digits',
                    'metric="score", needs=["gates/test_second.py::test_no_nan"])\n@pytest.mark.parametrize("lr", [1, 2])\ndef test_digits',
                ),
            },
        ),
        Case(
            "needed by one case's node id",
            _ONE,
            2,
            0,
            2,
            0,
            files=FILES
            | {
                "train/test_train.py": train(
                    'metric="score")\n@pytest.mark.parametrize("lr", [1, 2])\ndef test_digits',
                    'metric="score", needs=["test_no_nan[good]"])\n@pytest.mark.parametrize("lr", [1, 2])\ndef test_digits',
                )
            },
        ),
        Case(
            "a need that nothing is called",
            _ONE,
            0,
            0,
            0,
            4,
            says="did you mean",
            files=FILES
            | {
                "train/test_train.py": train(
                    'metric="score")\n@pytest.mark.parametrize("lr", [1, 2])\ndef test_digits',
                    'metric="score", needs=["test_no_nam"])\n@pytest.mark.parametrize("lr", [1, 2])\ndef test_digits',
                )
            },
        ),
        Case(
            "a need that is deselected",
            f"--deselect gates/test_gates.py::test_no_nan {_ONE}",
            0,
            2,
            1,
            1,
            says="--deselect",
            files=FILES
            | {
                "train/test_train.py": train(
                    'metric="score")\n@pytest.mark.parametrize("lr", [1, 2])\ndef test_digits',
                    'metric="score", needs=["test_no_nan"])\n@pytest.mark.parametrize("lr", [1, 2])\ndef test_digits',
                )
            },
        ),
        Case(
            "a need in a file that mentions it by inheritance",
            _ONE,
            0,
            2,
            2,
            1,
            files=FILES
            | {
                "rules.py": _RULES.replace("digits, ", "other, ")
                + "\n    @pytest.fixture\n    def other(self):\n        return 1\n",
                "far/test_a.py": _INHERITED,
                "train/test_train.py": train(
                    'metric="score")\n@pytest.mark.parametrize("lr", [1, 2])\ndef test_digits',
                    'metric="score", needs=["test_rule"])\n@pytest.mark.parametrize("lr", [1, 2])\ndef test_digits',
                ),
            },
        ),
    ]


_CLASSES: Final = """
import pytest


class TestLab:
    @pytest.fixture(scope="class")
    def mine(self):
        return [1]

    @pytest.mark.sanity
    def test_mine(self, mine, trace):
        assert mine == [GOOD]
        trace()

    @pytest.mark.experiment(metric="score")
    def test_train(self, experiment, mine, trace):
        experiment.log(score=1)
        trace()


class TestOther:
    @pytest.mark.sanity
    def test_rule(self, trace):
        assert GOOD == 1
        trace()

    @pytest.mark.experiment(metric="score")
    def test_train(self, experiment, trace):
        experiment.log(score=1)
        trace()


class TestLast:
    @pytest.mark.experiment(metric="score", gate=False)
    def test_train(self, experiment, trace):
        experiment.log(score=1)
        trace()
"""

_PACKAGE: Final = """
import pytest


@pytest.fixture(scope="package")
def packed():
    return [1]
"""

_PACKED_GATE: Final = """
import pytest


@pytest.mark.sanity
def test_packed(packed, trace):
    assert packed == [2]
"""

_PACKED: Final = """
import pytest


@pytest.mark.experiment(metric="score")
def test_train(experiment, packed, trace):
    experiment.log(score=1)
    trace()
"""

_SKIPPING: Final = """
import pytest


@pytest.fixture
def moody():
    pytest.skip("no data today")


@pytest.fixture
def breaking():
    yield 1
    raise OSError("gone")


@pytest.mark.experiment(metric="score", gate=False)
def test_moody(experiment, moody, trace):
    trace()


@pytest.mark.experiment(metric="score", gate=False)
def test_breaking(experiment, breaking, trace):
    experiment.log(score=1)
    trace()


@pytest.mark.experiment(metric="score", gate=False)
def test_dynamic(experiment, request, trace):
    request.getfixturevalue("digits")
    trace()
"""

_NAMES: Final = """
import pytest

LONG = "x" * 5000


@pytest.mark.sanity
@pytest.mark.parametrize("word", ["a[b", "c::d", "e f", "\\u00fc\\u4e2d", "", LONG, "a/b", "..", "x]y"])
def test_words(digits, word, trace):
    assert isinstance(word, str)
    trace()


@pytest.mark.experiment(metric="score")
@pytest.mark.parametrize("word", ["a[b", "c::d", "e f", "\\u00fc\\u4e2d", "", LONG, "a/b", "..", "x]y"])
def test_train(experiment, digits, word, trace):
    experiment.log(score=1)
    trace()
"""

_SHARED: Final = """
import pytest


@pytest.fixture(scope="session", params=[1, 2, 3])
def level(request):
    return request.param


@pytest.mark.sanity
def test_level(level, trace):
    assert level != 2
    trace()


@pytest.mark.experiment(metric="score")
@pytest.mark.parametrize("lr", [1, 2])
def test_train(experiment, level, lr, trace):
    experiment.log(score=lr)
    trace()
"""


def _kinds() -> list[Case]:
    """Return experiments of other kinds than functions with session fixtures."""
    base = {"pytest.ini": FILES["pytest.ini"], "conftest.py": CONFTEST}
    good = base | {"test_lab.py": _CLASSES.replace("GOOD", "1")}
    bad = base | {"test_lab.py": _CLASSES.replace("GOOD", "2")}
    package = base | {
        "pack/__init__.py": "",
        "pack/conftest.py": _PACKAGE,
        "pack/inner/__init__.py": "",
        "pack/inner/test_train.py": _PACKED,
        "pack/test_gate.py": _PACKED_GATE,
    }
    moody = base | {"test_moody.py": _SKIPPING}
    return [
        Case("in classes, passing", "", 3, 0, 2, 0, files=good),
        Case("in classes, failing", "", 1, 2, 2, 1, files=bad),
        Case(
            "in classes, one by node id", "test_lab.py::TestLab::test_train", 0, 1, 2, 1, files=bad
        ),
        Case("in classes, of one class", "test_lab.py::TestLast", 1, 0, 0, 0, files=bad),
        Case("in classes, under workers", "-n 2 -m experiment", 1, 2, 2, 1, files=bad),
        Case("of a package's fixture", "", 0, 1, 1, 1, files=package),
        Case("of a package's fixture", "pack/inner", 0, 1, 1, 1, files=package),
        Case(
            "of a package's fixture, from within",
            "test_train.py",
            0,
            1,
            1,
            1,
            files=package,
            folder="pack/inner",
        ),
        Case("none; a fixture skips, one breaks, one is dynamic", "", 2, 0, 0, 1, files=moody),
        Case("none; the same again", "", 2, 0, 0, 1, files=moody, before="-q"),
        Case("names of all kinds", "", 9, 0, 9, 0, files=base | {"test_names.py": _NAMES}),
        Case(
            "names of all kinds, under workers",
            "-n 2 -m experiment",
            9,
            0,
            9,
            0,
            files=base | {"test_names.py": _NAMES},
        ),
        Case(
            "names of all kinds, again",
            "",
            0,
            0,
            9,
            0,
            files=base | {"test_names.py": _NAMES},
            before="-q",
        ),
        Case(
            "a session's fixture with cases",
            "-n 2",
            4,
            2,
            3,
            1,
            files=base | {"test_shared.py": _SHARED},
        ),
        Case(
            "a session's fixture with cases",
            "-n 2 --dist loadscope -m experiment",
            4,
            2,
            3,
            1,
            files=base | {"test_shared.py": _SHARED},
        ),
        Case(
            "a session's fixture with cases, again",
            "-n 2",
            0,
            2,
            3,
            1,
            files=base | {"test_shared.py": _SHARED},
            before="-n 2",
        ),
    ]


CASES: Final = [*_usual(), *_states(), *_found(), *_kinds()]
