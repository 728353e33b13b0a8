"""A case that is submitted by hand beside a batch: prints how much later than by itself it ends, as JSON.

``python -m tests.simulation.fairness VENDOR BATCH`` runs one deployment twice without faults: alone, and while a batch
of so many cases is under way. The batch starts as many cases at once as ``dossier batch`` does by itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from tests.simulation import clock

clock.install()

from cli.batch_estimate import at_once  # noqa: E402 -- after the clocks
from dossier.connections import load_toml  # noqa: E402
from dossier.models import Priority  # noqa: E402
from dossier.settings import Connection, Limits  # noqa: E402
from tests.simulation.clock import CLOCK  # noqa: E402
from tests.simulation.faults import Faults  # noqa: E402
from tests.simulation.handlers import ROOT  # noqa: E402
from tests.simulation.models.stepfunctions import Execution  # noqa: E402
from tests.simulation.people import People, Submission  # noqa: E402
from tests.simulation.trace import Trace  # noqa: E402
from tests.simulation.world import World  # noqa: E402

clock.hold()
TAKES = 5.0
"""Seconds that the vendor takes for a document."""
BY_HAND = (0.0, *(40.0 + 10 * number for number in range(10)))
"""When the cases are submitted by hand. The first one only starts the functions; then the batch is in full swing."""
RATE, SLOTS = 10.0, 5


class Office:
    """One deployment: a batch, and people who submit single cases."""

    def __init__(self, vendor: str, batch: int) -> None:
        clock.begin("fairness")
        settings = _settings(vendor)
        [self._connection] = settings
        limits = {vendor: {"requests": 1000, "seconds": 1}}
        self._world = World(Faults("fairness", {}), Trace(keep=False), settings, sandbox={"rate_limits": limits})
        self._world.vendors.context.ready_at = lambda: CLOCK.time() + TAKES  # type: ignore[method-assign]
        self._people = People(self._world)
        self._left = [self._case(f"B-{number}", number, "low") for number in range(batch)]
        self._ended_at: dict[str, float] = {}
        ended = self._world.machine.ended
        self._world.machine.ended = lambda execution: self._ended(execution, ended)
        for _ in range(at_once({self._connection}, settings)):
            self._world.scheduler.later(0.0, self._next)

    def run(self) -> list[float]:
        """Submit the cases by hand; return the seconds that each takes."""
        singles = [self._case(f"H-{number}", 10_000 + number, "normal", at) for number, at in enumerate(BY_HAND)]
        for each in singles:
            self._world.scheduler.later(each.at, lambda each=each: self._people.submit(each))  # type: ignore[misc]
        names = {each.reference for each in singles}
        second = 0.0
        while not names <= self._ended_at.keys():
            second += 1
            self._world.run(second)
        self._world.close()
        return [self._ended_at[each.reference] - each.at for each in singles[1:]]

    @property
    def finished(self) -> int:
        """Cases of the batch that have ended."""
        return sum(name.startswith("B-") for name in self._ended_at)

    def _case(self, reference: str, number: int, priority: Priority, at: float = 0.0) -> Submission:
        names = (f"{reference}.pdf",)
        return Submission(number, self._connection, reference, at, "execution", names, priority=priority)

    def _next(self) -> None:
        if self._left:
            self._people.submit(self._left.pop(0))

    def _ended(self, execution: Execution, also: Callable[[Execution], None]) -> None:
        also(execution)
        reference = execution.given["reference"]
        self._ended_at[reference] = CLOCK.at
        if reference.startswith("B-"):
            self._world.scheduler.later(0.1, self._next)


def _settings(vendor: str) -> dict[str, Connection]:
    known = load_toml(ROOT / "connections.toml")
    limits = Limits(requests_per_second=RATE, concurrency=SLOTS)
    return {name: each.model_copy(update={"limits": limits}) for name, each in known.items() if each.vendor == vendor}


def main(vendor: str, batch: int) -> None:
    """Print the seconds of each case that was submitted by hand, alone and beside the batch."""
    alone = Office(vendor, 0).run()
    office = Office(vendor, batch)
    beside = office.run()
    sys.stdout.write(json.dumps({"alone": alone, "beside": beside, "finished": office.finished}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
