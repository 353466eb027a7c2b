"""Questions that several checks ask of the same view; most false alarms die here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.estimators import KEEP_UNITS, n_folds, reads_numbers_as_amounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import Block, DataView, FitView, ModelView, Output, Target

TaskKind = Literal["classification", "multilabel", "regression", "reconstruction"]

#: Messages name this many columns, rows or labels; the rest is a count.
SHOWN: Final = 5
COLUMNS_SHOWN: Final = 10

#: Losses of numbers by what they sum, as Keras and torch call them.
SQUARED: Final = {"mean_squared_error", "meansquarederror", "mse", "mseloss", "mse_loss"}
ABSOLUTE: Final = {"mean_absolute_error", "meanabsoluteerror", "mae", "l1loss", "l1_loss"}
#: Squared for small errors: half as much.
HALF_SQUARED: Final = {
    *("huber", "huberloss", "huber_loss", "log_cosh", "logcosh"),
    *("smoothl1loss", "smooth_l1_loss"),
}

_CLASS_WEIGHTS: Final = ("class_weight", "scale_pos_weight", "is_unbalance", "auto_class_weights")
#: Scalers that a single far value pulls along.
_SCALERS: Final = {"MaxAbsScaler", "MinMaxScaler", "StandardScaler"}
_WIDE = 16
_MOSTLY_ZERO = 0.9
_FEW_COLUMNS = 3
_GRID_ROWS = 1_000
_GRID_VALUES = 1_024
_MANY_INTEGERS = 50
_MANY_ROWS = 20
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
    """Return the task, or raise `NotApplicable` if it is not a plain, complete classification."""
    task = task_of(data)
    if data.target.missing.any():
        raise NotApplicable("some labels are missing, and K305 tells of them")
    if task.kind != "classification" or data.target.values.ndim > 1:
        flat = data.target.values.ndim == 1 or data.target.values.shape[-1] == 1
        if task.kind != "classification" or not flat:
            raise NotApplicable(f"the task is {task.kind}, not a choice of one class")
    return task


def _guess(target: Target) -> TaskKind:
    values = target.flat
    if values.dtype.kind in "OUSb":
        if len(values) >= _MANY_ROWS and 2 * len(target.codes[0]) > len(values):
            raise NotApplicable("nearly every row has a label of its own")
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
    validation = model.cross_validation
    folds = None if validation is None else (type(validation.splitter), n_folds(validation))
    return (
        *(model.framework, model.tolerates_missing, model.is_unsupervised, model.learns, losses),
        *(folds, any(step.columns is not None for step in model.column_steps)),
        *(makes_up_for_imbalance(model), minds_outliers(model)),
    )


def makes_up_for_imbalance(model: ModelView) -> bool:
    """Tell whether a model weights its classes, resamples them, or is judged with care."""
    scoring = model.cross_validation.scoring if model.cross_validation is not None else None
    if scoring is not None and scoring != "accuracy":
        return True
    if any(hasattr(step, "fit_resample") for step in model.steps):
        return True
    return any(
        getattr(estimator, name, None) not in (None, False, 1)
        for estimator in model.estimators
        for name in _CLASS_WEIGHTS
    )


def minds_outliers(model: ModelView) -> bool:
    """Tell whether one far value reaches a model that sums or measures distances."""
    if model.framework != "sklearn":
        return model.is_network
    if any(type(step).__name__ not in KEEP_UNITS | _SCALERS for step in model.steps):
        return False
    return any(reads_numbers_as_amounts(estimator) for estimator in model.estimators)


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


def class_counts(data: DataView) -> dict[Any, int]:
    """Return how many rows each class has; a one-hot class goes by its position."""
    target = data.target
    if target.is_one_hot:
        codes = target.numbers.argmax(axis=1)
        labels, counts = np.unique(codes, return_counts=True)
    else:
        levels, codes = target.codes
        labels, counts = levels, np.bincount(codes, minlength=len(levels))
    return dict(zip(labels.tolist(), counts.tolist(), strict=True))


def label_changes(target: Target) -> float:
    """Return how often neighbouring rows change their label, beside a random order: 1 or near.

    The mean number of changes in a random order is (n - 1)(1 - Σp²) for shares p.
    """
    levels, codes = target.codes
    shares = np.bincount(codes, minlength=len(levels)) / max(len(codes), 1)
    expected = (len(codes) - 1) * (1 - float(np.square(shares).sum()))
    if expected <= 0:
        raise NotApplicable("there is one class")
    return float((np.diff(codes) != 0).sum() / expected)


# --- Columns ------------------------------------------------------------------------------


def continuous(block: Block) -> NDArray[np.bool_]:
    """Return which numeric columns take many values, as measurements do."""
    n = min(len(block.matrix), 5_000)
    many = block.distinct > _CONTINUOUS_SHARE * max(n, 1)
    many &= block.distinct > 2  # noqa: PLR2004 - two values are a binary column
    return np.asarray(many & (~block.integral | (block.distinct > _MANY_INTEGERS)))


def off_scale(train: Block, test: Block) -> tuple[NDArray[np.bool_], NDArray[np.bool_], bool]:
    """Return (columns of another scale in test, columns that can be judged, whether these are few).

    Another scale is a spread twice as large, that of the middle half included, or means two
    spreads apart and medians one; where three columns or fewer can be judged, ten times that.

    Raises
    ------
    NotApplicable
        If no column can be judged.
    """
    ours, theirs = train.stats, test.stats
    usable = (ours.sd > 0) & (theirs.sd > 0)
    usable &= (ours.zero_share <= _MOSTLY_ZERO) & (theirs.zero_share <= _MOSTLY_ZERO)
    if not usable.any():
        raise NotApplicable("no numeric column varies in both splits")
    is_few = int(usable.sum()) <= _FEW_COLUMNS
    factor = 10.0 if is_few else 2.0
    # In heavy tails the spread of a few rows is anything: the middle half must agree.
    spread = _differ(ours.sd, theirs.sd, factor) & _differ(train.middle[1], test.middle[1], factor)
    larger = np.maximum(ours.sd, theirs.sd)
    place = np.abs(ours.mean - theirs.mean) > factor * larger
    place &= np.abs(train.middle[0] - test.middle[0]) > 0.5 * factor * larger
    return (spread | place) & usable, usable, is_few


def _differ(ours: NDArray[Any], theirs: NDArray[Any], factor: float) -> NDArray[np.bool_]:
    """Tell where two spreads differ by more than a factor; those of zero say nothing."""
    larger, smaller = np.maximum(ours, theirs), np.minimum(ours, theirs)
    return np.asarray((larger > factor * smaller) | (smaller <= 0))


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
        raise NotApplicable("the model's loss is not known")
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


def sets_the_rate(fit: FitView) -> bool:
    """Tell whether a callback of the fit sets the learning rate."""
    names = [type(one).__name__.lower() for one in callbacks_of(fit)]
    return any(word in name for name in names for word in ("schedule", "warm", "learningrate"))


def callbacks_of(fit: FitView) -> Sequence[Any]:
    """Return the callbacks of a fit."""
    given = fit.fit_kwargs.get("callbacks") or ()
    return given if isinstance(given, list | tuple) else [given]


# --- Words --------------------------------------------------------------------------------


def listed(items: Sequence[object], shown: int = SHOWN) -> str:
    """Return the first items in words, and how many more there are."""
    words = ", ".join(str(item) for item in items[:shown])
    return words if len(items) <= shown else f"{words} and {len(items) - shown:,} more"


def plural(count: int, word: str) -> str:
    """Return a count with its noun: ``1 row``, ``2 rows``."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
