"""XGBoost: curves, measures, and the checks that know its parameters."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pytest_kepler import adapters, checks
from pytest_kepler.errors import ExperimentError
from pytest_kepler.testing import ListRecorder

xgboost = pytest.importorskip("xgboost")

X, y = load_breast_cancer(return_X_y=True)
IRIS_X, IRIS_y = load_iris(return_X_y=True)
ORDER = np.random.default_rng(0).permutation(150)
IRIS_X, IRIS_y = IRIS_X[ORDER], IRIS_y[ORDER]
DIABETES_X, TARGET = load_diabetes(return_X_y=True)


def classifier(**given):
    return xgboost.XGBClassifier(n_estimators=5, n_jobs=1, **given)


def regressor(**given):
    return xgboost.XGBRegressor(n_estimators=5, n_jobs=1, **given)


def codes(model, X, y, **given):
    found = checks.model(model, X, y, **given)
    assert "check-crashed" not in {one.name for one in found}
    return {one.code for one in found}


class Recorder(ListRecorder):
    def curve(self, values, step):
        super().curve(values, step)
        for name, value in values.items():
            self.history.setdefault(name, []).append(value)


def test_the_curves_of_an_eval_set_are_recorded(capsys):
    recorder = Recorder()
    model = classifier(early_stopping_rounds=2)
    fitted = adapters.find(model).fit(model, X, y, {"eval_set": [(X[:100], y[:100])]}, recorder)
    curve = fitted.model.evals_result()["validation_0"]["logloss"]
    assert recorder.history["validation_0/logloss"] == curve
    assert recorder.all_facts["best_iteration"] == fitted.model.best_iteration
    assert fitted.record.params["n_estimators"] == 5
    assert capsys.readouterr().out == ""


def test_a_booster_is_measured_by_its_objective():
    boosters = {
        "binary:logistic": (X, y),
        "multi:softprob": (IRIS_X, IRIS_y),
        "multi:softmax": (IRIS_X, IRIS_y),
    }
    for objective, (features, labels) in boosters.items():
        given = {"objective": objective}
        if "multi" in objective:
            given["num_class"] = 3
        booster = xgboost.train(given, xgboost.DMatrix(features, labels), 5)
        found = adapters.find(booster, "experiment.evaluate").evaluate(booster, features, labels)
        answers = booster.predict(xgboost.DMatrix(features))
        answers = answers > 0.5 if objective == "binary:logistic" else answers
        answers = answers.argmax(1) if answers.ndim > 1 else answers
        assert found.metrics["accuracy"] == accuracy_score(labels, answers)
    booster = xgboost.train({}, xgboost.DMatrix(DIABETES_X, TARGET), 5)
    found = adapters.find(booster, "experiment.evaluate").evaluate(booster, DIABETES_X, TARGET)
    pred = booster.predict(xgboost.DMatrix(DIABETES_X))
    assert found.metrics["r2"] == pytest.approx(r2_score(TARGET, pred))


def test_what_a_booster_cannot_is_said():
    booster = xgboost.train({"objective": "rank:pairwise"}, xgboost.DMatrix(X, y), 2)
    adapter = adapters.find(booster)
    with pytest.raises(ExperimentError, match="trained already"):
        adapter.fit(booster, X, y, {}, ListRecorder())
    with pytest.raises(ExperimentError, match="rank:pairwise"):
        adapter.evaluate(booster, X, y)
    with pytest.raises(ExperimentError, match="save_model"):
        adapter.suffix(booster)


@pytest.mark.parametrize(
    ("model", "features", "target", "given", "expected"),
    [
        (classifier(), IRIS_X, IRIS_y + 1, {}, {"K312"}),
        (classifier(), IRIS_X, IRIS_y * 2, {}, {"K312"}),
        (classifier(), IRIS_X, np.array(["a", "b", "c"])[IRIS_y], {}, {"K312"}),
        (classifier(), DIABETES_X, TARGET + 0.5, {}, {"K612"}),
        (classifier(early_stopping_rounds=3), X, y, {}, {"K424"}),
        (classifier(learning_rate=3.0), X, y, {}, {"K507"}),
        (regressor(objective="reg:logistic"), DIABETES_X, TARGET, {}, {"K403"}),
        (regressor(objective="count:poisson"), DIABETES_X, TARGET - 150, {}, {"K403"}),
        (make_pipeline(StandardScaler(), classifier()), IRIS_X, IRIS_y + 1, {}, {"K312"}),
        (classifier(), X, y, {}, set()),
        (classifier(), IRIS_X, IRIS_y.astype(float), {}, set()),
        (classifier(objective="binary:logistic"), IRIS_X, IRIS_y, {}, set()),
        (classifier(early_stopping_rounds=3), X, y, {"eval_set": [(X, y)]}, set()),
        (classifier(learning_rate=1.0), X, y, {}, set()),
        (xgboost.XGBRFClassifier(n_jobs=1), X, y, {}, set()),
        (regressor(), DIABETES_X, TARGET, {}, set()),
        (regressor(objective="count:poisson"), DIABETES_X, TARGET, {}, set()),
        (regressor(objective="reg:logistic"), DIABETES_X, TARGET / 346, {}, set()),
        (GridSearchCV(classifier(), {"max_depth": [2, 3]}), X, y, {}, set()),
    ],
)
def test_parameters_are_judged_by_the_target(model, features, target, given, expected):
    assert codes(model, features, target, **given) == expected


def test_missing_values_are_no_fault():
    features = X.copy()
    features[::7, 3] = np.nan
    assert checks.data(features, y, model=classifier()) == []
