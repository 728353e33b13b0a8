"""One execution of the real state machine that stops before each step, on a clock that tests move.

Time passes only in :meth:`Journey.happens`, which lets Dossier and AWS do what they do by themselves: the steps and
their retries, poll messages, the sweep, the scheduled check. It returns the first thing that happens to the case.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import httpx

from dossier.errors import OutcomeUnknownError, PausedError, RetryableError, ThrottledError
from dossier.models import CaseId
from dossier.settings import Poll
from dossier.steps.context import Context
from dossier.steps.explain import Facts
from dossier.steps.facts import facts_of
from dossier.steps.hold import resume
from dossier.steps.poll import poll
from dossier.steps.poll import resume as resume_step
from dossier.steps.reconcile import reconcile
from dossier.steps.sweep import GRACE, sweep
from dossier.stores.executions import Execution
from dossier.stores.limiter import Limiter
from dossier.transport import Transport
from tests.clock import Clock
from tests.conftest import Cloud
from tests.machine import World
from tests.walk import Handlers, Walk

T = TypeVar("T")
POLL = Poll(first=2, every=5, max=60, deadline=3600)
HOURS = timedelta(hours=12)
"""How long nothing has to happen for a case to count as one that waits for somebody."""


class Single(World):
    """A world in which a function is tried once: the journey repeats it."""

    def _try(self, step: Callable[[], T]) -> T:
        return step()


@dataclass(frozen=True)
class Event:
    """Something that happened to the case: its kind, as ``explain`` calls it, and when."""

    kind: str
    at: datetime


class Vendors(httpx.BaseTransport):
    """The sandbox's vendors; ``fault`` answers in their place, or fails after they have answered."""

    def __init__(self, world: World) -> None:
        self._sandbox = world.sandbox
        self.fault: Callable[[httpx.Request], httpx.Response | Exception | None] = lambda _: None
        self.lost: Callable[[httpx.Request], bool] = lambda _: False
        self.asked = 0
        """Requests that were made."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on, unless there is a fault."""
        self.asked += 1
        odd = self.fault(request)
        if isinstance(odd, Exception):
            raise odd
        if odd is not None:
            return odd
        answer = self._sandbox.request(
            request.method, str(request.url), content=request.read(), headers=dict(request.headers)
        )
        if self.lost(request):
            raise httpx.ReadError("lost")
        headers = {name: value for name, value in answer.headers.items() if name != "content-encoding"}
        return httpx.Response(answer.status_code, headers=headers, content=answer.content)


class _Over(BaseException):
    """The test is over: the thread of the execution ends."""


class Journey:
    """A case on its way. ``position`` is its execution's position: the next action, or what it waits for."""

    def __init__(self, definition: Mapping[str, Any], cloud: Cloud, clock: Clock, connection: str) -> None:
        self.clock, self.connection, self.reference = clock, connection, "R-1"
        self.case = CaseId(self.connection, self.reference)
        self.world = world = Single(cloud, seconds=3600)
        settings = world.connections[connection]
        world.connections[connection] = settings.model_copy(update={"poll": POLL})
        self.app = cloud.app
        self.limiter = Limiter(self.app.table, clock=clock.seconds, sleep=clock.sleep)
        vars(self.app)["limiter"] = self.limiter
        self.vendors = Vendors(world)
        client = httpx.Client(transport=self.vendors, base_url=world.sandbox.base_url)
        transport = Transport(client, keys=world.keys, turns=self.limiter, open_file=self.app.objects.open, patience=1)
        world.context = world.context.replacing(transport=transport, limiter=self.limiter)
        self.handlers = Handlers(world)
        self.execution = Execution("RUNNING")
        self.walk = Walk(definition, self._task, name="R-1")
        self.position: tuple[str, ...] | tuple[str, str, Any] = ()
        self.lost_message = False
        """Whether the message of the current poll is lost."""
        self.error: Any = None
        """What the execution ended with."""
        self._offers: queue.Queue[Any] = queue.Queue()
        self._go: queue.Queue[bool] = queue.Queue()

    # The execution, in its own thread that runs only while the test waits for it

    def start(self, case: dict[str, Any]) -> None:
        """Start the execution; it stops before its first step."""
        threading.Thread(target=self._run, args=(case,), daemon=True).start()
        self.position = self._offers.get(timeout=60)

    def _run(self, case: dict[str, Any]) -> None:
        try:
            self.error = self.walk.run(case)
            self._offers.put(("end", self.walk.outcome))
        except _Over:
            pass
        except BaseException as error:  # noqa: BLE001 -- the test has to see it
            self._offers.put(("broken", repr(error)))

    def _task(self, verb: str, payload: Mapping[str, Any]) -> Any:
        event, tokens = dict(payload), self.world.tokens
        self._offer("call", verb)
        while True:
            try:
                answer = self.handlers.begin(verb, event)
                break
            except PausedError:
                raise
            except RetryableError as error:
                self._offer("retry", verb, error)
        token = event.get("token")
        if token is None:
            return answer
        self._offer("token", verb, token)
        given = tokens.answers.pop(token)
        if isinstance(given, Exception):
            raise given
        return given

    def _offer(self, *position: Any) -> None:
        self._offers.put(position)
        if not self._go.get():
            raise _Over

    def go(self) -> None:
        """Let the execution do what it is about to do."""
        self._go.put(True)
        self.position = self._offers.get(timeout=60)
        assert self.position[0] != "broken", self.position

    def close(self) -> None:
        """End the thread."""
        self._go.put(False)

    def until(self, *position: str) -> None:
        """Run everything that happens by itself until the execution waits."""
        for _ in range(100):
            if self.position[: len(position)] == position:
                return
            assert self.happens() is not None, self.position
        raise AssertionError(f"it stands at {self.position}")

    # What happens by itself

    def facts(self) -> Facts:
        """Return what is known of the case."""
        case, settings = self.app.cases.get(self.case), self.world.connections[self.connection]
        return facts_of(case, vendor="the vendor", settings=settings, context=self._context())

    def _context(self) -> Context:
        """Return the world's context, with this execution as the one of Step Functions."""
        return self.world.context.replacing(executions=self)

    def describe(self, _arn: str) -> Execution:
        """Return the execution, as Step Functions does."""
        return self.execution

    def happens(self, within: timedelta = HOURS) -> Event | None:
        """Let time pass until something happens to the case; None if nothing does."""
        kind, at, act = self._coming()
        if act is None or at > self.clock.at + within:
            self.clock.at += within
            return None
        self.clock.at = max(self.clock.at, at)
        act()
        return Event(kind, self.clock.at)

    def _coming(self) -> tuple[str, datetime, Callable[[], object] | None]:  # noqa: PLR0911 -- one for each thing
        now, names = self.clock.at, self.case
        where = self.position[0]
        if self.execution.status != "RUNNING":
            return "record_end", now + timedelta(minutes=5), self._check
        if where == "call" or (where == "token" and self.position[2] in self.world.tokens.answers):
            return "step", now, self.go
        if where == "retry":
            error = self.position[2]
            kind = "look_up" if isinstance(error, OutcomeUnknownError) else "retry"
            return kind, now + timedelta(seconds=60 if isinstance(error, ThrottledError) else 30), self.go
        paused = self.limiter.held(self.connection) is not None
        held = list(self.app.waits.steps_of(names))
        if held and not paused:
            return "release", now + timedelta(minutes=1), self._sweep_held
        wait = self.app.waits.find(names)
        if wait is None or paused or self.app.cases.get(names).questions:
            return "", now, None
        due = wait.next_at
        if self.lost_message:
            return "poll", due + GRACE + timedelta(seconds=1), self._sweep_lost
        late = due >= wait.deadline
        return ("deadline" if late else "poll"), due, self.poll

    def poll(self) -> None:
        """Deliver the poll message of the case's wait."""
        wait = self.app.waits.find(self.case)
        assert wait is not None
        poll(self.case, wait.seq, context=self.world.context)

    def poll_at_its_time(self) -> None:
        """Let the next poll come at its time."""
        wait = self.app.waits.find(self.case)
        assert wait is not None
        self.clock.at = max(self.clock.at, wait.next_at)
        self.poll()

    def _sweep_lost(self) -> None:
        """Let the sweep find that the message is lost, and deliver the one that it sends."""
        assert sweep([self.connection], context=self.world.context) == 1
        self.lost_message = False
        self.poll()

    def _sweep_held(self) -> None:
        sweep([self.connection], context=self.world.context)
        self._deliver_resumes()

    def _deliver_resumes(self) -> None:
        for step in list(self.app.waits.steps_of(self.case)):
            resume_step(self.case, step.name, context=self.world.context)

    def _check(self) -> None:
        reconcile([self.connection], context=self._context(), at=self.clock.at)

    # What people and vendors do

    def answers(self) -> None:
        """Answer the open question as an operator does."""
        case = self.app.cases.get(self.case)
        self.world._answer(case.questions[0].what, self.case)
        self.world.tokens.answers[self.position[2]] = {}

    def resumes(self) -> None:
        """End the pause as an operator does."""
        resume(self.connection, context=self.world.context)
        self._deliver_resumes()

    def finishes(self) -> None:
        """Let the vendor be done with everything."""
        self.world.ahead += 4000

    def ends(self) -> str:
        """Let everything happen, and the vendor be quick, until the execution has ended; return its outcome."""
        while self.position[0] != "end":
            self.finishes()
            if self.happens() is None:
                assert self.position[:2] == ("token", "ask"), self.position
                self.answers()
        return str(self.position[1])
