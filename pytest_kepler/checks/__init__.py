"""The catalogue of checks as plain functions.

Each returns a list of `Finding`, errors first. What a check could not judge is left out here;
the journal keeps it with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_kepler.checks.codes import check_table, explain
from pytest_kepler.records import EMPTY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytest_kepler.checks.config import CheckConfig
    from pytest_kepler.records import Finding

__all__ = ["behaviour", "check_table", "data", "explain", "model", "split", "training"]


def data(  # noqa: PLR0913 - a public function; all but the data are keywords
    X: Any,
    y: Any = None,
    *,
    model: Any = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    config: CheckConfig | None = None,
    **limits: Any,
) -> list[Finding]:
    """Check features and target for what no model should be trained on.

    Parameters
    ----------
    X : array, table, sparse matrix, list, mapping of those, or `tf.data.Dataset`
        One row a sample. Nothing is changed, and nothing that can be read once is consumed.
    y : array-like, optional
        The target, one value or one row a sample.
    model : object, optional
        The model that the data is meant for. It decides whether missing values are a fault.
    sample_weight, class_weight : optional
        What `fit` will be given besides.
    select, ignore : iterable of str
        Codes, or prefixes of codes.
    config : CheckConfig, optional
        Settings, as ``pytest_kepler.checks.config.load`` reads them.
    **limits
        Limits by name, ``min_r=0.99``, or by code, ``K301={"min_r": 0.99}``.

    Returns
    -------
    list of Finding
        Errors first; empty if nothing was found.

    Raises
    ------
    KeplerUsageError
        If a code or a limit is unknown, or `X` has no rows.
    """
    from pytest_kepler.checks import families
    from pytest_kepler.checks.given import require_rows

    settings = families.settings("data", config, select, ignore, limits)
    require_rows(X, "data")
    given = {"sample_weight": sample_weight, "class_weight": class_weight}
    extras = {name: value for name, value in given.items() if value is not None}
    return families.examine_data(X, y, model, settings, extras).findings


def split(  # noqa: PLR0913 - a public function; all but the data are keywords
    X_train: Any,
    X_test: Any,
    y_train: Any = None,
    y_test: Any = None,
    *,
    groups: Sequence[Any] | str | None = None,
    time: Sequence[Any] | str | None = None,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    config: CheckConfig | None = None,
    **limits: Any,
) -> list[Finding]:
    """Check a train and a test split for leakage and for being made in different ways.

    Parameters
    ----------
    X_train, X_test, y_train, y_test
        As `sklearn.model_selection.train_test_split` returns them.
    groups, time : pair of arrays (train, test), or str, optional
        What rows belong together, and when each was taken: the values of both splits, or the
        name of a column that both have.
    select, ignore, config, **limits
        As in `data`.

    Returns
    -------
    list of Finding
        Errors first; empty if nothing was found.

    Raises
    ------
    KeplerUsageError
        If a code, a limit or a column is unknown, or either side has no rows.
    """
    from pytest_kepler.checks import families, given

    settings = families.settings("split", config, select, ignore, limits)
    given.require_rows(X_train, "split", "X_train")
    given.require_rows(X_test, "split", "X_test")
    both = (X_train, X_test, y_train, y_test)
    return families.examine_split(*both, groups, time, settings).findings


def model(  # noqa: PLR0913 - a public function; all but the data are keywords
    model: Any,
    X: Any,
    y: Any = None,
    batch_size: int | None = None,
    *,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    config: CheckConfig | None = None,
    limits: dict[str, Any] | None = None,
    **fit_kwargs: Any,
) -> list[Finding]:
    """Check a model against the data that it is about to be trained on.

    Parameters
    ----------
    model : object
        A scikit-learn estimator or pipeline, an XGBoost estimator, a compiled Keras 3 model, or
        a torch module. Its weights and every random state are the same afterwards.
    X, y
        What `fit` will be given.
    batch_size : int, optional
        What `fit` will be given.
    select, ignore, config
        As in `data`.
    limits : dict, optional
        As the keywords of `data`; here keywords belong to `fit`.
    **fit_kwargs
        Further arguments that `fit` will be given. A torch module is told its ``loss``, its
        ``optimizer`` (or a list of them), ``shuffle=False`` where the loop keeps the order of the
        rows, and ``clip_norm`` where it clips gradients.

    Returns
    -------
    list of Finding
        Errors first; empty if nothing was found.

    Raises
    ------
    KeplerUsageError
        If a code or a limit is unknown, `X` has no rows, or `model` is no model.
    """
    from pytest_kepler.checks import families, given

    settings = families.settings("model", config, select, ignore, limits or {})
    given.require_model(families.view_model(model, X, y, fit_kwargs), "model", "fit")
    given.require_rows(X, "model")
    if batch_size is not None:
        fit_kwargs["batch_size"] = batch_size
    return families.examine_model(model, X, y, fit_kwargs, settings).findings


def training(
    history: Any,
    y: Any = None,
    *,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    config: CheckConfig | None = None,
    **limits: Any,
) -> list[Finding]:
    """Check the curves of a training.

    Parameters
    ----------
    history : object
        A Keras `History`, a mapping of lists, or a list of one mapping an epoch.
    y : array-like, optional
        The target that was trained on; some checks compare with what guessing would reach.
    select, ignore, config, **limits
        As in `data`.

    Returns
    -------
    list of Finding
        Errors first; empty if nothing was found.

    Raises
    ------
    KeplerUsageError
        If a code or a limit is unknown, or `history` holds no curves, or not an epoch.
    """
    from pytest_kepler.checks import families, given

    settings = families.settings("training", config, select, ignore, limits)
    given.require_curves(history, "training")
    return families.examine_training(history, y, settings).findings


def behaviour(  # noqa: PLR0913 - a public function; all but the data are keywords
    model: Any,
    X: Any,
    y: Any = None,
    *,
    X_train: Any = None,
    y_train: Any = None,
    invariant_to: Any = (),
    monotone: Mapping[Any, str] = EMPTY,
    procedure: Callable[[Any, Any], float] | None = None,
    chance: float | None = None,
    train: Callable[[], Any] | None = None,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    config: CheckConfig | None = None,
    **limits: Any,
) -> list[Finding]:
    """Check what a trained model answers for held-out rows.

    Parameters
    ----------
    model : object
        A fitted scikit-learn estimator, a trained Keras model, or any object with `predict`.
    X, y
        Held-out rows and their target.
    X_train, y_train : optional
        The rows that the model was trained on, and their target: what the held-out rows are
        compared with (K513), and what a linear model learns from (K703). A dataset or loader has
        its target within.
    invariant_to : name, list of names, or mapping of names to changes, optional
        Columns that must not change the answer. In a mapping, a change is a function of a value,
        or a mapping of values to others; without one, a column takes the values of other rows.
    monotone : mapping of names to "increasing" or "decreasing", optional
        Columns with which the answer may only rise, or only fall: of a classifier of two classes
        the probability of the second.
    procedure : callable, optional
        ``procedure(X, y) -> score`` splits, prepares, trains and scores; the higher the better.
        It is called with shuffled targets, from which nothing can be learned.
    chance : float, optional
        The procedure's score of guessing; else the share of the commonest class, or 0.
    train : callable, optional
        ``train() -> model``, seeded by itself, is called twice, and both must answer the same.
    select, ignore, config, **limits
        As in `data`.

    Returns
    -------
    list of Finding
        Errors first; empty if nothing was found.

    Raises
    ------
    KeplerUsageError
        If a code, a limit or a column is unknown, an expectation cannot be tried on the model,
        `model` is no model, `X` has no rows, or `y` or what was trained on is missing or shorter
        than what it belongs to.
    """
    from pytest_kepler.adapters.views import Procedure
    from pytest_kepler.checks import families, given
    from pytest_kepler.checks.expectations import read_expectations

    settings = families.settings("behaviour", config, select, ignore, limits)
    # A procedure and a training bring models of their own.
    if model is not None or (procedure is None and train is None):
        given.require_model(families.view_model(model, X), "behaviour", "predict")
    given.require_rows(X, "behaviour")
    given.require_equal_lengths(X, y, "behaviour")
    expectations = read_expectations(X, invariant_to, monotone)
    tried = None if procedure is None else Procedure(procedure, X, y, chance)
    return families.examine_behaviour(
        model,
        X,
        y,
        settings,
        trained_on=(X_train, y_train),
        expectations=expectations,
        procedure=tried,
        train=train,
    ).findings
