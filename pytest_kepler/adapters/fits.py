"""What a run has fitted so far, beside the rows that it evaluates; nothing is kept alive by it."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters import views
from pytest_kepler.adapters.views import DataView, NotApplicable, SplitView

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_kepler.adapters.views import Array

    Held = Callable[[], Any]

#: So many of the evaluated rows are looked for among those of a fit.
EVALUATED_ROWS: Final = 2_000
#: Bases of scikit-learn's estimators that choose something by the rows that they are fitted on.
_CHOOSERS: Final = {
    "BaseSearchCV",
    "CalibratedClassifierCV",
    "SelectorMixin",
    "TunedThresholdClassifierCV",
}
#: Selectors that never read the target.
_BLIND: Final = {"VarianceThreshold"}
#: Callbacks of Keras that choose by ``monitor``, by the names of their classes.
_MONITORS: Final = {"EarlyStopping", "ModelCheckpoint", "ReduceLROnPlateau"}
_PAIR: Final = 2


@dataclass(frozen=True)
class HeldOut:
    """Rows that a fit was given to validate on.

    Attributes
    ----------
    name : str
        The argument, as the user knows it.
    X : callable
        Returns the features, or None where they are gone.
    chosen_by : str
        What of the training was chosen by them: a callback, or an argument; empty if nothing.
    """

    name: str
    X: Held
    chosen_by: str = ""


@dataclass(frozen=True)
class PastFit:
    """One fit of a run.

    Attributes
    ----------
    model : callable
        Returns the fitted model, or None where it is gone.
    kind : str
        The model's class.
    X : callable
        Returns the features, or None where they are gone.
    learns_on : bool
        Whether a further fit carries on from this one, instead of forgetting it.
    has_target : bool
        Whether a target was learned that is not the input itself.
    choice : str
        The class of the part that chose something by the rows: a search, a calibrator, a tuner of
        thresholds, a selector of features; empty if there is none.
    held_out : sequence of HeldOut
        What it validated on.
    """

    model: Held
    kind: str
    X: Held
    learns_on: bool = False
    has_target: bool = True
    choice: str = ""
    held_out: Sequence[HeldOut] = ()


@dataclass(frozen=True)
class EvaluationView:
    """The rows of a run's main evaluation, beside the fits that the evaluated model rests on."""

    X: Any
    fits: Sequence[PastFit]
    #: By the id of a fit's features, which are kept here, or another could have the same.
    _splits: dict[int, tuple[Any, SplitView]] = field(default_factory=dict)

    def beside(self, X: Any) -> SplitView:
        """Return some rows of a fit as train, and the first evaluated rows as test.

        Raises
        ------
        NotApplicable
            If one of them is a stream, or cannot be read.
        """
        if any(views.is_dataset(one) or views.is_loader(one) for one in (X, self.X)):
            raise NotApplicable("a stream is not read for its rows")
        if id(X) not in self._splits:
            self._splits[id(X)] = (X, SplitView(views.read_data(X), self._evaluated))
        return self._splits[id(X)][1]

    @property
    def _evaluated(self) -> DataView:
        for _, known in self._splits.values():
            return known.test
        with views.quiet_failures("the evaluated rows cannot be read"):
            return views.read_data(views.take_rows(self.X, EVALUATED_ROWS))


def remember(
    model: Any, X: Any, y: Any, fit_kwargs: Mapping[str, Any], *, learns_on: bool
) -> PastFit:
    """Return what is to be known of a fit when something is evaluated.

    Nothing is read or copied here: arrays, tables and models are held weakly.

    Parameters
    ----------
    model : object
        The fitted model.
    X, y, fit_kwargs
        What it was fitted with.
    learns_on : bool
        As in `PastFit`.
    """
    return PastFit(
        hold(model),
        type(model).__name__,
        hold(X),
        learns_on,
        y is not None and not is_same(X, y),
        next((type(part).__name__ for part in _parts(model) if _chooses(part)), ""),
        tuple(_held_out(model, fit_kwargs)),
    )


def concerning(fits: Sequence[PastFit], model: Any) -> list[PastFit]:
    """Return the fits that a model rests on, in their order.

    Those are its own (of one that does not learn on, the latest), or the latest of its class where
    it was read back from a file; and what was chosen before. Of several choices of one class the
    latest counts: a loop over folds makes one in each.
    """
    parts = [model, *_parts(model)]
    own = {k: _owner(fit, parts) for k, fit in enumerate(fits)}
    chosen = {
        k
        for k, owner in own.items()
        if owner is not None
        and (fits[k].learns_on or not any(own[later] is owner for later in range(k + 1, len(fits))))
    }
    alike = [k for k, fit in enumerate(fits) if fit.kind == type(model).__name__]
    if not chosen and alike:
        chosen = {alike[-1]}
    last = max(chosen, default=len(fits))
    for k, fit in enumerate(fits[:last]):
        if fit.choice and all(later.kind != fit.kind for later in fits[k + 1 :]):
            chosen.add(k)
    return [fits[k] for k in sorted(chosen)]


def _owner(fit: PastFit, parts: Sequence[Any]) -> Any:
    """Return the model of a fit where it is among some parts, or holds one that it chose."""
    fitted = fit.model()
    if fitted is None:
        return None
    best = getattr(fitted, "best_estimator_", None)
    return fitted if any(part is fitted or (part is best) for part in parts) else None


def hold(value: Any) -> Held:
    """Return a function that gives a value, or None once it is gone.

    Of a mapping or list of arrays, the arrays are held. What cannot be held weakly, such as a list
    of texts, counts as gone.
    """
    if isinstance(value, Mapping):
        named = {key: hold(part) for key, part in value.items()}
        return lambda: _whole({key: part() for key, part in named.items()})
    if _is_several(value):
        parts = [hold(part) for part in value]
        return lambda: _whole([part() for part in parts])
    whole = getattr(value, "base", None)
    if type(value) is np.ndarray and type(whole) is np.ndarray and value.dtype.kind in "biuf":
        return _hold_slice(value, whole) if whole.flags.forc else weakref.ref(value)
    try:
        return weakref.ref(value)
    except TypeError:
        return _gone


def _hold_slice(part: Array, whole: Array) -> Held:
    """Hold the array that a slice was cut from: the slice itself may last no longer than a call."""
    itself, get = weakref.ref(part), weakref.ref(whole)
    shape, dtype, strides = part.shape, part.dtype, part.strides
    offset = part.__array_interface__["data"][0] - whole.__array_interface__["data"][0]

    def cut_again() -> Array | None:
        known, source = itself(), get()
        if known is not None:
            return known
        return None if source is None else np.ndarray(shape, dtype, source, offset, strides)

    return cut_again


def _gone() -> None:
    return None


def _whole(parts: Any) -> Any:
    values = parts.values() if isinstance(parts, dict) else parts
    return None if any(part is None for part in values) else parts


def is_same(left: Any, right: Any) -> bool:
    """Tell whether two values are one object, or hold the same arrays in the same places."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(is_same(left[k], right[k]) for k in left)
    if _is_several(left) and _is_several(right):
        return len(left) == len(right) and all(map(is_same, left, right))
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        # The same slice, cut twice.
        return bool(left.__array_interface__ == right.__array_interface__)
    return left is right


def _is_several(value: Any) -> bool:
    is_list = isinstance(value, list | tuple) and bool(value)
    return is_list and all(hasattr(part, "shape") for part in value)


def _parts(model: Any) -> list[Any]:
    """Return an estimator and those inside it; of anything else, itself."""
    try:
        params = model.get_params(deep=True)
    except Exception:  # noqa: BLE001 - an object of the user's own may answer in any way
        return [model]
    return [model, *(part for part in params.values() if hasattr(part, "fit"))]


def _chooses(part: Any) -> bool:
    names = _bases(part)
    return bool(names & _CHOOSERS) and not names & _BLIND


def _bases(part: Any) -> set[str]:
    return {base.__name__ for base in type(part).__mro__}


def _held_out(model: Any, fit_kwargs: Mapping[str, Any]) -> Iterator[HeldOut]:
    for given, value in fit_kwargs.items():
        name = given.rpartition("__")[2]  # model__eval_set is for the step "model"
        if name == "validation_data" and value is not None:
            is_pair = isinstance(value, tuple | list) and len(value) >= _PAIR
            X = value[0] if is_pair else value
            yield HeldOut(given, hold(X), _monitor(fit_kwargs.get("callbacks")))
        elif name == "eval_set" and isinstance(value, list) and value:
            by = _early_stopping(model, fit_kwargs)
            for k, pair in enumerate(value):
                if isinstance(pair, tuple | list) and len(pair) >= _PAIR:
                    # XGBoost stops by the last.
                    is_last = k == len(value) - 1
                    yield HeldOut(f"{given}[{k}]", hold(pair[0]), by if is_last else "")


def _monitor(callbacks: Any) -> str:
    """Return the callback of Keras that chooses by what is validated on; empty if none does."""
    callbacks = getattr(callbacks, "callbacks", callbacks)
    for one in callbacks if isinstance(callbacks, list | tuple) else [callbacks]:
        names = _bases(one) & _MONITORS
        if not names or "val" not in str(getattr(one, "monitor", "")):
            continue
        if "ModelCheckpoint" not in names or getattr(one, "save_best_only", False):
            return type(one).__name__
    return ""


def _early_stopping(model: Any, fit_kwargs: Mapping[str, Any]) -> str:
    """Return the argument by which XGBoost stops early; empty if it does not."""
    name = "early_stopping_rounds"
    asked = [fit_kwargs.get(name), *(getattr(part, name, None) for part in _parts(model))]
    if any(asked):
        return name
    given = [getattr(part, "callbacks", None) or () for part in _parts(model)]
    stops = any("EarlyStopping" in _bases(one) for group in given for one in group)
    return "EarlyStopping" if stops else ""
