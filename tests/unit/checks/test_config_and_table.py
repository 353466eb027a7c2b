"""The table of checks, their settings, and how a family is run."""

from __future__ import annotations

import re
import tomllib
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import pytest_kepler.checks
from pytest_kepler import checks
from pytest_kepler.adapters.views import NotApplicable
from pytest_kepler.checks import codes, running
from pytest_kepler.checks.config import CheckConfig, load, parse
from pytest_kepler.errors import KeplerUsageError

ROOT = Path(pytest_kepler.checks.__file__).parents[2]
HEADINGS = ["What it looks at", "Why it matters", "What it cannot see", "Source"]


@pytest.mark.parametrize("info", codes.CHECKS.values(), ids=str)
def test_a_check_has_its_help_page(info):
    first, *rest = info.load().__doc__.splitlines()
    assert re.fullmatch(rf"{info.code} {info.name}: [a-zA-Z].+\.", first)
    assert [line for line in rest if line and not line.startswith(" ")] == HEADINGS
    assert info.load().INFO is info


def test_every_module_of_a_check_is_in_the_table():
    folder = ROOT / "pytest_kepler" / "checks" / "catalogue"
    modules = {
        f"{file.parent.name}.{file.stem}"
        for file in folder.glob("*/*.py")
        if file.stem != "__init__"
    }
    assert {info.module.partition("catalogue.")[2] for info in codes.CHECKS.values()} == modules


def test_no_retired_code_is_used_again():
    assert not set(codes.RETIRED) & set(codes.CHECKS)


def test_the_page_of_checks_is_current():
    page = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    assert page == checks.check_table(), "write it anew: pytest_kepler.checks.check_table()"


def test_a_check_is_explained_by_code_and_by_name():
    page = checks.explain("k304")
    assert page == checks.explain("non-finite-input")
    assert page.startswith("K304 non-finite-input: ")
    assert "error-share = 0.05" in checks.explain("K105")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: checks.explain("K3044"), "no check 'K3044': did you mean 'K304'"),
        (lambda: checks.explain("non-finite"), "did you mean 'non-finite-input'"),
        (lambda: checks.explain("K203"), "K203 is retired"),
        (lambda: checks.data([1.0], select="K99"), "No check is called 'K99'"),
        (lambda: checks.data([1.0], min_rr=1), "no limit 'min_rr': did you mean 'min_r'"),
        (lambda: checks.data([1.0], min_r="high"), "K301: min_r must be a number"),
        (lambda: checks.data([1.0], K301={"r": 1}), "K301 has no limit 'r'"),
        (lambda: checks.data([1.0], K304={"n": 1}), "K304 has no limit 'n': it has no limits"),
        (
            lambda: checks.split([1.0], [2.0], share=1),
            "K104, K106, K110, K116, K601 all have a limit",
        ),
    ],
)
def test_a_wrong_name_is_refused_with_the_nearest(call, message):
    with pytest.raises(KeplerUsageError, match=re.escape(message)):
        call()


@pytest.mark.parametrize(
    ("select", "ignore", "code", "runs"),
    [
        (("K",), (), "K304", True),
        (("K3",), (), "K405", False),
        (("K",), ("K3",), "K301", False),
        (("K301",), ("K3",), "K301", True),
        (("K3",), ("K301",), "K301", False),
        (("K301",), ("K301",), "K301", False),
    ],
)
def test_the_longest_prefix_wins(select, ignore, code, runs):
    assert CheckConfig(select=select, ignore=ignore).is_selected(code) is runs


TABLE = """
[tool.kepler]
ignore = ["K303"]
notes = true
warnings-as-errors = ["K301"]
sample-rows = 500

[tool.kepler.K105]
error-share = 0.2

[tool.kepler.experiment."tests/test_a.py::test_a"]
ignore = { K301 = "two units on purpose" }
severity = { K306 = { to = "note", reason = "kept for later" } }
"""


def test_settings_are_read_from_pyproject(tmp_path):
    (tmp_path / "pyproject.toml").write_text(TABLE)
    config = load(tmp_path)
    assert not config.is_selected("K303")
    assert (config.notes, config.sample_rows) == (True, 500)
    assert config.limits_of(codes.CHECKS["K105"])["error-share"] == 0.2
    assert config.limits_of(codes.CHECKS["K105"])["warn-share"] == 0.01
    X = np.random.default_rng(0).normal(size=(50, 2))
    X = np.c_[X, X[:, 0]]
    assert [one.severity for one in checks.data(X, config=config)] == ["error"]
    (found,) = checks.data(X, config=config.for_experiment("tests/test_a.py::test_a[1]"))
    assert found.waiver == "two units on purpose"


def test_a_project_without_settings_has_the_defaults(tmp_path):
    assert load(tmp_path) == CheckConfig()
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'kepler'\n")
    assert load(tmp_path) == CheckConfig()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"selct": ["K1"]}, "no setting 'selct': did you mean 'select'"),
        ({"notes": "yes"}, "notes must be true or false"),
        ({"ignore": ["K777x"]}, "No check is called"),
        ({"ignore": ["K304"]}, "K304 non-finite-input cannot be left out for a whole project"),
        ({"ignore": ["K3"]}, "cannot be left out for a whole project"),
        ({"sample-rows": 0}, "sample-rows must be a whole number above 0"),
        ({"K105": {"error-shar": 1}}, "K105 has no limit 'error-shar': did you mean 'error-share'"),
        ({"K999": {}}, "no check 'K999'"),
        ({"experiment": {"a": {"ignore": ["K301"]}}}, "ignore needs a reason for each code"),
        ({"experiment": {"a": {"ignore": {"K301": " "}}}}, "The waiver of K301 needs a reason"),
        ({"experiment": {"a": {"severity": {"K301": "mild"}}}}, "not 'mild'"),
        (
            {"experiment": {"a": {"ignore": {"K301": {"reason": "why", "until": "soon"}}}}},
            "The waiver of K301 ends on 'soon'",
        ),
        ({"experiment": {"a": {"severity": {"K306": "note"}}}}, "lowering them needs a reason"),
        (
            {"experiment": {"a": {"severity": {"K306": {"to": "note", "reason": " "}}}}},
            'K306 = { to = "note", reason = "why" }',
        ),
        (
            {"experiment": {"a": {"severity": {"K301": {"to": "note", "why": "so"}}}}},
            "severity has 'why': it takes to, reason",
        ),
        ({"experiment": {"a": {"severity": ["K301"]}}}, "severity must be a table"),
        ({"time-budget-s": 0}, "time-budget-s must be a number above 0"),
        ({"time-budget-s": "long"}, "time-budget-s must be a number above 0"),
        ({"experiment": {"a": {"waive": {}}}}, "has no setting 'waive'"),
    ],
)
def test_a_wrong_setting_is_refused(table, message):
    with pytest.raises(KeplerUsageError, match=re.escape(message)):
        parse(table)


def test_broken_toml_is_named(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.kepler\n")
    with pytest.raises(KeplerUsageError, match=r"pyproject.toml is not valid TOML"):
        load(tmp_path)


def test_a_check_that_crashes_names_itself_and_stops_nothing(monkeypatch):
    def crash(*_):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(codes.CHECKS["K306"].load(), "check", crash)
    X = np.random.default_rng(0).normal(size=(50, 2))
    found = checks.data(np.c_[X, X[:, 0]])
    assert [(one.code, one.severity) for one in found] == [("K301", "warning"), ("K000", "note")]
    assert found[1].name == "check-crashed"
    assert "K306 constant-column crashed: ZeroDivisionError: by zero" in found[1].message


def test_there_are_three_outcomes(monkeypatch):
    def lacks(*_):
        raise NotApplicable("no labels")
        yield

    monkeypatch.setattr(codes.CHECKS["K319"].load(), "check", lacks)
    from pytest_kepler.checks import families

    outcome = families.examine_data(np.full((20, 2), np.nan), None, None, CheckConfig())
    assert {one.code for one in outcome.findings} == {"K304", "K306"}
    assert "K301" in outcome.not_applicable
    assert outcome.not_applicable["K319"] == "no labels"
    assert not set(outcome.passed) & {"K304", "K306", "K319"}


def test_notes_are_off_unless_asked_for():
    X = np.c_[np.random.default_rng(0).normal(size=(50, 3)), np.ones(50)]
    assert checks.data(X) == []
    (note,) = checks.data(X, config=CheckConfig(notes=True))
    assert (note.code, note.severity) == ("K306", "note")


def test_errors_come_first():
    X = np.random.default_rng(0).normal(size=(50, 3))
    X = np.c_[X, X[:, 0], np.full(50, np.inf)]
    found = checks.data(X)
    assert [running.severity_order(one) for one in found] == sorted(
        running.severity_order(one) for one in found
    )
    assert found[0].code == "K304"


# --- Waivers, severities and the order of settings ----------------------------------------

CONSTANT = np.c_[np.random.default_rng(0).normal(size=(50, 1)), np.ones((50, 2))]
NODE = "tests/test_a.py::test_a"


def of_experiment(**table):
    return parse({"experiment": {NODE: table}}).for_experiment(NODE)


def test_a_waiver_in_the_table_holds_until_its_last_day():
    day = datetime.now().astimezone().date()
    for until, waiver in ((day, f"why (until {day})"), (day - timedelta(days=1), "")):
        config = of_experiment(ignore={"K306": {"reason": "why", "until": str(until)}})
        (found,) = checks.data(CONSTANT, config=config, select="K306")
        assert found.waiver == waiver
        assert ("Its waiver ended" in found.message) is not bool(waiver)


def test_a_day_of_toml_is_read_too():
    table = tomllib.loads('ignore = { K306 = { reason = "why", until = 2999-01-01 } }')
    (found,) = checks.data(CONSTANT, config=of_experiment(**table), select="K306")
    assert found.waiver == "why (until 2999-01-01)"


def test_an_error_is_lowered_with_the_reason_in_its_message():
    table = {"K306": {"to": "warning", "reason": "two sensors are not connected yet"}}
    (found,) = checks.data(CONSTANT, config=of_experiment(severity=table), select="K306")
    assert found.severity == "warning"
    assert found.message.endswith("Lowered to warning: two sensors are not connected yet")


def test_a_severity_is_never_raised_by_the_table_of_an_experiment():
    config = of_experiment(severity={"K301": "error"})
    X = np.random.default_rng(0).normal(size=(50, 1)).repeat(2, axis=1)
    (found,) = checks.data(X, config=config, select="K301")
    assert found.severity == "warning"


def test_the_table_of_one_experiment_leaves_others_alone():
    config = parse({"experiment": {NODE: {"ignore": {"K306": "why"}}}})
    for node, waiver in ((NODE, "why"), (f"{NODE}[1-a]", "why"), (f"{NODE}_b", "")):
        (found,) = checks.data(CONSTANT, config=config.for_experiment(node), select="K306")
        assert found.waiver == waiver


def test_a_configured_limit_is_told_as_such():
    config = parse({"K306": {"error-share": 0.9}})
    (found,) = checks.data(CONSTANT, config=config, select="K306")
    assert found.severity == "warning"
    assert "0.9 (configured)" in found.threshold.values()


def test_a_call_comes_before_the_project():
    config = parse({"K301": {"min-r": 0.2}, "ignore": ["K306"]})
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    X = np.c_[x, x + rng.normal(size=200)]
    assert [one.code for one in checks.data(X, config=config)] == ["K301"]
    assert checks.data(X, config=config, min_r=0.99) == []


def test_the_checks_that_have_not_begun_when_the_time_is_over_are_not_run(monkeypatch):
    clock = iter([0.0, *[61.0] * 100])
    monkeypatch.setattr(running.time, "monotonic", lambda: next(clock))
    from pytest_kepler.checks import families

    outcome = families.examine_data(CONSTANT, None, None, CheckConfig())
    assert outcome.findings == outcome.passed == []
    assert set(outcome.not_applicable.values()) == {"the time budget is spent"}


def test_a_check_that_would_only_repeat_another_waits_for_it():
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(300, 2)), rng.normal(2.0, size=(200, 2))
    assert "K112" not in {one.code for one in checks.split(train, test)}
    assert [one.code for one in checks.split(train, test, select="K112")] == ["K112"]
