from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_kepler import judging
from pytest_kepler.records import Run
from pytest_kepler.reports import summary
from pytest_kepler.reports.jsonout import render_json
from pytest_kepler.reports.layout import cells
from pytest_kepler.reports.markdown import render_markdown
from pytest_kepler.reports.terminal import render_terminal

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TEXTS = st.text(max_size=30)
NAMES = st.sampled_from(["accuracy", "loss", "a/b", "größe"]) | TEXTS
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "metric": st.sampled_from(["accuracy", "loss", "missing"]),
        "at_least": st.dictionaries(NAMES, st.floats(), max_size=2),
    },
)
RUNS = st.builds(
    Run,
    run_id=st.text("0123456789abcdef", min_size=8, max_size=20),
    session_id=st.sampled_from(["now", "before"]),
    project=st.just("p"),
    experiment=st.sampled_from(["a.py::test_a", "b.py::TestB::test_b"]) | TEXTS,
    node_id=TEXTS,
    status=st.sampled_from(["passed", "failed", "blocked", "duplicate", "crashed", "running"]),
    started_at=st.integers(0, 10**6).map(lambda n: NOW - timedelta(seconds=n)),
    seconds=st.none() | st.floats(0, 1e6),
    params=st.dictionaries(NAMES, st.none() | st.booleans() | st.floats() | TEXTS, max_size=4),
    metrics=st.dictionaries(NAMES, st.floats(), max_size=5),
    hypothesis=TEXTS,
    eval_hash=st.sampled_from(["", "e1", "e2"]),
    duplicate_of=TEXTS,
    why_new=TEXTS,
    message=TEXTS,
    spec=SPECS,
)


def refuse(name: str) -> None:
    raise AssertionError(name)


@settings(deadline=None, max_examples=60)
@given(st.lists(RUNS, max_size=12), st.integers(40, 160), st.sampled_from(["utf-8", "ascii"]))
def test_any_journal_can_be_told_within_the_width(runs, width, encoding):
    assessments = judging.assess(runs, earlier=runs[:5])
    shared = judging.shared_data(assessments)
    for report in (
        summary.session_report(assessments, journal="j", now=NOW, shared=shared),
        summary.journal_report(assessments, journal="j", now=NOW, shared=shared),
    ):
        text = render_terminal(report, width, encoding=encoding)
        assert max(map(cells, text.splitlines()), default=0) <= width
        assert text.encode(encoding)
        assert render_markdown(report)
        json.loads(render_json(report), parse_constant=refuse)


@settings(deadline=None, max_examples=60)
@given(st.lists(RUNS, max_size=15), st.randoms())
def test_verdicts_do_not_depend_on_the_order_of_the_runs(runs, random):
    runs = list({run.run_id: run for run in runs}.values())
    shuffled = random.sample(runs, len(runs))

    def verdicts(given_runs):
        return {
            each.experiment: (
                repr(each.best and each.best.params),
                repr([(outcome.status, outcome.value) for outcome in each.thresholds]),
            )
            for each in judging.assess(given_runs)
        }

    assert verdicts(runs) == verdicts(shuffled)
