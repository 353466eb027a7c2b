"""What scikit-learn's estimators need of their data, by the names of their classes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters.views import NotApplicable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from pytest_kepler.adapters.views import (
        Block,
        Column,
        ColumnStep,
        CrossValidation,
        FitView,
        ModelView,
    )

    Fold = tuple[NDArray[np.int64], NDArray[np.int64]]

#: Steps that leave the columns in their units.
KEEP_UNITS: Final = {
    "GenericUnivariateSelect",
    "IterativeImputer",
    "KNNImputer",
    "PolynomialFeatures",
    "RFE",
    "RFECV",
    "SelectFdr",
    "SelectFpr",
    "SelectFromModel",
    "SelectFwe",
    "SelectKBest",
    "SelectPercentile",
    "SequentialFeatureSelector",
    "SimpleImputer",
    "VarianceThreshold",
}
GRADIENT: Final = {
    "MLPClassifier",
    "MLPRegressor",
    "Perceptron",
    "PassiveAggressiveClassifier",
    "PassiveAggressiveRegressor",
    "SGDClassifier",
    "SGDOneClassSVM",
    "SGDRegressor",
}
_DISTANCE: Final = {
    "DBSCAN",
    "HDBSCAN",
    "KMeans",
    "KNeighborsClassifier",
    "KNeighborsRegressor",
    "MiniBatchKMeans",
    "PCA",
    "RadiusNeighborsClassifier",
    "RadiusNeighborsRegressor",
}
_KERNEL: Final = {"NuSVC", "NuSVR", "OneClassSVM", "SVC", "SVR"}
_PENALISED: Final = {
    "ElasticNet",
    "ElasticNetCV",
    "Lasso",
    "LassoCV",
    "LinearSVC",
    "LinearSVR",
    "LogisticRegression",
    "LogisticRegressionCV",
    "Ridge",
    "RidgeCV",
    "RidgeClassifier",
    "RidgeClassifierCV",
}
_NETWORKS: Final = {"MLPClassifier", "MLPRegressor"}
_OF_TREES: Final = {
    "ExtraTreesClassifier",
    "ExtraTreesRegressor",
    "GradientBoostingClassifier",
    "GradientBoostingRegressor",
    "HistGradientBoostingClassifier",
    "HistGradientBoostingRegressor",
    "RandomForestClassifier",
    "RandomForestRegressor",
}
#: Libraries of boosted trees.
_BOOSTING: Final = {"catboost", "lightgbm", "xgboost"}
#: Linear models whose penalty has the strength ``alpha``.
_WITH_ALPHA: Final = {
    "ElasticNet",
    "GammaRegressor",
    "Lasso",
    "PoissonRegressor",
    "Ridge",
    "TweedieRegressor",
}
_UNIT_DISTANCES: Final = {"minkowski", "euclidean", "manhattan", "l1", "l2", "chebyshev", None}
_DEFAULT_FOLDS: Final = 5
#: How deep an estimator may lie inside others.
_MAX_NESTING: Final = 8


def minds_scale(estimator: Any) -> bool:
    """Tell whether an estimator depends on the units of its columns."""
    name = type(estimator).__name__
    if name in _KERNEL:
        return getattr(estimator, "kernel", "rbf") in {"rbf", "poly", "sigmoid"}
    if name in _DISTANCE:
        if getattr(estimator, "whiten", False):
            return False
        return getattr(estimator, "metric", "euclidean") in _UNIT_DISTANCES
    if name in _PENALISED:
        return _is_penalised(estimator)
    return name in GRADIENT


def reads_numbers_as_amounts(estimator: Any) -> bool:
    """Tell whether an estimator takes 2 for twice 1, as sums and distances do and trees do not."""
    name = type(estimator).__name__
    return name == "LinearRegression" or name in GRADIENT | _DISTANCE | _KERNEL | _PENALISED


def is_ensemble_or_network(model: ModelView) -> bool:
    """Tell whether what answers is a network, a forest or boosted trees.

    One that aims at a quantile counts as neither: it means to be wrong in one direction.
    """
    if model.is_network:
        return True
    part = model.model
    for _ in range(_MAX_NESTING):
        if part is None or _bends(part):
            break
        part = _inside(part)
    return part is not None and _bends(part) and not _aims_at_quantile(part)


def _inside(estimator: Any) -> Any:
    """Return the fitted estimator that answers for a search, a pipeline or another wrapper."""
    if hasattr(estimator, "steps"):
        return estimator.steps[-1][1]
    names = ("best_estimator_", "estimator_", "regressor_")
    return next((getattr(estimator, name) for name in names if hasattr(estimator, name)), None)


def _bends(estimator: Any) -> bool:
    name = type(estimator).__name__
    if name in _NETWORKS:
        return bool(estimator.activation != "identity")
    library = type(estimator).__module__.partition(".")[0]
    is_boosted = library in _BOOSTING and getattr(estimator, "booster", None) != "gblinear"
    return name in _OF_TREES or is_boosted


def _aims_at_quantile(estimator: Any) -> bool:
    aims = (getattr(estimator, name, None) for name in ("loss", "criterion", "objective"))
    return any("quantile" in str(aim) for aim in aims)


def _is_penalised(estimator: Any) -> bool:
    strength = getattr(estimator, "C", 1.0)
    is_off = isinstance(strength, int | float) and np.isinf(strength)
    return getattr(estimator, "penalty", "l2") is not None and not is_off


def is_unpenalised(estimator: Any) -> bool:
    """Tell whether an estimator is a linear model whose coefficients nothing holds down."""
    name = type(estimator).__name__
    if name == "LinearRegression":
        return not getattr(estimator, "positive", False)
    if name == "LogisticRegression":
        return not _is_penalised(estimator)
    return name in _WITH_ALPHA and getattr(estimator, "alpha", 1.0) == 0


def of_xgboost(fit: FitView) -> list[Any]:
    """Return the estimators of XGBoost that do the work."""
    return [one for one in fit.model.estimators if type(one).__module__.startswith("xgboost.")]


# --- Cross-validation ---------------------------------------------------------------------


def cross_validation_of(fit: FitView) -> CrossValidation:
    """Return how rows are held out: by the argument ``cv`` of the fit, or by the model itself.

    Raises
    ------
    NotApplicable
        If nothing is held out.
    """
    from pytest_kepler.adapters.views import CrossValidation

    given = fit.fit_kwargs.get("cv")
    if given is not None:
        return CrossValidation("cv", given, fit.fit_kwargs.get("scoring"))
    if fit.model.cross_validation is None:
        raise NotApplicable("nothing is cross-validated")
    return fit.model.cross_validation


def n_folds(validation: CrossValidation) -> int | None:
    """Return the number of folds; None where only the splitter could tell."""
    splitter = validation.splitter
    if splitter is None:
        return _DEFAULT_FOLDS
    if isinstance(splitter, int):
        return splitter
    n_splits = getattr(splitter, "n_splits", None)
    return n_splits if isinstance(n_splits, int) else None


def is_stratified(validation: CrossValidation, learns: str) -> bool:
    """Tell whether the folds keep the shares of the classes."""
    splitter = validation.splitter
    if splitter is None or isinstance(splitter, int):
        return learns == "classifier"
    return "Stratified" in type(splitter).__name__


def folds(validation: CrossValidation, fit: FitView) -> Sequence[Fold]:
    """Return the folds (train, test) that will be used.

    Raises
    ------
    NotApplicable
        If they are drawn anew each time, or making them would change something of the user's.
    """
    splitter, n_rows = validation.splitter, fit.data.block.n_rows
    if isinstance(splitter, list | tuple):
        return [(np.asarray(train), np.asarray(test)) for train, test in splitter]
    if splitter is None or isinstance(splitter, int):
        raise NotApplicable("the library's own folds are stratified, or of whole numbers")
    if not callable(getattr(splitter, "split", None)):
        raise NotApplicable("the folds can be read only once")
    is_random = getattr(splitter, "shuffle", hasattr(splitter, "random_state"))
    if is_random and not isinstance(getattr(splitter, "random_state", None), int):
        raise NotApplicable("the folds are drawn anew each time")
    y = fit.data.targets[0].values if fit.data.targets else None
    groups = fit.fit_kwargs.get("groups")
    try:
        # On a copy: a splitter may count its calls. Only the number of rows is looked at.
        found = list(copy.deepcopy(splitter).split(np.empty((n_rows, 1)), y, groups))
    except Exception as error:
        raise NotApplicable(f"the folds cannot be made: {error}") from error
    return [(np.asarray(train), np.asarray(test)) for train, test in found]


# --- Steps that prepare columns -----------------------------------------------------------


def columns_of(step: ColumnStep, block: Block, X: Any) -> Sequence[Column]:
    """Return the columns that a step sees.

    Raises
    ------
    NotApplicable
        If the selection cannot be followed.
    """
    columns, wanted = block.columns, step.columns
    if wanted is None:
        return columns
    try:
        if callable(wanted):
            wanted = wanted(X)
        if isinstance(wanted, str):
            wanted = [wanted]
        if isinstance(wanted, slice):
            return _sliced(columns, wanted)
        chosen = [wanted] if np.isscalar(wanted) else list(wanted)
        if chosen and all(isinstance(one, bool | np.bool_) for one in chosen):
            return [column for column, is_in in zip(columns, chosen, strict=True) if is_in]
        return [_named(columns, one) for one in chosen]
    except Exception as error:
        raise NotApplicable("the columns of a step cannot be followed") from error


def _sliced(columns: Sequence[Column], wanted: slice) -> Sequence[Column]:
    names = [column.name for column in columns]
    start, stop = wanted.start, wanted.stop
    if isinstance(start, str):
        start = names.index(start)
    if isinstance(stop, str):  # by names, the last one is in
        stop = names.index(stop) + 1
    return columns[start : stop : wanted.step]


def _named(columns: Sequence[Column], wanted: Any) -> Column:
    if isinstance(wanted, int | np.integer):
        return columns[int(wanted)]
    return next(column for column in columns if column.name == wanted)


def encoders(fit: FitView, names: Iterable[str]) -> list[tuple[ColumnStep, Sequence[Column]]]:
    """Return the encoders of these classes that see the features as they are, with the columns.

    Raises
    ------
    NotApplicable
        If there is none.
    """
    wanted = set(names)
    chosen = [one for one in fit.model.column_steps if type(one.step).__name__ in wanted]
    if not chosen:
        raise NotApplicable("no step encodes categories")
    block = fit.data.block
    if block.is_sparse:
        raise NotApplicable("a sparse matrix is not read column by column")
    return [(one, columns_of(one, block, fit.source)) for one in chosen]
