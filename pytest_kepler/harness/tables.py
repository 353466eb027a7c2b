"""The tables of single experiments in ``pyproject.toml``, held against what was collected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_kepler.checks import config as check_config
from pytest_kepler.errors import nearest
from pytest_kepler.harness.gates import is_experiment
from pytest_kepler.harness.selection import experiment_name

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_kepler.harness.gates import Captured


def unmatched_tables(rootpath: Path, captured: Captured) -> list[str]:
    """Return a sentence for each table whose file was collected and has no such experiment.

    Parameters
    ----------
    rootpath : Path
        Where ``pyproject.toml`` is.
    captured : dict of collector to list
        What each collector gave, before anything thinned it.

    Raises
    ------
    KeplerUsageError
        If the settings are wrong.
    """
    tables = check_config.load(rootpath).experiments
    if not tables:
        return []
    given: dict[str, set[str]] = {}
    experiments = set()
    for collector, children in captured.items():
        names = given.setdefault(collector.nodeid, set())
        for child in children:
            is_test = isinstance(child, pytest.Item)
            names.add(experiment_name(child) if is_test else child.nodeid)
            if is_test and is_experiment(child):
                experiments.add(experiment_name(child))
    return [
        f'[tool.kepler.experiment."{name}"] is no experiment: {nearest(name, experiments)}'
        for name in tables
        if name not in experiments and _is_seen(name, given)
    ]


def _is_seen(name: str, given: dict[str, set[str]]) -> bool:
    """Tell whether all was collected that could be called so; a class may not have been."""
    prefix, *parts = name.split("::")
    for part in parts:
        if prefix not in given:
            return False
        prefix, outer = f"{prefix}::{part}", prefix
        if prefix not in given[outer]:
            return True
    return bool(parts)
