"""Reading a `tf.data.Dataset` without changing what the user will read from it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from pytest_kepler.adapters.views import NotApplicable

MAX_BATCHES: Final = 20
MAX_ROWS: Final = 20_000

#: Steps that change only the order or the grouping of the rows.
_REARRANGING = {
    "_BatchDataset",
    "_CacheDataset",
    "CacheDataset",
    "_OptionsDataset",
    "_ParallelBatchDataset",
    "_PrefetchDataset",
    "_RepeatDataset",
    "RepeatDataset",
    "_ShuffleDataset",
}
#: Steps and sources that may be read again and give the same rows. Shuffling is not one: each
#: reading advances its generator. Neither is a Python generator, which may be read only once.
_REPEATABLE = {
    "_BatchDataset",
    "_ConcatenateDataset",
    "_MapDataset",
    "_OptionsDataset",
    "_PaddedBatchDataset",
    "_ParallelBatchDataset",
    "_ParallelMapDataset",
    "_PrefetchDataset",
    "_RangeDataset",
    "_SkipDataset",
    "_TakeDataset",
    "_TensorDataset",
    "_TensorSliceDataset",
    "_UnbatchDataset",
    "_ZipDataset",
}


def read_dataset(dataset: Any) -> tuple[Any, Any, bool]:
    """Return (X, y, whether these are all rows) of a dataset that is fed to a fit.

    Raises
    ------
    NotApplicable
        If reading the dataset would change what the user reads from it.
    """
    steps = list(_steps(dataset))
    names = [type(step).__name__ for step in steps]
    source = steps[-1]
    if names[-1] == "_TensorSliceDataset" and set(names[:-1]) <= _REARRANGING:
        X, y = _features_and_labels(_source_arrays(source))
        return X, y, True
    unsafe = sorted(set(names) - _REPEATABLE)
    if unsafe:
        what = ", ".join(name.strip("_").removesuffix("Dataset").lower() for name in unsafe)
        raise NotApplicable(f"a dataset with {what} cannot be read without changing it")
    return _first_batches(dataset, is_batched=any("Batch" in name for name in names))


def label_batches(dataset: Any) -> list[np.ndarray[Any, np.dtype[Any]]]:
    """Return the labels of the first batches, one array a batch.

    Raises
    ------
    NotApplicable
        If reading the dataset would change what the user reads from it, or it is not batched.
    """
    names = {type(step).__name__ for step in _steps(dataset)}
    if "_PaddedBatchDataset" in names or not any("Batch" in name for name in names):
        raise NotApplicable("the dataset does not make batches of labelled rows")
    if names - _REPEATABLE - {"_CacheDataset", "CacheDataset", "_RepeatDataset", "RepeatDataset"}:
        raise NotApplicable("the dataset shuffles, or cannot be read without changing it")
    found = []
    for element in dataset.take(MAX_BATCHES):
        labels = _features_and_labels(element)[1]
        if labels is None or isinstance(labels, Mapping | tuple):
            raise NotApplicable("the batches have no labels, or several")
        array = np.asarray(labels)
        if array.ndim > 1 and array.shape[-1] > 1:  # one-hot
            array = array.argmax(axis=-1)
        found.append(array.reshape(-1))
    return found


def _steps(dataset: Any) -> Any:
    waiting = [dataset]
    while waiting:
        step = waiting.pop(0)
        # A wrapper such as the one `cache` returns stands for the dataset inside.
        yield step
        waiting.extend(step._inputs())  # noqa: SLF001 - TensorFlow has no public way


def _source_arrays(source: Any) -> Any:
    import tensorflow as tf

    arrays = [np.asarray(tensor) for tensor in source._tensors]  # noqa: SLF001 - as above
    return tf.nest.pack_sequence_as(source.element_spec, arrays)


def _first_batches(dataset: Any, *, is_batched: bool) -> tuple[Any, Any, bool]:
    import tensorflow as tf

    rows_a_step = 1
    parts: list[Any] = []
    for element in dataset.take(MAX_BATCHES if is_batched else 256):
        arrays = [np.asarray(tensor) for tensor in tf.nest.flatten(element)]
        if not is_batched:
            arrays = [array[None] for array in arrays]
        parts.append(arrays)
        rows_a_step = len(arrays[0])
        if len(parts) * rows_a_step >= MAX_ROWS:
            break
    if not parts:
        raise NotApplicable("the dataset is empty")
    with contextlib.suppress(ValueError):
        joined = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
        X, y = _features_and_labels(tf.nest.pack_sequence_as(dataset.element_spec, joined))
        return X, y, False
    raise NotApplicable("the batches of the dataset have different shapes")


def _features_and_labels(element: Any) -> tuple[Any, Any]:
    if isinstance(element, tuple):
        return (element[0], element[1]) if len(element) > 1 else (element[0], None)
    if isinstance(element, Mapping):
        return element, None
    return element, None
