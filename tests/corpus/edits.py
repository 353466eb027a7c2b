"""Edits to the laboratory, each labelled with the experiments that must run again.

An edit that names no experiment must change nothing: every run of it is a duplicate.
"""

# ruff: noqa: E501 - the texts of a project stand as they are there

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Edit:
    """One change of the project.

    Attributes
    ----------
    name : str
        What was changed.
    changes : tuple of (file, old, new)
        Texts that are replaced; each must occur.
    runs : frozenset of str
        The items that must run again: a test's name stands for all its cases.
    does : callable, optional
        A change of another kind, given the project's folder.
    environment : mapping of str to str
        Environment variables that the session has.
    arguments : tuple of str
        More arguments of pytest.
    why : str
        Why a needless rerun is accepted, where one is.
    """

    name: str
    changes: tuple[tuple[str, str, str], ...] = ()
    runs: frozenset[str] = frozenset()
    does: Callable[[Path], None] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    why: str = ""

    def apply(self, folder: Path) -> None:
        """Make the change."""
        for name, old, new in self.changes:
            path = folder / name
            text = path.read_text(encoding="utf-8")
            if old not in text:
                msg = f"{self.name}: {name} does not have {old!r}"
                raise LookupError(msg)
            path.write_text(text.replace(old, new, 1), encoding="utf-8")
        if self.does is not None:
            self.does(folder)

    def must_run(self, item: str) -> bool:
        """Tell whether an item must run again, by its name with or without the case."""
        return item in self.runs or item.partition("[")[0] in self.runs


def _one(name: str, file: str, old: str, new: str, runs: str = "") -> Edit:
    return Edit(name, ((file, old, new),), frozenset(runs.split()))


CORE: Final = "lab/core.py"
NUMBERS: Final = "lab/numbers.py"
DECORATORS: Final = "lab/decorators.py"
CLASSES: Final = "lab/classes.py"
ALL_OF_CODE: Final = (
    "test_scale test_clip test_shift test_deep test_star test_adder test_partial test_double "
    "test_triple test_pick test_nested test_text test_pattern test_match test_guarded test_walrus "
    "test_generator test_context test_cached test_dispatch test_lazy test_sorted test_nonlocal "
    "test_weights test_table test_names test_day test_price test_file test_folder test_file_name "
    "test_ratio test_slice test_logged test_times test_counted test_inline test_local test_grid "
    "test_function_param"
)

FUNCTIONS: Final = [
    _one(
        "a helper's body", CORE, "x * FACTOR", "x + FACTOR", "test_scale test_function_param[scale]"
    ),
    _one("a helper's docstring", CORE, '"""Scale a number."""', '"""Scale numbers."""'),
    _one("a helper's docstring goes", CORE, '    """Scale a number."""\n', ""),
    _one("a comment", CORE, "# the factor is a constant", "# the factor is one"),
    _one("a comment at a line's end", CORE, "x * FACTOR + 1000", "x * FACTOR + 1000  # why"),
    _one("spaces", CORE, "x * FACTOR + 1000", "x*FACTOR  +  1000"),
    _one("parentheses", CORE, "x * FACTOR + 1000", "((x * FACTOR) + 1000)"),
    _one(
        "broken over lines",
        CORE,
        "return x * FACTOR + 1000",
        "return (\n        x * FACTOR\n        + 1000\n    )",
    ),
    _one("a number's spelling", CORE, "FACTOR + 1000", "FACTOR + 1_000"),
    _one("hexadecimal", CORE, "FACTOR + 1000", "FACTOR + 0x3E8"),
    _one("annotations", CORE, "def scale(x):", "def scale(x: float) -> float:"),
    _one(
        "an annotated variable", CORE, "    return x * FACTOR", "    y: int\n    return x * FACTOR"
    ),
    _one("pass", CORE, "    return x * FACTOR", "    pass\n    return x * FACTOR"),
    _one("blank lines", CORE, "def clip", "\n\n\n\ndef clip"),
    _one("a function in between", CORE, "def clip", "def other(x):\n    return x\n\n\ndef clip"),
    _one(
        "what nobody uses", CORE, "def unused(x):\n    return x", "def unused(x):\n    return x + 1"
    ),
    _one("what nobody uses goes", CORE, "def unused(x):\n    return x\n", ""),
    _one("an unused import", CORE, "import re\n", "import re\nimport json\n"),
    _one(
        "imports in another order",
        CORE,
        "import functools\nimport re\n",
        "import re\nimport functools\n",
    ),
    _one(
        "an import for types",
        CORE,
        "    from collections.abc import Sequence",
        "    from collections.abc import Mapping",
    ),
    _one(
        "a precedence",
        CORE,
        "x * FACTOR + 1000",
        "x * (FACTOR + 1000)",
        "test_scale test_function_param[scale]",
    ),
    _one(
        "int to float",
        CORE,
        "FACTOR + 1000",
        "FACTOR + 1000.0",
        "test_scale test_function_param[scale]",
    ),
    _one(
        "a default value's constant",
        CORE,
        "LIMIT = 3",
        "LIMIT = 4",
        "test_clip test_function_param[clip]",
    ),
    _one(
        "a default value", CORE, "low=0, high", "low=1, high", "test_clip test_function_param[clip]"
    ),
    _one("a default 1 to True", CORE, "by=2", "by=True", "test_shift"),
    _one("a keyword-only default", CORE, "*, by=2", "*, by=3", "test_shift"),
    _one("keyword-only to positional", CORE, "*, by=2", "by=2", "test_shift"),
    _one(
        "min and max",
        CORE,
        "min(max(x, low), high)",
        "max(min(x, low), high)",
        "test_clip test_function_param[clip]",
    ),
    _one("three levels down", CORE, "x + numbers.BASE", "x - numbers.BASE", "test_deep"),
    _one("two levels down", CORE, "return innermost(x)", "return innermost(x + 1)", "test_deep"),
    _one(
        "a statement without effect on the value",
        CORE,
        "def deep(x):\n",
        "def deep(x):\n    x = x\n",
        "test_deep",
    ),
    _one("an exponent of a partial", CORE, "exponent=2", "exponent=3", "test_partial"),
    _one("a partial's function", CORE, "base**exponent", "base * exponent", "test_partial"),
    _one("a closure's cell", CORE, "ADD = make_adder(2)", "ADD = make_adder(3)", "test_adder"),
    _one("a closure's body", CORE, "return x + n\n", "return x - n\n", "test_adder"),
    _one("the first lambda of a line", CORE, "lambda x: x * 2,", "lambda x: x * 4,", "test_double"),
    _one("the second lambda of a line", CORE, "lambda x: x * 3", "lambda x: x * 5", "test_triple"),
    _one("spaces between lambdas", CORE, "x * 2, lambda", "x * 2,  lambda"),
    _one(
        "lambdas change places",
        CORE,
        "lambda x: x * 2, lambda x: x * 3",
        "lambda x: x * 3, lambda x: x * 2",
        "test_double test_triple",
    ),
    _one(
        "a lambda in a dict", CORE, '"low": lambda x: x - 1', '"low": lambda x: x - 2', "test_pick"
    ),
    _one("a dict of lambdas grows", CORE, "x + 1}", 'x + 1, "top": lambda x: x + 9}', "test_pick"),
    _one("a nested comprehension's element", CORE, "cell * 2", "cell * 3", "test_nested"),
    _one("a nested comprehension's condition", CORE, "if cell > 0", "if cell >= 0", "test_nested"),
    _one("a format", CORE, "{x:.2f}", "{x:.3f}", "test_text"),
    _one("a conversion", CORE, "{x:.2f}", "{x!r}", "test_text"),
    _one("an escape", CORE, '"A" + "b"', '"\\x41" + "b"'),
    _one("joined texts", CORE, '"b" "c"', '"bc"'),
    _one("quotes", CORE, '"A" +', "'A' +"),
    _one("a pattern", CORE, "[a-c]+", "[a-d]+", "test_pattern"),
    _one("a pattern's flags", CORE, '"[a-c]+")', '"[a-c]+", re.I)', "test_pattern"),
    _one("a case", CORE, "case 0:", "case 1:", "test_match"),
    _one(
        "cases in another order",
        CORE,
        'case 0:\n            return "zero"\n        case int():\n            return "whole"',
        'case int():\n            return "whole"\n        case 0:\n            return "zero"',
        "test_match",
    ),
    _one(
        "an exception caught",
        CORE,
        "except ZeroDivisionError",
        "except ArithmeticError",
        "test_guarded",
    ),
    _one(
        "what is returned then",
        CORE,
        "ZeroDivisionError:\n        return 0",
        "ZeroDivisionError:\n        return 1",
        "test_guarded",
    ),
    _one("a walrus", CORE, "(y := x + 1)", "(y := x + 2)", "test_walrus"),
    _one("a comparison", CORE, "x + 1) > 2", "x + 1) >= 2", "test_walrus"),
    _one("a generator", CORE, "yield i + 1", "yield i", "test_generator"),
    _one("a context manager", CORE, "yield 2", "yield 3", "test_context"),
    _one("a cached function", CORE, "x + 7", "x + 8", "test_cached"),
    _one(
        "another cache",
        CORE,
        "@functools.lru_cache\n",
        "@functools.lru_cache(maxsize=None)\n",
        "test_cached",
    ),
    _one("a dispatched function", CORE, 'return "int"', 'return "integer"', "test_dispatch"),
    _one(
        "a dispatched function by argument",
        CORE,
        'return "str"',
        'return "string"',
        "test_dispatch",
    ),
    _one("a dispatcher's default", CORE, 'return "thing"', 'return "object"', "test_dispatch"),
    _one("a module imported when it runs", "lab/late.py", "x + STEP", "x - STEP", "test_lazy"),
    _one("a constant of that module", "lab/late.py", "STEP = 3", "STEP = 4", "test_lazy"),
    _one("a comment of that module", "lab/late.py", "STEP = 3", "STEP = 3  # why"),
    _one("a key function", CORE, "row[-1]", "row[0]", "test_sorted"),
    _one("nonlocal", CORE, "total += y", "total -= y", "test_nonlocal"),
    _one("a late argument", CORE, "lambda x: x + 1}", "lambda x, k=2: x + k}", "test_pick"),
    _one(
        "shadowed by a local",
        CORE,
        "def shift(x, *, by=2):\n",
        "def shift(x, *, by=2):\n    SHIFT = 5\n",
        "test_shift",
    ),
    _one(
        "moved within the file",
        CORE,
        "def unused(x):\n    return x\n\n\ndef power(base, exponent):\n    return base**exponent\n",
        "def power(base, exponent):\n    return base**exponent\n\n\ndef unused(x):\n    return x\n",
    ),
]

CONSTANTS: Final = [
    _one(
        "a constant", NUMBERS, "FACTOR = 2", "FACTOR = 3", "test_scale test_function_param[scale]"
    ),
    _one("a constant by another way", NUMBERS, "FACTOR = 2", "FACTOR = 1 + 1"),
    _one("a constant's comment", NUMBERS, "FACTOR = 2", "FACTOR = 2  # twice"),
    _one(
        "a constant imported under another name", NUMBERS, "OFFSET = 1", "OFFSET = 2", "test_shift"
    ),
    _one("a constant of a module by attribute", NUMBERS, "BASE = 10", "BASE = 11", "test_deep"),
    _one("a constant of a star import", NUMBERS, "STAR = 4", "STAR = 5", "test_star"),
    _one("an unused constant", NUMBERS, "UNUSED = 5", "UNUSED = 6"),
    _one("one element of an array", NUMBERS, "0.2, 0.3", "0.2, 0.30000001", "test_weights"),
    _one("a constant array's type", NUMBERS, "0.3])", "0.3], dtype='float32')", "test_weights"),
    _one(
        "a constant array made otherwise",
        NUMBERS,
        "np.array([0.1, 0.2, 0.3])",
        "np.array([0.3, 0.2, 0.1])[::-1]",
    ),
    _one("deep in a table", NUMBERS, "(3, 4)", "(3, 5)", "test_table"),
    _one("a tuple to a list", NUMBERS, "(3, 4)", "[3, 4]", "test_table"),
    _one("a table's order", NUMBERS, '{"a": 1, "b": [2, (3, 4)]}', '{"b": [2, (3, 4)], "a": 1}'),
    _one("a table's type", NUMBERS, '"a": 1', '"a": 1.0', "test_table"),
    _one("a set grows", NUMBERS, '"y", "z"}', '"y", "z", "w"}', "test_names"),
    _one("a set's order", NUMBERS, '{"x", "y", "z"}', '{"z", "y", "x"}'),
    _one("a date", NUMBERS, "2026, 1, 1", "2026, 1, 2", "test_day"),
    _one("a decimal's zeros", NUMBERS, '"1.10"', '"1.1"', "test_price"),
    _one("int to True", NUMBERS, "RATIO = 1", "RATIO = True", "test_ratio"),
    _one("int to numpy", NUMBERS, "RATIO = 1", "RATIO = np.float32(1)", "test_ratio"),
    _one("a slice", NUMBERS, "slice(0, 2)", "slice(0, 3)", "test_slice"),
    _one("a folder's name", NUMBERS, '/ "folder"', '/ "folders"', "test_folder"),
    _one(
        "a constant of the test's file", "test_code.py", "RATE = 0.5", "RATE = 0.6", "test_inline"
    ),
    _one("a file's content", "lab/notes.txt", "notes", "Notes", "test_file"),
    _one("a file named by a text", "lab/named.txt", "named", "Named", "test_file_name"),
    _one("a folder's content", "lab/folder/inside.txt", "inside", "outside"),
    Edit("a file's time", does=lambda folder: os.utime(folder / "lab/notes.txt", (1, 1))),
    _one(
        "another spelling of a path",
        NUMBERS,
        'Path(__file__).parent / "notes.txt"',
        'Path(__file__).with_name("notes.txt")',
    ),
]

WRAPPERS: Final = [
    _one("a decorator's body", DECORATORS, "**kwargs) + 0", "**kwargs) + 1", "test_logged"),
    _one("a decorator's docstring", DECORATORS, '"""Log."""', '"""Write a log."""'),
    _one("what it decorates", DECORATORS, "x + 1", "x + 4", "test_logged"),
    _one("a decorator's argument", DECORATORS, "@times(3)", "@times(4)", "test_times"),
    _one("a decorator with arguments", DECORATORS, "* n", "+ n", "test_times"),
    _one("what that decorates", DECORATORS, "x + 2", "x + 5", "test_times"),
    _one(
        "a decorator that is a class", DECORATORS, "self.step = 1", "self.step = 2", "test_counted"
    ),
    _one(
        "that class's call",
        DECORATORS,
        "(*args) + self.step",
        "(*args) - self.step",
        "test_counted",
    ),
    _one("what the class decorates", DECORATORS, "x + 3", "x + 6", "test_counted"),
    _one("a decorator goes", DECORATORS, "@logged\n", "", "test_logged"),
    _one("a decorator comes", DECORATORS, "@times(3)\n", "@logged\n@times(3)\n", "test_times"),
]

OBJECTS: Final = [
    _one("an enum's value", CLASSES, "FAST = 1", "FAST = 3", "test_enum"),
    _one("an enum's member", CLASSES, "SLOW = 2\n", "SLOW = 2\n    IDLE = 3\n", "test_enum"),
    _one("a method of an enum", CLASSES, ".lower()", ".upper()", "test_enum"),
    _one(
        "a dataclass's default",
        CLASSES,
        "lr: float = 0.1",
        "lr: float = 0.3",
        "test_config test_config_fixture",
    ),
    _one(
        "a dataclass's factory",
        CLASSES,
        "lambda: [1, 2]",
        "lambda: [1, 3]",
        "test_config test_config_fixture",
    ),
    _one(
        "a dataclass's method",
        CLASSES,
        "self.lr * len",
        "self.lr + len",
        "test_config test_config_fixture",
    ),
    _one(
        "a dataclass's field",
        CLASSES,
        "lr: float = 0.1\n",
        "lr: float = 0.1\n    decay: float = 0.0\n",
        "test_config test_config_fixture",
    ),
    _one("a dataclass's docstring", CLASSES, '"""Settings."""', '"""The settings."""'),
    _one(
        "a dataclass frozen",
        CLASSES,
        "@dataclass\n",
        "@dataclass(frozen=True)\n",
        "test_config test_config_fixture",
    ),
    _one("a named tuple's default", CLASSES, "x: int = 1", "x: int = 3", "test_tuple"),
    _one("a named tuple's fields", CLASSES, '"left right"', '"right left"', "test_tuple"),
    _one("a class's docstring", CLASSES, '"""A model."""', '"""A model of it."""'),
    _one(
        "a class's attribute",
        CLASSES,
        "depth = 3",
        "depth = 4",
        "test_model test_instance test_model_fixture test_class_fixture",
    ),
    _one(
        "a base's attribute",
        CLASSES,
        "bias = 1",
        "bias = 2",
        "test_model test_instance test_model_fixture test_class_fixture",
    ),
    _one(
        "a base's method",
        CLASSES,
        "self.transform(x) + self.bias",
        "self.transform(x) - self.bias",
        "test_model test_instance test_model_fixture test_class_fixture",
    ),
    _one(
        "a mixin's method",
        CLASSES,
        "transform(x) * 2",
        "transform(x) * 3",
        "test_model test_instance test_model_fixture test_class_fixture",
    ),
    _one(
        "the order of bases",
        CLASSES,
        "class Model(Mixin, Base)",
        "class Model(Base)",
        "test_model test_instance test_model_fixture test_class_fixture",
    ),
    _one(
        "a property",
        CLASSES,
        "self.width * self.depth",
        "self.width + self.depth",
        "test_model test_instance test_model_fixture test_class_fixture",
    ),
    _one(
        "a static method",
        CLASSES,
        "x + 5",
        "x + 6",
        "test_model test_instance test_model_fixture test_class_fixture",
    ),
    _one(
        "a class method",
        CLASSES,
        "cls(width=6)",
        "cls(width=5)",
        "test_model test_instance test_model_fixture test_class_fixture",
    ),
    _one(
        "a call",
        CLASSES,
        "self.predict(x) + self.size",
        "self.predict(x) * self.size",
        "test_model test_instance test_model_fixture test_class_fixture",
    ),
    _one(
        "an initialiser's default",
        CLASSES,
        "width=4",
        "width=5",
        "test_model test_instance test_model_fixture test_class_fixture",
    ),
    _one("a comment in a class", CLASSES, "depth = 3", "depth = 3  # layers"),
    _one("an instance in a global", CLASSES, "Model(width=7)", "Model(width=8)", "test_instance"),
    _one("a metaclass", CLASSES, "= 8", "= 9", "test_meta"),
    _one("a slot's default", CLASSES, "value=2", "value=3", "test_slotted"),
    _one("a descriptor", CLASSES, "return 5", "return 6", "test_descriptor"),
    _one(
        "a registered function",
        CLASSES,
        "def plus(x):\n    return x + 1",
        "def plus(x):\n    return x + 2",
        "test_registry",
    ),
    _one(
        "a helper method of a test class's base",
        "test_objects.py",
        "x + self.offset",
        "x - self.offset",
        "test_first test_second",
    ),
    _one(
        "an attribute of its base",
        "test_objects.py",
        "offset = 1",
        "offset = 2",
        "test_first test_second",
    ),
    _one(
        "an attribute of a test class",
        "test_objects.py",
        "factor = 2",
        "factor = 3",
        "test_first test_second",
    ),
    _one(
        "another test of the class",
        "test_objects.py",
        "self.helper(2)",
        "self.helper(3)",
        "test_second",
    ),
    _one(
        "a plain test of the class",
        "test_objects.py",
        "assert self.helper(1) == 2",
        "assert self.helper(1) != 7",
    ),
    _one(
        "a new test of the class",
        "test_objects.py",
        "    def test_plain",
        "    def test_new(self):\n        pass\n\n    def test_plain",
    ),
    _one(
        "setup_method",
        "test_objects.py",
        "self.start = 1",
        "self.start = 2",
        "test_first test_second",
    ),
]

TESTS: Final = [
    _one("a test's body", "test_code.py", "cut(5)", "cut(6)", "test_clip"),
    _one("a test's docstring", "test_code.py", '"""A docstring."""', '"""Another."""'),
    _one("a test's comment", "test_code.py", "# a comment", "# another"),
    _one("a hypothesis", "test_code.py", "The faster the better.", "The slower the better."),
    _one("a threshold", "test_code.py", "at_least=0,", "at_least=0.5,"),
    _one("tags", "test_code.py", 'tags=["grid"]', 'tags=["other"]'),
    _one("the names of cases", "test_code.py", 'ids=["one", "two"]', 'ids=["first", "second"]'),
    _one("no names of cases", "test_code.py", ', ids=["one", "two"]', ""),
    _one(
        "parameters in another order",
        "test_code.py",
        '"rate", [1, 2], ids=["one", "two"]',
        '"rate", [2, 1], ids=["two", "one"]',
    ),
    _one(
        "marks in another order",
        "test_code.py",
        '@pytest.mark.parametrize("seed", [0, 1])\n@pytest.mark.parametrize("rate", [1, 2], ids=["one", "two"])\n',
        '@pytest.mark.parametrize("rate", [1, 2], ids=["one", "two"])\n@pytest.mark.parametrize("seed", [0, 1])\n',
    ),
    _one(
        "another case",
        "test_code.py",
        '[1, 2], ids=["one", "two"]',
        '[1, 2, 3], ids=["one", "two", "three"]',
        "test_grid[three-0] test_grid[three-1]",
    ),
    _one(
        "a case's value under its name",
        "test_code.py",
        '[1, 2], ids=["one", "two"]',
        '[1, 3], ids=["one", "two"]',
        "test_grid[two-0] test_grid[two-1]",
    ),
    _one(
        "a case's type",
        "test_code.py",
        '[1, 2], ids=["one", "two"]',
        '[1.0, 2], ids=["one", "two"]',
        "test_grid[one-0] test_grid[one-1]",
    ),
    _one(
        "a parameter's name",
        "test_code.py",
        'parametrize("rate", [1, 2], ids=["one", "two"])\ndef test_grid(experiment, rate, seed):\n    """The faster the better."""\n    experiment.log(score=rate',
        'parametrize("speed", [1, 2], ids=["one", "two"])\ndef test_grid(experiment, speed, seed):\n    """The faster the better."""\n    experiment.log(score=speed',
        "test_grid",
    ),
    _one(
        "a mark more",
        "test_code.py",
        "@pytest.mark.experiment(metric",
        "@pytest.mark.skipif(False, reason='no')\n@pytest.mark.experiment(metric",
    ),
    _one(
        "a fixture more",
        "test_code.py",
        "def test_grid(experiment, rate",
        "def test_grid(experiment, unrelated, rate",
        "test_grid",
    ),
    _one(
        "usefixtures",
        "test_code.py",
        "@pytest.mark.experiment(metric",
        "@pytest.mark.usefixtures('unrelated')\n@pytest.mark.experiment(metric",
        "test_grid",
    ),
    _one("a version", "test_code.py", 'tags=["grid"]', 'version="2"', "test_grid"),
    _one(
        "an inline lambda", "test_code.py", "(lambda v: v + 1)", "(lambda v: v + 2)", "test_inline"
    ),
    _one("the other inline lambda", "test_code.py", "a + b * RATE", "a - b * RATE", "test_inline"),
    _one(
        "a helper in the test's file", "test_code.py", "return x + 1", "return x + 2", "test_local"
    ),
    _one(
        "a new test",
        "test_code.py",
        "def local_helper",
        "def test_new():\n    pass\n\n\ndef local_helper",
    ),
    _one(
        "setup_module", "test_code.py", 'state["started"] = 3', 'state["started"] = 4', ALL_OF_CODE
    ),
    _one("setup_function", "test_code.py", 'state["each"] = 1', 'state["each"] = 2', ALL_OF_CODE),
    _one(
        "an import by another name",
        "test_code.py",
        "import lab.numbers as values",
        "from lab import numbers as values",
    ),
    _one(
        "pytest's settings",
        "pytest.ini",
        "pythonpath = .",
        "pythonpath = .\naddopts = -q\nmarkers =\n    slow: slow",
    ),
    Edit(
        "a renamed test",
        (("test_code.py", "def test_local(", "def test_renamed("),),
        frozenset({"test_renamed"}),
    ),
    Edit(
        "a renamed file",
        does=lambda folder: (folder / "test_code.py").rename(folder / "test_renamed.py") and None,
    ),
    Edit(
        "a file in another folder",
        does=lambda folder: _move(folder, "test_code.py", "sub/test_code.py"),
    ),
    Edit(
        "a new file",
        does=lambda folder: _write(folder, "test_more.py", "def test_more():\n    pass\n"),
    ),
    Edit(
        "a renamed module",
        (("lab/core.py", "lab import late", "lab import tardy as late"),),
        frozenset({"test_lazy"}),
        does=lambda folder: _move(folder, "lab/late.py", "lab/tardy.py"),
    ),
    Edit(
        "a module moved",
        (
            (
                "test_code.py",
                "from lab import core, decorators",
                "from lab import core\nfrom lab.deep import decorators",
            ),
        ),
        does=lambda folder: _move(folder, "lab/decorators.py", "lab/deep/decorators.py"),
    ),
    Edit("nothing"),
    Edit("nothing, in another process order", arguments=("-n", "2")),
    Edit("nothing, with another hash seed", environment={"PYTHONHASHSEED": "7"}),
    Edit("nothing, by node ids", arguments=("test_code.py::test_grid", "test_data.py")),
    Edit("nothing, last test first", arguments=("test_data.py", "test_code.py")),
    Edit(
        "nothing, from cached tables", does=lambda folder: shutil.rmtree(folder / ".kepler/cache")
    ),
]

FIXTURES: Final = [
    _one(
        "an array's element",
        "conftest.py",
        "    return values\n",
        "    values[1, 1] += 1e-12\n    return values\n",
        "test_array",
    ),
    _one(
        "an array's type",
        "conftest.py",
        "    return values\n",
        "    return values.astype('float32')\n",
        "test_array",
    ),
    _one(
        "an array's byte order",
        "conftest.py",
        "    return values\n",
        "    return values.astype('>f8')\n",
    ),
    _one(
        "an array's layout",
        "conftest.py",
        "    return values\n",
        "    return np.asfortranarray(values)\n",
    ),
    _one(
        "an array's strides",
        "conftest.py",
        "    return values\n",
        "    return np.repeat(values, 2, axis=0)[::2]\n",
    ),
    _one(
        "an array's shape",
        "conftest.py",
        "    return values\n",
        "    return values.reshape(3, 4)\n",
        "test_array",
    ),
    _one(
        "an array's rows in another order",
        "conftest.py",
        "    return values\n",
        "    return values[::-1]\n",
        "test_array",
    ),
    _one(
        "a zero's sign",
        "conftest.py",
        "    return values\n",
        "    values[0, 0] = -0.0\n    return values\n",
        "test_array",
    ),
    _one(
        "an array as a list",
        "conftest.py",
        "    return values\n",
        "    return values.tolist()\n",
        "test_array",
    ),
    _one(
        "an array made otherwise",
        "conftest.py",
        "np.arange(12.0).reshape(4, 3)",
        "np.array([float(i) for i in range(12)]).reshape(4, 3)",
    ),
    _one("a fixture's docstring", "conftest.py", '"""An array."""', '"""The array."""'),
    _one(
        "a fixture's scope",
        "conftest.py",
        '@pytest.fixture(scope="session")\ndef array',
        '@pytest.fixture(scope="module")\ndef array',
    ),
    _one("a fixture as a generator", "conftest.py", "    return values\n", "    yield values\n"),
    _one("a fixture's input", "conftest.py", "np.arange(6.0)", "np.arange(7.0)", "test_prepared"),
    _one(
        "a fixture's code, with another value",
        "conftest.py",
        "raw / 5 + 1",
        "raw / 5 + 2",
        "test_prepared",
    ),
    _one("a fixture's code, with the same value", "conftest.py", "raw / 5 + 1", "1 + raw / 5"),
    _one("a dict's value", "conftest.py", '{"lr": 0.1,', '{"lr": 0.2,', "test_settings"),
    _one(
        "a dict's order",
        "conftest.py",
        '{"lr": 0.1, "layers": [1, 2]}',
        '{"layers": [1, 2], "lr": 0.1}',
    ),
    _one(
        "a list to a tuple", "conftest.py", '"layers": [1, 2]', '"layers": (1, 2)', "test_settings"
    ),
    _one(
        "a dataclass's value",
        "conftest.py",
        "Config(lr=0.2)",
        "Config(lr=0.3)",
        "test_config_fixture",
    ),
    _one(
        "an own model's attribute",
        "conftest.py",
        "Model(width=3)",
        "Model(width=4)",
        "test_model_fixture",
    ),
    _one(
        "a function from a fixture",
        "conftest.py",
        "(a - b) * factor",
        "(a + b) * factor",
        "test_loss",
    ),
    _one("a returned function's closure", "conftest.py", "factor = 2", "factor = 3", "test_loss"),
    _one("a returned function's comment", "conftest.py", "factor = 2", "factor = 2  # twice"),
    _one("a file of a fixture", "table.csv", "3,4", "3,5", "test_csv_path test_csv_name"),
    Edit("a file's time, of a fixture", does=lambda folder: os.utime(folder / "table.csv", (5, 5))),
    _one(
        "a file that a fixture writes",
        "conftest.py",
        '"written")\n',
        '"Written")\n',
        "test_written",
    ),
    _one("a fixture of none", "conftest.py", '"LAB_LEVEL"', '"LAB_LEVELS"', "test_environment"),
    _one(
        "the comment of a fixture of none",
        "conftest.py",
        "# a side effect and no value",
        "# no value",
    ),
    _one(
        "the input of a fixture of none", "conftest.py", "return 3", "return 4", "test_environment"
    ),
    _one("one case of a fixture", "conftest.py", "else 5", "else 6", "test_sized[large]"),
    _one(
        "a case's name of a fixture",
        "conftest.py",
        '["small", "large"]',
        '["small", "huge"]',
        "test_sized[huge]",
    ),
    _one(
        "the names of a fixture's cases",
        "conftest.py",
        'params=["small", "large"]',
        'params=["small", "large"], ids=["s", "l"]',
    ),
    Edit(
        "an environment variable",
        environment={"LAB_INPUT": "2"},
        runs=frozenset({"test_from_environment"}),
    ),
    Edit("an environment variable by another way", environment={"LAB_INPUT": "1"}),
    _one("a declared file", "declared/one.txt", "one", "ONE", "test_declared"),
    Edit(
        "one more declared file",
        does=lambda folder: _write(folder, "declared/two.txt", "two\n"),
        runs=frozenset({"test_declared"}),
    ),
    _one("a declared version", "conftest.py", 'version="1"', 'version="2"', "test_declared"),
    Edit(
        "a file beside the declared ones",
        does=lambda folder: _write(folder, "declared/two.csv", "two\n"),
    ),
    _one("random weights", "conftest.py", "normal(size=3)", "normal(size=4)", "test_random"),
    _one(
        "a fixture that nobody uses",
        "conftest.py",
        "def unrelated():\n    return 1",
        "def unrelated():\n    return 2",
    ),
    _one(
        "one more fixture",
        "conftest.py",
        "@pytest.fixture\ndef unrelated",
        "@pytest.fixture\ndef another():\n    return 1\n\n\n@pytest.fixture\ndef unrelated",
    ),
    _one(
        "an autouse fixture of a value",
        "conftest.py",
        "@pytest.fixture\ndef settings",
        "@pytest.fixture(autouse=True)\ndef everywhere():\n    return 4\n\n\n@pytest.fixture\ndef settings",
        "*",
    ),
    _one("a masked value", "test_data.py", "[1.0, 2.0, 3.0]", "[1.0, 5.0, 3.0]"),
    _one("a mask", "test_data.py", "[False, True, False]", "[True, False, False]", "test_masked"),
    _one(
        "a value beside the mask",
        "test_data.py",
        "[1.0, 2.0, 3.0]",
        "[1.0, 2.0, 4.0]",
        "test_masked",
    ),
    _one(
        "a fixture overridden nearer",
        "test_data.py",
        '@pytest.fixture(scope="module")\ndef masked',
        '@pytest.fixture\ndef array():\n    return np.ones(2)\n\n\n@pytest.fixture(scope="module")\ndef masked',
        "test_array",
    ),
]

KINDS: Final = [
    _one(
        "a class of a nearer conftest",
        "near/conftest.py",
        "_layers = [object]",
        "_layers = [object, object]",
        "test_near",
    ),
    _one(
        "a method of it",
        "near/conftest.py",
        "return len(self._layers)",
        "return -len(self._layers)",
        "test_near",
    ),
    _one("a comment of it", "near/conftest.py", "_layers = [object]", "_layers = [object]  # one"),
    _one(
        "the order of equal files",
        "near/test_near.py",
        '["one.txt", "same.txt"]',
        '["same.txt", "one.txt"]',
    ),
    _one(
        "what of two equal files is opened",
        "near/test_near.py",
        '["one.txt", "same.txt"]',
        '["one.txt", "other.txt"]',
        "test_named[other.txt]",
    ),
    _one(
        "a mixed-in fixture of a class",
        "near/test_near.py",
        "return 11",
        "return 12",
        "test_in_class",
    ),
    _one(
        "a property of a fixture's object",
        "near/conftest.py",
        "self.size = 2",
        "self.size = 3",
        "test_near",
    ),
]

FRAMES: Final = [
    _one("a frame's cell", "test_frames.py", "2.5]", "2.6]", "test_frame"),
    _one("a frame's missing value", "test_frames.py", '"y", None', '"y", "z"', "test_frame"),
    _one("a column's name", "test_frames.py", '"c": [', '"d": [', "test_frame"),
    _one("a column's type", "test_frames.py", '"a": [1, 2, 3]', '"a": [1.0, 2, 3]', "test_frame"),
    _one(
        "the order of columns",
        "test_frames.py",
        '{"a": [1, 2, 3], "b": ["x", "y", None],',
        '{"b": ["x", "y", None], "a": [1, 2, 3],',
        "test_frame",
    ),
    _one("an index", "test_frames.py", "2.5]})", "2.5]}, index=[5, 6, 7])", "test_frame"),
    _one("the same index", "test_frames.py", "2.5]})", "2.5]}, index=pd.RangeIndex(3))"),
    _one("a copy", "test_frames.py", "2.5]})", "2.5]}).copy()"),
    Edit(
        "pieces joined",
        (
            ("test_frames.py", "return pd.DataFrame({", "whole = pd.DataFrame({"),
            ("test_frames.py", "2.5]})", "2.5]})\n    return pd.concat([whole[:1], whole[1:]])"),
        ),
    ),
    _one(
        "the order of categories",
        "test_frames.py",
        'categories=["red", "blue"]',
        'categories=["blue", "red"]',
        "test_coloured",
    ),
    _one(
        "an unused category",
        "test_frames.py",
        'categories=["red", "blue"]',
        'categories=["red", "blue", "green"]',
        "test_coloured",
    ),
    _one("a time zone", "test_frames.py", 'tz="UTC"', 'tz="Europe/Paris"', "test_timed"),
    _one("a file that is read", "table.csv", "1,2", "1,3", "test_read test_csv_path test_csv_name"),
    _one("how a file is written", "table.csv", "1,2\n", "1, 2\n", "test_csv_path test_csv_name"),
]

MODELS: Final = [
    _one("an estimator's parameter", "test_models.py", "C=2.0", "C=3.0", "test_estimator"),
    _one("a default said", "test_models.py", "C=2.0", "C=2.0, max_iter=100"),
    _one(
        "an estimator's class",
        "test_models.py",
        "make_pipeline(StandardScaler(),",
        "make_pipeline(FunctionTransformer(),",
        "test_estimator",
    ),
    _one(
        "a step's parameter",
        "test_models.py",
        "StandardScaler()",
        "StandardScaler(with_mean=False)",
        "test_estimator",
    ),
    _one("what a model was fitted on", "test_models.py", "X[:, 0])", "X[:, 1] * 2)", "test_fitted"),
    _one(
        "a fitted model's parameter",
        "test_models.py",
        "Ridge(alpha=1.0).fit",
        "Ridge(alpha=1.5).fit",
        "test_fitted",
    ),
    _one("a function in an estimator", "test_models.py", "X / 2", "X / 4", "test_transformer"),
    _one("the comment of a function in an estimator", "test_models.py", "X / 2", "X / 2  # half"),
    _one(
        "an estimator as a parameter",
        "test_models.py",
        "Ridge(alpha=2.0)",
        "Ridge(alpha=3.0)",
        "test_estimator_param[b]",
    ),
    _one("names of estimators as parameters", "test_models.py", 'ids=["a", "b"]', 'ids=["c", "d"]'),
]


def _write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _move(folder: Path, old: str, new: str) -> None:
    target = folder / new
    target.parent.mkdir(parents=True, exist_ok=True)
    (folder / old).rename(target)


#: The files of tests that an edit could touch: pandas and scikit-learn are imported where they
#: are edited, and by the edits that change nothing.
PLAIN_FILES: Final = ("test_code.py", "test_objects.py", "test_data.py")


def _in(edits: list[Edit], *files: str) -> list[Edit]:
    return [
        edit if edit.arguments or edit.does is not None else replace(edit, arguments=files)
        for edit in edits
    ]


EDITS: Final = [
    *_in([*FUNCTIONS, *CONSTANTS, *WRAPPERS, *OBJECTS, *FIXTURES], *PLAIN_FILES),
    *_in(KINDS, "near", "test_data.py"),
    *TESTS,
    *_in(FRAMES, "test_frames.py", "test_data.py"),
    *_in(MODELS, "test_models.py"),
]
