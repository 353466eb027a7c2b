"""Artefacts: whatever is saved becomes a file named by its content, kept once."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import secrets
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pytest_kepler import adapters
from pytest_kepler.adapters.plain import article, class_name
from pytest_kepler.errors import ExperimentError, JournalError

FOLDER: Final = "artifacts"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that holds a saved object.

    Attributes
    ----------
    kind : str
        ``model``, ``figure``, ``frame``, ``array``, ``json``, ``text``, ``bytes`` or ``file``.
    sha256 : str
        Of the file's content.
    path : Path
        Where it lies, ``artifacts/ab/ab….npy`` in the journal's folder.
    read : callable
        Reads the object back from the path.
    """

    kind: str
    sha256: str
    n_bytes: int
    path: Path
    read: Callable[[Path], Any]


@dataclass(frozen=True, slots=True)
class _Format:
    kind: str
    suffix: str
    write: Callable[[Path], object]
    read: Callable[[Path], Any]


def save(folder: Path, name: str, value: Any) -> Artifact:
    """Write `value` below `folder`; equal content is one file.

    Parameters
    ----------
    folder : Path
        The journal's folder.
    name : str
        What the artefact is called, for the error's sentence.

    Raises
    ------
    ExperimentError
        If there is no way to write such an object.
    JournalError
        If the folder cannot be written.
    """
    form = _format(value)
    temporary = folder / FOLDER / f"{secrets.token_hex(8)}.new{form.suffix}"
    try:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        form.write(temporary)
        return _settle(folder, temporary, form)
    except OSError as error:
        raise JournalError(
            f"experiment.save cannot write {name!r} below {folder / FOLDER}: {error.strerror}."
        ) from error
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ExperimentError(
            f"experiment.save cannot write {name!r}, {article(class_name(type(value)))}: {error}"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # moved to its place, or never made
            temporary.unlink()


def _settle(folder: Path, temporary: Path, form: _Format) -> Artifact:
    with temporary.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    n_bytes = temporary.stat().st_size
    path = folder / FOLDER / sha256[:2] / f"{sha256}{form.suffix}"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        # Complete or not there: a reader never sees half a file, nor does a second writer.
        temporary.replace(path)
    return Artifact(form.kind, sha256, n_bytes, path, form.read)


def _format(value: Any) -> _Format:
    for find in (_file, _text, _figure, _frame, _array, _tree, _model):
        form = find(value)
        if form is not None:
            return form
    raise ExperimentError(
        f"experiment.save cannot write {article(class_name(type(value)))}: it takes models, "
        "figures, frames, arrays, dicts and lists, text, bytes, and the Path of a file."
    )


def _file(value: Any) -> _Format | None:
    if not isinstance(value, Path):
        return None
    if not value.is_file():
        what = "is a folder: save its files, or an archive" if value.is_dir() else "does not exist"
        raise ExperimentError(f"experiment.save: {value} {what}.")
    return _Format(
        "file", value.suffix, lambda path: shutil.copyfile(value, path), lambda path: path
    )


def _text(value: Any) -> _Format | None:
    if isinstance(value, str):
        return _Format(
            "text",
            ".txt",
            # As it is: no translation of line ends, on any platform.
            lambda path: path.write_bytes(value.encode()),
            lambda path: path.read_bytes().decode(),
        )
    if isinstance(value, bytes):
        return _Format("bytes", ".bin", lambda path: path.write_bytes(value), Path.read_bytes)
    return None


def _figure(value: Any) -> _Format | None:
    """Match figures of matplotlib, its axes, and what wraps them (seaborn's grids)."""
    owner = value if hasattr(value, "savefig") else _figure_of_axes(value)
    if owner is None:
        return None
    return _Format("figure", ".png", owner.savefig, lambda path: path)


def _figure_of_axes(value: Any) -> Any | None:
    axes = _loaded("matplotlib.axes", "Axes")
    return value.get_figure() if axes is not None and isinstance(value, axes) else None


def _frame(value: Any) -> _Format | None:
    for name in ("DataFrame", "Series"):
        if _is(value, "pandas", name):
            return _pandas(value if name == "DataFrame" else value.to_frame())
        if _is(value, "polars", name):
            return _polars(value if name == "DataFrame" else value.to_frame())
    return None


def _pandas(frame: Any) -> _Format:
    import pandas as pd

    if importlib.util.find_spec("pyarrow") is None or not _fits_parquet(frame):
        return _Format("frame", ".csv", frame.to_csv, lambda path: pd.read_csv(path, index_col=0))
    return _Format("frame", ".parquet", frame.to_parquet, pd.read_parquet)


def _fits_parquet(frame: Any) -> bool:
    """Tell whether Arrow has a type for each column; a mixed one of objects has none."""
    import pyarrow as pa

    try:
        pa.Table.from_pandas(frame)
    except (pa.ArrowException, TypeError, ValueError, KeyError):
        return False
    return len(set(map(str, frame.columns))) == len(frame.columns)


def _polars(frame: Any) -> _Format:
    import polars as pl

    return _Format("frame", ".parquet", frame.write_parquet, pl.read_parquet)


def _array(value: Any) -> _Format | None:
    if _is(value, "numpy", "ndarray"):
        import numpy as np

        # Objects would be pickled: code that runs when it is read.
        return _Format(
            "array", ".npy", lambda path: np.save(path, value, allow_pickle=False), np.load
        )
    issparse = _loaded("scipy.sparse", "issparse")
    if issparse is not None and issparse(value):
        from scipy import sparse

        return _Format("array", ".npz", lambda path: sparse.save_npz(path, value), sparse.load_npz)
    return None


def _tree(value: Any) -> _Format | None:
    if not isinstance(value, Mapping | list | tuple):
        return None
    if any(_is(leaf, "torch", "Tensor") for leaf in _leaves(value)):
        raise ExperimentError(
            "experiment.save does not write torch tensors: write them with torch.save to a file "
            "in experiment.dir, and save that file's Path."
        )

    def write(path: Path) -> None:
        text = json.dumps(value, default=_plain_leaf, indent=1, ensure_ascii=False)
        path.write_bytes(text.encode())

    return _Format("json", ".json", write, lambda path: json.loads(path.read_bytes()))


def _leaves(value: Any) -> Any:
    return value.values() if isinstance(value, Mapping) else value


def _plain_leaf(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    for convert in ("tolist", "isoformat"):  # NumPy's arrays and scalars; dates
        if hasattr(value, convert):
            return getattr(value, convert)()
    if isinstance(value, Path):
        return str(value)
    msg = f"it holds {article(class_name(type(value)))}, which JSON has no form for"
    raise TypeError(msg)


def _model(value: Any) -> _Format | None:
    if not hasattr(value, "fit"):
        if _is(value, "torch.nn", "Module"):
            raise ExperimentError(
                "experiment.save does not write torch modules: write model.state_dict() with "
                "torch.save to a file in experiment.dir, and save that file's Path."
            )
        return None
    adapter = adapters.find(value, "experiment.save")
    return _Format(
        "model",
        adapter.suffix(value),
        lambda path: adapter.dump(value, path),
        adapter.load,
    )


def _is(value: Any, module: str, name: str) -> bool:
    cls = _loaded(module, name)
    return isinstance(cls, type) and isinstance(value, cls)


def _loaded(module: str, name: str) -> Any | None:
    return getattr(sys.modules.get(module), name, None)
