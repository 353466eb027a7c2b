from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta

import pytest
from scipy import stats

from pytest_kepler import judging
from pytest_kepler.inference import decide_claims, level_of
from pytest_kepler.intervals import interval_of
from pytest_kepler.records import ClaimSpec, Decided, ExperimentSpec, Run

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NAME = "test_a.py::test_svm"
CLAIM = ClaimSpec("rbf wins", "accuracy", "max", {"kernel": "rbf"}, {"kernel": "linear"})


def run(params: dict, value: float | None, *, at: float = 0, **fields) -> Run:
    name = "-".join(f"{key}={one}" for key, one in params.items())
    defaults = {
        "run_id": f"run-{name}",
        "session_id": "now",
        "project": "p",
        "experiment": NAME,
        "node_id": f"{NAME}[{name}]",
        "status": "passed",
        "started_at": START + timedelta(seconds=at),
        "params": params,
        "metrics": {} if value is None else {"accuracy": value},
        "eval_hash": "e1",
    }
    return Run(**(defaults | fields))


def decide(runs, claim=CLAIM, *, decided=(), originals=None, **spec):
    spec = ExperimentSpec(metric="accuracy", claims=(claim,), **spec)
    assessments = judging.assess(runs, specs={NAME: spec})
    (found,) = decide_claims(assessments, decided, originals)
    return found


def pairs(rbf, linear, **more):
    return [
        run({"kernel": kernel, "seed": seed} | more, value)
        for kernel, values in (("rbf", rbf), ("linear", linear))
        for seed, value in enumerate(values)
    ]


def test_the_interval_is_that_of_the_paired_t_test():
    rbf, linear = [0.91, 0.95, 0.93, 0.96], [0.90, 0.92, 0.93, 0.91]
    found = decide(pairs(rbf, linear))
    expected = stats.ttest_rel(rbf, linear).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.estimate == pytest.approx(0.0225)
    assert (found.verdict, found.n_pairs, found.level) == ("inconclusive", 4, 0.95)


def test_folds_are_corrected_as_nadeau_and_bengio_say():
    rng = random.Random(0)
    differences = [rng.gauss(0.01, 0.02) for _ in range(10)]
    low, high = interval_of(differences, n_folds=10)
    mean = sum(differences) / 10
    variance = sum((one - mean) ** 2 for one in differences) / 9
    half = stats.t(9).ppf(0.975) * math.sqrt((1 / 10 + (1 / 10) / (9 / 10)) * variance)
    assert (low, high) == pytest.approx((mean - half, mean + half))


def test_a_claim_over_folds_uses_the_correction():
    values = {"rbf": [0.9, 0.93, 0.92, 0.95], "linear": [0.89, 0.9, 0.9, 0.92]}
    runs = [
        run({"kernel": kernel, "fold": fold}, value)
        for kernel, column in values.items()
        for fold, value in enumerate(column)
    ]
    differences = [one - two for one, two in zip(*values.values(), strict=True)]
    found = decide(runs)
    assert (found.low, found.high) == pytest.approx(interval_of(differences, n_folds=4))
    assert (found.low, found.high) != pytest.approx(interval_of(differences))


@pytest.mark.parametrize(
    ("margin", "verdict"), [(0, "supported"), (0.04, "inconclusive"), (0.2, "refuted")]
)
def test_the_margin_decides_where_the_interval_must_lie(margin, verdict):
    claim = ClaimSpec("rbf", "accuracy", "max", {"kernel": "rbf"}, {"kernel": "linear"}, margin)
    assert decide(pairs([0.94, 0.96, 0.95], [0.9, 0.91, 0.92]), claim).verdict == verdict


def test_a_loss_is_better_when_it_is_smaller():
    claim = ClaimSpec("rbf", "accuracy", "min", {"kernel": "rbf"}, {"kernel": "linear"})
    found = decide(pairs([0.1, 0.12, 0.11], [0.2, 0.21, 0.22]), claim)
    assert found.verdict == "supported"
    assert found.estimate == pytest.approx(0.1)


def test_no_spread_at_all_decides_by_the_estimate():
    assert decide(pairs([0.9, 0.8], [0.8, 0.7])).verdict == "supported"
    assert decide(pairs([0.8, 0.7], [0.9, 0.8])).verdict == "refuted"


@pytest.mark.parametrize("noise", [0.0, 1e-16])
def test_equal_results_support_nothing(noise):
    assert decide(pairs([0.9 + noise, 0.8 + noise], [0.9, 0.8])).verdict == "inconclusive"


def test_fewer_than_two_pairs_are_inconclusive_and_say_what_is_missing():
    one = decide(pairs([0.9], [0.8]))
    assert (one.verdict, one.n_pairs, one.estimate) == ("inconclusive", 1, None)
    none = decide([run({"kernel": "rbf"}, 0.9), run({"kernel": "linear"}, 0.8)])
    assert "parametrize seed or fold" in none.message


def test_a_value_that_is_not_finite_decides_nothing_and_is_named():
    found = decide(pairs([0.9, math.nan, 0.9], [0.8, 0.8, 0.8]))
    assert found.verdict == "inconclusive"
    assert "accuracy is nan in run" in found.message


def test_a_metric_that_was_never_logged_is_named_with_the_nearest():
    claim = ClaimSpec("rbf", "acuracy", "max", {"kernel": "rbf"}, {"kernel": "linear"})
    found = decide(pairs([0.9, 0.9], [0.8, 0.8]), claim)
    assert found.verdict == "inconclusive"
    assert "'acuracy' was never logged; did you mean 'accuracy'" in found.message


def test_a_grid_does_not_make_pairs_of_its_own():
    runs = [
        run({"kernel": kernel, "C": C, "seed": seed}, 0.8 + C / 100 + seed / 50 + bonus)
        for kernel, bonus in (("rbf", 0.01), ("linear", 0.0))
        for C in (1, 2, 3)
        for seed in range(3)
    ]
    found = decide(runs)
    assert found.n_pairs == 3
    assert found.estimate == pytest.approx(0.01)


def test_a_replicate_that_lacks_a_value_is_left_out_and_counted():
    runs = pairs([0.9, 0.91, 0.92, None], [0.8, 0.82, 0.81, 0.8])
    found = decide(runs)
    assert found.n_pairs == 3
    assert "1 of 4 replicates" in found.message


def test_sides_with_parameters_of_their_own_are_chosen_on_the_other_replicates():
    claim = ClaimSpec("forest", "accuracy", "max", {"model": "forest"}, {"model": "svm"})
    runs = [run({"model": "svm", "C": 1, "seed": seed}, 0.8) for seed in range(3)]
    # Each depth is lucky on one seed alone: whoever picks on that seed itself sees .95 each time.
    for depth in range(3):
        runs += [
            run({"model": "forest", "depth": depth, "seed": seed}, 0.95 if seed == depth else 0.8)
            for seed in range(3)
        ]
    found = decide(runs, claim)
    assert found.n_pairs == 3
    assert found.estimate == pytest.approx(0.0)
    assert found.verdict == "inconclusive"


def test_inconclusive_says_how_many_more_seeds_would_decide():
    found = decide(pairs([0.92, 0.94, 0.90], [0.9, 0.9, 0.9]))
    assert found.verdict == "inconclusive"
    more = int(found.message.partition("about ")[2].partition(" more seeds")[0])
    assert more > 0
    deviation, n = 0.02, 3 + more
    level = level_of(2)
    quantile = stats.t(n - 1).ppf((1 + level) / 2)
    assert quantile * deviation / math.sqrt(n) < 0.02
    before = stats.t(n - 2).ppf((1 + level) / 2)
    assert before * deviation / math.sqrt(n - 1) >= 0.02


def decided(found, *, minutes: float = 0.0) -> Decided:
    moment = START + timedelta(minutes=minutes)
    return Decided(NAME, CLAIM.definition, moment, found.n_pairs, found.evidence)


def test_a_later_look_at_more_of_the_same_runs_has_a_stricter_level():
    rbf, linear = [0.91, 0.95, 0.93, 0.96, 0.95], [0.90, 0.92, 0.93, 0.91, 0.9]
    first = decide(pairs(rbf[:3], linear[:3]))
    same = decide(pairs(rbf[:3], linear[:3]), decided=[decided(first)])
    assert (same.look, same.level) == (1, 0.95)
    later = decide(pairs(rbf, linear), decided=[decided(first)])
    assert (later.look, later.level) == (2, pytest.approx(0.975))
    assert "look 2" in later.message
    third = decide(pairs(rbf, linear), decided=[decided(first), decided(same), decided(later)])
    assert third.look == 2


def test_all_looks_together_cost_no_more_than_the_first_once_again():
    spent = sum((1 - level_of(look)) / 2 for look in range(1, 100_000))
    assert spent <= 0.05


def test_new_results_are_a_first_look_again():
    first = decide(pairs([0.9, 0.9], [0.8, 0.81]))
    fresh = [
        run({"kernel": kernel, "seed": seed}, value, run_id=f"new{kernel}{seed}")
        for kernel, value in (("rbf", 0.9), ("linear", 0.8))
        for seed in range(2)
    ]
    assert decide(fresh, decided=[decided(first)]).look == 1


def duplicates(originals):
    return [
        run(
            dict(one.params),
            one.metrics["accuracy"],
            at=3600,
            run_id=f"again-{one.run_id}",
            session_id="later",
            status="duplicate",
            duplicate_of=one.run_id,
        )
        for one in originals
    ]


def test_a_claim_that_was_worded_after_its_results_says_so():
    before = pairs([0.94, 0.96, 0.95], [0.9, 0.91, 0.92])
    found = decide(duplicates(before), originals={one.run_id: one for one in before})
    assert found.verdict == "supported"
    assert "worded after 3 of its 3 pairs were in" in found.message


def test_a_claim_that_was_there_before_its_results_says_nothing():
    before = pairs([0.94, 0.96, 0.95], [0.9, 0.91, 0.92])
    early = [decided(decide(before), minutes=-1)]
    found = decide(duplicates(before), decided=early, originals={r.run_id: r for r in before})
    assert "worded after" not in found.message


def test_the_winner_of_a_grid_is_not_called_better_on_the_seeds_that_picked_it():
    before = pairs([0.94, 0.96, 0.95], [0.9, 0.91, 0.92])
    before += [run({"kernel": "poly", "seed": seed}, 0.9) for seed in range(3)]
    originals = {one.run_id: one for one in before}
    found = decide(duplicates(before), originals=originals)
    assert found.verdict == "inconclusive"
    assert "picked the winner" in found.message
    fresh = [
        run({"kernel": kernel, "seed": seed}, value + seed / 1000, at=3700, session_id="later")
        for kernel, value in (("rbf", 0.95), ("linear", 0.9), ("poly", 0.9))
        for seed in (3, 4, 5)
    ]
    more = decide([*duplicates(before), *fresh], originals=originals)
    assert (more.verdict, more.n_pairs) == ("supported", 3)


def test_a_setting_that_no_run_has_is_named():
    claim = ClaimSpec("rbf", "accuracy", "max", {"kernel": "rbff"}, {"kernel": "linear"})
    found = decide(pairs([0.9, 0.9], [0.8, 0.8]), claim)
    assert found.verdict == "inconclusive"
    assert "no run has kernel='rbff'" in found.message
