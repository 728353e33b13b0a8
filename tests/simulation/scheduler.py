"""The scheduler: events in virtual time, and the tasks that run real code between them.

One thing runs at a time. A task is real, blocking code (a function's handler, an operator's command) in a greenlet: a
stack of its own on the same thread. Wherever it waits it switches to the loop, which runs the next event. So the order
of everything is that of the events, and the same events come in the same order in every process.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from greenlet import getcurrent, greenlet

from tests.simulation.clock import CLOCK

Action = Callable[[], object]


class KilledError(BaseException):
    """The function is gone: nothing of our own may catch it."""


class Task:
    """Real code that runs until it waits."""

    __slots__ = ("began", "dead", "done", "ended", "left", "mortal", "name", "stack", "ticket", "work")

    def __init__(self, name: str, work: Callable[[], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        self.name, self.work, self.done = name, work, done
        self.dead = self.ended = False
        self.began = self.left = 0.0
        """When it began, and ended."""
        self.mortal = False
        """Whether faults may strike it: a function's invocation, not an operator's command."""
        self.ticket = 0
        """The event that resumes it; an event with another ticket is out of date."""
        self.stack: greenlet | None = None
        """Where it runs; None before it begins."""


class Scheduler:
    """Runs events in the order of their times; those of one time in the order in which they were planned."""

    def __init__(self) -> None:
        self._events: list[tuple[float, int, Action | tuple[Task, int]]] = []
        self._number = 0
        self._loop = getcurrent()
        """The stack of the loop: where ``run`` was called."""
        self._stopped = False
        self._failure: BaseException | None = None
        self._live: dict[Task, None] = {}
        self.current: Task | None = None
        self.steps = 0
        """Events that have run."""
        CLOCK.sleep = self.sleep

    # Events

    def later(self, seconds: float, action: Action) -> None:
        """Plan an action."""
        self._push(CLOCK.at + max(0.0, seconds), action)

    def _push(self, at: float, what: Action | tuple[Task, int]) -> None:
        self._number += 1
        heapq.heappush(self._events, (at, self._number, what))

    def next_at(self) -> float | None:
        """Return when the next event is."""
        return self._events[0][0] if self._events else None

    # Tasks

    def spawn(
        self, name: str, work: Callable[[], Any], done: Callable[[Any, BaseException | None], None], *, after: float = 0
    ) -> Task:
        """Plan a task; ``done`` receives its result or its error."""
        task = Task(name, work, done)
        self._live[task] = None
        self._push(CLOCK.at + after, (task, task.ticket))
        return task

    def sleep(self, seconds: float) -> None:
        """Let a task wait."""
        task = self.current
        if task is None:
            raise RuntimeError("only a task can wait")
        self.alive()
        task.ticket += 1
        self._push(CLOCK.at + max(0.0, seconds), (task, task.ticket))
        self._loop.switch()
        self.alive()

    def wait(self) -> Action:
        """Return a function that resumes the current task; ``park`` waits for it."""
        task = self.current
        if task is None:
            raise RuntimeError("only a task can wait")
        self.alive()
        task.ticket += 1
        ticket = task.ticket
        return lambda: self._push(CLOCK.at, (task, ticket))

    def park(self) -> None:
        """Let the current task wait until it is resumed."""
        assert self.current is not None
        self._loop.switch()
        self.alive()

    def alive(self) -> None:
        """End the current task here if it was killed: its further calls have no effect."""
        if self.current is not None and self.current.dead:
            raise KilledError

    def kill(self, task: Task) -> None:
        """Kill a task that waits; it ends at the call it waits for."""
        if not task.ended and not task.dead:
            task.dead = True
            task.ticket += 1
            self._push(CLOCK.at, (task, task.ticket))

    # The loop

    def run(self, until: float = float("inf")) -> None:
        """Run the events up to a time, or all of them."""
        self._stopped, self._loop = False, getcurrent()
        events = self._events
        while events and events[0][0] <= until and not self._stopped:
            at, _, what = heapq.heappop(events)
            CLOCK.at = max(CLOCK.at, at)
            self.steps += 1
            if isinstance(what, tuple):
                self._resume(*what)
                continue
            try:
                what()
            except BaseException as error:  # noqa: BLE001 -- raised again below
                self.fail(error)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def fail(self, error: BaseException) -> None:
        """Stop everything; ``run`` raises the error, even if the running code catches it."""
        self._failure, self._stopped = self._failure or error, True

    def end(self) -> None:
        """End every task where it waits."""
        self._events.clear()
        for task in [each for each in self._live if each.stack is not None]:
            task.done = lambda *_: None
            self.kill(task)
        self.run()
        self._live.clear()

    def _resume(self, task: Task, ticket: int) -> None:
        """Let a task run until it waits again, or ends."""
        if task.ended or task.ticket != ticket:
            return
        if task.stack is None:
            task.stack = greenlet(self._perform)
        self.current = task
        task.stack.switch(task)
        self.current = None

    def _perform(self, task: Task) -> None:
        """Run a task to its end, on its own stack."""
        task.began = CLOCK.at
        result, error = None, None
        try:
            if not task.dead:
                result = task.work()
        except BaseException as problem:  # noqa: BLE001 -- ``done`` decides
            error = problem
        task.ended, task.left = True, CLOCK.at
        self._live.pop(task, None)
        self.current = None
        try:
            task.done(result, error)
        except BaseException as problem:  # noqa: BLE001 -- raised again by ``run``
            self.fail(problem)
