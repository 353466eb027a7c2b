from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest

from pytest_kepler.errors import ExperimentError
from pytest_kepler.tracking.seeding import seed_everything


def draw():
    # The global generators are what is seeded.
    return random.random(), np.random.random()  # noqa: NPY002


def test_the_same_seed_gives_the_same_draws():
    seed_everything(3)
    first = draw()
    seed_everything(3)
    assert draw() == first
    seed_everything(4)
    assert draw() != first


def test_a_numpy_integer_is_a_seed():
    seed_everything(3)
    first = draw()
    seed_everything(np.int64(3))
    assert draw() == first


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "1", None, True])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(ExperimentError, match="'seed' must be a whole number from 0"):
        seed_everything(seed)


def test_torch_is_seeded_where_it_is_loaded():
    torch = pytest.importorskip("torch")
    seed_everything(5)
    first = torch.rand(2)
    seed_everything(5)
    assert torch.equal(torch.rand(2), first)


def test_nothing_is_imported_to_be_seeded():
    code = (
        "import sys; from pytest_kepler.tracking.seeding import seed_everything; "
        "seed_everything(0); "
        "print([m for m in ('numpy', 'keras', 'tensorflow', 'torch') if m in sys.modules])"
    )
    run = subprocess.run(  # our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def test_a_library_that_is_half_imported_is_left_alone(monkeypatch):
    for name in ("keras", "tensorflow", "torch"):
        monkeypatch.setitem(sys.modules, name, type(sys)(name))
    seed_everything(0)
