"""A batch of a hundred thousand cases, simulated: how many cases an hour it gets through, once it is under way.

``python -m tests.simulation --batch CONNECTION`` simulates a batch at one account of a vendor, ``all`` one over thirty
accounts, of which three are simulated with a tenth of AWS's quotas. It prints the figures as JSON.
"""

from __future__ import annotations

import json
from typing import Any

from cli.batch_estimate import at_once
from tests.simulation.clock import CLOCK
from tests.simulation.people import Submission
from tests.simulation.scale.page import binding
from tests.simulation.scale.scenarios import MINUTE, Figures, Run, Scenario, measure, settings_of

CASES = 100_000
BEGIN, END = 8 * MINUTE, 16 * MINUTE
"""The seconds that are measured: the batch is in full swing by then, and far from its end."""


def main(what: str) -> int:
    """Simulate one of the batches; print its figures."""
    share, only = (0.1, ()) if what == "all" else (1.0, (what,))
    scenario = Scenario(
        "batch", "a batch", "", cases=CASES, share=share, only=only, window=(BEGIN, END), per_connection=False
    )
    run = Run(scenario, settings_of(scenario))
    names = scenario.only or tuple(sorted(run.settings))
    batch = Batch(run, names)
    wide = at_once({*names}, run.settings)
    for number in range(wide):
        run.world.scheduler.later(number * 0.01, batch.next)
    run.live(BEGIN)
    before = run.so_far()
    run.live(END)
    measure(run, before, run.so_far())
    run.world.close()
    print(json.dumps(figures(run.figures, wide=round(wide / share), share=share)))
    return 0


class Batch:
    """Starts the next case of a batch whenever one has ended, as a Distributed Map does."""

    def __init__(self, run: Run, connections: tuple[str, ...]) -> None:
        self._run, self._connections, self._number = run, connections, 0
        finish = run.world.machine.ended

        def over(execution: Any) -> None:
            finish(execution)
            run.world.scheduler.later(0.1, self.next)

        run.world.machine.ended = over

    def next(self) -> None:
        """Start a case."""
        number, run = self._number, self._run
        self._number += 1
        connection, reference = self._connections[number % len(self._connections)], f"B-{number:06}"
        run.submitted[connection, reference] = CLOCK.at
        names = (f"{reference}.pdf",)
        run.people.submit(Submission(number, connection, reference, 0.0, "execution", names, priority="low"))


def figures(found: Figures, *, wide: int, share: float) -> dict[str, Any]:
    """Return a simulation's figures for the page."""
    return {
        "at_once": wide,
        "cases_an_hour": round(found.throughput),
        "hours": round(CASES / found.throughput, 1),
        "cost": found.cost,
        "failed": found.failed,
        "measured": found.ended,
        "functions": round(found.concurrency / share),
        "throttles": found.throttles,
        "binds": binding(found) or "nothing",
    }
