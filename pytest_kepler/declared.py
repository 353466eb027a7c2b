"""Declaring what a data fixture's content is, where the value itself cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pytest_kepler.errors import KeplerUsageError

ATTRIBUTE: Final = "__kepler_dataset__"

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Declared:
    """What a fixture's content is made of: files, relative to the file that declares them."""

    files: tuple[str, ...]
    version: str | None


def dataset(
    files: Sequence[str] | str = (), version: str | None = None
) -> Callable[[Function], Function]:
    """Declare the content of a data fixture; stands below ``@pytest.fixture``.

    A duplicate is then known before anything is loaded, and what has no content that can be read
    (``tf.data``, loaders, streams) has an identity: the files' contents, the version, and the
    code, parameters and inputs of the fixture.

    Parameters
    ----------
    files : sequence of str
        Paths and patterns, relative to the file that declares them: ``["data/**/*.jpg"]``.
    version : str, optional
        Stands for what is in no file; change it when the content changes.

    Raises
    ------
    KeplerUsageError
        If neither is given, or one has the wrong type.
    """
    bare: object = files
    if callable(bare):
        msg = 'pytest_kepler.dataset needs to be told what: @pytest_kepler.dataset(version="1").'
        raise KeplerUsageError(msg)
    patterns: tuple[object, ...] = (files,) if isinstance(files, str) else tuple(files)
    names = tuple(pattern for pattern in patterns if isinstance(pattern, str) and pattern)
    if len(names) < len(patterns):
        msg = f"pytest_kepler.dataset: files must be paths or patterns, got {files!r}."
        raise KeplerUsageError(msg)
    given: object = version
    if given is not None and not isinstance(given, str):
        msg = f"pytest_kepler.dataset: version must be a text, got {given!r}."
        raise KeplerUsageError(msg)
    if not names and version is None:
        msg = 'pytest_kepler.dataset declares nothing: give files=["data/*.csv"] or version="1".'
        raise KeplerUsageError(msg)

    def declare(function: Function) -> Function:
        if not hasattr(function, "__code__"):
            msg = "pytest_kepler.dataset stands below @pytest.fixture, not above it."
            raise KeplerUsageError(msg)
        setattr(function, ATTRIBUTE, Declared(names, version))
        return function

    return declare
