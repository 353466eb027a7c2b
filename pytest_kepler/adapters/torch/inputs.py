"""Rows as torch takes them: tensors on the module's device, out of arrays, frames and loaders."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters.views import (
    NotApplicable,
    as_array,
    is_frame,
    is_series,
    is_tensor,
)

if TYPE_CHECKING:
    from pytest_kepler.adapters.views import Array

#: Rows of a dataset that are read one by one.
_ROWS_READ: Final = 640
_PAIR: Final = 2


def read_loader(source: Any) -> tuple[Any, Any, bool]:
    """Return (inputs, labels, whether these are all rows) of a loader or dataset.

    Nothing is taken from the loader itself, which may start processes or be in the middle of an
    epoch: its dataset is asked for its tensors, or for its first rows.

    Raises
    ------
    NotApplicable
        If its rows can be read only one after another.
    """
    from torch.utils import data

    dataset = source.dataset if isinstance(source, data.DataLoader) else source
    if isinstance(dataset, data.TensorDataset):
        return (*_inputs_and_labels(tuple(dataset.tensors)), True)
    if isinstance(dataset, data.IterableDataset) or not hasattr(dataset, "__len__"):
        raise NotApplicable("an iterable dataset cannot be looked at without consuming it")
    n_rows = len(dataset)
    if not n_rows:
        raise NotApplicable("the dataset has no rows")
    collate = getattr(source, "collate_fn", None) or data.default_collate
    with untouched_globals():
        rows = collate([dataset[i] for i in range(min(n_rows, _ROWS_READ))])
    parts = tuple(rows) if isinstance(rows, list | tuple) else (rows,)
    return (*_inputs_and_labels(parts), n_rows <= _ROWS_READ)


def _inputs_and_labels(parts: tuple[Any, ...]) -> tuple[Any, Any]:
    if len(parts) < _PAIR:
        return parts[0], None
    return (parts[0] if len(parts) == _PAIR else parts[:-1]), parts[-1]


def rows_of(value: Any, rows: Array | slice) -> Any:
    """Return some rows of a tensor, array or table, or of each in a mapping or sequence."""
    if isinstance(value, Mapping):
        return {name: rows_of(part, rows) for name, part in value.items()}
    if isinstance(value, list | tuple) and value and hasattr(value[0], "shape"):
        return tuple(rows_of(part, rows) for part in value)
    if is_tensor(value):
        return value.detach()[rows if isinstance(rows, slice) else rows.tolist()]
    if is_frame(value) or is_series(value):
        return np.asarray(value.iloc[rows] if hasattr(value, "iloc") else value[rows])
    return as_array(value)[rows]


def cells_of(value: Any) -> int:
    """Return how many values one row has."""
    if isinstance(value, Mapping):
        return sum(cells_of(part) for part in value.values())
    if isinstance(value, list | tuple) and value and hasattr(value[0], "shape"):
        return sum(cells_of(part) for part in value)
    return int(np.prod(np.shape(value)[1:]))


def tensors(value: Any, model: Any) -> Any:
    """Return inputs as a loop hands them to a module: on its device, floating as its weights are.

    Tensors keep their type. Whole numbers in an array are kept for a module that embeds them.
    """
    import torch

    if isinstance(value, Mapping):
        return {name: tensors(part, model) for name, part in value.items()}
    if isinstance(value, tuple):
        return tuple(tensors(part, model) for part in value)
    device, dtype = place_of(model)
    if is_tensor(value):
        return value.to(device)
    kinds = (torch.nn.Embedding, torch.nn.EmbeddingBag)
    embeds = any(isinstance(one, kinds) for one in model.modules())
    if value.dtype.kind in "iub" and embeds:
        dtype = torch.int64
    elif value.dtype.kind not in "biuf":
        raise NotApplicable(f"values of the type {value.dtype} are no tensor")
    # torch warns of an array that may not be written to, as pandas hands out: it gets a copy.
    return torch.as_tensor(np.require(value, None, ["C", "W"])).to(device, dtype)


def place_of(model: Any) -> tuple[Any, Any]:
    """Return (device, floating-point type) of a module's weights."""
    import torch

    for one in (*model.parameters(), *model.buffers()):
        if one.is_floating_point():
            return one.device, one.dtype
    return torch.device("cpu"), torch.get_default_dtype()


def call(model: Any, inputs: Any) -> Any:
    """Call a module as its inputs suggest: several by position, or by name."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def flat(value: Any) -> Iterator[Any]:
    """Yield the tensors in nested tuples, lists and mappings."""
    if is_tensor(value):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from flat(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from flat(part)


def to_numpy(tensor: Any) -> Array:
    """Return a tensor as an array; the short floating-point types as float32."""
    tensor = tensor.detach().cpu()
    array: Array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    return array


@contextlib.contextmanager
def untouched_globals() -> Iterator[None]:
    """Restore the random states of Python, NumPy and torch on all devices in use."""
    import torch

    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the user's state
    cpu = torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002 - the user's state
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)


def is_loaded() -> bool:
    """Tell whether torch was imported."""
    return hasattr(sys.modules.get("torch"), "nn")
