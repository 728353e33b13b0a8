"""The page: each part writes its results as JSON into build/bench, and its section of docs/benchmarks.md."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "build" / "bench"


def save(part: str, found: Mapping[str, Any]) -> None:
    """Write a part's results."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{part}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def write(part: str, lines: Iterable[str]) -> None:
    """Replace a part's section of the page, between its marks.

    Raises:
        ValueError: the page has no such marks.

    """
    text = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {part} -->", f"<!-- end of {part} -->"
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"{PAGE.name} has no section between {begin} and {end}")
    PAGE.write_text("\n".join([f"{before}{begin}", *lines, f"{end}{after}"]), encoding="utf-8")


def machine() -> str:
    """Return the facts about this machine that a reader needs, without its name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{len(os.sched_getaffinity(0))} cores ({platform.machine()}), {memory:.0f} GiB of memory, "
        f"{platform.system()}, Python {platform.python_version()}"
    )


def taken(load: Sequence[float], seconds: float) -> str:
    """Return when and how a part ran: the date, the load before it, and how long it took."""
    return (
        f"Measured on {datetime.now(UTC).date().isoformat()} on {machine()}, in {seconds:.0f} s. Before it began, "
        f"{load[0]:.1f} processes wanted to run (the load of a minute)."
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a Markdown table, the first column of which is text."""
    lines = [f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def with_range(found: Sequence[float], unit: str = "") -> str:
    """Return a median with least and most: ``0.6 (0.5 to 0.9)``."""
    median, least, most = found
    return f"{median:.2f}{unit} ({least:.2f} to {most:.2f})"


def reached(is_so: bool) -> str:
    """Return whether a target is reached."""
    return "yes" if is_so else "**no**"
