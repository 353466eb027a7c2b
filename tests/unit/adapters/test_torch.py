"""Torch modules measured and described; loaders read without being consumed."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

from pytest_kepler import adapters
from pytest_kepler.errors import ExperimentError

torch = pytest.importorskip(
    "torch", reason="no part of dev, because its wheel is gigabytes on Linux"
)
nn = torch.nn
data = torch.utils.data

X, y = load_digits(return_X_y=True)
X = torch.tensor(X / 16, dtype=torch.float32)


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 10))
    return model.train()


def evaluate(model, X, y=None):
    return adapters.find(model, "experiment.evaluate").evaluate(model, X, y).metrics


def outputs(model, X):
    with torch.no_grad():
        return model.eval()(X).numpy()


@pytest.mark.parametrize("labels", [y, torch.tensor(y), torch.tensor(y)[:, None]])
def test_scores_of_classes_are_measured_as_a_classification(classifier, labels):
    found = evaluate(classifier, X, labels)
    assert classifier.training
    scores = outputs(classifier, X)
    shares = torch.softmax(torch.tensor(scores), 1).numpy()
    assert found["accuracy"] == metrics.accuracy_score(y, scores.argmax(1))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y, shares), rel=1e-4)


@pytest.mark.parametrize("end", [nn.Softmax(dim=1), nn.LogSoftmax(dim=1)])
def test_probabilities_and_their_logarithms_are_measured_as_the_scores_are(classifier, end):
    expected = evaluate(classifier, X, y)
    found = evaluate(nn.Sequential(classifier, end), X, y)
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("ends", [[nn.Sigmoid()], []])
def test_one_score_for_two_classes_is_cut_at_its_middle(ends):
    torch.manual_seed(0)
    features, labels = load_breast_cancer(return_X_y=True)
    features = ((features - features.mean(0)) / features.std(0)).astype("float32")
    model = nn.Sequential(nn.Linear(30, 1), *ends)
    scores = outputs(model, torch.tensor(features))[:, 0]
    found = evaluate(model, features, torch.tensor(labels, dtype=torch.float32)[:, None])
    cut = 0.5 if ends else 0.0
    assert found["accuracy"] == metrics.accuracy_score(labels, scores > cut)
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(labels, scores))


def test_numbers_are_measured_as_a_regression():
    torch.manual_seed(0)
    features, target = load_diabetes(return_X_y=True)
    model = nn.Linear(10, 1).double()
    found = evaluate(model, features, target)
    pred = outputs(model, torch.tensor(features))[:, 0]
    assert found["r2"] == pytest.approx(metrics.r2_score(target, pred))


def test_a_loader_of_tensors_is_measured_in_the_order_of_its_rows(classifier):
    rows = data.TensorDataset(X, torch.tensor(y))
    found = evaluate(classifier, data.DataLoader(rows, batch_size=7, shuffle=True))
    assert found == evaluate(classifier, X, y)


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        (X, None, "y is missing"),
        (X, np.eye(10)[y], "cannot tell what outputs of the shape"),
        (X, np.array(["a"] * len(X)), "cannot tell what outputs of the shape"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_what_to_do(classifier, rows, labels, message):
    with pytest.raises(ExperimentError, match=message) as caught:
        evaluate(classifier, rows, labels)
    assert "experiment.log" in str(caught.value)


def test_a_module_without_a_fit_is_led_to_a_loop_of_its_own(classifier):
    with pytest.raises(ExperimentError, match=r"loop of your own, with experiment\.check"):
        adapters.find(classifier)


def test_a_module_is_described_by_its_layers(classifier):
    from pytest_kepler.adapters.torch import training

    found = training.record(classifier)
    assert found.framework == "torch"
    assert found.n_weights == 64 * 16 + 16 + 16 * 10 + 10
    assert [one["class"] for one in found.config["layers"]] == [
        "Linear",
        "ReLU",
        "Dropout",
        "Linear",
    ]


def test_a_dataset_is_read_by_its_first_rows_and_no_random_state_moves():
    from pytest_kepler.adapters.torch.inputs import read_loader

    class Noisy(data.Dataset):
        def __len__(self):
            return 2_000

        def __getitem__(self, i):
            return torch.rand(3) + i, i % 2

    before = torch.get_rng_state()
    features, labels, is_whole = read_loader(data.DataLoader(Noisy(), batch_size=8, shuffle=True))
    assert torch.equal(before, torch.get_rng_state())
    assert features.shape == (640, 3)
    assert labels.tolist() == [i % 2 for i in range(640)]
    assert not is_whole
