"""From what a user holds to the outcome of a family of checks."""

from __future__ import annotations

import contextlib
import itertools
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler import adapters
from pytest_kepler.adapters import reloading, views
from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks import codes
from pytest_kepler.checks.config import CheckConfig
from pytest_kepler.checks.expectations import require_one_number
from pytest_kepler.checks.running import Outcome, run_family
from pytest_kepler.errors import KeplerUsageError, nearest
from pytest_kepler.records import EMPTY, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pytest_kepler.adapters.fits import EvaluationView
    from pytest_kepler.adapters.views import (
        Array,
        DataView,
        Expectation,
        ModelView,
        Procedure,
        SplitView,
    )
    from pytest_kepler.checks.codes import Family

#: Rows that a trained model is asked about.
BEHAVIOUR_ROWS: Final = 2_000
#: Rows that it was trained on that are looked at.
TRAIN_ROWS: Final = 5_000
#: Of the held-out rows, those that it is asked about in another order, and a few at a time.
ASKED_ROWS: Final = 128
#: A network is asked about no more rows than fit its view's batch.
_ASKED_AT_ONCE: Final = views.BATCH_ROWS
#: How long a network may take to answer for rows.
_SECONDS: Final = 20
#: How the reason begins where a model raised an error.
_REFUSED: Final = re.compile(rf"the model's \w+ raised |{views.CANNOT_BE_CALLED}: ")
#: Of an error of a model's.
_MOST_SAID: Final = 200
_CROSSENTROPIES: Final = {"binary", "categorical", "sparse"}
_PAIR: Final = 2
#: What is looked at before each fit: no groups or times are known there, and K106 takes long.
_AT_FIT: Final = ("K103", "K104", "K105", "K109", "K110", "K111", "K116", "K117", "K601")
#: The same where the fit cuts off its last rows: both parts were prepared as one.
_AT_CUT: Final = ("K103", "K105", "K109", "K111")
#: Whether rows and target belong together: asked of whatever has both.
_PAIRING: Final = "K115"
#: The check that tries what a user expects.
_EXPECTED: Final = "K713"


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
    return Outcome.joined([_pairing(view, config), run_family("split", view, config)])


def examine_rows(X: Any, y: Any, config: CheckConfig) -> Outcome:
    """Check that rows and their target belong together, and nothing else of them."""
    if not config.is_selected(_PAIRING):
        return Outcome()
    return run_family("data", _read(X, y, config), config.narrowed(select=_PAIRING))


def _pairing(split: SplitView, config: CheckConfig) -> Outcome:
    """Check on either side of a split that rows and their target belong together."""
    if not config.is_selected(_PAIRING):
        return Outcome()
    narrowed = config.narrowed(select=_PAIRING)
    sides = [
        (side, run_family("data", data, narrowed))
        for side, data in (("train", split.train), ("test", split.test))
    ]
    found = [
        replace(one, location=f"{side}, {one.location}")
        for side, outcome in sides
        for one in outcome.findings
    ]
    # A side without a target has no say where the other one has passed.
    passed = [] if found else sides[0][1].passed or sides[1][1].passed
    lacking = {} if found or passed else sides[0][1].not_applicable
    return Outcome(found, list(passed), dict(lacking))


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
    is_seeded: bool = False,
) -> Outcome:
    """Run the checks of a model that is about to be trained.

    `has_errors` tells that its data has errors, which a few training steps would only repeat;
    those of the `waived` codes do not keep the training probe from running. `is_seeded` tells
    that NumPy was seeded for this fit.
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
        is_seeded,
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


def examine_evaluation(view: EvaluationView, config: CheckConfig) -> Outcome:
    """Run the checks of what is evaluated, beside what was fitted before."""
    return run_family("evaluation", view, config)


def examine_behaviour(  # noqa: PLR0913 - what the public function was given
    model: Any,
    X: Any,
    y: Any,
    config: CheckConfig,
    *,
    trained_on: tuple[Any, Any] = (None, None),
    expectations: Sequence[Expectation] = (),
    procedure: Procedure | None = None,
    train: Callable[[], Any] | None = None,
) -> Outcome:
    """Run the checks of a trained model's answers on held-out rows.

    Raises
    ------
    KeplerUsageError
        If an expectation of rising or falling answers is made of a model that gives several, or
        of what it was `trained_on`, (X, y), one is missing or shorter than the other, or a loader
        gives something else than rows and a target.
    """
    if views.is_loader(X):
        X, y = _rows_of_loader(model, X, config)
    rows = X if views.is_dataset(X) else views.take_rows(X, BEHAVIOUR_ROWS)
    target = y if y is None else views.take_rows(y, BEHAVIOUR_ROWS)
    known = view_model(model, rows)
    data = _read(rows, target, config, known)
    if any(expectation.kind != "invariant" for expectation in expectations):
        with contextlib.suppress(NotApplicable):  # a model that does not answer is told of below
            require_one_number(answer_of(model, views.take_rows(rows, _PAIR)))
    predict, predict_proba = _answers(known, rows)
    n_asked = min(ASKED_ROWS, data.blocks[0].n_rows) if data.blocks else 0
    is_dataset = views.is_dataset(rows)
    answers = None if is_dataset else _answers_for(known, rows)
    train_rows, train_data = _trained_on(trained_on, config, known)
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
        None if is_dataset else lambda some: _predictions_for(known, some),
        train_rows,
        train_data,
        None if is_dataset else lambda: _reloaded_answers(known, rows, config.probe_parameters),
    )
    outcome = run_family("behaviour", view, config)
    if not any(codes.GENERAL.startswith(prefix) for prefix in config.ignore):
        outcome = _with_refusals(outcome)
    return _with_untried(outcome, expectations) if expectations else outcome


def _rows_of_loader(model: Any, loader: Any, config: CheckConfig) -> tuple[Any, Any]:
    """Return the rows and the target that a loader holds: a model is asked about single rows."""
    data = _read(loader, None, config, view_model(model, loader))
    if data.unreadable or len(data.blocks) != 1 or len(data.targets) != 1:
        why = data.unreadable or "it gives several arrays, or no target"
        msg = f"behaviour asks about single rows, and cannot take them from the loader: {why}. "
        raise KeplerUsageError(msg + "Hand over the rows and their target as arrays.")
    return data.blocks[0].source, data.targets[0].values


def _trained_on(
    given: tuple[Any, Any], config: CheckConfig, model: ModelView
) -> tuple[Any, DataView | None]:
    """Return up to 5,000 of the rows that a model was trained on, as they are and as read.

    Raises
    ------
    KeplerUsageError
        If the rows or their target are missing, or one is shorter than the other.
    """
    X, y = given
    if X is None and y is None:
        return None, None
    if views.is_dataset(X) or views.is_loader(X):
        return _read_out(_read(X, None, config, model), config)
    if X is None or y is None:
        there, missing = ("y_train", "X_train") if X is None else ("X_train", "y_train")
        msg = f"behaviour got {there} without {missing}: rows and their target belong together."
        raise KeplerUsageError(msg)
    data = _read(X, y, config, model)
    if len(set(data.lengths.values())) > 1:
        lengths = ", ".join(f"{name}_train has {n:,}" for name, n in data.lengths.items())
        raise KeplerUsageError(f"X_train and y_train need one row each: {lengths}.")
    return _sampled(X, y, data, config)


def _read_out(data: DataView, config: CheckConfig) -> tuple[Any, DataView]:
    """Return the rows that a dataset or loader holds, where these are one array."""
    if data.unreadable or len(data.blocks) != 1 or len(data.targets) != 1:
        why = data.unreadable or "the training rows are several arrays, or have no target"
        return None, views.DataView((), unreadable=why)
    return _sampled(data.blocks[0].source, data.targets[0].values, data, config)


def _sampled(X: Any, y: Any, data: DataView, config: CheckConfig) -> tuple[Any, DataView]:
    if data.unreadable or data.blocks[0].n_rows <= TRAIN_ROWS:
        return X, data
    some = np.random.default_rng(0).choice(data.blocks[0].n_rows, TRAIN_ROWS, replace=False)
    X, y = (views.rows_at(part, np.sort(some)) for part in (X, y))
    return X, _read(X, y, config, data.model)


def _with_refusals(outcome: Outcome) -> Outcome:
    """Return what was found, and why a model could not be asked: silence would pass."""
    refusals: dict[str, str] = {}
    for reason in outcome.not_applicable.values():
        refused = _REFUSED.match(reason)
        if refused is not None:
            # Its methods fail in the same way: that is told once.
            refusals.setdefault(reason[refused.end() :], reason)
    told = [
        Finding(
            code=codes.GENERAL,
            name="model-not-asked",
            severity="error",
            message=f"{reason[0].upper()}{reason[1:].rstrip('.')}.",
            location="model",
            fix="Fit the model first, and hand over rows that it can answer.",
            basis="batch",
        )
        for reason in refusals.values()
    ]
    return Outcome.joined([outcome, Outcome(told)])


def _with_untried(outcome: Outcome, expectations: Sequence[Expectation]) -> Outcome:
    """Return what was found, and an error where expectations were never tried, and why.

    What else is an error stops the user anyway, and mostly is the reason.
    """
    reason = outcome.not_applicable.get(_EXPECTED)
    if reason is None or any(one.severity == "error" for one in outcome.findings):
        return outcome
    columns = ", ".join(dict.fromkeys(repr(one.label) for one in expectations))
    told = codes.CHECKS[_EXPECTED].finding(
        f"What is expected of column {columns} was never tried: {reason}.",
        location=f"column {columns}",
        fix="Give rows and expectations that can be tried, or leave the expectations out.",
        basis="batch",
    )
    return Outcome.joined([outcome, Outcome([told])])


def _predictions_for(known: ModelView, rows: Any) -> Array:
    """Return what a model predicts for any rows, of which a network sees a few at a time."""
    if not known.is_network:
        return np.asarray(_ask(known.model, "predict", rows))
    n, began = views.read_blocks(rows)[0].n_rows, time.monotonic()
    parts: list[Array] = []
    at = 0
    while at < n:
        if time.monotonic() - began > _SECONDS:
            raise NotApplicable(f"the model takes more than {_SECONDS} s to answer")
        some = np.arange(at, min(at + _ASKED_AT_ONCE, n))
        found = known.afresh(source=views.rows_at(rows, some)).batch_outputs
        if len(found) != 1 or not len(found[0]):
            raise NotApplicable("the model has several outputs, or none")
        parts.append(found[0])
        at += len(found[0])  # of wide rows, fewer are answered at once
    return np.concatenate(parts)


def _reloaded_answers(known: ModelView, rows: Any, max_parameters: int) -> Callable[[Array], Array]:
    """Return the function that asks a model about the rows after saving and loading it."""
    again = reloading.reloaded(known, max_parameters)
    asked = _answers_for(view_model(again, rows), rows)

    def answers(some: Array) -> Array:
        try:
            return asked(some)
        except NotApplicable as reason:
            # The model itself could answer: this one has lost something.
            said = str(reason).rstrip(".")
            raise reloading.CannotReload(f"loaded, it does not answer: {said}") from reason

    return answers


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
        found = _probabilities_of(model, X)
        if found is None:
            raise NotApplicable("the model gives no probabilities")
        if isinstance(found, list):
            raise NotApplicable("the model has several outputs")
        return np.asarray(found)

    return predict, predict_proba if hasattr(model, "predict_proba") else None


def _ask(model: Any, method: str, X: Any) -> Any:
    """Return what a model answers; where it fails that is its own affair, and no crash of ours."""
    if model is None:
        raise NotApplicable("there is no model")
    try:
        return getattr(model, method)(X)
    except Exception as error:
        said = " ".join(str(error).split())[:_MOST_SAID]
        why = f"the model's {method} raised {type(error).__name__}: {said}"
        raise NotApplicable(why) from error


def _probabilities_of(model: Any, X: Any) -> Any:
    """Return a model's probabilities, a list of several outputs'; None where it gives none."""
    if not hasattr(model, "predict_proba"):
        return None
    try:
        return _ask(model, "predict_proba", X)
    except NotApplicable as reason:
        if isinstance(reason.__cause__, NotImplementedError):  # a base class only names it
            return None
        raise


def _answers_for(known: ModelView, X: Any) -> Callable[[Array], Array]:
    """Return the function that asks a model about the rows at some positions."""

    def of_network(rows: Array) -> Array:
        return known.afresh(source=views.rows_at(X, rows)).batch_outputs[0]

    def of_estimator(rows: Array) -> Array:
        part = views.rows_at(X, rows)
        probabilities = _probabilities_of(known.model, part)
        if probabilities is not None and not isinstance(probabilities, list):
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
