"""From what a user holds to the outcome of a family of checks."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler import adapters
from pytest_kepler.adapters import views
from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks import codes
from pytest_kepler.checks.config import CheckConfig
from pytest_kepler.checks.expectations import require_one_number
from pytest_kepler.checks.running import Outcome, run_family
from pytest_kepler.errors import KeplerUsageError, nearest
from pytest_kepler.records import EMPTY, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pytest_kepler.adapters.views import Array, DataView, Expectation, ModelView, Procedure
    from pytest_kepler.checks.codes import Family

#: Rows that a trained model is asked about.
BEHAVIOUR_ROWS: Final = 2_000
#: Of these, the rows that it is asked about in another order, and a few at a time.
ASKED_ROWS: Final = 128
#: A network is asked about no more rows than fit its view's batch.
_ASKED_AT_ONCE: Final = views.BATCH_ROWS
#: How the reason begins where a model raised an error.
_REFUSAL: Final = "the model's "
#: Of an error of a model's.
_MOST_SAID: Final = 200
_CROSSENTROPIES: Final = {"binary", "categorical", "sparse"}
_PAIR: Final = 2
#: What is looked at before each fit: no groups or times are known there, and K106 takes long.
_AT_FIT: Final = ("K103", "K104", "K105", "K109", "K110", "K111", "K116", "K117", "K601")
#: The same where the fit cuts off its last rows: both parts were prepared as one.
_AT_CUT: Final = ("K103", "K105", "K109", "K111")


def settings(
    family: Family,
    config: CheckConfig | None,
    select: Iterable[str],
    ignore: Iterable[str],
    limits: Mapping[str, Any],
) -> CheckConfig:
    """Return the settings of one call: the configuration with what the call asks for on top."""
    base = config or CheckConfig()
    return base.narrowed(select=select, ignore=ignore, limits=limits, family=family)


def examine_data(
    X: Any,
    y: Any,
    model: Any,
    config: CheckConfig,
    extras: Mapping[str, Any] = EMPTY,
) -> Outcome:
    """Run the checks of data."""
    known = None if model is None else view_model(model, X)
    return run_family("data", _read(X, y, config, known, extras), config)


def examine_split(  # noqa: PLR0913, PLR0917 - what the public function was given
    X_train: Any,
    X_test: Any,
    y_train: Any,
    y_test: Any,
    groups: Any,
    time: Any,
    config: CheckConfig,
) -> Outcome:
    """Run the checks of a split, and those of misaligned rows on either side."""
    view = views.SplitView(
        _read(X_train, y_train, config),
        _read(X_test, y_test, config),
        _of_rows(groups, X_train, X_test, "groups"),
        _of_rows(time, X_train, X_test, "time"),
    )
    return run_family("split", view, config)


def examine_validation(
    X: Any, y: Any, fit_kwargs: Mapping[str, Any], model: Any, config: CheckConfig
) -> Outcome:
    """Run the checks of a split on what a fit trains on and what it validates on.

    That is ``validation_data``, or the last rows, which ``validation_split`` cuts off.
    """
    parts = _validation_parts(X, y, fit_kwargs)
    if parts is None:
        return Outcome()
    known = view_model(model, X)
    train, test = (_read(features, target, config, known) for features, target in parts)
    view = views.SplitView(train, test)
    chosen = _AT_CUT if fit_kwargs.get("validation_data") is None else _AT_FIT
    selected = [code for code in chosen if config.is_selected(code)]
    return run_family("split", view, config.narrowed(select=selected)) if selected else Outcome()


def _validation_parts(X: Any, y: Any, fit_kwargs: Mapping[str, Any]) -> Any:
    """Return ((X, y) to train on, (X, y) to validate on); None where nothing is held out."""
    given = fit_kwargs.get("validation_data")
    if given is not None:
        is_pair = isinstance(given, tuple | list) and len(given) >= _PAIR
        return (X, y), (given[0], given[1]) if is_pair else (given, None)
    share = fit_kwargs.get("validation_split")
    if not isinstance(share, float) or not 0 < share < 1 or views.is_dataset(X):
        return None
    blocks = views.read_data(X).blocks
    at = int(blocks[0].n_rows * (1 - share)) if blocks else 0
    if not at:
        return None
    try:
        (X_train, X_test), (y_train, y_test) = views.cut_rows(X, at), views.cut_rows(y, at)
    except TypeError:  # what has no rows cannot be cut: the fit will say so
        return None
    return (X_train, y_train), (X_test, y_test)


def examine_model(  # noqa: PLR0913 - what the public function was given
    model: Any,
    X: Any,
    y: Any,
    fit_kwargs: Mapping[str, Any],
    config: CheckConfig,
    *,
    has_errors: bool = False,
    waived: Collection[str] = (),
) -> Outcome:
    """Run the checks of a model that is about to be trained.

    `has_errors` tells that its data has errors, which a few training steps would only repeat;
    those of the `waived` codes do not keep the training probe from running.
    """
    known = view_model(model, X, y, fit_kwargs)
    batch_size = fit_kwargs.get("batch_size", getattr(X, "batch_size", None))
    view = views.FitView(
        known,
        _read(X, y, config, known),
        batch_size if isinstance(batch_size, int) else None,
        fit_kwargs,
        X,
        y,
        config.probe_parameters,
    )
    return run_family("model", view, config, has_errors=has_errors, exempt=waived)


def examine_training(history: Any, y: Any, config: CheckConfig) -> Outcome:
    """Run the checks of a training's curves.

    Raises
    ------
    KeplerUsageError
        If `history` holds no curves.
    """
    try:
        view = views.read_history(history, y)
    except NotApplicable as reason:
        msg = f"training needs a Keras History or a mapping of lists: {reason}."
        raise KeplerUsageError(msg) from None
    return run_family("training", view, config)


def examine_behaviour(  # noqa: PLR0913 - what the public function was given
    model: Any,
    X: Any,
    y: Any,
    config: CheckConfig,
    *,
    expectations: Sequence[Expectation] = (),
    procedure: Procedure | None = None,
    train: Callable[[], Any] | None = None,
) -> Outcome:
    """Run the checks of a trained model's answers on held-out rows.

    Raises
    ------
    KeplerUsageError
        If an expectation of rising or falling answers is made of a model that gives several.
    """
    rows = X if views.is_dataset(X) else views.take_rows(X, BEHAVIOUR_ROWS)
    target = y if y is None else views.take_rows(y, BEHAVIOUR_ROWS)
    known = view_model(model, rows)
    data = _read(rows, target, config, known)
    if any(expectation.kind != "invariant" for expectation in expectations):
        require_one_number(answer_of(model, views.take_rows(rows, _PAIR)))
    predict, predict_proba = _answers(known, rows)
    n_asked = min(ASKED_ROWS, data.blocks[0].n_rows) if data.blocks else 0
    answers = None if views.is_dataset(rows) else _answers_for(known, rows)
    view = views.BehaviourView(
        known,
        data,
        predict,
        predict_proba,
        answers,
        n_asked,
        rows,
        lambda some: answer_of(model, some),
        expectations,
        procedure,
        None if train is None else lambda: answer_of(train(), rows),
    )
    return _with_refusal(run_family("behaviour", view, config))


def _with_refusal(outcome: Outcome) -> Outcome:
    """Return what was found, and say once why a model could not be asked: silence would pass."""
    reasons = dict.fromkeys(outcome.not_applicable.values())
    refusal = next((one for one in reasons if one.startswith(_REFUSAL)), None)
    if refusal is None:
        return outcome
    told = Finding(
        code=codes.GENERAL,
        name="model-not-asked",
        severity="note",
        message=f"{refusal[0].upper()}{refusal[1:]}.",
        location="model",
        fix="Fit the model first, and hand over rows that it can answer.",
        basis="batch",
    )
    return replace(outcome, findings=[*outcome.findings, told])


def answer_of(model: Any, rows: Any) -> Array:
    """Return what a model answers for any rows: probabilities where it gives them."""
    answers = _answers_for(view_model(model, rows), rows)
    n = rows.shape[0] if hasattr(rows, "shape") else len(rows)
    starts = range(0, n, _ASKED_AT_ONCE)
    return np.concatenate([answers(np.arange(at, min(at + _ASKED_AT_ONCE, n))) for at in starts])


def view_model(
    model: Any, X: Any, y: Any = None, fit_kwargs: Mapping[str, Any] = EMPTY
) -> ModelView:
    """Return the view of a model, by the library that it is from; a view is returned as it is.

    Parameters
    ----------
    X, y, fit_kwargs
        What the model is about to be trained with. A torch module knows neither its loss nor its
        optimizer: they are arguments.
    """
    from pytest_kepler.adapters.keras import view as keras_view
    from pytest_kepler.adapters.sklearn import view as sklearn_view
    from pytest_kepler.adapters.torch import view as torch_view

    if isinstance(model, views.ModelView):
        return model
    registered = adapters.view_of(model, X, y, fit_kwargs)
    if registered is not None:
        return registered
    if keras_view.matches(model):
        return keras_view.view(model, X)
    if torch_view.matches(model):
        return torch_view.view(model, X, y, fit_kwargs)
    if sklearn_view.matches(model):
        return sklearn_view.view(model)
    return views.ModelView("other", model, type(model).__name__)


def model_key(model: Any) -> tuple[Any, ...]:
    """Return what of a model the findings about its data depend on."""
    from pytest_kepler.checks.predicates import kind_of_model

    return kind_of_model(view_model(model, None))


def _read(
    X: Any,
    y: Any,
    config: CheckConfig,
    model: ModelView | None = None,
    extras: Mapping[str, Any] = EMPTY,
) -> DataView:
    return views.read_data(X, y, model=model, sample_rows=config.sample_rows, extras=extras)


def _of_rows(given: Any, X_train: Any, X_test: Any, name: str) -> tuple[Array, Array] | None:
    """Return the groups or times of both splits.

    Raises
    ------
    KeplerUsageError
        If a column is not there, or `given` is neither a name nor a pair.
    """
    if given is None:
        return None
    if isinstance(given, str):
        return _column(X_train, given, name), _column(X_test, given, name)
    if isinstance(given, Sequence) and len(given) == _PAIR:
        return _values(given[0]), _values(given[1])
    msg = f"{name} must be a pair (train, test) of arrays, or the name of a column, got {given!r}."
    raise KeplerUsageError(msg)


def _column(X: Any, column: str, name: str) -> Array:
    if not views.is_frame(X):
        raise KeplerUsageError(f"{name}={column!r} names a column, but X is not a table.")
    if column not in X.columns:
        hint = nearest(column, [str(label) for label in X.columns])
        raise KeplerUsageError(f"{name}: there is no column {column!r}: {hint}")
    return np.asarray(X[column])


def _values(part: Any) -> Array:
    return np.asarray(part)


def _answers(known: ModelView, X: Any) -> tuple[Callable[[], Array], Callable[[], Array] | None]:
    """Return the functions that ask a model for its predictions and its probabilities."""
    if known.is_network:
        turns = itertools.count()
        return lambda: _network_answer(known, next(turns)), _network_probabilities(known)
    model = known.model

    def predict() -> Array:
        return np.asarray(_ask(model, "predict", X))

    def predict_proba() -> Array:
        found = _ask(model, "predict_proba", X)
        if isinstance(found, list):
            raise NotApplicable("the model has several outputs")
        return np.asarray(found)

    return predict, predict_proba if hasattr(model, "predict_proba") else None


def _ask(model: Any, method: str, X: Any) -> Any:
    """Return what a model answers; where it fails that is its own affair, and no crash of ours."""
    try:
        return getattr(model, method)(X)
    except Exception as error:
        said = " ".join(str(error).split())[:_MOST_SAID]
        raise NotApplicable(f"{_REFUSAL}{method} raised {type(error).__name__}: {said}") from error


def _answers_for(known: ModelView, X: Any) -> Callable[[Array], Array]:
    """Return the function that asks a model about the rows at some positions."""

    def of_network(rows: Array) -> Array:
        return known.afresh(source=views.rows_at(X, rows)).batch_outputs[0]

    def of_estimator(rows: Array) -> Array:
        part = views.rows_at(X, rows)
        if hasattr(known.model, "predict_proba"):
            probabilities = _ask(known.model, "predict_proba", part)
            if not isinstance(probabilities, list):
                return np.asarray(probabilities)
        return np.asarray(_ask(known.model, "predict", part))

    return of_network if known.is_network else of_estimator


def _network_answer(known: ModelView, turn: int = 0) -> Array:
    # A view of its own each time: it remembers the outputs of its batch. Other seeds each
    # time, or random layers would answer twice the same.
    found = known.afresh(seed_shift=turn).batch_outputs
    if len(found) != 1:
        raise NotApplicable("the model has several outputs")
    return found[0]


def _network_probabilities(known: ModelView) -> Callable[[], Array] | None:
    try:
        output = known.outputs[0]
    except NotApplicable:
        return None
    loss = output.loss
    is_declared = loss is not None and loss.kind in _CROSSENTROPIES and not loss.from_logits
    if output.activation in {"softmax", "sigmoid"} or is_declared:
        return lambda: _network_answer(known)
    return None
