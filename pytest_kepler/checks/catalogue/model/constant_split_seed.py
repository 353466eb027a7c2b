"""K613 constant-split-seed: a random split or estimator that nobody seeded.

What it looks at
    The estimators and splitters of a model, and ``cv=``, that draw random numbers and have
    ``random_state=None``, where no experiment seeds NumPy before the fit.
Why it matters
    Another run gives another score, and nobody can tell luck from progress.
What it cannot see
    ``numpy.random.seed`` in the user's own code, and splits that were made before.
Source
    https://scikit-learn.org/stable/common_pitfalls.html#controlling-randomness
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks.codes import CHECKS
from pytest_kepler.checks.predicates import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.adapters.views import FitView
    from pytest_kepler.checks.codes import Limits
    from pytest_kepler.records import Finding

INFO = CHECKS["K613"]
#: Classes that draw whatever their other arguments are, by the beginnings of their names.
_RANDOM: Final = (
    "BaggingClassifier",
    "BaggingRegressor",
    "ExtraTrees",
    "GaussianMixture",
    "GroupShuffleSplit",
    "IsolationForest",
    "KMeans",
    "MLP",
    "MiniBatch",
    "RANSACRegressor",
    "RandomForest",
    "RandomizedSearchCV",
    "RepeatedKFold",
    "RepeatedStratifiedKFold",
    "SGD",
    "ShuffleSplit",
    "StratifiedShuffleSplit",
)


def check(fit: FitView, limits: Limits) -> Iterator[Finding]:
    """Yield one note if something draws random numbers without a seed."""
    del limits
    if fit.model.framework != "sklearn":
        raise NotApplicable("the model is not of scikit-learn")
    if fit.is_seeded:
        raise NotApplicable("the experiment seeds NumPy before the fit")
    parts = [fit.model.model, *_params_of(fit.model.model), fit.fit_kwargs.get("cv")]
    unseeded = dict.fromkeys(type(one).__name__ for one in parts if _draws_unseeded(one))
    if unseeded:
        yield INFO.finding(
            "Random numbers are drawn without a seed, so that another run gives another score.",
            severity="note",
            location=f"random_state of {listed(list(unseeded))}",
            measured={"unseeded": len(unseeded)},
            threshold={"unseeded": 0},
            fix="Give random_state= a number, and report the spread over several.",
        )


def _params_of(model: Any) -> list[Any]:
    try:
        return list(model.get_params(deep=True).values())
    except Exception:  # noqa: BLE001 - an object of the user's own may answer in any way
        return []


def _draws_unseeded(part: Any) -> bool:
    if isinstance(part, type) or not hasattr(part, "random_state") or part.random_state is not None:
        return False
    is_random = type(part).__name__.startswith(_RANDOM)
    return is_random or getattr(part, "shuffle", False) is True
