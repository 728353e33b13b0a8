"""The scheduler: events in virtual time, and the tasks that run real code between them.

One thing runs at a time. A task is real, blocking code (a function's handler, an operator's command) on a thread of its
own; it hands over the baton wherever it waits, and the thread that waits goes on with the events itself. So the order
of everything is that of the events, and the same events come in the same order in every process.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from typing import Any

from tests.simulation.clock import CLOCK

Action = Callable[[], object]


def _locked() -> threading.Lock:
    """Return a baton that nobody holds out yet: ``acquire`` waits until somebody releases it."""
    lock = threading.Lock()
    lock.acquire()
    return lock


class KilledError(BaseException):
    """The function is gone: nothing of our own may catch it."""


class Task:
    """Real code that runs until it waits."""

    __slots__ = ("_baton", "began", "dead", "done", "ended", "left", "mortal", "name", "resumed", "ticket", "work")

    def __init__(self, name: str, work: Callable[[], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        self.name, self.work, self.done = name, work, done
        self.dead = self.ended = False
        self.began = self.left = 0.0
        """When it began, and ended."""
        self.mortal = False
        """Whether faults may strike it: a function's invocation, not an operator's command."""
        self.ticket = 0
        """The event that resumes it; an event with another ticket is out of date."""
        self.resumed = False
        self._baton = _locked()


class Scheduler:
    """Runs events in the order of their times; those of one time in the order in which they were planned."""

    def __init__(self) -> None:
        self._events: list[tuple[float, int, Action | tuple[Task, int]]] = []
        self._number = 0
        self._main = _locked()
        self._until = float("inf")
        self._stopped = False
        self._failure: BaseException | None = None
        self._idle: list[_Worker] = []
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
        """Plan a task; ``done`` gets its result, or what it raised."""
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
        self._loop(task)
        self.alive()

    def wait(self) -> Action:
        """Return what resumes the current task; ``park`` waits for that."""
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
        self._loop(self.current)
        self.alive()

    def alive(self) -> None:
        """End the current task here if it was killed: what it still wants to do has no effect."""
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
        self._until, self._stopped = until, False
        self.current = None
        self._loop(None)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def fail(self, error: BaseException) -> None:
        """Stop everything; ``run`` raises the error, even if the running code catches it."""
        self._failure, self._stopped = self._failure or error, True

    def end(self) -> None:
        """End every task where it waits, and let the threads go."""
        self._events.clear()
        for task in [each for each in self._live if each.resumed]:
            task.done = lambda *_: None
            self.kill(task)
        self.run()
        self._live.clear()
        for worker in self._idle:
            worker.give(None)
        self._idle.clear()

    def _loop(self, me: Task | None) -> None:
        """Run events on this thread until one resumes ``me`` (None: the main thread, until the end)."""
        while True:
            if self._stopped or not self._events or self._events[0][0] > self._until:
                self._stopped = True
                if me is None:
                    return
                self._main.release()
                self._wait_for_baton(me)
                return
            at, _, what = heapq.heappop(self._events)
            CLOCK.at = max(CLOCK.at, at)
            self.steps += 1
            if not isinstance(what, tuple):
                self.current = None
                try:
                    what()
                except BaseException as error:  # noqa: BLE001 -- raised again on the main thread
                    self.fail(error)
                continue
            task, ticket = what
            if task.ended or task.ticket != ticket:
                continue
            if task is me:
                self.current = task
                return
            self._resume(task)
            if me is None:
                self._main.acquire()
                if self._stopped:
                    return
            else:
                self._wait_for_baton(me)
                return

    def _wait_for_baton(self, me: Task) -> None:
        me._baton.acquire()
        self.current = me

    def _resume(self, task: Task) -> None:
        if task.resumed:
            task._baton.release()
            return
        task.resumed = True
        worker = self._idle.pop() if self._idle else _Worker(self)
        worker.give(task)

    def _finished(self, worker: _Worker) -> None:
        """Go on with the events on the thread of a task that has ended, until another thread goes on."""
        self._idle.append(worker)
        while True:
            if self._stopped or not self._events or self._events[0][0] > self._until:
                self._stopped = True
                self._main.release()
                return
            at, _, what = heapq.heappop(self._events)
            CLOCK.at = max(CLOCK.at, at)
            self.steps += 1
            if not isinstance(what, tuple):
                self.current = None
                try:
                    what()
                except BaseException as error:  # noqa: BLE001 -- raised again on the main thread
                    self.fail(error)
                continue
            task, ticket = what
            if task.ended or task.ticket != ticket:
                continue
            self._resume(task)
            return

    def perform(self, task: Task) -> None:
        """Run a task to its end (on its own thread)."""
        self.current = task
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
        except BaseException as problem:  # noqa: BLE001 -- raised again on the main thread
            self.fail(problem)


class _Worker:
    """A thread that runs one task after the other."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._ready = _locked()
        self._task: Task | None = None
        threading.Thread(target=self._run, daemon=True).start()

    def give(self, task: Task | None) -> None:
        """Run a task; None ends the thread."""
        self._task = task
        self._ready.release()

    def _run(self) -> None:
        while True:
            self._ready.acquire()
            if self._task is None:
                return
            self._scheduler.perform(self._task)
            self._scheduler._finished(self)
