"""Seeding of every source of randomness that is loaded; nothing is imported to be seeded."""

from __future__ import annotations

import random
import sys
from typing import Any, Final

from pytest_kepler.errors import ExperimentError

#: One above the largest seed that NumPy takes.
LIMIT: Final = 2**32


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy's global generator, Keras with its backend, TensorFlow and torch.

    Parameters
    ----------
    seed : int
        In [0, 2**32).

    Raises
    ------
    ExperimentError
        If it is no such number.

    Notes
    -----
    A library that is imported later starts unseeded: call this again after imports. Generators
    that a test makes itself (``np.random.default_rng()``) are its own to seed.
    """
    _validate(seed)
    seed = int(seed)
    random.seed(seed)
    numpy_random = _loaded("numpy", "random")
    if numpy_random is not None:
        numpy_random.seed(seed)
    keras_utils = _loaded("keras", "utils")
    if keras_utils is not None:
        keras_utils.set_random_seed(seed)  # Python, NumPy, TensorFlow, its own generator
    else:
        tensorflow_random = _loaded("tensorflow", "random")
        if tensorflow_random is not None:
            tensorflow_random.set_seed(seed)
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "manual_seed"):
        torch.manual_seed(seed)  # all devices


def _loaded(package: str, part: str) -> Any | None:
    # A package that is being imported, or whose import failed, has no parts yet.
    return getattr(sys.modules.get(package), part, None)


def _validate(seed: object) -> None:
    is_whole = isinstance(seed, int) or hasattr(seed, "__index__")
    if not is_whole or isinstance(seed, bool) or not 0 <= int(seed) < LIMIT:  # type: ignore[call-overload]
        raise ExperimentError(
            f"The parameter 'seed' must be a whole number from 0 to {LIMIT - 1}, got {seed!r}: "
            "it seeds Python, NumPy, Keras and torch."
        )
