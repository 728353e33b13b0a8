"""The questions of the scale table, and the simulation that answers one of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from checks.cost import _APART, Counts, Deployed
from checks.synthesis import stack_name, templates
from dossier import pricing
from dossier.connections import load_toml
from dossier.models import moment
from dossier.pricing import Spent
from dossier.settings import Connection, Limits, Poll
from tests.simulation import clock
from tests.simulation.clock import CLOCK
from tests.simulation.handlers import ROOT
from tests.simulation.models.stepfunctions import FailedError
from tests.simulation.people import People, Submission
from tests.simulation.scale import hundred
from tests.simulation.scale.quotas import Quotas, Rate, Typical, Use, known
from tests.simulation.scheduler import Task
from tests.simulation.trace import Trace
from tests.simulation.vendors import VENDOR
from tests.simulation.world import STAGE, World

_IAM = {"stepfunctions": "states"}
"""Services whose actions have another name."""
STEP = 10.0
"""Seconds between two looks at the figures."""
RATE, SLOTS, BREAKER, LAMBDA = (
    "`limits.requests_per_second`",
    "`limits.concurrency`",
    "the vendor",
    "Lambda's concurrency",
)
REASONS = {
    "limits.requests_per_second": RATE,
    "limits.concurrency": SLOTS,
    "circuit breaker": BREAKER,
    "VendorUnavailableError": BREAKER,
    "Lambda.TooManyRequestsException": LAMBDA,
}
"""What a retried step waits for, by words in its error."""
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


@dataclass(frozen=True)
class Scenario:
    """A question, and how much of it is simulated."""

    name: str
    title: str
    method: str
    """A question: the simulated load, and its deployment."""
    cases: int
    """All cases of the question."""
    share: float = 1.0
    """The share of the cases, the vendors' limits and AWS's quotas that is simulated."""
    over: float = 0.0
    """Seconds over which the cases are submitted; 0: as fast as AWS starts executions."""
    takes: Mapping[str, float] = field(default_factory=dict)
    """Seconds that a vendor takes for a document, where it is not a minute."""
    concurrency: float = 0
    """The account's concurrency, where it is not the default quota."""
    down: tuple[str, float, float] | None = None
    """A vendor that is down: from when, and until when, in seconds."""
    only: tuple[str, ...] = ()
    """The connections that have cases; empty: all."""
    deadline: float = 0.0
    """``poll.deadline`` of each connection, where it is not the default."""
    window: tuple[float, float] | None = None
    """The seconds that are measured, where cases come all the time."""
    per_connection: bool = True
    """Whether the share is taken of each connection's limits; otherwise it is a share of the connections."""


SCENARIOS = (
    Scenario(
        "burst",
        "10,000 cases at once, over 30 connections",
        "three of the 30 connections with a tenth of the cases and of each quota",
        cases=10_000,
        share=0.1,
        per_connection=False,
    ),
    Scenario(
        "million",
        "a million a day over 30 connections",
        "three of the 30 connections with a tenth of the cases and of each quota, evenly over time; twelve minutes, of "
        "which the last six are measured",
        cases=1_000_000,
        share=0.1,
        over=DAY,
        window=(6 * MINUTE, 12 * MINUTE),
        per_connection=False,
    ),
    Scenario(
        "day",
        "one vendor that takes a day",
        "all of it: 40 cases at DocuStack, which takes a day, and 40 at each other vendor, over an hour, with "
        "`poll.deadline` of two days. The dollars are the average of all 120",
        cases=120,
        over=HOUR,
        takes={"docustack": DAY},
        deadline=2 * DAY,
    ),
    Scenario(
        "down",
        "a vendor that is down for six hours",
        "all of it: 90 cases over six hours, a third of them at DocuStack, which cannot be reached in that time",
        cases=90,
        over=6 * HOUR,
        down=("docustack", 0.0, 6 * HOUR),
    ),
    Scenario(
        "new",
        "a new account with a concurrency of 10",
        "all of it: 150 cases at once over the three shipped connections",
        cases=150,
        concurrency=10,
    ),
)


def settings_of(scenario: Scenario) -> dict[str, Connection]:
    """Return the shipped connections with the default limits and times, or the scenario's share of them."""
    limits = Limits()
    if scenario.per_connection and scenario.share < 1:
        limits = Limits(
            requests_per_second=limits.requests_per_second * scenario.share,
            concurrency=max(1, round(limits.concurrency * scenario.share)),
        )
    poll = Poll(deadline=scenario.deadline) if scenario.deadline else Poll()
    settling = Connection.model_fields["settling"].default
    known_ones = load_toml(ROOT / "connections.toml")
    return {
        name: each.model_copy(update={"limits": limits, "poll": poll, "settling": settling})
        for name, each in known_ones.items()
    }


@dataclass
class Figures:
    """What a simulation of a scenario shows; of the simulated share where it says nothing else."""

    name: str
    cases: int = 0
    ended: int = 0
    failed: int = 0
    seconds: float = 0.0
    """From the first submission to the last end."""
    throughput: float = 0.0
    """Cases that end in an hour, of the whole question."""
    over_median: float = 0.0
    """Seconds that a case takes over the vendor's own time."""
    over_95: float = 0.0
    over_most: float = 0.0
    by_vendor: dict[str, float] = field(default_factory=dict)
    """The median by connection."""
    backlog: float = 0.0
    oldest_poll: float = 0.0
    concurrency: float = 0.0
    throttles: int = 0
    invocations: float = 0.0
    """For each case."""
    polls: float = 0.0
    waits: dict[str, int] = field(default_factory=dict)
    """How often a step left its function and came back later, by what it waited for."""
    first: dict[str, float] = field(default_factory=dict)
    """When that happened first."""
    cost: float = 0.0
    bill: dict[str, float] = field(default_factory=dict)
    uses: list[tuple[str, float, float | None]] = field(default_factory=list)
    """Each limit: the share that was used at most, and when it was used up first."""
    quotas: dict[str, int] = field(default_factory=dict)
    processor: float = 0.0
    real: float = 0.0


class Run:
    """One simulation without faults, with everything that the table shows."""

    def __init__(self, scenario: Scenario, settings: Mapping[str, Connection]) -> None:
        self.scenario, self.settings = scenario, settings
        clock.begin(scenario.name)
        share = scenario.share
        self.quotas = Quotas(share, concurrency=scenario.concurrency or known()["lambda"]["concurrency"])
        at_once = round((scenario.concurrency or known()["lambda"]["concurrency"]) * share)
        self.faults = Typical(scenario.name)
        free = {each.vendor: {"requests": 1000, "seconds": 1} for each in settings.values()}
        sandbox = {"seed": 1, "faults": [], "rate_limits": {**free, "ombudsman": None}}
        self.world = World(self.faults, Silent(), settings, at_once=at_once, sandbox=sandbox)
        self.people = People(self.world)
        self.counts = Counts()
        self.asking: set[Task] = set()
        self.submitted: dict[tuple[str, str], float] = {}
        self.ended: dict[tuple[str, str], tuple[float, str]] = {}
        self.requests: dict[str, Rate] = {}
        self.figures = Figures(scenario.name)
        self._watch()

    def _watch(self) -> None:
        world, quotas = self.world, self.quotas
        world.vendors.context.ready_at = lambda: CLOCK.time() + self.takes(VENDOR.get())  # type: ignore[method-assign]
        world.wire.lets_through = quotas.call
        world.machine.delays = quotas.transition
        world.dynamo.spend = self._spend
        world.lambda_.own_work = lambda: self.faults.latency("handler") * 2
        spoil, finish = world.lambda_.ended, world.machine.ended

        def ended(task: Task, well: bool) -> None:
            if task in self.asking:
                self.asking.discard(task)
                self.counts.asking[task.name] += 1
            spoil(task, well)

        def over(execution: Any) -> None:
            names = (execution.given["connection"], execution.given["reference"])
            self.ended.setdefault(names, (CLOCK.at, execution.status))
            finish(execution)

        world.lambda_.ended, world.machine.ended = ended, over
        world.machine.retried = self._retried
        world.network.sent = self._leaves
        if self.scenario.down is not None:
            vendor, begin, until = self.scenario.down
            world.vendors.down, world.vendors.always_down = {vendor: (begin, until)}, True
        for name, each in self.settings.items():
            limits = each.limits
            use = Use(limits.requests_per_second * MINUTE)
            self.quotas.uses[f"{name}: limits.requests_per_second"] = use
            self.requests[each.vendor] = Rate(use, span=MINUTE)
            self.quotas.uses[f"{name}: polls at once"] = Use(limits.polls_at_once)

    def takes(self, vendor: str) -> float:
        """Return how long a vendor takes for a document, in seconds."""
        return self.scenario.takes.get(vendor, MINUTE)

    def _spend(self, kind: str, units: float, partition: str) -> None:
        self.quotas.units(kind, units, partition)
        if kind == "read":
            self.counts.read_units += units
        else:
            self.counts.write_units += units

    def _leaves(self, vendor: str, request: Any) -> None:
        del request
        if vendor in self.requests:  # a link to a vendor's storage is not its API
            self.requests[vendor].add()
        task = self.world.scheduler.current
        if task is not None:
            self.asking.add(task)

    def _retried(self, error: FailedError) -> None:
        """Count what a case waits for before a state is tried again."""
        reason = next((what for words, what in REASONS.items() if words in f"{error.name} {error.cause}"), error.name)
        self.figures.waits[reason] = self.figures.waits.get(reason, 0) + 1
        self.figures.first.setdefault(reason, CLOCK.at)

    def submit(self, number: int, at: float) -> None:
        """Plan a case of one document."""
        names = self.scenario.only or sorted(self.settings)
        connection, reference = names[number % len(names)], f"C-{number:05}"
        case = Submission(number, connection, reference, at, "execution", (f"{reference}.pdf",))

        def begin() -> None:
            self.submitted[connection, reference] = CLOCK.at
            self.people.submit(case)

        self.world.scheduler.later(at, begin)

    def so_far(self) -> tuple[Counts, Counter[str]]:
        """Return the counts so far, and the seconds that functions ran."""
        world = self.world
        transitions = sum(each.transitions for each in world.machine.executions.values())
        counts = Counts(
            transitions, +world.lambda_.invoked, +self.counts.asking, +world.wire.counts,
            self.counts.read_units, self.counts.write_units,
        )  # fmt: skip
        return counts, +world.lambda_.seconds

    def look(self) -> None:
        """Record the current numbers."""
        world, figures = self.world, self.figures
        figures.backlog = max(figures.backlog, len(world.machine.running))
        waits = world.dynamo.kinds["WAIT"].values()
        if waits:
            late = CLOCK.time() - min(moment(item["next_at"]).timestamp() for item in waits)
            figures.oldest_poll = max(figures.oldest_poll, late)
        running = world.lambda_.most_running
        figures.concurrency = max(figures.concurrency, running)
        self.quotas.uses["Lambda: concurrency of the account"].saw(running)
        for name in self.settings:
            self.quotas.uses[f"{name}: polls at once"].most = world.pollers[f"poll-{name}"].most_running

    def live(self, until: float) -> None:
        """Let the time pass until everything has ended, or until a time."""
        step = STEP
        while CLOCK.at < until:
            self.world.run(step)
            self.look()
            step += STEP
            if len(self.ended) >= len(self.submitted) > 0 and self._all_in() and not self.world.machine.running:
                break

    def _all_in(self) -> bool:
        return self.scenario.window is None and len(self.submitted) == self.figures.cases


class Silent(Trace):
    """Writes down nothing."""

    def __call__(self, what: str, /, **about: Any) -> None:
        """Forget it."""


def simulate(scenario: Scenario) -> Figures:
    """Simulate a scenario and return its figures."""
    began, processor = clock.real_time(), time.process_time()
    run = Run(scenario, settings_of(scenario))
    share, quota = scenario.share, known()["states"]["start_execution"][1]
    every = scenario.cases * share
    over = scenario.over or every / (quota * share)
    until = scenario.window[1] if scenario.window else 3 * DAY
    planned = int(every * min(1.0, until / over))
    for number in range(planned):
        run.submit(number, number * over / every)
    run.figures.cases = planned
    before = Counts(), Counter[str]()
    if scenario.window:
        run.live(scenario.window[0])
        before = run.so_far()
    run.live(until)
    after = run.so_far()
    measure(run, before, after)
    run.world.close()
    run.figures.processor, run.figures.real = time.process_time() - processor, clock.real_time() - began
    return run.figures


def measure(run: Run, before: tuple[Counts, Counter[str]], after: tuple[Counts, Counter[str]]) -> None:
    """Record the figures of the time between two counts."""
    scenario, figures = run.scenario, run.figures
    begin, end = scenario.window or (0.0, max((at for at, _ in run.ended.values()), default=CLOCK.at))
    done = {names: at for names, (at, _) in run.ended.items() if begin <= at <= end}
    figures.ended, figures.seconds = len(done), end - begin
    figures.failed = sum(status != "SUCCEEDED" for names, (_, status) in run.ended.items() if names in done)
    figures.throughput = len(done) / (end - begin) * HOUR / scenario.share
    vendors = {name: each.vendor for name, each in run.settings.items()}
    over = {names: at - run.submitted[names] - run.takes(vendors[names[0]]) for names, at in done.items()}
    figures.over_median, figures.over_95, figures.over_most = _spread(list(over.values()))
    for name in run.settings:
        own = [each for (connection, _), each in over.items() if connection == name]
        if own:
            figures.by_vendor[name] = median(own)
    figures.throttles = run.world.lambda_.throttled.total()
    counts, seconds = after[0].minus(before[0]), after[1] - before[1]
    cases = max(1, figures.ended)
    figures.invocations = counts.invoked.total() / cases
    figures.polls = counts.invoked["poll"] / cases
    figures.bill = bill(counts, seconds, executions=figures.ended)
    figures.cost = sum(figures.bill.values()) / cases
    figures.uses = [(name, use.share, use.full_at) for name, use in run.quotas.uses.items()]
    figures.quotas = {name: number for name, number in run.quotas.throttled.items() if number}


def _spread(found: list[float]) -> tuple[float, float, float]:
    ordered = sorted(found) or [0.0]
    return median(ordered), ordered[int(0.95 * (len(ordered) - 1))], ordered[-1]


def bill(counts: Counts, seconds: Mapping[str, float], executions: int) -> dict[str, float]:
    """Return the cost of counts in dollars, as ``make cost`` computes it, with the functions' simulated times."""
    deployed = Deployed(templates()[3], stack_name(3))
    apart = sum(number for verb, number in counts.invoked.items() if verb in deployed.traced & _APART)
    spent = Spent(
        transitions=counts.transitions,
        traces=apart + executions * deployed.traces_executions,
        invocations=counts.invoked.total(),
        gigabyte_seconds=sum(deployed.memory[verb] / 1024 * each for verb, each in seconds.items()),
        read_units=counts.read_units,
        write_units=counts.write_units,
        requests=Counter({**counts.requests, "secretsmanager.GetSecretValue": counts.asking.total()}),
        batches=counts.invoked["poll"] + counts.invoked["wake"] + counts.invoked["drop"],
        deliveries=counts.invoked["webhook"],
    )
    return pricing.bill(spent, pricing.prices())


def hundred_cases() -> Counter[str]:
    """Simulate the hundred cases of ``hundred``, and return what the local AWS counts of them."""
    title = "the hundred cases of the comparison"
    takes = dict.fromkeys(("docsumo", "docustack", "ombudsman"), hundred.TAKES)
    scenario = Scenario("hundred", title, "all of it", hundred.CASES, over=hundred.CASES * hundred.APART, takes=takes)
    run = Run(scenario, hundred.settings_of(load_toml(ROOT / "connections.toml")))
    run.figures.cases = hundred.CASES
    for number in range(hundred.CASES):
        run.submit(number, number * hundred.APART)
    run.live(DAY)
    run.world.run(CLOCK.at + MINUTE)
    world = run.world
    calls = [
        (_IAM.get(service, service), operation)
        for (verb, name), number in world.wire.callers.items()
        for service, _, operation in [name.partition(".")]
        if verb in world.lambda_.functions and verb not in hundred.SCHEDULED
        for _ in range(2 * number if operation == "CopyObject" else number)  # it is checked as a read and a write
    ]
    found = hundred.grouped(calls)
    found["state transitions"] = sum(each.transitions for each in world.machine.executions.values())
    found["invocations"] = sum(n for verb, n in world.lambda_.invoked.items() if verb not in hundred.SCHEDULED)
    world.close()
    return found


def smaller(scenario: Scenario, part: float) -> Scenario:
    """Return a scenario of which a smaller share is simulated."""
    return replace(scenario, share=scenario.share * part)


__all__ = ["SCENARIOS", "STAGE", "Figures", "Scenario", "measure", "simulate"]
