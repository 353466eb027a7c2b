"""K312 labels-not-zero-based: class numbers that are no positions of output units.

What it looks at
    The smallest and the largest class number, against the units of a sparse loss; for XGBoost,
    whether the labels are 0, 1, … without gaps.
Why it matters
    Class k is read from unit k: numbers from 1 to 10 miss a layer of 10 units, which is an
    error on a CPU and a silent NaN on a GPU.
What it cannot see
    Labels as text; scikit-learn's classifiers, which number the classes themselves. XGBoost's do
    not.
Source
    https://keras.io/api/losses/probabilistic_losses/#sparsecategoricalcrossentropy-class
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.estimators import of_xgboost
from pytest_kepler.checks.predicates import listed, outputs_with_targets, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import FitView, Output, Target
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K312"]
_FIX = "Number the classes from 0: LabelEncoder, or y - y.min()."
#: So many rows a unit, and a class without any is missing by design, not by chance.
_ROWS_A_UNIT = 20
_MATRIX = 2


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each sparse loss whose labels do not fit its units."""
    del limits
    classifiers = [one for one in of_xgboost(fit) if fit.model.learns == "classifier"]
    if classifiers:
        yield from _for_xgboost(type(classifiers[0]).__name__, fit)
        return
    pairs = list(outputs_with_targets(fit))
    sparse = [(output, target) for output, target in pairs if _is_sparse(output)]
    if not sparse:
        raise NotApplicable("no loss takes class numbers")
    for output, target in sparse:
        if target.is_numeric and output.units is not None:
            yield from _compare(output, target, output.units)


def _for_xgboost(name: str, fit: FitView) -> Iterator[Finding]:
    """Yield a finding unless the labels are 0, 1, … without gaps, as XGBoost asks for."""
    target = fit.data.labelled.target
    classes = np.unique(target.flat) if target.is_numeric else np.empty(0)
    if len(classes) and (classes != np.floor(classes.astype(np.float64))).any():
        raise NotApplicable("the target is no class, and K612 tells of that")
    if target.is_numeric and np.array_equal(classes, np.arange(len(classes))):
        return
    what = f"go from {classes.min():g} to {classes.max():g}" if len(classes) else "are no numbers"
    n_classes = len(classes) or len(target.codes[0])
    yield INFO.finding(
        f"{name} takes the {n_classes} classes as 0 to {n_classes - 1}, but the labels {what}.",
        location=target.name,
        measured={"classes": n_classes},
        threshold={"lowest": 0, "highest": n_classes - 1},
        fix="Number the classes: LabelEncoder().fit_transform(y).",
    )


def _is_sparse(output: Output) -> bool:
    return output.loss is not None and output.loss.kind == "sparse"


def _compare(output: Output, target: Target, units: int) -> Iterator[Finding]:
    values = target.values
    if values.ndim == _MATRIX and values.shape[1] > 1 and output.rank == _MATRIX:
        return  # one-hot labels, which another check names
    classes: NDArray[np.float64] = np.unique(values).astype(np.float64)
    ignored = output.loss.ignore_class if output.loss is not None else None
    classes = classes[np.isfinite(classes) & (classes != (np.nan if ignored is None else ignored))]
    if not len(classes):
        return
    low, high = classes.min(), classes.max()
    measured = {"lowest": float(low), "highest": float(high), "units": units}
    threshold = {"lowest": 0, "highest": units - 1}
    if (classes != np.floor(classes)).any():
        message = "The loss takes class numbers, but the labels are no whole numbers."
    elif low < 0 or high >= units:
        message = (
            f"The class numbers range from {low:g} to {high:g}, but the units are numbered from "
            f"0 to {units - 1}."
        )
    else:
        yield from _gaps(output, classes, units, len(values))
        return
    yield INFO.finding(
        message, location=place(output), measured=measured, threshold=threshold, fix=_FIX
    )


def _gaps(
    output: Output, classes: NDArray[np.float64], units: int, n_rows: int
) -> Iterator[Finding]:
    """Yield a finding if numbers between the lowest and the highest class are not in use."""
    unused = sorted(set(range(int(classes.min()), int(classes.max()))) - set(classes.tolist()))
    if int(classes.min()) > 0:
        unused = [*range(int(classes.min())), *unused]
    if not unused or output.rank != _MATRIX:
        return
    is_plain = n_rows >= _ROWS_A_UNIT * units
    yield INFO.finding(
        f"{len(unused)} of {units} output units stand for no class in the labels.",
        severity="warning" if is_plain else "note",
        location=place(output),
        measured={"unused units": listed(unused), "units": units, "n": n_rows},
        threshold={"unused units": 0},
        fix="Number the classes without gaps, and give the last layer as many units.",
    )
