"""The same hundred cases, on the local AWS and simulated: what the local AWS counts, and what the simulation does.

``make scale-count`` runs them on the local AWS (some minutes) and keeps the counts in ``counted.json``; ``make scale``
compares the simulation with them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.cost import QUEUED
from dossier.pricing import RECEIVED
from dossier.settings import Connection, Poll

ROOT = Path(__file__).parents[3]
KEPT = Path(__file__).with_name("counted.json")
CASES, APART = 100, 2.0
"""The cases, and the seconds from one to the next."""
TAKES, POLL = 20.0, Poll(first=30, every=30, max=60, deadline=3600)
"""The vendors finish before the first poll, however slow the machine is: so both run the same."""
CONNECTIONS = ("claims", "disputes", "invoices")
SCHEDULED = ("sweep", "reconcile", "compare")
"""Functions that run without cases: not counted."""
CLOSE = 0.10
"""How far the simulation may be off."""
_SERVICES = {
    "dynamodb": "requests to DynamoDB",
    "s3": "requests to S3",
    "sqs": "requests to SQS",
    "states": "requests to Step Functions",
    "events": "events",
}
"""The services that are compared. A function reads a secret once in a while, which depends on its environments."""


def grouped(requests: Iterable[tuple[str, str]]) -> Counter[str]:
    """Return requests, each a service and an operation, by the names of the comparison."""
    return Counter(_SERVICES[service] for service, _ in requests if service in _SERVICES)


def far(local: int, simulated: int) -> float:
    """Return by which share of the local count the simulated one is off."""
    return abs(simulated - local) / local if local else float(simulated > 0)


def off(local: Mapping[str, int], simulated: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Return the counts, local and simulated, that are not close."""
    both = {name: (number, simulated.get(name, 0)) for name, number in local.items()}
    return {name: each for name, each in both.items() if far(*each) > CLOSE}


# On the local AWS


def count() -> dict[str, Any]:
    """Run the cases on a separate local AWS; return its counts."""
    from tests.chaos.deployment import deployed  # noqa: PLC0415 -- not in a process with a virtual clock

    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "requests.txt"
        os.environ["DOSSIER_LOCAL_REQUESTS"] = str(written)
        with deployed(Path(folder) / "home", _connections()) as deployment:
            deployment.vendors(seconds=TAKES)
            began, sample = time.monotonic(), (ROOT / "events" / "documents" / "invoice.pdf").read_bytes()
            _wait_for_quiet(written)
            before = written.read_text(encoding="utf-8").count("\n")
            for number in range(CASES):
                time.sleep(max(0.0, began + number * APART - time.monotonic()))
                reference = f"H-{number:03}"
                body = sample + f"\n% {reference}".encode()
                deployment.submit(CONNECTIONS[number % 3], reference, {f"{reference}.pdf": body})
            states, machine = deployment.client("stepfunctions"), deployment.outputs["state_machine_arn"]
            while (running := _listed(states, machine, "RUNNING")) != []:
                print(f"{len(running)} of {CASES} run", file=sys.stderr)
                time.sleep(10)
            _wait_for_quiet(written)
            lines = [line.split() for line in written.read_text(encoding="utf-8").splitlines()[before:]]
            done = _listed(states, machine, "SUCCEEDED")
            # A history leaves out the states of a Map; those are all Tasks.
            entered = [kind for each in done for kind in _entered(states, each["executionArn"])]
            tasks = sum(kind in {"task", "retry"} for kind, _, _ in lines)
            transitions = len(entered) - entered.count("TaskStateEntered") + tasks
            cost = deployment.dossier("cost", "--month", f"{datetime.now(UTC):%Y-%m}")
    if len(done) < CASES:  # more: a delivery after the end of its case starts a refresh
        raise RuntimeError(f"{len(done)} executions for {CASES} cases succeeded on the local AWS")
    if keep := os.environ.get("KEEP"):
        Path(keep).write_text("\n".join(" ".join(line) for line in lines), encoding="utf-8")
    calls = [
        tuple(action.split(":", 1))
        for kind, caller, action in lines
        if kind == "call" and not any(each in caller.lower() for each in SCHEDULED)
    ]
    invoked = Counter(name.rpartition("-")[2] for kind, name, _ in lines if kind == "invoke")
    counted = grouped(calls) + Counter({"state transitions": transitions})  # type: ignore[arg-type]
    counted["invocations"] = sum(number for verb, number in invoked.items() if verb not in SCHEDULED)
    operations = Counter(":".join(each) for each in calls)
    return {
        "cost": _beside(cost, counted, operations, batches=sum(invoked[verb] for verb in QUEUED)),
        "as_of": datetime.now(UTC).date().isoformat(),
        "seconds": round(time.monotonic() - began),
        "counts": dict(sorted(counted.items())),
        "invoked": {verb: number for verb, number in sorted(invoked.items()) if verb not in SCHEDULED},
        "operations": dict(sorted(operations.items())),
    }


def _beside(
    cost: dict[str, Any], counted: Counter[str], operations: Counter[str], *, batches: int
) -> dict[str, tuple[int, int]]:
    """Return what the local AWS counted, and beside it what ``dossier cost`` says of all connections."""
    said = Counter[str]()
    for each in cost["connections"].values():
        said.update({name: round(number) for name, number in each["counts"].items()})
    local = {
        "transitions": counted["state transitions"],
        "invocations": counted["invocations"],
        "s3_writes": operations["s3:PutObject"] + operations["s3:ListBucket"],
        # The source of a copy is authorized as a read: Accept copies each case's document.
        "s3_reads": operations["s3:GetObject"] - CASES,
        "sqs_requests": counted["requests to SQS"] + RECEIVED * batches,
        "events": operations["events:PutEvents"],
        "secret_reads": operations["secretsmanager:GetSecretValue"],
    }
    return {name: (number, said[name]) for name, number in local.items()}


def _connections() -> str:
    """Return the shipped connections file, with the poll times of the comparison."""
    lines = []
    for line in (ROOT / "connections.toml").read_text(encoding="utf-8").splitlines():
        if line.startswith("poll"):
            lines.append(f"poll = {{ first = {POLL.first}, every = {POLL.every}, max = {POLL.max}, deadline = 3600 }}")
        else:
            lines.append(line.replace("http://127.0.0.1:4780", "SANDBOX"))
    return "\n".join(lines) + "\n"


def _listed(states: Any, machine: str, status: str) -> list[dict[str, Any]]:
    pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine, statusFilter=status)
    return [each for page in pages for each in page["executions"]]


def _entered(states: Any, execution: str) -> list[str]:
    pages = states.get_paginator("get_execution_history").paginate(executionArn=execution)
    return [each["type"] for page in pages for each in page["events"] if each["type"].endswith("StateEntered")]


def _wait_for_quiet(written: Path) -> None:
    """Wait until no function but the scheduled ones has run for some seconds."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < 12:
        text = written.read_text(encoding="utf-8") if written.exists() else ""
        now = sum(
            line.startswith("invoke") and not any(f"-{each} " in line for each in SCHEDULED)
            for line in text.splitlines()
        )
        if now != seen:
            seen, since = now, time.monotonic()
        time.sleep(1)


# Simulated


def settings_of(shipped: dict[str, Connection]) -> dict[str, Connection]:
    """Return the connections of the comparison."""
    return {name: each.model_copy(update={"poll": POLL}) for name, each in shipped.items()}


def main() -> int:
    """Count on the local AWS and keep the counts."""
    found = count()
    KEPT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"{found['counts']}: {KEPT.relative_to(ROOT)} is written")
    unequal = {name: numbers for name, numbers in found["cost"].items() if len(set(numbers)) > 1}
    for name, (local, said) in unequal.items():
        print(f"{name}: {local} on the local AWS, {said} by `dossier cost`")
    return int(bool(unequal))


if __name__ == "__main__":
    sys.exit(main())
