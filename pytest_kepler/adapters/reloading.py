"""A model saved and loaded anew, by the means of its own library, without a trace."""

from __future__ import annotations

import contextlib
import io
import pickle
import random
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.errors import first_line_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import ModelView

#: Models of which more bytes would be written are left alone.
_MOST_BYTES: Final = 200_000_000
_BYTES_A_WEIGHT: Final = 4
#: Of an error of a library's.
_MOST_SAID: Final = 200


class CannotReload(Exception):  # noqa: N818 - an outcome, not a failure of ours
    """A model that cannot be saved, or cannot be loaded; the message says why."""


def reloaded(model: ModelView, max_parameters: int) -> Any:
    """Return another object with what was learned: the model after saving and loading.

    Parameters
    ----------
    model : ModelView
    max_parameters : int
        Networks with more parameters are not written.

    Raises
    ------
    CannotReload
        If the library cannot save or load the model.
    NotApplicable
        If nobody but its author knows how the model is saved, or it is too large.
    """
    if model.framework == "keras":
        return _keras(model, max_parameters)
    if model.framework == "torch":
        raise NotApplicable("a module cannot be made anew without its class's arguments")
    if _is_from_xgboost(model.model):
        with _untouched_random_states(), _named("loaded"):
            return _xgboost(model.model)
    if model.framework == "sklearn":
        return _pickled(model.model)
    raise NotApplicable("only its author knows how the model is saved")


@contextlib.contextmanager
def _named(what: str) -> Iterator[None]:
    """Turn what goes wrong inside into `CannotReload`, with the library's own words."""
    try:
        yield
    except NotApplicable:
        raise
    except Exception as error:
        said = first_line_of(error)[:_MOST_SAID].rstrip(".")
        raise CannotReload(f"it cannot be {what}: {type(error).__name__}: {said}") from error


def _keras(view: ModelView, max_parameters: int) -> Any:
    from pytest_kepler.adapters.keras.view import untouched_globals

    keras = sys.modules["keras"]
    if not view.model.built:
        raise NotApplicable("the model is not built")
    n_parameters = view.n_parameters[1]
    if n_parameters > max_parameters or n_parameters * _BYTES_A_WEIGHT > _MOST_BYTES:
        raise NotApplicable("the model is too large to be saved on trial")
    with tempfile.TemporaryDirectory(prefix="kepler-") as folder, untouched_globals():
        path = Path(folder) / "model.keras"
        with _named("saved"):
            view.model.save(path)
        with _named("loaded"):
            # It is the user's own: code in it is theirs. What answers needs no loss.
            return keras.saving.load_model(path, compile=False, safe_mode=False)


def _is_from_xgboost(model: Any) -> bool:
    return type(model).__module__.startswith("xgboost.") and hasattr(model, "get_booster")


def _xgboost(model: Any) -> Any:
    from sklearn.base import clone

    again = clone(model)
    again.load_model(bytearray(model.get_booster().save_raw("json")))
    return again


def _pickled(model: Any) -> Any:
    with _untouched_random_states():
        written = _Limited()
        with _named("saved"):
            pickle.Pickler(written, protocol=pickle.HIGHEST_PROTOCOL).dump(model)
        written.seek(0)
        with _named("loaded"):
            return pickle.load(written)  # noqa: S301 - what was written a moment ago


class _Limited(io.BytesIO):
    """Bytes in memory that refuse to become too many."""

    def write(self, data: Any, /) -> int:
        if self.tell() + memoryview(data).nbytes > _MOST_BYTES:
            raise NotApplicable("the model is too large to be saved on trial")
        return super().write(data)


@contextlib.contextmanager
def _untouched_random_states() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the user's state
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002 - the user's state
