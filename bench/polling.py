"""Part ``polling``: schedules of polls by the guides' own distributions (``bench.schedules``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bench.report import reached, table
from bench.schedules import PHASES, WAITS, Row, changes, compare

HEAD = ("what takes so long", "schedule", "requests", "median delay, s", "mean delay, s", "longest delay, s")


def run(waits: int = WAITS) -> dict[str, Any]:
    """Compare the schedules; the figures depend on the seed alone, not on the machine."""
    return {
        "typical": [[asdict(row) for row in compare(phase, waits=waits)] for phase in PHASES],
        "changed": [asdict(row) for row in changes()],
    }


def section(found: Mapping[str, Any]) -> list[str]:
    """Return the page's section."""
    targets = []
    for guide, _, learned, *_ in found["typical"]:
        ratio = learned["median"] / guide["median"]
        more = learned["requests"] / guide["requests"]
        targets.append(
            [
                f"{guide['phase']}: at most 1/3 of the guide's median delay, with no more requests",
                f"{ratio:.2f}, {more:.2f} times the requests",
                reached(ratio <= 1 / 3 and more <= 1),
            ]
        )
    typical = [row for rows in found["typical"] for row in rows]
    return [
        *table(("target", "figure", "reached"), targets),
        "",
        *table(HEAD, map(_cells, typical)),
        "",
        "After a change of a document's times (10 to 30 s before), the first fifty waits:",
        "",
        *table(HEAD, map(_cells, found["changed"])),
    ]


def _cells(row: Mapping[str, Any]) -> list[str]:
    own = Row(**row)
    return [own.phase, own.schedule, *(f"{each:.1f}" for each in (own.requests, own.median, own.mean, own.longest))]
