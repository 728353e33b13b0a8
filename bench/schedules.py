"""What schedules of polls cost and how late they are: the guides' own loops, growing intervals, learned times.

Durations are drawn from the guides' own distributions (Ombudsman: documents 10 to 30 s, assessment 60 to 180 s). The
planner is the real one (``dossier.schedule``): it sees only what polls have seen, wait after wait. ``python -m
bench.schedules`` prints the tables; they depend on the seed alone, not on the machine.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dossier.schedule import MOST, Span, interval, plan
from dossier.settings import Poll

Takes = Sequence[float]
"""How long each document of a wait takes, in seconds; it is over with the last one. An assessment is one."""
Draw = Callable[[random.Random], Takes]
Wait = tuple[int, float]
"""The requests of a wait, and the seconds from when the vendor was done to when that was seen."""
POLL = Poll()
WAITS, EARLIER, SEED = 2000, 200, 22
"""Waits that are measured, and those before them, from which the planner has learned."""


@dataclass(frozen=True)
class Phase:
    """What is waited for, and the guide's loop for it: a request at once, then one every so many seconds."""

    name: str
    draw: Draw
    guide: float


PHASES = (
    Phase("a document (10-30 s)", lambda dice: [dice.uniform(10, 30)], 5),
    Phase("nine documents (10-30 s each)", lambda dice: [dice.uniform(10, 30) for _ in range(9)], 5),
    Phase("an assessment (60-180 s)", lambda dice: [dice.uniform(60, 180)], 10),
)
KNOWN = {"a document (10-30 s)": (10, 30), "an assessment (60-180 s)": (60, 180)}
"""The ends of uniform distributions."""


@dataclass(frozen=True)
class Row:
    """A schedule's figures for one phase."""

    phase: str
    schedule: str
    requests: float
    median: float
    mean: float
    longest: float

    def text(self) -> str:
        """Return the row of a table."""
        figures = (self.requests, self.median, self.mean, self.longest)
        return f"| {self.phase} | {self.schedule} | {' | '.join(f'{each:.1f}' for each in figures)} |"


HEAD = (
    "| what takes so long | schedule | requests | median delay, s | mean delay, s | longest delay, s |"
    "\n| --- | --- | ---: | ---: | ---: | ---: |"
)


def loop(takes: Takes, every: float) -> Wait:
    """Poll as the guides do: at once, then at an even interval, each time from the first document to one that runs."""
    at, requests = 0.0, 0
    while True:
        running = next((place for place, each in enumerate(takes) if each > at), None)
        requests += len(takes) if running is None else running + 1
        if running is None:
            return requests, at - max(takes)
        at += every


def served(takes: Takes, planned: Sequence[int], poll: Poll) -> tuple[Wait, Span]:
    """Poll the unfinished documents as Dossier does; return the figures and the polls' observations."""
    at, after, polls = float(planned[0] if planned else poll.first), 0.0, 1
    requests, left = len(takes), [each for each in takes if each > at]
    while left:
        after = at
        at, polls = at + interval(at, polls - 1, planned, poll), polls + 1
        requests, left = requests + len(left), [each for each in left if each > at]
    return (requests, at - max(takes)), Span(after, at)


def learned(draws: Iterable[Takes], poll: Poll, spans: Sequence[Span] = ()) -> tuple[list[Wait], tuple[Span, ...]]:
    """Serve waits one after the other, each planned from what the polls before have seen."""
    known, waits = tuple(spans), list[Wait]()
    for takes in draws:
        wait, span = served(takes, plan(known, poll), poll)
        known = (*known, span)[-MOST:]
        waits.append(wait)
    return waits, known


def best(low: float, high: float, requests: float) -> list[float]:
    """Return the best times for a uniform distribution that is known exactly, with so many requests on average.

    Polls are placed as the planner does; no estimate stands between.
    """
    times: list[float] = []
    for count in range(2, 400):
        closer = [low + (high - low) * (1 - (1 - place / count) ** 3) for place in range(1, count + 1)]
        left = [1.0, *(1 - (each - low) / (high - low) for each in closer[:-1])]
        if sum(left) > requests:
            return times
        times = closer
    return times


def figures(phase: str, schedule: str, waits: Sequence[Wait]) -> Row:
    """Return the figures of some waits."""
    delays = [delay for _, delay in waits]
    requests = statistics.mean(number for number, _ in waits)
    return Row(phase, schedule, requests, statistics.median(delays), statistics.mean(delays), max(delays))


FEW = {"learned from eleven": 0, "learned from eleven, six of them ten times faster": 6}
"""How many of the waits before were ten times faster."""


def compare(phase: Phase, *, seed: int = SEED, waits: int = WAITS) -> list[Row]:
    """Return the schedules' figures for one phase, for the same durations."""
    dice = random.Random(f"{seed} {phase.name}")  # noqa: S311 -- repeatable
    earlier, draws = [phase.draw(dice) for _ in range(EARLIER)], [phase.draw(dice) for _ in range(waits)]
    guide = figures(phase.name, "the guide's loop", [loop(each, phase.guide) for each in draws])
    rows = [guide, figures(phase.name, "growing intervals", [served(each, (), POLL)[0] for each in draws])]
    rows.append(figures(phase.name, "learned", learned(draws, POLL, learned(earlier, POLL)[1])[0]))
    if phase.name in KNOWN:
        times = best(*KNOWN[phase.name], guide.requests)
        seen = [next((place + 1, at - each) for place, at in enumerate(times) if at >= each) for (each,) in draws]
        rows.append(figures(phase.name, "best with so many requests, were the distribution known", seen))
    return rows


def early(*, seed: int = SEED, connections: int = 100) -> list[Row]:
    """Return the figures of the next waits of connections that have learned little, by phase.

    The waits from which they learn ran at the same time, so they were polled at growing intervals.
    """
    rows = []
    for phase in PHASES:
        dice = random.Random(f"{seed} {phase.name} early")  # noqa: S311 -- repeatable
        for name, faster in FEW.items():
            guide, waits = list[Wait](), list[Wait]()
            for _ in range(connections):
                before = [[each / (10 if number < faster else 1) for each in phase.draw(dice)] for number in range(11)]
                planned = plan([served(each, (), POLL)[1] for each in before], POLL)
                draws = [phase.draw(dice) for _ in range(3)]
                guide += [loop(each, phase.guide) for each in draws]
                waits += [served(each, planned, POLL)[0] for each in draws]
            rows += [figures(phase.name, "the guide's loop", guide), figures(phase.name, name, waits)]
    return rows


def _or_an_hour(dice: random.Random) -> Takes:
    return [dice.uniform(10, 30) if dice.random() < 1 / 2 else dice.uniform(3000, 3600)]


CHANGES: dict[str, Draw] = {
    "ten times slower (100-300 s)": lambda dice: [dice.uniform(100, 300)],
    "five times faster (2-6 s)": lambda dice: [dice.uniform(2, 6)],
    "half of them about an hour": _or_an_hour,
}


def changes(*, seed: int = SEED) -> list[Row]:
    """Return the figures of the first fifty waits after the times of a document (10-30 s) change."""
    rows = []
    for name, draw in CHANGES.items():
        dice = random.Random(f"{seed} {name}")  # noqa: S311 -- repeatable
        _, known = learned((PHASES[0].draw(dice) for _ in range(EARLIER)), POLL)
        draws = [draw(dice) for _ in range(50)]
        rows.append(figures(name, "growing intervals", [served(each, (), POLL)[0] for each in draws]))
        rows.append(figures(name, "learned from 10-30 s", learned(draws, POLL, known)[0]))
    return rows


def tables() -> str:
    """Return the tables as Markdown."""
    typical = [row.text() for phase in PHASES for row in compare(phase)]
    few, changed = ([row.text() for row in rows] for rows in (early(), changes()))
    return "\n".join([HEAD, *typical, "", HEAD, *few, "", HEAD, *changed])


def main() -> int:
    """Print the tables; return the exit code."""
    sys.stdout.write(f"{tables()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
