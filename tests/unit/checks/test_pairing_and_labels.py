"""Rows and targets that do not belong together in a split, and targets with holes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from pytest_kepler import checks
from pytest_kepler.checks import families
from pytest_kepler.checks.config import CheckConfig

X, y = load_iris(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)


def judged(found):
    return [(one.code, one.severity, one.location.partition(",")[0]) for one in found]


# --- Splits -------------------------------------------------------------------------------


def test_a_split_that_is_sound_has_no_finding():
    assert checks.split(X_train, X_test, y_train, y_test, select="K115") == []
    assert checks.split(X_train, X_test, list(y_train), y_test.to_numpy(), select="K115") == []
    renumbered = y_test.reset_index(drop=True)
    assert checks.split(X_train, X_test, y_train, renumbered, select="K115") == []


def test_swapped_targets_are_found_on_both_sides():
    found = checks.split(X_train, X_test, y_test, y_train, select="K115")
    assert judged(found) == [("K115", "error", "train"), ("K115", "error", "test")]
    assert found[0].message == "The numbers of rows differ: X has 112, y has 38."


@pytest.mark.parametrize("side", ["train", "test"])
def test_a_shuffled_or_short_target_is_found_on_its_side(side):
    def split(**changed):
        parts = {"train": y_train, "test": y_test} | changed
        return checks.split(X_train, X_test, parts["train"], parts["test"], select="K1")

    own = {"train": y_train, "test": y_test}[side]
    for bad in (own.sample(frac=1, random_state=0), own[:-3]):
        found = [one for one in split(**{side: bad}) if one.code == "K115"]
        assert judged(found) == [("K115", "error", side)]


def test_a_side_without_a_target_is_not_counted_as_passed():
    outcome = families.examine_split(X_train, X_test, None, None, None, None, CheckConfig())
    assert "K115" not in outcome.passed
    assert outcome.not_applicable["K115"] == "there is nothing to compare the rows with"
    outcome = families.examine_split(X_train, X_test, y_train, None, None, None, CheckConfig())
    assert outcome.passed.count("K115") == 1


def test_what_is_not_selected_is_not_asked():
    assert checks.split(X_train, X_test, y_test, y_train, ignore="K115", select="K1") == []


# --- Targets with holes -------------------------------------------------------------------


def holed(target, n):
    values = target.astype(float).to_numpy().copy()
    values[np.random.default_rng(0).choice(len(values), n, replace=False)] = np.nan
    return pd.Series(values, index=target.index)


def with_leak(target):
    return X.assign(code=(target * 10).to_numpy())


@pytest.mark.parametrize("n", [1, 30])
@pytest.mark.parametrize("as_text", [False, True])
def test_missing_labels_do_not_hide_the_target_among_the_features(n, as_text):
    target = holed(y, n)
    names = pd.Series(np.array(["a", "b", "c"])[y], index=y.index, dtype=object)
    labels = names.where(target.notna(), None) if as_text else target
    found = {one.code: one for one in checks.data(with_leak(y), labels)}
    assert found["K309"].severity == "error"
    assert found["K309"].measured["n"] == 150 - n
    assert found["K305"].severity == "error"


def test_a_copy_with_the_same_holes_is_found():
    target = holed(y, 1)
    assert "K309" in {one.code for one in checks.data(with_leak(target), target)}


def test_an_array_and_a_sparse_matrix_lose_the_same_rows():
    from scipy.sparse import coo_matrix

    target = holed(y, 5).to_numpy()
    assert "K309" in {one.code for one in checks.data(with_leak(y).to_numpy(), target)}
    outcome = families.examine_data(coo_matrix(X.to_numpy()), target, None, CheckConfig())
    assert outcome.not_applicable["K309"] == "a sparse matrix is not read column by column"


def test_numbers_with_holes_are_judged_by_the_others():
    rows, numbers = load_diabetes(return_X_y=True, as_frame=True)
    target = holed(numbers, 4)
    copied = rows.assign(copy=2 * numbers + 1)
    assert "K309" in {one.code for one in checks.data(copied, target)}
    ranked = rows.assign(rank=np.log(numbers))
    assert "K310" in {one.code for one in checks.data(ranked, target)}
    assert [one.code for one in checks.data(rows, target)] == ["K305"]


def test_a_nearly_perfect_column_is_found_beside_missing_labels():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 400)
    rows = pd.DataFrame(rng.normal(size=(400, 3)), columns=list("abc"))
    leak = np.where(rng.random(400) < 0.004, 1 - label, label) + rng.normal(0, 0.01, 400)
    target = holed(pd.Series(label), 6)
    found = checks.data(rows.assign(leak=leak), target, model=LogisticRegression())
    assert "K310" in {one.code for one in found}
    assert [one.code for one in checks.data(rows, target, model=LogisticRegression())] == ["K305"]


def test_sound_data_with_missing_labels_has_no_other_finding():
    assert [one.code for one in checks.data(X, holed(y, 3))] == ["K305"]


def test_a_target_without_a_single_label_says_so():
    outcome = families.examine_data(X, np.full(150, np.nan), None, CheckConfig())
    assert outcome.not_applicable["K309"] == "no row has a label, and K305 tells of it"


def test_rows_that_contradict_each_other_keep_their_numbers():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(200, 4)))
    rows.iloc[100:150] = rows.iloc[:50].to_numpy()
    labels = pd.Series(["a", "b"] * 100, dtype=object)
    labels[100:150] = ["b", "a"] * 25
    labels[[0, 99, 110]] = None
    (found,) = [one for one in checks.data(rows, labels) if one.code == "K308"]
    # Rows 0 and 110 have no label, so rows 100 and 10 contradict nothing.
    assert found.measured["rows in conflict"] == 96
    assert found.location.startswith("rows 101 (a) and 1 (b), 2 (a) and 102 (b), 103 (a) and 3 (b)")


# --- Examples -----------------------------------------------------------------------------

COPIES = """
import pandas as pd
from pytest_kepler import checks

words = pd.Series([f"a sentence of some length that is number {i % 90} of all there are, and more"
                   for i in range(180)])
rows = pd.DataFrame({"text": words})
for one in checks.data(rows, [i % 2 for i in range(90)] + [(i + i // 9) % 2 for i in range(90)]):
    print(one.code, one.location, one.message)
"""


def test_the_same_data_gives_the_same_examples_in_each_process():
    said = {
        subprocess.run(
            [sys.executable, "-c", COPIES],
            env={"PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1
    assert "K302 row 0 (2 times), 1 (2 times), 2 (2 times)" in said.pop()
