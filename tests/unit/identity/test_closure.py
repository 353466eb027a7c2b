"""The closure of a test's code: which edits of a project change its hash, and which do not."""

import contextlib
import importlib
import importlib.util
import shutil
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import pytest

from pytest_kepler.errors import UnreadableValueError
from pytest_kepler.identity.closure import CodePrint, CodeReader, difference
from pytest_kepler.identity.constants import builtin_fingerprint
from tests.loading import load

PROJECT = {
    "test_project.py": '''
        """Experiments."""
        import functools
        from pathlib import Path

        import pytest

        import helpers
        import pkg.sub
        from helpers import LIMIT, clip, scale as rescale
        from marks import slow
        from models import Model, Mode, Settings, build_by_name, MODEL

        GRID = [0.1, 1]
        HERE = Path(__file__).parent
        DATA = HERE / "data"
        WEIGHTS = HERE / "data" / "weights.txt"
        UNUSED = 1
        pytestmark = pytest.mark.filterwarnings("default")


        @pytest.fixture(scope="session")
        def digits():
            return [1, 2]


        @slow
        @pytest.mark.parametrize("C", [0.1, 1])
        def test_svm(digits, C: float, gamma=GRID):
            """A hypothesis."""
            # a comment
            total: float = rescale(C) + helpers.shift(C, by=2)
            squares = [clip(x) for x in digits if x < LIMIT]
            model = Model(Settings(lr=0.1), mode=Mode.FAST)
            assert total, f"total is {total:.2f}"
            pkg.sub.run(model)
            build_by_name("svm")
            open(WEIGHTS), DATA, MODEL
            return squares


        def test_other(digits):
            assert digits


        class Base:
            steps = 3

            def prepare(self):
                return self.steps

            def test_inherited(self):
                return 1


        @slow
        class TestModel(Base):
            """A class of tests."""

            pytestmark = [pytest.mark.tryfirst]
            size = 4

            def helper(self):
                return self.size

            @pytest.fixture
            def data(self):
                return 1

            def test_a(self, data):
                assert self.helper() and self.prepare()

            def test_b(self):
                assert True

            def test_c(self):
                self.test_a(1)
    ''',
    "helpers.py": '''
        """Helpers."""
        import functools
        import logging
        import math

        from deep import offset

        logger = logging.getLogger(__name__)
        LIMIT = 3
        FACTOR = 2.0
        UNUSED = 1
        STATE = {"a": [1, 2], "b": (3,)}


        def traced(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                logger.info("call")
                return function(*args, **kwargs)
            return wrapper


        def scale(x, factor=FACTOR, *, power=1):
            """Scale."""
            def inner(y):
                return y * factor ** power
            return inner(x) + STATE["a"][0]


        @traced
        def shift(x: float, by: int = 1) -> float:
            return x + by + math.floor(offset(x))


        @functools.lru_cache
        def clip(x):
            return min(x, 1)


        def unused(x):
            return x
    ''',
    "deep.py": """
        from constants import DEPTH


        def offset(x):
            return x + DEPTH if x else deeper(x)


        def deeper(x):
            return offset(x - 1)
    """,
    "constants.py": "DEPTH = 5\nOTHER = 6\n",
    "marks.py": "import pytest\n\nslow = pytest.mark.tryfirst\n",
    "models.py": '''
        from __future__ import annotations

        import enum
        from dataclasses import dataclass, field
        from functools import partial

        import pkg
        from sklearn_like import Estimator


        class Mode(enum.Enum):
            FAST = 1
            SLOW = 2


        @dataclass
        class Settings:
            lr: float = 0.5
            layers: list[int] = field(default_factory=lambda: [1, 2])


        class Layer:
            width = 8

            def call(self, x):
                return x * self.width


        class Model(Layer):
            """A model."""

            kind = "dense"

            def __init__(self, settings, mode):
                self.settings = settings
                self.mode = mode

            @property
            def name(self):
                return self.kind

            @name.setter
            def name(self, value):
                self.kind = value

            @staticmethod
            def build(n):
                return [n]

            @classmethod
            def default(cls):
                return cls(None, None)

            def call(self, x):
                return super().call(x) + 1


        def make_svm(c, kernel="rbf"):
            return c, kernel


        BUILDERS = {"svm": partial(make_svm, 1.0), "sq": lambda x: x * x, "cu": lambda x: x ** 3}


        def make_adder(n):
            def add(x):
                return x + n
            return add


        add_two = make_adder(2)
        MODEL = Model(Settings(lr=0.25), Mode.SLOW)


        def build_by_name(name):
            from lazy import late
            global COUNT
            COUNT += 1
            return BUILDERS[name](late(add_two(1))), Estimator


        COUNT = 0
    ''',
    "sklearn_like.py": "from fractions import Fraction as Estimator\n",
    "lazy.py": "import lazy_too\n\n\ndef late(x):\n    return lazy_too.f(x)\n",
    "lazy_too.py": "def f(x):\n    return x\n",
    "pkg/__init__.py": "VERSION = 1\n",
    "pkg/sub.py": "from . import VERSION\n\n\ndef run(model):\n    return model, VERSION\n",
    "data/weights.txt": "1 2 3\n",
}

SVM, METHOD = "test_svm", "TestModel.test_a"

BUILD = "    @staticmethod\n    def build(n):\n        return [n]\n"
DEFAULT = "    @classmethod\n    def default(cls):\n        return cls(None, None)\n"

CHANGES = {
    "a statement of the test": ("test_project.py", "return squares", "return squares, 1"),
    "the test's name": ("test_project.py", "def test_svm", "def test_svm2"),
    "an assertion's message": ("test_project.py", "total is", "the total is"),
    "a format": ("test_project.py", "{total:.2f}", "{total:.3f}"),
    "a default that is a global": ("test_project.py", "GRID = [0.1, 1]", "GRID = [0.1, 2]"),
    "the type of a constant": ("test_project.py", "GRID = [0.1, 1]", "GRID = [0.1, 1.0]"),
    "a condition in a comprehension": ("test_project.py", "x < LIMIT", "x <= LIMIT"),
    "what a name is imported as": (
        "test_project.py",
        "import LIMIT, clip, scale as rescale",
        "import LIMIT, clip, unused as rescale",
    ),
    "a keyword": ("test_project.py", "by=2", "by=3"),
    "an imported constant": ("helpers.py", "LIMIT = 3", "LIMIT = 4"),
    "a constant behind a default": ("helpers.py", "FACTOR = 2.0", "FACTOR = 2.5"),
    "an element deep in a constant": ("helpers.py", "[1, 2]", "[1, 3]"),
    "list to tuple in a constant": ("helpers.py", "(3,)", "[3]"),
    "a helper": ("helpers.py", "inner(x) +", "inner(x) -"),
    "a nested function": ("helpers.py", "y * factor", "y / factor"),
    "a keyword-only default": ("helpers.py", "power=1", "power=2"),
    "a decorator's inside": ("helpers.py", '"call"', '"called"'),
    "a decorator removed": ("helpers.py", "@traced\n", ""),
    "a decorated function": ("helpers.py", "x + by", "x - by"),
    "an annotation that a decorator may read": ("helpers.py", "by: int", "by: float"),
    "a cached function": ("helpers.py", "min(x, 1)", "max(x, 1)"),
    "a library's decorator": ("helpers.py", "@functools.lru_cache", "@functools.cache"),
    "a library's function": ("helpers.py", "math.floor", "math.ceil"),
    "which library a name is": ("helpers.py", "import math", "import cmath as math"),
    "a re-exported function": ("deep.py", "x + DEPTH", "x - DEPTH"),
    "a recursive partner": ("deep.py", "x - 1", "x - 2"),
    "a constant three modules away": ("constants.py", "DEPTH = 5", "DEPTH = 6"),
    "an enum's value": ("models.py", "FAST = 1", "FAST = 7"),
    "a dataclass's default": ("models.py", "lr: float = 0.5", "lr: float = 0.6"),
    "a dataclass's annotation": ("models.py", "lr: float", "lr: int"),
    "a lambda in a class": ("models.py", "lambda: [1, 2]", "lambda: [1, 3]"),
    "a base's attribute": ("models.py", "width = 8", "width = 9"),
    "a base's method": ("models.py", "x * self.width", "x + self.width"),
    "an attribute": ("models.py", 'kind = "dense"', 'kind = "conv"'),
    "a method": ("models.py", "call(x) + 1", "call(x) + 2"),
    "a property": ("models.py", "return self.kind", "return self.kind * 2"),
    "a property's setter": ("models.py", "self.kind = value", "self.kind = value * 2"),
    "a static method": ("models.py", "return [n]", "return [n, n]"),
    "a class method": ("models.py", "cls(None, None)", "cls(None, 1)"),
    "a base removed": ("models.py", "class Model(Layer)", "class Model"),
    "a partial's argument": ("models.py", "make_svm, 1.0", "make_svm, 2.0"),
    "a partial's function": ("models.py", "return c, kernel", "return kernel, c"),
    "a default behind a partial": ("models.py", '"rbf"', '"linear"'),
    "the first of two lambdas on a line": ("models.py", "x * x,", "x + x,"),
    "the second of two lambdas on a line": ("models.py", "x ** 3", "x ** 4"),
    "a key": ("models.py", '"sq"', '"square"'),
    "two lambdas exchanged": (
        "models.py",
        '"sq": lambda x: x * x, "cu": lambda x: x ** 3',
        '"sq": lambda x: x ** 3, "cu": lambda x: x * x',
    ),
    "a closure's cell": ("models.py", "make_adder(2)", "make_adder(3)"),
    "a closure's function": ("models.py", "return x + n", "return x - n"),
    "an instance's attribute": ("models.py", "lr=0.25", "lr=0.125"),
    "an instance's enum member": ("models.py", "Mode.SLOW)", "Mode.FAST)"),
    "a global that is written": ("models.py", "COUNT = 0", "COUNT = 1"),
    "a module imported in a function": ("lazy.py", "lazy_too.f(x)", "lazy_too.f(x + 1)"),
    "what that module imports": ("lazy_too.py", "return x", "return -x"),
    "a re-exported library class": ("sklearn_like.py", "import Fraction as", "import Decimal as"),
    "a function by a dotted module": ("pkg/sub.py", "return model, VERSION", "return model"),
    "a package's constant": ("pkg/__init__.py", "VERSION = 1", "VERSION = 2"),
    "a file that a path constant names": ("data/weights.txt", "1 2 3", "1 2 4"),
    "a folder that a path constant names": ("test_project.py", 'HERE / "data"\n', 'HERE / "pkg"\n'),
}

KEEPS = {
    "a comment": ("test_project.py", "# a comment", "# another comment"),
    "a comment in a helper": ("helpers.py", "def scale", "# why\ndef scale"),
    "lines moved": ("helpers.py", "LIMIT = 3", "\n\n\nLIMIT = 3"),
    "the test's docstring": ("test_project.py", "A hypothesis.", "Another."),
    "a helper's docstring": ("helpers.py", '"""Scale."""\n    def', "def"),
    "a class's docstring": ("models.py", '"""A model."""', '"""The model."""'),
    "a module's docstring": ("helpers.py", '"""Helpers."""\n', ""),
    "quotes": ("helpers.py", '"call"', "'call'"),
    "a number's spelling": ("helpers.py", "FACTOR = 2.0", "FACTOR = 0.2e1"),
    "a line break": ("helpers.py", "inner(x) + STATE", "(inner(x)\n            + STATE"),
    "a trailing comma": ("models.py", "cls(None, None)", "cls(None, None,)"),
    "implicit concatenation": ("test_project.py", '"svm"', '"s" "vm"'),
    "pass beside code": ("helpers.py", "return min(x, 1)", "pass\n    return min(x, 1)"),
    "a mark's arguments": ("test_project.py", '"C", [0.1, 1]', '"C", [0.1, 1, 10]'),
    "a mark removed": ("test_project.py", "@slow\n@pytest", "@pytest"),
    "a mark added": ("test_project.py", "@slow\n@pytest", "@slow\n@pytest.mark.xfail\n@pytest"),
    "an aliased mark": ("marks.py", "mark.tryfirst", "mark.trylast"),
    "the module's marks": ("test_project.py", '"default"', '"ignore"'),
    "a parameter's annotation": ("test_project.py", "C: float", "C"),
    "a local annotation": ("test_project.py", "total: float =", "total ="),
    "a fixture's decorator": ("test_project.py", '(scope="session")', '(scope="module")'),
    "a fixture's body": ("test_project.py", "return [1, 2]", "return [1, 2, 3]"),
    "another test": ("test_project.py", "assert digits", "assert not digits"),
    "an unused helper": (
        "helpers.py",
        "def unused(x):\n    return x",
        "def unused(y):\n    return 1",
    ),
    "an unused constant": ("helpers.py", "UNUSED = 1", "UNUSED = 2"),
    "a neighbour's constant": ("constants.py", "OTHER = 6", "OTHER = 7"),
    "an unused import": ("helpers.py", "import math", "import json\nimport math"),
    "methods in another order": (
        "models.py",
        f"{BUILD}\n{DEFAULT}",
        f"{DEFAULT}\n{BUILD}",
    ),
    "a dictionary in another order": (
        "helpers.py",
        '{"a": [1, 2], "b": (3,)}',
        '{"b": (3,), "a": [1, 2]}',
    ),
    "a name imported with others": ("test_project.py", "LIMIT, clip, scale", "clip, LIMIT, scale"),
    "a logger's name": ("helpers.py", "getLogger(__name__)", 'getLogger("helpers")'),
    "a quoted annotation in a class": ("models.py", "lr: float", 'lr: "float"'),
}

METHOD_CHANGES = {
    "the method": ("test_project.py", "self.helper() and", "self.helper() or"),
    "a method that it calls": ("test_project.py", "return self.size", "return self.size + 1"),
    "an attribute": ("test_project.py", "size = 4", "size = 5"),
    "an attribute of its base": ("test_project.py", "steps = 3", "steps = 4"),
    "a method of its base": ("test_project.py", "return self.steps", "return -self.steps"),
    "the class's name": ("test_project.py", "class TestModel", "class TestModels"),
    "its base removed": ("test_project.py", "class TestModel(Base)", "class TestModel"),
}

METHOD_KEEPS = {
    "another test of the class": ("test_project.py", "assert True", "assert 1"),
    "a test of its base": ("test_project.py", "return 1\n\n\n@slow", "return 2\n\n\n@slow"),
    "a fixture of the class": (
        "test_project.py",
        "def data(self):\n        return 1",
        "def data(self):\n        return 2",
    ),
    "the class's marks": ("test_project.py", "[pytest.mark.tryfirst]", "[pytest.mark.trylast]"),
    "the class's docstring": ("test_project.py", "A class of tests.", "Tests."),
    "the class's decorating mark": ("test_project.py", "@slow\nclass", "class"),
}


def write(folder: Path, edit: tuple[str, str, str] | None = None) -> Path:
    for name, text in PROJECT.items():
        content = textwrap.dedent(text).lstrip("\n")
        if edit is not None and edit[0] == name:
            assert edit[1] in content, f"nothing to edit in {name}"
            content = content.replace(edit[1], edit[2], 1)
            if "\n            + STATE" in edit[2]:
                content = content.replace('STATE["a"][0]', 'STATE["a"][0])')
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


@contextlib.contextmanager
def imported(folder: Path, name: str = "test_project"):
    """Import a module of a folder, and forget the folder's modules afterwards."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    writes = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield importlib.import_module(name)
    finally:
        sys.dont_write_bytecode = writes
        sys.path.remove(str(folder))
        for added in set(sys.modules) - before:
            filename = getattr(sys.modules[added], "__file__", None) or ""
            if filename.startswith(str(folder)):
                del sys.modules[added]


def find(module: types.ModuleType, name: str) -> tuple[types.FunctionType, type | None]:
    owner, _, method = name.rpartition(".")
    if not owner:
        names = [one for one in vars(module) if one.startswith(name)]
        return getattr(module, names[0]), None
    cls = next(one for key, one in vars(module).items() if key.startswith(owner))
    return getattr(cls, method), cls


def read(folder: Path, name: str, **options) -> CodePrint:
    with imported(folder) as module:
        function, cls = find(module, name)
        found = CodeReader(folder, **options).of(function, cls=cls)
        dict(found.sources)  # cut out while the files are there
        return found


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> dict[str, CodePrint]:
    folder = write(tmp_path_factory.mktemp("original"))
    return {name: read(folder, name) for name in (SVM, METHOD)}


@pytest.mark.parametrize("edit", CHANGES.values(), ids=CHANGES)
def test_an_edit_of_reached_code_changes_the_hash(edit, original, tmp_path):
    assert read(write(tmp_path, edit), SVM).hash != original[SVM].hash


@pytest.mark.parametrize("edit", KEEPS.values(), ids=KEEPS)
def test_an_edit_of_form_or_of_other_code_keeps_the_hash(edit, original, tmp_path):
    found = read(write(tmp_path, edit), SVM)
    assert difference(original[SVM].parts, found.parts) == []
    assert found.hash == original[SVM].hash


@pytest.mark.parametrize("edit", METHOD_CHANGES.values(), ids=METHOD_CHANGES)
def test_an_edit_of_the_class_changes_the_hash_of_a_method(edit, original, tmp_path):
    assert read(write(tmp_path, edit), METHOD).hash != original[METHOD].hash


@pytest.mark.parametrize("edit", METHOD_KEEPS.values(), ids=METHOD_KEEPS)
def test_an_edit_of_other_tests_keeps_the_hash_of_a_method(edit, original, tmp_path):
    found = read(write(tmp_path, edit), METHOD)
    assert difference(original[METHOD].parts, found.parts) == []
    assert found.hash == original[METHOD].hash


def test_everything_in_the_project_can_be_followed(original):
    assert dict(original[SVM].opaque) == {}


def test_a_test_that_another_test_calls_counts(tmp_path):
    edit = ("test_project.py", "self.helper() and", "self.helper() or")
    old = read(write(tmp_path / "old"), "TestModel.test_c")
    new = read(write(tmp_path / "new", edit), "TestModel.test_c")
    assert old.hash != new.hash


def test_parts_are_named_by_module_and_qualified_name(original):
    parts = original[SVM].parts
    assert {
        "test_svm",
        "GRID",
        "helpers.scale",
        "helpers.LIMIT",
        "models.Model",
        "models.Model.call",
        "models.Layer.call",
        "models.make_svm",
        "pkg.sub.run",
        "deep.deeper",
        "constants.DEPTH",
    } <= set(parts)
    assert not [name for name in parts if "unused" in name.lower()]


def test_only_the_edited_part_differs(original, tmp_path):
    edit = ("deep.py", "x - 1", "x - 2")
    assert difference(original[SVM].parts, read(write(tmp_path, edit), SVM).parts) == [
        "deep.deeper changed"
    ]


def test_sources_are_the_text_as_written(original):
    sources = original[SVM].sources
    assert "# a comment" in sources["test_svm"]
    assert sources["models.Model.build"] == "@staticmethod\ndef build(n):\n    return [n]"
    assert sources["constants.DEPTH"] == "DEPTH = 5"
    assert set(sources) == set(original[SVM].parts)


def test_a_renamed_module_keeps_the_hash(original, tmp_path):
    write(tmp_path, ("test_project.py", "from models import", "from renamed import"))
    (tmp_path / "models.py").rename(tmp_path / "renamed.py")
    assert read(tmp_path, SVM).hash == original[SVM].hash


def test_a_renamed_test_file_keeps_the_hash(original, tmp_path):
    write(tmp_path)
    (tmp_path / "test_project.py").rename(tmp_path / "test_moved.py")
    with imported(tmp_path, "test_moved") as module:
        assert CodeReader(tmp_path).of(module.test_svm).hash == original[SVM].hash


def test_exchanged_imports_of_alike_names_change_the_hash(tmp_path):
    hashes = []
    for first, second in ("ab", "ba"):
        folder = tmp_path / first
        folder.mkdir()
        (folder / "a.py").write_text("def f(x):\n    return x\n", encoding="utf-8")
        (folder / "b.py").write_text("def f(x):\n    return -x\n", encoding="utf-8")
        (folder / "test_project.py").write_text(
            f"from {first} import f as f1\nfrom {second} import f as f2\n"
            "def test_svm():\n    return f1(1) - 2 * f2(1)\n",
            encoding="utf-8",
        )
        hashes.append(read(folder, SVM).hash)
    assert hashes[0] != hashes[1]


def test_nothing_is_imported_to_follow_an_import_in_a_function(tmp_path):
    with imported(write(tmp_path)) as module:
        CodeReader(tmp_path).of(module.test_svm)
        assert "lazy" not in sys.modules


def test_a_module_imported_in_a_function_counts_alike_once_it_is_loaded(original, tmp_path):
    with imported(write(tmp_path)) as module:
        importlib.import_module("lazy")
        assert CodeReader(tmp_path).of(module.test_svm).hash == original[SVM].hash


def module_of(folder: Path, text: str, name: str = "test_project") -> CodePrint:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
    return read(folder, SVM)


def test_a_constant_that_cannot_be_read_is_said_and_counts_by_its_making(tmp_path):
    text = "import threading\nLOCK = threading.Lock()\ndef test_svm():\n    return LOCK\n"
    found = module_of(tmp_path / "lock", text)
    assert "LOCK" in found.opaque["LOCK"]
    changed = module_of(tmp_path / "rlock", text.replace("threading.Lock()", "[threading.Lock()]"))
    assert found.hash != changed.hash


def test_an_object_made_by_the_users_code_counts_by_that_code(tmp_path):
    text = """
        import decimal

        def make(n):
            return iter([n])

        OBJECT = make(1)

        def test_svm():
            return OBJECT
    """
    hashes = {
        module_of(tmp_path / "a", text).hash,
        module_of(tmp_path / "b", text.replace("iter([n])", "iter([n, n])")).hash,
        module_of(tmp_path / "c", text.replace("make(1)", "make(2)")).hash,
    }
    assert len(hashes) == 3


def test_an_object_that_raises_when_looked_at_is_said(tmp_path):
    found = module_of(
        tmp_path,
        """
        class Trap:
            __slots__ = ()
            def __getattr__(self, name):
                raise RuntimeError(name)
            def __eq__(self, other):
                raise RuntimeError("eq")
            __hash__ = None

        TRAP = Trap()

        def test_svm():
            return TRAP
        """,
    )
    assert "Trap.__getattr__" in found.parts


def test_the_fingerprint_reads_what_is_data(tmp_path):
    def fingerprint(value: object) -> str:
        if isinstance(value, bytearray):
            return f"bytes {bytes(value)!r}"
        return builtin_fingerprint(value)

    def hash_of(folder: str, text: str) -> str:
        write_to = tmp_path / folder
        write_to.mkdir()
        (write_to / "test_project.py").write_text(text, encoding="utf-8")
        found = read(write_to, SVM, fingerprint=fingerprint)
        assert not found.opaque
        return found.hash

    one = "DATA = bytearray([1] * N)\ndef test_svm():\n    return DATA\n"
    assert hash_of("a", "N = 2\n" + one) == hash_of("b", "N = 1 + 1\n" + one)
    assert hash_of("c", "N = 3\n" + one) != hash_of("d", "N = 2\n" + one)


def test_a_module_handed_on_as_a_value_counts_whole(tmp_path):
    for folder, body in (("a", "return 1"), ("b", "return 2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "losses.py").write_text(f"def mse():\n    {body}\n", encoding="utf-8")
    text = "import losses\ndef test_svm(name='mse'):\n    return getattr(losses, name)()\n"
    hashes = {module_of(tmp_path / folder, text).hash for folder in "ab"}
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("x y", "x y z", id="fields"),
        pytest.param("HIDDEN = iter([1])", "HIDDEN = iter([2])", id="unreadable"),
        pytest.param("SHOWN = 1", "SHOWN = 2", id="readable"),
        pytest.param('"RED"', '"BLUE"', id="members"),
    ],
)
def test_what_a_star_import_brings_counts(old, new, tmp_path):
    star = (
        "import collections, enum\nPoint = collections.namedtuple('Point', 'x y')\n"
        'HIDDEN = iter([1])\nSHOWN = 1\nColor = enum.Enum("Color", "RED")\n'
    )
    text = "from star import *\ndef test_svm():\n    return Point, HIDDEN, SHOWN, Color\n"
    found = []
    for folder, content in (("a", star), ("b", star.replace(old, new))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "star.py").write_text(content, encoding="utf-8")
        found.append(module_of(tmp_path / folder, text))
    assert found[0].hash != found[1].hash
    assert list(found[0].opaque) == ["star.HIDDEN"]


def test_functions_registered_for_single_dispatch_count(tmp_path):
    text = """
        from functools import singledispatch

        @singledispatch
        def f(x):
            return x

        @f.register
        def _(x: int):
            return x + 1

        def test_svm():
            return f(1)
    """
    hashes = {
        module_of(tmp_path / "a", text).hash,
        module_of(tmp_path / "b", text.replace("x + 1", "x + 2")).hash,
        module_of(tmp_path / "c", text.replace("x: int", "x: float")).hash,
    }
    assert len(hashes) == 3


def test_a_hypothesis_test_counts_by_what_the_user_wrote(tmp_path):
    text = """
        from hypothesis import given
        from hypothesis import strategies as st

        LOW = 1

        def limit():
            return 2

        @given(st.integers(LOW))
        def test_svm(x):
            assert x < limit()
    """
    found = [
        module_of(tmp_path / "a", text),
        module_of(tmp_path / "b", text.replace("LOW = 1", "LOW = 2")),
        module_of(tmp_path / "c", text.replace("return 2", "return 3")),
        module_of(tmp_path / "d", text.replace("x < limit", "x > limit")),
    ]
    assert len({one.hash for one in found}) == 4
    assert set(found[0].parts) == {"test_svm", "LOW", "limit"}


def test_a_registry_filled_by_a_decorator_counts(tmp_path):
    text = """
        REGISTRY = {}

        def register(function):
            REGISTRY[function.__name__] = function
            return function

        @register
        def svm():
            return 1

        def test_svm():
            return REGISTRY["svm"]()
    """
    hashes = {
        module_of(tmp_path / "a", text).hash,
        module_of(tmp_path / "b", text.replace("return 1", "return 2")).hash,
    }
    assert len(hashes) == 2


def test_a_mutually_holding_pair_of_objects_is_read(tmp_path):
    text = """
        class Node:
            def __init__(self, value):
                self.value, self.other = value, None

        A, B = Node(1), Node(2)
        A.other, B.other = B, A
        LOOP = [A]
        LOOP.append(LOOP)

        def test_svm():
            return A, LOOP
    """
    assert (
        module_of(tmp_path / "a", text).hash
        != module_of(tmp_path / "b", text.replace("Node(2)", "Node(3)")).hash
    )


def test_a_class_that_calls_super_in_a_function_reached_alone_counts_its_base(tmp_path):
    text = """
        class Base:
            def f(self):
                return 1

        class Child(Base):
            def f(self):
                return super().f()

        TABLE = {"f": Child.f}

        def test_svm():
            return TABLE
    """
    assert (
        module_of(tmp_path / "a", text).hash
        != module_of(tmp_path / "b", text.replace("return 1", "return 2")).hash
    )


def test_falsy_and_missing_globals_differ(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "settings.py").write_text("ZERO = 0\n", encoding="utf-8")
    (tmp_path / "b" / "settings.py").write_text("ZERO = None\n", encoding="utf-8")
    text = "import settings\ndef test_svm():\n    return settings.ZERO\n"
    assert module_of(tmp_path / "a", text).hash != module_of(tmp_path / "b", text).hash


def test_a_function_without_source_counts_by_its_compiled_form():
    prints = []
    for body in ("x + 1", "x + 2", "x + 1"):
        variables = {"__name__": "__main__"}
        exec(f"def test_it(x):\n    return {body}\n", variables)  # noqa: S102 - the case itself
        prints.append(CodeReader(Path()).of(variables["test_it"]))
    assert "source" in prints[0].opaque["test_it"]
    assert prints[0].hash == prints[2].hash != prints[1].hash


def test_lambdas_on_one_line_are_told_apart_without_columns(tmp_path):
    (tmp_path / "plain.py").write_text("F = [lambda x: x + 1, lambda x: x + 2]\n", encoding="utf-8")
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\nimport plain\n"
        "from pytest_kepler.identity.closure import CodeReader\n"
        "reader = CodeReader(Path(sys.argv[1]))\n"
        "print(len({reader.of(f).hash for f in plain.F}))\n"
    )
    for options in ([], ["-X", "no_debug_ranges"]):
        command = [sys.executable, *options, "-B", "-c", script, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "2"


def test_the_difference_is_said_in_order():
    old = {"a": "1", "b": "2", "c": "3"}
    new = {"a": "1", "b": "5", "d": "4"}
    assert difference(old, new) == ["b changed", "d added", "c removed"]


def test_a_closure_is_read_once_a_session(tmp_path):
    with imported(write(tmp_path)) as module:
        reader = CodeReader(tmp_path)
        assert reader.of(module.test_svm) is reader.of(module.test_svm)


GOLDEN = "c4b1fdec89c74a2929bc34d0b8788e36"


def test_the_hash_is_the_same_under_every_python(original):
    assert original[SVM].hash == GOLDEN


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_another_python_gives_the_same_hash(version, original, tmp_path):
    python = shutil.which(f"python{version}")
    probe = "import sys, pytest, xxhash; sys.exit(sys.version_info < (3, 11))"
    if python is None:
        pytest.skip(f"no Python {version} here")
    if subprocess.run([python, "-c", probe], check=False, capture_output=True).returncode:
        pytest.skip(f"Python {version} has no pytest")
    script = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "from pathlib import Path\nimport test_project\n"
        "from pytest_kepler.identity.closure import CodeReader\n"
        "print(CodeReader(Path(sys.argv[2])).of(test_project.test_svm).hash)\n"
    )
    root = Path(sys.modules["pytest_kepler"].__file__).parents[1]
    command = [python, "-B", "-c", script, str(root), str(write(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == original[SVM].hash


def test_the_builtin_fingerprint_refuses_other_objects():
    with pytest.raises(UnreadableValueError, match="object"):
        builtin_fingerprint([object()])


def test_a_partial_of_a_fixture_decorator_does_not_count(tmp_path):
    text = """
        import functools
        import pytest

        shared = functools.partial(pytest.fixture, scope="session")

        @shared()
        def test_svm():
            return 1
    """
    found = [
        module_of(tmp_path / "a", text),
        module_of(tmp_path / "b", text.replace("@shared()\n", "@pytest.fixture\n")),
    ]
    assert found[0].hash == found[1].hash


def test_a_class_of_one_of_two_modules_of_one_name_counts_by_its_own_text(tmp_path):
    text = "class Net:\n    _layers = [object]\n    def build(self):\n        return self\n"
    hashes = []
    for number, layers in enumerate(("[object]", "[object]", "[object, object]")):
        first = write_text(tmp_path / f"a{number}/twin.py", text.replace("[object]", layers))
        other = write_text(tmp_path / f"b{number}/twin.py", "OTHER = 1\n")
        net = load("twin", first).Net
        load("twin", other)  # pytest does so with conftest files
        hashes.append(CodeReader(tmp_path).of(net.build, cls=net).hash)
    del sys.modules["twin"]
    assert hashes[0] == hashes[1] != hashes[2]


def write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def hash_of(folder, **texts):
    for name, text in texts.items():
        write_text(folder / f"{name.replace('__', '/', 1)}.py", text)
    return read(folder, "test_svm").hash


@pytest.mark.parametrize("name", ["setup_module", "setUpModule", "setup_function"])
def test_what_pytest_calls_before_the_tests_of_a_module_counts(name, tmp_path):
    text = f"S = {{}}\ndef {name}():\n    S['a'] = 1\ndef test_svm():\n    return S\n"
    first = hash_of(tmp_path / "a", test_project=text)
    assert first != hash_of(tmp_path / "b", test_project=text.replace("= 1", "= 2"))


def test_the_package_around_a_module_imported_in_a_function_does_not_count(tmp_path):
    test = "def test_svm():\n    from kit import late\n    return late.g()\n"

    def of(folder, around, late):
        return hash_of(
            tmp_path / folder,
            kit____init__=f"from kit import core\nVALUE = {around}\n",
            kit__core=f"def f():\n    return {around}\n",
            kit__late=f"def g():\n    return {late}\n",
            test_project=test,
        )

    assert of("a", 1, 1) == of("b", 2, 1) != of("c", 1, 2)
