"""Intervals: the mean of paired differences, and how sure it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from pytest_kepler.errors import KeplerUsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

LEVEL: Final = 0.95
LEAST_PAIRS: Final = 2
#: Differences below this share of the values compared are rounding.
_ROUNDING: Final = 1e-12


def without_rounding(differences: Sequence[float], scale: float) -> list[float]:
    """Return differences of values of a size, with those that are rounding made zero."""
    return [0.0 if abs(one) <= scale * _ROUNDING else one for one in differences]


def interval_of(
    differences: Sequence[float], *, n_folds: int = 0, level: float = LEVEL
) -> tuple[float, float] | None:
    """Return the confidence interval of the mean of paired differences.

    Student's t over the pairs. Folds of one cross-validation share their training rows: with
    `n_folds` the variance of the mean is taken as ``1 / n + 1 / (n_folds - 1)`` times that of the
    differences: the correction of Nadeau and Bengio (Machine Learning 52, 2003,
    https://doi.org/10.1023/A:1024068626366), where one fold tests what the others trained. Without
    any spread, up to rounding, the interval is the mean.

    Parameters
    ----------
    differences : sequence of float
        One a pair, in the metric's units.
    n_folds : int
        How many folds each cross-validation has; 0 or 1 where there is none.
    level : float
        Of the two-sided interval.

    Returns
    -------
    pair of float or None
        None below two pairs, and where a difference is not finite.

    Raises
    ------
    KeplerUsageError
        If scipy, which has the distribution, is not installed.
    """
    if len(differences) < LEAST_PAIRS or not all(map(math.isfinite, differences)):
        return None
    mean, deviation = mean_and_deviation(differences)
    if deviation <= max(map(abs, differences)) * _ROUNDING:
        return mean, mean
    half = student(level, len(differences) - 1) * deviation
    half *= math.sqrt(variance_factor(len(differences), n_folds))
    return mean - half, mean + half


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the standard deviation (n - 1) of two values or more."""
    mean = math.fsum(one / len(values) for one in values)  # the sum itself may be too large
    return mean, math.hypot(*(one - mean for one in values)) / math.sqrt(len(values) - 1)


def variance_factor(n: int, n_folds: int) -> float:
    """Return the variance of the mean of n differences, in units of their own variance."""
    return 1 / n + (1 / (n_folds - 1) if n_folds > 1 else 0.0)


def student(level: float, degrees: int) -> float:
    """Return the two-sided quantile of Student's t distribution.

    Raises
    ------
    KeplerUsageError
        If scipy is not installed.
    """
    try:
        from scipy import special
    except ImportError:
        msg = (
            "Intervals over several replicates need scipy's distributions: "
            "pip install 'pytest-kepler[stats]'."
        )
        raise KeplerUsageError(msg) from None
    return float(special.stdtrit(degrees, (1 + level) / 2))
