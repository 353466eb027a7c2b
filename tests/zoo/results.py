"""Writes one section of bench/CHECKS_RESULTS.md and leaves the others as they are."""

from __future__ import annotations

import platform
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = Path(__file__).parents[2] / "bench" / "CHECKS_RESULTS.md"
TITLE = "# Results of the checks"


def write_section(name: str, how: str, lines: Sequence[str]) -> None:
    """Write a section under its name, in place of what stood there."""
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else f"{TITLE}\n"
    day = datetime.now(UTC).date().isoformat()
    machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    body = "\n".join([f"## {name}", "", f"Measured on {day} by {how}: {machine}.", "", *lines])
    kept = re.split(r"\n(?=## )", text.rstrip())
    kept = [part for part in kept if not part.startswith(f"## {name}\n")]
    RESULTS.write_text("\n\n".join([*(part.rstrip() for part in kept), body]) + "\n", "utf-8")
