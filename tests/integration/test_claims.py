"""Claims: worded in a mark, decided from the runs, kept in the journal."""

from __future__ import annotations

import pytest

TRAINING = """
    import pytest
    import helpers

    @pytest.mark.claim(
        "an RBF kernel beats a linear one", better={"kernel": "rbf"}, than={"kernel": "linear"}
    )
    @pytest.mark.experiment(metric="accuracy")
    @pytest.mark.parametrize("seed", range(helpers.SEEDS))
    @pytest.mark.parametrize("kernel", ["rbf", "linear"])
    def test_fit(experiment, kernel, seed):
        experiment.log(accuracy=helpers.score(kernel, seed))
"""
HELPERS = """
    SEEDS = 4
    GAIN = {"rbf": 0.02, "linear": 0.0}

    def score(kernel, seed):
        return 0.9 + GAIN[kernel] + seed / 100 + (seed % 2) * (kernel == "rbf") / 1000
"""


@pytest.fixture
def claimed(project):
    project.write("test_train.py", TRAINING)
    project.write("helpers.py", HELPERS)
    return project


def verdicts(project):
    return project.query("select claim, verdict, n_pairs, message from claims order by decided_at")


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_claim_is_decided_and_kept(claimed, workers):
    result = claimed.run(*workers)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*supported*an RBF kernel beats a linear one*"])
    (row,) = verdicts(claimed)
    assert row["claim"] == "an RBF kernel beats a linear one"
    assert (row["verdict"], row["n_pairs"]) == ("supported", 4)
    report = claimed.run("--kepler-report")
    report.stdout.fnmatch_lines(["*supported*an RBF kernel beats a linear one*"])


def test_a_refuted_claim_does_not_change_the_exit_status(claimed):
    claimed.replace("helpers.py", '"rbf": 0.02', '"rbf": -0.02')
    result = claimed.run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*refuted*"])


def test_a_claim_over_duplicates_trains_nothing_and_says_when_it_was_worded(claimed):
    start, end = TRAINING.index("@pytest.mark.claim("), TRAINING.index("@pytest.mark.experiment")
    claimed.write("test_train.py", TRAINING[:start] + TRAINING[end:])
    claimed.run().assert_outcomes(passed=8)
    claimed.write("test_train.py", TRAINING)
    result = claimed.run()
    result.assert_outcomes(skipped=8)
    (row,) = verdicts(claimed)
    assert row["verdict"] == "supported"
    assert "worded after 4 of its 4 pairs were in" in row["message"]


def test_a_look_at_more_seeds_is_a_second_look(claimed):
    claimed.run()
    claimed.replace("helpers.py", "SEEDS = 4", "SEEDS = 5")
    assert claimed.run().ret == 0
    first, second = verdicts(claimed)
    assert (first["n_pairs"], second["n_pairs"]) == (4, 5)
    assert "look" not in first["message"]
    assert "look 2, so the level is 0.975" in second["message"]


def test_several_claims_keep_the_order_in_which_they_are_written(claimed):
    claimed.replace(
        "test_train.py",
        "@pytest.mark.claim(\n",
        '@pytest.mark.claim("the other way", better={"kernel": "linear"}, than={"kernel": "rbf"})\n'
        "@pytest.mark.claim(\n",
    )
    claimed.run()
    assert {row["claim"]: row["verdict"] for row in verdicts(claimed)} == {
        "the other way": "refuted",
        "an RBF kernel beats a linear one": "supported",
    }
    lines = [one for one in claimed.run().outlines if "supported" in one or "refuted" in one]
    assert "the other way" in lines[0]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('better={"kernel"', 'better={"kernal"', "'kernal', which is no parameter of the grid"),
        ('better={"kernel": "rbf"}', 'better={"seed": 1}', "'seed', which is a replicate"),
        ('than={"kernel": "linear"}', 'than={"kernel": "rbf"}', "are the same"),
        ('than={"kernel": "linear"}', "than={}", "than must be parameters"),
        ('than={"kernel": "linear"}', "then={}", "no argument 'then': did you mean 'than'"),
        ('than={"kernel": "linear"}', 'than={"kernel": "linear"}, margin="1"', "margin must be"),
        (
            'than={"kernel": "linear"}',
            'than={"kernel": "linear"}, metric="m"',
            "which way it is better",
        ),
        ('"an RBF kernel beats a linear one", ', "", "takes one sentence"),
        ('experiment(metric="accuracy")', "experiment()", "which metric?"),
    ],
)
def test_a_mistaken_claim_is_refused_with_its_place(claimed, old, new, sentence):
    claimed.replace("test_train.py", old, new)
    result = claimed.run()
    assert result.ret == 4
    text = result.stderr.str()
    assert "@pytest.mark.claim of test_train.py::test_fit" in text
    assert sentence in text
