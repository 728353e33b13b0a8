"""One seed: a deployment, its cases and its faults, from the first submission until everything is at rest."""

from __future__ import annotations

import random
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from dossier.connections import load_toml
from dossier.settings import Connection, Limits, Poll
from tests.simulation import clock
from tests.simulation.clock import CLOCK
from tests.simulation.faults import Faults
from tests.simulation.handlers import ROOT
from tests.simulation.invariants import Invariants, ViolatedError
from tests.simulation.people import People, Submission, submissions
from tests.simulation.trace import Trace
from tests.simulation.world import World

OVER = 900.0
"""Seconds over which cases are submitted."""
TROUBLED = 2700.0
"""Seconds after which the faults stop."""
GIVE_UP = 26 * 3600.0
"""Seconds after which anything that is not at rest counts as stuck."""
STEP = 30.0
COMPARED = 2.5 * 3600
"""Seconds after which the hourly comparison has seen every change twice."""
SEEN = 600.0
"""Seconds within which a delivery that arrives has its ended case collected again."""


@dataclass(frozen=True)
class Plan:
    """What is run: a seed, its cases, and what is left out of it."""

    seed: int
    cases: int
    chosen: frozenset[int] | None = None
    """The numbers of the cases that are submitted; None: all."""
    without: frozenset[str] = frozenset()
    """Kinds of faults that are left out."""
    plain: bool = False
    """Whether each case is submitted once, as an execution, and nobody edits it."""
    documents: int | None = None
    """The most documents of a case; None: as many as the seed draws."""
    planted: str = ""
    """A fault that is planted in Dossier (``tests/simulation/planted.py``)."""


@dataclass
class Outcome:
    """The outcome."""

    plan: Plan
    digest: str = ""
    violated: str = ""
    about: str = ""
    events: int = 0
    virtual: float = 0.0
    seconds: float = 0.0
    """Of processor time."""
    figures: Counter[str] = field(default_factory=Counter)
    faults: dict[str, int] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()
    lines: list[str] = field(default_factory=list)
    trace: Trace | None = None

    @property
    def ok(self) -> bool:
        """Whether everything held."""
        return not self.violated


def settings_of(seed: int) -> dict[str, Connection]:
    """Return the shipped connections, with limits and times that the seed draws."""
    dice = random.Random(f"{seed}/settings")
    known = load_toml(ROOT / "connections.toml")
    found = {}
    for name, each in known.items():
        limits = Limits(requests_per_second=dice.choice([2, 5, 10]), concurrency=dice.choice([2, 5]))
        poll = Poll(first=2, every=dice.choice([2, 5]), max=dice.choice([30, 60]), deadline=6 * 3600)
        found[name] = each.model_copy(update={"limits": limits, "poll": poll, "settling": dice.choice([5.0, 30.0])})
    return found


def cases_of(plan: Plan) -> list[Submission]:
    """Return the cases of a plan."""
    kinds = Faults.drawn(str(plan.seed), without=plan.without).rates
    drawn = submissions(str(plan.seed), plan.cases, settings_of(plan.seed), over=OVER, kinds=kinds)
    chosen = (each for each in drawn if plan.chosen is None or each.number in plan.chosen)
    return [each.shrunk(plain=plan.plain, documents=plan.documents) for each in chosen]


def run(plan: Plan, *, keep: bool = False) -> Outcome:
    """Run a plan and return its outcome."""
    began = time.process_time()
    seed = str(plan.seed)
    clock.begin(seed)
    trace = Trace(keep=keep)
    faults = Faults.drawn(seed, without=plan.without)
    settings = settings_of(plan.seed)
    at_once = random.Random(f"{seed}/account").choice([10, 20, 50]) if faults.has("few_at_once") else 1000
    limits = {each.vendor: {"requests": 1000, "seconds": 1} for each in settings.values()}
    sandbox = {"seed": plan.seed, "faults": faults.rules(), "rate_limits": {**limits, "ombudsman": None}}
    world = World(faults, trace, settings, at_once=at_once, sandbox=sandbox)
    trace.who = lambda: world.scheduler.current.name if world.scheduler.current else ""
    slow = random.Random(f"{seed}/vendors")
    world.vendors.context.ready_at = lambda: CLOCK.time() + min(1800.0, slow.lognormvariate(3.0, 1.2))  # type: ignore[method-assign]
    people = People(world)
    invariants = Invariants(world, people)
    outcome = Outcome(plan, kinds=tuple(faults.rates), trace=trace if keep else None)
    people.plan(cases_of(plan))
    try:
        _live(world, people, invariants)
    except ViolatedError as error:
        outcome.violated, outcome.about = error.name, error.about
    except Exception as error:  # noqa: BLE001 -- the simulation's own failure is one of the seed's
        outcome.violated = f"the simulation fails: {type(error).__name__}"
        outcome.about = "".join(traceback.format_exception(error))[-3000:]
    outcome.digest, outcome.events, outcome.virtual = trace.digest, trace.count, CLOCK.at
    outcome.faults = dict(faults.struck) | dict(Counter(e.fault for e in world.vendors.entries if e.fault))
    outcome.figures = _figures(world, people)
    if keep:
        outcome.lines = trace.text()
    world.close()
    outcome.seconds = time.process_time() - began
    return outcome


def _live(world: World, people: People, invariants: Invariants) -> None:
    step = STEP
    while CLOCK.at < TROUBLED:
        world.run(step)
        invariants.check()
        step += STEP
        if CLOCK.at > OVER + 60 and invariants.at_rest():
            break
    world.faults.on = False
    world.vendors.set(faults=[])
    world.trace("the faults stop")
    last_letters = CLOCK.at
    while not invariants.at_rest():
        world.run(step)
        invariants.check()
        step += STEP
        if CLOCK.at - last_letters > 600:
            last_letters = CLOCK.at
            people.send_back()
        if CLOCK.at > GIVE_UP:
            break
    if invariants.at_rest():
        step = _pass(world, invariants, step, COMPARED)  # what was changed unseen is found by the hourly comparison
        for case in people.submitted.values():
            people.move(case)
        step = _pass(world, invariants, step, SEEN)
        unheard = people.unheard()
        if unheard:  # the hourly comparison may have just found them
            step = _pass(world, invariants, step, COMPARED, until=invariants.at_rest)
        invariants.check_end(stale=unheard)
        if unheard:
            _pass(world, invariants, step, COMPARED)
    invariants.check_end()


def _pass(
    world: World, invariants: Invariants, step: float, seconds: float, until: Callable[[], bool] = lambda: False
) -> float:
    """Let some time pass, or less if ``until`` holds; return the next step."""
    end = CLOCK.at + seconds
    while CLOCK.at < end and not until():
        world.run(step)
        invariants.check()
        step += STEP
    return step


def _figures(world: World, people: People) -> Counter[str]:
    machine = world.machine
    return Counter(
        {
            "cases": len(people.submitted),
            "executions": len(machine.executions),
            "transitions": sum(each.transitions for each in machine.executions.values()),
            "invocations": world.lambda_.invoked.total(),
            "killed": world.lambda_.killed.total(),
            "throttled": world.lambda_.throttled.total(),
            "cold starts": world.lambda_.cold.total(),
            "calls of AWS": world.wire.counts.total(),
            "requests to vendors": world.network.requests.total(),
            "answers of the operator": people.answers,
            "redriven": people.redriven.total(),
            "edits": people.edits,
            "events": len(world.events.put),
        }
    )
