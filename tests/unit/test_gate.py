"""The gate of a fit, its waivers, how findings read, and the `sanity` fixture's object."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import date

import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from pytest_kepler import gate
from pytest_kepler.checks import families
from pytest_kepler.checks.config import CheckConfig, parse
from pytest_kepler.errors import KeplerUsageError
from pytest_kepler.records import Finding

X, y = load_iris(return_X_y=True)
HOLED = np.where(np.arange(600).reshape(150, 4) == 77, np.nan, X)
TODAY = date(2026, 11, 25)


def examine(model, X, y, waive=None, **options):
    return gate.examine_fit(
        model, X, y, {}, config=CheckConfig(), today=TODAY, waive=waive or {}, **options
    )


def test_sound_data_and_model_pass():
    verdict = examine(LogisticRegression(), X, y)
    assert verdict.findings == verdict.blocking == []
    assert verdict.not_applicable["K406"] == "the model is not a network"


def test_an_error_blocks():
    verdict = examine(LogisticRegression(), HOLED, y)
    assert [one.code for one in verdict.blocking] == ["K304"]


def test_a_warning_does_not_block():
    verdict = examine(SVC(), *load_wine(return_X_y=True))
    assert [one.code for one in verdict.findings] == ["K303"]
    assert verdict.blocking == []


@pytest.mark.parametrize(
    ("waiver", "text"),
    [
        ("known gap", "known gap"),
        ({"reason": "known gap", "until": "2027-06-30"}, "known gap (until 2027-06-30)"),
        ({"reason": "known gap", "until": TODAY}, "known gap (until 2026-11-25)"),
    ],
)
def test_a_waived_error_is_kept_with_its_reason_and_does_not_block(waiver, text):
    verdict = examine(LogisticRegression(), HOLED, y, {"K304": waiver})
    assert [(one.code, one.waiver) for one in verdict.findings] == [("K304", text)]
    assert verdict.blocking == []


def test_an_expired_waiver_counts_as_absent():
    waive = {"K304": {"reason": "known gap", "until": "2026-11-24"}}
    verdict = examine(LogisticRegression(), HOLED, y, waive)
    assert [one.code for one in verdict.blocking] == ["K304"]
    assert "Its waiver ended on 2026-11-24" in verdict.blocking[0].message


def test_a_waiver_that_nothing_matches_is_noted():
    verdict = examine(LogisticRegression(), X, y, {"K304": "known gap"})
    assert [(one.code, one.name, one.severity) for one in verdict.findings] == [
        ("K000", "unused-waiver", "note")
    ]


@pytest.mark.parametrize(
    ("waive", "message"),
    [
        ({"K3044": "why"}, "no check 'K3044': did you mean 'K304'"),
        ({"K304": ""}, "The waiver of K304 needs a reason"),
        ({"K304": {"until": "2027-01-01"}}, "needs a reason"),
        ({"K304": {"reason": "why", "util": "2027-01-01"}}, "has 'util': it takes reason, until"),
        ({"K304": {"reason": "why", "until": "soon"}}, "ends on 'soon': write a day as"),
    ],
)
def test_a_waiver_that_cannot_be_read_is_refused(waive, message):
    with pytest.raises(KeplerUsageError, match=re.escape(message)):
        gate.validate_waivers(waive)


def test_a_waiver_that_nothing_matches_is_told_once_for_each_experiment():
    cache, waive = {}, {"K304": "known gap"}
    told = [
        len(examine(LogisticRegression(C=C), X, y, waive, cache=cache, experiment=name).findings)
        for name in ("a.py::a", "a.py::b")
        for C in (0.1, 1.0)
    ]
    assert told == [1, 0, 1, 0]


def test_a_waiver_of_the_table_that_nothing_matches_is_noted_as_well():
    config = parse({"experiment": {"a.py::a": {"ignore": {"K304": "known gap"}}}})
    verdict = gate.examine_fit(
        LogisticRegression(), X, y, {}, config=config.for_experiment("a.py::a"), today=TODAY
    )
    assert [one.name for one in verdict.findings] == ["unused-waiver"]


def test_the_markers_waiver_comes_before_that_of_the_table():
    table = {"experiment": {"a.py::a": {"ignore": {"K304": "of the table"}}}}
    config = parse(table).for_experiment("a.py::a")
    options = {"config": config, "today": TODAY}
    for waive, waiver in (
        ({}, "of the table"),
        ({"K304": "of the marker"}, "of the marker"),
        ({"K304": {"reason": "ended", "until": "2026-11-24"}}, "of the table"),
    ):
        found = gate.examine_fit(LogisticRegression(), HOLED, y, {}, waive=waive, **options)
        assert [one.waiver for one in found.findings] == [waiver]


def test_the_table_of_one_experiment_does_not_reach_another_through_what_is_kept():
    cache = {}
    config = parse({"experiment": {"a.py::a": {"ignore": {"K304": "why"}}}})
    for name, n_blocking in (("a.py::a", 0), ("a.py::b", 1)):
        verdict = gate.examine_fit(
            LogisticRegression(),
            HOLED,
            y,
            {},
            config=config.for_experiment(name),
            today=TODAY,
            cache=cache,
            data_key="k",
        )
        assert len(verdict.blocking) == n_blocking


@pytest.mark.parametrize(
    "fit_kwargs",
    [
        {"class_weight": {0: 1.0, 1: 30.0}},
        {"sample_weight": np.ones(1_000)},
        {"logisticregression__sample_weight": np.ones(1_000)},
        {"loss": type("Loss", (), {"weight": np.array([1.0, 30.0])})()},
        {},
    ],
)
def test_weights_that_a_fit_is_given_make_up_for_a_rare_class(fit_kwargs):
    features = np.random.default_rng(0).normal(size=(1_000, 2))
    labels = (np.arange(1_000) % 50 == 0).astype(int)
    verdict = gate.examine_fit(
        LogisticRegression(), features, labels, fit_kwargs, config=CheckConfig(), today=TODAY
    )
    assert ("K311" in {one.code for one in verdict.findings}) is not bool(fit_kwargs)


def test_what_blocks_names_the_ways_out():
    verdict = examine(LogisticRegression(), HOLED, y)
    assert gate.ways_out(verdict.blocking) == (
        '  if it is meant: @pytest.mark.experiment(waive={"K304": "why"})'
    )
    assert gate.ways_out([finding("K306"), finding("K306"), finding("K304")]) == (
        '  if it is meant: @pytest.mark.experiment(waive={"K306": "why", "K304": "why"}), '
        "or another limit: [tool.kepler.K306] in pyproject.toml"
    )


def test_findings_about_data_are_paid_for_once(monkeypatch):
    calls = []
    original = families.examine_data

    def counting(*arguments):
        calls.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(families, "examine_data", counting)
    cache = {}
    for C in (0.1, 1.0, 10.0):
        assert examine(LogisticRegression(C=C), HOLED, y, cache=cache, data_key="k").blocking
    assert len(calls) == 1
    assert not examine(
        HistGradientBoostingClassifier(), HOLED, y, cache=cache, data_key="k"
    ).blocking
    examine(LogisticRegression(), HOLED, y, cache=cache, data_key="other")
    examine(LogisticRegression(), HOLED, y, cache=cache)
    assert len(calls) == 4


def test_a_sample_weight_must_have_a_value_a_row():
    verdict = gate.examine_fit(
        LogisticRegression(),
        X,
        y,
        {"sample_weight": np.ones(149)},
        config=CheckConfig(),
        today=TODAY,
    )
    assert [one.code for one in verdict.blocking] == ["K115"]


def test_findings_can_be_written_as_json():
    verdict = examine(LogisticRegression(), np.c_[HOLED, y, np.ones(150)], y)
    assert verdict.findings
    for one in verdict.findings:
        json.dumps([dict(one.measured), dict(one.threshold)])


def finding(code="K304", severity="error", location="column 2", **fields):
    fields = {"message": "1 value in column 2 is missing.", "fix": "Impute it.", **fields}
    return Finding(code, "a-name", severity, location=location, **fields)


def test_a_finding_reads_as_a_line_and_a_fix():
    text = gate.report([finding(measured={"missing": 3, "n": 100}, threshold={"missing": 0})])
    assert text.splitlines() == [
        "K304 error  1 value in column 2 is missing.  (measured missing 3, n 100; limit missing 0)",
        "  fix: Impute it.",
    ]


def test_long_lines_are_wrapped_with_what_follows_set_in():
    one = finding(message="A long sentence that goes on. " * 4, fix="Do this and that. " * 4)
    lines = gate.report([one], width=60).splitlines()
    assert max(map(len, lines)) <= 60
    assert [line for line in lines if not line.startswith("    ")] == [
        lines[0],
        "  fix: Do this and that. Do this and that. Do this and that.",
    ]
    assert " ".join(gate.report([one]).split()) == " ".join(" ".join(lines).split())


def test_a_row_that_shows_it_stands_below_its_finding():
    shown = finding(example=("row 3: a 1", "b 1 gives 2; b 2 gives 3"))
    assert gate.report([shown]).splitlines()[1:] == [
        "  for example row 3: a 1",
        "    b 1 gives 2; b 2 gives 3",
        "  fix: Impute it.",
    ]


def test_the_place_is_told_where_the_message_does_not():
    assert gate.report([finding(message="It is bad.")]).startswith(
        "K304 error  column 2: It is bad."
    )


def test_errors_come_first_and_equal_findings_are_folded():
    many = [finding("K306", "warning", f"column {j}", message="Bad.") for j in range(5)]
    lines = gate.report([*many, many[0], finding(waiver="known")]).splitlines()
    assert lines[0].startswith("K304 waived")
    assert lines[1] == "  waived: known"
    assert [line.partition(":")[0] for line in lines[2:5]] == [
        f"K306 warning  column {j}" for j in range(3)
    ]
    assert lines[5:] == ["  … and 2 more of K306 a-name", "  fix: Impute it."]


def test_sanity_raises_one_assertion_with_every_error():
    recorded = []
    sanity = gate.Sanity(CheckConfig(), recorded.append)
    with pytest.raises(AssertionError, match=r"sanity.data found 2 errors:\nK304 error") as caught:
        sanity.data(np.c_[HOLED, y], y)
    assert "K309 error" in str(caught.value)
    assert {one.code for one in recorded} == {"K304", "K309"}


def test_sanity_returns_findings_instead_of_raising():
    sanity = gate.Sanity(CheckConfig())
    found = sanity.split(X, X, raises=False)
    assert [one.code for one in found] == ["K110"]
    assert sanity.findings == found


def test_sanity_shows_warnings_and_passes(capsys):
    found = gate.Sanity(CheckConfig()).model(SVC(), *load_wine(return_X_y=True))
    assert [one.code for one in found] == ["K303"]
    assert capsys.readouterr().out.startswith("K303 warning")


def test_sanity_takes_codes_and_limits():
    sanity = gate.Sanity(CheckConfig())
    assert sanity.data(HOLED, y, ignore="K304") == []
    assert sanity.data(X, y, select=["K301"], min_r=0.9)
    assert sanity.training({"loss": [1.0, 0.5]}) == []
    assert sanity.behaviour(LogisticRegression(max_iter=500).fit(X, y), X, y) == []


def test_importing_the_gate_imports_no_numpy():
    code = "import sys, pytest_kepler.gate; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_value_that_is_no_number_in_the_validation_data_blocks_too():
    from sklearn.linear_model import LogisticRegression

    X = np.random.default_rng(0).normal(size=(120, 3))
    y = (X[:, 0] > 0).astype(int)
    X_val, y_val = X[60:], y[60:]
    broken = X_val.copy()
    broken[4, 1] = np.nan
    for given, n_blocking in ((X_val, 0), (broken, 1)):
        verdict = gate.examine_fit(
            LogisticRegression(),
            X[:60],
            y[:60],
            {"validation_data": (given, y_val)},
            config=CheckConfig(),
            today=date(2026, 11, 24),
        )
        assert len(verdict.blocking) == n_blocking
        assert all(one.location.startswith("validation_data") for one in verdict.blocking)
