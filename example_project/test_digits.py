"""How small a convolutional network reads handwritten digits, and does dropout help it?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

keras = pytest.importorskip("keras")

from example_project import digits as digit_data  # noqa: E402  # it needs Keras


@pytest.mark.sanity
def test_the_digits_are_sound(digits, sanity):
    X_train, X_val, X_test, y_train, y_val, y_test = digits
    sanity.split(X_train, X_test, y_train, y_test)
    sanity.split(X_train, X_val, y_train, y_val)
    assert set(np.unique(y_train)) == set(range(10))


@pytest.mark.sanity
@settings(deadline=None)  # a busy machine is no fault of the scaling
@given(hnp.arrays(np.uint8, (3, 64), elements=st.integers(0, 16)))
def test_scaling_keeps_the_order_of_pixels(pixels):
    scaled = digit_data.scaled(pixels)
    assert scaled.min() >= 0
    assert scaled.max() <= 1
    assert (np.argsort(pixels, axis=1, kind="stable") == np.argsort(scaled, kind="stable")).all()


@pytest.mark.experiment(metric="accuracy", at_least=0.96)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("filters", [8, 16])
def test_convnet(experiment, digits, filters, dropout, seed):
    """Dropout before the output helps a network that is large for 1,200 images."""
    X_train, X_val, X_test, y_train, y_val, y_test = digits  # and `seed` has seeded Keras
    model = experiment.fit(
        digit_data.convnet(filters, dropout),
        X_train,
        y_train,
        validation_data=(X_val, y_val),
        epochs=20,
        batch_size=32,
        callbacks=[keras.callbacks.EarlyStopping(patience=4, restore_best_weights=True)],
    )
    experiment.evaluate(model, X_test, y_test)
    experiment.save(model)
