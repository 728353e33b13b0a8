"""Simulates so many cases that wait at once: ``python -m bench.crowd CASES [CONNECTION …]``, and prints JSON.

``bench.growth`` runs it.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
from collections import Counter

from tests.simulation import clock

clock.install()

from tests.simulation.scale.scenarios import Run, Scenario, settings_of  # noqa: E402 -- after the clocks

OVER, TAKES, LONGEST = 300.0, 600.0, 7200.0
"""Seconds over which the cases are submitted, and for which a vendor works on each: so all of them wait at once."""
VENDORS = ("docsumo", "docustack", "ombudsman")


def crowd(cases: int, connections: tuple[str, ...] = ()) -> dict[str, float]:
    """Simulate cases at all or some connections; return the counts of everything, and the seconds of CPU."""
    scenario = Scenario("growth", "", "", cases=cases, over=OVER, takes=dict.fromkeys(VENDORS, TAKES), only=connections)
    run = Run(scenario, settings_of(scenario))
    before = _cpu()
    for number in range(cases):
        run.submit(number, number * OVER / cases)
    run.figures.cases = cases
    run.live(LONGEST)
    seconds = _cpu() - before
    counts, _ = run.so_far()
    failed = sum(status != "SUCCEEDED" for _, status in run.ended.values())
    run.world.close()
    if failed or len(run.ended) != cases:
        raise RuntimeError(f"{failed} of {len(run.ended)} cases failed")
    services: Counter[str] = Counter()
    for operation, number in counts.requests.items():
        services[operation.partition(".")[0]] += number
    return {
        "waiting": run.figures.backlog,
        "transitions": counts.transitions,
        "invocations": counts.invoked.total(),
        "polls": counts.invoked["poll"],
        "requests to the table": services["dynamodb"],
        "read units": counts.read_units,
        "write units": counts.write_units,
        "requests to S3": services["s3"],
        "requests to SQS": services["sqs"],
        "CPU seconds": seconds,
    }


def _cpu() -> float:
    found = resource.getrusage(resource.RUSAGE_SELF)  # the process's other clocks are virtual
    return found.ru_utime + found.ru_stime


if __name__ == "__main__":
    clock.hold()
    gc.set_threshold(100_000, 50, 1000)
    print(json.dumps(crowd(int(sys.argv[1]), tuple(sys.argv[2:]))))
