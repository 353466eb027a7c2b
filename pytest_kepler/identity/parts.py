"""From fingerprints of the parts to one identity, and from two identities to a reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_kepler.records import EMPTY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_kepler.records import Run

_SHOWN = 3
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(value: object) -> str:
    """Return 32 hexadecimal digits of the SHA-256 of a JSON-able value, keys sorted."""
    return hashlib.sha256(_CANONICAL.encode(value).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Identity:
    """The fingerprints that together say that a run is the same run.

    Attributes
    ----------
    identity : str
        The hash of all the parts.
    code_hash, params_hash, data_hash : str
        One hash for each kind of part; ``data_hash`` is made of contents alone, so that the same
        data has the same hash under every fixture's name.
    parts : mapping
        ``code``, ``params``, ``data``, ``settings``, ``uses`` and ``environment``: name to
        fingerprint.
    """

    identity: str
    code_hash: str
    params_hash: str
    data_hash: str
    parts: Mapping[str, Mapping[str, str]]


def combine(  # noqa: PLR0913  # one argument for each part
    *,
    code_hash: str,
    code_parts: Mapping[str, str],
    params: Mapping[str, str],
    params_hash: str,
    data: Mapping[str, str],
    settings: Mapping[str, str],
    uses: Mapping[str, str] = EMPTY,
    environment: Mapping[str, str] = EMPTY,
) -> Identity:
    """Join the parts to an identity.

    Parameters
    ----------
    code_hash, params_hash : str
        Of the whole code and of all parameters.
    code_parts, params : mapping of str to str
        Their parts by name, for explaining a difference.
    data, settings : mapping of str to str
        Fingerprints by fixture: of data, and of models, settings and scalars.
    uses : mapping of str to str
        Contents of the artefacts of other experiments that it starts from, by name.
    environment : mapping of str to str
        What of the environment is to count.
    """
    whole = {
        "code": code_hash,
        "params": params_hash,
        "fixtures": {**data, **settings},
        "environment": dict(environment),
    }
    if uses:
        whole["uses"] = dict(uses)
    return Identity(
        identity=digest(whole),
        code_hash=code_hash,
        params_hash=params_hash,
        data_hash=digest(sorted(data.values())) if data else "",
        parts={
            "code": dict(code_parts),
            "params": dict(params),
            "data": dict(data),
            "settings": dict(settings),
            "uses": dict(uses),
            "environment": dict(environment),
        },
    )


_WORDS = {
    "code": "code changed",
    "data": "data changed",
    "settings": "fixture changed",
    "uses": "artefact changed",
    "environment": "environment changed",
}


def why_new(new: Identity, params: Mapping[str, Any], known: Sequence[Run]) -> str:
    """Say in one sentence why no earlier run is this run.

    Parameters
    ----------
    new : Identity
        Of the run that is about to start.
    params : mapping of str to value
        Its parameters, for naming those that were not tried.
    known : sequence of Run
        Executed runs of the same experiment or the same code, newest first.

    Returns
    -------
    str
        ``data changed since run 3f2a1b2c (digits)``, or ``first run``.
    """
    nearest = nearest_run(new, known)
    if nearest is None:
        return "first run"
    if nearest.params_hash != new.params_hash:
        changed = [
            name for name, value in new.parts["params"].items() if _param(nearest, name) != value
        ]
        shown = ", ".join(f"{name}={params.get(name)!r}" for name in changed[:_SHOWN])
        return f"parameters not run before ({shown})" if shown else "parameters not run before"
    if nearest.identity == new.identity:
        return f"run {nearest.short_id} ended with {nearest.status}"
    reasons = list(_reasons(new, nearest))
    if not reasons:
        return f"not comparable with run {nearest.short_id}"
    first, *others = reasons
    also = f"; {'; '.join(f'{word} ({names})' for word, names in others)}" if others else ""
    return f"{first[0]} since run {nearest.short_id} ({first[1]}){also}"


def nearest_run(new: Identity, known: Sequence[Run]) -> Run | None:
    """Return the run that differs least from a new one; of equals the first.

    One with the same parameters is nearer than any without.
    """
    same = [run for run in known if run.params_hash == new.params_hash]
    if same:
        return min(same, key=lambda run: len(differences(new, run)))
    return max(known, key=lambda run: _n_equal(new, run), default=None)


def differences(new: Identity, old: Run) -> list[tuple[str, str]]:
    """Return (kind of part, name) of each part, parameters aside, that is not the same.

    The kinds are ``code``, ``data``, ``settings``, ``uses`` and ``environment``.
    """
    found = []
    for kind in _WORDS:
        before = old.parts.get(kind) or {}
        now = new.parts[kind]
        found += [(kind, name) for name in now if before.get(name) != now[name]]
        found += [(kind, name) for name in before if name not in now]
    return found


def _reasons(new: Identity, old: Run) -> Iterable[tuple[str, str]]:
    names_of: dict[str, list[str]] = {}
    for kind, name in differences(new, old):
        removed = "" if name in new.parts[kind] else " removed"
        names_of.setdefault(_WORDS[kind], []).append(name + removed)
    for word, names in names_of.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        yield word, ", ".join(names[:_SHOWN]) + more


def _param(run: Run, name: str) -> str | None:
    params = run.parts.get("params")
    value = params.get(name) if isinstance(params, Mapping) else None
    return value if isinstance(value, str) else None


def _n_equal(new: Identity, run: Run) -> int:
    return sum(_param(run, name) == value for name, value in new.parts["params"].items())
