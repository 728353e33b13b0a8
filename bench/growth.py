"""Part ``growth``: ten, a hundred and a thousand cases that wait at once, in the simulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.report import reached, table
from tests.simulation.world import deployed

ROOT = Path(__file__).parents[1]
SIZES = (10, 100, 1000)
LONGEST = 900.0


def run(sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """Simulate each size in its own process; return its counts."""
    deployed()
    paths = os.pathsep.join((str(ROOT), str(ROOT / "layers" / "shared" / "python")))
    found = {}
    for size in sizes:
        command = [sys.executable, "-W", "ignore", "-m", "bench.crowd", str(size)]
        environment = {**os.environ, "PYTHONPATH": paths}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=LONGEST
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-1000:])
        found[str(size)] = json.loads(done.stdout.splitlines()[-1])
    return found


def section(found: Mapping[str, Any]) -> list[str]:
    """Return the page's section."""
    sizes = sorted(found, key=int)
    small, large = found[sizes[-2]], found[sizes[-1]]
    grows = {name: large[name] / small[name] for name in large if small[name]}
    counted = {name: each for name, each in grows.items() if name not in {"CPU seconds", "waiting"}}
    what = max(counted, key=counted.__getitem__)
    targets = [
        [f"From {sizes[-2]} to {sizes[-1]} cases at most 10.5 times the counts", f"{counted[what]:.2f} ({what})",
         reached(counted[what] <= 10.5)],
        ["The same for CPU", f"{grows['CPU seconds']:.2f}", reached(grows["CPU seconds"] <= 10.5)],
    ]  # fmt: skip
    rows = [[name, *(f"{found[size][name]:,.0f}" for size in sizes), f"{ratio:.2f}"] for name, ratio in grows.items()]
    head = ("cases", *(f"{int(size):,}" for size in sizes), f"{sizes[-1]} of {sizes[-2]}")
    return [*table(("target", "figure", "reached"), targets), "", *table(head, rows)]
