"""Questions that several checks ask of the same view; most false alarms die here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from pytest_kepler.adapters.views import NotApplicable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Block, DataView, FitView, ModelView, Output, Target

TaskKind = Literal["classification", "multilabel", "regression", "reconstruction"]

#: Messages name this many columns, rows or labels; the rest is a count.
SHOWN: Final = 5
COLUMNS_SHOWN: Final = 10

_WIDE = 16
_GRID_ROWS = 1_000
_GRID_VALUES = 1_024
_MANY_INTEGERS = 50
_CONTINUOUS_SHARE = 0.05
_NUMBERED_NAME = re.compile(r"(pixel|px|p|x|v|f|feat|feature|dim|col|column)?[_ ]?\d+([x_]\d+)?")


@dataclass(frozen=True, slots=True)
class Task:
    """What is learned, and whether that was told or guessed from the target."""

    kind: TaskKind
    is_inferred: bool


def task_of(data: DataView) -> Task:
    """Return the task, from the compiled loss if there is one, else from the target."""
    target = data.target
    loss = _loss_kind(data)
    if loss == "custom":
        raise NotApplicable("the loss is the user's own")
    if is_reconstruction(data):
        return Task("reconstruction", is_inferred=False)
    if target.values.ndim > 1 and target.values.shape[-1] > 1:
        return Task("classification" if target.is_one_hot else "multilabel", is_inferred=True)
    if loss in {"sparse", "categorical"}:
        return Task("classification", is_inferred=False)
    if loss == "numeric":
        return Task("regression", is_inferred=False)
    declared = _declared_by_estimator(data)
    if declared is not None:
        return Task(declared, is_inferred=False)
    return Task(_guess(target), is_inferred=True)


def require_classification(data: DataView) -> Task:
    """Return the task, or raise `NotApplicable` if it is not a plain classification."""
    task = task_of(data)
    if task.kind != "classification" or data.target.values.ndim > 1:
        flat = data.target.values.ndim == 1 or data.target.values.shape[-1] == 1
        if task.kind != "classification" or not flat:
            raise NotApplicable(f"the task is {task.kind}, not a choice of one class")
    return task


def _guess(target: Target) -> TaskKind:
    values = target.flat
    if values.dtype.kind in "OUSb":
        return "classification"
    if not target.is_numeric:
        return "regression"
    numbers = values[~target.missing.reshape(values.shape)]
    if not len(numbers) or not np.isfinite(numbers).all() or (numbers != np.floor(numbers)).any():
        return "regression"
    n_levels = len(np.unique(numbers))
    return "classification" if n_levels <= max(20, np.sqrt(len(numbers))) else "regression"


def kind_of_model(model: ModelView) -> tuple[Any, ...]:
    """Return what of a model the findings about its data depend on."""
    losses = tuple(loss and (loss.kind, loss.ignore_class) for loss in model.losses)
    return (model.framework, model.tolerates_missing, model.is_unsupervised, model.learns, losses)


def _loss_kind(data: DataView) -> str | None:
    losses = data.model.losses if data.model is not None else ()
    return losses[0].kind if len(losses) == 1 and losses[0] is not None else None


def _declared_by_estimator(data: DataView) -> Literal["classification", "regression"] | None:
    learns = data.model.learns if data.model is not None else ""
    if learns == "classifier":
        return "classification"
    return "regression" if learns == "regressor" else None


def is_reconstruction(data: DataView) -> bool:
    """Tell whether the target is the input: an autoencoder."""
    if len(data.blocks) != 1 or not data.targets:
        return False
    source, values = data.blocks[0].source, data.target.values
    if source is values:
        return True
    shape = getattr(source, "shape", None)
    if shape is None or tuple(shape) != values.shape or values.ndim <= 1 or values.shape[1] <= 1:
        return False
    few, theirs = values[:100], np.asarray(source[:100])
    are_numbers = few.dtype.kind in "iufb" and theirs.dtype.kind in "iufb"
    return are_numbers and np.array_equal(theirs, few)


# --- Columns ------------------------------------------------------------------------------


def continuous(block: Block) -> NDArray[np.bool_]:
    """Return which numeric columns take many values, as measurements do."""
    n = min(len(block.matrix), 5_000)
    many = block.distinct > _CONTINUOUS_SHARE * max(n, 1)
    many &= block.distinct > 2  # noqa: PLR2004 - two values are a binary column
    return np.asarray(many & (~block.integral | (block.distinct > _MANY_INTEGERS)))


def shares_a_grid(block: Block) -> bool:
    """Tell whether all columns take values from one small set, as pixels do."""
    if _is_image(block):
        return True
    matrix = block.matrix
    if matrix.shape[1] < _WIDE or not _has_numbered_names(block):
        return False
    return len(np.unique(matrix[:_GRID_ROWS])) <= _GRID_VALUES


def is_homogeneous(block: Block) -> bool:
    """Tell whether all columns measure one thing in one unit: pixels, spectra, counts."""
    if shares_a_grid(block):
        return True
    if block.matrix.shape[1] < _WIDE or not _has_numbered_names(block):
        return False
    varying = block.stats.sd > 0
    if not varying.any():
        return False
    low, high = block.stats.low[varying], block.stats.high[varying]
    same_low = np.mean(low == low.min())
    return bool(same_low >= 0.5 and np.mean(high >= 0.5 * high.max()) >= 0.5)  # noqa: PLR2004


def is_unnamed_and_wide(block: Block) -> bool:
    """Tell whether a block is a plain array with many columns and no names for them."""
    return not block.is_table and block.matrix.shape[1] >= _WIDE


def _is_image(block: Block) -> bool:
    return not block.is_table and len(getattr(block.source, "shape", ())) > 2  # noqa: PLR2004


def _has_numbered_names(block: Block) -> bool:
    if block.names is None:
        return True
    return all(_NUMBERED_NAME.fullmatch(name.lower()) for name in block.names)


# --- Outputs ------------------------------------------------------------------------------


def outputs_with_targets(view: FitView) -> Iterable[tuple[Output, Target]]:
    """Return each output of a network with its target; not applicable where they differ.

    Raises
    ------
    NotApplicable
        If the model is no network, is not compiled, or has other targets than outputs.
    """
    outputs = view.model.outputs
    if not any(output.loss for output in outputs):
        raise NotApplicable("the model is not compiled with a loss")
    if all(output.loss is None or output.loss.kind == "custom" for output in outputs):
        raise NotApplicable("the loss is the user's own")
    targets = view.data.targets
    if not targets:
        raise NotApplicable(view.data.unreadable or "no target was given")
    if len(outputs) != len(targets):
        raise NotApplicable("there are not as many targets as outputs")
    return zip(outputs, targets, strict=True)


def place(output: Output) -> str:
    """Return how a message names an output; the same for every check of that output."""
    return f'output layer "{output.name}"'


# --- Words --------------------------------------------------------------------------------


def listed(items: Sequence[object], shown: int = SHOWN) -> str:
    """Return the first items in words, and how many more there are."""
    words = ", ".join(str(item) for item in items[:shown])
    return words if len(items) <= shown else f"{words} and {len(items) - shown:,} more"


def plural(count: int, word: str) -> str:
    """Return a count with its noun: ``1 row``, ``2 rows``."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
