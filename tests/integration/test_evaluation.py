"""A result on rows that were fitted on or chosen by: recorded, told, and failed."""

from __future__ import annotations

import pytest

SEARCH = """
    import pytest
    from sklearn.datasets import load_wine
    from sklearn.model_selection import GridSearchCV, train_test_split
    from sklearn.tree import DecisionTreeClassifier

    X, y = load_wine(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

    def search():
        model = DecisionTreeClassifier(random_state=0)
        return GridSearchCV(model, {"max_depth": [2, 3]}, error_score="raise")

    @pytest.mark.experiment(metric="accuracy")
    def test_on_everything(experiment):
        experiment.evaluate(experiment.fit(search(), X, y), X_test, y_test)

    @pytest.mark.experiment(metric="accuracy", waive={"K614": "a demonstration"})
    def test_waived(experiment):
        experiment.evaluate(experiment.fit(search(), X, y), X_test, y_test)

    @pytest.mark.experiment(metric="train/accuracy")
    def test_of_training(experiment):
        experiment.evaluate(experiment.fit(search(), X, y), X, y, prefix="train")

    @pytest.mark.experiment(metric="accuracy")
    def test_sound(experiment):
        experiment.cross_validate(search(), X, y, prefix="folds")
        fitted = experiment.fit(search(), X_train, y_train)
        experiment.evaluate(fitted, X_test, y_test)
        experiment.fit(search(), X, y, phase="final")

    @pytest.mark.experiment(metric="accuracy")
    def test_plain(experiment):
        fitted = experiment.fit(DecisionTreeClassifier(random_state=0), X, y)
        experiment.evaluate(fitted, X_test, y_test)
"""

NETWORK = """
    import keras, numpy as np, pytest

    rng = np.random.default_rng(0)
    X = rng.normal(size=(240, 4)).astype("float32")
    y = (X[:, 0] + 0.3 * rng.normal(size=240) > 0).astype(int)
    TRAIN, OTHER, TEST = slice(0, 120), slice(120, 180), slice(180, 240)

    def train(experiment, held_out):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")])
        model.compile(keras.optimizers.Adam(0.1), "binary_crossentropy", metrics=["accuracy"])
        stops = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
        fitted = experiment.fit(
            model, X[TRAIN], y[TRAIN], validation_data=held_out, epochs=6, callbacks=[stops]
        )
        experiment.evaluate(fitted, X[TEST], y[TEST])

    @pytest.mark.experiment(metric="accuracy")
    def test_on_the_test_set(experiment):
        train(experiment, (X[TEST], y[TEST]))

    @pytest.mark.experiment(metric="accuracy")
    def test_on_a_part_of_its_own(experiment):
        train(experiment, (X[OTHER], y[OTHER]))

    @pytest.mark.experiment(metric="accuracy", waive={"K515": "the data is small"})
    def test_waived(experiment):
        train(experiment, (X[TEST], y[TEST]))

    @pytest.mark.experiment(metric="accuracy")
    def test_on_a_stream(experiment):
        import tensorflow as tf

        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")])
        model.compile(keras.optimizers.Adam(0.1), "binary_crossentropy", metrics=["accuracy"])
        train_set = tf.data.Dataset.from_tensor_slices((X[TRAIN], y[TRAIN])).batch(32)
        test_set = tf.data.Dataset.from_tensor_slices((X[TEST], y[TEST])).batch(32)
        stops = keras.callbacks.EarlyStopping(patience=2)
        experiment.fit(
            model, train_set, validation_data=test_set, epochs=6, callbacks=[stops]
        )
        experiment.evaluate(model, test_set)
"""


def outcomes(project):
    rows = project.query(
        "select r.node_id, c.code, c.severity, c.waiver from checks c join runs r using (run_id) "
        "where c.code in ('K515', 'K614') order by r.node_id"
    )
    return {
        row["node_id"].partition("::")[2]: (row["code"], row["severity"], row["waiver"])
        for row in rows
    }


def test_a_search_that_saw_the_test_rows_fails_the_run_with_its_metrics_logged(project):
    project.write("test_train.py", SEARCH)
    result = project.run("-rfE")
    result.assert_outcomes(failed=1, passed=4)
    text = " ".join(result.stdout.str().split())
    assert "K614 error" in text
    assert "45 evaluated rows of 45 were in the fit of GridSearchCV." in text
    assert '@pytest.mark.experiment(waive={"K614": "why"})' in text
    assert outcomes(project) == {
        "test_on_everything": ("K614", "error", ""),
        "test_waived": ("K614", "error", "a demonstration"),
        "test_plain": ("K614", "warning", ""),
    }
    rows = project.query("select value from metrics where name = 'accuracy'")
    assert len(rows) == 4


def test_it_is_left_out_where_the_project_says_so(project):
    project.write("test_train.py", SEARCH)
    project.write("pyproject.toml", '[tool.kepler]\nignore = ["K614"]\n')
    project.run().assert_outcomes(passed=5)
    assert outcomes(project) == {}


def test_an_early_stopping_on_the_test_set_fails_the_run(project):
    pytest.importorskip("tensorflow", exc_type=ImportError)
    project.write("test_train.py", NETWORK)
    result = project.run("-rfE")
    result.assert_outcomes(failed=2, passed=2)
    text = " ".join(result.stdout.str().split())
    assert "the fit validated on, by which EarlyStopping chose" in text
    assert outcomes(project) == {
        "test_on_the_test_set": ("K515", "error", ""),
        "test_on_a_stream": ("K515", "error", ""),
        "test_waived": ("K515", "error", "the data is small"),
    }
