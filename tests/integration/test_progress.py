"""A live line while it trains, beside pytest's own output, and only for a person who watches."""

from __future__ import annotations

import importlib.util
import os
import pty
import subprocess
import sys

import pytest

# Looked for, not imported: TensorFlow cannot be imported twice, and pytester forgets modules.
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="needs TensorFlow"
)

TRAINING = """
    import pytest

    @pytest.mark.experiment(gate=False)
    def test_slow(experiment):
        import keras
        import numpy as np
        X = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
        y = (X[:, 0] > 0).astype(int)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
        model.compile("adam", loss="binary_crossentropy")
        experiment.fit(model, X, y, epochs=40)
"""


@pytest.fixture
def slow(project):
    project.write("test_slow.py", TRAINING)
    return project


def test_a_terminal_shows_the_epochs_and_erases_them(slow):
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest"],
        cwd=slow.path,
        stdout=follower,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "100", "TERM": "xterm"},
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 65_536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    assert process.wait() == 0, shown.decode()
    lines = [part.split(b"\x1b[K")[0] for part in shown.split(b"\x1b7")[1:]]
    assert any(b"epoch" in line and b"/40" in line for line in lines), shown.decode()
    assert lines[-1] == b""  # erased at the end
    assert b"1 passed" in shown


def test_a_pipe_gets_no_control_characters(slow):
    result = slow.run()
    result.assert_outcomes(passed=1)
    assert "\x1b" not in result.stdout.str()
