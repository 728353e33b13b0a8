"""Many waiting cases of a connection: the real sweep, poller, limiter and transport over models of table and queue."""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import httpx

from dossier.environment import Environment
from dossier.models import CaseId, Document
from dossier.settings import Limits, Poll
from dossier.steps import context as context_step
from dossier.steps import poll as poll_step
from dossier.steps import sweep as sweep_step
from dossier.stores import cases as cases_store
from dossier.stores import waits as waits_store
from dossier.stores.cases import CaseRecord
from dossier.stores.clients import Clients
from dossier.stores.limiter import Limiter
from dossier.stores.waits import Waits
from dossier.transport import Transport
from dossier.vendors.docustack.settings import DocuStackConnection
from tests.waiting.models import Clock, MemoryQueues, MemoryTable

CONNECTION = "invoices"
OVERHEAD = 0.05
"""Seconds of a poll function besides what it does."""


@dataclass
class Load:
    """What a simulation is to do. The vendor finishes no document before ``hours`` are over."""

    waits: int
    hours: float = 1.0
    rate: float = 10.0
    concurrency: int = 5
    latency: float = 0.2
    arrive: float = 60.0
    """Seconds over which the cases begin to wait."""
    lose: float = 0.002
    """Share of messages that are lost."""
    down: tuple[float, float] | None = None
    """When the vendor cannot be reached: from, until, in seconds."""
    deadline: float = 40_000.0
    learned: tuple[int, ...] = ()
    """The plan of each wait, which its vendor does not keep."""
    seed: int = 1


@dataclass
class Figures:
    """The outcome."""

    polls: list[float] = field(default_factory=list)
    """When the vendor was asked."""
    messages: list[int] = field(default_factory=list)
    """How many messages there were, at each minute."""
    oldest: list[float] = field(default_factory=list)
    """How long ago the wait was polled that was polled the longest ago, at each minute, in seconds."""
    invocations: int = 0
    seconds: float = 0.0
    """Of functions, in all."""
    sent: int = 0
    writes: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """Tokens that were answered with a failure, by its name."""

    def row(self, load: Load) -> str:
        """Return the figures as a row of the documentation's table."""
        return (
            f"| {load.waits:,} | {max(self.messages):,} | {self.sent:,} | {round(len(self.polls) / load.hours):,} | "
            f"{max(self.oldest) / 60:.0f} min | {self.seconds / max(1, len(self.polls)):.2f} s | "
            f"{self.writes / max(1, len(self.polls)):.1f} |"
        )


HEAD = (
    "| waiting cases | most messages | messages sent | polls an hour | oldest poll | function time a poll "
    "| writes a poll |"
    "\n| --- | --- | --- | --- | --- | --- | --- |"
)


class Simulation:
    """One connection's waiting room."""

    def __init__(self, load: Load) -> None:
        self.load, self.clock, self.figures = load, Clock(), Figures()
        self.table, self.queues = MemoryTable(), MemoryQueues(self.clock, lose=load.lose, seed=load.seed)
        limits = Limits(requests_per_second=load.rate, concurrency=load.concurrency)
        self._settings = DocuStackConnection(
            name=CONNECTION,
            vendor="docustack",
            base_url="https://api.docustack.com",
            schema_id="s",
            organization_id="o",
            limits=limits,
            poll=Poll(first=2, every=5, max=60, deadline=load.deadline),
        )
        limiter = Limiter(self.table, clock=self.clock.seconds, sleep=self.clock.sleep)  # type: ignore[arg-type]
        transport = Transport(
            httpx.Client(transport=httpx.MockTransport(self._answer)),
            keys=SimpleNamespace(api_key=lambda *_, **__: "ds_live_key"),  # type: ignore[arg-type]
            turns=limiter,
            open_file=lambda *_: None,  # type: ignore[arg-type,return-value]
            patience=context_step.PATIENCE,
        )
        self._waits = Waits(self.table, self.queues)  # type: ignore[arg-type]
        self._context = context_step.Context(Environment(), cast("Clients", None)).replacing(
            table=self.table,
            waits=self._waits,
            transport=transport,
            limiter=limiter,
            executions=self,
            connection_of=lambda _: self._settings,
        )
        self._cases = self._context.cases
        self._polled: dict[str, float] = {}

    def succeed(self, token: str, output: object) -> bool:
        """Answer a task token."""
        self._polled.pop(token, None)
        return bool(output)

    def fail(self, token: str, error: Exception) -> bool:
        """Answer a task token."""
        self._polled.pop(token, None)
        self.figures.failed[type(error).__name__] += 1
        return True

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.load.down and self.load.down[0] <= self.clock.at < self.load.down[1]:
            raise httpx.ConnectError("no route")
        self.figures.polls.append(self.clock.at)
        self.clock.sleep(self.load.latency)
        found = re.search(r"/documents/([^/]+)/status", request.url.path)
        reference = found[1] if found else ""
        self._polled[reference] = self.clock.at
        return httpx.Response(200, json={"document_id": reference, "status": "processing"})

    def run(self) -> Figures:
        """Let the hours pass."""
        with on(self.clock):
            self._run()
        self.figures.sent, self.figures.writes = self.queues.sent, self.table.calls["write"]
        return self.figures

    def _run(self) -> None:
        end = self.load.hours * 3600
        workers = [(0.0, number) for number in range(max(2, self.load.concurrency))]
        begins = [(self.load.arrive * number / self.load.waits, number) for number in range(self.load.waits)]
        minute, begun = 60.0, 0
        while True:
            free_at, worker = workers[0]
            ready = self.queues.next_at()
            poll_at = max(free_at, ready) if ready is not None else float("inf")
            begin_at = begins[begun][0] if begun < len(begins) else float("inf")
            at = min(poll_at, begin_at, minute)
            if at >= end:
                return
            self.clock.at = at
            if at == begin_at:
                self._begin(begins[begun][1])
                begun += 1
            elif at == minute:
                sweep_step.sweep([CONNECTION], context=self._context)
                self.figures.messages.append(len(self.queues))
                self.figures.oldest.append(max((at - each for each in self._polled.values()), default=0.0))
                minute += 60.0
            else:
                heapq.heapreplace(workers, (self._poll(at), worker))

    def _begin(self, number: int) -> None:
        reference, at = f"R-{number}", self.clock.now()
        record = CaseRecord(
            connection=CONNECTION,
            reference=reference,
            vendor="docustack",
            status="waiting",
            submitted_at=at,
            updated_at=at,
        )
        self._cases.claim(record)
        document = Document(index=0, name="a.pdf", key="k", document_id=reference, status="processing")
        self._cases.put_documents(CaseId(CONNECTION, reference), [document], fresh=True)
        deadline = self._settings.poll.deadline
        self._waits.start(
            CaseId(CONNECTION, reference),
            phase="documents",
            token=reference,
            first=2,
            deadline=deadline,
            kind="documents-1-0",
            plan=self.load.learned,
        )
        self._polled[reference] = self.clock.at

    def _poll(self, at: float) -> float:
        """Serve one message; return when the function is done."""
        message = self.queues.take()
        self.clock.sleep(OVERHEAD)
        poll_step.serve(message, context=self._context)
        self.queues.done(message)
        self.figures.invocations += 1
        self.figures.seconds += self.clock.at - at
        return self.clock.at

    def deadlines(self) -> list[float]:
        """Return where the waits' deadlines are, in seconds of the simulation's time."""
        begin = Clock().now().timestamp()
        return [each.deadline.timestamp() - begin for each in self._waits.waiting(CONNECTION)]


@contextmanager
def on(clock: Clock) -> Iterator[None]:
    """Have the waiting room look at this clock."""
    modules: list[Any] = [poll_step, sweep_step, context_step, cases_store, waits_store]
    own = [(module, module.now) for module in modules if hasattr(module, "now")]
    for module, _ in own:
        module.now = clock.now
    try:
        yield
    finally:
        for module, now in own:
            module.now = now
