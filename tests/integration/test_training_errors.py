"""A training whose curves show an error: ended at once, recorded, and failed."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorflow", exc_type=ImportError)

PROGRAM = """
    import numpy as np, pytest, keras

    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, 4)).astype("float32")
    y = (X[:, 0] > 0).astype(int)

    class Spoil(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                weights = self.model.get_weights()
                self.model.set_weights([one * np.nan for one in weights])

    def build():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")])
        model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        return model

    @pytest.mark.experiment(metric="loss")
    def test_fit(experiment):
        experiment.fit(build(), X, y, epochs=20, callbacks=[Spoil()])

    @pytest.mark.experiment(metric="loss")
    def test_own(experiment):
        build().fit(X, y, epochs=20, verbose=0, callbacks=[Spoil(), experiment.callback])

    @pytest.mark.experiment(metric="loss", waive={"K509": "spoilt on purpose"})
    def test_waived(experiment):
        experiment.fit(build(), X, y, epochs=20, callbacks=[Spoil()])
        assert len(experiment.history["loss"]) == 20
"""


def test_a_loss_that_is_no_number_ends_the_training_and_fails_the_run(pytester):
    pytester.makepyfile(PROGRAM)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=2, passed=1)
    output = result.stdout.str()
    assert output.count("'loss' is nan in epoch 3 of 3") >= 2
    assert "K509 error" in output
