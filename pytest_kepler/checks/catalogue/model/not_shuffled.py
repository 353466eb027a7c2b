"""K102 not-shuffled: minibatches of rows that are sorted by their label.

What it looks at
    How often neighbouring rows change their label, beside how often they would in a random
    order, where the fit keeps the order: ``shuffle=False``, or ``validation_split``, which
    cuts off the last rows before any shuffling.
Why it matters
    A batch of one class pulls the weights to that class, and the next one back; a validation
    split of the last class says nothing of the others.
What it cannot see
    The order of what a generator yields.
Source
    https://keras.io/api/models/model_training_apis/#fit-method
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.adapters.views import NotApplicable, is_dataset
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import label_changes, listed, require_classification

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K102"]
_MIN_ROWS = 50
_ENDS = 5
#: Estimators that shuffle between epochs unless told otherwise.
_SHUFFLING: Final = {
    "MLPClassifier",
    "PassiveAggressiveClassifier",
    "Perceptron",
    "SGDClassifier",
}


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if the order of the rows will be felt, and follows the label."""
    data = fit.data
    data.require_aligned()
    keeps_order, cuts_off = _keeps_order(fit), _cuts_off(fit)
    if not keeps_order and not cuts_off:
        raise NotApplicable("the fit shuffles the rows")
    if data.ordered:
        raise NotApplicable("the rows are ordered by time")
    task = require_classification(data.labelled)
    target = data.labelled.target
    if target.n_rows < _MIN_ROWS:
        raise NotApplicable(f"there are fewer than {_MIN_ROWS} rows")
    ratio = label_changes(target)
    if ratio >= limits["change-ratio"]:
        return
    first, last = (listed(part.tolist()) for part in (target.flat[:_ENDS], target.flat[-_ENDS:]))
    yield INFO.finding(
        "The rows are sorted by their label, and "
        + ("the fit does not shuffle them." if keeps_order else "the last ones are held out."),
        severity="error" if keeps_order and not task.is_inferred else "warning",
        location=f"y: first {first}; last {last}",
        measured={"change-ratio": ratio, "n": target.n_rows},
        threshold={"change-ratio": limits["change-ratio"]},
        fix="Shuffle the rows before the fit"
        + (", or fit with shuffle=True." if keeps_order else ", or give validation_data."),
        is_inferred=task.is_inferred,
    )


def _keeps_order(fit: FitView) -> bool:
    """Tell whether an epoch goes through several batches in the order of the rows."""
    if fit.model.is_network:
        is_off = fit.fit_kwargs.get("shuffle", True) is False or _reads_in_order(fit.source)
        return is_off and not is_dataset(fit.source) and _n_batches(fit) > 1
    return any(
        type(estimator).__name__ in _SHUFFLING and getattr(estimator, "shuffle", True) is False
        for estimator in fit.model.estimators
    )


def _n_batches(fit: FitView) -> int:
    n_rows = fit.data.blocks[0].n_rows
    return -(-n_rows // (fit.batch_size or fit.model.default_batch_size or n_rows or 1))


def _reads_in_order(source: Any) -> bool:
    """Tell whether a loader of torch goes through the rows as they are, as it does by default."""
    return type(getattr(source, "sampler", None)).__name__ == "SequentialSampler"


def _cuts_off(fit: FitView) -> bool:
    if fit.model.framework != "keras" or fit.fit_kwargs.get("validation_data") is not None:
        return False
    return bool(fit.fit_kwargs.get("validation_split"))
