"""Webhooks: an event waits until it is due, is signed, and sent to every registered URL, with retries.

An announcement names an event and its subject; the vendor's module writes the body when the event is due. Docsumo sends
once, with its token in a header; DocuStack signs, and retries as its guide says. The Ombudsman has no webhooks.
"""

import asyncio
import hashlib
import hmac
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from local.sandbox import clock, shapes
from local.sandbox.accounts import Accounts
from local.sandbox.faults import Faults
from local.sandbox.journal import Entry, Journal
from local.sandbox.settings import SettingsKeeper
from local.sandbox.state import Record, Store, Table

Words = Callable[[str, str, bool], dict[str, Any] | None]
"""Returns an event's body for (event, subject, forged); None if it is not due yet.

Raises LookupError if the subject is unknown."""

VENDORS = ("docsumo", "docustack")
NOT_YET = 0.1
AT_ONCE = 16


class Registration(Record):
    """A URL that gets a vendor's events."""

    vendor: str
    url: str


class Notice(Record):
    """A planned event, or (with a URL) one delivery of it."""

    vendor: str
    event: str
    subject: str
    due: float
    forged: bool = False
    held: bool = False
    url: str = ""
    body: str = ""
    attempt: int = 1


class Webhooks:
    """Stores the registered URLs and the planned events; ``run`` sends them."""

    def __init__(
        self,
        store: Store,
        *,
        keeper: SettingsKeeper,
        journal: Journal,
        faults: Faults,
        accounts: Accounts,
        now: Callable[[], float],
    ) -> None:
        self._store, self._keeper, self._journal, self._faults, self._now = store, keeper, journal, faults, now
        self._accounts = accounts
        self._words: dict[str, Words] = {}
        self._changed = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._taken: set[str] = set()
        self.urls = Table(store, "webhook", Registration)
        self.waiting = Table(store, "notice", Notice)

    def speaks(self, vendor: str, words: Words) -> None:
        """Register a vendor's function that writes the bodies of its events."""
        self._words[vendor] = words

    def register(self, vendor: str, url: str) -> Registration:
        """Register one more URL for a vendor's events."""
        return self.urls.save(Registration(id=f"{vendor} {url}", vendor=vendor, url=url))

    def announce(self, vendor: str, event: str, subject: str, *, due: float) -> None:
        """Plan an event; with the fault ``webhook_forged``, also a forged one before it is due."""
        self._plan(Notice(id=uuid.uuid4().hex, vendor=vendor, event=event, subject=subject, due=due))
        if self._faults.strikes("webhook_forged", vendor, event):
            early = self._now() + max(0.0, due - self._now()) * 0.3
            forged = Notice(id=uuid.uuid4().hex, vendor=vendor, event=event, subject=subject, due=early, forged=True)
            self._plan(forged)

    def clear(self) -> None:
        """Delete the planned events."""
        self.waiting.clear()

    def _plan(self, notice: Notice) -> None:
        self.waiting.save(notice)
        self._changed.set()

    async def run(self) -> None:
        """Send due events, until cancelled."""
        async with httpx.AsyncClient(
            timeout=30.0, trust_env=False, limits=httpx.Limits(max_connections=AT_ONCE)
        ) as client:
            while True:
                self._changed.clear()
                for notice in self.waiting:
                    if notice.due <= self._now() and notice.id not in self._taken:
                        self._handle(client, notice)
                self._store.commit()
                await self._sleep()

    async def stop(self) -> None:
        """Cancel deliveries in progress; they are sent after a restart."""
        sending = list(self._sending)
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)

    async def _sleep(self) -> None:
        open_notices = [notice.due for notice in self.waiting if notice.id not in self._taken]
        seconds = min(max(0.005, min(open_notices) - self._now()), 0.5) if open_notices else None
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return

    def _handle(self, client: httpx.AsyncClient, notice: Notice) -> None:
        if not notice.url:
            self._fan_out(notice)
            return
        self._taken.add(notice.id)
        task = asyncio.create_task(self._deliver(client, notice))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def _fan_out(self, notice: Notice) -> None:
        """Turn a due event into a delivery for each URL, with its faults."""
        try:
            body = self._words[notice.vendor](notice.event, notice.subject, notice.forged)
        except LookupError:  # deleted by a reset
            self.waiting.delete(notice.id)
            return
        if body is None:
            self._plan(notice.model_copy(update={"due": self._now() + NOT_YET}))
            return
        self.waiting.delete(notice.id)
        if not self._keeper.now.webhooks:
            return
        for registration in self.urls:
            if registration.vendor == notice.vendor:
                self._address(notice, registration.url, shapes.delivery(body, self._keeper.now.webhook_shape))

    def _address(self, notice: Notice, url: str, body: str) -> None:
        vendor, event = notice.vendor, notice.event
        delivery = notice.model_copy(update={"id": uuid.uuid4().hex, "url": url, "body": body})
        if self._faults.strikes("webhook_lost", vendor, event):
            self._note(delivery, "webhook_lost", None)
            return
        if struck := self._faults.strikes("webhook_reordered", vendor, event):
            rule, dice = struck
            delivery.held = True
            delivery.due = self._now() + dice.uniform(0.5, 1.0) * (1.0 if rule.seconds is None else rule.seconds)
        self._plan(delivery)
        if self._faults.strikes("webhook_doubled", vendor, event):
            self._plan(delivery.model_copy(update={"id": uuid.uuid4().hex}))

    async def _deliver(self, client: httpx.AsyncClient, delivery: Notice) -> None:
        form = self._keeper.now.webhook_form
        body, headers = shapes.posted(delivery.body, form, lambda signed: self._proof(delivery.vendor, signed))
        status: int | None = None
        try:
            status = (await client.post(delivery.url, content=body, headers=headers)).status_code
        except (httpx.HTTPError, httpx.InvalidURL):
            effect = "webhook_unreachable"
        else:
            effect = "webhook_delivered" if 200 <= status < 300 else "webhook_refused"
        finally:
            self._taken.discard(delivery.id)
        if self.waiting.get(delivery.id) is None:  # deleted by a reset
            return
        self._note(delivery, effect, status)
        self._again(delivery, delivered=effect == "webhook_delivered")
        self._store.commit()

    def _again(self, delivery: Notice, *, delivered: bool) -> None:
        delays = self._keeper.now.retry_seconds if delivery.vendor == "docustack" else []
        if delivered or delivery.attempt > len(delays):
            self.waiting.delete(delivery.id)
            return
        later = {"due": self._now() + delays[delivery.attempt - 1], "attempt": delivery.attempt + 1}
        self._plan(delivery.model_copy(update=later))

    def _proof(self, vendor: str, body: bytes) -> Mapping[str, str]:
        if vendor == "docustack":
            secret = self._accounts.docustack.webhook_secret.encode()
            return {"X-DocuStack-Signature": hmac.new(secret, body, hashlib.sha256).hexdigest()}
        return {"X-Webhook-Token": self._accounts.docsumo.webhook_secret}

    def _note(self, delivery: Notice, effect: str, status: int | None) -> None:
        entry = Entry(
            at=self._now(),
            time=clock.millis(self._now()),
            vendor=delivery.vendor,
            operation="webhook",
            method="POST",
            path=delivery.url,
            status=status,
            fault="webhook_lost" if effect == "webhook_lost" else None,
        )
        about = delivery.model_dump(include={"event", "subject", "forged", "held", "attempt", "body"})
        entry.effect(effect, **about)
        self._journal.write(entry)
