"""Which model tells the three species of penguins apart, and is it worth more than a line?"""

from __future__ import annotations

import pytest

from example_project import penguins as penguin_data

MODELS = {"logistic": penguin_data.logistic, "forest": penguin_data.forest}


@pytest.mark.sanity
def test_the_split_is_sound(penguins, sanity):
    X_train, X_test, y_train, y_test = penguins
    sanity.split(X_train, X_test, y_train, y_test)
    sanity.data(X_train, y_train)


@pytest.mark.sanity
def test_measures_are_those_of_penguins(penguins):
    X_train, X_test, _, _ = penguins
    for X in (X_train, X_test):
        assert X["bill_length_mm"].dropna().between(25, 65).all()
        assert X["body_mass_g"].dropna().between(2_000, 7_000).all()
    assert X_train["sex"].isna().mean() < 0.1, "too many penguins of unknown sex to impute"


@pytest.mark.experiment(metric="accuracy", at_least=0.95)
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("model", ["logistic", "forest"])
def test_species(experiment, penguins, model, seed):
    """A linear model on scaled measures tells penguins apart as well as a forest does."""
    X_train, X_test, y_train, y_test = penguins
    fitted = experiment.fit(MODELS[model](seed), X_train, y_train)
    experiment.evaluate(fitted, X_test, y_test)


@pytest.mark.experiment(metric="accuracy", at_least=0.95)
@pytest.mark.parametrize("model", ["logistic", "forest"])
def test_species_cross_validated(experiment, penguins, model):
    """The ranking of the two models does not hang on one lucky split."""
    X_train, _, y_train, _ = penguins
    experiment.cross_validate(MODELS[model](experiment.seed), X_train, y_train, cv=5)
