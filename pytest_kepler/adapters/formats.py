"""The file formats of saved objects: which one an object is written in, and how it is read back.

Nothing that is read runs code that the file brings along, unless whoever reads it trusts it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler import adapters
from pytest_kepler.adapters.plain import article, class_name
from pytest_kepler.errors import ExperimentError

if TYPE_CHECKING:
    from pytest_kepler.records import Artifact

#: What `experiment.save(…, format=…)` may name; by default the object decides.
NAMED: Final = ("pickle",)
#: The key under which a file of tensors holds a single one.
_ONLY_TENSOR: Final = "tensor"


@dataclass(frozen=True, slots=True)
class Format:
    """How one object is written.

    Attributes
    ----------
    kind : str
        ``model``, ``weights`` (of torch), ``figure``, ``frame``, ``array``, ``json``, ``text``,
        ``bytes``, ``file`` or ``pickle``; kind and suffix together say how it is read.
    suffix : str
        Of the file.
    write : callable
        Writes the object to a path.
    """

    kind: str
    suffix: str
    write: Callable[[Path], object]


def format_of(value: Any, name: str | None = None) -> Format:
    """Return the format that an object is written in.

    Parameters
    ----------
    value : object
        What is to be saved.
    name : str, optional
        ``pickle``, where the user asked for it.

    Raises
    ------
    ExperimentError
        If there is no way to write such an object, or no format of that name.
    """
    if name is not None:
        if name not in NAMED:
            raise ExperimentError(
                f"experiment.save knows no format {name!r}: leave it out, and the object decides, "
                "or write format='pickle'."
            )
        return _pickle(value)
    for find in (_file, _text, _figure, _frame, _array, _torch, _tree, _model):
        form = find(value)
        if form is not None:
            return form
    raise ExperimentError(
        f"experiment.save cannot write {article(class_name(type(value)))}: it takes models, "
        "figures, frames, arrays, tensors, dicts and lists, text, bytes, and the Path of a file; "
        "format='pickle' writes any object, which is read back only where it is trusted."
    )


def read(kind: str, path: Path, *, trusted: bool = False, into: Any = None) -> Any:
    """Read an object back.

    Parameters
    ----------
    kind : str
        As `Format` has it.
    path : Path
        The file, with the suffix that it was written with.
    trusted : bool
        Whether code that the file names may run: a pickle, classes of a skops file that skops
        does not know, Keras' ``Lambda`` layers.
    into : torch.nn.Module, optional
        Takes the weights that the file holds, and is returned.

    Raises
    ------
    ExperimentError
        If the file needs to be trusted, its library is not installed, or `into` does not fit.
    """
    if into is not None and kind != "weights":
        raise ExperimentError(
            f"into= is for the weights of a torch module, and this is {article(kind)}: leave it "
            "out, and what was saved is returned."
        )
    if kind in {"file", "figure"}:
        return path
    if kind == "pickle":
        return _read_pickle(path, trusted=trusted)
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise ExperimentError(f"{path.name} is of no format that pytest-kepler reads.")
    try:
        value = reader(path, trusted)
    except ImportError as error:
        raise ExperimentError(
            f"To read {path.name}, install {error.name or error}: it is not there."
        ) from error
    return value if into is None else _fill(into, value)


def load(folder: Path, artifact: Artifact, *, trusted: bool = False, into: Any = None) -> Any:
    """Read an artefact back, if it is still what was saved.

    Parameters
    ----------
    folder : Path
        The journal's folder.
    artifact : Artifact
        As it was recorded.
    trusted, into
        See `read`.

    Raises
    ------
    ExperimentError
        If the file is gone or changed, or cannot be read so.
    """
    path = folder / artifact.path
    try:
        is_as_saved = digest(path) == artifact.sha256
    except OSError as error:
        raise ExperimentError(
            f"The artefact {artifact.name!r} cannot be read: {path}: {error.strerror}."
        ) from error
    if not is_as_saved:
        raise ExperimentError(
            f"The artefact {artifact.name!r} is not what was saved: the content of {path} has "
            "changed. `kepler doctor --repair` moves it aside, and its run runs again."
        )
    return read(artifact.kind, path, trusted=trusted, into=into)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, by which artefacts are named."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Plain things


def _file(value: Any) -> Format | None:
    if not isinstance(value, Path):
        return None
    if not value.is_file():
        what = "is a folder: save its files, or an archive" if value.is_dir() else "does not exist"
        raise ExperimentError(f"experiment.save: {value} {what}.")
    return Format("file", value.suffix, lambda path: shutil.copyfile(value, path))


def _text(value: Any) -> Format | None:
    if isinstance(value, str):
        # As it is: no translation of line ends, on any platform.
        return Format("text", ".txt", lambda path: path.write_bytes(value.encode()))
    if isinstance(value, bytes):
        return Format("bytes", ".bin", lambda path: path.write_bytes(value))
    return None


def _tree(value: Any) -> Format | None:
    if not isinstance(value, Mapping | list | tuple):
        return None

    def write(path: Path) -> None:
        text = json.dumps(value, default=_plain_leaf, indent=1, ensure_ascii=False)
        path.write_bytes(text.encode())

    return Format("json", ".json", write)


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


def _pickle(value: Any) -> Format:
    def write(path: Path) -> None:
        import pickle

        try:
            path.write_bytes(pickle.dumps(value))
        except (pickle.PicklingError, AttributeError) as error:
            raise TypeError(str(error)) from error

    return Format("pickle", ".pkl", write)


def _read_pickle(path: Path, *, trusted: bool) -> Any:
    if not trusted:
        raise ExperimentError(
            f"{path.name} is a pickle, which can run any code when it is read. If you know who "
            "wrote it, load it with trusted=True."
        )
    import pickle

    return pickle.loads(path.read_bytes())  # noqa: S301  # the caller vouches for it


# Figures


def _figure(value: Any) -> Format | None:
    """Match figures of matplotlib, its axes, and what wraps them (seaborn's grids)."""
    owner = value if hasattr(value, "savefig") else _figure_of_axes(value)
    return Format("figure", ".png", owner.savefig) if owner is not None else None


def _figure_of_axes(value: Any) -> Any | None:
    return value.get_figure() if _is(value, "matplotlib.axes", "Axes") else None


# Frames


def _frame(value: Any) -> Format | None:
    for name in ("DataFrame", "Series"):
        if _is(value, "pandas", name):
            return _pandas(value if name == "DataFrame" else value.to_frame())
        if _is(value, "polars", name):
            frame = value if name == "DataFrame" else value.to_frame()
            return Format("frame", ".parquet", frame.write_parquet)
    return None


def _pandas(frame: Any) -> Format:
    if importlib.util.find_spec("pyarrow") is None or not _fits_parquet(frame):
        return Format("frame", ".csv", frame.to_csv)
    return Format("frame", ".parquet", frame.to_parquet)


def _fits_parquet(frame: Any) -> bool:
    """Tell whether Arrow has a type for each column; a mixed one of objects has none."""
    import pyarrow as pa

    try:
        pa.Table.from_pandas(frame)
    except (pa.ArrowException, TypeError, ValueError, KeyError):
        return False
    return len(set(map(str, frame.columns))) == len(frame.columns)


def _read_parquet(path: Path, _trusted: bool) -> Any:
    """Read a frame with the library that wrote it: pandas says so in the file."""
    if importlib.util.find_spec("polars") is not None and not _is_written_by_pandas(path):
        import polars as pl

        return pl.read_parquet(path)
    import pandas as pd

    return pd.read_parquet(path)


def _is_written_by_pandas(path: Path) -> bool:
    if importlib.util.find_spec("pyarrow") is None:
        return False
    from pyarrow import parquet

    return b"pandas" in (parquet.read_schema(path).metadata or {})


def _read_csv(path: Path, _trusted: bool) -> Any:
    import pandas as pd

    return pd.read_csv(path, index_col=0)


# Arrays and tensors


def _array(value: Any) -> Format | None:
    if isinstance(value, np.ndarray):
        # Objects would be pickled: code that runs when it is read.
        return Format("array", ".npy", lambda path: np.save(path, value, allow_pickle=False))
    issparse = getattr(sys.modules.get("scipy.sparse"), "issparse", None)
    if issparse is not None and issparse(value):
        from scipy import sparse

        return Format("array", ".npz", lambda path: sparse.save_npz(path, value))
    return None


def _read_sparse(path: Path, _trusted: bool) -> Any:
    from scipy import sparse

    return sparse.load_npz(path)


def _torch(value: Any) -> Format | None:
    """Match a module, its state, and tensors alone or by name."""
    if _is(value, "torch.nn", "Module"):
        return _safetensors("weights", value.state_dict(), type(value))
    if _is(value, "torch", "Tensor"):
        return _safetensors("array", {_ONLY_TENSOR: value}, type(value))
    is_named = isinstance(value, Mapping) and all(isinstance(name, str) for name in value)
    if is_named and value and all(_is(leaf, "torch", "Tensor") for leaf in value.values()):
        return _safetensors("weights", value, type(value))
    return None


def _safetensors(kind: str, tensors: Mapping[str, Any], cls: type) -> Format:
    if importlib.util.find_spec("safetensors") is None:
        raise ExperimentError(
            "experiment.save needs the package safetensors to write tensors, and it is not "
            "installed: pip install 'pytest-kepler[torch]'."
        )
    others = [name for name, leaf in tensors.items() if not _is(leaf, "torch", "Tensor")]
    if others:
        raise ExperimentError(
            f"experiment.save writes tensors alone, and {others[0]!r} in the state of "
            f"{article(class_name(cls))} is none: save a dict without it."
        )

    def write(path: Path) -> None:
        from safetensors.torch import save_file

        # Each on its own: weights that are tied share their memory, which the format has no word
        # for. They are tied again in the module that takes them.
        whole = {name: leaf.detach().cpu().contiguous().clone() for name, leaf in tensors.items()}
        save_file(whole, path)

    return Format(kind, ".safetensors", write)


def _read_safetensors(path: Path, _trusted: bool) -> Any:
    from safetensors.torch import load_file

    tensors = load_file(path)
    return tensors[_ONLY_TENSOR] if set(tensors) == {_ONLY_TENSOR} else tensors


def _fill(module: Any, state: Any) -> Any:
    if not callable(getattr(module, "load_state_dict", None)) or not isinstance(state, Mapping):
        raise ExperimentError(
            f"into= takes a torch module, got {article(class_name(type(module)))}."
        )
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ExperimentError(
            f"The saved weights do not fit {article(class_name(type(module)))}: {error}"
        ) from error
    return module


# Models


def _model(value: Any) -> Format | None:
    if not hasattr(value, "fit"):
        return None
    adapter = adapters.find(value, "experiment.save")
    return Format("model", adapter.suffix(value), lambda path: adapter.dump(value, path))


def _read_skops(path: Path, trusted: bool) -> Any:
    from pytest_kepler.adapters.sklearn import training

    return training.load(path, trusted=trusted)


def _read_keras(path: Path, trusted: bool) -> Any:
    from pytest_kepler.adapters.keras import training

    return training.load(path, trusted=trusted)


_READERS: Final[dict[str, Callable[[Path, bool], Any]]] = {
    ".txt": lambda path, _trusted: path.read_bytes().decode(),
    ".bin": lambda path, _trusted: path.read_bytes(),
    ".json": lambda path, _trusted: json.loads(path.read_bytes()),
    ".npy": lambda path, _trusted: np.load(path, allow_pickle=False),
    ".npz": _read_sparse,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".safetensors": _read_safetensors,
    ".skops": _read_skops,
    ".keras": _read_keras,
}


def _is(value: Any, module: str, name: str) -> bool:
    """Tell whether a value is of a class of a library; one that is not loaded has no values."""
    cls = getattr(sys.modules.get(module), name, None)
    return isinstance(cls, type) and isinstance(value, cls)
