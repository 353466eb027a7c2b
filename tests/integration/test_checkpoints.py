"""A run that was killed goes on from its checkpoint, and its curves are whole."""

from __future__ import annotations

import pytest

FILES = """
    import os, signal
    import pytest

    @pytest.fixture(scope="session")
    def n_steps():
        return 6

    @pytest.mark.experiment(metric="loss")
    def test_long(experiment, n_steps):
        state = experiment.checkpoint / "step"
        start = int(state.read_text()) + 1 if state.exists() else 0
        print("BEGINS AT", start)
        for step in range(start, n_steps):
            experiment.log(loss=1.0 / (step + 1), step=step)
            state.write_text(str(step))
            if step == 3 and start == 0:
                os.kill(os.getpid(), signal.SIGKILL)
"""

KERAS = """
    import os, signal
    import keras
    import numpy as np
    import pytest

    class Killer(keras.callbacks.Callback):
        def __init__(self, marker):
            super().__init__()
            self.marker = marker

        def on_epoch_begin(self, epoch, logs=None):
            print("EPOCH", epoch)
            if epoch == 3 and not self.marker.exists():
                self.marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)

    @pytest.fixture(scope="session")
    def data():
        rng = np.random.default_rng(0)
        X = rng.normal(size=(64, 3)).astype("float32")
        return X, X.sum(axis=1)

    @pytest.mark.experiment(metric="loss")
    def test_long(experiment, data):
        X, y = data
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        backup = keras.callbacks.BackupAndRestore(experiment.checkpoint)
        marker = experiment.dir.parent / "killed"
        experiment.fit(model, X, y, epochs=6, batch_size=32, callbacks=[backup, Killer(marker)])
"""

CURVE = """
    select step, value from metrics join runs using (run_id)
    where status = 'passed' and name = 'loss' and step is not null order by logged_at, step
"""


def facts(project) -> dict[str, object]:
    from pytest_kepler.journal import Journal

    journal = Journal(project.path / ".kepler" / "journal.duckdb")
    (passed,) = [run for run in journal.all_runs() if run.status == "passed"]
    return journal.run(passed.run_id)["facts"]


def test_a_killed_run_goes_on_where_it_was(project):
    project.write("test_long.py", FILES)
    assert project.run().ret != 0
    (crashed,) = project.query("select run_id, status from runs")
    assert crashed["status"] == "crashed"

    result = project.run("-s")
    result.assert_outcomes(passed=1)
    assert "BEGINS AT 4" in result.stdout.str()
    steps = [row["step"] for row in project.query(CURVE)]
    assert steps == [0, 1, 2, 3, 4, 5]
    assert facts(project)["resumed_from"] == crashed["run_id"]
    assert list((project.path / ".kepler" / "checkpoints").iterdir()) == []
    project.run().assert_outcomes(skipped=1)


def test_a_run_with_other_data_begins_anew(project):
    project.write("test_long.py", FILES)
    project.run()
    project.replace("test_long.py", "return 6", "return 7")
    assert "BEGINS AT 0" in project.run("-s").stdout.str()


def test_under_a_worker_a_killed_run_goes_on_too(project):
    project.write("test_long.py", FILES)
    project.run("-n1")
    result = project.run("-n1")
    result.assert_outcomes(passed=1)
    assert [row["step"] for row in project.query(CURVE)] == [0, 1, 2, 3, 4, 5]


def test_keras_restores_what_it_backed_up(project):
    pytest.importorskip("keras")
    project.write("test_long.py", KERAS)
    assert project.run().ret != 0
    result = project.run("-s")
    result.assert_outcomes(passed=1)
    assert "EPOCH 3" in result.stdout.str()
    assert "EPOCH 2" not in result.stdout.str()
    assert [row["step"] for row in project.query(CURVE)] == [0, 1, 2, 3, 4, 5]
