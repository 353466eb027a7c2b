"""A file of data, read as a table and checked."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pytest_kepler.checks import codes
from pytest_kepler.checks.families import examine_data
from pytest_kepler.checks.predicates import plural
from pytest_kepler.errors import KeplerUsageError, first_line_of, nearest

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_kepler.checks.config import CheckConfig
    from pytest_kepler.checks.running import Outcome

_PARQUET: Final = {".parquet", ".pq"}
_TEXT: Final = {".csv", ".tsv", ".txt"}
_SEPARATORS: Final = (",", ";", "\t", "|")
_HEAD_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What came of the checks of a file, how large it is, and how many notes were left out."""

    outcome: Outcome
    n_rows: int
    n_columns: int
    n_left_out: int = 0

    @property
    def summary(self) -> str:
        """How much was looked at, in one line."""
        found = self.outcome.findings
        n_found, lacking = len({one.code for one in found}), len(self.outcome.not_applicable)
        return (
            f"{plural(self.n_rows, 'row')}, {plural(self.n_columns, 'column')}: "
            f"{plural(len(self.outcome.passed), 'check')} passed, {n_found:,} found something"
            f"{f', {lacking:,} could not judge' if lacking else ''}{self._notes}."
            f"{f' What one means: kepler check {found[0].code}' if found else ''}"
        )

    @property
    def _notes(self) -> str:
        if not self.n_left_out:
            return ""
        shows = "shows it" if self.n_left_out == 1 else "shows them"
        return f", {plural(self.n_left_out, 'note')} (--notes {shows})"

    def without_notes(self) -> FileOutcome:
        """Return the same without notes, but for what the checks say of themselves."""
        found = self.outcome.findings
        kept = [one for one in found if one.severity != "note" or one.code == codes.GENERAL]
        outcome = replace(self.outcome, findings=kept)
        return replace(self, outcome=outcome, n_left_out=len(found) - len(kept))


def examine_file(path: Path, target: str | None, config: CheckConfig) -> FileOutcome:
    """Run the checks of data on a CSV or Parquet file.

    Parameters
    ----------
    path : Path
        Its suffix tells the format: ``.parquet`` and ``.pq``, else text with a line of names.
    target : str or None
        The column that is to be predicted.
    config : CheckConfig
        The settings of the project.

    Raises
    ------
    KeplerUsageError
        If the file or the column is not there, or the file cannot be read, or has no rows.
    """
    frame = read_table(path)
    if not frame.shape[0]:
        raise KeplerUsageError(f"{path} has no rows, only names of columns: nothing can be judged.")
    if target is None:
        return FileOutcome(examine_data(frame, None, None, config), *frame.shape)
    names = [str(name) for name in frame.columns]
    if target not in names:
        raise KeplerUsageError(f"{path} has no column {target!r}: {nearest(target, names)}")
    y = frame[target]
    if getattr(y, "ndim", 1) != 1:
        raise KeplerUsageError(f"{path} has several columns {target!r}: rename all but one.")
    X = frame.drop(columns=target) if hasattr(frame, "iloc") else frame.drop(target)
    return FileOutcome(examine_data(X, y, None, config), *frame.shape)


def read_table(path: Path) -> Any:
    """Return a file as a pandas frame, or a polars frame where only polars is installed.

    Raises
    ------
    KeplerUsageError
        If it is not there, cannot be read, or no library is installed that could.
    """
    if not path.is_file():
        what = f"{path} is a folder" if path.is_dir() else f"There is no file {path}"
        msg = f"{what}: name a CSV or Parquet file, or a check such as K304."
        raise KeplerUsageError(msg)
    suffix = path.suffix.lower()
    if suffix not in _PARQUET | _TEXT:
        msg = f"{path} is not read: name a file that ends in .csv, .tsv, .txt or .parquet."
        raise KeplerUsageError(msg)
    name = next((name for name in ("pandas", "polars") if importlib.util.find_spec(name)), None)
    if name is None:
        msg = f"Reading {path} needs pandas or polars: pip install pandas."
        raise KeplerUsageError(msg)
    library = importlib.import_module(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the checks tell of mixed types
            return _read(library, path, is_parquet=suffix in _PARQUET)
    except Exception as error:
        # The libraries raise errors of their own, and those of the parsers below them.
        msg = f"{path} cannot be read as a table: {first_line_of(error)}"
        raise KeplerUsageError(msg) from error


def _read(library: Any, path: Path, *, is_parquet: bool) -> Any:
    if is_parquet:
        return library.read_parquet(path)
    separator = _separator(path)
    if library.__name__ == "pandas":
        return library.read_csv(path, sep=separator, low_memory=False)
    return library.read_csv(path, separator=separator, infer_schema_length=None)


def _separator(path: Path) -> str:
    """Return what separates the names in the first line."""
    with path.open("rb") as file:
        head = file.readline(_HEAD_BYTES).decode("utf-8", errors="replace")
    return max(_SEPARATORS, key=head.count)
