"""Of several cases of a producer, which one's artefact a user gets."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_kepler.harness.producers import Outcome, choose, passed
from pytest_kepler.harness.uses import Use
from pytest_kepler.records import Artifact, ExperimentSpec


class Case:
    """As much of an item as the choice looks at."""

    def __init__(self, **params: Any) -> None:
        self.callspec = SimpleNamespace(params=params)
        self.nodeid = f"t.py::test_make[{'-'.join(map(str, params.values()))}]"


def artifact(name: str, sha256: str = "ab") -> Artifact:
    return Artifact(name, "json", sha256, 1, f"artifacts/{sha256}")


def made(loss: float | None, sha256: str) -> Outcome:
    return passed({} if loss is None else {"loss": loss}, [artifact("model", sha256)])


SPEC = ExperimentSpec(metric="loss", goal="min")


def chosen(outcomes: dict[Case, Outcome], spec: ExperimentSpec = SPEC, name: str | None = None):
    return choose(Use("base", name, tuple(outcomes)), outcomes, spec)


def test_the_mean_over_the_replicates_decides_not_a_lucky_seed():
    outcomes = {
        Case(depth=1, seed=0): made(0.1, "lucky"),
        Case(depth=1, seed=1): made(0.9, "unlucky"),
        Case(depth=2, seed=0): made(0.4, "steady"),
        Case(depth=2, seed=1): made(0.4, "other"),
    }
    assert chosen(outcomes).sha256 == "steady"


def test_what_is_to_be_maximised_is():
    outcomes = {Case(depth=1): made(0.1, "low"), Case(depth=2): made(0.9, "high")}
    assert chosen(outcomes, ExperimentSpec(metric="loss", goal="max")).sha256 == "high"


@pytest.mark.parametrize("value", [float("nan"), None])
def test_a_configuration_without_a_value_is_the_worst(value):
    outcomes = {Case(depth=1): made(value, "none"), Case(depth=2): made(9.0, "some")}
    assert chosen(outcomes).sha256 == "some"


def test_a_configuration_of_which_a_replicate_failed_does_not_count():
    outcomes = {
        Case(depth=1, seed=0): made(0.1, "best"),
        Case(depth=1, seed=1): Outcome("failed", "assert False"),
        Case(depth=2, seed=0): made(0.5, "whole"),
        Case(depth=2, seed=1): made(0.5, "too"),
    }
    assert chosen(outcomes).sha256 == "whole"


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome("failed", "assert 1 == 2\nmore"), r"which failed \(assert 1 == 2\)$"),
        (Outcome("blocked", "a gate"), r"which was blocked \(a gate\)$"),
        (Outcome("crashed"), "which crashed$"),
        (Outcome("skipped"), "which ended with skipped$"),
    ],
)
def test_where_nothing_passed_the_reason_is_that_of_the_producer(outcome, words):
    text = chosen({Case(depth=1): outcome})
    assert re.search(words, text)


def test_the_only_artefact_needs_no_name_and_of_several_it_is_the_model():
    only = {Case(): passed({}, [artifact("vocabulary")])}
    assert chosen(only).name == "vocabulary"
    several = {Case(): passed({}, [artifact("vocabulary"), artifact("model")])}
    assert chosen(several).name == "model"
    assert chosen(several, name="vocabulary").name == "vocabulary"


def test_an_artefact_that_was_not_saved_is_said_with_what_was():
    several = {Case(): passed({}, [artifact("b"), artifact("a")])}
    assert "saved no 'model' (it saved a, b)" in chosen(several)
    assert "(it saved nothing): add experiment.save" in chosen({Case(): passed({}, [])})
    assert "saved no 'c'" in chosen(several, name="c")


def test_an_outcome_travels_between_processes_as_plain_values():
    outcome = passed({"loss": 0.5}, [artifact("model")])
    assert Outcome(**json.loads(json.dumps(asdict(outcome)))).artifacts == outcome.artifacts
