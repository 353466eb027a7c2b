"""The penguins of the Palmer Archipelago: loading them, and the pipelines that are tried."""

from __future__ import annotations

import pandas as pd
from palmerpenguins import load_penguins
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

MEASURES = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
PLACES = ["island", "sex"]


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return the measures of 344 penguins and their species; two penguins were not measured."""
    frame = load_penguins()
    return frame[MEASURES + PLACES], frame["species"]


def logistic(seed: int) -> Pipeline:
    """Return a linear model on scaled measures."""
    return make_pipeline(_prepared(), LogisticRegression(C=1.0, random_state=seed))


def forest(seed: int) -> Pipeline:
    """Return a forest on the same columns."""
    return make_pipeline(_prepared(), RandomForestClassifier(n_estimators=100, random_state=seed))


def _prepared() -> object:
    measures = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    places = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    )
    return make_column_transformer((measures, MEASURES), (places, PLACES))
