"""Faults that are put into sound programs, one at a time.

Each takes a program that was just made and returns it with the fault, or None where the fault
means nothing to such a program.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from programs import Program

Inject = "Callable[[Program, int], Program | None]"


@dataclass(frozen=True)
class Fault:
    """One kind of fault: its name, its family, and how it is put in."""

    name: str
    family: str
    inject: Callable[[Program, int], Program | None]


FAULTS: list[Fault] = []


def fault(family: str, name: str) -> Callable[[Any], Any]:
    """Register a fault under its family of checks."""

    def add(inject: Any) -> Any:
        FAULTS.append(Fault(name, family, inject))
        return inject

    return add


def is_keras(program: Program) -> bool:
    return hasattr(program.model, "compile") and hasattr(program.model, "fit")


def is_plain(program: Program) -> bool:
    """Whether features and target are single arrays of numbers."""
    return (
        isinstance(program.X, np.ndarray)
        and program.X.dtype.kind == "f"
        and isinstance(program.y, np.ndarray)
    )


def is_single_label(program: Program) -> bool:
    y = program.y
    return is_plain(program) and y.ndim == 1 and y.dtype.kind in "iu"


def is_autoencoder(program: Program) -> bool:
    return program.y is program.X


def graph(program: Program) -> Any:
    """Return the model if its layers can be changed one by one, else None."""
    if not is_keras(program) or not program.model.built or not program.model.layers:
        return None
    return program.model if getattr(program.model, "outputs", None) else None


def rebuilt(program: Program, change: Callable[[Any, dict[str, Any]], bool]) -> Program | None:
    """Return the program with a new model in which `change` has altered layers' settings."""
    import keras

    model = graph(program)
    if model is None:
        return None
    changed = []

    def twin(layer: Any) -> Any:
        config = layer.get_config()
        if change(layer, config):
            changed.append(layer.name)
        return type(layer).from_config(config)

    settings = model._compile_config.config
    loss, metrics = settings.get("loss"), settings.get("metrics")
    model.compiled = False
    try:
        new = keras.models.clone_model(model, clone_function=twin)
    except (TypeError, ValueError):
        return None
    if not changed:
        return None
    new.compile(optimizer=fresh_optimizer(model), loss=loss, metrics=metrics)
    return replace(program, model=new)


def fresh_optimizer(model: Any) -> Any:
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    return type(optimizer).from_config(optimizer.get_config())


def recompiled(program: Program, **changes: Any) -> Program:
    settings = program.model._compile_config.config
    given = {
        "optimizer": fresh_optimizer(program.model),
        "loss": settings.get("loss"),
        "metrics": settings.get("metrics"),
        **changes,
    }
    program.model.compile(**given)
    return program


# --- Data ---------------------------------------------------------------------------------


@fault("data", "one NaN among the features")
def nan_feature(program: Program, seed: int) -> Program | None:
    if not is_plain(program) or "missing" in str(program.model) or np.isnan(program.X).any():
        return None
    if not is_keras(program) and _tolerates_missing(program.model):
        return None
    X = program.X.copy()
    X.reshape(-1)[np.random.default_rng(seed).integers(X.size)] = np.nan
    y = X if is_autoencoder(program) else program.y
    return replace(program, X=X, y=y)


def _tolerates_missing(model: Any) -> bool:
    from sklearn.utils import get_tags

    if hasattr(model, "state_dict"):
        return False  # a torch module
    return bool(get_tags(model).input_tags.allow_nan)


@fault("data", "one infinite target")
def infinite_target(program: Program, seed: int) -> Program | None:
    if not is_plain(program) or program.y.dtype.kind != "f" or is_autoencoder(program):
        return None
    y = program.y.copy()
    y.reshape(-1)[np.random.default_rng(seed).integers(y.size)] = np.inf
    return replace(program, y=y)


@fault("data", "a row too few in the target")
def short_target(program: Program, seed: int) -> Program | None:
    del seed
    if not is_plain(program) or is_autoencoder(program):
        return None
    return replace(program, y=program.y[:-1])


@fault("data", "the label among the features")
def label_among_features(program: Program, seed: int) -> Program | None:
    del seed
    if is_keras(program) or not is_plain(program) or program.y.ndim > 1 or program.X.ndim != 2:
        return None
    X, X_test = (
        np.column_stack([part, labels * 3.0 + 1])
        for part, labels in ((program.X, program.y), (program.X_test, program.y_test))
    )
    return replace(program, X=X, X_test=X_test)


@fault("data", "half of the columns constant")
def constant_columns(program: Program, seed: int) -> Program | None:
    del seed
    if not is_plain(program) or program.X.ndim != 2 or is_autoencoder(program):
        return None
    X = program.X.copy()
    X[:, : X.shape[1] // 2 + 1] = 0.5
    return replace(program, X=X)


@fault("data", "a target of one value")
def one_value(program: Program, seed: int) -> Program | None:
    del seed
    if not is_plain(program) or is_autoencoder(program) or program.y.ndim > 1:
        return None
    return replace(program, y=np.full_like(program.y, program.y[0]))


# --- Split --------------------------------------------------------------------------------


@fault("split", "a tenth of the test rows also in training")
def shared_rows(program: Program, seed: int) -> Program | None:
    if not is_plain(program) or program.X_test is None or is_autoencoder(program):
        return None
    chosen = np.random.default_rng(seed).choice(
        len(program.X_test), max(3, len(program.X_test) // 10), replace=False
    )
    X = np.concatenate([program.X, program.X_test[chosen]])
    return replace(program, X=X, y=np.concatenate([program.y, program.y_test[chosen]]))


@fault("split", "testing on the training rows")
def test_is_train(program: Program, seed: int) -> Program | None:
    del seed
    if not is_plain(program) or is_autoencoder(program):
        return None
    return replace(program, X_test=program.X.copy(), y_test=program.y.copy())


@fault("split", "early stopping by the test rows")
def stopped_by_test(program: Program, seed: int) -> Program | None:
    del seed
    if not is_keras(program) or not is_plain(program) or program.X_test is None:
        return None
    import keras

    given = {k: v for k, v in program.fit_kwargs.items() if k != "validation_split"}
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    given |= {"validation_data": (program.X_test, program.y_test), "callbacks": [stop]}
    return replace(program, fit_kwargs=given)


@fault("split", "a class left out of training")
def class_left_out(program: Program, seed: int) -> Program | None:
    del seed
    if not is_single_label(program):
        return None
    keep = program.y != program.y.max()
    return replace(program, X=program.X[keep], y=program.y[keep])


@fault("split", "a scaler for each side")
def scaled_apart(program: Program, seed: int) -> Program | None:
    del seed
    if not is_plain(program) or program.X.ndim != 2 or is_autoencoder(program):
        return None
    if is_keras(program) and program.X.shape[1] == 64:
        return None
    from sklearn.preprocessing import StandardScaler

    if np.isnan(program.X).any():
        return None
    return replace(
        program,
        X=StandardScaler().fit_transform(program.X),
        X_test=StandardScaler().fit_transform(program.X_test),
    )


@fault("split", "only the training part scaled")
def scaled_one_side(program: Program, seed: int) -> Program | None:
    del seed
    if not is_plain(program) or is_autoencoder(program) or np.isnan(program.X).any():
        return None
    return replace(program, X_test=program.X_test * 255 + 40)


# --- Weights ------------------------------------------------------------------------------


def initialised(program: Program, initializer: Callable[[Any], Any], key: str) -> Program | None:
    """Return the program with another initializer in all hidden dense and conv layers."""
    model = graph(program)
    if model is None or _is_trained(model):
        return None
    last = model.layers[-1]

    def change(layer: Any, config: dict[str, Any]) -> bool:
        is_hidden = layer is not last and type(layer).__name__ in {"Dense", "Conv2D", "Conv1D"}
        if is_hidden and key in config:
            config[key] = initializer(layer)
        return is_hidden and key in config

    return rebuilt(program, change)


def _is_trained(model: Any) -> bool:
    return any(hasattr(layer, "layers") for layer in model.layers)


@fault("weights", "zeros in all hidden kernels")
def zeros(program: Program, seed: int) -> Program | None:
    del seed
    return initialised(program, lambda _: "zeros", "kernel_initializer")


@fault("weights", "one constant in all hidden kernels")
def constants(program: Program, seed: int) -> Program | None:
    import keras

    del seed
    value = keras.initializers.Constant(0.05)
    return initialised(program, lambda _: value, "kernel_initializer")


@fault("weights", "kernels of N(0, 1)")
def large(program: Program, seed: int) -> Program | None:
    import keras

    return initialised(
        program, lambda _: keras.initializers.RandomNormal(0, 1, seed=seed), "kernel_initializer"
    )


@fault("weights", "kernels of N(0, 1e-5)")
def tiny(program: Program, seed: int) -> Program | None:
    import keras

    return initialised(
        program, lambda _: keras.initializers.RandomNormal(0, 1e-5, seed=seed), "kernel_initializer"
    )


@fault("weights", "biases of -10")
def dead(program: Program, seed: int) -> Program | None:
    import keras

    del seed
    model = graph(program)
    if model is None or not any(
        getattr(getattr(layer, "activation", None), "__name__", "") == "relu"
        for layer in model.layers[:-1]
    ):
        return None
    value = keras.initializers.Constant(-10.0)
    return initialised(program, lambda _: value, "bias_initializer")


@fault("weights", "one weight that is NaN")
def nan_weight(program: Program, seed: int) -> Program | None:
    model = graph(program)
    if model is None or not model.trainable_variables:
        return None
    variable = model.trainable_variables[0]
    values = np.array(variable.value)
    values.reshape(-1)[np.random.default_rng(seed).integers(values.size)] = np.nan
    variable.assign(values)
    return program


@fault("weights", "all but the last layer frozen as drawn")
def frozen_base(program: Program, seed: int) -> Program | None:
    del seed
    model = graph(program)
    if model is None or _is_trained(model):
        return None
    weighted = [layer for layer in model.layers if getattr(layer, "kernel", None) is not None]
    if len(weighted) < 3 or not weighted[-1].trainable_variables:
        return None
    if any(type(layer).__name__ == "Embedding" for layer in model.layers):
        return None
    for layer in model.layers:
        layer.trainable = layer is weighted[-1]
    if sum(int(np.prod(one.shape)) for one in weighted[-1].variables) * 2 >= model.count_params():
        return None
    return recompiled(program)


# --- Model --------------------------------------------------------------------------------


def _loss_name(program: Program) -> str:
    loss = program.model._compile_config.config.get("loss")
    return loss if isinstance(loss, str) else ""


def _with_head(program: Program, change: Callable[[dict[str, Any]], None]) -> Program | None:
    model = graph(program)
    if model is None or type(model.layers[-1]).__name__ != "Dense" or _is_trained(model):
        return None
    last = model.layers[-1]

    def alter(layer: Any, config: dict[str, Any]) -> bool:
        if layer is last:
            change(config)
        return layer is last

    return rebuilt(program, alter)


@fault("model", "logits into a loss of probabilities")
def logits(program: Program, seed: int) -> Program | None:
    del seed
    if graph(program) is None or "crossentropy" not in _loss_name(program):
        return None
    return _with_head(program, lambda config: config.update(activation="linear"))


@fault("model", "one unit too few")
def too_few_units(program: Program, seed: int) -> Program | None:
    del seed
    if graph(program) is None or "categorical" not in _loss_name(program):
        return None
    return _with_head(program, lambda config: config.update(units=config["units"] - 1))


@fault("model", "a ReLU at the output of a regression")
def relu_output(program: Program, seed: int) -> Program | None:
    del seed
    if graph(program) is None or _loss_name(program) != "mse" or not is_plain(program):
        return None
    if program.y.ndim > 1 or program.y.min() >= 0:
        return None
    return _with_head(program, lambda config: config.update(activation="relu"))


@fault("model", "a softmax over one unit")
def one_softmax(program: Program, seed: int) -> Program | None:
    del seed
    if graph(program) is None or _loss_name(program) != "binary_crossentropy":
        return None
    if program.model.output_shape[-1] != 1:
        return None
    return _with_head(program, lambda config: config.update(activation="softmax"))


@fault("model", "a sigmoid for one of many classes")
def sigmoid_head(program: Program, seed: int) -> Program | None:
    del seed
    if graph(program) is None or _loss_name(program) != "categorical_crossentropy":
        return None
    return _with_head(program, lambda config: config.update(activation="sigmoid"))


@fault("model", "labels from 1")
def labels_from_one(program: Program, seed: int) -> Program | None:
    del seed
    if not is_keras(program) or not is_single_label(program):
        return None
    if program.y_test is None or "categorical" not in str(program.model.loss).lower():
        return None
    return replace(program, y=program.y + 1, y_test=program.y_test + 1)


@fault("model", "one-hot labels for a sparse loss")
def one_hot(program: Program, seed: int) -> Program | None:
    del seed
    if not is_keras(program) or _loss_name(program) != "sparse_categorical_crossentropy":
        return None
    if not is_single_label(program):
        return None
    eye = np.eye(int(program.y.max()) + 1)
    return replace(program, y=eye[program.y], y_test=eye[program.y_test])


@fault("model", "squared error for classes")
def squared_error(program: Program, seed: int) -> Program | None:
    del seed
    if not is_keras(program) or _loss_name(program) != "categorical_crossentropy":
        return None
    return recompiled(program, loss="mse")


@fault("model", "binary cross-entropy for numbers")
def crossentropy_for_numbers(program: Program, seed: int) -> Program | None:
    del seed
    if not is_keras(program) or _loss_name(program) != "mse" or not is_plain(program):
        return None
    if program.y.ndim > 1 or (program.y.min() >= 0 and program.y.max() <= 1):
        return None
    return recompiled(program, loss="binary_crossentropy")


@fault("model", "inputs times 255")
def unscaled(program: Program, seed: int) -> Program | None:
    del seed
    if not is_keras(program) or not is_plain(program) or is_autoencoder(program):
        return None
    model = graph(program)
    if model is None or _is_trained(model):
        return None
    kinds = {type(layer).__name__ for layer in model.layers}
    if kinds & {"Normalization", "Rescaling", "BatchNormalization", "LayerNormalization"}:
        return None
    return replace(program, X=program.X * 255, X_test=program.X_test * 255)


@fault("model", "everything frozen")
def frozen(program: Program, seed: int) -> Program | None:
    del seed
    if graph(program) is None:
        return None
    program.model.trainable = False
    return recompiled(program)


@fault("model", "no activation in the hidden layers")
def linear_hidden(program: Program, seed: int) -> Program | None:
    del seed
    model = graph(program)
    hidden = [
        layer
        for layer in (model.layers[:-1] if model is not None else ())
        if type(layer).__name__ == "Dense"
    ]
    if model is None or not hidden or not hasattr(program.model, "add") or len(model.layers) > 6:
        return None

    def change(layer: Any, config: dict[str, Any]) -> bool:
        is_hidden = layer in hidden and config.get("activation") not in {None, "linear"}
        if is_hidden:
            config["activation"] = "linear"
        return is_hidden

    return rebuilt(program, change)


@fault("model", "dropout on the output")
def dropout_output(program: Program, seed: int) -> Program | None:
    import keras

    del seed
    model = graph(program)
    if model is None or _is_trained(model) or model.outputs[0].shape[-1] is None:
        return None
    if len(model.outputs) != 1:
        return None
    settings = model._compile_config.config
    loss, metrics = settings.get("loss"), settings.get("metrics")
    new = keras.Model(model.inputs, keras.layers.Dropout(0.5)(model.outputs[0]))
    new.compile(optimizer=fresh_optimizer(model), loss=loss, metrics=metrics)
    return replace(program, model=new)


@fault("model", "a second softmax")
def double_softmax(program: Program, seed: int) -> Program | None:
    import keras

    del seed
    model = graph(program)
    if model is None or "categorical" not in _loss_name(program) or len(model.outputs) != 1:
        return None
    settings = model._compile_config.config
    loss, metrics = settings.get("loss"), settings.get("metrics")
    new = keras.Model(model.inputs, keras.layers.Softmax()(model.outputs[0]))
    new.compile(optimizer=fresh_optimizer(model), loss=loss, metrics=metrics)
    return replace(program, model=new)


# --- Training -----------------------------------------------------------------------------


def rated(program: Program, factor: float) -> Program | None:
    """Return the program with its learning rate multiplied."""
    import keras

    if not is_keras(program) or program.model.optimizer is None:
        return None
    optimizer = fresh_optimizer(program.model)
    if isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
        return None
    if _is_trained(program.model) or getattr(program.model, "stateful", False):
        return None
    optimizer.learning_rate = float(optimizer.learning_rate.numpy()) * factor
    return recompiled(program, optimizer=optimizer)


@fault("training", "a rate 1,000 times as large")
def rate_too_high(program: Program, seed: int) -> Program | None:
    del seed
    return rated(program, 1000.0)


@fault("training", "a rate 100,000 times as small")
def rate_too_low(program: Program, seed: int) -> Program | None:
    del seed
    return rated(program, 1e-5)


@fault("training", "a stopped gradient before the last layer")
def stopped(program: Program, seed: int) -> Program | None:
    return _between_last(program, seed, _stop)


@fault("training", "a rounding before the last layer")
def rounded(program: Program, seed: int) -> Program | None:
    return _between_last(program, seed, _round)


def _stop(x: Any) -> Any:
    import keras

    return keras.ops.stop_gradient(x)


def _round(x: Any) -> Any:
    import keras

    return keras.ops.round(x)


def _between_last(program: Program, seed: int, what: Any, layer: Any = None) -> Program | None:
    import keras

    del seed
    model = graph(program)
    if model is None or not hasattr(model, "add") or _is_trained(model) or len(model.layers) < 2:
        return None
    if not model.layers[-2].trainable_weights and len(model.layers) < 3:
        return None
    if not any(layer.trainable_weights for layer in model.layers[:-1]):
        return None
    settings = model._compile_config.config
    loss, metrics = settings.get("loss"), settings.get("metrics")
    before = model.layers[-1].input
    head = type(model.layers[-1]).from_config(model.layers[-1].get_config())
    new = keras.Model(model.inputs, head((layer or keras.layers.Lambda(what))(before)))
    new.compile(optimizer=fresh_optimizer(model), loss=loss, metrics=metrics)
    return replace(program, model=new)


@fault("training", "eight sigmoid layers")
def saturating(program: Program, seed: int) -> Program | None:
    import keras

    del seed
    model = graph(program)
    if model is None or not hasattr(model, "add") or _is_trained(model):
        return None
    if len(model.inputs[0].shape) != 2 or model.inputs[0].dtype != "float32":
        return None
    if is_autoencoder(program):
        return None
    settings = model._compile_config.config
    loss, metrics = settings.get("loss"), settings.get("metrics")
    parts = [keras.layers.Dense(32, "sigmoid") for _ in range(8)]
    head = type(model.layers[-1]).from_config(model.layers[-1].get_config())
    new = keras.Sequential([keras.Input(model.inputs[0].shape[1:]), *parts, head])
    new.compile(optimizer=fresh_optimizer(model), loss=loss, metrics=metrics)
    return replace(program, model=new)


@fault("training", "a penalty of 10 on the weights")
def penalty(program: Program, seed: int) -> Program | None:
    import keras

    del seed
    if graph(program) is None or _is_trained(program.model):
        return None

    def change(layer: Any, config: dict[str, Any]) -> bool:
        is_weighted = "kernel_regularizer" in config and type(layer).__name__ in {"Dense", "Conv2D"}
        if is_weighted:
            config["kernel_regularizer"] = keras.regularizers.L2(10.0)
        return is_weighted

    return rebuilt(program, change)


# --- Behaviour ----------------------------------------------------------------------------


@fault("behaviour", "rows and labels shuffled apart")
def shuffled_labels(program: Program, seed: int) -> Program | None:
    if not is_single_label(program) and not (is_plain(program) and program.y.ndim == 1):
        return None
    order = np.random.default_rng(seed).permutation(len(program.y))
    return replace(program, y=program.y[order])


class _ByPlace:
    """A model that knows the targets by the places of their rows."""

    def __init__(self, y: Any) -> None:
        self.y = y

    def fit(self, X: Any, y: Any) -> _ByPlace:
        del X, y
        return self

    def predict(self, X: Any) -> Any:
        return self.y[: len(X)]


@fault("behaviour", "a model that answers by the places of the rows")
def by_place(program: Program, seed: int) -> Program | None:
    del seed
    is_judged = is_plain(program) and program.X_test is not None and program.y.ndim == 1
    if is_keras(program) or not hasattr(program.model, "predict") or not is_judged:
        return None
    return replace(program, model=_ByPlace(program.y_test))


@fault("behaviour", "batch statistics that hardly move")
def lagging_statistics(program: Program, seed: int) -> Program | None:
    del seed
    if graph(program) is None or _is_trained(program.model):
        return None

    def change(layer: Any, config: dict[str, Any]) -> bool:
        is_norm = type(layer).__name__ == "BatchNormalization"
        if is_norm:
            config["momentum"] = 0.9999
        return is_norm

    changed = rebuilt(program, change)
    if changed is None:
        return None
    # In the few steps of the zoo's own trainings, all statistics lag.
    return replace(changed, fit_kwargs={**program.fit_kwargs, "epochs": 25})


@fault("behaviour", "a layer that forgets its setting when it is saved")
def forgetful(program: Program, seed: int) -> Program | None:
    if is_autoencoder(program):
        return None
    return _between_last(program, seed, None, _forgetful_layer(3.0))


@cache
def _forgetful_class() -> Any:
    import keras

    @keras.saving.register_keras_serializable("zoo")
    class Forgetful(keras.layers.Layer):
        def __init__(self, factor: float = 1.0, **options: Any) -> None:
            super().__init__(**options)
            self.factor = factor

        def call(self, inputs: Any) -> Any:
            return inputs * self.factor

        def get_config(self) -> dict[str, Any]:
            return {"name": self.name}

    return Forgetful


def _forgetful_layer(factor: float) -> Any:
    return _forgetful_class()(factor)
