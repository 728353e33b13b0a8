"""The way of a call from a function to AWS, where everything may happen to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from tests.simulation.faults import Faults
from tests.simulation.models.errors import refused
from tests.simulation.scheduler import KilledError, Scheduler

T = TypeVar("T")
TRIES = 5
TROUBLE = {
    "dynamodb": ("InternalServerError", "ThrottlingException", "ProvisionedThroughputExceededException"),
    "s3": ("InternalError", "SlowDown", "ServiceUnavailable"),
    "sqs": ("InternalError", "RequestThrottled"),
    "stepfunctions": ("ThrottlingException", "InternalServerError"),
    "events": ("InternalException", "ThrottlingException"),
    "secretsmanager": ("InternalServiceError", "ThrottlingException"),
}
"""What AWS answers when it cannot (as is left after botocore's own retries), by service."""


class Tracing(Protocol):
    """Writes the history."""

    def __call__(self, what: str, /, **about: Any) -> None:
        """Add a line."""


class Wire:
    """Carries calls to the models: each may be late, twice, refused, or the function's last."""

    def __init__(self, scheduler: Scheduler, faults: Faults, trace: Tracing) -> None:
        self._scheduler, self._faults, self._trace = scheduler, faults, trace
        self.counts: Counter[str] = Counter()
        """Calls by ``service.Operation``."""
        self.callers: Counter[tuple[str, str]] = Counter()
        """Calls by the function that makes them, and ``service.Operation``."""
        self.lets_through: Callable[[str], bool] = lambda _: True
        """Returns whether AWS's quota lets a call through."""
        self.allows: Callable[[str, str, str], bool] = lambda *_: True
        """Returns whether a function may make a call (``iam.Grants.allow``)."""
        self.denied: Callable[[str, str, str], None] = lambda *_: None
        """Hears of each call that a function may not make."""

    def call(
        self,
        service: str,
        operation: str,
        about: str,
        act: Callable[[], T],
        *,
        on: str = "",
        needs: Sequence[tuple[str, str]] = (),
    ) -> T:
        """Make a call: a killed function's has no effect, a lost answer's has it twice (botocore repeats it).

        Args:
            service: boto3's name of the service.
            operation: the call.
            about: what the history says of it.
            act: has the call's effect and returns its answer.
            on: the resource that it needs a grant for, as ``iam.Grants.allow`` takes it.
            needs: actions and resources that have to be granted instead of the call's own.

        """
        scheduler, faults = self._scheduler, self._faults
        task = scheduler.current
        if task is None:
            return act()
        scheduler.alive()
        name = f"{service}.{operation}"
        self.counts[name] += 1
        self.callers[task.name, name] += 1
        before, after = faults.latency(service), faults.latency(service)
        if before:
            scheduler.sleep(before)
        if not task.mortal:
            return act()
        self._wait_for_quota(service, operation)
        for action, resource in needs or ((name, on),):
            if not self.allows(task.name, action, resource):
                self.denied(task.name, action, resource or about)
                raise refused("AccessDenied" if service == "s3" else "AccessDeniedException", operation)
        struck = f"{task.name} {name} {about}"
        if faults.strikes("killed_before", struck):
            self._die(name, about, "before")
        if faults.strikes("aws_fails", struck):
            code = faults.choice("aws_fails", TROUBLE[service])
            self._trace("aws refuses", call=name, about=about, code=code)
            raise refused(code, operation)
        if faults.strikes("aws_fails_after", struck):
            code = faults.choice("aws_fails", TROUBLE[service])
            self._trace("aws does it and answers with an error", call=name, about=about, code=code)
            act()
            raise refused(code, operation)
        self._trace("call", call=name, about=about)
        found = act()
        if faults.strikes("answer_lost", struck):
            self._trace("the answer is lost: botocore repeats the call", call=name, about=about)
            scheduler.sleep(faults.between("answer_lost", 0.05, 5.0))
            found = act()
        if after:
            scheduler.sleep(after)
        if faults.strikes("killed_after", struck):
            self._die(name, about, "after")
        return found

    def may(self, action: str, resource: str = "") -> bool:
        """Whether who calls may do something: an operator may do all."""
        task = self._scheduler.current
        return task is None or not task.mortal or self.allows(task.name, action, resource)

    def _wait_for_quota(self, service: str, operation: str) -> None:
        """Repeat a call that a quota stops, as botocore does (mode ``standard``, longer and longer, five tries)."""
        for number in range(TRIES):
            if self.lets_through(f"{service}.{operation}"):
                return
            self._scheduler.sleep(self._faults.between("backoff", 0, min(20.0, 2.0**number)))
        raise refused("ThrottlingException", operation)

    def _die(self, name: str, about: str, when: str) -> None:
        task = self._scheduler.current
        assert task is not None
        self._trace("killed", call=name, about=about, when=when)
        task.dead = True
        raise KilledError
