"""A fixed sample of the sound programs and of the faults; ``tests/zoo/run.py`` runs all of them."""

from __future__ import annotations

import importlib
import sys
import warnings
from pathlib import Path

import pytest

from tests.loading import load

ZOO = Path(__file__).parents[1] / "zoo"

SOUND = [
    "logistic regression, iris",
    "random forest, unscaled",
    "boosting with missing values",
    "MLP with logits and SGD",
    "residual net with zero gamma, SGD with momentum",
    "dense autoencoder",
    "regression, raw target",
    "head of zeros",
    "warm-up schedule",
    "linear regression",
    "not built before the fit",
    "torch residual net with zero gamma",
    "torch binary logits, squeezed",
    "torch warm-up and class weights",
    "torch DataLoader",
]
FAULTY = [
    ("one NaN among the features", "logistic regression, iris", {"K304"}),
    ("a tenth of the test rows also in training", "SVC", {"K105"}),
    ("early stopping by the test rows", "MLP, digits", {"K515"}),
    ("zeros in all hidden kernels", "MLP, digits", {"K205", "K206"}),
    ("biases of -10", "MLP, digits", {"K206"}),
    ("one-hot labels for a sparse loss", "MLP, digits", {"K404"}),
    ("everything frozen", "MLP, digits", {"K415"}),
    ("a rate 1,000 times as large", "MLP, digits", {"K507"}),
    ("a rate 100,000 times as small", "MLP, digits", {"K508"}),
    ("a stopped gradient before the last layer", "MLP, digits", {"K506"}),
    ("eight sigmoid layers", "MLP, digits", {"K502", "K701"}),
    ("a softmax before CrossEntropyLoss", "torch MLP, digits", {"K406"}),
    ("a detached body", "torch MLP, digits", {"K506"}),
    ("outputs (n, 1) beside labels (n,)", "torch regression, standardised target", {"K418"}),
    ("the optimizer of another model", "torch residual net with zero gamma", {"K415"}),
]


@pytest.fixture(scope="module")
def zoo():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("tensorflow")
        pytest.importorskip("torch")
        before = list(sys.path)
        sys.path.insert(0, str(ZOO))
        try:
            run = load("kepler_zoo_run", ZOO / "run.py")
            importlib.import_module("torch_faults")
            yield run, sys.modules["faults"]
        finally:
            sys.path[:] = before


@pytest.mark.parametrize("name", SOUND)
def test_no_error_on_a_sound_program(zoo, name):
    run, _ = zoo
    account = run.run(name, 0, is_trained=False)
    assert [one for one in account.findings if one.severity == "error"] == []
    assert [one for one in account.findings if one.name == "check-crashed"] == []


@pytest.mark.parametrize(("fault", "name", "codes"), FAULTY)
def test_a_fault_in_a_sound_program_is_found(zoo, fault, name, codes):
    run, faults = zoo
    inject = next(one.inject for one in faults.FAULTS if one.name == fault)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mutant = inject(run.programs.PROGRAMS[name](0), 0)
        found = run.examine(mutant).findings
        found += run.compare(mutant)
    assert codes & {one.code for one in found}
