"""How late a finished case is seen where no webhook says so: prints it with the requests it took, as JSON.

``python -m tests.simulation.learning`` runs one deployment without faults, at the Ombudsman API: cases of one document
each, whose times are drawn from the guide's (documents 10 to 30 s, assessment 60 to 180 s). The first ``LEARN`` of them
teach Dossier; the next are measured; then the vendor turns ten times slower.
"""

from __future__ import annotations

import json
import random
import re
import statistics
import sys
from collections import defaultdict
from typing import Any

from tests.simulation import clock

clock.install()

import httpx  # noqa: E402 -- after the clocks

from bench.schedules import PHASES, loop  # noqa: E402
from dossier.connections import load_toml  # noqa: E402
from dossier.settings import Poll  # noqa: E402
from local.sandbox.journal import Entry  # noqa: E402
from tests.simulation.clock import BEGIN, CLOCK  # noqa: E402
from tests.simulation.faults import Faults  # noqa: E402
from tests.simulation.handlers import ROOT  # noqa: E402
from tests.simulation.people import People, Submission  # noqa: E402
from tests.simulation.trace import Trace  # noqa: E402
from tests.simulation.vendors import Exchange  # noqa: E402
from tests.simulation.world import World  # noqa: E402

clock.hold()
LEARN, MEASURED, SLOW = 40, 40, 12
APART, SLOWER = 30.0, 10.0
"""Seconds from one case to the next, and how much slower the vendor gets."""
TIMES = {"document": (10.0, 30.0), "assessment": (60.0, 180.0)}
DOCUMENT, _, ASSESSMENT = PHASES
GUIDE = {"document": DOCUMENT.guide, "assessment": ASSESSMENT.guide}
"""Seconds between two requests of the guide's loops (``bench.schedules``)."""
_CASE = re.compile(r"/cases/([^/]+)(/evidence/[^/]+)?$")


class Watch:
    """When the vendor is done with each phase of a case, when an answer first says so, and how often it was asked."""

    def __init__(self, world: World) -> None:
        self.began: dict[tuple[str, str], float] = {}
        self.ready: dict[tuple[str, str], float] = {}
        self.seen: dict[tuple[str, str], float] = {}
        self.asked: dict[tuple[str, str], int] = defaultdict(int)
        self.order: list[str] = []
        self.times = TIMES
        dice = random.Random("learning")
        vendor = world.vendors.context
        vendor.ready_at = lambda: CLOCK.time() + dice.uniform(*self.times["document"])  # type: ignore[method-assign]
        vendor.drawn = lambda _: dice.uniform(*self.times["assessment"])  # type: ignore[method-assign]
        write = vendor.journal.write

        def note(entry: Entry) -> None:
            write(entry)
            for effect in entry.effects:
                self._begun(effect)

        vendor.journal.write = note  # type: ignore[method-assign]
        world.network.answered = self._answered

    def _begun(self, effect: dict[str, Any]) -> None:
        if effect["effect"] == "case_created":
            self.order.append(effect["case_id"])
        for name, phase in (("document_uploaded", "document"), ("assessment_started", "assessment")):
            if effect["effect"] == name:
                self.began[effect["case_id"], phase] = CLOCK.at
                self.ready[effect["case_id"], phase] = float(effect["ready"]) - BEGIN

    def _answered(self, vendor: str, request: httpx.Request, exchange: Exchange) -> None:
        del vendor
        found = _CASE.search(request.url.path)
        if request.method != "GET" or found is None:
            return
        key = (found[1], "document" if found[2] else "assessment")
        if key not in self.seen:
            self.asked[key] += 1
            if json.loads(exchange.body)["status"] in {"processing_complete", "processed"}:
                self.seen[key] = CLOCK.at

    def figures(self, cases: list[str]) -> dict[str, dict[str, float]]:
        """Return the delays of these cases by phase, the mean of their requests, and what the guide's loop had sent."""
        said = {}
        for phase in TIMES:
            delays = [self.seen[case, phase] - self.ready[case, phase] for case in cases]
            requests = statistics.mean(self.asked[case, phase] for case in cases)
            took = [self.ready[case, phase] - self.began[case, phase] for case in cases]
            guide = statistics.mean(loop([each], GUIDE[phase])[0] for each in took)
            said[phase] = {
                "median": statistics.median(delays),
                "longest": max(delays),
                "requests": requests,
                "guide": guide,
            }
        return said


def main() -> None:
    """Print the figures of the first cases, of those that others have taught, and of those whose vendor is slower."""
    clock.begin("learning")
    known = load_toml(ROOT / "connections.toml")
    settings = {
        name: each.model_copy(update={"poll": Poll()}) for name, each in known.items() if each.vendor == "ombudsman"
    }
    [connection] = settings
    world = World(Faults("learning", {}), Trace(keep=False), settings)
    people, watch = People(world), Watch(world)
    begins = [APART * number for number in range(LEARN + MEASURED)]
    turn = begins[-1] + 400
    begins += [turn + 60 + APART * number for number in range(SLOW)]
    for number, at in enumerate(begins):
        case = Submission(number, connection, f"L-{number}", at, "execution", (f"{number}.pdf",))
        world.scheduler.later(at, lambda case=case: people.submit(case))  # type: ignore[misc]

    def slower() -> None:
        watch.times = {phase: (SLOWER * low, SLOWER * high) for phase, (low, high) in TIMES.items()}

    world.scheduler.later(turn, slower)
    world.run(begins[-1] + SLOWER * 400)
    world.close()
    first, taught, after = watch.order[:8], watch.order[LEARN : LEARN + MEASURED], watch.order[LEARN + MEASURED :]
    figures = {name: watch.figures(cases) for name, cases in (("first", first), ("taught", taught), ("slower", after))}
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
