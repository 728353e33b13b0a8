"""Lambda: concurrency of account and function, cold starts, timeouts that kill anywhere, asynchronous retries.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.clock import CLOCK
from tests.simulation.faults import Faults
from tests.simulation.models.wire import Tracing
from tests.simulation.scheduler import KilledError, Scheduler, Task

Handler = Callable[[Any, Any], Any]
Done = Callable[[Any, "Failure | None"], None]
THROTTLED = "Lambda.TooManyRequestsException"
ASYNC_TRIES, ASYNC_AGE = 3, 6 * 3600.0
"""Tries of an asynchronous invocation, and how long it waits for its turn."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an invocation failed, as Step Functions knows it."""

    name: str
    cause: str


@dataclass(slots=True)
class Function:
    """A function as it is deployed."""

    verb: str
    timeout: float
    load: Callable[[], Handler]
    """Makes an execution environment: what happens at a cold start."""
    reserved: int = 0
    async_tries: int = ASYNC_TRIES
    idle: list[Handler] = field(default_factory=list)
    running: int = 0
    most_running: int = 0


class Context:
    """What a handler learns of its invocation."""

    function_name = "simulated"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:simulated"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def __init__(self, ends: float) -> None:
        self._ends = ends

    def get_remaining_time_in_millis(self) -> int:
        """Return how long it may still run."""
        return int(max(0.0, self._ends - CLOCK.at) * 1000)


class Lambda:
    """The account's functions."""

    def __init__(self, scheduler: Scheduler, faults: Faults, trace: Tracing, *, at_once: int) -> None:
        self._scheduler, self._faults, self._trace = scheduler, faults, trace
        self.at_once = at_once
        self.functions: dict[str, Function] = {}
        self.running: dict[Task, tuple[str, Any]] = {}
        self.most_running = 0
        self.invoked: Counter[str] = Counter()
        self.throttled: Counter[str] = Counter()
        self.cold: Counter[str] = Counter()
        self.killed: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()
        self.own_work: Callable[[], float] = lambda: 0.0
        """Returns the seconds that a function takes beside its calls."""
        self.ended: Callable[[Task, bool], None] = lambda *_: None
        """Hears of each invocation's end, and whether it ended by itself."""

    def invoke(  # noqa: PLR0915 -- an invocation from its beginning to its end
        self, verb: str, payload: Any, done: Done, *, source: str = "states"
    ) -> None:
        """Invoke a function and wait for its answer."""
        function = self.functions[verb]
        if self._full(function):
            self.throttled[verb] += 1
            self._trace("throttled", function=verb)
            self._scheduler.later(0.005, lambda: done(None, Failure(THROTTLED, "Rate Exceeded.")))
            return
        self.invoked[verb] += 1
        dice = self._faults.dice("cold")
        if function.idle:
            handler, start = function.idle.pop(), dice.uniform(0.001, 0.02) + self.own_work()
        else:
            handler, start = function.load(), dice.uniform(0.3, 1.5) + self.own_work()
            self.cold[verb] += 1
        function.running += 1
        function.most_running = max(function.most_running, function.running)
        given = json.loads(json.dumps(payload))
        began = CLOCK.at
        context = Context(began + start + function.timeout)
        over: list[bool] = []

        def finish(result: Any, error: Failure | None, *, alive: bool) -> None:
            if over:
                return
            over.append(True)
            function.running -= 1
            self.running.pop(task, None)
            self.seconds[verb] += CLOCK.at - began
            if alive:
                function.idle.append(handler)
            if error is not None:
                self.failed[error.name] += 1
                self._trace("function fails", function=verb, error=error.name, cause=error.cause[:150])
            self.ended(task, alive and error is None)
            done(result, error)

        def ended(result: Any, error: BaseException | None) -> None:
            if isinstance(error, KilledError):
                self.killed[verb] += 1
                finish(None, Failure("Runtime.ExitError", "RequestId: 0 Error: Runtime exited"), alive=False)
            elif error is not None:
                finish(None, Failure(type(error).__name__, _cause(error)), alive=True)
            else:
                finish(json.loads(json.dumps(result)), None, alive=True)

        def time_out() -> None:
            if not over:
                self.killed[verb] += 1
                self._trace("timed out", function=verb, after=function.timeout)
                self._scheduler.kill(task)
                finish(None, Failure("Sandbox.Timedout", f"Task timed out after {function.timeout} s"), alive=False)

        task = self._scheduler.spawn(f"{verb}", lambda: handler(given, context), ended, after=start)
        task.mortal = True
        self.running[task] = (verb, given)
        self.most_running = max(self.most_running, len(self.running))
        self._trace("invoke", function=verb, source=source, payload=_short(given))
        self._scheduler.later(start + function.timeout, time_out)

    def send(self, verb: str, payload: Any, *, source: str, tries: int | None = None) -> None:
        """Invoke a function asynchronously: an error is tried twice more, a throttle for six hours."""
        function = self.functions[verb]
        left = function.async_tries if tries is None else tries
        begun = CLOCK.at
        pause = [1.0]

        def attempt(number: int) -> None:
            def done(_: Any, error: Failure | None) -> None:
                if error is None:
                    return
                if error.name == THROTTLED:
                    if CLOCK.at - begun < ASYNC_AGE:
                        pause[0] = min(300.0, pause[0] * 2)
                        self._scheduler.later(pause[0], lambda: attempt(number))
                elif number < left:
                    self._scheduler.later(60.0 * number, lambda: attempt(number + 1))

            self.invoke(verb, payload, done, source=source)

        attempt(1)

    def _full(self, function: Function) -> bool:
        reserved = sum(each.reserved for each in self.functions.values())
        if function.reserved:
            return function.running >= function.reserved
        unreserved = sum(each.running for each in self.functions.values() if not each.reserved)
        return unreserved >= self.at_once - reserved


def _cause(error: BaseException) -> str:
    return json.dumps(
        {"errorMessage": str(error), "errorType": type(error).__name__, "requestId": "", "stackTrace": []}
    )


def _short(payload: Any) -> str:
    if isinstance(payload, dict) and "Records" in payload:
        return "; ".join(str(each.get("body", ""))[:90] for each in payload["Records"])[:200]
    return json.dumps(payload)[:200]
