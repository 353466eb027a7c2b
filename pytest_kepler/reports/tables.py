"""Tables: the rows of a report as text, for every renderer; not yet fitted to a width."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Final

from pytest_kepler.reports.layout import Column, Row, Table, cells, pad
from pytest_kepler.reports.wording import (
    age,
    aligned,
    clean,
    count,
    decimals,
    duration,
    number,
    settings,
    short,
    value,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pytest_kepler.records import Configuration, SharedData
    from pytest_kepler.reports.layout import Paint, Symbols
    from pytest_kepler.reports.summary import Section

#: A grid of more rows than this shows the best and the worst.
MOST_ROWS: Final = 12
_N_WORST: Final = 2
_WORDS: Final = {"passed": "new"}


def results_table(
    section: Section, symbols: Symbols, *, now: datetime | None = None, most: int = MOST_ROWS
) -> Table:
    """Return an experiment's table: only what differs, replicates folded.

    The spread of the headline metric is the standard deviation over replicates; where there are
    none, that over the folds of a cross-validation. A metric that is the same in all rows, or
    the same as the one of another column, is no column, unless there is a threshold for it.

    Parameters
    ----------
    section : Section
        The experiment.
    symbols : Symbols
        Of the output.
    now : datetime, optional
        Given for a journal's report, which tells when a configuration ran last; without it the
        table is a session's and tells what is new.
    most : int
        Above this many rows only the best and the worst are shown.
    """
    head, tail = _ends(section, most)
    shown = [*head, *tail]
    metrics = _worth_a_column(section, shown, symbols)
    columns, body = [], []
    if section.assessment.best:
        columns.append(Column(""))
        body.append([_star(each, section, symbols) for each in shown])
    for place, name in enumerate(section.varying, start=1):
        texts = [value(each.params[name]) if name in each.params else "" for each in shown]
        columns.append(Column(clean(name), right=_all_numbers(shown, name), rank=-place))
        body.append(texts)
    sizes = _sizes(shown, metrics)
    n = sizes[0] if len(set(sizes)) == 1 else 0
    for place, name in enumerate(metrics):
        first = place == 0
        title = f"{clean(name)} (n={n})" if first and n > 1 else clean(name)
        columns.append(Column(title, right=True, rank=place and 9 + place))
        body.append(_metric_cells(shown, name, symbols, spread=first))
    if not n:
        columns.append(Column("n", right=True, rank=3))
        body.append([str(size) for size in sizes])
    columns.append(Column("time", right=True, rank=2))
    body.append([duration(each.seconds) for each in shown])
    columns.append(Column("last" if now else "status"))
    body.append([_state(each, now) for each in shown])
    columns.append(Column("run", rank=1, paint="dim"))
    body.append([run_id(each) for each in shown])
    rows = [
        Row(texts, _row_paint(each, section), paints={len(columns) - 2: _state_paint(each)})
        for each, texts in zip(shown, zip(*body, strict=True), strict=True)
    ]
    if tail or len(head) < section.n_rows:
        rows.insert(len(head), Row(span=_between(section, len(head), len(tail), symbols)))
    return Table(tuple(columns), tuple(rows))


def shared_table(shared: SharedData, symbols: Symbols) -> Table:
    """Return the best configuration of each experiment that was evaluated on the same data."""
    metric = shared.metric
    found = [each for _, each in shared.entries]
    names = _names([experiment for experiment, _ in shared.entries])
    columns = [
        Column(""),
        Column("experiment"),
        Column("best configuration"),
        *([Column(clean(metric), right=True)] if metric else []),
        Column("time", right=True, rank=2),
        Column("run", rank=1, paint="dim"),
    ]
    values = [_metric_cells(found, metric, symbols, spread=True)] if metric else []
    body = zip(
        [symbols.star if metric and not place else "" for place in range(len(found))],
        names,
        [settings(each.params) for each in found],
        *values,
        [duration(each.seconds) for each in found],
        [run_id(each) for each in found],
        strict=True,
    )
    rows = [Row(texts, "bold" if texts[0] else "") for texts in body]
    return Table(tuple(columns), tuple(rows))


def overview_table(sections: Sequence[Section], symbols: Symbols, now: datetime) -> Table:
    """Return one row for each experiment of a journal."""
    columns = (
        Column("experiment"),
        Column("runs", right=True, rank=2),
        Column("best"),
        Column("goals", rank=1),
        Column("last"),
        Column("run", rank=3, paint="dim"),
    )
    names = _names([section.assessment.experiment for section in sections])
    rows = []
    for name, section in zip(names, sections, strict=True):
        goals = _goals(section, symbols)
        paint: Paint = "bad" if symbols.bad in goals else "good"
        rows.append(
            Row(
                (
                    name,
                    f"{section.n_runs:,}",
                    _best(section, symbols),
                    goals,
                    age(section.newest.started_at, now),
                    run_id(section.assessment.best) if section.assessment.best else "",
                ),
                paints={3: paint},
            )
        )
    return Table(columns, tuple(rows))


def _best(section: Section, symbols: Symbols) -> str:
    assessment = section.assessment
    if assessment.best is None or assessment.spec.metric is None:
        return "" if assessment.spec.metric is None else f"no {assessment.spec.metric} yet"
    (text,) = _metric_cells([assessment.best], assessment.spec.metric, symbols, spread=True)
    return f"{clean(assessment.spec.metric)} {text}"


def _goals(section: Section, symbols: Symbols) -> str:
    marks = {"reached": symbols.good, "missed": symbols.bad, "partial": symbols.part}
    return " ".join(marks[each.status] for each in section.assessment.thresholds)


def _names(experiments: Sequence[str]) -> list[str]:
    """Return the last parts of the node ids, and of the whole where that is ambiguous."""
    last = Counter(experiment.rsplit("::", 1)[-1] for experiment in experiments)
    return [
        experiment.rsplit("::", 1)[-1] if last[experiment.rsplit("::", 1)[-1]] == 1 else experiment
        for experiment in experiments
    ]


def _ends(section: Section, most: int) -> tuple[Sequence[Configuration], Sequence[Configuration]]:
    rows = section.rows
    if section.n_rows <= most:
        return rows, ()
    if section.assessment.best is None:
        return rows[:most], ()
    comparable = [each for each in rows if section.is_ranked(each)]
    head = comparable[: most - _N_WORST]
    return head, comparable[max(len(head), len(comparable) - _N_WORST) :]


def _between(section: Section, n_head: int, n_tail: int, symbols: Symbols) -> str:
    hidden = section.n_rows - n_head - n_tail
    metric = section.assessment.spec.metric
    if metric is None or section.assessment.best is None:
        return f"  {symbols.more} {hidden:,} more"
    values = [each.value(metric) or 0.0 for each in section.rows if section.is_ranked(each)]
    values = values[n_head : len(values) - n_tail]
    n_between = section.n_ranked - n_head - n_tail
    if not n_between:
        return f"  {symbols.more} {hidden:,} more without a comparable value"
    span = f"{metric} {number(max(values))} to {number(min(values))}"
    if section.assessment.goal == "min":
        span = f"{metric} {number(min(values))} to {number(max(values))}"
    aside = hidden - n_between
    extra = f", {aside:,} of them apart" if aside else ""
    return f"  {symbols.more} {hidden:,} more between, {span}{extra}"


def _is_time(metric: str) -> bool:
    return metric.rsplit("/", 1)[-1].endswith("seconds")


def _star(each: Configuration, section: Section, symbols: Symbols) -> str:
    return symbols.star if each is section.assessment.best else ""


def _all_numbers(shown: Sequence[Configuration], name: str) -> bool:
    return all(
        isinstance(each.params.get(name, 0), int | float)
        and not isinstance(each.params.get(name), bool)
        for each in shown
    )


def _sizes(shown: Sequence[Configuration], metrics: Sequence[str]) -> list[int]:
    """Return how many values the first metric's mean is of; without metrics, the runs."""
    if not metrics:
        return [len(each.runs) for each in shown]
    found = [each.statistics.get(metrics[0]) for each in shown]
    return [each.n if each else 0 for each in found]


def _metric_cells(
    shown: Sequence[Configuration], name: str, symbols: Symbols, *, spread: bool
) -> list[str]:
    """Return means with spreads, all of one width, so that the decimal points are aligned."""
    found = [each.statistics.get(name) for each in shown]
    places = decimals(each.mean for each in found if each)
    means = [aligned(each.mean, places) if each else "" for each in found]
    spreads = [
        symbols.spread + aligned(std, places)
        if spread and std is not None and math.isfinite(std)
        else ""
        for std in (_std(each, name) for each in shown)
    ]
    left, right = max(map(cells, means), default=0), max(map(cells, spreads), default=0)
    return [
        pad(mean, left, right=True) + pad(each, right)
        for mean, each in zip(means, spreads, strict=True)
    ]


def _std(each: Configuration, name: str) -> float | None:
    """Return the spread over replicates, or that over folds where one run has several."""
    found = each.statistics.get(name)
    if found is None or found.std is not None:
        return found.std if found else None
    folds = each.statistics.get(f"{name}_std") if f"{name}_fold" in each.statistics else None
    return folds.mean if folds else None


def _worth_a_column(
    section: Section, shown: Sequence[Configuration], symbols: Symbols
) -> list[str]:
    asked = {section.assessment.spec.metric, *(one.metric for one in section.assessment.thresholds)}
    seen: set[tuple[str, ...]] = set()
    names = []
    for name in section.metrics:
        texts = tuple(_metric_cells(shown, name, symbols, spread=False))
        tells_apart = len(shown) == 1 or len(set(texts)) > 1
        if name in asked or (tells_apart and texts not in seen and not _is_time(name)):
            names.append(name)
        seen.add(texts)
    return names


def _state(each: Configuration, now: datetime | None) -> str:
    counts = Counter(
        "duplicate" if run.status == "duplicate" and outcome == "duplicate" else outcome
        for run, outcome in zip(each.runs, each.outcomes, strict=True)
    )
    if now:
        apart = "" if each.is_current else ", other data"
        broken = [
            f"{n} {word}" for word, n in counts.items() if word not in {"passed", "duplicate"}
        ]
        newest = max(run.started_at for run in each.runs)
        return ", ".join([age(newest, now), *broken]) + apart
    if len(counts) == 1:
        (word,) = counts
        return _WORDS.get(word, word)
    return ", ".join(f"{n} {_WORDS.get(word, word)}" for word, n in counts.items())


def _state_paint(each: Configuration) -> Paint:
    outcomes = set(each.outcomes)
    if outcomes & {"failed", "error", "crashed"}:
        return "bad"
    if outcomes - {"passed", "duplicate"}:
        return "warn"
    return "dim" if outcomes == {"duplicate"} or not each.is_current else "good"


def _row_paint(each: Configuration, section: Section) -> Paint:
    if each is section.assessment.best:
        return "bold"
    return "" if each.is_current else "dim"


def run_id(each: Configuration) -> str:
    """Return the id of the newest run as it was executed: what `kepler show` tells most of."""
    with_value = [
        run
        for run, outcome in zip(each.runs, each.outcomes, strict=True)
        if outcome in {"passed", "duplicate"}
    ] or list(each.runs)
    newest = max(with_value, key=lambda run: (run.started_at, run.run_id))
    return short(newest.duplicate_of or newest.run_id)


def header(section: Section, symbols: Symbols, *, is_session: bool) -> str:
    """Return the facts of an experiment that stand above its table, in one line."""
    assessment = section.assessment
    facts = []
    if assessment.spec.metric:
        way = {"max": "higher", "min": "lower", None: ""}[assessment.goal]
        facts.append(
            f"{assessment.spec.metric}, {way} is better" if way else assessment.spec.metric
        )
    n = section.n_configurations
    times = f" {symbols.times} {section.n_replicates} runs" if section.n_replicates > 1 else ""
    facts.append(count(n, "configuration") + times)
    if is_session:
        facts += [
            f"{n_runs:,} {_WORDS.get(word, word)}{'s' * (word == 'duplicate' and n_runs > 1)}"
            for word, n_runs in section.outcomes.items()
        ]
    else:
        facts.append(f"{count(section.n_runs, 'run')} in all")
    if section.fixed:
        facts.append(f"all with {settings(section.fixed)}")
    return symbols.dot.join(facts)
