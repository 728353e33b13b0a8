"""The vendors: the sandbox's own applications, called in process on an event loop whose time is virtual.

What Dossier sends goes through ``Network``, the transport of its HTTP client; what the vendors send to its webhooks
goes through ``Gateway``. In both the network may be slow, refuse the connection, or hang.
"""

from __future__ import annotations

import asyncio
import selectors
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from email.utils import formatdate
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

import anyio.to_thread
import httpx
from httpx import _urls

from local.sandbox import state
from local.sandbox import wire as sandbox_wire
from local.sandbox.app import create
from local.sandbox.context import Context, build
from local.sandbox.docsumo import Docsumo
from local.sandbox.journal import Entry
from tests.simulation.clock import CLOCK
from tests.simulation.faults import Faults
from tests.simulation.models.functions import Failure, Lambda
from tests.simulation.models.wire import Tracing
from tests.simulation.scheduler import KilledError, Scheduler

_urls.urlparse = lru_cache(maxsize=65_536)(_urls.urlparse)
BASE = "http://127.0.0.1:4780"
HANG = 60.0
"""Seconds after which Dossier gives up a read (``dossier.network.TIMEOUT``)."""
GATEWAY_TIMEOUT = 30.0
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html"""
DOWN_FROM, DOWN_UNTIL = (60.0, 600.0), (120.0, 1500.0)
"""When a vendor is down: from, and for how long, in seconds."""
VENDOR: ContextVar[str] = ContextVar("vendor", default="")
"""The vendor that answers."""
_LONG = ("sha256", "size", "body")
"""What a history leaves out of an effect at the vendor."""
_Done = Callable[["Exchange"], None]


class _NoWait(selectors.SelectSelector):
    def select(self, timeout: float | None = None) -> list[Any]:
        """Return at once: there are no sockets to wait for."""
        del timeout
        return []


class Loop(asyncio.SelectorEventLoop):
    """An event loop that the scheduler drives: its timers are events of the simulation."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__(_NoWait())
        self._clock_resolution = 2e-6  # what is due by then runs now
        self._scheduler = scheduler
        self._planned: float | None = None

    def time(self) -> float:
        """Return the simulation's time."""
        return CLOCK.at

    def drain(self) -> None:
        """Run everything that is ready, and plan the next timer."""
        asyncio.events._set_running_loop(self)
        try:
            while self._ready or (self._scheduled and self._scheduled[0]._when <= CLOCK.at + 1e-6):  # type: ignore[attr-defined]
                self._run_once()  # type: ignore[attr-defined]
        finally:
            asyncio.events._set_running_loop(None)
        timers: list[Any] = self._scheduled  # type: ignore[attr-defined]
        while timers and timers[0]._cancelled:
            self._run_once_without_waiting()
        if timers and (self._planned is None or timers[0]._when < self._planned - 1e-9 or self._planned <= CLOCK.at):
            self._planned = timers[0]._when
            self._scheduler.later(self._planned - CLOCK.at, self.drain)

    def _run_once_without_waiting(self) -> None:
        asyncio.events._set_running_loop(self)
        try:
            self._run_once()  # type: ignore[attr-defined]
        finally:
            asyncio.events._set_running_loop(None)


class _Cut:
    """Stands in for a connection's transport, which the sandbox resets or closes (``local/sandbox/wire.py``)."""

    def __init__(self) -> None:
        self.reset = self.closed = False

    def get_extra_info(self, _: str) -> Any:
        return self

    def setsockopt(self, *_: Any) -> None:
        """Set nothing."""

    def abort(self) -> None:
        self.reset = True

    def close(self) -> None:
        self.closed = True


class Exchange:
    """One request to the sandbox, and its outcome."""

    def __init__(self, method: str, url: str, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        parts = urlsplit(url)
        self.cut = _Cut()
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()
        self._sent = [body]
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": parts.scheme,
            "path": unquote(parts.path),
            "raw_path": parts.path.encode("latin-1"),
            "root_path": "",
            "query_string": parts.query.encode("latin-1"),
            "headers": headers,
            "server": (parts.hostname, parts.port or 80),
            "client": ("127.0.0.1", 1),
            "simulation": self,
        }

    async def receive(self) -> dict[str, Any]:
        """Hand over the body, then the end of the connection."""
        if self._sent:
            return {"type": "http.request", "body": self._sent.pop(), "more_body": False}
        return {"type": "http.disconnect"}

    async def send(self, message: Mapping[str, Any]) -> None:
        """Take a part of the answer."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        else:
            self.body += message.get("body", b"")


class Vendors:
    """The sandbox with all three vendors, its event loop and its journal."""

    def __init__(self, scheduler: Scheduler, faults: Faults, trace: Tracing) -> None:
        self.scheduler, self.faults, self.trace = scheduler, faults, trace
        self.loop = Loop(scheduler)
        sandbox_wire._transport = lambda scope: scope["simulation"].cut  # type: ignore[assignment,return-value]
        anyio.to_thread.run_sync = _at_once  # type: ignore[assignment]
        _keep_in_memory()
        self.context: Context = build(now=CLOCK.time)
        self.app = create(self.context)
        self.docsumo: Docsumo = self.context.webhooks._words["docsumo"].__self__  # type: ignore[attr-defined]
        self.entries: list[Entry] = []
        """The journal, in memory."""
        self.uploaded: dict[str, dict[str, Any]] = {}
        """The first upload of each document, by its SHA-256."""
        self.latest: dict[str, dict[str, Any]] = {}
        """The latest upload of each document."""
        self.opened: dict[str, str] = {}
        """The case that was opened last for each reference."""
        self.delivered: dict[str, float] = {}
        """When a webhook about each case or document was last answered with 200."""
        self.heard: Callable[[Entry], None] = lambda _: None
        self.context.journal.write = self._write  # type: ignore[method-assign]
        self.context.webhooks._sleep = self._until_due  # type: ignore[method-assign]
        self._sender: asyncio.Task[None] | None = None
        self.down: dict[str, tuple[float, float]] = {}
        self.always_down = False
        """Whether a vendor that is down is so although no other fault strikes any more."""
        dice = faults.dice("vendor_down")
        if faults.has("vendor_down"):
            begin = dice.uniform(*DOWN_FROM)
            self.down = {dice.choice(["docustack", "docsumo", "ombudsman"]): (begin, begin + dice.uniform(*DOWN_UNTIL))}

    def _write(self, entry: Entry) -> None:
        self.entries.append(entry)
        if entry.operation == "webhook":
            about = entry.effects[0] if entry.effects else {}
            if entry.status == 200:
                self.delivered[str(about.get("subject"))] = CLOCK.at
            self.trace(
                "webhook",
                vendor=entry.vendor,
                status=entry.status,
                **{k: about.get(k) for k in ("effect", "event", "subject")},
            )
        for effect in entry.effects if entry.operation != "webhook" else ():
            if effect["effect"] == "document_uploaded" and effect.get("sha256"):
                self.uploaded.setdefault(effect["sha256"], effect)
                self.latest[effect["sha256"]] = effect
            if effect.get("external_case_id"):
                self.opened[effect["external_case_id"]] = str(effect["case_id"])
            self.trace("at the vendor", fault=entry.fault, **{k: v for k, v in effect.items() if k not in _LONG})
        self.heard(entry)

    async def _until_due(self) -> None:
        hooks = self.context.webhooks
        waiting = [each.due for each in hooks.waiting if each.id not in hooks._taken]
        seconds = max(0.005, min(waiting) - CLOCK.time()) if waiting else None
        try:
            await asyncio.wait_for(hooks._changed.wait(), seconds)
        except TimeoutError:
            return

    def set(self, **settings: Any) -> None:
        """Change the sandbox's settings, as its operator does."""
        self.context.keeper.change(settings)
        self.context.store.commit()

    def start(self) -> None:
        """Begin to send webhooks."""

        async def work() -> None:
            for begin in self.context.on_start:
                begin()
            await self.context.webhooks.run()

        self._sender = self.loop.create_task(work())
        self.scheduler.later(0, self.loop.drain)

    def close(self) -> None:
        """Delete the sandbox's stored data."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.drain()
        self.loop.close()
        self.context.store.close()

    def ask(self, exchange: Exchange, done: _Done) -> None:
        """Have the sandbox answer."""

        async def work() -> None:
            VENDOR.set(str(exchange.scope["path"]).split("/")[1])
            await self.app(exchange.scope, exchange.receive, exchange.send)
            done(exchange)

        self.loop.create_task(work())
        self.loop.drain()

    def is_down(self, path: str) -> bool:
        """Return whether the vendor of a path cannot be reached now."""
        begin, until = self.down.get(path.split("/")[1], (0.0, 0.0))
        return begin <= CLOCK.at < until


def _keep_in_memory() -> None:
    """Let the sandbox keep its records in memory alone: nobody restarts it, and its database takes a tenth of the time.

    The records are the same objects as before, since the sandbox reads its database only when it starts.
    """

    def save(self: state.Table[Any], row: Any) -> Any:
        self._rows[row.id] = row
        return row

    state.Table.save = save  # type: ignore[method-assign]
    state.Table.delete = lambda self, key: self._rows.pop(key, None)  # type: ignore[method-assign]
    state.Table.clear = lambda self: self._rows.clear()  # type: ignore[method-assign]
    state.Store.commit = lambda _: None  # type: ignore[method-assign]


async def _at_once(function: Callable[..., Any], *args: Any, **_: Any) -> Any:
    return function(*args)


class _Content(httpx.SyncByteStream):
    def __init__(self, body: bytes, *, broken: bool) -> None:
        self._body, self._broken = body, broken

    def __iter__(self) -> Iterator[bytes]:
        half = max(1, len(self._body) // 2)
        for start in range(0, len(self._body), half):
            yield self._body[start : start + half]
        if self._broken:
            raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


class Network(httpx.BaseTransport):
    """The transport of Dossier's HTTP client: a task that sends a request waits for the vendor."""

    def __init__(self, vendors: Vendors) -> None:
        self._vendors = vendors
        self.requests: Counter[str] = Counter()
        self.in_flight: Counter[str] = Counter()
        """Requests under way, by vendor; ``transfers`` are those that move files."""
        self.sent: Callable[[str, httpx.Request], None] = lambda *_: None
        """Hears of each request as it leaves."""
        self.ended: Callable[[str, httpx.Request], None] = lambda *_: None
        """Receives each finished request, whatever its outcome."""
        self.answered: Callable[[str, httpx.Request, Exchange], None] = lambda *_: None
        """Hears of each answer that reaches Dossier."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and wait for the answer."""
        vendors, scheduler, faults = self._vendors, self._vendors.scheduler, self._vendors.faults
        path = request.url.raw_path.decode("latin-1")
        vendor = path.split("/")[1]
        body = b"".join(request.stream)  # type: ignore[arg-type] # a synchronous client's
        self.requests[vendor] += 1
        name, dice = f"{request.method} {path.partition('?')[0][:60]}", faults.dice("network")
        task = scheduler.current
        assert task is not None
        if task.mortal and faults.strikes("killed_before", name):
            self._die(name, "before")
        if (faults.on or vendors.always_down) and vendors.is_down(path):
            scheduler.sleep(dice.uniform(0.01, 10))
            raise httpx.ConnectError("the vendor is down")
        self.sent(vendor, request)
        vendors.trace("request", request=name)
        try:
            scheduler.sleep(dice.uniform(0.01, 0.15))
            exchange = Exchange(request.method, f"{BASE}{path}", _raw(request), body)
            self._wait_for(exchange)
            if faults.strikes("vendor_hangs", name):
                vendors.trace("the vendor hangs", request=name)
                scheduler.sleep(HANG)
                raise httpx.ReadTimeout("the read operation timed out")
            scheduler.sleep(dice.uniform(0.01, 0.15))
        finally:
            self.ended(vendor, request)
        vendors.trace("answer", request=name, status=None if exchange.cut.reset else exchange.status)
        if exchange.cut.reset or not exchange.status:
            raise httpx.ReadError("connection reset by peer")
        if task.mortal and faults.strikes("killed_after", name):
            self._die(name, "after")
        headers = httpx.Headers(exchange.headers)
        headers.setdefault("date", formatdate(CLOCK.time(), usegmt=True))
        self.answered(vendor, request, exchange)
        content = _Content(bytes(exchange.body), broken=exchange.cut.closed)
        return httpx.Response(exchange.status, headers=headers, stream=content)

    def _wait_for(self, exchange: Exchange) -> None:
        scheduler = self._vendors.scheduler
        resume = scheduler.wait()
        scheduler.later(0, lambda: self._vendors.ask(exchange, lambda _: resume()))
        scheduler.park()

    def _die(self, name: str, when: str) -> None:
        task = self._vendors.scheduler.current
        assert task is not None
        self._vendors.trace("killed", call=name, when=when)
        task.dead = True
        raise KilledError


def _raw(request: httpx.Request) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in request.headers.raw if name.lower() != b"transfer-encoding"]


class Gateway(httpx.AsyncBaseTransport):
    """API Gateway in front of the webhook function, as the vendors reach it."""

    def __init__(self, vendors: Vendors, lambda_: Lambda) -> None:
        self._vendors, self._lambda = vendors, lambda_
        self.accepted: list[tuple[str, bytes]] = []
        """The deliveries that were answered with 200: the connection and the body."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Invoke the function, and answer as API Gateway does."""
        loop, scheduler = self._vendors.loop, self._vendors.scheduler
        parts = request.url.path.strip("/").split("/")
        body = await request.aread()
        event = {
            "version": "2.0",
            "routeKey": "POST /webhooks/{connection}",
            "rawPath": request.url.path,
            "headers": {name: value for name, value in request.headers.items()},  # noqa: C416 -- a plain dict
            "pathParameters": {"connection": parts[1], **({"token": parts[2]} if len(parts) > 2 else {})},
            "body": body.decode("utf-8", "replace"),
            "isBase64Encoded": False,
            "requestContext": {"timeEpoch": int(CLOCK.time() * 1000)},
        }
        answer: asyncio.Future[int] = loop.create_future()

        def done(result: Any, failure: Failure | None) -> None:
            if not answer.done():
                throttled = failure is not None and failure.name.startswith("Lambda.TooMany")
                answer.set_result((503 if throttled else 500) if failure else int(result["statusCode"]))
                scheduler.later(0.01, loop.drain)

        scheduler.later(0.02, lambda: self._lambda.invoke("webhook", event, done, source="api"))
        try:
            status = await asyncio.wait_for(answer, GATEWAY_TIMEOUT)
        except TimeoutError:
            status = 503
        if status == 200:
            self.accepted.append((parts[1], body))
        return httpx.Response(status)
