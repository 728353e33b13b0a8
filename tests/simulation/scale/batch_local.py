"""Batches on a separate local AWS, through ``dossier batch``: nothing lost, nothing twice, time and memory.

``python -m tests.simulation.scale.batch_local`` runs a batch of a hundred cases, one of a thousand, and a thousand that
are interrupted half-way and run again; then cases that are submitted by hand, alone and beside another batch. It prints
its figures as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.chaos.deployment import ROOT, Deployment, deployed

SIZES = tuple(map(int, os.environ.get("SIZES", "100,1000").split(",")))
"""The cases of the two batches; the larger one is interrupted, too."""
WORKERS = 20
"""Cases under way at once: more than the local AWS's processors can work on, in either batch."""
CONNECTION, USUAL = "invoices", "claims"
"""The connection of the batches, and the one of the single cases and the batch beside them."""
_LIMITS = "limits = { requests_per_second = 200, concurrency = 20 }"
"""For the batches: so that the machine binds, and not what a vendor allows. The other connection has the defaults."""
SINGLES, APART, TAKES = 10, 10.0, 5.0
"""The single cases, the seconds from one to the next, and those that the vendor takes, as in the simulation."""
CROWD = 8
"""Cases of the batch beside them at once: enough for the account's limits to bind, and not for the processors to. With
the hundred that ``dossier batch`` chooses, every case would wait for a processor, however it was submitted."""


@dataclass(frozen=True)
class Measured:
    """A batch that has ended. ``megabytes`` is the most that a ``dossier batch`` took, ``seconds`` until its end."""

    cases: int
    completed: int
    lost: int
    twice: int
    seconds: float
    megabytes: float
    load: float
    """The machine's load (1 minute) as it began."""
    stopped_at: int = 0
    """How many cases had ended when it was stopped."""


def main() -> int:
    """Run the batches; print the figures."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        connections = (ROOT / "connections.toml").read_text(encoding="utf-8")
        lines = [
            f"{line}\n{_LIMITS}" if line == f"[{CONNECTION}]" else line.replace("http://127.0.0.1:4780", "SANDBOX")
            for line in connections.splitlines()
        ]
        with deployed(Path(folder) / "home", "\n".join(lines) + "\n") as deployment:
            deployment.vendors(seconds=0.5, rate_limits=dict.fromkeys(("docsumo", "docustack", "ombudsman")))
            few, many = SIZES
            _batch(deployment, Path(folder), "warm", 5)
            for name, cases in (("few", few), ("many", many), ("again", many)):
                measured = _batch(deployment, Path(folder), name, cases, stop=name == "again")
                print(f"{name}: {measured}", file=sys.stderr, flush=True)
                found[name] = asdict(measured)
            found["single"] = _singles(deployment, Path(folder), many)
            print(f"single: {found['single']}", file=sys.stderr, flush=True)
    print(json.dumps(found))
    return 0


def _batch(deployment: Deployment, folder: Path, name: str, cases: int, *, stop: bool = False) -> Measured:
    """Run a batch to its end; with ``stop`` it is stopped half-way, and the same file is run again."""
    file = _file(folder / name, name, cases)
    load, began, stopped_at = os.getloadavg()[0], time.monotonic(), 0
    words = ("batch", str(file), "--concurrency", str(WORKERS))
    if stop:
        first, peak = _dossier(deployment, *words)
        while _status(deployment, first["batch_id"])["completed"] < cases // 2:
            time.sleep(1)
        stopped_at = _dossier(deployment, "batch", "stop", first["batch_id"])[0]["completed"]
        began = time.monotonic()
        ended, again = _dossier(deployment, *words, "--wait")
        peak = max(peak, again)
    else:
        ended, peak = _dossier(deployment, *words, "--wait")
    seconds = time.monotonic() - began
    if ended["state"] != "ended":
        raise RuntimeError(f"the batch is {ended['state']}")
    journal = deployment.sandbox.get("/_sandbox/journal", params={"effect": "document_uploaded"}).json()["entries"]
    names = Counter(effect["name"] for each in journal for effect in each["effects"] if "name" in effect)
    uploads = {f"{name}-{number:05}.pdf": names[f"{name}-{number:05}.pdf"] for number in range(cases)}
    s3, bucket = deployment.client("s3"), deployment.outputs["bucket"]
    body = s3.get_object(Bucket=bucket, Key=ended["results_key"])["Body"].read()
    results = Counter(json.loads(line)["reference"] for line in body.splitlines())
    return Measured(
        cases=cases,
        completed=ended["completed"],
        lost=sum(not number for number in uploads.values()) + cases - len(results),
        twice=sum(number > 1 for number in [*uploads.values(), *results.values()]),
        seconds=round(seconds, 1),
        megabytes=round(peak, 1),
        load=round(load, 1),
        stopped_at=stopped_at,
    )


def _singles(deployment: Deployment, folder: Path, cases: int) -> dict[str, list[float]]:
    """Return the seconds that cases take which are submitted by hand: alone, and beside a batch of the same account.

    The account has the default limits. The batch is stopped once the single cases have ended.
    """
    deployment.vendors(seconds=TAKES)
    _by_hand(deployment, "warm", 1)
    alone = _by_hand(deployment, "alone", SINGLES)
    file = _file(folder / "crowd", "crowd", cases, USUAL)
    batch = _dossier(deployment, "batch", str(file), "--concurrency", str(CROWD))[0]["batch_id"]
    while (status := _status(deployment, batch))["completed"] < SINGLES:
        time.sleep(1)
    beside = _by_hand(deployment, "beside", SINGLES)
    status = _status(deployment, batch)
    if status["state"] != "running":
        raise RuntimeError(f"the batch beside the single cases is {status['state']} already")
    _dossier(deployment, "batch", "stop", batch)
    return {"alone": alone, "beside": beside}


def _by_hand(deployment: Deployment, name: str, cases: int) -> list[float]:
    """Submit cases one after the other; return the seconds of each one's execution."""
    sample = (ROOT / "events" / "documents" / "invoice.pdf").read_bytes()
    states, started = deployment.client("stepfunctions"), []
    for number in range(cases):
        reference, began = f"{name}-{number:02}", time.monotonic()
        started.append(deployment.submit(USUAL, reference, {f"{reference}.pdf": sample + reference.encode()}))
        time.sleep(max(0.0, began + APART - time.monotonic()))
    seconds = []
    for execution in started:
        while (found := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
            time.sleep(1)
        if found["status"] != "SUCCEEDED":
            raise RuntimeError(f"{execution}: {found['status']}")
        seconds.append(round((found["stopDate"] - found["startDate"]).total_seconds(), 1))
    return seconds


def _file(folder: Path, name: str, cases: int, connection: str = CONNECTION) -> Path:
    """Write a document for each case, and the batch's file."""
    folder.mkdir()
    sample = (ROOT / "events" / "documents" / "invoice.pdf").read_bytes()
    lines = []
    for number in range(cases):
        reference = f"{name}-{number:05}"
        (folder / f"{reference}.pdf").write_bytes(sample + f"\n% {reference}".encode())
        lines.append(json.dumps({"connection": connection, "reference": reference, "documents": [f"{reference}.pdf"]}))
    file = folder / "batch.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def _status(deployment: Deployment, batch: str) -> dict[str, Any]:
    return _dossier(deployment, "batch", "status", batch)[0]


def _dossier(deployment: Deployment, *words: str) -> tuple[dict[str, Any], float]:
    """Run a command in its own process; return its document, and the most memory that it took in MB."""
    command: Sequence[str] = [str(Path(sys.executable).with_name("dossier")), *words, "--json"]
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, cwd=ROOT, env=deployment.environment, stdout=said, stderr=errors)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        errors.seek(0)
        if process.returncode:
            raise RuntimeError(f"dossier {' '.join(words)}: {errors.read().decode()[-2000:]}")
        found: dict[str, Any] = json.loads(said.read())
    return found, used.ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
