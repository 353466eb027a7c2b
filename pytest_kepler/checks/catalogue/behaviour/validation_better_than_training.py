"""K513 validation-better-than-training: a model that does better on rows it has never seen.

What it looks at
    What the trained model predicts for the held-out rows and for 2,000 of the rows given as
    ``X_train=`` and ``y_train=``: the accuracy, and the log loss where there are probabilities;
    of numbers the squared error. Classes count on both sides as often as they are in the held-out
    rows. The accuracy is better by more than 0.02 and three standard errors, or the loss is less
    than half, by more than three standard errors too. At least 200 held-out rows are needed.
Why it matters
    Held-out rows are at best as easy as those that were learned. If they are easier, the two were
    not drawn or not prepared alike: training rows that are not scaled, or augmented still, labels
    that are wrong, or held-out rows that were picked, or copied from others.
What it cannot see
    Training curves, where dropout and running means make the validation better for no reason. Rows
    in the order of time, whose later part may well be easier.
Source
    https://keras.io/getting_started/faq/#why-is-my-training-loss-much-higher-than-my-testing-loss
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters import views
from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks import scores
from pytest_kepler.checks.codes import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import Array, BehaviourView, DataView, Floats
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K513"]
_MIN_ROWS: Final = 200
_MIN_OF_CLASS: Final = 5
_TRAIN_ROWS: Final = 2_000
_FIX: Final = (
    "Prepare both sets by the same steps, and look for rows or groups that are on both sides."
)


@dataclass(frozen=True)
class _Compared:
    """Two means, of held-out and of training rows, and the standard error of their difference."""

    held_out: float
    train: float
    error: float


def check(behaviour: BehaviourView, limits: Limits) -> Iterator[Finding]:
    """Yield a warning if the held-out rows are answered better than the training rows."""
    train = scores.require_trained_on(behaviour)
    if behaviour.data.ordered:
        raise NotApplicable("the rows are ordered")
    n = behaviour.data.target.n_rows
    if n < _MIN_ROWS:
        raise NotApplicable(f"there are fewer than {_MIN_ROWS} held-out rows")
    if scores.is_choice(behaviour.data):
        yield from _classes(behaviour, train, limits)
    else:
        yield from _numbers(behaviour, train, limits)


def _classes(behaviour: BehaviourView, train: DataView, limits: Limits) -> Iterator[Finding]:
    chosen = _chosen(train)
    held_out = scores.labels_of(behaviour.data.target)
    labels = [held_out, scores.labels_of(train.target)[chosen]]
    rows = [behaviour.rows, views.rows_at(behaviour.train_rows, chosen)]
    answers = [behaviour.held_out_answers, behaviour.predict_for(rows[1])]
    pairs = zip(labels, answers, strict=True)
    right = [scores.right_answers(own, given).astype(np.float64) for own, given in pairs]
    accuracy = _compared(labels, right)
    losses = _log_losses(behaviour, labels, rows, answers)
    loss = None if losses is None else _compared(labels, losses)
    lead = accuracy.held_out - accuracy.train
    granted = max(limits["min-lead"], limits["lead-errors"] * accuracy.error)
    n = (len(labels[0]), len(labels[1]))
    if lead > granted:
        yield INFO.finding(
            f"The accuracy is {accuracy.held_out:.3g} on held-out rows, and {accuracy.train:.3g} "
            "on training rows.",
            location="predictions",
            measured=_measured("accuracy", accuracy, n) | _losses_measured(loss),
            threshold={"lead": granted},
            fix=_FIX,
            basis="batch",
        )
    elif loss is not None and _is_far_less(loss, limits):
        yield _of_loss("log loss", loss, n, limits)


def _log_losses(
    behaviour: BehaviourView,
    labels: list[Array],
    rows: list[Any],
    answers: list[Array],
) -> list[Floats] | None:
    """Return the log losses of both sides; None where there are no probabilities."""
    if behaviour.predict_proba is None:
        return None
    is_network = behaviour.model.is_network
    classes = None if is_network else scores.classes_of(behaviour.model.model)
    try:
        shares = answers if is_network else [behaviour.probabilities_for(one) for one in rows]
        pairs = zip(labels, shares, strict=True)
        return [scores.log_losses(own, given, classes) for own, given in pairs]
    except NotApplicable:
        return None


def _losses_measured(loss: _Compared | None) -> dict[str, float]:
    if loss is None:
        return {}
    return {"log loss": loss.held_out, "log loss of training rows": loss.train}


def _measured(name: str, compared: _Compared, n: tuple[int, int]) -> dict[str, float]:
    return {
        name: compared.held_out,
        f"{name} of training rows": compared.train,
        "standard error": compared.error,
        "n": n[0],
        "n train": n[1],
    }


def _numbers(behaviour: BehaviourView, train: DataView, limits: Limits) -> Iterator[Finding]:
    chosen = _chosen(train)
    own = behaviour.data.target
    theirs = views.Target(train.target.name, train.target.values[chosen])
    answers = behaviour.predict_for(views.rows_at(behaviour.train_rows, chosen))
    errors = [
        scores.squared_errors(own, behaviour.held_out_answers),
        scores.squared_errors(theirs, answers),
    ]
    loss = _compared([np.zeros(len(one)) for one in errors], errors)
    spreads = [float(scores.distances_from_mean(one).mean()) for one in (own, theirs)]
    if not all(spreads):
        raise NotApplicable("a target does not vary")
    # Rows with a narrower target have smaller errors, and are no better predicted for that.
    relative = _Compared(loss.held_out / spreads[0], loss.train / spreads[1], 0.0)
    if _is_far_less(loss, limits) and _is_far_less(relative, limits):
        yield _of_loss("mean squared error", loss, (len(errors[0]), len(errors[1])), limits)


def _chosen(train: DataView) -> Array:
    n = train.target.n_rows
    return np.unique(np.linspace(0, n - 1, min(n, _TRAIN_ROWS)).astype(np.int64))


def _compared(groups: list[Array], values: list[Floats]) -> _Compared:
    """Compare the means of the values of both sides as if they had the same share of each group."""
    ours, theirs = groups
    n_kept, sums, variance = 0, np.zeros(2), 0.0
    for group in np.unique(ours):
        first, second = values[0][ours == group], values[1][theirs == group]
        if min(len(first), len(second)) < _MIN_OF_CLASS:
            continue
        n_kept += len(first)
        sums += len(first) * np.array([first.mean(), second.mean()])
        # Of both sides together: one that happens to lack the hard rows shows no spread.
        both = float(np.concatenate([first, second]).var())
        variance += len(first) ** 2 * both * (1 / len(first) + 1 / len(second))
    if n_kept < _MIN_ROWS:
        raise NotApplicable(f"there are fewer than {_MIN_ROWS} held-out rows of known classes")
    held_out, train = (sums / n_kept).tolist()
    return _Compared(held_out, train, float(np.sqrt(variance)) / n_kept)


def _is_far_less(loss: _Compared, limits: Limits) -> bool:
    is_less = loss.held_out < limits["loss-ratio"] * loss.train
    return is_less and loss.train - loss.held_out > limits["lead-errors"] * loss.error


def _of_loss(name: str, loss: _Compared, n: tuple[int, int], limits: Limits) -> Finding:
    return INFO.finding(
        f"The {name} is {loss.held_out:.3g} on held-out rows, and {loss.train:.3g} on training "
        "rows.",
        location="predictions",
        measured=_measured(name, loss, n),
        threshold={"loss-ratio": limits["loss-ratio"], "lead-errors": limits["lead-errors"]},
        fix=_FIX,
        basis="batch",
    )
