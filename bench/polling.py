"""Part ``polling``: schedules of polls by the guides' own distributions (``bench.schedules``)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.report import reached, table
from bench.schedules import PHASES, WAITS, Row, changes, compare, early

ROOT = Path(__file__).parents[1]
SIMULATED = {"first": "its first eight cases", "taught": "after forty cases", "slower": "then ten times slower"}
LONGEST = 600.0
HEAD = ("what takes so long", "schedule", "requests", "median delay, s", "mean delay, s", "longest delay, s")


def run(waits: int = WAITS) -> dict[str, Any]:
    """Compare the schedules; the figures depend on the seed alone, not on the machine."""
    return {
        "typical": [[asdict(row) for row in compare(phase, waits=waits)] for phase in PHASES],
        "few": [asdict(row) for row in early()],
        "changed": [asdict(row) for row in changes()],
        "simulated": simulated(),
    }


def simulated() -> dict[str, Any]:
    """Run a deployment at the Ombudsman in virtual time (``tests.simulation.learning``); return its figures."""
    paths = os.pathsep.join((str(ROOT), str(ROOT / "layers" / "shared" / "python")))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.simulation.learning"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False, timeout=LONGEST,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-1000:])
    return dict(json.loads(done.stdout))


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
    slower = found["simulated"]["slower"]
    storm = max(each["requests"] / each["guide"] for each in slower.values())
    targets += [
        ["In the simulator, ten times slower: no storm, no more requests than the guide's loop makes then",
         f"{storm:.2f} times", reached(storm <= 1)],
        ["In the simulator, ten times slower: no starvation, each is seen within the longest interval (60 s), and 2 s",
         f"{max(each['longest'] for each in slower.values()):.1f} s",
         reached(max(each["longest"] for each in slower.values()) <= 62)],
    ]  # fmt: skip
    typical = [row for rows in found["typical"] for row in rows]
    return [
        *table(("target", "figure", "reached"), targets),
        "",
        *table(HEAD, map(_cells, typical)),
        "",
        "While a connection has seen little, here eleven waits at the same time:",
        "",
        *table(HEAD, map(_cells, found["few"])),
        "",
        "After a change of a document's times (10 to 30 s before), the first fifty waits:",
        "",
        *table(HEAD, map(_cells, found["changed"])),
        "",
        "The whole deployment at the Ombudsman, one document a case, in virtual time:",
        "",
        *table(
            ("a connection", "what takes so long", "requests", "the guide's", "median delay, s", "longest delay, s"),
            [
                [SIMULATED[name], phase, *(f"{each[what]:.1f}" for what in ("requests", "guide", "median", "longest"))]
                for name, phases in found["simulated"].items()
                for phase, each in phases.items()
            ],
        ),
    ]


def _cells(row: Mapping[str, Any]) -> list[str]:
    own = Row(**row)
    return [own.phase, own.schedule, *(f"{each:.1f}" for each in (own.requests, own.median, own.mean, own.longest))]
