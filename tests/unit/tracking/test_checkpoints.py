from __future__ import annotations

import multiprocessing
import os
import signal

import pytest

from pytest_kepler.errors import ExperimentError
from pytest_kepler.tracking.checkpoints import Checkpoint, joined


def test_the_second_run_learns_of_the_first_that_left_something(tmp_path):
    first = Checkpoint(tmp_path, "1d", "run-1")
    (first.folder / "epoch").write_text("3")
    first.close(passed=False)
    second = Checkpoint(tmp_path, "1d", "run-2")
    second.close(passed=False)
    third = Checkpoint(tmp_path, "1d", "run-3")
    assert (first.earlier, second.earlier, third.earlier) == ((), ("run-1",), ("run-1", "run-2"))
    assert (third.folder / "epoch").read_text() == "3"


def test_an_empty_folder_is_no_ground_to_go_on(tmp_path):
    Checkpoint(tmp_path, "1d", "run-1").close(passed=False)
    assert Checkpoint(tmp_path, "1d", "run-2").earlier == ()


def test_nothing_stays_of_a_run_that_passed(tmp_path):
    checkpoint = Checkpoint(tmp_path, "1d", "run-1")
    (checkpoint.folder / "epoch").write_text("3")
    checkpoint.close(passed=True)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_damaged_list_of_runs_is_as_none(tmp_path):
    first = Checkpoint(tmp_path, "1d", "run-1")
    (first.folder / "epoch").write_text("3")
    first.close(passed=False)
    (tmp_path / "checkpoints" / "1d.json").write_text('["run')
    assert Checkpoint(tmp_path, "1d", "run-2").earlier == ()


def hold(folder, ready):
    checkpoint = Checkpoint(folder, "1d", "run-1")
    (checkpoint.folder / "epoch").write_text("3")
    ready.send(True)
    signal.pause()


def test_two_processes_do_not_work_in_one_folder_and_a_killed_one_lets_go(tmp_path):
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=hold, args=(tmp_path, theirs))
    process.start()
    assert ours.recv()
    try:
        apart = Checkpoint(tmp_path, "1d", "run-2")
        assert apart.is_apart
        assert apart.folder.name == "run-2"
        apart.close(passed=True)
        assert (tmp_path / "checkpoints" / "1d" / "epoch").exists()
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    after = Checkpoint(tmp_path, "1d", "run-3")
    assert not after.is_apart
    assert after.earlier == ("run-1",)


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "checkpoints").write_text("in the way")
    with pytest.raises(ExperimentError, match=r"experiment\.checkpoint cannot make"):
        Checkpoint(tmp_path, "1d", "run-1")


def test_what_a_later_run_logged_again_replaces_the_earlier():
    first = {"loss": [(0, 3.0), (1, 2.0), (2, 1.5)], "warmup": [(0, 9.0)]}
    second = {"loss": [(2, 1.4), (3, 1.0)], "seconds": [(None, 5.0)]}
    assert joined([first, second]) == {
        "loss": [(0, 3.0), (1, 2.0), (2, 1.4), (3, 1.0)],
        "warmup": [(0, 9.0)],
    }


def test_a_resumed_run_takes_over_the_curves_up_to_where_it_goes_on(make_experiment, spool):
    def run(**changes):
        return make_experiment(identity=lambda: "1d", **changes)

    first = run()
    (first.checkpoint / "epoch").write_text("1")
    first.close()
    before = {"loss": [(0, 3.0), (1, 2.0), (2, 1.5)], "warmup": [(0, 9.0)]}
    second = run(earlier_curves=lambda _runs: [before])
    assert second.checkpoint == first.checkpoint
    second.log(n_rows=7.0)
    second.log(step=2, loss=1.4)
    second.log(step=3, loss=1.0)
    second.close(passed=True)
    assert spool.curve("loss") == [(0, 3.0), (1, 2.0), (2, 1.4), (3, 1.0)]
    assert spool.curve("warmup") == [(0, 9.0)]
    assert spool.facts["resumed_from"] == first.id
    assert dict(second.metrics) == {"n_rows": 7.0, "loss": 1.0, "warmup": 9.0}
