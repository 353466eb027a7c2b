from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from pytest_kepler.adapters import metrics

reference = pytest.importorskip("sklearn.metrics")


def labels_and_probabilities(n_classes, n_rows=200, seed=0):
    random = np.random.default_rng(seed)
    true = random.integers(0, n_classes, n_rows)
    probabilities = random.dirichlet(np.ones(n_classes), n_rows)
    probabilities[np.arange(n_rows), true] += 0.3
    probabilities = (probabilities / probabilities.sum(axis=1, keepdims=True)).round(2)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return true, probabilities


@pytest.mark.parametrize("names", [None, np.array(["ant", "bee", "cat", "dog"])])
@pytest.mark.parametrize("n_classes", [2, 3, 4])
def test_a_classifier_is_measured_as_by_scikit_learn(n_classes, names):
    true, probabilities = labels_and_probabilities(n_classes)
    pred = probabilities.argmax(axis=1)
    classes = np.arange(n_classes)
    if names is not None:
        classes, true, pred = names[:n_classes], names[true], names[pred]
    found = metrics.classification(true, pred, classes=classes, probabilities=probabilities)
    average = {"average": "macro"} if n_classes > 2 else {"pos_label": classes[1]}
    scores = probabilities if n_classes > 2 else probabilities[:, 1]
    expected = {
        "accuracy": reference.accuracy_score(true, pred),
        "balanced_accuracy": reference.balanced_accuracy_score(true, pred),
        "f1": reference.f1_score(true, pred, **average),
        "precision": reference.precision_score(true, pred, **average),
        "recall": reference.recall_score(true, pred, **average),
        "log_loss": reference.log_loss(true, probabilities, labels=classes),
        "roc_auc": reference.roc_auc_score(true, scores, multi_class="ovr"),
    }
    assert found.metrics == pytest.approx(expected, abs=1e-12)
    assert found.left_out == {}


def test_a_class_that_is_never_predicted_has_precision_0_and_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = metrics.classification(np.array([0, 1, 2]), np.array([0, 0, 0])).metrics
    assert found["precision"] == pytest.approx(1 / 9)
    assert found["recall"] == pytest.approx(1 / 3)


def test_a_label_the_model_does_not_know_leaves_out_what_needs_its_probability():
    true, pred = np.array([0, 1, 2]), np.array([0, 1, 1])
    found = metrics.classification(
        true, pred, classes=np.array([0, 1]), probabilities=np.eye(2)[[0, 1, 1]]
    )
    assert found.metrics["accuracy"] == pytest.approx(2 / 3)
    assert set(found.left_out) == {"log_loss", "roc_auc"}


def test_the_positive_class_is_the_larger_label_also_where_it_does_not_occur():
    found = metrics.classification(np.array([0, 0]), np.array([0, 1]), classes=np.array([0, 1]))
    assert (found.metrics["precision"], found.metrics["recall"]) == (0, 0)


def test_a_sure_and_wrong_prediction_costs_a_finite_log_loss():
    found = metrics.classification(
        np.array([0, 1]),
        np.array([1, 1]),
        classes=np.array([0, 1]),
        probabilities=np.eye(2)[[1, 1]],
    )
    assert math.isfinite(found.metrics["log_loss"])


def test_a_diverged_classifier_has_a_nan_and_no_warning():
    true, probabilities = labels_and_probabilities(2)
    probabilities[3] = np.nan
    found = metrics.classification(
        true, true, classes=np.array([0, 1]), probabilities=probabilities
    )
    assert math.isnan(found.metrics["roc_auc"])
    assert math.isnan(found.metrics["log_loss"])


@pytest.mark.parametrize("shape", [(50,), (50, 3)])
def test_a_regressor_is_measured_as_by_scikit_learn(shape):
    random = np.random.default_rng(0)
    true = random.normal(size=shape)
    pred = true + random.normal(size=shape)
    assert metrics.regression(true, pred).metrics == pytest.approx(
        {
            "r2": reference.r2_score(true, pred),
            "rmse": reference.root_mean_squared_error(true, pred),
            "mae": reference.mean_absolute_error(true, pred),
        }
    )


@pytest.mark.parametrize(("pred", "r2"), [([1.0, 1.0], 1), ([1.0, 2.0], 0)])
def test_a_constant_target_has_the_r2_that_scikit_learn_gives_it(pred, r2):
    assert metrics.regression(np.ones(2), np.array(pred)).metrics["r2"] == r2


def test_one_row_has_no_r2():
    assert math.isnan(metrics.regression(np.ones(1), np.ones(1)).metrics["r2"])


def test_a_diverged_regressor_has_no_warning():
    found = metrics.regression(np.ones(2), np.array([np.inf, np.nan])).metrics
    assert all(math.isnan(value) for name, value in found.items() if name != "r2")


@pytest.mark.parametrize("values", [[[1], [2]], [1, 2], np.array([[1], [2]])])
def test_a_single_column_is_one_dimension(values):
    assert metrics.column(values).shape == (2,)
