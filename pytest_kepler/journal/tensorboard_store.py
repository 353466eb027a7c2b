"""To and from TensorBoard's event files, by its own reader and writer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.errors import JournalError
from pytest_kepler.journal.foreign import (
    ForeignRun,
    Moved,
    Point,
    id_of,
    import_runs,
    library,
    outgoing,
)
from pytest_kepler.journal.place import cannot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_kepler.journal.foreign import Outgoing
    from pytest_kepler.journal.place import Place

_EXTRA: Final = "tensorboard"
_EVENTS: Final = "events.out.tfevents."
_RUN_ID: Final = re.compile(r"[0-9a-f]{20}")
#: Where TensorBoard keeps the parameters of a run.
_START: Final = "_hparams_/session_start_info"


def export(place: Place, folder: Path) -> Moved:
    """Write the values of each executed run to ``folder/EXPERIMENT/RUN``; existing ones are left.

    Parameters
    ----------
    place : Place
        The journal.
    folder : Path
        What ``tensorboard --logdir`` is given.

    Raises
    ------
    JournalError
        If TensorBoard is not installed, or the folder cannot be written.
    """
    library("tensorboard.summary.writer.event_file_writer", _EXTRA)
    moved = Moved()
    for one in outgoing(place):
        home = folder / re.sub(r"[^\w.-]+", "_", one.run.experiment) / one.run.run_id
        if home.exists():
            moved.n_there += 1
            continue
        try:
            _write(home, one)
        except OSError as error:
            raise cannot("write", home, error) from error
        moved.n_runs += 1
    return moved


def _write(home: Path, one: Outgoing) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    draft = home.with_name(f"{home.name}.new")  # complete or not there
    writer = EventFileWriter(str(draft))
    params = {name: _plain(value) for name, value in one.run.params.items()}
    started = one.run.started_at.timestamp()
    if params:
        summary = Summary()
        summary.ParseFromString(hparams_pb(params, start_time_secs=started).SerializeToString())
        writer.add_event(Event(wall_time=started, summary=summary))
    for name, points in one.points.items():
        for point in points:
            value = Summary.Value(tag=name, simple_value=point.value)
            summary = Summary(value=[value])
            writer.add_event(Event(wall_time=point.at, step=point.step or 0, summary=summary))
    writer.close()
    draft.rename(home)


def _plain(value: object) -> object:
    return value if isinstance(value, bool | int | float | str) else str(value)


def import_(place: Place, folder: Path) -> Moved:
    """Bring each folder of event files into the journal as a run; known ones are left.

    Scalars are taken, and what the HParams plugin knows of parameters. A run that `export` wrote
    comes back under its own id; another is known again by its place below `folder`.

    Parameters
    ----------
    place : Place
        The journal.
    folder : Path
        What ``tensorboard --logdir`` was given.

    Raises
    ------
    JournalError
        If TensorBoard is not installed, there are no event files, or the journal cannot be
        written.
    """
    library("tensorboard.backend.event_processing.event_accumulator", _EXTRA)
    homes = sorted({file.parent for file in folder.rglob(f"{_EVENTS}*")})
    if not homes:
        msg = f"There are no event files of TensorBoard below {folder}."
        raise JournalError(msg)
    left_out: list[str] = []
    moved = import_runs(place, str(folder.absolute()), _foreign(folder, homes, left_out))
    moved.left_out = left_out
    return moved


def _foreign(folder: Path, homes: list[Path], left_out: list[str]) -> Iterator[ForeignRun]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for home in homes:
        place = home.relative_to(folder).as_posix()
        events = EventAccumulator(str(home), size_guidance={"scalars": 0, "tensors": 0})
        events.Reload()
        points = _points(events)
        if not points:
            left_out.append(f"{place} has no scalars")
            continue
        times = [one.at for values in points.values() for one in values]
        above = Path(place).parent.as_posix()
        yield ForeignRun(
            run_id=home.name if _RUN_ID.fullmatch(home.name) else id_of(_EXTRA, place),
            experiment=folder.name if above == "." else above,
            name=home.name,
            status="passed",  # event files have no word for how a run ended
            started_at=min(times),
            seconds=max(times) - min(times),
            params=_params(events),
            points=points,
            facts={"tensorboard": {"folder": place}},
        )


def _points(events: Any) -> dict[str, list[Point]]:
    from tensorboard.util.tensor_util import make_ndarray

    tags = events.Tags()
    found = {
        tag: [Point(one.step, one.value, one.wall_time) for one in events.Scalars(tag)]
        for tag in tags["scalars"]
    }
    for tag in tags["tensors"]:  # as TensorFlow 2 writes its scalars
        if events.SummaryMetadata(tag).plugin_data.plugin_name == "scalars":
            found[tag] = [
                Point(one.step, float(make_ndarray(one.tensor_proto)), one.wall_time)
                for one in events.Tensors(tag)
            ]
    return found


def _params(events: Any) -> dict[str, Any]:
    from tensorboard.plugins.hparams import metadata

    try:
        content = events.PluginTagToContent(metadata.PLUGIN_NAME)
    except KeyError:  # how the reader says that there are none
        return {}
    if _START not in content:
        return {}
    start = metadata.parse_session_start_info_plugin_data(content[_START])
    return {name: _value(value) for name, value in start.hparams.items()}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    found = getattr(value, kind) if kind else None
    return int(found) if isinstance(found, float) and found.is_integer() else found
