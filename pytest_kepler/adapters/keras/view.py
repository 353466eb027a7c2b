"""A Keras 3 model as the checks see it: its graph, losses, and one forward batch."""

from __future__ import annotations

import contextlib
import inspect
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from pytest_kepler.adapters import graph, probing
from pytest_kepler.adapters.keras import fresh as freshness
from pytest_kepler.adapters.keras import probe as benches
from pytest_kepler.adapters.sampling import picked
from pytest_kepler.adapters.views import (
    BATCH_CELLS,
    BATCH_ROWS,
    Array,
    Broadcast,
    FirstSignal,
    Frozen,
    Layer,
    LayerSignal,
    Loss,
    LossKind,
    Metric,
    ModelView,
    Modes,
    NotApplicable,
    Output,
    Probe,
    as_array,
    is_dataset,
    is_frame,
    is_series,
    quiet_failures,
    read_blocks,
    take_rows,
)

_LOSS_KINDS: Final[Mapping[str, LossKind]] = {
    "binary_crossentropy": "binary",
    "binary_focal_crossentropy": "binary",
    "categorical_crossentropy": "categorical",
    "categorical_focal_crossentropy": "categorical",
    "sparse_categorical_crossentropy": "sparse",
    "huber": "numeric",
    "log_cosh": "numeric",
    "mean_absolute_error": "numeric",
    "mean_absolute_percentage_error": "numeric",
    "mean_squared_error": "numeric",
    "mean_squared_logarithmic_error": "numeric",
    "poisson": "numeric",
}
#: Layers that hand their input on: moved, dropped or cut, but not changed in value.
_PASSIVE: Final = {
    "ActivityRegularization",
    "AlphaDropout",
    "Cropping1D",
    "Cropping2D",
    "Dropout",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "Masking",
    "Permute",
    "RepeatVector",
    "Reshape",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
}
_KINDS: Final[Mapping[str, str]] = {
    "BatchNormalization": "batchnorm",
    "Bidirectional": "recurrent",
    "Conv1D": "conv",
    "Conv1DTranspose": "conv",
    "Conv2D": "conv",
    "Conv2DTranspose": "conv",
    "Conv3D": "conv",
    "Conv3DTranspose": "conv",
    "Dense": "dense",
    "DepthwiseConv1D": "conv",
    "DepthwiseConv2D": "conv",
    "Embedding": "embedding",
    "GRU": "recurrent",
    "InputLayer": "input",
    "LSTM": "recurrent",
    "SeparableConv1D": "conv",
    "SeparableConv2D": "conv",
    "SimpleRNN": "recurrent",
}
_ACTIVATION_LAYERS: Final[Mapping[str, str]] = {
    "ELU": "elu",
    "LeakyReLU": "leaky_relu",
    "PReLU": "prelu",
    "ReLU": "relu",
    "Softmax": "softmax",
}
_SIGNAL_CELLS = 50_000_000
#: Models with more parameters are not cloned to be called.
_CLONED_PARAMETERS = 50_000_000


def matches(model: object) -> bool:
    """Tell whether `model` is a Keras model, without importing Keras."""
    keras = sys.modules.get("keras")
    kind = getattr(keras, "Model", None)
    return kind is not None and isinstance(model, kind)


@dataclass(frozen=True)
class KerasView(ModelView):
    """A Keras model and the inputs that it is about to be trained on."""

    source: Any = None
    #: Added to the seeds of random layers, which answer alike from equal seeds.
    seed_shift: int = 0

    @cached_property
    def _built(self) -> Any:
        """The model itself if it is built, else a built clone of it."""
        if self.model.built:
            # `build` of a subclassed model may leave its layers without weights.
            if not all(layer.built for layer in self.model._flatten_layers()):  # noqa: SLF001
                raise NotApplicable("the model is not built")
            return self.model
        keras = sys.modules["keras"]
        if not isinstance(self.model, keras.Sequential):
            raise NotApplicable("the model is not built")
        inputs = self._batch
        shape = getattr(inputs, "shape", None)
        if shape is None:
            raise NotApplicable("the model is not built")
        with untouched_globals():
            clone = keras.models.clone_model(self.model)
            clone.build((None, *shape[1:]))
            for ours, theirs in zip(clone.layers, self.model.layers, strict=True):
                _copy_state(theirs, ours)
        return clone

    @cached_property
    def _batch(self) -> Any:
        """The first rows of the inputs, in the form that the model takes."""
        X = self.source
        if is_dataset(X):
            from pytest_kepler.adapters.keras.datasets import read_dataset

            X = read_dataset(X)[0]
        if X is None:
            raise NotApplicable("no inputs were given")
        if isinstance(X, Mapping):
            return {name: _rows(part) for name, part in X.items()}
        if isinstance(X, list | tuple) and X and all(hasattr(part, "shape") for part in X):
            return [_rows(part) for part in X]
        return _rows(X)

    @cached_property
    def _graph(self) -> tuple[list[Any], dict[int, list[int]], list[Any]]:
        """(operations in order, inputs of each by position, output tensors)."""
        model = self._built
        outputs = getattr(model, "outputs", None)
        if not outputs or not all(hasattr(tensor, "_keras_history") for tensor in outputs):
            raise NotApplicable("the graph of a subclassed model cannot be seen")
        operations: list[Any] = []
        positions: dict[int, int] = {}
        inputs: dict[int, list[int]] = {}
        # An explicit stack: deep networks exceed Python's limit on recursion.
        stack = [(tensor._keras_history, False) for tensor in reversed(outputs)]  # noqa: SLF001
        while stack:
            history, is_done = stack.pop()
            operation = history.operation
            if id(operation) in positions:
                continue
            sources = _input_tensors(history)
            if is_done:
                positions[id(operation)] = len(operations)
                inputs[len(operations)] = [
                    positions[id(tensor._keras_history.operation)]  # noqa: SLF001
                    for tensor in sources
                    if id(tensor._keras_history.operation) in positions  # noqa: SLF001
                ]
                operations.append(operation)
                continue
            stack.append((history, True))
            stack.extend((tensor._keras_history, False) for tensor in reversed(sources))  # noqa: SLF001
        return operations, inputs, list(outputs)

    @property
    def is_network(self) -> bool:
        """Always."""
        return True

    @property
    def optimizer(self) -> Any:
        """The optimizer that the model is compiled with."""
        return getattr(self.model, "optimizer", None)

    @property
    def default_batch_size(self) -> int | None:
        """Keras' own."""
        return 32

    @property
    def backend(self) -> str:
        """The numerical backend: ``tensorflow``, ``jax`` or ``torch``."""
        return str(sys.modules["keras"].backend.backend())

    @cached_property
    def layers(self) -> Sequence[Layer]:
        """The layers in graph order."""
        operations, inputs, _ = self._graph
        readers = [0] * len(operations)
        for sources in inputs.values():
            for position in sources:
                readers[position] += 1
        return [
            _layer(operation, tuple(inputs[position]), readers[position])
            for position, operation in enumerate(operations)
        ]

    @cached_property
    def outputs(self) -> Sequence[Output]:
        """The outputs with their losses."""
        losses = self.losses
        try:
            tensors = self._graph[2]
        except NotApplicable:
            return self._outputs_by_batch(losses)
        names = list(getattr(self._built, "output_names", [])) or [""] * len(tensors)
        return [
            _output(tensor, names[i], losses[i] if i < len(losses) else None)
            for i, tensor in enumerate(tensors)
        ]

    def _outputs_by_batch(self, losses: Sequence[Loss | None]) -> Sequence[Output]:
        found = self.batch_outputs
        return [
            Output(
                name=f"output {i}" if len(found) > 1 else "output",
                units=array.shape[-1] if array.ndim > 1 else 1,
                rank=array.ndim,
                activation="unknown",
                loss=losses[i] if i < len(losses) else None,
            )
            for i, array in enumerate(found)
        ]

    @cached_property
    def losses(self) -> Sequence[Loss | None]:
        """The loss of each output; None where there is none."""
        config = getattr(getattr(self.model, "_compile_config", None), "config", None)
        if not self.model.compiled or config is None:
            return []
        given = config.get("loss")
        model = type(self.model)
        if _is_overridden(model, "train_step") or _is_overridden(model, "compute_loss"):
            return [Loss("custom", "a training step of its own")] * 64
        if isinstance(given, Mapping):
            names = list(getattr(self.model, "output_names", []))
            return [_loss(given.get(name)) for name in names]
        if isinstance(given, list | tuple):
            return [_loss(part) for part in given]
        n_outputs = len(getattr(self.model, "outputs", None) or [None])
        return [_loss(given)] * n_outputs

    @cached_property
    def batch_outputs(self) -> Sequence[Array]:
        """The outputs on the first rows, in inference mode."""
        if any(getattr(layer, "stateful", False) for layer in self.model.layers):
            raise NotApplicable("a stateful network would be changed by a forward pass")
        model = self._built
        with untouched_globals(), _untouched_seeds(model, self.seed_shift), quiet_failures():
            found = model(_tensors(self._batch), training=False)
        if isinstance(found, Mapping):
            found = list(found.values())
        if not isinstance(found, list | tuple):
            found = [found]
        return [as_array(_to_numpy(part)) for part in found]

    @cached_property
    def first_signals(self) -> Sequence[FirstSignal]:
        """The pre-activations of the layers that see the inputs first."""
        operations, inputs, _ = self._graph
        layers = self.layers
        signals = []
        for position in graph.first_weighted(layers):
            layer = layers[position]
            if layer.kind not in {"dense", "conv", "recurrent"} or not layer.is_trainable:
                continue
            z = self._pre_activation(operations[position])
            rms = float(np.sqrt(np.mean(np.square(z, dtype=np.float64))))
            normalised = layer.activation == "linear" and any(
                layers[reader].kind == "batchnorm"
                for reader, sources in inputs.items()
                if position in sources
            )
            signals.append(FirstSignal(layer.name, rms, len(z), normalised))
        if not signals:
            raise NotApplicable("no dense, convolutional or recurrent layer sees the inputs first")
        return signals

    @cached_property
    def layer_signals(self) -> Sequence[LayerSignal]:
        """What the hidden activations that can die or saturate give on the first rows."""
        operations, _, outputs = self._graph
        layers = self.layers
        ends = {id(_last_changing(tensor)) for tensor in outputs}
        chosen = [
            position
            for position, layer in enumerate(layers)
            if layer.activation in graph.WATCHED
            and layer.kind in {"dense", "conv", "activation"}
            and id(operations[position]) not in ends
        ]
        if not chosen:
            raise NotApplicable("there is no hidden layer that could die or saturate")
        arrays = self._values_of([operations[position] for position in chosen])
        return [
            _signal(layers, position, operations[position], values)
            for position, values in zip(chosen, arrays, strict=True)
        ]

    def _values_of(self, operations: Sequence[Any]) -> list[Array]:
        """Return what some operations give on the first rows, in inference mode."""
        keras = sys.modules["keras"]
        model = self._built
        tensors = [operation._inbound_nodes[-1].outputs[0] for operation in operations]  # noqa: SLF001
        cells = sum(int(np.prod([size or 128 for size in one.shape[1:]])) for one in tensors)
        if cells * BATCH_ROWS > _SIGNAL_CELLS:
            raise NotApplicable("its layers are too large to be looked at")
        with untouched_globals(), _untouched_seeds(model), quiet_failures():
            inside = keras.Model(model.inputs, tensors)
            found = inside(_tensors(self._batch_as_inputs()), training=False)
        return _arrays(found)

    @cached_property
    def score_sizes(self) -> Mapping[str, float]:
        """The size of what stands before the last softmax or sigmoid, on the first rows."""
        found = {}
        for position, (tensor, output) in enumerate(zip(self._graph[2], self.outputs, strict=True)):
            last = _last_changing(tensor)
            if output.loss is None or output.loss.kind not in {"sparse", "categorical", "binary"}:
                continue
            if output.activation == "linear":
                scores = self.batch_outputs[position]
            elif _kind(last, type(last).__name__) == "dense":
                scores = self._pre_activation(last)
            else:
                continue
            found[output.name] = float(np.sqrt(np.mean(np.square(scores, dtype=np.float64))))
        if not found:
            raise NotApplicable("no output has scores of classes that can be seen")
        return found

    @cached_property
    def metrics(self) -> Sequence[Metric]:
        """The metrics given to `compile` that are Keras' own; of one output alone."""
        config = getattr(getattr(self.model, "_compile_config", None), "config", None) or {}
        given = [*(config.get("metrics") or []), *(config.get("weighted_metrics") or [])]
        return [found for one in given if (found := _metric(one)) is not None]

    @cached_property
    def penalties(self) -> Mapping[str, float]:
        """The penalty that each trainable weight's regularizer gives."""
        return {
            variable.path: float(_to_numpy(variable.regularizer(variable.value)))
            for variable in self._built.trainable_variables
            if getattr(variable, "regularizer", None) is not None
        }

    @property
    def variables(self) -> Iterator[tuple[str, Array]]:
        """All weights and statistics, and those of the optimizer."""
        optimizer = getattr(self.model, "optimizer", None)
        for variable in (*self.model.weights, *getattr(optimizer, "variables", ())):
            yield str(variable.path), _to_numpy(variable)

    @property
    def n_parameters(self) -> tuple[int, int]:
        """The number of trainable parameters, and of all."""
        model = self._built
        trainable = sum(int(np.prod(one.shape)) for one in model.trainable_variables)
        return trainable, int(model.count_params())

    def broadcast(self, labels: Any) -> Broadcast | None:
        """Return the shapes that a loss of the user's own compares each with each, if it does.

        Keras lines up the shapes for its own losses and for functions, not for a class derived
        from `Loss`.
        """
        keras = sys.modules["keras"]
        config = getattr(getattr(self.model, "_compile_config", None), "config", None) or {}
        loss: Any = config.get("loss")
        is_own = isinstance(loss, keras.losses.Loss) and not type(loss).__module__.startswith(
            "keras."
        )
        if not is_own or len(self.batch_outputs) != 1:
            raise NotApplicable("Keras lines up the shapes of outputs and labels")
        if labels is None or isinstance(labels, Mapping):
            raise NotApplicable("no labels of one output were given")
        outputs = self.batch_outputs[0]
        true = as_array(picked(labels, slice(len(outputs))))
        if true.shape == outputs.shape or true.size != outputs.size:
            return None
        with untouched_globals(), quiet_failures("the loss cannot be called"):
            is_paired = probing.compares_each_with_each(
                lambda ours, theirs: float(_to_numpy(loss(_tensors(theirs), _tensors(ours)))),
                outputs,
                true.astype(outputs.dtype),
            )
        return Broadcast(outputs.shape, true.shape, is_certain=True) if is_paired else None

    def probe(self, labels: Any, max_parameters: int) -> Probe:
        """Take a few training steps on a clone, given what `fit` gets as its target."""
        if self.backend != "tensorflow":
            raise NotApplicable(f"the probe does not run on {self.backend}")
        self._require_usual_training()
        model = self._built
        benches.require_size(model, max_parameters)
        quietly = quiet_failures("the probe did not run")
        with untouched_globals(), _untouched_seeds(model), quietly:
            X, labels = self._rows_for_probe(labels)
            clone = self._compiled_clone(X)
            bench = benches.Bench(clone, _tensors(X), _tensors(labels))
            return probing.run(bench, self._user_optimizer, self._output_weights)

    def modes(self, labels: Any) -> Modes:
        """Return what a clone answers for the first rows in both modes, and the losses of that.

        The first rows are given labels of their own.
        """
        model = self._built
        norms = [
            str(layer.name)
            for layer in model._flatten_layers()  # noqa: SLF001 - nested layers included
            if type(layer).__name__ == "BatchNormalization" and layer.trainable
        ]
        if not norms:
            raise NotApplicable("there is no BatchNormalization that is trained")
        self._require_usual_training()
        if model.count_params() > _CLONED_PARAMETERS:
            raise NotApplicable("the model is too large to be cloned")
        quietly = quiet_failures("a clone of the model cannot be called")
        with untouched_globals(), _untouched_seeds(model), quietly:
            clone = self._compiled_clone(self._batch)
            # Inference first: training mode moves the clone's statistics.
            both = [_answers_of(clone, self._batch, labels, mode) for mode in (False, True)]
        (inference, first), (training, second) = both
        return Modes(
            inference,
            training,
            None if first is None or second is None else (first, second),
            norms,
            int(_to_numpy(self.model.optimizer.iterations)),
        )

    def _require_usual_training(self) -> None:
        if not self.model.compiled:
            raise NotApplicable("the model is not compiled")
        kind = type(self.model)
        if any(_is_overridden(kind, name) for name in ("train_step", "compute_loss")):
            raise NotApplicable("the training step is the user's own")
        if any(getattr(layer, "stateful", False) for layer in self.model._flatten_layers()):  # noqa: SLF001
            raise NotApplicable("a stateful network is not trained on rows out of order")

    def _rows_for_probe(self, labels: Any) -> tuple[Any, Any]:
        X = self.source
        if is_dataset(X):
            from pytest_kepler.adapters.keras.datasets import read_dataset

            X, labels, _ = read_dataset(X)
        if labels is None:
            raise NotApplicable("no target was given")
        blocks = read_blocks(X)
        rows = benches.rows_of_batch(self._built, X, labels, blocks[0].n_rows)
        return picked(X, rows), picked(labels, rows)

    def _compiled_clone(self, X: Any) -> Any:
        """Return a clone with the same weights and loss, without noise and penalties."""
        clone = _clone(self.model, self._built, X)
        config = self.model._compile_config.config  # noqa: SLF001 - the objects themselves
        clone.compile(
            loss=config.get("loss"),
            loss_weights=config.get("loss_weights"),
            auto_scale_loss=False,
        )
        ours, theirs = (
            one(_tensors(picked(X, slice(32))), training=False) for one in (self._built, clone)
        )
        for here, there in zip(_arrays(ours), _arrays(theirs), strict=True):
            if not np.allclose(here, there, rtol=1e-2, atol=1e-4, equal_nan=True):
                raise NotApplicable("the probe did not run: a clone of the model answers otherwise")
        for layer in clone._flatten_layers():  # noqa: SLF001 - nested layers included
            _silence(layer)
        for variable in clone.variables:
            variable.regularizer = None
        return clone

    @property
    def _output_weights(self) -> tuple[float, ...]:
        """How much the loss of each output counts."""
        given = self.model._compile_config.config.get("loss_weights")  # noqa: SLF001 - as above
        n_outputs = len(self.losses)
        if isinstance(given, Mapping):
            names = list(getattr(self.model, "output_names", []))
            return tuple(float(given.get(name, 1.0)) for name in names)
        if isinstance(given, list | tuple):
            return tuple(1.0 if one is None else float(one) for one in given)
        return (1.0 if given is None else float(given),) * n_outputs

    def _user_optimizer(self) -> tuple[Any, float, bool]:
        """Return (a copy of the user's optimizer, its rate, whether the rate is scheduled)."""
        keras = sys.modules["keras"]
        given = self.model.optimizer
        given = getattr(given, "inner_optimizer", given)
        rate = getattr(given, "_learning_rate", None)
        is_scheduled = isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
        copy = type(given).from_config(given.get_config())
        return copy, float(_to_numpy(given.learning_rate)), is_scheduled

    def _pre_activation(self, layer: Any) -> Array:
        keras = sys.modules["keras"]
        entry = _input_tensors(layer.output._keras_history)  # noqa: SLF001
        model = self._built
        with untouched_globals(), _untouched_seeds(model), quiet_failures():
            before = keras.Model(model.inputs, entry[0])
            x = before(_tensors(self._batch_as_inputs()), training=False)
            return _linear_part(layer, x)

    def _batch_as_inputs(self) -> Any:
        """Return the batch as the list of tensors that a functional model takes."""
        batch = self._batch
        if not isinstance(batch, Mapping):
            return batch
        names = [getattr(tensor, "name", "") for tensor in self._built.inputs]
        if set(names) <= set(batch):
            return [batch[name] for name in names]
        return list(batch.values())

    @cached_property
    def is_fresh(self) -> bool:
        """Whether at least 90 % of the weights in kernels are as their initializers made them."""
        if not self.model.built:
            return True
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is not None and int(_to_numpy(optimizer.iterations)) > 0:
            return False
        return freshness.is_mostly_initial(self.model)

    @cached_property
    def is_thinned(self) -> bool:
        """Whether weights are made small or zero on purpose."""
        model = self._built
        if getattr(getattr(self.optimizer, "inner_optimizer", self.optimizer), "weight_decay", 0):
            return True
        layers = model._flatten_layers()  # noqa: SLF001 - nested layers included
        if any(getattr(one, "activity_regularizer", None) is not None for one in layers):
            return True
        if any(getattr(one, "regularizer", None) is not None for one in model.trainable_variables):
            return True
        return graph.has_small_weights(_to_numpy(one) for one in model.trainable_variables)

    @cached_property
    def frozen(self) -> Frozen:
        """The layers that are never trained but come before some that are."""
        return freshness.read_frozen(self._built)


def view(model: Any, X: Any = None, *, seed_shift: int = 0) -> KerasView:
    """Return the view of a Keras model that is about to be trained on `X`."""
    return KerasView(
        framework="keras",
        model=model,
        name=type(model).__name__,
        tolerates_missing=_begins_with_mask(model),
        source=X,
        seed_shift=seed_shift,
    )


def _begins_with_mask(model: Any) -> bool:
    """Tell whether missing values may be meant: a mask, or a first layer of the user's own."""
    keras = sys.modules["keras"]
    if not isinstance(model, keras.Sequential) and not hasattr(model, "operations"):
        return False
    layers = [layer for layer in model.layers if type(layer).__name__ != "InputLayer"]
    if not layers:
        return False
    return any(type(layer).__name__ == "Masking" for layer in layers) or not type(
        layers[0]
    ).__module__.startswith("keras.")


# --- Leaving no trace ---------------------------------------------------------------------


@contextlib.contextmanager
def untouched_globals() -> Iterator[None]:
    """Restore the random states and Keras' counters of names after a probe."""
    from keras.src.backend.common import global_state

    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the user's state
    names = global_state.get_global_attribute("object_name_uids")
    names_before = None if names is None else dict(names)
    generator = global_state.get_global_attribute("global_seed_generator")
    seed_before = None if generator is None else _to_numpy(generator.state)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002 - the user's state
        if names is not None and names_before is not None:
            names.clear()
            names.update(names_before)
        if generator is None:
            global_state.set_global_attribute("global_seed_generator", None)
        else:
            generator.state.assign(seed_before)


@contextlib.contextmanager
def _untouched_seeds(model: Any, shift: int = 0) -> Iterator[None]:
    """Restore the seeds that layers such as Dropout keep in variables."""
    seeds = [v for v in model.variables if "seed_generator" in getattr(v, "path", "")]
    before = [_to_numpy(seed) for seed in seeds]
    try:
        for seed, value in zip(seeds, before, strict=True):
            if shift:
                seed.assign(value + np.asarray(shift, dtype=value.dtype))
        yield
    finally:
        for seed, value in zip(seeds, before, strict=True):
            seed.assign(value)


# --- Cloning ------------------------------------------------------------------------------


def _clone(model: Any, built: Any, X: Any) -> Any:
    keras = sys.modules["keras"]
    if getattr(built, "outputs", None):
        clone = _clone_of_graph(keras, built)
    else:
        clone = _clone_of_class(model)
        clone(_tensors(picked(X, slice(2))), training=False)
    weights = built.get_weights()
    if [one.shape for one in clone.weights] != [one.shape for one in weights]:
        raise NotApplicable("the probe did not run: the model cannot be cloned")
    clone.set_weights(weights)
    for layer in clone._flatten_layers():  # noqa: SLF001 - nested layers included
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    trained = {one.path for one in built.trainable_variables}
    if len(trained) != len(clone.trainable_variables):
        raise NotApplicable("the probe did not run: the model cannot be cloned")
    return clone


def _clone_of_graph(keras: Any, built: Any) -> Any:
    # A compiled model's clone is compiled from the written form of its loss, which a loss of
    # the user's own may not have; ours is compiled with the objects themselves.
    was_compiled, built.compiled = built.compiled, False
    try:
        return keras.models.clone_model(built, clone_function=_twin, recursive=True)
    finally:
        built.compiled = was_compiled


def _twin(layer: Any) -> Any:
    """Return a new layer of the same kind and settings."""
    keras = sys.modules["keras"]
    if type(layer) is keras.layers.Lambda:
        # The function itself, not its written form, which Keras rightly refuses to run.
        return keras.layers.Lambda(
            layer.function,
            output_shape=layer._output_shape,  # noqa: SLF001 - as it was given
            mask=layer.mask,
            arguments=layer.arguments,
            name=layer.name,
        )
    return type(layer).from_config(layer.get_config())


def _clone_of_class(model: Any) -> Any:
    """Return a new model of the user's class, made from what the first one was made from."""
    taken = inspect.signature(type(model)).parameters
    takes_all = any(one.kind is one.VAR_KEYWORD for one in taken.values())
    config = model.get_config()
    return type(model)(**{name: config[name] for name in config if takes_all or name in taken})


def _answers_of(
    clone: Any,
    batch: Any,
    labels: Any,
    is_training: bool,
) -> tuple[Array, float | None]:
    """Return (the outputs, the loss without penalties; None without labels)."""
    ops = sys.modules["keras"].ops
    x = _tensors(batch)
    outputs = clone(x, training=is_training)
    arrays = _arrays(outputs)
    if len(arrays) != 1:
        raise NotApplicable("the model has several outputs")
    if labels is None:
        return arrays[0], None
    y = _tensors(labels[: len(arrays[0])])
    total = clone.compute_loss(x, y, outputs, None, training=is_training)
    penalty = sum(float(_to_numpy(ops.sum(one))) for one in clone.losses)
    return arrays[0], float(_to_numpy(total)) - penalty


def _silence(layer: Any) -> None:
    """Switch off what makes a training step random: dropout, noise, augmentation."""
    name = type(layer).__name__
    cell = getattr(layer, "cell", None)
    for rate in ("dropout", "recurrent_dropout"):
        if isinstance(getattr(cell, rate, None), float):
            setattr(cell, rate, 0.0)
    is_ours = type(layer).__module__.startswith("keras.")
    if is_ours and (name.startswith("Random") or "Dropout" in name or name == "GaussianNoise"):
        call = layer.call

        def quiet(*inputs: Any, training: Any = None, **options: Any) -> Any:
            del training
            return call(*inputs, training=False, **options)

        layer.call = quiet


# --- Reading one layer --------------------------------------------------------------------


def _signal(layers: Sequence[Layer], position: int, operation: Any, values: Array) -> LayerSignal:
    layer = layers[position]
    is_first = getattr(operation, "data_format", "") == "channels_first"
    units = np.moveaxis(values, 1, -1) if is_first else values
    flat = units.reshape(-1, units.shape[-1])
    low, high = graph.ENDS.get(layer.activation, (-np.inf, np.inf))
    return LayerSignal(
        layer=layer.name,
        activation=layer.activation,
        n_units=flat.shape[1],
        n_rows=len(values),
        dead=float((flat == 0).all(axis=0).mean()),
        saturated=float(((flat < low) | (flat > high)).mean()),
        is_gate=graph.is_gate(layers, position),
        is_normalised=graph.is_normalised(layers, position),
    )


def _arrays(outputs: Any) -> list[Array]:
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    found = outputs if isinstance(outputs, list | tuple) else [outputs]
    return [_to_numpy(one) for one in found]


def _rows(X: Any) -> Any:
    if is_frame(X) or is_series(X):
        return np.asarray(take_rows(X, BATCH_ROWS))
    array = as_array(X) if isinstance(X, list | tuple) else X
    if not hasattr(array, "shape"):
        raise NotApplicable(f"a {type(X).__name__} is not read before training")
    cells = max(1, int(np.prod(array.shape[1:])))
    return array[: max(1, min(BATCH_ROWS, BATCH_CELLS // cells))]


def _tensors(batch: Any) -> Any:
    ops = sys.modules["keras"].ops
    if isinstance(batch, Mapping):
        return {name: ops.convert_to_tensor(part) for name, part in batch.items()}
    if isinstance(batch, list):
        return [ops.convert_to_tensor(part) for part in batch]
    return ops.convert_to_tensor(batch)


def _to_numpy(tensor: Any) -> Array:
    # A variable itself is an array of the old kind to NumPy, which warns; its value is not.
    value = getattr(tensor, "value", tensor)
    array: Array = sys.modules["keras"].ops.convert_to_numpy(value)
    return array


def _input_tensors(history: Any) -> list[Any]:
    nodes = history.operation._inbound_nodes  # noqa: SLF001 - Keras has no public way
    if history.node_index >= len(nodes):
        return []
    return list(nodes[history.node_index].input_tensors)


def _layer(operation: Any, inputs: tuple[int, ...], n_readers: int) -> Layer:
    name = type(operation).__name__
    kernel = getattr(operation, "kernel", None)
    kind = _kind(operation, name)
    units = getattr(operation, "units", None) or getattr(operation, "filters", None)
    return Layer(
        name=str(operation.name),
        kind=kind,
        class_name=name,
        activation=_activation(operation, name),
        units=units if isinstance(units, int) else None,
        width_in=int(kernel.shape[-2]) if kernel is not None and len(kernel.shape) > 1 else None,
        is_trainable=bool(getattr(operation, "trainable_weights", None)),
        inputs=inputs,
        n_readers=n_readers,
        rate=getattr(operation, "rate", None) if "Dropout" in name else None,
    )


def _kind(operation: Any, name: str) -> str:
    if hasattr(operation, "layers"):
        return "model"
    if name in _PASSIVE or (name == "Activation" and _activation(operation, name) == "linear"):
        return "passive"
    if name == "Conv2D" and getattr(operation, "groups", 1) != 1:
        return "grouped conv"
    if not type(operation).__module__.startswith("keras."):
        return "custom"
    is_activation = name in _ACTIVATION_LAYERS or name == "Activation"
    return _KINDS.get(name, "activation" if is_activation else "other")


def _activation(operation: Any, name: str) -> str:
    """Return the activation's name, ``linear`` for none, ``unknown`` for the user's own."""
    if name in _ACTIVATION_LAYERS:
        leaky = name == "ReLU" and float(getattr(operation, "negative_slope", 0) or 0) != 0
        return "leaky_relu" if leaky else _ACTIVATION_LAYERS[name]
    function = getattr(operation, "activation", None)
    if function is None:
        return "linear" if name in _PASSIVE or name in _KINDS else "unknown"
    if not str(getattr(function, "__module__", "")).startswith("keras."):
        return "unknown"
    return str(getattr(function, "__name__", "unknown"))


def _last_changing(tensor: Any) -> Any:
    """Return the operation that last changes the values of an output."""
    operation = tensor._keras_history.operation  # noqa: SLF001 - Keras has no public way
    while _kind(operation, type(operation).__name__) == "passive":
        sources = _input_tensors(tensor._keras_history)  # noqa: SLF001 - as above
        if not sources:
            break
        tensor = sources[0]
        operation = tensor._keras_history.operation  # noqa: SLF001 - as above
    return operation


def _output(tensor: Any, name: str, loss: Loss | None) -> Output:
    shape = tuple(tensor.shape)
    history = tensor._keras_history  # noqa: SLF001 - Keras has no public way
    is_fused, changed = True, tensor
    while True:
        operation = history.operation
        label = type(operation).__name__
        if hasattr(operation, "outputs") and hasattr(operation, "layers") and operation.outputs:
            changed = operation.outputs[min(history.tensor_index, len(operation.outputs) - 1)]
        elif _kind(operation, label) == "passive" and _input_tensors(history):
            is_fused, changed = False, _input_tensors(history)[0]
        else:
            break
        history = changed._keras_history  # noqa: SLF001 - as above
    activation = _activation(operation, label)
    # A layer that is neither weighted nor an activation (Add, Concatenate, Lambda …) may do
    # anything: only the batch can tell.
    if activation == "linear" and _kind(operation, label) not in {"dense", "conv", "recurrent"}:
        activation = "unknown"
    axis = getattr(operation, "axis", -1) if label == "Softmax" else -1
    size = changed.shape[axis] if isinstance(axis, int) else None
    return Output(
        name=str(operation.name) or name,
        units=shape[-1] if len(shape) > 1 else 1,
        rank=len(shape),
        activation=activation,
        axis_size=size if activation == "softmax" else None,
        is_fused=is_fused,
        loss=loss,
    )


def _metric(given: Any) -> Metric | None:
    """Return a metric of Keras' own; None for functions and for metrics of the user's own."""
    if isinstance(given, str):
        return Metric(given, "accuracy" if given in {"acc", "accuracy"} else given)
    if not type(given).__module__.startswith("keras."):
        return None
    threshold = getattr(given, "threshold", None)
    thresholds = getattr(given, "thresholds", None)
    if threshold is None and isinstance(thresholds, list) and len(thresholds) == 1:
        threshold = thresholds[0]
    name, kind = str(getattr(given, "name", "metric")), type(given).__name__
    return Metric(name, kind, None if threshold is None else float(threshold))


def _loss(given: Any) -> Loss | None:
    if given is None:
        return None
    keras = sys.modules["keras"]
    if isinstance(given, keras.losses.Loss):
        return _loss_of_object(given)
    function = given
    if isinstance(given, str):
        try:
            function = keras.losses.get(given)
        except ValueError:
            return Loss("custom", given)
        if isinstance(function, keras.losses.Loss):
            return _loss_of_object(function)
    name = str(getattr(function, "__name__", type(function).__name__))
    if not str(getattr(function, "__module__", "")).startswith("keras."):
        return Loss("custom", name)
    return Loss(_LOSS_KINDS.get(name, "custom"), name)


def _loss_of_object(loss: Any) -> Loss:
    kind = type(loss)
    if not kind.__module__.startswith("keras."):
        return Loss("custom", kind.__name__)
    function = getattr(loss, "fn", None)
    name = str(getattr(function, "__name__", kind.__name__))
    config = loss.get_config()
    ignored = config.get("ignore_class")
    smoothing = config.get("label_smoothing", 0.0)
    return Loss(
        _LOSS_KINDS.get(name, "custom"),
        kind.__name__,
        from_logits=bool(config.get("from_logits", False)),
        ignore_class=ignored if isinstance(ignored, int) else None,
        smoothing=float(smoothing or 0.0),
    )


def _is_overridden(model: type, method: str) -> bool:
    function = getattr(model, method, None)
    return not str(getattr(function, "__module__", "keras.")).startswith("keras.")


def _linear_part(layer: Any, x: Any) -> Array:
    """Return what the layer computes from its inputs before its activation."""
    name = type(layer).__name__
    if name == "Bidirectional":
        layer = layer.forward_layer
    if hasattr(layer, "cell"):
        return _to_numpy(x) @ _to_numpy(layer.cell.kernel)
    config = layer.get_config()
    config["activation"] = "linear"
    twin = type(layer).from_config(config)
    twin.build(x.shape)
    twin.set_weights(layer.get_weights())
    return _to_numpy(twin(x, training=False) if _takes_training(twin) else twin(x))


def _copy_state(source: Any, target: Any) -> None:
    """Give a layer what another has learned already, such as an adapted Normalization."""
    if not source.built or not source.variables:
        return
    target.set_weights(source.get_weights())
    if hasattr(target, "finalize_state"):
        target.finalize_state()


def _takes_training(layer: Any) -> bool:
    return bool(getattr(layer, "_call_has_training_arg", False))
