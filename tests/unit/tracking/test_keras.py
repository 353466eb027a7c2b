from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from pytest_kepler.errors import ExperimentError
from pytest_kepler.tracking.context import TrainingError

pytest.importorskip("tensorflow", exc_type=ImportError)
keras = pytest.importorskip("keras", exc_type=ImportError)
tf = sys.modules["tensorflow"]

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(64, 4)).astype("float32")
THREE = RANDOM.integers(0, 3, 64)
TWO = (X[:, 0] > 0).astype(int)


def build(n_units=3, activation="softmax", loss="sparse_categorical_crossentropy", metrics=None):
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(n_units, activation=activation, name="head")]
    )
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss, metrics=metrics)
    return model


class Batches(keras.utils.PyDataset):
    def __init__(self, y):
        super().__init__()
        self.y = y

    def __len__(self):
        return 4

    def __getitem__(self, position):
        rows = slice(position * 16, (position + 1) * 16)
        return X[rows], self.y[rows]


def arrays():
    return (X, THREE)


def dataset():
    return (tf.data.Dataset.from_tensor_slices((X, THREE)).shuffle(64).batch(10),)


def py_dataset():
    return (Batches(THREE),)


@pytest.mark.parametrize("make", [arrays, dataset, py_dataset])
def test_each_epoch_is_logged_by_step_under_keras_names(experiment, spool, make, capsys):
    experiment.fit(build(metrics=["accuracy"]), *make(), epochs=3)
    assert [step for step, _ in spool.curve("loss")] == [0, 1, 2]
    assert set(experiment.history) == {"loss", "accuracy", "learning_rate", "epoch_seconds"}
    assert experiment.history["loss"] == [value for _, value in spool.curve("loss")]
    assert experiment.history["learning_rate"] == [0.1, 0.1, 0.1]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("make", [arrays, dataset, py_dataset])
def test_a_classifier_is_measured_by_keras_and_by_its_task(experiment, make):
    model = experiment.fit(build(metrics=["accuracy"]), *make())
    found = experiment.evaluate(model, *make(), prefix="val")
    pred = model.predict(X, verbose=0).argmax(axis=1)
    assert found["val/accuracy"] == (pred == THREE).mean()
    assert found["val/log_loss"] == pytest.approx(found["val/loss"], rel=1e-5)
    assert {"val/f1", "val/balanced_accuracy", "val/roc_auc"} <= set(found)


def test_a_generator_trains(experiment):
    def generate():
        while True:
            yield X[:16], THREE[:16]

    experiment.fit(build(), generate(), epochs=2, steps_per_epoch=2)
    assert len(experiment.history["loss"]) == 2


# Keras warns at the end of any stream whose length it was not told.
@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")
def test_a_stream_of_unknown_length_is_read_by_keras_alone(experiment):
    n_reads = []

    def generate():
        n_reads.append(1)
        yield from zip(X, THREE, strict=True)

    spec = (tf.TensorSpec((4,), tf.float32), tf.TensorSpec((), tf.int64))
    stream = tf.data.Dataset.from_generator(generate, output_signature=spec).batch(16)
    assert set(experiment.evaluate(build(metrics=["accuracy"]), stream)) == {"loss", "accuracy"}
    assert len(n_reads) == 1


def test_dict_inputs_and_several_outputs_have_what_keras_gives(experiment):
    first, second = keras.Input((2,), name="first"), keras.Input((2,), name="second")
    joined = keras.layers.Concatenate()([first, second])
    outputs = {
        "a": keras.layers.Dense(1, name="a")(joined),
        "b": keras.layers.Dense(1, name="b")(joined),
    }
    model = keras.Model({"first": first, "second": second}, outputs)
    model.compile(optimizer="sgd", loss={"a": "mse", "b": "mae"})
    data = {"first": X[:, :2], "second": X[:, 2:]}, {"a": X[:, 0], "b": X[:, 1]}
    found = experiment.evaluate(experiment.fit(model, *data), *data)
    assert "loss" in found
    assert "r2" not in found


@pytest.mark.parametrize(
    ("model", "y", "expected"),
    [
        ((1, "sigmoid", "binary_crossentropy"), TWO, "f1"),
        ((2, "softmax", "sparse_categorical_crossentropy"), TWO, "f1"),
        ((3, "softmax", "categorical_crossentropy"), np.eye(3)[THREE], "f1"),
        ((1, None, "mse"), X[:, 0], "r2"),
        ((1, None, "mse"), X[:, :1], "r2"),
    ],
)
def test_the_task_is_told_by_the_loss(experiment, model, y, expected):
    assert expected in experiment.evaluate(experiment.fit(build(*model), X, y), X, y)


@pytest.mark.parametrize(
    ("model", "y"),
    [
        ((2, "sigmoid", "binary_crossentropy"), np.stack([TWO, 1 - TWO], axis=1)),
        ((4, None, "mse"), X),
        ((1, None, lambda true, pred: keras.ops.mean((true - pred) ** 2)), X[:, 0]),
    ],
)
def test_where_the_task_is_unclear_there_is_what_keras_gives(experiment, model, y):
    assert set(experiment.evaluate(experiment.fit(build(*model), X, y), X, y)) == {"loss"}


def test_logits_are_turned_into_probabilities(experiment):
    for n_units, loss, y in (
        (1, keras.losses.BinaryCrossentropy(from_logits=True), TWO),
        (3, keras.losses.SparseCategoricalCrossentropy(from_logits=True), THREE),
    ):
        model = experiment.fit(build(n_units, None, loss), X, y)
        found = experiment.evaluate(model, X, y, prefix=str(n_units))
        assert found[f"{n_units}/log_loss"] == pytest.approx(found[f"{n_units}/loss"], rel=1e-5)


def test_a_metric_that_keras_computes_otherwise_stands_and_is_explained(experiment, spool):
    keras.utils.set_random_seed(0)  # by chance both could come to the same number
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model = build(1, None, loss, [keras.metrics.BinaryAccuracy("accuracy", threshold=100)])
    found = experiment.evaluate(experiment.fit(model, X, TWO), X, TWO)
    assert found["accuracy"] == pytest.approx((TWO == 0).mean())
    assert "differs from" in spool.facts["metrics_left_out"]["accuracy"]


def test_a_metric_with_a_value_a_class_is_logged_by_class(experiment):
    y = np.eye(3)[THREE]
    model = build(loss="categorical_crossentropy", metrics=[keras.metrics.F1Score()])
    found = experiment.evaluate(experiment.fit(model, X, y), X, y)
    assert {"f1_score/0", "f1_score/1", "f1_score/2"} <= set(found)


def test_early_stopping_and_restored_weights_are_recorded_as_such(experiment, spool):
    stopping = keras.callbacks.EarlyStopping(
        monitor="loss", mode="max", patience=1, restore_best_weights=True
    )
    experiment.fit(build(), X, THREE, epochs=20, callbacks=[stopping])
    # The loss falls, so that by its maximum the first epoch stays the best.
    assert spool.facts["stopped_epoch"] == 1
    assert spool.facts["best_epoch"] == 0
    assert spool.facts["restored_best_weights"] is True
    assert len(experiment.history["loss"]) == 2


def test_a_training_to_its_end_has_not_stopped(experiment, spool):
    stopping = keras.callbacks.EarlyStopping(monitor="loss", patience=5)
    experiment.fit(build(), X, THREE, epochs=2, callbacks=stopping)
    assert "stopped_epoch" not in spool.facts
    assert spool.facts["restored_best_weights"] is False


def test_the_users_callbacks_list_is_left_as_it_was(experiment):
    seen = []
    users = [keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _logs: seen.append(epoch))]
    experiment.fit(build(), X, THREE, epochs=2, callbacks=users)
    assert seen == [0, 1]
    assert len(users) == 1


def test_a_callback_list_of_keras_works_too(experiment):
    model = build()
    callbacks = keras.callbacks.CallbackList([], model=model, add_history=True, epochs=2)
    experiment.fit(model, X, THREE, epochs=2, callbacks=callbacks)
    assert len(experiment.history["loss"]) == 2


def test_the_callback_alone_records_a_fit_of_the_users_own(experiment, spool):
    build().fit(X, THREE, epochs=2, verbose=0, callbacks=[experiment.callback])
    assert len(experiment.history["loss"]) == 2
    assert len(spool.curve("learning_rate")) == 2


# Keras' own scheduler reads the rate in a way that NumPy deprecated.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_scheduled_learning_rate_is_followed(experiment):
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / 2**epoch)
    experiment.fit(build(), X, THREE, epochs=3, callbacks=[schedule])
    assert experiment.history["learning_rate"] == pytest.approx([0.1, 0.05, 0.025])


def test_no_batch_costs_anything(experiment):
    ours = type(experiment.callback)
    base = keras.callbacks.Callback
    for hook in ("on_train_batch_end", "on_train_batch_begin", "on_test_batch_end"):
        assert getattr(ours, hook) is getattr(base, hook)


def test_whoever_watches_is_told_of_each_epoch(make_experiment):
    seen = []
    experiment = make_experiment(progress=seen.append)
    experiment.fit(build(), X, THREE, epochs=2)
    assert [(progress.done, progress.total) for progress in seen] == [(1, 2), (2, 2)]
    assert "loss" in seen[0].metrics


def test_a_phase_stands_before_the_curves(experiment):
    experiment.fit(build(), X, THREE, phase="pretrain")
    assert "pretrain/loss" in experiment.metrics
    assert "loss" not in experiment.metrics
    assert "loss" in experiment.history


def test_the_model_is_described_by_layers_optimizer_and_loss(experiment, spool):
    experiment.fit(build(), X, THREE)
    (event,) = spool.of("model")
    json.dumps(event)
    assert (event["framework"], event["n_weights"]) == ("keras", 15)
    assert event["params"]["optimizer"] == "SGD"
    assert event["params"]["optimizer.learning_rate"] == 0.1
    assert event["params"]["loss"] == "sparse_categorical_crossentropy"
    (layer,) = event["config"]["layers"]
    assert layer["class"] == "Dense"
    assert (layer["units"], layer["activation"]) == (3, "softmax")
    assert (layer["output_shape"], layer["params"]) == ([None, 3], 15)


def test_a_saved_model_comes_back_and_predicts_the_same(experiment):
    model = experiment.fit(build(), X, THREE)
    assert experiment.save(model).suffix == ".keras"
    again = experiment.load().predict(X, verbose=0)
    np.testing.assert_allclose(again, model.predict(X, verbose=0), rtol=1e-6)


def test_a_model_with_code_in_it_must_be_trusted(make_experiment, experiment):
    layers = [keras.Input((2,)), keras.layers.Lambda(lambda x: x * 2)]
    experiment.save(keras.Sequential(layers))
    user = make_experiment(uses={"base": experiment.saved["model"]})
    with pytest.raises(ExperimentError, match=r"Lambda layer.*trusted=True"):
        user.load("base")
    assert user.load("base", trusted=True).predict(np.ones((1, 2)), verbose=0).tolist() == [[2, 2]]


def test_a_training_that_is_hopeless_ends_after_its_epoch(make_experiment, spool):
    seen = []
    experiment = make_experiment(
        is_hopeless=lambda values: values["epoch_seconds"] > 0 and len(seen) > 0,
        progress=seen.append,
    )
    experiment.fit(build(), X, THREE, epochs=5)
    assert len(experiment.history["loss"]) == 1
    assert spool.facts["stopped_epoch"] == 0


def test_the_curves_are_judged_when_the_training_is_over_and_recorded(make_experiment, spool):
    judged = []

    def judge(history, y):
        judged.append((dict(history), y))
        raise TrainingError("no")

    experiment = make_experiment(judge_curves=judge)
    with pytest.raises(AssertionError, match="no"):
        experiment.fit(build(), X, THREE, epochs=2)
    ((history, y),) = judged
    assert len(history["loss"]) == 2
    assert y is THREE
    assert len(spool.of("model")) == 1
    with pytest.raises(AssertionError, match="no"):
        build().fit(X, THREE, verbose=0, callbacks=[experiment.callback])
    assert judged[1][1] is None


def test_a_trial_of_a_few_steps_is_not_judged(make_experiment):
    judged = []
    experiment = make_experiment(smoke=True, judge_curves=lambda *given: judged.append(given))
    experiment.fit(build(), X, THREE, epochs=2)
    assert judged == []
