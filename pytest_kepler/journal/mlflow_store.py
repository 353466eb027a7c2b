"""To and from MLflow, by its own client: files, SQLite or a tracking server."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.errors import JournalError
from pytest_kepler.journal.foreign import (
    ForeignRun,
    Moved,
    Point,
    file_of,
    id_of,
    import_runs,
    library,
    outgoing,
    value_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_kepler.journal.foreign import Outgoing
    from pytest_kepler.journal.place import Place

_TAG: Final = "kepler.run_id"
#: MLflow takes no more at once, nor longer values, nor other characters in names.
_METRICS_AT_ONCE: Final = 1000
_PARAMS_AT_ONCE: Final = 100
_LONGEST: Final = 6000
_NOT_IN_NAMES: Final = re.compile(r"[^\w\-. /]")
_RUNS_AT_ONCE: Final = 1000

_STATUS_THERE: Final = {"passed": "FINISHED", "xfailed": "FINISHED", "interrupted": "KILLED"}
_STATUS_HERE: Final = {"FINISHED": "passed", "FAILED": "error", "KILLED": "interrupted"}


def export(place: Place, target: str) -> Moved:
    """Write the executed runs to an MLflow store; those that are there are left.

    Parameters
    ----------
    place : Place
        The journal.
    target : str
        A folder, a database such as ``sqlite:///mlflow.db``, or the address of a server.

    Raises
    ------
    JournalError
        If MLflow is not installed or refuses.
    """
    client = _client(target)
    moved = Moved()
    experiments: dict[str, tuple[str, set[str]]] = {}
    for one in outgoing(place):
        with _told(target):
            name = one.run.experiment
            if name not in experiments:
                experiments[name] = _experiment(client, name)
            experiment_id, there = experiments[name]
            if one.run.run_id in there:
                moved.n_there += 1
                continue
            _write(client, experiment_id, place, one)
        moved.n_runs += 1
    return moved


def _client(uri: str) -> Any:
    # A command that moves runs is not to report to anybody that it does.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    if "://" not in uri:  # MLflow asks whether a store of files is meant
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        uri = Path(uri).absolute().as_uri()
    mlflow = library("mlflow", "mlflow")
    with _told(uri):
        return mlflow.MlflowClient(tracking_uri=uri)


class _told:  # noqa: N801  # used as a function
    """Turns what MLflow raises into a sentence."""

    def __init__(self, store: str) -> None:
        self._store = store

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Exception) and type(error).__module__.startswith("mlflow"):
            msg = f"MLflow refuses {self._store}: {' '.join(str(error).split())[:300]}"
            raise JournalError(msg) from error


def _experiment(client: Any, name: str) -> tuple[str, set[str]]:
    """Return an experiment's id there, and which of our runs it has."""
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name)), set()
    runs = _pages(client, [found.experiment_id])
    return str(found.experiment_id), {run.data.tags.get(_TAG, "") for run in runs}


def _pages(client: Any, experiment_ids: Sequence[str]) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs(experiment_ids, max_results=_RUNS_AT_ONCE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _write(client: Any, experiment_id: str, place: Place, one: Outgoing) -> None:
    from mlflow.entities import Metric, Param

    run = one.run
    made = client.create_run(
        experiment_id,
        start_time=_milliseconds(run.started_at.timestamp()),
        tags={_TAG: run.run_id, **_tags(one)},
        run_name=one.name,
    )
    run_id = made.info.run_id
    params = [Param(_name(name), str(value)[:_LONGEST]) for name, value in run.params.items()]
    metrics = [
        Metric(_name(name), point.value, _milliseconds(point.at), point.step or 0)
        for name, points in one.points.items()
        for point in points
    ]
    for some in _portions(params, _PARAMS_AT_ONCE):
        client.log_batch(run_id, params=some)
    for some in _portions(metrics, _METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=some)
    _copy_artifacts(client, run_id, place, one)
    status = _STATUS_THERE.get(run.status, "FAILED")
    client.set_terminated(run_id, status=status, end_time=_milliseconds(one.ended_at))


def _tags(one: Outgoing) -> dict[str, str]:
    run = one.run
    tags = {
        "kepler.status": run.status,
        "kepler.node_id": run.node_id,
        "kepler.identity": run.identity,
        "kepler.data_hash": run.data_hash,
        "kepler.message": run.message[:_LONGEST],
        "mlflow.note.content": run.hypothesis,
        "mlflow.source.git.commit": run.commit,
    }
    return {name: value for name, value in tags.items() if value}


def _copy_artifacts(client: Any, run_id: str, place: Place, one: Outgoing) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for artifact in one.artifacts:
            file = file_of(place, artifact)
            if file is not None:
                named = Path(folder) / f"{_name(artifact.name).replace('/', '_')}{file.suffix}"
                shutil.copyfile(file, named)
                client.log_artifact(run_id, str(named))


def _name(name: str) -> str:
    return _NOT_IN_NAMES.sub("_", name)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _portions(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def import_(place: Place, source: str) -> Moved:
    """Bring the runs of an MLflow store into the journal; those that are there are left.

    A run that `export` wrote comes back under its own id. Files stay where they are; the fact
    ``mlflow`` says where. Runs that are not over are left out, and named.

    Parameters
    ----------
    place : Place
        The journal.
    source : str
        A folder, a database such as ``sqlite:///mlflow.db``, or the address of a server.

    Raises
    ------
    JournalError
        If MLflow is not installed or refuses, or the journal cannot be written.
    """
    if "://" not in source and not Path(source).is_dir():
        msg = f"There is no folder {source} with an MLflow store."
        raise JournalError(msg)
    client = _client(source)
    left_out: list[str] = []
    with _told(source):
        names = {one.experiment_id: one.name for one in client.search_experiments()}
        runs = list(_foreign(client, names, left_out)) if names else []
    moved = import_runs(place, source, runs)
    moved.left_out = left_out
    return moved


def _foreign(client: Any, names: Mapping[str, str], left_out: list[str]) -> Iterable[ForeignRun]:
    for run in _pages(client, list(names)):
        info, data = run.info, run.data
        if info.status not in _STATUS_HERE:
            left_out.append(f"{info.run_id} is {str(info.status).lower()}")
            continue
        started = (info.start_time or 0) / 1000
        tags = {name: value for name, value in data.tags.items() if not name.startswith("mlflow.")}
        about = {"run_id": info.run_id, "artifacts": info.artifact_uri}
        yield ForeignRun(
            run_id=data.tags.get(_TAG) or id_of("mlflow", info.run_id),
            experiment=names[info.experiment_id],
            name=info.run_name or info.run_id,
            status=data.tags.get("kepler.status") or _STATUS_HERE[info.status],
            started_at=started,
            seconds=max(0.0, (info.end_time or info.start_time or 0) / 1000 - started),
            params={name: value_of(value) for name, value in data.params.items()},
            points={name: _history(client, info.run_id, name) for name in data.metrics},
            facts={"mlflow": about} | ({"mlflow_tags": tags} if tags else {}),
        )


def _history(client: Any, run_id: str, name: str) -> list[Point]:
    history = client.get_metric_history(run_id, name)
    return [Point(one.step, one.value, one.timestamp / 1000) for one in history]
