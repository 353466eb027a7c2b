"""A session of two experiments, with something of everything that a report tells."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import UTC, datetime, timedelta

import pytest

from pytest_kepler import judging
from pytest_kepler.records import ExperimentSpec, Finding, Run
from pytest_kepler.reports import summary

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FILE = "example_project/test_digits.py"
SVM = ExperimentSpec(metric="accuracy", at_least=0.95, at_most={"log_loss": 0.01})
CNN = ExperimentSpec(metric="accuracy", at_least=0.9)


def make_run(number: int, **fields) -> Run:
    defaults = {
        "run_id": f"{number:08x}" + "0" * 12,
        "session_id": "now",
        "project": "example",
        "experiment": f"{FILE}::test_svm",
        "node_id": f"{FILE}::test_svm[{number}]",
        "status": "passed",
        "started_at": NOW - timedelta(minutes=30) + timedelta(seconds=number % 256),
        "seconds": 1.5,
        "eval_hash": "8c1d22ab" + "0" * 24,
        "data_hash": "d1" + "0" * 30,
    }
    return Run(**(defaults | fields))


def svm_grid() -> tuple[list[Run], list[Run]]:
    """Six configurations by three seeds: new, duplicate, failed and blocked ones."""
    session, earlier = [], []
    grid = itertools.product([0.1, 1, 10], ["scale", 0.01], [0, 1, 2])
    for number, (C, gamma, seed) in enumerate(grid, start=0x3F2A9100):
        base = {0.1: 0.91, 1: 0.962, 10: 0.981}[C] - (0.03 if gamma == 0.01 else 0)
        accuracy = base + 0.004 * (seed - 1)
        run = make_run(
            number,
            params={"kernel": "rbf", "C": C, "gamma": gamma, "seed": seed},
            metrics={
                "accuracy": accuracy,
                "f1": accuracy - 0.002,
                "precision": accuracy + 0.001,
                "log_loss": 1 - accuracy,
                "fit_seconds": 1.2,
            },
            why_new="data changed since run 77aa01 (digits)",
        )
        if C == 1 and gamma == "scale":
            old = dataclasses.replace(
                run,
                run_id=f"{number - 0x1000:08x}" + "0" * 12,
                session_id="before",
                started_at=NOW - timedelta(days=1, hours=3),
                seconds=4.0,
            )
            earlier.append(old)
            run = dataclasses.replace(
                run, status="duplicate", duplicate_of=old.run_id, seconds=0.0, why_new=""
            )
        if C == 0.1 and gamma == 0.01:
            run = dataclasses.replace(
                run,
                status="blocked",
                metrics={},
                eval_hash="",
                message=f"{FILE}::test_digits_are_scaled failed",
            )
        if C == 1 and gamma == 0.01 and seed == 2:
            run = dataclasses.replace(
                run, status="failed", message="AssertionError: assert 0.8 > 0.9\n  where 0.8 = f()"
            )
        session.append(run)
    earlier += [
        make_run(
            0x1B2C3D40 + seed,
            session_id="long before",
            started_at=NOW - timedelta(days=4),
            params={"kernel": "rbf", "C": 100, "gamma": "scale", "seed": seed},
            metrics={"accuracy": 0.9842},
        )
        for seed in range(3)
    ]
    return session, earlier


def cnn_runs() -> list[Run]:
    return [
        make_run(
            0x0C9DE100 + place,
            experiment=f"{FILE}::test_cnn",
            params={"lr": lr},
            metrics={"loss": 2.5 * lr, "accuracy": 0.99 - lr, "epoch_seconds": 3.0},
            seconds=201.0,
            why_new="first run",
        )
        for place, lr in enumerate([0.001, 0.01])
    ]


FINDING = Finding(
    code="K303",
    name="unscaled-features",
    severity="warning",
    message="the features' scales differ by a factor of 40",
    location="X_train",
    measured={"ratio": 40.2},
    threshold={"ratio": 10},
    fix="Put a StandardScaler before the estimator.",
)


@pytest.fixture
def session() -> summary.SessionReport:
    own, earlier = svm_grid()
    assessments = judging.assess(
        [*own, *cnn_runs()],
        earlier=earlier,
        specs={f"{FILE}::test_svm": SVM, f"{FILE}::test_cnn": CNN},
        partial=[f"{FILE}::test_cnn"],
    )
    assessments = [
        dataclasses.replace(each, hypothesis="A softer margin generalises better on digits.")
        for each in assessments
    ]
    return summary.session_report(
        assessments,
        journal=".kepler/journal.duckdb",
        now=NOW,
        session_id="now",
        shared=judging.shared_data(assessments),
        findings=[(run.run_id, FINDING) for run in own if run.status == "passed"],
        gates=[
            summary.Gate(f"{FILE}::test_digits_have_ten_classes", "passed", 0.01),
            summary.Gate(
                f"{FILE}::test_digits_are_scaled",
                "failed",
                0.02,
                "AssertionError: 16 is too much\nassert",
            ),
        ],
    )


@pytest.fixture
def whole_journal() -> summary.JournalReport:
    own, earlier = svm_grid()
    assessments = judging.assess(
        [*earlier, *own, *cnn_runs()],
        specs={f"{FILE}::test_svm": SVM, f"{FILE}::test_cnn": CNN},
    )
    return summary.journal_report(
        assessments,
        journal=".kepler/journal.duckdb",
        now=NOW,
        shared=judging.shared_data(assessments),
        findings=[(own[0].run_id, FINDING)],
        notes=[summary.Note(f"{FILE}::test_svm", "Above C=10 nothing changes.", NOW)],
    )


@pytest.fixture
def runs() -> list[Run]:
    return svm_grid()[0]
