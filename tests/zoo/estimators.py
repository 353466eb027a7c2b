"""Every classifier and regressor of scikit-learn: ``python tests/zoo/estimators.py``.

Each has its defaults, is examined before its training on data that suits it, trained, and asked
about held-out rows: no check may call one faulty. Those that need other estimators get logistic or
ridge regressions.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from datetime import UTC, datetime
from typing import Any

import numpy as np
from results import write_section
from sklearn.datasets import load_diabetes, load_digits, load_linnerud
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils import all_estimators

from pytest_kepler import checks, gate
from pytest_kepler.checks.config import CheckConfig

N_ROWS = 600
#: With their defaults these give one answer to all rows here, and it is right to say so.
CONSTANT = {
    "DummyClassifier",
    "DummyRegressor",
    "GaussianProcessRegressor",
    "QuantileRegressor",
}
#: With its defaults this one refuses rows that have no neighbours here, and it is right to say so.
REFUSING = {"RadiusNeighborsClassifier"}
#: These learn several targets, or from one column.
MANY = ("MultiTask", "MultiOutputRegressor", "RegressorChain", "CCA", "PLSCanonical")
MANY_LABELS = ("ClassifierChain", "MultiOutputClassifier")


def made(kind: type, inner: Any) -> Any:
    """Return an estimator with its defaults, and what it cannot do without."""
    for given in ({}, {"estimator": inner}, {"estimators": [("one", inner), ("two", inner)]}):
        try:
            return kind(**given)
        except TypeError:
            continue
    msg = f"{kind.__name__} cannot be made"
    raise TypeError(msg)


def data_for(name: str, *, is_classifier: bool) -> tuple[Any, Any]:
    """Return rows and targets that suit an estimator."""
    if name.startswith(MANY):
        X, y = load_linnerud(return_X_y=True)
        return X, y
    X, y = load_digits(return_X_y=True) if is_classifier else load_diabetes(return_X_y=True)
    X, y = X[:N_ROWS], y[:N_ROWS]
    if name.startswith(MANY_LABELS):
        return X / 16, np.column_stack([y % 2, y > 4]).astype(int)
    if name in ("FixedThresholdClassifier", "TunedThresholdClassifierCV"):
        return X / 16, y % 2
    if name == "IsotonicRegression":
        return X[:, 2], y
    if name == "CategoricalNB":
        return (X > 8).astype(int), y
    return (X / 16, y) if is_classifier else (MinMaxScaler().fit_transform(X), y)


def examine(kind: type, *, is_classifier: bool) -> tuple[list[Any], list[Any], str]:
    """Return errors and crashes, warnings, and why it could not be trained, if so."""
    inner = LogisticRegression(max_iter=1000) if is_classifier else Ridge()
    model = made(kind, inner)
    X, y = data_for(kind.__name__, is_classifier=is_classifier)
    halves = train_test_split(X, y, random_state=0)
    verdict = gate.examine_fit(
        model, halves[0], halves[2], {}, config=CheckConfig(), today=datetime.now(UTC).date()
    )
    found = list(verdict.findings)
    trouble = ""
    try:
        model.fit(halves[0], halves[2])
        trained_on = {"X_train": halves[0], "y_train": halves[2]}
        found += checks.behaviour(model, halves[1], halves[3], **trained_on)
    except ValueError as error:
        trouble = f"not trained: {str(error).splitlines()[0][:60]}"
    loud = [one for one in found if one.severity == "error" or one.name == "check-crashed"]
    soft = [one for one in found if one.severity == "warning" and one not in loud]
    return loud, soft, trouble


def main() -> int:
    """Print a line for each estimator; return 1 if one is called faulty."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    rows, n, errors, n_warnings = [], 0, 0, 0
    for kind in ("classifier", "regressor"):
        for name, cls in all_estimators(type_filter=kind):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                loud, soft, trouble = examine(cls, is_classifier=kind == "classifier")
            right = [one for one in loud if one.code == "K711" and name in CONSTANT]
            refused = [one for one in loud if one.name == "model-not-asked" and name in REFUSING]
            loud = [one for one in loud if one not in [*right, *refused]]
            n, errors, n_warnings = n + 1, errors + len(loud), n_warnings + len(soft)
            trouble = "K711: it does give one answer to all" if right else trouble
            trouble = "K000: it does refuse some rows" if refused else trouble
            for one in loud:
                print(gate.report([one]))  # noqa: T201 - a command
            if loud or soft or trouble:
                codes = [", ".join(sorted({one.code for one in found})) for found in (loud, soft)]
                rows.append(f"| {name} | {codes[0] or '–'} | {codes[1] or '–'} | {trouble} |")
                print(rows[-1], flush=True)  # noqa: T201 - a command
    total = f"{n} classifiers and regressors: {errors} errors, {n_warnings} warnings."
    print(total)  # noqa: T201 - a command
    if options.write:
        table = ["| estimator | errors | warnings | |", "|---|---|---|---|", *rows]
        how = "`python tests/zoo/estimators.py --write`"
        write_section("scikit-learn, every estimator", how, [total, "", *table])
    return int(errors > 0)


if __name__ == "__main__":
    sys.exit(main())
