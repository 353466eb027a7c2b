from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from pytest_kepler.errors import ExperimentError

pytest.importorskip("sklearn")

from sklearn.cluster import KMeans
from sklearn.datasets import load_diabetes, load_iris
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, RandomizedSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

X, Y = load_iris(return_X_y=True)


def test_a_pipeline_is_described_by_its_public_name_and_all_its_settings(experiment, spool):
    experiment.fit(make_pipeline(StandardScaler(), SVC(C=2)), X, Y)
    (event,) = spool.of("model")
    assert (event["framework"], event["kind"]) == ("sklearn", "sklearn.pipeline.Pipeline")
    assert event["params"]["svc__C"] == 2
    assert event["params"]["svc"] == "<sklearn.svm.SVC>"
    json.dumps(event)


def test_the_number_of_weights_of_a_linear_model_is_known(experiment, spool):
    experiment.fit(make_pipeline(StandardScaler(), LogisticRegression()), X, Y)
    assert spool.of("model")[0]["n_weights"] == 3 * 4 + 3


def test_a_search_leaves_its_candidates_as_a_table(experiment, spool):
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 3]}, cv=3)
    experiment.fit(search, X, Y)
    table = spool.facts["search_candidates"]
    assert [row["params"] for row in table] == [{"max_depth": 1}, {"max_depth": 3}]
    assert [row["rank"] for row in table] == [2, 1]
    assert {"params", "mean", "std", "rank", "fit_seconds"} == set(table[0])
    assert spool.facts["best_params"] == {"max_depth": 3}
    assert experiment.metrics["best_index"] == 1
    assert experiment.metrics["best_score"] == table[1]["mean"]


def test_a_search_by_several_scorers_keeps_each(experiment, spool):
    search = RandomizedSearchCV(
        Ridge(),
        {"alpha": [0.1, 1.0, 10.0]},
        n_iter=2,
        cv=3,
        random_state=0,
        scoring=["r2", "neg_mean_absolute_error"],
        refit="r2",
    )
    experiment.fit(search, *load_diabetes(return_X_y=True))
    row = spool.facts["search_candidates"][0]
    assert row["mean"] > 0 > row["neg_mean_absolute_error"]


def test_a_search_without_a_refit_still_has_its_table(experiment, spool):
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2, refit=False)
    experiment.fit(search, *load_diabetes(return_X_y=True))
    assert len(spool.facts["search_candidates"]) == 2


def test_a_search_as_the_last_step_of_a_pipeline_is_found(experiment, spool):
    search = GridSearchCV(DecisionTreeClassifier(), {"max_depth": [1, 2]}, cv=2)
    experiment.fit(make_pipeline(StandardScaler(), search), X, Y)
    assert "best_params" in spool.facts


@pytest.mark.parametrize(
    ("model", "curve", "n_points"),
    [
        (MLPClassifier(max_iter=300, tol=0.5, random_state=0), "loss", 12),
        (HistGradientBoostingClassifier(max_iter=3, early_stopping=True), "train_score", 4),
        (HistGradientBoostingClassifier(max_iter=3, early_stopping=True), "validation_score", 4),
        (GradientBoostingRegressor(n_estimators=3), "loss", 3),
    ],
)
def test_the_curves_that_an_estimator_keeps_are_logged_by_step(
    experiment, spool, model, curve, n_points
):
    experiment.fit(make_pipeline(StandardScaler(), model), X, Y)
    points = spool.curve(curve)
    assert [step for step, _ in points] == list(range(n_points))
    assert experiment.history[curve] == [value for _, value in points]


def test_the_history_is_that_of_the_latest_training(experiment):
    experiment.fit(GradientBoostingRegressor(n_estimators=3), X, Y)
    first = experiment.history
    experiment.fit(Ridge(), X, Y)
    assert experiment.history == {}
    assert len(first["loss"]) == 3


def test_a_convergence_warning_is_recorded_and_still_shown(experiment, spool):
    with pytest.warns(ConvergenceWarning):
        experiment.fit(LogisticRegression(max_iter=1), X, Y)
    (message,) = spool.facts["convergence_warnings"]
    assert "failed to converge" in message
    assert spool.facts["n_iter"] == [1]


def test_whoever_turns_warnings_into_errors_still_gets_the_error(experiment):
    show = warnings.showwarning
    with pytest.raises(ConvergenceWarning):
        experiment.fit(LogisticRegression(max_iter=1), X, Y)
    assert warnings.showwarning is show


def test_an_estimator_with_probabilities_is_measured_by_them(experiment):
    found = experiment.evaluate(experiment.fit(LogisticRegression(max_iter=500), X, Y), X, Y)
    assert set(found) == {
        "accuracy",
        "balanced_accuracy",
        "f1",
        "precision",
        "recall",
        "log_loss",
        "roc_auc",
    }


def test_without_probabilities_a_binary_classifier_is_ranked_by_its_decisions(experiment):
    model = experiment.fit(SVC(), X[:100], Y[:100])
    assert experiment.evaluate(model, X[:100], Y[:100])["roc_auc"] == 1


def test_a_metric_that_the_data_cannot_give_is_left_out_and_says_why(experiment, spool):
    model = experiment.fit(LogisticRegression(max_iter=500), X, Y)
    found = experiment.evaluate(model, X[:60], Y[:60], prefix="part")
    assert "part/roc_auc" not in found
    assert spool.facts["metrics_left_out"] == {
        "part/roc_auc": "1 of 3 classes do not occur in the data"
    }


def test_a_regressor_is_measured_by_r2_rmse_and_mae(experiment):
    data = load_diabetes(return_X_y=True)
    assert set(experiment.evaluate(experiment.fit(Ridge(), *data), *data)) == {"r2", "rmse", "mae"}


def test_what_is_neither_is_asked_for_its_own_score(experiment):
    model = experiment.fit(KMeans(3, n_init=1, random_state=0), X)
    assert experiment.evaluate(model, X) == {"score": model.score(X)}


def test_y_of_other_rows_is_refused(experiment):
    model = experiment.fit(DummyClassifier(), X, Y)
    with pytest.raises(ExperimentError, match=r"shape \(150,\), but y has shape \(10,\)"):
        experiment.evaluate(model, X, Y[:10])


def test_cross_validation_logs_mean_spread_and_folds(experiment, spool):
    found = experiment.cross_validate(LogisticRegression(max_iter=500), X, Y, cv=3)
    folds = [value for _, value in spool.curve("accuracy_fold")]
    assert [step for step, _ in spool.curve("accuracy_fold")] == [0, 1, 2]
    assert found["accuracy"] == experiment.metrics["accuracy"] == pytest.approx(np.mean(folds))
    assert found["accuracy_std"] == pytest.approx(np.std(folds, ddof=1))
    assert found["fit_seconds"] >= 0
    assert not [name for name in experiment.metrics if name.startswith("test_")]


def test_folds_are_shuffled_by_the_seed_alone(make_experiment):
    def accuracy(seed):
        model = DecisionTreeClassifier(random_state=0)
        return make_experiment(seed=seed).cross_validate(model, X, Y)["accuracy"]

    assert accuracy(1) == accuracy(1)
    assert len({accuracy(seed) for seed in range(6)}) > 1


def test_folds_of_sorted_labels_are_stratified(experiment):
    # In the order of the file, each of three folds would hold one class alone.
    assert experiment.cross_validate(DecisionTreeClassifier(), X, Y, cv=3)["accuracy"] > 0.8


def test_a_splitter_of_the_users_own_is_used_as_it_is(experiment):
    found = experiment.cross_validate(
        DecisionTreeClassifier(), X, Y, cv=KFold(3), scoring="accuracy"
    )
    assert found["accuracy"] == 0
    assert {"accuracy", "accuracy_std", "fit_seconds", "fit_seconds_std"} == set(found)


def test_groups_are_kept_together(experiment):
    groups = np.arange(150) % 5
    found = experiment.cross_validate(
        Ridge(), X, Y, groups=groups, scoring=["r2"], return_indices=True
    )
    for train, test in zip(*found["indices"].values(), strict=True):
        assert not set(groups[train]) & set(groups[test])
    same = next(iter(GroupKFold(5).split(X, Y, groups)))[1]
    assert any((same == test).all() for test in found["indices"]["test"])


def test_a_regressor_is_cross_validated_by_r2_rmse_and_mae(experiment):
    found = experiment.cross_validate(Ridge(), *load_diabetes(return_X_y=True), prefix="cv")
    assert {"cv/r2", "cv/rmse", "cv/mae"} <= set(found)


def test_a_fold_that_cannot_be_fitted_is_an_error(experiment):
    with pytest.raises(ValueError, match="NaN"):
        experiment.cross_validate(Ridge(), np.full((20, 2), np.nan), np.arange(20.0))


def test_cross_validation_passes_the_gate_once(make_experiment):
    seen = []
    experiment = make_experiment(gate=lambda *given: seen.append(given))
    experiment.cross_validate(DummyClassifier(), X, Y, cv=3)
    assert len(seen) == 1


def test_cross_validation_and_evaluation_do_not_overwrite_each_other(experiment):
    experiment.cross_validate(DummyClassifier(), X, Y)
    model = experiment.fit(DummyClassifier(), X, Y)
    with pytest.raises(ExperimentError, match="cross_validate has already measured without a"):
        experiment.evaluate(model, X, Y)
    experiment.evaluate(model, X, Y, prefix="test")


def test_folds_do_not_count_as_measured_on_a_test_split_of_the_same_data(experiment):
    experiment.cross_validate(DummyClassifier(), X, Y, prefix="cv")
    experiment.evaluate(experiment.fit(DummyClassifier(), X, Y), X, Y, prefix="train")
    assert experiment.eval_hashes["cv"] != experiment.eval_hashes["train"]
