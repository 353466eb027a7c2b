"""The data that the experiments stand on, loaded once a session."""

from __future__ import annotations

import pytest
from sklearn.model_selection import train_test_split

from example_project import penguins as penguin_data


@pytest.fixture(scope="session")
def penguins():
    X, y = penguin_data.load()
    return train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)


@pytest.fixture(scope="session")
def digits():
    from example_project import digits as digit_data

    X_train, X_val, X_test, y_train, y_val, y_test = digit_data.load()
    assert X_train.min() >= 0, "pixels are darker than black"
    assert X_train.max() <= 1, "pixels are not scaled to 0..1"
    return X_train, X_val, X_test, y_train, y_val, y_test
