"""Keras' logs as plain numbers by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def plain(logs: Mapping[str, Any] | None) -> dict[str, float]:
    """Return each number by its name; what a callback of the user's adds and is none is dropped.

    A metric with a value a class becomes ``f1_score/0``, ``f1_score/1``; one with several results
    ``name/result``.
    """
    return dict(_numbers(logs or {}, ""))


def shortest(value: float) -> float:
    """Return a float32 by its shortest decimals: the 0.001 that was asked for, not 0.00100000005.

    Any other number stays as it is.
    """
    single = np.float32(value)
    return float(str(single)) if float(single) == value else value


def _numbers(logs: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, float]]:
    for name, value in logs.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{name}/")
            continue
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            continue
        if array.ndim == 0:
            yield f"{prefix}{name}", float(array)
        elif array.ndim == 1:
            for position, each in enumerate(array):
                yield f"{prefix}{name}/{position}", float(each)
