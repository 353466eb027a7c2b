"""K424 monitor-missing: a callback that watches what is never measured, or in the wrong direction.

What it looks at
    What EarlyStopping, ReduceLROnPlateau and ModelCheckpoint(save_best_only=True) monitor, against
    the metrics of the model and whether the fit validates; whether XGBoost's
    early_stopping_rounds has an eval_set.
Why it matters
    Keras only warns in the log: the training never stops early, and no checkpoint is written.
What it cannot see
    What callbacks of the user's own add to the logs.
Source
    https://keras.io/api/callbacks/early_stopping/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.estimators import of_xgboost
from pytest_kepler.checks.predicates import callbacks_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K424"]
_WATCHERS = {"EarlyStopping", "ModelCheckpoint", "ReduceLROnPlateau"}
_MORE_IS_BETTER = ("acc", "auc", "f1", "precision", "recall")


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each callback that watches in vain."""
    del limits
    stopping = [one for one in of_xgboost(fit) if getattr(one, "early_stopping_rounds", None)]
    if stopping and not fit.fit_kwargs.get("eval_set"):
        yield _without_eval_set(stopping[0], fit)
        return
    callbacks = callbacks_of(fit)
    watchers = [one for one in callbacks if _watches(one)]
    if not watchers:
        raise NotApplicable("no callback monitors a metric")
    if any(not type(one).__module__.startswith("keras.") for one in callbacks):
        raise NotApplicable("a callback of the user's own may add to the logs")
    validates = _validates(fit)
    for one in watchers:
        told = _judge(one, validates)
        if told:
            kind = type(one).__name__
            yield INFO.finding(
                f"{kind} {told}.",
                location=f"callback {kind}",
                measured={"monitor": one.monitor},
                threshold={"validates": validates},
                fix="Pass validation_data to fit, or monitor what is measured, in its direction.",
                basis="static",
            )


def _without_eval_set(estimator: Any, fit: FitView) -> Finding:
    if not fit.fit_kwargs and fit.model.model is not estimator:
        # A pipeline or search may hand it a set of its own making.
        raise NotApplicable("what a wrapper passes to fit is not known")
    name = type(estimator).__name__
    return INFO.finding(
        f"{name} stops early by a score, but the fit has no eval_set to measure it on.",
        location=f"early_stopping_rounds of {name}",
        measured={"eval_set": 0, "early_stopping_rounds": estimator.early_stopping_rounds},
        threshold={"eval_set": 1},
        fix="Pass eval_set=[(X_val, y_val)] to fit, or take early_stopping_rounds away.",
        basis="static",
    )


def _watches(callback: Any) -> bool:
    name = type(callback).__name__
    if name not in _WATCHERS or not isinstance(getattr(callback, "monitor", None), str):
        return False
    return name != "ModelCheckpoint" or bool(getattr(callback, "save_best_only", False))


def _judge(callback: Any, validates: bool) -> str:
    name = callback.monitor
    if name.startswith("val_") and not validates:
        return f"monitors {name!r}, but the fit has no validation data"
    mode = getattr(callback, "mode", "auto")
    is_loss = name.endswith("loss")
    if mode == "max" and is_loss:
        return f"takes the largest {name!r} for the best"
    is_score = any(word in name.removeprefix("val_") for word in _MORE_IS_BETTER) and not is_loss
    if mode == "min" and is_score:
        return f"takes the smallest {name!r} for the best"
    return ""


def _validates(fit: FitView) -> bool:
    given = fit.fit_kwargs
    return given.get("validation_data") is not None or bool(given.get("validation_split"))
