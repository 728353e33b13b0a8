"""The command behind ``make scale-batch``: measures batches on the local AWS, simulates large ones, writes the page.

``ONLY=local`` or ``ONLY=simulated`` does one of the two again; the other's figures are in ``batches.json``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from tests.simulation.scale.batch_local import CROWD

ROOT = Path(__file__).parents[3]
KEPT = Path(__file__).with_name("batches.json")
PAGE = ROOT / "docs" / "scale.md"
HEADING = "## Batches"
"""The heading of the page's last part, which this writes."""
SIMULATED = {
    "invoices": "one account at DocuStack",
    "claims": "one account at Docsumo",
    "disputes": "one account at the Ombudsman",
    "all": "30 connections, evenly",
}
BESIDE = {"docustack": "DocuStack", "docsumo": "Docsumo", "ombudsman": "the Ombudsman"}
_TITLES = {"few": "run once", "many": "run once", "again": "stopped after {stopped_at:,}, run again"}
MOST, LONGER = 10.5, 2.0
"""What must hold: a thousand cases take so many times what a hundred take, and a single case so many seconds longer."""


def main(environment: Mapping[str, str]) -> int:
    """Measure, keep the figures, and write the page; 1 if something does not hold."""
    only = environment.get("ONLY", "")
    found: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    today = datetime.now(UTC).date().isoformat()
    if only in {"", "local"}:
        found["local"] = {"as_of": today, "processors": os.cpu_count(), **_run("tests.simulation.scale.batch_local")}
        _keep(found)
    if only in {"", "simulated"}:
        found["simulated"] = {name: _run("tests.simulation", "--batch", name) for name in SIMULATED}
        found["beside"] = {name: _beside(_run("tests.simulation.fairness", name, "1000")) for name in BESIDE}
        _keep(found)
    kept = PAGE.read_text(encoding="utf-8").partition(HEADING)[0].rstrip()
    PAGE.write_text(f"{kept}\n\n" + "\n".join(lines(found)) + "\n", encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} is written")
    problems = list(wrong(found))
    for each in problems:
        print(each)
    return int(bool(problems))


def _run(module: str, *words: str) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", module, *words]
    print(" ".join(command[3:]), file=sys.stderr, flush=True)
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _keep(found: Mapping[str, Any]) -> None:
    KEPT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _beside(said: Mapping[str, Any]) -> dict[str, float]:
    return {"alone": median(said["alone"]), "median": median(said["beside"]), "most": sorted(said["beside"])[-2]}


def growth(local: Mapping[str, Any]) -> tuple[float, float]:
    """Return how many times the time and the memory of the smaller batch the larger one takes."""
    few, many = local["few"], local["many"]
    return many["seconds"] / few["seconds"], many["megabytes"] / few["megabytes"]


def wrong(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the violated conditions."""
    local = found.get("local", {})
    for name, each in local.items():
        if name in _TITLES and (each["lost"] or each["twice"] or each["completed"] != each["cases"]):
            yield f"{name}: {each}"
    yield from _grown(local) if local else ()
    singles = dict(found.get("beside", {}))
    if "single" in local:
        singles["on the local AWS"] = _beside(local["single"])
    for name, each in singles.items():
        if each["most"] - each["alone"] > LONGER:
            yield f"{name}: a single case takes {each['most']:.1f} s beside a batch, {each['alone']:.1f} s alone"


def _grown(local: Mapping[str, Any]) -> Iterator[str]:
    """Yield the figures that grow by more than they may."""
    for what, times in zip(("time", "memory"), growth(local), strict=True):
        if times > MOST * local["many"]["cases"] / local["few"]["cases"] / 10:
            yield f"the {what} of the larger batch is {times:.1f} times that of the smaller one"


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the page's part."""
    yield HEADING
    yield "`make scale-batch` writes this part."
    yield ""
    if "local" in found:
        yield from _local(found["local"])
    if "simulated" in found:
        yield from _simulated(found)


def _local(local: Mapping[str, Any]) -> Iterator[str]:
    by = growth(local)
    yield "**On the local AWS**, by `dossier batch`, with a vendor that takes half a second. All servers and functions"
    yield f"share {local['processors']} processors there, so the times are not AWS's; the"
    yield f"load says how busy the machine was when each began ({local['as_of']})."
    yield ""
    yield "| batch | cases | completed | lost | twice | seconds | cases a second | memory of the command | load |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name, title in _TITLES.items():
        if (each := local.get(name)) is None:
            continue
        counts = f"{each['cases']:,} | {each['completed']:,} | {each['lost']} | {each['twice']}"
        speed = (each["cases"] - each["stopped_at"]) / each["seconds"]
        cells = f"{counts} | {each['seconds']:,.0f} | {speed:.1f} | {each['megabytes']:.0f} MB | {each['load']}"
        yield f"| {title.format(**each)} | {cells} |"
    yield ""
    yield f"The larger batch took {by[0]:.1f} times the time and {by[1]:.1f} times the memory of the smaller one."
    if any(_grown(local)):
        yield f"The target, {MOST} times, is missed."
    yield "*Lost* is a case without an upload in the vendor's journal or without a line in `results.jsonl`, *twice* one"
    yield "with two. The seconds of the batch that was run again are those after the stop."
    yield ""


def _simulated(found: Mapping[str, Any]) -> Iterator[str]:
    yield "**A batch of 100,000**, simulated as above: default limits, a vendor that takes a minute, as many cases at"
    yield "once as the command chooses. Eight minutes of it are measured, once it is under way."
    yield ""
    yield "| over | cases at once | cases an hour | hours | functions at once | dollars a case | binds first |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | --- |"
    for name, title in SIMULATED.items():
        if (each := found["simulated"].get(name)) is None:
            continue
        rate = f"{each['at_once']:,} | {each['cases_an_hour']:,} | {each['hours']}"
        yield f"| {title} | {rate} | {each['functions']:,} | {each['cost']:.6f} | {each['binds']} |"
    yield ""
    yield "**A single case beside a batch of 1,000**: the vendor takes five seconds, the limits are the defaults, and"
    yield "ten cases are submitted by hand, one every ten seconds. Simulated, the batch has as many cases at once as"
    yield f"the command chooses; on the local AWS {CROWD}, with which the limits bind, and not yet the processors."
    yield ""
    yield "| vendor | alone, median | beside the batch, median | all but the slowest at most |"
    yield "| --- | ---: | ---: | ---: |"
    rows = {f"{title}, simulated": found["beside"][name] for name, title in BESIDE.items()}
    if "single" in found.get("local", {}):
        rows["Docsumo, on the local AWS"] = _beside(found["local"]["single"])
    for title, each in rows.items():
        yield f"| {title} | {each['alone']:.1f} s | {each['median']:.1f} s | {each['most']:.1f} s |"


if __name__ == "__main__":
    sys.exit(main(os.environ))
