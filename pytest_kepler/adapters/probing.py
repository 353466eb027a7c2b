"""The probe: a few training steps on a clone of a network, and what they showed.

Three runs start from the weights that the network has. Run U takes the user's own optimizer. Run A
takes Adam at 0.01 on the whole batch: whether a weight can be reached is read there, because the
first steps of a warm-up are so small that a sound network looks dead. Two runs learn a few rows by
heart, once with their inputs and once with one input for all.

Each framework has a bench of its own, on which these steps are taken.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import numpy as np

from pytest_kepler.adapters.views import (
    BATCH_CELLS,
    BATCH_ROWS,
    FewRows,
    NotApplicable,
    Probe,
    UserRun,
    Weight,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_kepler.adapters.views import Array, Floats

USER_STEPS: Final = 20
ADAM_STEPS: Final = 4
FEW_STEPS: Final = 20
FEW: Final = 32
ADAM_RATE: Final = 0.01
#: Adam's decay of the two moments, and what keeps its divisor from being 0.
BETAS: Final = (0.9, 0.999)
EPSILON: Final = 1e-7
#: Where the few rows are hardly learned, what suits shallow and deep networks is tried as well.
OTHER_RATES: Final = (0.1, 0.001)
#: Values that all layers together may hold for the batch.
ACTIVATION_CELLS: Final = 50_000_000

_HARDLY: Final = 0.7
_MIN_ROWS: Final = 8
_SECONDS: Final = 20.0
#: Runs of the batch and of the few rows that the first step stands for.
_STEPS_LIKE_THE_FIRST: Final = 30
#: By how much the means of single-precision numbers may differ.
_ROUNDING: Final = 1e-5
#: Bytes that a parameter takes: the clone, its start, two moments, a gradient.
_BYTES_A_PARAMETER: Final = 20

Role = Literal["kernel", "embedding", "other"]
#: Inputs and labels, in the tensors of the framework.
Batch = tuple[Any, Any]


class Bench(Protocol):
    """A clone of a network on its batch, with the steps that can be taken on it."""

    @property
    def batch(self) -> Batch:
        """All rows."""
        ...

    @property
    def few(self) -> Batch:
        """The first few rows."""
        ...

    @property
    def few_alike(self) -> Batch:
        """The first few rows with one input for all of them."""
        ...

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        ...

    @property
    def has_distinct_rows(self) -> bool:
        """Whether any input differs between the rows."""
        ...

    @property
    def weights(self) -> Sequence[tuple[str, Role]]:
        """Path and role of each trainable weight."""
        ...

    @property
    def unconnected(self) -> set[int]:
        """The trainable weights from which nothing leads to the loss."""
        ...

    def labels(self, batch: Batch) -> list[Array]:
        """Return the labels of each output."""
        ...

    def loss(self) -> float:
        """Return the loss on the batch in inference mode, without penalties."""
        ...

    def outputs(self) -> list[Array]:
        """Return the outputs on the batch, in inference and in training mode.

        In a deep network with fresh BatchNorm statistics, next to nothing passes in inference.
        """
        ...

    def step(self) -> None:
        """Compute the gradients on the batch once, to see how long it takes."""
        ...

    def adam_run(self, batch: Batch, rate: float, n_steps: int) -> tuple[Floats, Array]:
        """Return the losses before each step, and the size of each gradient at each step."""
        ...

    def user_run(self, optimizer: Any, kernels: Sequence[int]) -> tuple[Floats, Floats]:
        """Return the losses under an optimizer, and how far its fourth step moves each kernel."""
        ...

    def units(self, index: int) -> Array:
        """Return a trainable weight as it is, with its units on the last axis."""
        ...

    def start_of(self, index: int) -> Array:
        """Return a trainable weight as it was at the start."""
        ...


def require_size(n_parameters: int, max_parameters: int, memory_left: float | None) -> None:
    """Raise `NotApplicable` for a network that is too large to be cloned.

    Parameters
    ----------
    memory_left : float or None
        Bytes of the GPU that may still be taken; None without a GPU.
    """
    if n_parameters > max_parameters:
        raise NotApplicable(
            f"the probe did not run: {n_parameters:,} parameters are more than {max_parameters:,}"
        )
    if memory_left is not None and n_parameters * _BYTES_A_PARAMETER > memory_left:
        raise NotApplicable("the probe did not run: the GPU's memory is nearly full")


def n_rows_for(n_rows: int, cells_of_inputs: int, cells_of_layers: int) -> int:
    """Return how many rows are probed, given the values that one row takes.

    Raises
    ------
    NotApplicable
        If these are too few.
    """
    limits = (BATCH_CELLS // max(1, cells_of_inputs), ACTIVATION_CELLS // max(1, cells_of_layers))
    limit = min(BATCH_ROWS, n_rows, *limits)
    if limit < _MIN_ROWS:
        why = f"there are {n_rows} rows" if n_rows < _MIN_ROWS else "its layers are too large"
        raise NotApplicable(f"the probe did not run: {why}")
    return limit


def run(
    bench: Bench,
    user_optimizer: Callable[[], tuple[Any, float, bool]],
    output_weights: Sequence[float],
) -> Probe:
    """Take the steps and return what they showed.

    Parameters
    ----------
    bench : Bench
        The clone on its batch.
    user_optimizer : callable
        Gives (a copy of the user's optimizer, its rate, whether the rate is scheduled), or
        raises `NotApplicable`.
    output_weights : sequence of float
        How much the loss of each output counts.

    Raises
    ------
    NotApplicable
        If a step takes so long that the probe would not end in 20 seconds.
    """
    began = time.perf_counter()
    paths = bench.weights
    kernels = [i for i, (_, role) in enumerate(paths) if role == "kernel"]
    loss, before = bench.loss(), _variation(bench.outputs())
    equal = {i: _has_equal_columns(bench.units(i)) for i in kernels}
    bench.step()
    _require_time(bench, time.perf_counter() - began)
    adam_losses, sizes = bench.adam_run(bench.batch, ADAM_RATE, ADAM_STEPS)
    after = _variation(bench.outputs())
    still_equal = {i: _has_equal_columns(bench.units(i)) for i in kernels}
    weights = [
        Weight(
            path=path,
            role=role,
            size=float(np.sqrt(np.mean(np.square(bench.start_of(i), dtype=np.float64)))),
            gradients=sizes[:, i].astype(np.float64),
            is_connected=i not in bench.unconnected,
            columns_equal=(equal.get(i, False), still_equal.get(i, False)),
        )
        for i, (path, role) in enumerate(paths)
    ]
    few_rows = _few_rows(bench)
    user, why = _user_run(bench, user_optimizer, [i for i in kernels if weights[i].size > 0])
    return Probe(
        n_rows=bench.n_rows,
        has_distinct_rows=bench.has_distinct_rows,
        labels=bench.labels(bench.batch),
        few_labels=bench.labels(bench.few),
        output_weights=output_weights,
        loss=loss,
        weights=weights,
        adam_losses=adam_losses,
        variation=(before, after),
        few_rows=few_rows,
        user=user,
        why_no_user_run=why,
        seconds=time.perf_counter() - began,
    )


def _require_time(bench: Bench, spent: float) -> None:
    began = time.perf_counter()
    bench.step()
    took = time.perf_counter() - began
    # What is left to trace takes about as long as what was traced.
    if 2 * spent + took * _STEPS_LIKE_THE_FIRST > _SECONDS:
        raise NotApplicable(
            f"the probe did not run: one step takes {took:.1f} s, and {spent:.0f} s went before it"
        )


def _few_rows(bench: Bench) -> list[FewRows]:
    runs: list[FewRows] = []
    for rate in (ADAM_RATE, *OTHER_RATES):
        real = bench.adam_run(bench.few, rate, FEW_STEPS)[0]
        same = bench.adam_run(bench.few_alike, rate, FEW_STEPS)[0]
        runs.append(FewRows(rate, real, same))
        if np.nanmin(real) < _HARDLY * np.nanmin(same):
            break
    return runs


def _user_run(
    bench: Bench, user_optimizer: Callable[[], tuple[Any, float, bool]], kernels: Sequence[int]
) -> tuple[UserRun | None, str]:
    try:
        optimizer, rate, is_scheduled = user_optimizer()
        losses, updates = bench.user_run(optimizer, kernels)
    except NotApplicable as reason:
        return None, str(reason)
    except Exception as error:  # noqa: BLE001 - an optimizer of the user's own may fail in any way
        return None, f"the optimizer cannot be copied: {type(error).__name__}"
    return UserRun(losses, updates, rate, is_scheduled), ""


def _variation(outputs: Sequence[Array]) -> float:
    """Return the largest spread over rows, relative to the size of the outputs."""
    spreads = []
    for one in outputs:
        flat = one.reshape(len(one), -1)
        size = float(np.abs(flat).mean())
        spreads.append(float(flat.std(axis=0).mean()) / size if size > 0 else 0.0)
    return max(spreads)


def _has_equal_columns(values: Array) -> bool:
    columns = values.reshape(-1, values.shape[-1])
    if columns.shape[1] < 2:  # noqa: PLR2004 - a single unit equals itself
        return False
    away = np.abs(columns - columns[:, :1]).max()
    return bool(away <= 1e-8 * np.abs(columns).max())


def moved(before: Sequence[Array], after: Sequence[Array], *, usual: bool = False) -> Floats:
    """Return how far kernels moved, relative to their size; those of size 0 are left out.

    Parameters
    ----------
    before, after : sequence of ndarray
        With the units on the last axis.
    usual : bool
        Take a kernel for at least as large as LeCun's initializer makes it: torch's own begins
        with a third of that variance, and soon leaves it.
    """
    found = []
    for old, new in zip(before, after, strict=True):
        size = float(np.linalg.norm(old.astype(np.float64)))
        if size > 0:
            least = np.sqrt(old.shape[-1]) if usual else 0.0
            found.append(float(np.linalg.norm((new - old).astype(np.float64))) / max(size, least))
    return np.asarray(found)


def compares_each_with_each(
    loss: Callable[[Array, Array], float], outputs: Array, labels: Array
) -> bool:
    """Tell whether a loss pairs every output with every label, where each has its own.

    That is so where it is another number once the labels have the outputs' shape, and then is
    the mean of what it gives for each row alone: a loss that means to pair rows is not.

    Parameters
    ----------
    loss : callable
        (outputs, labels) to a number.
    outputs, labels : ndarray
        Of as many values, in different shapes.
    """
    if outputs.size != len(outputs):
        return False
    # In the order of the labels, or the two means would differ by chance alone.
    ordered = np.empty_like(outputs)
    ordered[np.argsort(labels.reshape(-1), kind="stable")] = np.sort(outputs, axis=0)
    aligned = labels.reshape(outputs.shape)
    whole, meant = loss(ordered, labels), loss(ordered, aligned)
    alone = [loss(ordered[i : i + 1], aligned[i : i + 1]) for i in range(len(outputs))]
    scale = max(abs(meant), 1e-12)
    is_mean = abs(float(np.mean(alone)) - meant) <= _ROUNDING * scale
    return is_mean and abs(whole - meant) > 10 * _ROUNDING * scale
