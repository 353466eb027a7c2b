"""Errors with hints: what was wrong, where, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class KeplerError(Exception):
    """Base of every error that pytest-kepler raises on purpose."""


class KeplerUsageError(KeplerError):
    """A mistake in a marker, an option, a setting or a command line (exit status 4)."""


class JournalError(KeplerError):
    """The journal or its spool cannot be read or written."""


class QueryError(KeplerError):
    """A query, filter or search that the journal cannot answer."""


class UnreadableValueError(KeplerError, TypeError):
    """A value that has no content which can be fingerprinted."""


class MetricError(KeplerError, ValueError):
    """A metric that is not a number, or that is not there."""


class ExperimentError(KeplerError):
    """A wrong use of the `experiment` fixture inside a test."""


def first_line_of(error: BaseException) -> str:
    """Return the first line of an error's message, or its class where it has none."""
    return str(error).strip().partition("\n")[0].rstrip() or type(error).__name__


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a sentence that leads from `name` to what is known.

    Parameters
    ----------
    name : str
        What was asked for.
    known : iterable of str
        What there is.

    Returns
    -------
    str
        ``did you mean 'x'?``, or the list of all names when none is near.
    """
    import difflib  # only a mistake needs it

    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1) or [
        other for other in names if other.lower() == name.lower()
    ]
    if near:
        return f"did you mean {near[0]!r}?"
    return f"there is: {', '.join(names)}" if names else "there is none yet"
