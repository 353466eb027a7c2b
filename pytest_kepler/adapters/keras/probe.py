"""The probe: a few training steps on a clone of a Keras model, and what they showed.

Three runs start from the weights that the model has. Run U takes the user's own optimizer. Run A
takes Adam at 0.01 on the whole batch: whether a weight can be reached is read there, because the
first steps of a warm-up are so small that a sound network looks dead. Two runs learn a few rows by
heart, once with their inputs and once with one input for all.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters.keras.sampling import chosen_rows
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
    from pytest_kepler.adapters.views import Array, Floats

USER_STEPS: Final = 20
ADAM_STEPS: Final = 4
FEW_STEPS: Final = 20
FEW: Final = 32
ADAM_RATE: Final = 0.01
#: Where the few rows are hardly learned, what suits shallow and deep networks is tried as well.
OTHER_RATES: Final = (0.1, 0.001)
_HARDLY: Final = 0.7

_MIN_ROWS: Final = 8
#: Values that all layers together may hold for the batch.
_ACTIVATION_CELLS: Final = 50_000_000
_SECONDS: Final = 20.0
#: Tracing takes a while for each weight.
_MAX_WEIGHTS: Final = 120
#: Runs of the batch and of the few rows that the first step stands for.
_STEPS_LIKE_THE_FIRST: Final = 30
#: Bytes that a parameter takes: the clone, its start, two moments, a gradient.
_BYTES_A_PARAMETER: Final = 20
_MEMORY_SHARE: Final = 0.8
#: What a float16 gradient is multiplied by on its way, so that it does not vanish.
_HALF_SCALE: Final = 1024.0
_BETAS: Final = (0.9, 0.999)
_RECURRENT: Final = ("kernel", "recurrent_kernel")


def require_size(model: Any, max_parameters: int) -> None:
    """Raise `NotApplicable` for a model that is too large to be cloned."""
    n_weights = len(model.trainable_variables)
    if n_weights > _MAX_WEIGHTS:
        raise NotApplicable(f"the probe did not run: the model has {n_weights} trainable weights")
    n_parameters = int(model.count_params())
    if n_parameters > max_parameters:
        raise NotApplicable(
            f"the probe did not run: {n_parameters:,} parameters are more than {max_parameters:,}"
        )
    left = _device_memory_left()
    if left is not None and n_parameters * _BYTES_A_PARAMETER > left:
        raise NotApplicable("the probe did not run: the GPU's memory is nearly full")


def _device_memory_left() -> float | None:
    """Return how many bytes of a GPU may still be taken; None without a GPU."""
    import tensorflow as tf

    if not tf.config.list_logical_devices("GPU"):
        return None
    from tensorflow.python.client import device_lib

    limits = [one.memory_limit for one in device_lib.list_local_devices() if "GPU" in one.name]
    used = tf.config.experimental.get_memory_info("GPU:0")["current"]
    return float(_MEMORY_SHARE * min(limits) - used)


def rows_of_batch(model: Any, X: Any, labels: Any, n_rows: int) -> Array:
    """Return the positions of the rows that the probe trains on, each class alike."""
    first = X
    while isinstance(first, Mapping | list | tuple):
        first = next(iter(first.values())) if isinstance(first, Mapping) else first[0]
    cells = max(1, int(np.prod(getattr(first, "shape", (1,))[1:])))
    limit = min(BATCH_ROWS, n_rows, BATCH_CELLS // cells, _ACTIVATION_CELLS // _cells(model))
    if limit < _MIN_ROWS:
        why = f"there are {n_rows} rows" if n_rows < _MIN_ROWS else "its layers are too large"
        raise NotApplicable(f"the probe did not run: {why}")
    return chosen_rows(labels, n_rows, limit)


def _cells(model: Any) -> int:
    """Return how many values the layers hold for one row; an unknown length counts as 128."""
    total = 1
    for operation in getattr(model, "operations", ()):
        for node in operation._inbound_nodes:  # noqa: SLF001 - Keras has no public way
            for tensor in node.outputs:
                total += int(np.prod([128 if size is None else size for size in tensor.shape[1:]]))
    return total


class Bench:
    """A clone of a model on its batch, with the steps that can be taken on it."""

    def __init__(self, clone: Any, X: Any, y: Any) -> None:
        self.clone = clone
        self.X, self.y = X, y
        self.trainable = list(clone.trainable_variables)
        if not self.trainable:
            raise NotApplicable("the probe did not run: there is nothing to train")
        self._variables = [one.value for one in clone.variables]
        self._start = [_numpy(one) for one in self._variables]
        self.unconnected: set[int] = set()
        is_half = any("float16" in str(layer.compute_dtype) for layer in clone._flatten_layers())  # noqa: SLF001
        self._scale = _HALF_SCALE if is_half else 1.0

    def reset(self) -> None:
        """Put every weight, statistic and moment back to the start."""
        for variable, value in zip(self._variables, self._start, strict=True):
            variable.assign(value)
        for moment in (*self._moments[0], *self._moments[1]):
            moment.assign(moment * 0)

    @cached_property
    def _moments(self) -> tuple[list[Any], list[Any]]:
        import tensorflow as tf

        first, second = (
            [tf.Variable(tf.zeros_like(one.value)) for one in self.trainable] for _ in range(2)
        )
        return first, second

    @cached_property
    def gradients(self) -> Any:
        """(inputs, labels) to (loss without penalties, gradients); traced once for all runs."""
        import tensorflow as tf

        values = [one.value for one in self.trainable]

        def compute(x: Any, y: Any) -> tuple[Any, list[Any]]:
            with tf.GradientTape() as tape:
                outputs = self.clone(x, training=True)
                total = self.clone.compute_loss(x, y, outputs, None, training=True)
                penalty = sum((tf.reduce_sum(one) for one in self.clone.losses), 0.0)
                scaled = tf.cast(total, tf.float32) * self._scale
            found = tape.gradient(scaled, values)
            self.unconnected = {i for i, one in enumerate(found) if one is None}
            gradients = [
                tf.zeros_like(value) if one is None else tf.convert_to_tensor(one) / self._scale
                for one, value in zip(found, values, strict=True)
            ]
            return tf.cast(total, tf.float32) - tf.cast(penalty, tf.float32), gradients

        signature = [_specs(self.X), _specs(self.y)]
        return tf.function(compute, input_signature=signature, autograph=False)

    @cached_property
    def _adam(self) -> Any:
        """One step of Adam from given gradients; gives the size of each."""
        import tensorflow as tf

        values = [one.value for one in self.trainable]

        def step(gradients: list[Any], number: Any, rate: Any) -> Any:
            moments = zip(values, *self._moments, gradients, strict=True)
            for value, first, second, gradient in moments:
                tf.raw_ops.ResourceApplyAdam(
                    var=value.handle,
                    m=first.handle,
                    v=second.handle,
                    beta1_power=tf.cast(_BETAS[0] ** number, value.dtype),
                    beta2_power=tf.cast(_BETAS[1] ** number, value.dtype),
                    lr=tf.cast(rate, value.dtype),
                    beta1=tf.cast(_BETAS[0], value.dtype),
                    beta2=tf.cast(_BETAS[1], value.dtype),
                    epsilon=tf.cast(1e-7, value.dtype),
                    grad=gradient,
                )
            return tf.stack([_size(one) for one in gradients])

        number = tf.TensorSpec((), tf.float32)
        signature = [self._gradient_specs, number, number]
        return tf.function(step, input_signature=signature, autograph=False)

    @property
    def _gradient_specs(self) -> list[Any]:
        import tensorflow as tf

        return [tf.TensorSpec(one.shape, one.value.dtype) for one in self.trainable]

    def adam_run(self, x: Any, y: Any, rate: float, n_steps: int) -> tuple[Floats, Array]:
        """Return the losses before each step, and the size of each gradient at each step."""
        import tensorflow as tf

        self.reset()
        losses, sizes = [], []
        for number in range(1, n_steps + 1):
            loss, gradients = self.gradients(x, y)
            found = self._adam(gradients, tf.constant(float(number)), tf.constant(rate))
            losses.append(float(loss))
            sizes.append(_numpy(found))
        return np.asarray(losses), np.asarray(sizes)

    def user_run(self, optimizer: Any, kernels: Sequence[int]) -> tuple[Floats, Floats]:
        """Return the losses under an optimizer, and how far its fourth step moves each kernel."""
        import tensorflow as tf

        self.reset()
        optimizer.build(self.trainable)

        def step(gradients: list[Any]) -> None:
            optimizer.apply(gradients, self.trainable)

        traced = tf.function(step, input_signature=[self._gradient_specs], autograph=False)
        losses, updates = [], np.zeros(0)
        for number in range(USER_STEPS):
            before = self._values(kernels) if number == ADAM_STEPS - 1 else []
            loss, gradients = self.gradients(self.X, self.y)
            traced(gradients)
            losses.append(float(loss))
            if before:
                updates = _moved(before, self._values(kernels))
        losses.append(float(self.gradients(self.X, self.y)[0]))
        return np.asarray(losses), updates

    def outputs(self) -> list[Array]:
        """Return the outputs on the batch, in inference and in training mode.

        In a deep network with fresh BatchNorm statistics, next to nothing passes in inference.
        """
        import tensorflow as tf

        found = [self.clone(self.X, training=mode) for mode in (False, True)]
        return [_numpy(one).astype(np.float64) for one in tf.nest.flatten(found)]

    def loss(self) -> float:
        """Return the loss on the batch in inference mode, without penalties."""
        import tensorflow as tf

        outputs = self.clone(self.X, training=False)
        total = self.clone.compute_loss(self.X, self.y, outputs, None, training=False)
        penalty = sum((tf.reduce_sum(one) for one in self.clone.losses), 0.0)
        return float(tf.cast(total, tf.float32) - tf.cast(penalty, tf.float32))

    def columns_equal(self, kernels: Sequence[int]) -> dict[int, bool]:
        """Return for each kernel whether all its units have the same incoming weights."""
        return {i: _has_equal_columns(_numpy(self.trainable[i].value)) for i in kernels}

    def start_of(self, index: int) -> Array:
        """Return a trainable weight as it was at the start."""
        value = self.trainable[index].value
        position = next(i for i, one in enumerate(self._variables) if one is value)
        return np.asarray(self._start[position])

    def _values(self, indices: Sequence[int]) -> list[Array]:
        return [_numpy(self.trainable[i].value) for i in indices]


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
    roles = [_role(bench, one) for one in bench.trainable]
    kernels = [i for i, role in enumerate(roles) if role == "kernel"]
    loss, before = bench.loss(), _variation(bench.outputs())
    equal = bench.columns_equal(kernels)
    bench.gradients(bench.X, bench.y)
    _require_time(bench, time.perf_counter() - began)
    adam_losses, sizes = bench.adam_run(bench.X, bench.y, ADAM_RATE, ADAM_STEPS)
    after = _variation(bench.outputs())
    still_equal = bench.columns_equal(kernels)
    weights = [
        Weight(
            path=str(one.path),
            role=roles[i],
            size=float(np.sqrt(np.mean(np.square(bench.start_of(i), dtype=np.float64)))),
            gradients=sizes[:, i].astype(np.float64),
            is_connected=i not in bench.unconnected,
            columns_equal=(equal.get(i, False), still_equal.get(i, False)),
        )
        for i, one in enumerate(bench.trainable)
    ]
    few_X, few_y = _first_rows(bench.X), _first_rows(bench.y)
    few_rows = _few_rows(bench, few_X, few_y)
    sized = [i for i in kernels if weights[i].size > 0]
    user, why = _user_run(bench, user_optimizer, sized)
    return Probe(
        n_rows=_n_rows(bench.X),
        has_distinct_rows=_has_distinct_rows(bench.X),
        labels=_in_order(bench.y, bench.clone),
        few_labels=_in_order(few_y, bench.clone),
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


def _first_rows(values: Any) -> Any:
    import tensorflow as tf

    return tf.nest.map_structure(lambda one: one[:FEW], values)


def _require_time(bench: Bench, spent: float) -> None:
    began = time.perf_counter()
    bench.gradients(bench.X, bench.y)
    took = time.perf_counter() - began
    # What is left to trace takes about as long as what was traced.
    if 2 * spent + took * _STEPS_LIKE_THE_FIRST > _SECONDS:
        raise NotApplicable(
            f"the probe did not run: one step takes {took:.1f} s, and {spent:.0f} s went before it"
        )


def _few_rows(bench: Bench, x: Any, y: Any) -> list[FewRows]:
    constant = _one_input_for_all(x)
    runs: list[FewRows] = []
    for rate in (ADAM_RATE, *OTHER_RATES):
        real = bench.adam_run(x, y, rate, FEW_STEPS)[0]
        same = bench.adam_run(constant, y, rate, FEW_STEPS)[0]
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


def _role(bench: Bench, variable: Any) -> Any:
    owner = _owner(bench.clone, variable)
    name = str(variable.name)
    if "embedding" in name.lower() or type(owner).__name__ == "Embedding":
        return "embedding"
    if len(variable.shape) > 1 and ("kernel" in name or name in _RECURRENT):
        return "kernel"
    return "other"


def _owner(model: Any, variable: Any) -> Any:
    for layer in model._flatten_layers(include_self=False):  # noqa: SLF001 - nested ones too
        if any(one is variable for one in layer._trainable_variables):  # noqa: SLF001 - its own
            return layer
    return None


def _size(gradient: Any) -> Any:
    import tensorflow as tf

    return tf.sqrt(tf.reduce_mean(tf.square(tf.cast(gradient, tf.float32))))


def _specs(values: Any) -> Any:
    import tensorflow as tf

    return tf.nest.map_structure(
        lambda one: tf.TensorSpec((None, *one.shape[1:]), one.dtype), values
    )


def _one_input_for_all(x: Any) -> Any:
    """Return inputs of the same shape in which all rows are the mean, or the first row."""
    import tensorflow as tf

    def same(part: Any) -> Any:
        if not part.dtype.is_floating:
            return tf.repeat(part[:1], len(part), axis=0)
        mean = tf.reduce_mean(part, axis=0, keepdims=True)
        return tf.repeat(mean, len(part), axis=0)

    return tf.nest.map_structure(same, x)


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


def _moved(before: Sequence[Array], after: Sequence[Array]) -> Floats:
    """Return how far weights moved, relative to their size; those of size 0 are left out."""
    found = []
    for old, new in zip(before, after, strict=True):
        size = float(np.linalg.norm(old.astype(np.float64)))
        if size > 0:
            found.append(float(np.linalg.norm((new - old).astype(np.float64))) / size)
    return np.asarray(found)


def _numpy(value: Any) -> Array:
    array: Array = sys.modules["keras"].ops.convert_to_numpy(value)
    return array


def _in_order(labels: Any, model: Any) -> list[Array]:
    """Return the labels of each output, in the order of the outputs."""
    if isinstance(labels, Mapping):
        labels = [labels[name] for name in model.output_names]
    return [_numpy(one) for one in (labels if isinstance(labels, list | tuple) else [labels])]


def _has_distinct_rows(X: Any) -> bool:
    import tensorflow as tf

    return any(bool(tf.reduce_any(one != one[:1])) for one in tf.nest.flatten(X))


def _n_rows(X: Any) -> int:
    import tensorflow as tf

    return int(tf.nest.flatten(X)[0].shape[0])
