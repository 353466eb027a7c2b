"""What training needs of a framework: one Protocol, and the records that it answers with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

from pytest_kepler.records import EMPTY

#: What a left-out metric or an absent hash is explained with, by name.
Reasons = dict[str, str]


class Recorder(Protocol):
    """Where an adapter writes what it sees while a model trains."""

    @property
    def history(self) -> dict[str, list[float]]:
        """The curves so far, by the library's own names."""
        ...

    def start(self) -> None:
        """Forget the curves of an earlier training: another one begins."""
        ...

    def curve(self, values: Mapping[str, float], step: int) -> None:
        """Log `values` at `step`, and append them to the history."""
        ...

    def is_hopeless(self, values: Mapping[str, float]) -> bool:
        """Tell whether a training with such numbers should end."""
        ...

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Record what is worth knowing and is no metric."""
        ...

    def progress(self, done: int, total: int | None, values: Mapping[str, float]) -> None:
        """Tell whoever watches that `done` of `total` epochs are over."""
        ...


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """What the journal keeps of a model.

    Attributes
    ----------
    framework, kind : str
        ``sklearn`` and ``sklearn.svm.SVC``: the class by its public name.
    params : mapping of str to JSON
        Settings, flattened as the framework names them.
    n_weights : int or None
        Number of learned numbers, where it can be told cheaply.
    config : mapping of str to JSON
        The structure: layers, optimizer, loss.
    """

    framework: str
    kind: str
    params: Mapping[str, Any] = EMPTY
    n_weights: int | None = None
    config: Mapping[str, Any] = EMPTY


@dataclass(frozen=True, slots=True)
class Fitted:
    """What came out of a training: the model, single numbers, and what it is made of."""

    model: Any
    record: ModelRecord
    metrics: Mapping[str, float] = EMPTY


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The usual metrics of a task, and why one of them is missing."""

    metrics: dict[str, float]
    left_out: Reasons = field(default_factory=dict)


class Adapter(Protocol):
    """A framework, as far as `experiment` has to do with it. Modules satisfy it."""

    #: The framework's name, as the journal has it.
    FRAMEWORK: Final[str]  # type: ignore[misc]  # a module's constant cannot be reassigned

    def fit(
        self, model: Any, X: Any, y: Any, fit_kwargs: Mapping[str, Any], recorder: Recorder
    ) -> Fitted:
        """Train `model`, writing curves and facts to `recorder`."""
        ...

    def evaluate(self, model: Any, X: Any, y: Any) -> Evaluated:
        """Measure a fitted model by the usual metrics of its task."""
        ...

    def dump(self, model: Any, path: Path) -> None:
        """Write the model to `path`, whose suffix is `suffix(model)`."""
        ...

    def load(self, path: Path, *, trusted: bool = False) -> Any:
        """Read what `dump` wrote; code that the file brings along runs only if it is trusted."""
        ...

    def suffix(self, model: Any) -> str:
        """Return the suffix of the file that a model is kept in.

        Raises
        ------
        ExperimentError
            If models of this kind cannot be saved; it says what to do instead.
        """
        ...
