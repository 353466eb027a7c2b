from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from pytest_kepler.tracking.trial import few

y = np.arange(1000) % 4
X = np.arange(2000.0).reshape(1000, 2)
SHAPES = {
    "array": X,
    "frame": pd.DataFrame(X, index=np.arange(1000)[::-1]),
    "sparse": scipy.sparse.csr_matrix(X),
    "list": X.tolist(),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_each_class_is_there_and_rows_stay_with_their_labels(kind):
    rows, labels, _ = few(SHAPES[kind], y, {})
    assert np.bincount(labels).tolist() == [10, 10, 10, 10]
    dense = rows.toarray() if kind == "sparse" else np.asarray(rows)
    assert np.array_equal(dense[:, 0] / 2 % 4, labels)


def test_a_continuous_target_gives_the_first_rows():
    rows, target, _ = few(X, X[:, 0] / 7, {})
    assert rows.shape == (64, 2)
    assert np.array_equal(target, X[:64, 0] / 7)


def test_what_belongs_to_the_rows_is_cut_with_them():
    held_out = (X[:300], y[:300])
    rows, _, more = few(X, y, {"sample_weight": X[:, 0], "validation_data": held_out, "n": 3})
    assert np.array_equal(more["sample_weight"], rows[:, 0])
    assert [len(one) for one in more["validation_data"]] == [40, 40]
    assert more["n"] == 3


def test_inputs_by_name_are_cut_together():
    rows, _, _ = few({"a": X, "b": y}, y, {})
    assert {name: len(one) for name, one in rows.items()} == {"a": 40, "b": 40}


def test_keras_makes_one_epoch_and_of_a_stream_two_steps():
    _, _, more = few(X, y, {"epochs": 50, "initial_epoch": 3}, is_keras=True)
    assert more == {"epochs": 4, "initial_epoch": 3}
    stream, _, more = few(iter([1]), None, {"epochs": 50}, is_keras=True)
    assert next(stream) == 1
    assert more == {"epochs": 1, "steps_per_epoch": 2}


def test_few_rows_stay_as_they_are():
    rows, labels, _ = few(X[:5], np.array([0, 1, 0, 1, 1]), {})
    assert (rows.shape, labels.tolist()) == ((5, 2), [0, 1, 0, 1, 1])
