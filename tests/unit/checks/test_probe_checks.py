"""The training probe and the checks that read it: loud on a fault, silent on traps, no traces."""

from __future__ import annotations

import itertools
import random
import warnings
from datetime import date

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits

from pytest_kepler import checks, gate
from pytest_kepler.adapters import probing
from pytest_kepler.adapters.keras import probe as benches
from pytest_kepler.adapters.sampling import chosen_rows
from pytest_kepler.adapters.views import FitView, read_data
from pytest_kepler.checks import codes, families
from pytest_kepler.checks.config import CheckConfig

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    keras = pytest.importorskip("keras")
    tf = pytest.importorskip("tensorflow")

layers, initializers, optimizers = keras.layers, keras.initializers, keras.optimizers
X, y = load_digits(return_X_y=True)
X = (X / 16).astype("float32")
ONE_HOT = np.eye(10)[y]
IMAGES = X.reshape(-1, 8, 8, 1)
DIABETES_X, DIABETES_y = load_diabetes(return_X_y=True)
DIABETES_X = DIABETES_X / DIABETES_X.std()
STANDARD_y = (DIABETES_y - DIABETES_y.mean()) / DIABETES_y.std()
SPARSE = "sparse_categorical_crossentropy"
PROBE_CODES = [info.code for info in codes.CHECKS.values() if info.cost == "C3"]


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(11)


def network(*stack, shape=(64,), loss=SPARSE, optimizer="adam"):
    model = keras.Sequential([keras.Input(shape), *stack])
    model.compile(optimizer=optimizer, loss=loss)
    return model


def mlp(activation="relu", depth=2, *, head="softmax", optimizer="adam", loss=SPARSE, **options):
    hidden = [layers.Dense(32, activation, **options) for _ in range(depth)]
    return network(*hidden, layers.Dense(10, head), optimizer=optimizer, loss=loss)


def normal(spread):
    return initializers.RandomNormal(0, spread, seed=0)


def warm_up():
    return optimizers.schedules.CosineDecay(1e-7, 1000, warmup_target=1e-3, warmup_steps=500)


def with_lambda(function):
    return network(layers.Dense(32, "relu"), layers.Lambda(function), layers.Dense(10, "softmax"))


def not_a_number():
    model = mlp()
    weights = model.get_weights()
    weights[0][3, 4] = np.nan
    model.set_weights(weights)
    return model


def frozen():
    model = mlp()
    model.trainable = False
    model.compile(loss=SPARSE)
    return model


def zero_gamma():
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    for _ in range(2):
        branch = layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
        branch = layers.BatchNormalization(gamma_initializer="zeros")(branch)
        x = layers.ReLU()(layers.Add()([x, branch]))
    model = keras.Model(inputs, layers.Dense(10, "softmax")(layers.Flatten()(x)))
    model.compile(optimizer=optimizers.SGD(warm_up(), momentum=0.9), loss=SPARSE)
    return model


def trained():
    model = mlp()
    model.fit(X, y, epochs=20, verbose=0)
    return model


def squeeze_and_excite():
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(16, 3, activation="relu")(inputs)
    gate = layers.Dense(8, "relu", bias_initializer=initializers.Constant(-9.0))(
        layers.GlobalAveragePooling2D()(x)
    )
    gate = layers.Reshape((1, 1, 16))(layers.Dense(16, "sigmoid")(gate))
    x = layers.GlobalAveragePooling2D()(layers.Multiply()([x, gate]))
    model = keras.Model(inputs, layers.Dense(10, "softmax")(x))
    model.compile(loss=SPARSE)
    return model


def two_outputs(*, is_idle):
    inputs = keras.Input((64,))
    first = layers.Dense(10, "softmax")(layers.Dense(16, "relu")(inputs))
    second = layers.Dense(1)(layers.Dense(16, "relu")(inputs))
    model = keras.Model(inputs, [first, second])
    model.compile(loss=[SPARSE, "mse"], loss_weights=[1.0, 0.0 if is_idle else 1.0])
    return model


LOUD = [
    ("K201", "error", lambda: (mlp(depth=4, kernel_initializer=normal(1e-3)), X, y)),
    ("K202", "warning", lambda: (mlp(depth=3, kernel_initializer=normal(1.0)), X, y)),
    ("K205", "error", lambda: (mlp("tanh", kernel_initializer="zeros"), X, y)),
    ("K205", "error", lambda: (mlp(kernel_initializer=initializers.Constant(0.02)), X, y)),
    (
        "K205",
        "warning",
        lambda: (mlp(depth=1, kernel_initializer=initializers.Constant(0.02)), X, y),
    ),
    ("K206", "error", lambda: (mlp(bias_initializer=initializers.Constant(-10.0)), X, y)),
    ("K206", "error", lambda: (mlp(kernel_initializer="zeros"), X, y)),
    ("K207", "error", lambda: (mlp(depth=3, kernel_initializer=normal(1.0)), X, y)),
    ("K207", "warning", lambda: (mlp(depth=1, kernel_initializer=normal(2.0)), X, y)),
    ("K208", "error", lambda: (mlp("sigmoid", 8), X, y)),
    ("K209", "error", lambda: (not_a_number(), X, y)),
    ("K210", "warning", lambda: (mlp("tanh", 3, kernel_initializer=normal(3.0)), X, y)),
    ("K415", "error", lambda: (frozen(), X, y)),
    (
        "K416",
        "warning",
        lambda: (mlp(kernel_regularizer=keras.regularizers.L2(1.0)), X, y),
    ),
    ("K502", "error", lambda: (mlp("sigmoid", 8), X, y)),
    ("K506", "error", lambda: (with_lambda(keras.ops.stop_gradient), X, y)),
    ("K506", "error", lambda: (with_lambda(lambda x: keras.ops.round(x * 3)), X, y)),
    ("K507", "error", lambda: (mlp(optimizer=optimizers.Adam(1.0)), X, y)),
    ("K507", "error", lambda: (mlp(optimizer=optimizers.SGD(10.0)), X, y)),
    ("K507", "error", lambda: (mlp(optimizer=optimizers.SGD(1e30)), X, y)),
    ("K508", "warning", lambda: (mlp(optimizer=optimizers.Adam(1e-7)), X, y)),
    ("K508", "warning", lambda: (mlp(optimizer=optimizers.SGD(1e-6)), X, y)),
    ("K701", "error", lambda: (mlp("sigmoid", 8), X, y)),
    ("K701", "error", lambda: (mlp(kernel_initializer="zeros"), X, y)),
]

SILENT = [
    *((code, lambda: (mlp(), X, y)) for code in (*PROBE_CODES, "K202", "K206", "K209", "K415")),
    ("K205", lambda: (mlp(depth=0), X, y)),
    (
        "K205",
        lambda: (network(layers.Dense(10, "softmax", kernel_initializer="zeros")), X, y),
    ),
    ("K206", lambda: (mlp("leaky_relu", bias_initializer=initializers.Constant(-10.0)), X, y)),
    ("K206", lambda: (squeeze_and_excite(), IMAGES, y)),
    ("K206", lambda: (mlp(bias_initializer=initializers.Constant(-10.0)), X[:100], y[:100])),
    ("K207", lambda: (trained(), X, y)),
    (
        "K207",
        lambda: (
            mlp(loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1)),
            X,
            ONE_HOT,
        ),
    ),
    (
        "K207",
        lambda: (
            network(
                layers.Dense(1, "sigmoid", bias_initializer=initializers.Constant(-5.0)),
                loss="binary_crossentropy",
            ),
            X,
            (np.arange(len(y)) % 150 == 0).astype("float32"),
        ),
    ),
    ("K208", lambda: (zero_gamma(), IMAGES, y)),
    ("K208", lambda: (mlp(), np.repeat(X[:1], 300, axis=0), y[:300])),
    ("K415", lambda: (two_outputs(is_idle=True), X, [y, y * 1.0])),
    (
        "K416",
        lambda: (mlp(kernel_regularizer=keras.regularizers.L2(1e-3)), X, y),
    ),
    ("K502", lambda: (zero_gamma(), IMAGES, y)),
    ("K506", lambda: (zero_gamma(), IMAGES, y)),
    ("K506", lambda: (two_outputs(is_idle=True), X, [y, y * 1.0])),
    ("K507", lambda: (mlp(optimizer=optimizers.SGD(0.1, momentum=0.9)), X, y)),
    ("K507", lambda: (trained(), X, y)),
    ("K508", lambda: (mlp(optimizer=optimizers.Adam(warm_up())), X, y)),
    ("K508", lambda: (mlp(optimizer=optimizers.SGD(0.01)), X, y)),
    ("K701", lambda: (zero_gamma(), IMAGES, y)),
    ("K701", lambda: (network(layers.Dense(1), shape=(10,), loss="mse"), DIABETES_X, STANDARD_y)),
    ("K701", lambda: (network(layers.Dense(1), shape=(10,), loss="mse"), DIABETES_X, DIABETES_y)),
    ("K701", lambda: (mlp(depth=1, loss=lambda _, given: -given), X, ONE_HOT)),
    ("K701", lambda: (network(layers.Dense(64, "sigmoid"), loss="binary_crossentropy"), X, X)),
]


@pytest.mark.parametrize(("code", "severity", "make"), LOUD)
def test_a_fault_is_found(code, severity, make):
    found = checks.model(*make(), select=code)
    assert {(one.code, one.severity) for one in found} == {(code, severity)}
    assert all(one.message and one.location and one.fix and one.threshold for one in found)


@pytest.mark.parametrize(("code", "make"), SILENT)
def test_sound_models_and_traps_are_silent(code, make):
    assert checks.model(*make(), select=code) == []


def test_the_edge_of_the_first_loss_is_where_the_limit_says():
    model = mlp(depth=1, kernel_initializer=normal(2.0))
    (found,) = checks.model(model, X, y, select="K207")
    ratio = found.measured["ratio"]
    for limit, count in ((ratio * 0.99, 1), (ratio * 1.01, 0)):
        limits = {"K207": {"warn_ratio": limit}}
        assert len(checks.model(model, X, y, select="K207", limits=limits)) == count


def test_a_fault_of_the_whole_network_is_told_once():
    found = checks.model(mlp("sigmoid", 8), X, y)
    assert [one.code for one in found if one.severity == "error"] == ["K502"]


def test_the_probe_waits_for_the_errors_before_it():
    outcome = families.examine_model(mlp(), X, np.eye(10)[y], {}, CheckConfig())
    assert [one.code for one in outcome.findings] == ["K404"]
    assert outcome.not_applicable["K701"] == "there are errors before the probe"


def test_a_waived_error_does_not_keep_the_probe_from_running():
    model = mlp(bias_initializer=initializers.Constant(-10.0))
    outcome = families.examine_model(model, X, y, {}, CheckConfig(), waived={"K206"})
    assert "K201" in {one.code for one in outcome.findings}


def test_the_probe_runs_once_for_all_checks(monkeypatch):
    runs = []
    ran = probing.run
    monkeypatch.setattr(probing, "run", lambda *given: runs.append(1) or ran(*given))
    checks.model(mlp(), X, y)
    assert runs == [1]


def test_a_probe_that_fails_fails_once(monkeypatch):
    tries = []

    def fail(*_):
        tries.append(1)
        raise ValueError("no")

    monkeypatch.setattr(probing, "run", fail)
    outcome = families.examine_model(mlp(), X, y, {}, CheckConfig())
    assert tries == [1]
    assert outcome.not_applicable["K506"] == "the probe did not run: no"


def test_no_more_steps_are_taken_than_promised(monkeypatch):
    steps = []
    compute = benches.Bench.adam_run

    def counted(self, batch, rate, n_steps):
        steps.append(n_steps)
        return compute(self, batch, rate, n_steps)

    monkeypatch.setattr(benches.Bench, "adam_run", counted)
    checks.model(mlp(), X, y)
    assert sum(steps) + probing.USER_STEPS <= 64


@pytest.mark.parametrize(
    ("config", "model", "reason"),
    [
        (CheckConfig(probe_parameters=1000), mlp, "3,466 parameters are more than 1,000"),
        (CheckConfig(), lambda: keras.Sequential([layers.Dense(10)]), "not compiled"),
    ],
)
def test_a_probe_that_did_not_run_says_so(config, model, reason):
    outcome = families.examine_model(model(), X, y, {}, config)
    assert reason in outcome.not_applicable["K506"]
    assert outcome.findings == []


def test_few_rows_are_not_probed():
    outcome = families.examine_model(mlp(), X[:5], y[:5], {}, CheckConfig())
    assert outcome.not_applicable["K506"] == "the probe did not run: there are 5 rows"


def test_a_full_gpu_is_left_alone(monkeypatch):
    monkeypatch.setattr(benches, "_device_memory_left", lambda: 1000.0)
    outcome = families.examine_model(mlp(), X, y, {}, CheckConfig())
    assert "memory is nearly full" in outcome.not_applicable["K506"]


def test_slow_steps_end_the_probe(monkeypatch):
    monkeypatch.setattr(probing, "_SECONDS", 0.0)
    outcome = families.examine_model(mlp(), X, y, {}, CheckConfig())
    assert "the probe did not run: one step takes" in outcome.not_applicable["K506"]


class OwnStep(keras.Model):
    def train_step(self, data):
        del data
        return {"loss": 0.0}


class Plain(keras.Model):
    def __init__(self, width=16):
        super().__init__()
        self.hidden, self.head = layers.Dense(width, "relu"), layers.Dense(10, "softmax")

    def call(self, inputs):
        return self.head(self.hidden(inputs))


class Disguised(Plain):
    def call(self, inputs):
        return self.head(self.hidden(inputs) * self.factor)

    factor = 1.0


class Growing(Plain):
    widths = itertools.count(8)

    def __init__(self):
        super().__init__(next(self.widths))


def probe_of(model, X=X, y=y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        view = families.view_model(model, X)
        return FitView(view, read_data(X, y, model=view), labels=y).probe


def built(model):
    model.compile(loss=SPARSE)
    model(X[:2])
    return model


def test_a_subclassed_model_is_probed():
    assert len(probe_of(built(Plain())).weights) == 4


def test_a_model_that_cannot_be_made_anew_is_not_probed():
    outcome = families.examine_model(built(Growing()), X, y, {}, CheckConfig())
    assert outcome.not_applicable["K506"] == "the probe did not run: the model cannot be cloned"


def test_a_clone_that_answers_otherwise_is_not_trusted():
    model = built(Disguised())
    model.factor = 0.5
    outcome = families.examine_model(model, X, y, {}, CheckConfig())
    assert "a clone of the model answers otherwise" in outcome.not_applicable["K506"]


def test_a_training_step_of_the_users_own_is_not_probed():
    inputs = keras.Input((64,))
    model = OwnStep(inputs, layers.Dense(10)(inputs))
    model.compile(loss=SPARSE)
    outcome = families.examine_model(model, X, y, {}, CheckConfig())
    assert outcome.not_applicable["K506"] == "the training step is the user's own"


def test_random_layers_are_silent_in_the_probe():
    model = network(layers.Dense(32, "relu"), layers.Dropout(0.9), layers.Dense(10, "softmax"))
    first, second = probe_of(model), probe_of(model)
    np.testing.assert_allclose(first.adam_losses, second.adam_losses, rtol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: (mlp(), {"x": X}["x"], y),
        lambda: (mlp(), X.tolist(), y.tolist()),
        lambda: (mlp(), tf.constant(X), tf.constant(y)),
        lambda: (mlp(), tf.data.Dataset.from_tensor_slices((X, y)).shuffle(500).batch(32), None),
        lambda: (two_outputs(is_idle=False), X, [y, y * 1.0]),
    ],
)
def test_data_in_many_forms_is_probed(make):
    model, features, labels = make()
    outcome = families.examine_model(model, features, labels, {}, CheckConfig())
    assert "K506" not in outcome.not_applicable


def state():
    context = __import__("tensorflow.python.eager.context", fromlist=["context"]).context()
    return (
        random.getstate(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002 - the user's state
        context._rng.getstate(),
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: network(
            layers.Dense(32, "relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(10, "softmax"),
        ),
        lambda: built(Plain()),
    ],
)
def test_nothing_is_changed_by_the_probe(make):
    keras.utils.set_random_seed(7)
    model = make()
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    before, states = [one.value.numpy().copy() for one in variables], state()
    copies = X.copy(), y.copy()
    checks.model(model, X, y)
    for old, variable in zip(before, variables, strict=True):
        np.testing.assert_array_equal(old, variable.value.numpy())
    assert state() == states
    assert model.compiled
    np.testing.assert_array_equal(copies[0], X)
    np.testing.assert_array_equal(copies[1], y)


def test_a_training_goes_as_it_would_have_without_the_checks():
    losses = []
    for is_checked in (False, True):
        keras.utils.set_random_seed(3)
        model = network(layers.Dense(32, "relu"), layers.Dropout(0.5), layers.Dense(10, "softmax"))
        if is_checked:
            checks.model(model, X, y)
        losses.append(model.fit(X, y, epochs=2, verbose=0).history["loss"])
    assert losses[0] == losses[1]


def test_the_rows_of_the_probe_have_each_class_in_turn():
    rows = chosen_rows(np.sort(y), len(y), 50)
    assert np.bincount(np.sort(y)[rows]).tolist() == [5] * 10
    assert np.bincount(np.sort(y)[rows[:10]]).tolist() == [1] * 10


def test_rows_without_classes_are_drawn_at_random():
    rows = chosen_rows(DIABETES_y, len(DIABETES_y), 40)
    assert len(set(rows.tolist())) == 40


def fitted_gate(model, features=X, **options):
    return gate.examine_fit(
        model, features, y, {}, config=CheckConfig(), today=date(2026, 11, 25), **options
    )


def test_an_error_of_the_probe_blocks_a_fit():
    verdict = fitted_gate(mlp(optimizer=optimizers.Adam(1.0)))
    assert [one.code for one in verdict.blocking] == ["K507"]


def test_an_error_in_the_data_keeps_the_probe_from_running():
    holed = X.copy()
    holed[3, 4] = np.nan
    verdict = fitted_gate(mlp(), holed)
    assert [one.code for one in verdict.blocking] == ["K304"]
    assert verdict.not_applicable["K506"] == "there are errors before the probe"


def test_a_waiver_of_the_marker_lets_the_probe_run():
    model = mlp(bias_initializer=initializers.Constant(-10.0))
    verdict = fitted_gate(model, waive={"K206": "dead on purpose"})
    assert "K201" in {one.code for one in verdict.blocking}
