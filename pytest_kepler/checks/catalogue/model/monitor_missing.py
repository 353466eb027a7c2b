"""K424 monitor-missing: a callback that watches what is never measured, or in the wrong direction.

What it looks at
    What EarlyStopping, ReduceLROnPlateau and ModelCheckpoint(save_best_only=True) monitor, against
    the metrics of the model and whether the fit validates.
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
