"""The project that the corpus edits: a small laboratory, file by file.

Each experiment stands on one feature of Python or of a library, so that an edit's effect can be
told exactly: the name of an experiment says what it stands on.
"""

from __future__ import annotations

from typing import Final

INIT = '''
"""The laboratory's helpers."""

from lab.core import scale, clip as cut
from lab.numbers import *
'''

CORE = '''
"""Core helpers."""

import functools
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import numbers
from .numbers import FACTOR, OFFSET as SHIFT

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT = 3
PATTERN = re.compile("[a-c]+")


def scale(x):
    """Scale a number."""
    # the factor is a constant
    return x * FACTOR + 1000


def clip(x, low=0, high=LIMIT):
    return min(max(x, low), high)


def shift(x, *, by=2):
    return x + SHIFT + by


def deep(x):
    return middle(x)


def middle(x):
    return innermost(x)


def innermost(x):
    return x + numbers.BASE


def unused(x):
    return x


def power(base, exponent):
    return base**exponent


def make_adder(n):
    def add(x):
        return x + n

    return add


ADD = make_adder(2)
SQUARE = functools.partial(power, exponent=2)
DOUBLE, TRIPLE = lambda x: x * 2, lambda x: x * 3
PICK = {"low": lambda x: x - 1, "high": lambda x: x + 1}


def nested(rows):
    return [sum(cell * 2 for cell in row if cell > 0) for row in rows]


def text(x):
    return f"{x:.2f}" + "A" + "b" "c"


def matches(word):
    return bool(PATTERN.match(word))


def kind_of(x):
    match x:
        case 0:
            return "zero"
        case int():
            return "whole"
        case _:
            return "other"


def guarded(x):
    try:
        return 1 / x
    except ZeroDivisionError:
        return 0


def walrus(x):
    if (y := x + 1) > 2:
        return y
    return 0


def numbers_up_to(n):
    for i in range(n):
        yield i + 1


@contextmanager
def doubled():
    yield 2


@functools.lru_cache
def cached(x):
    return x + 7


@functools.singledispatch
def describe(x):
    return "thing"


@describe.register
def _(x: int):
    return "int"


@describe.register(str)
def _text(x):
    return "str"


def lazy(x):
    from lab import late

    return late.compute(x)


def sorted_rows(rows):
    return sorted(rows, key=last)


def last(row):
    return row[-1]


def outer_variable(x):
    total = 0

    def add(y):
        nonlocal total
        total += y

    add(x)
    return total
'''

NUMBERS = '''
"""Constants."""

import datetime
import decimal
import os
from pathlib import Path

import numpy as np

FACTOR = 2
OFFSET = 1
BASE = 10
STAR = 4
WEIGHTS = np.array([0.1, 0.2, 0.3])
TABLE = {"a": 1, "b": [2, (3, 4)]}
NAMES = {"x", "y", "z"}
DAY = datetime.date(2026, 1, 1)
PRICE = decimal.Decimal("1.10")
FILE = Path(__file__).parent / "notes.txt"
FOLDER = Path(__file__).parent / "folder"
NAME = os.path.join(os.path.dirname(__file__), "named.txt")
RATIO = 1
SLICE = slice(0, 2)
UNUSED = 5
'''

LATE = """
def compute(x):
    return x + STEP


STEP = 3
"""

DECORATORS = '''
import functools


def logged(function):
    """Log."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs) + 0

    return wrapper


def times(n):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args) * n

        return wrapper

    return decorate


class Counted:
    def __init__(self, function):
        self.function = function
        self.step = 1

    def __call__(self, *args):
        return self.function(*args) + self.step


@logged
def plain(x):
    return x + 1


@times(3)
def tripled(x):
    return x + 2


@Counted
def counted(x):
    return x + 3
'''

CLASSES = '''
import enum
from collections import namedtuple
from dataclasses import dataclass, field
from typing import NamedTuple


class Mode(enum.Enum):
    FAST = 1
    SLOW = 2

    def label(self):
        return self.name.lower()


@dataclass
class Config:
    """Settings."""

    lr: float = 0.1
    layers: list = field(default_factory=lambda: [1, 2])

    def total(self):
        return self.lr * len(self.layers)


class Point(NamedTuple):
    x: int = 1
    y: int = 2


Pair = namedtuple("Pair", "left right")


class Base:
    bias = 1

    def predict(self, x):
        return self.transform(x) + self.bias

    def transform(self, x):
        return x


class Mixin:
    def transform(self, x):
        return super().transform(x) * 2


class Model(Mixin, Base):
    """A model."""

    depth = 3

    def __init__(self, width=4):
        self.width = width

    @property
    def size(self):
        return self.width * self.depth

    @staticmethod
    def helper(x):
        return x + 5

    @classmethod
    def build(cls):
        return cls(width=6)

    def __call__(self, x):
        return self.predict(x) + self.size


class Meta(type):
    def __new__(mcs, name, bases, namespace):
        namespace["made"] = 8
        return super().__new__(mcs, name, bases, namespace)


class Made(metaclass=Meta):
    pass


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value=2):
        self.value = value


class Descriptor:
    def __get__(self, instance, owner):
        return 5


class WithDescriptor:
    five = Descriptor()


MODEL = Model(width=7)
REGISTRY = {}


def register(name):
    def add(function):
        REGISTRY[name] = function
        return function

    return add


@register("plus")
def plus(x):
    return x + 1


@register("minus")
def minus(x):
    return x - 1
'''

CONFTEST = '''
import os
from pathlib import Path

import numpy as np
import pytest
import pytest_kepler

from lab.classes import Config, Model

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def array():
    """An array."""
    values = np.arange(12.0).reshape(4, 3)
    return values


@pytest.fixture(scope="session")
def raw():
    return np.arange(6.0)


@pytest.fixture(scope="session")
def prepared(raw):
    return raw / 5 + 1


@pytest.fixture
def settings():
    return {"lr": 0.1, "layers": [1, 2]}


@pytest.fixture
def config():
    return Config(lr=0.2)


@pytest.fixture(scope="module")
def model():
    return Model(width=3)


@pytest.fixture
def model_class():
    return Model


@pytest.fixture
def loss():
    factor = 2

    def compute(a, b):
        return (a - b) * factor

    return compute


@pytest.fixture(scope="session")
def csv_path():
    return HERE / "table.csv"


@pytest.fixture(scope="session")
def csv_name():
    return str(HERE / "table.csv")


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "written.txt"
    path.write_text("written")
    return path


@pytest.fixture(scope="session")
def level():
    return 3


@pytest.fixture
def prepare_environment(level):
    # a side effect and no value
    os.environ["LAB_LEVEL"] = str(level)


@pytest.fixture(scope="session", params=["small", "large"])
def sized(request):
    return np.ones(2 if request.param == "small" else 5)


@pytest.fixture
def from_environment():
    return os.environ.get("LAB_INPUT", "1")


@pytest.fixture(scope="session")
@pytest_kepler.dataset(files=["declared/*.txt"], version="1")
def declared():
    return iter(sorted((HERE / "declared").glob("*.txt")))


@pytest.fixture
def random_weights():
    return np.random.normal(size=3)


@pytest.fixture
def unrelated():
    return 1
'''

CODE = '''
import functools

import pytest

import lab
import lab.numbers as values
from lab import core, decorators
from lab import cut, STAR
from lab.core import scale as rescale

RATE = 0.5
state = {"started": None}


def setup_module():
    state["started"] = 3


def setup_function(function):
    state["each"] = 1


def gate(metric="score"):
    return pytest.mark.experiment(metric=metric, gate=False)


@gate()
def test_scale(experiment):
    """A docstring."""
    experiment.log(score=rescale(1))  # a comment


@gate()
def test_clip(experiment):
    experiment.log(score=cut(5))


@gate()
def test_shift(experiment):
    experiment.log(score=core.shift(1))


@gate()
def test_deep(experiment):
    experiment.log(score=lab.core.deep(1))


@gate()
def test_star(experiment):
    experiment.log(score=STAR)


@gate()
def test_adder(experiment):
    experiment.log(score=core.ADD(1))


@gate()
def test_partial(experiment):
    experiment.log(score=core.SQUARE(3))


@gate()
def test_double(experiment):
    experiment.log(score=core.DOUBLE(3))


@gate()
def test_triple(experiment):
    experiment.log(score=core.TRIPLE(3))


@gate()
def test_pick(experiment):
    experiment.log(score=core.PICK["low"](3))


@gate()
def test_nested(experiment):
    experiment.log(score=sum(core.nested([[1, 2], [3, -1]])))


@gate()
def test_text(experiment):
    experiment.log(score=len(core.text(1)))


@gate()
def test_pattern(experiment):
    experiment.log(score=core.matches("abc"))


@gate()
def test_match(experiment):
    experiment.log(score=len(core.kind_of(1)))


@gate()
def test_guarded(experiment):
    experiment.log(score=core.guarded(0))


@gate()
def test_walrus(experiment):
    experiment.log(score=core.walrus(3))


@gate()
def test_generator(experiment):
    experiment.log(score=sum(core.numbers_up_to(3)))


@gate()
def test_context(experiment):
    with core.doubled() as two:
        experiment.log(score=two)


@gate()
def test_cached(experiment):
    experiment.log(score=core.cached(1))


@gate()
def test_dispatch(experiment):
    experiment.log(score=len(core.describe(1)))


@gate()
def test_lazy(experiment):
    experiment.log(score=core.lazy(1))


@gate()
def test_sorted(experiment):
    experiment.log(score=core.sorted_rows([(1, 2), (0, 1)])[0][0])


@gate()
def test_nonlocal(experiment):
    experiment.log(score=core.outer_variable(1))


@gate()
def test_weights(experiment):
    experiment.log(score=values.WEIGHTS.sum())


@gate()
def test_table(experiment):
    experiment.log(score=values.TABLE["a"])


@gate()
def test_names(experiment):
    experiment.log(score=len(values.NAMES))


@gate()
def test_day(experiment):
    experiment.log(score=values.DAY.day)


@gate()
def test_price(experiment):
    experiment.log(score=float(values.PRICE))


@gate()
def test_file(experiment):
    experiment.log(score=len(values.FILE.read_text()))


@gate()
def test_folder(experiment):
    experiment.log(score=len(values.FOLDER.name))


@gate()
def test_file_name(experiment):
    experiment.log(score=len(open(values.NAME).read()))


@gate()
def test_ratio(experiment):
    experiment.log(score=values.RATIO)


@gate()
def test_slice(experiment):
    experiment.log(score=values.SLICE.stop)


@gate()
def test_logged(experiment):
    experiment.log(score=decorators.plain(1))


@gate()
def test_times(experiment):
    experiment.log(score=decorators.tripled(1))


@gate()
def test_counted(experiment):
    experiment.log(score=decorators.counted(1))


@gate()
def test_inline(experiment):
    rows = [(lambda v: v + 1)(n) for n in range(3)]
    experiment.log(score=functools.reduce(lambda a, b: a + b * RATE, rows))


def local_helper(x):
    return x + 1


@gate()
def test_local(experiment):
    experiment.log(score=local_helper(1))


@pytest.mark.experiment(metric="score", at_least=0, tags=["grid"], gate=False)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("rate", [1, 2], ids=["one", "two"])
def test_grid(experiment, rate, seed):
    """The faster the better."""
    experiment.log(score=rate + seed)


@gate()
@pytest.mark.parametrize("function", [core.scale, core.clip], ids=["scale", "clip"])
def test_function_param(experiment, function):
    experiment.log(score=function(1))
'''

# Module-level set-up functions touch every test of their file, so the classes have their own.
OBJECTS = """
import pytest

from lab import classes
from lab.classes import Config, Mode, Model


def gate():
    return pytest.mark.experiment(metric="score", gate=False)


@gate()
def test_enum(experiment):
    experiment.log(score=Mode.FAST.value)


@gate()
def test_config(experiment):
    experiment.log(score=Config().total())


@gate()
def test_tuple(experiment):
    experiment.log(score=classes.Point().x + len(classes.Pair(1, 2)))


@gate()
def test_model(experiment):
    experiment.log(score=Model.build()(1))


@gate()
def test_instance(experiment):
    experiment.log(score=classes.MODEL.width)


@gate()
def test_meta(experiment):
    experiment.log(score=classes.Made.made)


@gate()
def test_slotted(experiment):
    experiment.log(score=classes.Slotted().value)


@gate()
def test_descriptor(experiment):
    experiment.log(score=classes.WithDescriptor().five)


@gate()
def test_registry(experiment):
    experiment.log(score=classes.REGISTRY["plus"](1))


class Shared:
    offset = 1

    def helper(self, x):
        return x + self.offset


class TestGroup(Shared):
    factor = 2

    def setup_method(self):
        self.start = 1

    @gate()
    def test_first(self, experiment):
        experiment.log(score=self.helper(1) * self.factor + self.start)

    @gate()
    def test_second(self, experiment):
        experiment.log(score=self.helper(2))

    def test_plain(self):
        assert self.helper(1) == 2
"""

DATA = """
import numpy as np
import pytest


def gate():
    return pytest.mark.experiment(metric="score", gate=False)


@pytest.fixture(scope="module")
def masked():
    return np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])


@gate()
def test_array(experiment, array):
    experiment.log(score=len(array))


@gate()
def test_prepared(experiment, prepared):
    experiment.log(score=prepared.sum())


@gate()
def test_settings(experiment, settings):
    experiment.log(score=settings["lr"])


@gate()
def test_config_fixture(experiment, config):
    experiment.log(score=config.total())


@gate()
def test_model_fixture(experiment, model):
    experiment.log(score=model.size)


@gate()
def test_class_fixture(experiment, model_class):
    experiment.log(score=model_class.depth)


@gate()
def test_loss(experiment, loss):
    experiment.log(score=loss(1, 2))


@gate()
def test_csv_path(experiment, csv_path):
    experiment.log(score=len(csv_path.read_text()))


@gate()
def test_csv_name(experiment, csv_name):
    experiment.log(score=len(csv_name))


@gate()
def test_written(experiment, written):
    experiment.log(score=len(written.read_text()))


@gate()
@pytest.mark.usefixtures("prepare_environment")
def test_environment(experiment):
    experiment.log(score=1)


@gate()
def test_sized(experiment, sized):
    experiment.log(score=len(sized))


@gate()
def test_from_environment(experiment, from_environment):
    experiment.log(score=float(from_environment))


@gate()
def test_declared(experiment, declared):
    experiment.log(score=1)


@gate()
def test_random(experiment, random_weights):
    experiment.log(score=random_weights.sum())


@gate()
def test_masked(experiment, masked):
    experiment.log(score=masked.sum())
"""

FRAMES = """
from pathlib import Path

import pandas as pd
import pytest


def gate():
    return pytest.mark.experiment(metric="score", gate=False)


@pytest.fixture(scope="session")
def frame():
    return pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", None], "c": [0.5, 1.5, 2.5]})


@pytest.fixture(scope="session")
def coloured():
    return pd.Series(pd.Categorical(["red", "blue"], categories=["red", "blue"]))


@pytest.fixture(scope="session")
def timed():
    return pd.Series([1.0, 2.0], index=pd.date_range("2026-01-01", periods=2, tz="UTC"))


@pytest.fixture(scope="session")
def read():
    return pd.read_csv(Path(__file__).parent / "table.csv")


@gate()
def test_frame(experiment, frame):
    experiment.log(score=len(frame))


@gate()
def test_coloured(experiment, coloured):
    experiment.log(score=len(coloured))


@gate()
def test_timed(experiment, timed):
    experiment.log(score=len(timed))


@gate()
def test_read(experiment, read):
    experiment.log(score=len(read))
"""

MODELS = """
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler


def gate():
    return pytest.mark.experiment(metric="score", gate=False)


def halve(X):
    return X / 2


@pytest.fixture
def estimator():
    return make_pipeline(StandardScaler(), LogisticRegression(C=2.0))


@pytest.fixture(scope="session")
def fitted():
    X = np.arange(8.0).reshape(4, 2)
    return Ridge(alpha=1.0).fit(X, X[:, 0])


@pytest.fixture
def transformer():
    return FunctionTransformer(halve)


@gate()
def test_estimator(experiment, estimator):
    experiment.log(score=estimator[-1].C)


@gate()
def test_fitted(experiment, fitted):
    experiment.log(score=float(fitted.coef_[0]))


@gate()
def test_transformer(experiment, transformer):
    experiment.log(score=1)


@gate()
@pytest.mark.parametrize("estimator_param", [Ridge(alpha=1.0), Ridge(alpha=2.0)], ids=["a", "b"])
def test_estimator_param(experiment, estimator_param):
    experiment.log(score=estimator_param.alpha)
"""

NEAR_CONFTEST = """
import pytest


class Net:
    _layers = [object]

    def __init__(self):
        self.size = 2

    def depth(self):
        return len(self._layers)


@pytest.fixture
def net():
    return Net()
"""

NEAR = """
import pytest


def gate():
    return pytest.mark.experiment(metric="score", gate=False)


@gate()
def test_near(experiment, net):
    experiment.log(score=net.depth())


@gate()
@pytest.mark.parametrize("name", ["one.txt", "same.txt"])
def test_named(experiment, name):
    experiment.log(score=len(name))


class TestNear:
    @pytest.fixture
    def eleven(self):
        return 11

    @gate()
    def test_in_class(self, experiment, eleven):
        experiment.log(score=eleven)
"""

FILES: Final = {
    "pytest.ini": "\n[pytest]\npythonpath = .\n",
    "lab/__init__.py": INIT,
    "lab/core.py": CORE,
    "lab/numbers.py": NUMBERS,
    "lab/late.py": LATE,
    "lab/decorators.py": DECORATORS,
    "lab/classes.py": CLASSES,
    "lab/notes.txt": "notes\n",
    "lab/named.txt": "named\n",
    "lab/folder/inside.txt": "inside\n",
    "declared/one.txt": "one\n",
    "table.csv": "a,b\n1,2\n3,4\n",
    "conftest.py": CONFTEST,
    "one.txt": "same\n",
    "same.txt": "same\n",
    "near/conftest.py": NEAR_CONFTEST,
    "near/test_near.py": NEAR,
    "test_code.py": CODE,
    "test_objects.py": OBJECTS,
    "test_data.py": DATA,
    "test_frames.py": FRAMES,
    "test_models.py": MODELS,
}
