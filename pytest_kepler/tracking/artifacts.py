"""Artefacts: whatever is saved becomes a file named by its content, kept once."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.adapters import formats
from pytest_kepler.adapters.plain import article, class_name
from pytest_kepler.errors import ExperimentError, JournalError
from pytest_kepler.records import Artifact

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = "artifacts"


def save(folder: Path, name: str, value: Any, form: str | None = None) -> Artifact:
    """Write `value` below `folder`; equal content is one file.

    Parameters
    ----------
    folder : Path
        The journal's folder.
    name : str
        What the artefact is called.
    value : object
        What is saved.
    form : str, optional
        ``pickle``; by default the object decides.

    Raises
    ------
    ExperimentError
        If there is no way to write such an object.
    JournalError
        If the folder cannot be written.
    """
    found = formats.format_of(value, form)
    temporary = folder / FOLDER / f"{secrets.token_hex(8)}.new{found.suffix}"
    try:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        found.write(temporary)
        return _settle(folder, temporary, name, found)
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


def _settle(folder: Path, temporary: Path, name: str, found: formats.Format) -> Artifact:
    sha256 = formats.digest(temporary)
    n_bytes = temporary.stat().st_size
    path = f"{FOLDER}/{sha256[:2]}/{sha256}{found.suffix}"
    place = folder / path
    place.parent.mkdir(exist_ok=True)
    # Complete or not there: a reader never sees half a file, nor does a second writer. A file that
    # is there is replaced as well: it may be damaged, and what was saved just now is no rubbish.
    temporary.replace(place)
    return Artifact(name, found.kind, sha256, n_bytes, path)
