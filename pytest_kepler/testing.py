"""Contract tests for adapters, ours and other people's: derive a class and give it a model."""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from pytest_kepler import adapters, fingerprint
from pytest_kepler.adapters.plain import jsonable
from pytest_kepler.checks import families
from pytest_kepler.checks.config import CheckConfig
from pytest_kepler.errors import ExperimentError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_kepler.adapters.base import Adapter

_RANDOM = np.random.default_rng(0)
#: Features of shape (60, 3), float32, and labels 0 and 1 that the first of them tells.
X = _RANDOM.normal(size=(60, 3)).astype("float32")
Y = (X[:, 0] > 0).astype(int)


#: A model, the X and y that it is about to be trained on, and the arguments of its fit.
Trainee = tuple[Any, Any, Any, dict[str, Any]]


@dataclass
class ListRecorder:
    """Collects what an adapter records."""

    history: dict[str, list[float]] = field(default_factory=dict)
    n_starts: int = 0
    steps: list[int] = field(default_factory=list)
    all_facts: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        """Count a training."""
        self.n_starts += 1

    def curve(self, values: Mapping[str, float], step: int) -> None:
        """Keep a step."""
        self.steps.append(step)
        assert all(type(value) is float for value in values.values())

    def is_hopeless(self, values: Mapping[str, float]) -> bool:
        """Let every training go on."""
        return not values

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Keep facts."""
        self.all_facts |= facts

    def progress(self, done: int, total: int | None, values: Mapping[str, float]) -> None:
        """See that a report of progress makes sense."""
        assert values
        assert total is None or done <= total


class AdapterContract:
    """The promises of every adapter, whatever the framework.

    Derive from it, set ``framework`` and ``fit_kwargs``, and override the fixture ``model`` with a
    fresh classifier that can learn ``Y`` from ``X``.
    """

    framework: ClassVar[str]
    fit_kwargs: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def model(self) -> Any:
        """Return a fresh, unfitted classifier of the framework."""
        raise NotImplementedError

    @pytest.fixture
    def adapter(self, model: Any) -> Adapter:
        """Return the adapter that is found for it."""
        return adapters.find(model)

    def test_its_own_models_are_found(self, adapter: Adapter) -> None:
        """A model leads to its framework's adapter."""
        assert self.framework == adapter.FRAMEWORK

    def test_fitting_returns_a_model_that_predicts_every_row(
        self, adapter: Adapter, model: Any
    ) -> None:
        """Training is recorded as one, its steps count up from 0, its numbers are finite."""
        recorder = ListRecorder()
        fitted = adapter.fit(model, X, Y, self.fit_kwargs, recorder)
        assert len(fitted.model.predict(X)) == len(X)
        assert recorder.n_starts == 1
        assert recorder.steps == list(range(len(recorder.steps)))
        assert all(math.isfinite(value) for value in fitted.metrics.values())

    def test_what_it_records_fits_into_json(self, adapter: Adapter, model: Any) -> None:
        """The spool depends on it."""
        recorder = ListRecorder()
        record = adapter.fit(model, X, Y, self.fit_kwargs, recorder).record
        whole = [record.kind, dict(record.params), dict(record.config), record.n_weights]
        json.dumps([whole, jsonable(recorder.all_facts)])
        assert record.framework == self.framework

    def test_a_classifier_is_measured_by_accuracy_at_least(
        self, adapter: Adapter, model: Any
    ) -> None:
        """Every table has something to show."""
        fitted = adapter.fit(model, X, Y, self.fit_kwargs, ListRecorder()).model
        evaluated = adapter.evaluate(fitted, X, Y)
        assert 0 <= evaluated.metrics["accuracy"] <= 1
        assert all(type(value) is float for value in evaluated.metrics.values())

    def test_the_data_is_left_as_it_was(self, adapter: Adapter, model: Any) -> None:
        """Data that many runs share must not change."""
        before = X.copy(), Y.copy()
        adapter.evaluate(adapter.fit(model, X, Y, self.fit_kwargs, ListRecorder()).model, X, Y)
        np.testing.assert_array_equal(X, before[0])
        np.testing.assert_array_equal(Y, before[1])

    def test_a_model_is_written_and_read_or_refused_in_a_sentence(
        self, adapter: Adapter, model: Any, tmp_path: Path
    ) -> None:
        """What was saved predicts the same when it is loaded again."""
        fitted = adapter.fit(model, X, Y, self.fit_kwargs, ListRecorder()).model
        try:
            path = tmp_path / f"model{adapter.suffix(fitted)}"
        except ExperimentError as error:
            assert "experiment.save" in str(error)  # noqa: PT017  # either answer keeps the promise
            return
        adapter.dump(fitted, path)
        np.testing.assert_allclose(
            adapter.load(path, trusted=True).predict(X), fitted.predict(X), rtol=1e-6
        )


class ViewContract:
    """The promises of every view of a model, by which the checks see it.

    Derive from it, set ``framework``, and override the fixtures ``sound`` and ``faulty``: each
    returns (model, X, y, arguments of the fit), made anew from the same seed.
    """

    framework: ClassVar[str]
    #: The code of the check that finds the fault in ``faulty``.
    code: ClassVar[str]

    @pytest.fixture
    def sound(self) -> Trainee:
        """Return a sound model that is about to be trained."""
        raise NotImplementedError

    @pytest.fixture
    def faulty(self) -> Trainee:
        """Return a model with a fault that makes the training useless."""
        raise NotImplementedError

    def test_its_own_models_are_viewed(self, sound: Trainee) -> None:
        """A model leads to its framework's view."""
        assert families.view_model(*sound).framework == self.framework

    def test_a_sound_model_has_no_finding(self, sound: Trainee) -> None:
        """A false alarm costs more than a miss."""
        outcome = families.examine_model(*sound, CheckConfig())
        assert outcome.findings == []
        assert outcome.passed

    def test_a_fault_is_found(self, faulty: Trainee) -> None:
        """The training would be for nothing."""
        found = families.examine_model(*faulty, CheckConfig()).findings
        assert self.code in {one.code for one in found if one.severity == "error"}

    def test_what_does_not_apply_says_why(self, sound: Trainee) -> None:
        """A check is never silently green."""
        reasons = families.examine_model(*sound, CheckConfig()).not_applicable.values()
        assert all(reason and "\n" not in reason for reason in reasons)

    def test_two_looks_say_the_same(self, faulty: Trainee) -> None:
        """What is random in a look has a seed of its own."""
        first, second = (
            [one.message for one in families.examine_model(*faulty, CheckConfig()).findings]
            for _ in range(2)
        )
        assert first == second

    def test_nothing_of_the_users_is_changed(self, sound: Trainee) -> None:
        """Model, data and the random states of Python and NumPy are as before."""
        model, X, y, _ = sound
        before = fingerprint(model), fingerprint((X, y)), _random_states()
        families.examine_model(*sound, CheckConfig())
        assert (fingerprint(model), fingerprint((X, y)), _random_states()) == before


def _random_states() -> tuple[str, str]:
    return repr(random.getstate()), repr(np.random.get_state())  # noqa: NPY002 - the user's state
