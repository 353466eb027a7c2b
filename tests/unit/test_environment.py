"""In CI no test is left out because a library is missing that `dev` promises."""

from __future__ import annotations

import os
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def requirements(extra: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = []
    for text in project["optional-dependencies"][extra]:
        one = Requirement(text)
        if one.name == project["name"]:
            found += [each for inner in one.extras for each in requirements(inner)]
        elif one.marker is None or one.marker.evaluate():
            found.append(one)
    return found


@pytest.mark.skipif(
    "KEPLER_TESTS_WITH_DEV" not in os.environ, reason="elsewhere a part of dev will do"
)
@pytest.mark.parametrize("requirement", requirements("dev"), ids=str)
def test_what_dev_promises_is_installed(requirement):
    try:
        version = distribution(requirement.name).version
    except PackageNotFoundError:
        pytest.fail(f"{requirement} is not installed")
    assert requirement.specifier.contains(version, prereleases=True)
