"""The command behind ``make scale``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from dossier.pricing import prices
from tests.simulation.handlers import ROOT
from tests.simulation.scale import hundred
from tests.simulation.scale.page import WAITING, binding, page
from tests.simulation.scale.quotas import known
from tests.simulation.scale.scenarios import SCENARIOS, Figures, hundred_cases, simulate
from tests.simulation.world import deployed

PAGE = ROOT / "docs" / "scale.md"
KEPT = ROOT / "build" / "scale"
"""The figures of each question, so that one can be simulated again without the others (``QUESTION=burst``)."""


def main(environment: Mapping[str, str]) -> int:
    """Simulate every question in its own process, or the one that ``QUESTION`` names; write the page."""
    KEPT.mkdir(parents=True, exist_ok=True)
    if environment.get("ONLY"):
        return _one(environment["ONLY"])
    deployed()
    wanted = environment.get("QUESTION")
    for name in [*(each.name for each in SCENARIOS), "hundred"]:
        if not wanted or name == wanted or not _file(name).exists():
            command = [sys.executable, "-W", "ignore", "-m", "tests.simulation", "--scale"]
            subprocess.run(command, cwd=ROOT, env={**environment, "ONLY": name}, check=True)
    found = [(each, Figures(**_read(each.name))) for each in SCENARIOS]
    local, simulated = json.loads(hundred.KEPT.read_text(encoding="utf-8")), _read("hundred")
    text = page(found, local=local, simulated=simulated, quotas=known(), prices=prices())
    kept = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(text + kept[kept.index(WAITING) :], encoding="utf-8")
    off = hundred.off(local["counts"], simulated)
    print(f"{PAGE.relative_to(ROOT)} is written")
    for name, (counted, own) in off.items():
        print(f"{name}: {own} simulated, {counted} on the local AWS")
    return int(bool(off))


def _one(name: str) -> int:
    if name == "hundred":
        kept: dict[str, Any] = hundred_cases()
        print(f"hundred cases: {kept}", flush=True)
    else:
        figures = simulate(next(each for each in SCENARIOS if each.name == name))
        kept = asdict(figures)
        print(
            f"{name}: {figures.ended} of {figures.cases} cases ended, {figures.failed} failed, "
            f"{figures.throughput:,.0f} an hour, ${figures.cost:.6f} a case, first binds "
            f"{binding(figures) or 'nothing'}; {figures.processor:.0f} s of processor time",
            flush=True,
        )
    _file(name).write_text(json.dumps(kept, indent=1), encoding="utf-8")
    return 0


def _file(name: str) -> Any:
    return KEPT / f"{name}.json"


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_file(name).read_text(encoding="utf-8"))
    return found
