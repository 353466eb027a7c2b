"""Runs travel to MLflow and TensorBoard and back, each once, with every value."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kepler.errors import JournalError
from pytest_kepler.journal import Journal
from pytest_kepler.journal.foreign import ForeignRun, Point, id_of, import_runs, value_of
from pytest_kepler.journal.place import Place
from pytest_kepler.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path

RUN = "a" * 20
OTHER = "b" * 20


@pytest.fixture(autouse=True)
def _no_warnings_of_others(recwarn, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


def journal_in(folder: Path) -> Journal:
    return Journal(folder / ".kepler" / "journal.duckdb")


def record(journal: Journal) -> None:
    """Leave one run that passed, one that failed, and one that was blocked."""
    spool = Spool(journal.folder, "5e55-main")
    spool.write({"e": "session", "session": "5e55", "at": 1.0, "project": "p"})
    for run, status in ((RUN, "passed"), (OTHER, "failed"), ("c" * 20, "blocked")):
        spool.write(
            {
                "e": "run",
                "run": run,
                "session": "5e55",
                "experiment": "t.py::test_fit",
                "node": f"t.py::test_fit[{status}]",
                "at": 1_700_000_000.0,
                "params": {"lr": 0.1, "depth": 3, "name": "net: a", "flag": True},
                "hypothesis": "deeper is better",
                "spec": {},
            }
        )
        for step in range(3):
            spool.write(
                {
                    "e": "m",
                    "r": run,
                    "n": "val/loss",
                    "v": 1 / (step + 1),
                    "s": step,
                    "t": 1.7e9 + step,
                }
            )
        spool.write({"e": "m", "r": run, "n": "accuracy", "v": 0.5, "s": None, "t": 1.7e9 + 9})
        spool.write({"e": "end", "run": run, "at": 1.7e9 + 10, "status": status, "seconds": 10.0})
    spool.close()
    journal.ingest()


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.01", 0.01), ("3", 3), ("True", True), ("None", None), ("relu", "relu"), ("[1]", "[1]")],
)
def test_a_parameter_that_was_kept_as_text_is_a_number_again(text, value):
    assert value_of(text) == value
    assert type(value_of(text)) is type(value)


def test_a_run_is_imported_once_with_its_curve(tmp_path):
    place = Place(tmp_path / "journal.duckdb")
    points = {"loss": [Point(0, 2.0, 5.0), Point(1, math.nan, 6.0)]}
    run = ForeignRun(id_of("x", "1"), "net", "first", "passed", 5.0, 2.5, {"lr": 0.1}, points)
    first = import_runs(place, "there", [run])
    again = import_runs(place, "there", [run])
    assert (first.n_runs, again.n_runs, again.n_there) == (1, 0, 1)
    journal = Journal(place.file)
    (found,) = journal.all_runs()
    assert (found.experiment, found.seconds, found.params) == ("net", 2.5, {"lr": 0.1})
    assert journal.where("lr > 0.05").rows
    (zeroth, first_step) = journal.curves(found.run_id)["loss"]
    assert zeroth == (0, 2.0)
    assert math.isnan(first_step[1])


def test_without_its_library_the_sentence_says_what_to_install(tmp_path, monkeypatch):
    import importlib

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    for store in ("mlflow", "tensorboard"):
        with pytest.raises(JournalError, match=rf"pip install 'pytest-kepler\[{store}\]'"):
            journal_in(tmp_path).export_to(store, str(tmp_path / "out"))


# MLflow


@pytest.fixture(params=["files", "sqlite"])
def mlflow_store(request, tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)  # a database keeps its artefacts in ./mlruns
    target = tmp_path / ("runs" if request.param == "files" else "mlflow.db")
    return str(target) if request.param == "files" else f"sqlite:///{target}"


@pytest.mark.filterwarnings("ignore")
def test_runs_go_to_mlflow_and_come_back_the_same(mlflow_store, tmp_path):
    journal = journal_in(tmp_path / "here")
    record(journal)
    first = journal.export_to("mlflow", mlflow_store)
    again = journal.export_to("mlflow", mlflow_store)
    assert (first.n_runs, first.n_there) == (2, 0)
    assert (again.n_runs, again.n_there) == (0, 2)

    other = journal_in(tmp_path / "there")
    assert other.import_from("mlflow", mlflow_store).n_runs == 2
    assert other.import_from("mlflow", mlflow_store).n_there == 2
    ours = {run.run_id: run for run in journal.all_runs() if run.status != "blocked"}
    theirs = {run.run_id: run for run in other.all_runs()}
    assert theirs.keys() == ours.keys()
    for run_id, run in theirs.items():
        assert (run.params, run.status) == (ours[run_id].params, ours[run_id].status)
        assert (run.metrics, run.experiment) == (ours[run_id].metrics, ours[run_id].experiment)
        assert run.started_at == ours[run_id].started_at
        assert other.curves(run_id)["val/loss"] == journal.curves(run_id)["val/loss"]
    assert journal_in(tmp_path / "here").import_from("mlflow", mlflow_store).n_there == 2


@pytest.mark.filterwarnings("ignore")
def test_a_run_of_mlflows_own_is_imported(mlflow_store, tmp_path):
    from mlflow import MlflowClient

    uri = mlflow_store if "://" in mlflow_store else f"file://{mlflow_store}"
    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("nets")
    for name in ("done", "open"):
        run = client.create_run(experiment, run_name=name, tags={"owner": "ann"}).info.run_id
        client.log_param(run, "lr", 0.01)
        client.log_metric(run, "loss", 2.0, step=0)
        client.log_metric(run, "loss", 1.0, step=1)
        if name == "done":
            client.set_terminated(run)
    journal = journal_in(tmp_path / "here")
    moved = journal.import_from("mlflow", mlflow_store)
    assert moved.n_runs == 1
    assert moved.left_out[0].endswith("is running")
    (found,) = journal.all_runs()
    assert (found.experiment, found.params, found.metrics) == ("nets", {"lr": 0.01}, {"loss": 1.0})
    assert journal.curves(found.run_id)["loss"] == [(0, 2.0), (1, 1.0)]
    assert journal.run(found.run_id)["facts"]["mlflow_tags"] == {"owner": "ann"}


@pytest.mark.filterwarnings("ignore")
def test_what_a_run_saved_goes_to_mlflow_with_it(mlflow_store, tmp_path):
    from mlflow import MlflowClient

    journal = journal_in(tmp_path / "here")
    record(journal)
    (journal.folder / "artifacts").mkdir()
    (journal.folder / "artifacts" / "x.txt").write_text("text")
    spool = Spool(journal.folder, "more")
    spool.write(
        {
            "e": "artifact",
            "run": RUN,
            "name": "notes",
            "kind": "text",
            "sha256": "",
            "n_bytes": 4,
            "path": "artifacts/x.txt",
            "at": time.time(),
        }
    )
    spool.close()
    journal.export_to("mlflow", mlflow_store)
    uri = mlflow_store if "://" in mlflow_store else f"file://{mlflow_store}"
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("t.py::test_fit")
    runs = client.search_runs([experiment.experiment_id])
    saved = [one.path for run in runs for one in client.list_artifacts(run.info.run_id)]
    assert saved == ["notes.txt"]


def test_a_folder_that_is_not_there_holds_no_mlflow_store(tmp_path):
    with pytest.raises(JournalError, match="There is no folder"):
        journal_in(tmp_path).import_from("mlflow", str(tmp_path / "none"))


# TensorBoard


@pytest.fixture
def tensorboard():
    return pytest.importorskip("tensorboard")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("tensorboard")
def test_runs_go_to_tensorboard_and_come_back_with_their_curves(tmp_path):
    journal = journal_in(tmp_path / "here")
    record(journal)
    out = tmp_path / "logs"
    first = journal.export_to("tensorboard", str(out))
    again = journal.export_to("tensorboard", str(out))
    assert (first.n_runs, again.n_runs, again.n_there) == (2, 0, 2)
    other = journal_in(tmp_path / "there")
    assert other.import_from("tensorboard", str(out)).n_runs == 2
    assert other.import_from("tensorboard", str(out)).n_there == 2
    theirs = {run.run_id: run for run in other.all_runs()}
    assert theirs.keys() == {RUN, OTHER}
    assert theirs[RUN].params == {"lr": 0.1, "depth": 3, "name": "net: a", "flag": True}
    curve = other.curves(RUN)["val/loss"]
    assert [step for step, _ in curve] == [0, 1, 2]
    assert [value for _, value in curve] == pytest.approx([1, 1 / 2, 1 / 3])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("tensorboard")
def test_scalars_in_the_form_of_tensorflow_2_are_imported(tmp_path):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(tmp_path / "logs" / "train"))
    for step in range(3):
        summary = Summary()
        summary.ParseFromString(scalar_pb("loss", 1.0 / (step + 1)).SerializeToString())
        writer.add_event(Event(wall_time=1.7e9 + step, step=step, summary=summary))
    writer.close()
    journal = journal_in(tmp_path)
    journal.import_from("tensorboard", str(tmp_path / "logs"))
    (run,) = journal.all_runs()
    assert (run.experiment, run.node_id) == ("logs", "logs[train]")
    assert [step for step, _ in journal.curves(run.run_id)["loss"]] == [0, 1, 2]


@pytest.mark.usefixtures("tensorboard")
def test_a_folder_without_event_files_is_said(tmp_path):
    with pytest.raises(JournalError, match="no event files"):
        journal_in(tmp_path).import_from("tensorboard", str(tmp_path))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("tensorboard")
def test_the_command_says_how_many_runs_went_and_came(tmp_path, monkeypatch, capsys):
    from pytest_kepler import cli

    record(journal_in(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["export", "--format", "tensorboard", "logs"]) == 0
    assert capsys.readouterr().out == "logs: 2 new run(s), 0 known\n"
    command = ["import", "--format", "tensorboard", "logs", "--journal", "other.duckdb"]
    assert cli.main(command) == 0
    assert capsys.readouterr().out == "logs: 2 new run(s), 0 known\n"
    assert len(Journal(tmp_path / "other.duckdb").all_runs()) == 2
