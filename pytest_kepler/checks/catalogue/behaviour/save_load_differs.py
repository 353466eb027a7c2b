"""K709 save-load-differs: a model that answers otherwise after saving and loading.

What it looks at
    The answers of the model and of another that was made from what it saves, for up to 128
    held-out rows. scikit-learn's estimators go through pickle, XGBoost's through their own
    JSON, Keras models through a ``.keras`` file in a temporary folder, which is removed.
    A model that cannot be saved or loaded gives a note, with what the library said: lambdas and
    layers that are not registered are common in sound work.
Why it matters
    What goes into production is the saved model. A state that is not saved, a layer whose settings
    are not in its configuration, or a function that exists in one notebook alone are missing there.
What it cannot see
    torch modules, which cannot be made without the arguments of their class; objects with a
    way of saving of their own; models of more than 200 MB, or with more parameters than
    ``probe-parameters``; other machines and other versions.
Source
    https://keras.io/guides/serialization_and_saving/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_kepler.adapters.reloading import CannotReload
from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.answers import largest_difference
from pytest_kepler.checks.codes import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import BehaviourView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K709"]


def check(behaviour: BehaviourView, limits: Limits) -> Iterator[Finding]:
    """Yield a finding if the model answers otherwise when it is loaded, or cannot be."""
    if behaviour.reload is None:
        raise NotApplicable("the rows cannot be asked one by one")
    rows = np.arange(behaviour.n_asked)
    before = behaviour.ask(rows)
    if largest_difference(before, behaviour.ask(rows)) > limits["max-difference"]:
        raise NotApplicable("two answers for the same rows differ")
    try:
        after = behaviour.reload()(rows)
    except CannotReload as reason:
        yield INFO.finding(
            f"The model is lost with this process: {reason}.",
            severity="note",
            location="model",
            fix="Register custom objects, and replace lambdas and classes made inside functions "
            "by named ones in a module.",
            basis="batch",
        )
        return
    difference = np.inf if before.shape != after.shape else largest_difference(before, after)
    if difference > limits["max-difference"]:
        yield INFO.finding(
            "Saved and loaded, the model answers the same rows differently, by up to "
            f"{difference:.2g} standard deviations.",
            location="model",
            measured={"difference": difference, "n": len(rows)},
            threshold={"max-difference": limits["max-difference"]},
            fix="Let every setting be part of what is saved: get_config, get_params, __getstate__.",
            basis="batch",
        )
