"""Checks at their limits: silent on one side, loud on the other, and what holds exactly there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from pytest_kepler import checks

RNG = np.random.default_rng(0)


def severity(found, code):
    return next((one.severity for one in found if one.code == code), None)


# --- K308 conflicting-labels --------------------------------------------------------------


def contradicting(n_rows, n_conflicts, copies=2):
    """Return rows of which some are equal in `copies` places, with another label in the last."""
    features = np.random.default_rng(1).normal(size=(n_rows, 6)).round(4)
    labels = np.where(np.arange(n_rows) % 2, "left", "right")
    for k in range(n_conflicts):
        same = slice(k * copies, (k + 1) * copies)
        features[same] = features[k * copies]
        labels[same] = "left"
        labels[(k + 1) * copies - 1] = "right"
    return features, labels


@pytest.mark.parametrize(
    ("n_conflicts", "expected"),
    [(4, None), (5, None), (6, "warning"), (100, "warning"), (101, "error"), (150, "error")],
)
def test_conflicts_are_told_above_a_hundredth_and_block_above_a_fifth(n_conflicts, expected):
    rows = contradicting(1_000, n_conflicts)
    found = checks.data(*rows, model=LogisticRegression(), select=["K308"])
    assert severity(found, "K308") == expected


@pytest.mark.parametrize(("copies", "expected"), [(2, None), (3, "warning")])
def test_fewer_than_three_rows_in_conflict_are_no_finding(copies, expected):
    rows = contradicting(60, 1, copies)
    found = checks.data(*rows, model=LogisticRegression(), select=["K308"])
    assert severity(found, "K308") == expected


# --- K313 sentinel-values -----------------------------------------------------------------


def with_sentinels(others, value, n_sentinels):
    others = np.asarray(others, dtype=float)
    column = np.concatenate([others, np.full(n_sentinels, value)])
    RNG.shuffle(column)
    return pd.DataFrame({"age": column, "other": RNG.normal(size=len(column))})


@pytest.mark.parametrize(
    ("n_rows", "n_sentinels", "is_found"),
    [
        (10_000, 9, False),
        (10_000, 10, True),
        (10_000, 11, True),
        (1_000, 599, True),
        (1_000, 600, True),
        (1_000, 601, False),
    ],
)
def test_sentinels_are_a_thousandth_to_three_fifths_of_the_rows(n_rows, n_sentinels, is_found):
    frame = with_sentinels(np.arange(n_rows - n_sentinels) % 101, -999, n_sentinels)
    assert bool(checks.data(frame, select=["K313"])) == is_found


@pytest.mark.parametrize(
    ("lowest", "is_found"), [(0.99, False), (1.0, False), (1.01, True), (1.5, True)]
)
def test_sentinels_lie_more_than_five_interquartile_ranges_away(lowest, is_found):
    # From 1 to 5 the range of the middle half is 2, and -9 is 10 below the lowest.
    others = np.tile([lowest, 2.0, 3.0, 4.0, 5.0], 40)
    assert bool(checks.data(with_sentinels(others, -9, 20), select=["K313"])) == is_found


# --- K601 preprocessing-saw-test-rows -----------------------------------------------------


def scaled_together(n_columns=10, n_others=0, *, shift=0.0, stretch=1.0):
    """Return (train, test) of mean 0 and spread 1 together.

    `shift` moves the common mean, in units of the limit; `stretch` is the common spread;
    `n_others` columns are not scaled at all.
    """
    rows = np.random.default_rng(2).normal(size=(300, n_columns))
    rows = (rows - rows.mean(0)) / rows.std(0)
    # mean = ratio * (mean of train + mean), solved for the mean
    rows += shift * 0.02 / 0.98 * rows[:200].mean(0)
    rows *= stretch
    rows[:, :n_others] = rows[:, :n_others] * 7 + 3
    return rows[:200], rows[200:]


@pytest.mark.parametrize(
    ("given", "is_found"),
    [
        ({}, True),
        ({"shift": 0.98}, True),
        ({"shift": 1.02}, False),
        ({"stretch": 1.0009}, True),
        ({"stretch": 1.0011}, False),
        ({"stretch": 0.9991}, True),
        ({"stretch": 0.9961}, False),
        ({"n_others": 1}, True),
        ({"n_others": 2}, False),
    ],
)
def test_scaling_before_the_split_shows_in_mean_spread_and_columns(given, is_found):
    assert bool(checks.split(*scaled_together(**given), select=["K601"])) == is_found


# --- K609 metric-hides-minority -----------------------------------------------------------


@pytest.mark.parametrize(("n_common", "is_found"), [(899, False), (900, True), (901, True)])
def test_accuracy_hides_a_minority_from_nine_tenths_on(n_common, is_found):
    features = np.random.default_rng(3).normal(size=(1_000, 3))
    labels = (np.arange(1_000) >= n_common).astype(int)
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]})
    assert bool(checks.model(search, features, labels, select=["K609"])) == is_found
