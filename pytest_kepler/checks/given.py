"""Arguments with which nothing could be judged: a gate that judged nothing must not pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.adapters import views
from pytest_kepler.adapters.plain import article, short
from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.errors import KeplerUsageError

if TYPE_CHECKING:
    from pytest_kepler.adapters.views import ModelView

#: What may give rows, even if nobody can look at it first.
_GIVES_ROWS: Final = ("__array__", "__getitem__", "__iter__", "__next__")


def require_rows(X: Any, use: str, name: str = "X") -> None:
    """See to it that there are rows.

    What can be read only once may have some, and is left alone.

    Raises
    ------
    KeplerUsageError
        If `X` is nothing that has rows, or has none.
    """
    may_have_rows = any(hasattr(X, method) for method in _GIVES_ROWS)
    if not may_have_rows or isinstance(X, str | bytes) or getattr(X, "shape", None) == ():
        msg = f"{use} needs rows as {name}: a table, an array or a list, got {_named(X)}."
        raise KeplerUsageError(msg)
    if views.is_dataset(X) or views.is_loader(X):
        return
    try:
        blocks = views.read_blocks(X, name)
    except NotApplicable:
        return
    except Exception:  # noqa: BLE001 - an object of the user's own: the checks say what failed
        return
    if not any(block.n_rows for block in blocks):
        raise KeplerUsageError(f"{use}: {name} has no rows, so nothing can be judged.")
    if all(0 in getattr(block.source, "shape", ()) for block in blocks):
        raise KeplerUsageError(f"{use}: {name} has no columns, so nothing can be judged.")


def require_equal_lengths(X: Any, y: Any, use: str) -> None:
    """See to it that there is a target for each row.

    Raises
    ------
    KeplerUsageError
        If one is shorter than the other.
    """
    if y is None or views.is_dataset(X) or views.is_loader(X):
        return
    lengths = views.read_data(X, y).lengths
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {n:,}" for name, n in lengths.items())
        raise KeplerUsageError(f"{use} needs a target for each row: {told}.")


def require_model(known: ModelView, use: str, *methods: str) -> None:
    """See to it that there is a model: one of a known framework, or one with a method.

    Raises
    ------
    KeplerUsageError
        If there is none, or only its class.
    """
    model = known.model
    if isinstance(model, type):
        msg = f"{use} needs a model, got the class {model.__name__}: make one, {model.__name__}()."
        raise KeplerUsageError(msg)
    if known.framework == "other" and not any(hasattr(model, method) for method in methods):
        wanted = " or ".join(methods)
        raise KeplerUsageError(f"{use} needs a model with {wanted}, got {_named(model)}.")


def require_curves(history: Any, use: str) -> None:
    """See to it that there is an epoch to judge.

    Raises
    ------
    KeplerUsageError
        If all curves are empty, or there are none.
    """
    try:
        curves = views.read_history(history).curves
    except NotApplicable:  # that it is no history is said where it is read
        return
    if not any(len(values) for values in curves.values()):
        what = f"the curves {', '.join(curves)} are empty" if curves else "it has no curves"
        raise KeplerUsageError(f"{use} needs a history of one epoch or more: {what}.")


def _named(value: Any) -> str:
    if getattr(value, "shape", None) == ():
        return "a single value"
    is_plain = value is None or isinstance(value, str | bytes | int | float)
    return short(value) if is_plain else article(type(value).__name__)
