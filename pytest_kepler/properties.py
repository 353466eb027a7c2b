"""Properties of models, each an assertion: ready for a test, alone or under Hypothesis.

They are the checks of behaviour by another door: what fails is told as a finding, with the most
typical row of yours that shows it. A property that cannot be judged is an error, never silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pytest_kepler.checks import families
from pytest_kepler.checks.expectations import read_expectations
from pytest_kepler.errors import KeplerUsageError
from pytest_kepler.gate import report
from pytest_kepler.records import EMPTY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_kepler.checks.running import Outcome

__all__ = [
    "answers_the_same_twice",
    "beats_guessing",
    "gives_probabilities",
    "ignores_batch_size",
    "ignores_row_order",
    "invariant_to",
    "learns_nothing_from_shuffled_labels",
    "learns_one_batch",
    "monotone_in",
    "trains_the_same_twice",
]

_BATCH = 32


def answers_the_same_twice(model: Any, X: Any) -> None:
    """Assert that a model answers the same rows the same, asked twice (K710).

    Raises
    ------
    AssertionError
        If it does not.
    """
    _assert_behaviour("K710", model, X)


def ignores_row_order(model: Any, X: Any) -> None:
    """Assert that a row's answer does not depend on where it stands (K706).

    Raises
    ------
    AssertionError
        If it does.
    """
    _assert_behaviour("K706", model, X)


def ignores_batch_size(model: Any, X: Any) -> None:
    """Assert that a row's answer does not depend on which rows are asked with it (K707).

    Raises
    ------
    AssertionError
        If it does.
    """
    _assert_behaviour("K707", model, X)


def gives_probabilities(model: Any, X: Any) -> None:
    """Assert that the probabilities lie between 0 and 1 and sum to one (K712).

    Raises
    ------
    AssertionError
        If they do not.
    """
    _assert_behaviour("K712", model, X)


def beats_guessing(model: Any, X: Any, y: Any) -> None:
    """Assert that a model is better than the commonest class, or the mean, on held-out rows (K702).

    Raises
    ------
    AssertionError
        If it is not, by two standard errors.
    """
    _assert_behaviour("K702", model, X, y)


def invariant_to(
    model: Any,
    X: Any,
    column: Any,
    change: Callable[[Any], Any] | Mapping[Any, Any] | None = None,
    *,
    tolerance: float = 0.01,
) -> None:
    """Assert that the answers do not change with a column (K713).

    Parameters
    ----------
    model, X
        A trained model, and rows.
    column : str or int
        The column's name, or its position in an array.
    change : callable or mapping, optional
        What is done to each value; without it the column takes the values of other rows.
    tolerance : float
        How far an answer may move: a probability, or else standard deviations of the answers.

    Raises
    ------
    AssertionError
        If more than one pair in twenty breaks it.
    """
    expectations = read_expectations(X, {column: change}, EMPTY)
    _assert_behaviour("K713", model, X, expectations=expectations, tol=tolerance)


def monotone_in(
    model: Any,
    X: Any,
    column: Any,
    direction: Literal["increasing", "decreasing"],
    *,
    tolerance: float = 0.01,
) -> None:
    """Assert that the answers only rise, or only fall, with a column (K713).

    Of a classifier of two classes the answer is the probability of the second.

    Parameters
    ----------
    model, X, column, tolerance
        As for `invariant_to`.
    direction : {"increasing", "decreasing"}
        Where the answers go as the column rises.

    Raises
    ------
    AssertionError
        If more than one pair in twenty breaks it.
    """
    expectations = read_expectations(X, (), {column: direction})
    _assert_behaviour("K713", model, X, expectations=expectations, tol=tolerance)


def trains_the_same_twice(train: Callable[[], Any], X: Any) -> None:
    """Assert that a training ends with the same answers when it is repeated (K705).

    Parameters
    ----------
    train : callable
        ``train() -> model``; it sets its seeds itself.
    X
        Rows that both models are asked about.

    Raises
    ------
    AssertionError
        If the answers differ.
    """
    _assert_behaviour("K705", None, X, train=train)


def learns_nothing_from_shuffled_labels(
    procedure: Callable[[Any, Any], float], X: Any, y: Any, *, chance: float | None = None
) -> None:
    """Assert that a procedure scores as guessing does where the labels are shuffled (K704).

    Parameters
    ----------
    procedure : callable
        ``procedure(X, y) -> score`` splits, prepares, trains and scores; called three times.
    X, y
        All rows, 120 or more, and their target.
    chance : float, optional
        The score of guessing; else the share of the commonest class, or 0 for numbers.

    Raises
    ------
    AssertionError
        If it scores more than 0.05 and three standard errors above chance.
    """
    from pytest_kepler.adapters.views import Procedure

    _assert_behaviour("K704", None, X, y, procedure=Procedure(procedure, X, y, chance))


def learns_one_batch(
    model: Any, X: Any, y: Any, *, at_least: float = 0.9, **fit_kwargs: Any
) -> None:
    """Assert that a model can learn 32 rows by heart.

    A network is tried by the training probe (K701), and its weights stay as they are. An
    estimator of scikit-learn is copied, fitted to 32 rows, and asked for its own score on them.

    Parameters
    ----------
    model : object
        A compiled network before its training, or an estimator; `fit_kwargs` as `fit` takes them.
    X, y
        Training rows and their target.
    at_least : float
        The score, accuracy or explained variance, that an estimator must reach.

    Raises
    ------
    AssertionError
        If it cannot.
    """
    known = families.view_model(model, X)
    if known.framework != "sklearn":
        settings = families.settings("model", None, ("K701",), (), {})
        _conclude("K701", families.examine_model(model, X, y, fit_kwargs, settings))
        return
    from sklearn.base import clone

    from pytest_kepler.adapters.views import rows_at

    n = X.shape[0] if hasattr(X, "shape") else len(X)
    chosen = np.sort(np.random.default_rng(0).choice(n, min(n, _BATCH), replace=False))
    some, target = rows_at(X, chosen), rows_at(y, chosen)
    score = float(clone(model).fit(some, target, **fit_kwargs).score(some, target))
    if score < at_least:
        msg = (
            f"{type(model).__name__} fitted to {len(chosen)} rows scores {score:.3g} on these very "
            f"rows; {at_least:g} was asked for: it is too simple, or rows and target do not belong."
        )
        raise AssertionError(msg)


def _assert_behaviour(code: str, model: Any, X: Any, y: Any = None, **given: Any) -> None:
    __tracebackhide__ = True
    limits = {code: {"tol": given.pop("tol")}} if "tol" in given else {}
    settings = families.settings("behaviour", None, (code,), (), limits)
    _conclude(code, families.examine_behaviour(model, X, y, settings, **given))


def _conclude(code: str, outcome: Outcome) -> None:
    __tracebackhide__ = True
    if code in outcome.not_applicable:
        crashed = report(outcome.findings)
        why = outcome.not_applicable[code]
        msg = f"{code} could not be judged: {why}.{f' {crashed}' if crashed else ''}"
        raise KeplerUsageError(msg)
    if outcome.findings:
        raise AssertionError(report(outcome.findings))
