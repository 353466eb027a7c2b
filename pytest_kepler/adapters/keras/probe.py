"""The bench of the probe for Keras on TensorFlow: a clone, and the steps taken on it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters import probing
from pytest_kepler.adapters.probing import ADAM_STEPS, BETAS, EPSILON, FEW, USER_STEPS
from pytest_kepler.adapters.sampling import chosen_rows
from pytest_kepler.adapters.views import NotApplicable

if TYPE_CHECKING:
    from pytest_kepler.adapters.probing import Batch, Role
    from pytest_kepler.adapters.views import Array, Floats

#: Tracing takes a while for each weight.
_MAX_WEIGHTS: Final = 120
_MEMORY_SHARE: Final = 0.8
#: What a float16 gradient is multiplied by on its way, so that it does not vanish.
_HALF_SCALE: Final = 1024.0
_RECURRENT: Final = ("kernel", "recurrent_kernel")


def require_size(model: Any, max_parameters: int) -> None:
    """Raise `NotApplicable` for a model that is too large to be cloned."""
    n_weights = len(model.trainable_variables)
    if n_weights > _MAX_WEIGHTS:
        raise NotApplicable(f"the probe did not run: the model has {n_weights} trainable weights")
    probing.require_size(int(model.count_params()), max_parameters, _device_memory_left())


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
    cells = int(np.prod(getattr(first, "shape", (1,))[1:]))
    return chosen_rows(labels, n_rows, probing.n_rows_for(n_rows, cells, _cells(model)))


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
        self.batch: Batch = (X, y)
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

        signature = [_specs(part) for part in self.batch]
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
                    beta1_power=tf.cast(BETAS[0] ** number, value.dtype),
                    beta2_power=tf.cast(BETAS[1] ** number, value.dtype),
                    lr=tf.cast(rate, value.dtype),
                    beta1=tf.cast(BETAS[0], value.dtype),
                    beta2=tf.cast(BETAS[1], value.dtype),
                    epsilon=tf.cast(EPSILON, value.dtype),
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

    def step(self) -> None:
        """Compute the gradients on the batch once, to see how long it takes."""
        self.gradients(*self.batch)

    def adam_run(self, batch: Batch, rate: float, n_steps: int) -> tuple[Floats, Array]:
        """Return the losses before each step, and the size of each gradient at each step."""
        import tensorflow as tf

        self.reset()
        losses, sizes = [], []
        for number in range(1, n_steps + 1):
            loss, gradients = self.gradients(*batch)
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
            loss, gradients = self.gradients(*self.batch)
            traced(gradients)
            losses.append(float(loss))
            if before:
                updates = probing.moved(before, self._values(kernels))
        losses.append(float(self.gradients(*self.batch)[0]))
        return np.asarray(losses), updates

    def outputs(self) -> list[Array]:
        """Return the outputs on the batch, in inference and in training mode.

        In a deep network with fresh BatchNorm statistics, next to nothing passes in inference.
        """
        import tensorflow as tf

        found = [self.clone(self.batch[0], training=mode) for mode in (False, True)]
        return [_numpy(one).astype(np.float64) for one in tf.nest.flatten(found)]

    def loss(self) -> float:
        """Return the loss on the batch in inference mode, without penalties."""
        import tensorflow as tf

        x, y = self.batch
        outputs = self.clone(x, training=False)
        total = self.clone.compute_loss(x, y, outputs, None, training=False)
        penalty = sum((tf.reduce_sum(one) for one in self.clone.losses), 0.0)
        return float(tf.cast(total, tf.float32) - tf.cast(penalty, tf.float32))

    def units(self, index: int) -> Array:
        """Return a trainable weight as it is; Keras has the units on the last axis."""
        return _numpy(self.trainable[index].value)

    def start_of(self, index: int) -> Array:
        """Return a trainable weight as it was at the start."""
        value = self.trainable[index].value
        position = next(i for i, one in enumerate(self._variables) if one is value)
        return np.asarray(self._start[position])

    def _values(self, indices: Sequence[int]) -> list[Array]:
        return [_numpy(self.trainable[i].value) for i in indices]

    @cached_property
    def weights(self) -> Sequence[tuple[str, Role]]:
        """Path and role of each trainable weight."""
        return [(str(one.path), _role(self.clone, one)) for one in self.trainable]

    @cached_property
    def few(self) -> Batch:
        """The first few rows."""
        import tensorflow as tf

        x, y = tf.nest.map_structure(lambda one: one[:FEW], self.batch)
        return x, y

    @cached_property
    def few_alike(self) -> Batch:
        """The first few rows with one input for all of them."""
        x, y = self.few
        return _one_input_for_all(x), y

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        import tensorflow as tf

        return int(tf.nest.flatten(self.batch[0])[0].shape[0])

    @property
    def has_distinct_rows(self) -> bool:
        """Whether any input differs between the rows."""
        import tensorflow as tf

        return any(bool(tf.reduce_any(one != one[:1])) for one in tf.nest.flatten(self.batch[0]))

    def labels(self, batch: Batch) -> list[Array]:
        """Return the labels of each output, in the order of the outputs."""
        labels = batch[1]
        if isinstance(labels, Mapping):
            labels = [labels[name] for name in self.clone.output_names]
        return [_numpy(one) for one in (labels if isinstance(labels, list | tuple) else [labels])]


def _role(clone: Any, variable: Any) -> Role:
    owner = _owner(clone, variable)
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


def _numpy(value: Any) -> Array:
    array: Array = sys.modules["keras"].ops.convert_to_numpy(value)
    return array
