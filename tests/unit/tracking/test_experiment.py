from __future__ import annotations

import json
import threading

import numpy as np
import pytest

from pytest_kepler.errors import ExperimentError
from pytest_kepler.tracking.context import Blocked

X = np.arange(12.0).reshape(6, 2)
Y = np.array([0, 0, 0, 1, 1, 1])


class Majority:
    """The smallest thing that can be trained."""

    def fit(self, X, y, weight=1):
        self.fitted_with = (X, y, weight)
        self.label = np.bincount(y).argmax()
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.label)


def test_the_gate_sees_what_fit_was_given_before_anything_trains(make_experiment, spool):
    seen = []

    def gate(model, X, y, fit_kwargs):
        seen.append((model, X, y, dict(fit_kwargs)))
        raise Blocked("K304", ["finding"])

    model = Majority()
    experiment = make_experiment(gate=gate)
    with pytest.raises(Blocked) as caught:
        experiment.fit(model, X, Y, weight=2)
    assert seen == [(model, X, Y, {"weight": 2})]
    assert not hasattr(model, "label")
    assert caught.value.findings == ("finding",)
    assert spool.events == spool.points == []


def test_check_is_the_gate_alone(make_experiment):
    seen = []
    experiment = make_experiment(gate=lambda *given: seen.append(given))
    assert experiment.check("model", X, Y, epochs=3) is None
    assert seen == [("model", X, Y, {"epochs": 3})]


def test_fit_returns_the_fitted_model_and_logs_its_seconds(experiment, spool):
    model = experiment.fit(Majority(), X, Y, weight=3)
    assert model.fitted_with[2] == 3
    assert experiment.metrics["fit_seconds"] >= 0
    (event,) = spool.of("model")
    assert event["kind"].endswith("Majority")
    assert (event["name"], event["framework"], event["hash"]) == ("model", "generic", "model")


def test_a_phase_stands_before_what_a_training_logs(experiment, spool):
    experiment.fit(Majority(), X, Y, phase="warm_up")
    assert list(experiment.metrics) == ["warm_up/fit_seconds"]
    assert spool.of("model")[0]["name"] == "warm_up"


@pytest.mark.parametrize("phase", ["", " ", 1])
def test_a_phase_that_is_no_text_is_refused(experiment, phase):
    with pytest.raises(ExperimentError, match="a phase such as 'pretrain'"):
        experiment.fit(Majority(), X, Y, phase=phase)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({}, "got {}"),
        (Majority, "the class .*Majority: make one"),
        (None, "got None"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_the_gate(make_experiment, model, message):
    experiment = make_experiment(gate=lambda *_given: pytest.fail("the gate ran"))
    with pytest.raises(ExperimentError, match=message):
        experiment.fit(model, X, Y)


def test_a_torch_module_is_led_to_a_loop_of_its_own(experiment):
    nn = pytest.importorskip("torch.nn")
    with pytest.raises(ExperimentError, match=r"a torch module.*experiment\.check"):
        experiment.fit(nn.Linear(1, 1), X, Y)


def test_evaluate_logs_by_prefix_and_returns_what_it_logged(experiment):
    model = experiment.fit(Majority(), X, Y)
    found = experiment.evaluate(model, X, Y, prefix="val")
    assert found["val/accuracy"] == 0.5
    assert found.items() <= experiment.metrics.items()
    assert all(name.startswith("val/") for name in found)


def test_evaluate_remembers_the_data_it_measured_on(experiment, spool):
    model = experiment.fit(Majority(), X, Y)
    experiment.evaluate(model, X, Y)
    experiment.evaluate(model, X[:4], Y[:4], prefix="val/")
    assert set(experiment.eval_hashes) == {"", "val"}
    assert experiment.eval_hashes[""] != experiment.eval_hashes["val"]
    assert [(event["prefix"], event["hash"]) for event in spool.of("eval")] == list(
        experiment.eval_hashes.items()
    )


def test_data_without_content_is_no_eval_event_but_a_fact_that_says_why(experiment, spool):
    model = experiment.fit(Majority(), X, Y)
    experiment.evaluate(model, range(6), Y)
    experiment.evaluate(model, range(6), Y, prefix="val")
    assert spool.of("eval") == []
    assert experiment.eval_hashes == {}
    why = "range has no content that can be read"
    assert spool.facts["eval_hash_missing"] == {"": why, "val": why}


def test_measuring_twice_under_one_prefix_is_refused_and_nothing_changes(experiment, spool):
    model = experiment.fit(Majority(), X, Y)
    experiment.evaluate(model, X, Y, prefix="val")
    before = list(spool.points)
    with pytest.raises(ExperimentError, match=r"already measured under the prefix 'val'.*prefix="):
        experiment.evaluate(model, X, Y, prefix="val")
    assert spool.points == before


def test_an_object_without_metrics_is_led_to_log(experiment):
    class Dummy:
        def fit(self, X):
            self.n_rows_ = len(X)
            return self

    with pytest.raises(ExperimentError, match=r"no metrics for a Dummy.*experiment\.log"):
        experiment.evaluate(experiment.fit(Dummy(), X), X)


def test_cross_validating_what_is_no_estimator_is_refused(experiment):
    with pytest.raises(ExperimentError, match=r"scikit-learn estimator, got a .*Majority"):
        experiment.cross_validate(Majority(), X, Y)


def test_facts_are_written_as_json_whatever_they_are(experiment, spool):
    experiment.describe(device="cpu", shape=(3, 4), odd=object(), seen={2, 1}, at=np.float32(0.5))
    assert spool.facts == {
        "device": "cpu",
        "shape": [3, 4],
        "odd": "<object>",
        "seen": [1, 2],
        "at": 0.5,
    }
    json.dumps(spool.events)


def test_a_note_hangs_on_the_run_with_an_id_of_its_own(experiment, spool):
    experiment.note("converges by epoch 3")
    experiment.note("converges by epoch 3")
    first, second = spool.of("note")
    assert first["text"] == "converges by epoch 3"
    assert first["run"] == experiment.id
    assert first["note"] != second["note"]


@pytest.mark.parametrize("text", ["", "  ", None, 3])
def test_a_note_without_text_is_refused(experiment, text):
    with pytest.raises(ExperimentError, match="needs a text"):
        experiment.note(text)


def test_params_seed_id_and_metrics_are_read_only(make_experiment):
    experiment = make_experiment(seed=7)
    assert (experiment.seed, experiment.smoke, experiment.params["C"]) == (7, False, 1)
    with pytest.raises(TypeError):
        experiment.params["C"] = 2
    with pytest.raises(TypeError):
        experiment.metrics["accuracy"] = 1.0


def test_folders_are_made_when_asked_for(make_experiment, tmp_path):
    experiment = make_experiment(identity=lambda: "1d")
    assert not (tmp_path / ".kepler").exists()
    assert experiment.dir == tmp_path / ".kepler" / "runs" / experiment.id
    assert experiment.checkpoint == tmp_path / ".kepler" / "checkpoints" / "1d"
    assert experiment.dir.is_dir()
    assert experiment.checkpoint.is_dir()


@pytest.mark.parametrize("passed", [True, False])
def test_a_checkpoint_stays_until_the_run_has_passed(make_experiment, passed):
    experiment = make_experiment(identity=lambda: "1d")
    (experiment.checkpoint / "epoch").write_text("3")
    path = experiment.checkpoint
    experiment.close(passed=passed)
    assert path.exists() is not passed


def test_before_the_identity_is_known_there_is_no_checkpoint(experiment):
    with pytest.raises(ExperimentError, match="in the test's body"):
        _ = experiment.checkpoint


def test_threads_log_without_losing_a_value(experiment, spool):
    def work():
        for step in range(200):
            experiment.log(m=1.0, step=step)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(spool.points) == 800


def test_the_callback_of_a_library_that_is_not_imported_says_so(experiment, monkeypatch):
    monkeypatch.delitem(__import__("sys").modules, "keras", raising=False)
    with pytest.raises(ExperimentError, match="keras, which is not imported"):
        _ = experiment.callback
