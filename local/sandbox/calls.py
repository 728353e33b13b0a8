"""One call of a vendor's API, from its key to its answer, in the way that all three vendors share.

A vendor's module has a ``Dialect`` and a handler for each operation, from a ``Call`` to a response; a handler rejects a
request by raising ``Refused``. The order is: key, pause and rate limit, faults, the handler.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from local.sandbox import clock
from local.sandbox.context import Context
from local.sandbox.faults import Plan
from local.sandbox.journal import Entry
from local.sandbox.wire import Dropped

INVALID = 0  # stands for a vendor's usual status for an invalid request
BYTES = "application/octet-stream"
ANY_METHOD = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Refused(Exception):  # noqa: N818 # not an error of the sandbox
    """A rejected request: the status (``INVALID``: the vendor's usual one), the reason, and the field."""

    def __init__(
        self, status: int, message: str, *, field: str = "", where: str = "body", retry_after: str = ""
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.field, self.where = status, message, field, where
        self.headers = {"Retry-After": retry_after} if retry_after else None


@dataclass(frozen=True)
class Dialect:
    """One vendor's headers for the key, and its wording of rejections."""

    vendor: str
    key_headers: tuple[str, ...]
    wrong_key: str
    too_many: str
    refuse: Callable[[Refused], Response]


@dataclass(frozen=True)
class Call:
    """A request in progress, with its line in the journal."""

    request: Request
    entry: Entry

    def effect(self, name: str, /, **details: Any) -> None:
        """Record an effect in the journal."""
        self.entry.effect(name, **details)

    def parameter(self, name: str) -> str:
        """Return a parameter of the path."""
        return str(self.request.path_params[name])


class Inbox:
    """A request's incoming messages; ``drain`` reads the rest of the body after any reader."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._ended = receive, False

    async def __call__(self) -> Message:
        """Return the next message."""
        message = await self._receive()
        self._ended = self._ended or not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Read the rest of the body, so that a caller who is still sending can read the answer."""
        while not self._ended:
            await self()


Handler = Callable[[Call], Awaitable[Response]]


class Operation:
    """An operation of a vendor's API, as an ASGI application."""

    def __init__(self, context: Context, dialect: Dialect, name: str, handler: Handler) -> None:
        self._context, self._dialect, self._name, self._handler = context, dialect, name, handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; commit its work and its journal entry together before the answer leaves."""
        inbox = Inbox(receive)
        call = Call(Request(scope, inbox), entry_of(self._context, scope, self._dialect.vendor, self._name))
        response, delay = await self._answer(call)
        self._note(call, response)
        await inbox.drain()
        await asyncio.sleep(delay)
        if call.entry.status == 429 or (call.entry.status == 503 and call.entry.fault == "retry_after"):
            self._context.limits.announced(self._dialect.vendor)
        await response(scope, inbox, send)

    async def _answer(self, call: Call) -> tuple[Response, float]:
        """Return the answer, and the seconds by which to delay it."""
        plan = Plan()
        try:
            self._admit(call)
            plan = self._context.faults.plan(self._dialect.vendor, self._name, method=call.request.method)
            call.entry.fault = plan.name
            if plan.pause:
                self._announce(*plan.pause, status=plan.paused)
            if plan.late is not None:
                await call.request.body()
                self._context.later(self._work_late(call, plan.late))
                return Dropped(), 0.0
            return plan.before or plan.after(await self._handler(call)), plan.delay
        except Refused as refused:
            refusal = self._dialect.refuse(refused)
            return (refusal if refused.headers else plan.after(refusal)), plan.delay
        except ClientDisconnect:
            call.entry.fault = "client_gone"
            return Dropped(), 0.0
        finally:
            await call.request.close()

    async def _work_late(self, call: Call, seconds: float) -> None:
        """Do the work of a request whose connection is gone, with its own line in the journal."""
        await asyncio.sleep(seconds)
        now = self._context.now()
        entry = replace(call.entry, at=now, time=clock.millis(now), fault="late_work", effects=[])
        late = Call(call.request, entry)
        try:
            await self._handler(late)
        except Refused:
            return
        finally:
            await call.request.close()
        self._note(late, Dropped())

    def _note(self, call: Call, response: Response) -> None:
        call.entry.status = None if isinstance(response, Dropped) else response.status_code
        self._context.journal.write(call.entry)
        self._context.store.commit()

    def _admit(self, call: Call) -> None:
        """Check the key, then pause and rate limit."""
        vendor, limits = self._dialect.vendor, self._context.limits
        self._check_key(call)
        if pause := limits.pause(vendor):
            call.entry.paused = True
            now = self._context.now()
            call.entry.since_pause = round(now - (pause.announced_at or now), 3)
            call.entry.violation = call.entry.since_pause > self._context.keeper.now.pause_grace
            raise self._paused("seconds")
        if (seconds := limits.exceeded(vendor)) is not None:
            self._announce(seconds, "seconds")

    def _announce(self, seconds: float, form: str, *, status: int = 429) -> NoReturn:
        self._context.limits.announce(self._dialect.vendor, seconds, form=form)
        raise self._paused(form, status)

    def _paused(self, form: str, status: int = 429) -> Refused:
        pause = self._context.limits.pause(self._dialect.vendor)
        words = pause.retry_after(self._context.now(), form=form) if pause else "1"
        return Refused(status, self._dialect.too_many, retry_after=words)

    def _check_key(self, call: Call) -> None:
        sent = [value for header in self._dialect.key_headers for value in call.request.headers.getlist(header)]
        keys = self._context.accounts.keys()
        mine = keys[self._dialect.vendor]
        others = [key for vendor, key in keys.items() if vendor != self._dialect.vendor]
        call.entry.leak = any(key in value for key in others for value in call.request.headers.values())
        if sent and all(hmac.compare_digest(key.encode(), mine.encode()) for key in sent):
            return
        call.entry.key = "wrong" if sent else "missing"
        raise Refused(401, self._dialect.wrong_key)


def entry_of(context: Context, scope: Scope, vendor: str, operation: str) -> Entry:
    """Begin the journal's entry for a request."""
    at = context.now()
    path = scope.get("raw_path", scope["path"].encode()).partition(b"?")[0].decode("latin-1")
    return Entry(
        at=at,
        time=clock.millis(at),
        vendor=vendor,
        operation=operation,
        method=scope["method"],
        path=path,
        query=scope["query_string"].decode("latin-1"),
    )


def routes(context: Context, dialect: Dialect, operations: Sequence[tuple[str, str, str, Handler]]) -> list[Route]:
    """Return the routes of a vendor from (method, path, name, handler); any other path or method is a 404."""

    async def nothing_here(call: Call) -> Response:
        raise Refused(404, f"Cannot {call.request.method} {call.request.url.path}")

    context.operations[dialect.vendor] = [name for _, _, name, _ in operations]
    known = [
        Route(path, Operation(context, dialect, name, handler), methods=[method])
        for method, path, name, handler in operations
    ]
    for route in known:
        (route.methods or set()).discard("HEAD")
    unknown = Operation(context, dialect, "unknown", nothing_here)
    return [*known, Route("/{path:path}", unknown, methods=ANY_METHOD)]
