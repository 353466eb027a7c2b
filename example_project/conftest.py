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
    for X in (X_train, X_val, X_test):
        assert X.min() >= 0, "a pixel is darker than black"
        assert X.max() <= 1, "a pixel is brighter than white: are they scaled?"
    return X_train, X_val, X_test, y_train, y_val, y_test
