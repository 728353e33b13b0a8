"""What a connection's account allows, shared by every function: rate, pauses, a circuit breaker, leases.

The rate is the generic cell rate algorithm: one number, the time at which the next request would be on schedule
(``tat``, milliseconds since the epoch). A request may run ahead of the schedule by a burst of one second. Those who
have to wait take their turn first and then sleep until it comes: each costs the table the same, however many wait.

The breaker opens after ``TRIP`` failures in a row and stays open for a cool-down that doubles each time; then one
request is let through as a probe, while the others wait for what becomes of it.

A lease is one of a connection's ``limits.concurrency`` slots. It expires by itself, so that a killed function leaks
nothing.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from boto3.dynamodb.conditions import Attr

from dossier.errors import ThrottledError
from dossier.settings import Connection
from dossier.stores.table import Item, Table

BURST_MS = 1000
TRIP = 12
"""Failures in a row after which a connection's breaker opens."""
COOL_DOWN = 10.0
LONGEST_COOL_DOWN = 300.0
"""First and longest time, in seconds, that a breaker stays open before it lets a probe through."""
LEASE = 900.0
"""Seconds after which a lease that was not given back is free again: as long as a function may run."""
_LOOK, _SELDOM = 0.25, 4.0
"""Seconds until a waiting transfer looks for a slot again; it doubles, so that many waiters leave the table alone."""


class Limiter:
    """Takes turns and keeps pauses, breakers and leases of all connections."""

    def __init__(
        self, table: Table, *, clock: Callable[[], float] = time.time, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._table = table
        self._clock = clock
        self._sleep = sleep
        self._failing: set[str] = set()
        """Connections whose last known state has failures: a success of theirs has to be written down."""

    def take(self, connection: Connection, *, patience: float) -> None:
        """Wait for a connection's turn to make one request, at most ``patience`` seconds.

        Raises:
            ThrottledError: its turn is later than that: the rate, the vendor's pause, or an open breaker.
        """
        give_up = self._clock() + patience
        turn: int | None = None
        while True:
            item = self._table.get(*_key(connection.name)) or {}
            now_ms, failures = self._now(), int(item.get("failures", 0))
            if failures:
                self._failing.add(connection.name)
            ready_at, why = _blocked(item)
            if ready_at > now_ms:
                self._wait(connection.name, why, ready_at, give_up)
                turn = None  # a turn that came meanwhile is gone
            elif failures >= TRIP:
                if self._probe(connection.name, now_ms):
                    return
            else:
                turn = turn or self._reserve(connection, item, now_ms, give_up)
                if turn is not None and turn <= now_ms:
                    return
                if turn is not None:
                    self._wait(connection.name, "its requests_per_second", turn, give_up)

    def pause(self, connection: str, seconds: float) -> None:
        """Stop every worker of a connection for ``seconds``; a longer pause that is under way stays."""
        until = int((self._clock() + seconds) * 1000)
        shorter = Attr("pause_until").not_exists() | Attr("pause_until").lt(until)
        self._table.update(*_key(connection), {"pause_until": until}, when=shorter)

    def paused_for(self, connection: str) -> float:
        """Return how long nobody may call, in seconds: a pause or an open breaker; 0 without one."""
        item = self._table.get(*_key(connection)) or {}
        return max(0.0, (_blocked(item)[0] - self._now()) / 1000)

    def failed(self, connection: str) -> None:
        """Note that a request of a connection got no usable answer; ``TRIP`` of them in a row open its breaker."""
        self._failing.add(connection)
        item = self._table.get(*_key(connection)) or {}
        failures = int(item.get("failures", 0)) + 1
        changes: Item = {"failures": failures}
        if failures >= TRIP:
            cool_down = min(COOL_DOWN * 2 ** min(failures - TRIP, 10), LONGEST_COOL_DOWN)
            changes["open_until"] = self._now() + int(cool_down * 1000)
        same = Attr("failures").eq(failures - 1) if "failures" in item else Attr("failures").not_exists()
        self._table.update(*_key(connection), changes, when=same)

    def succeeded(self, connection: str) -> None:
        """Note that a connection's vendor answers: a breaker closes, failures before it no longer count."""
        if connection in self._failing:
            self._failing.discard(connection)
            cleared: Item = {"failures": None, "open_until": None}
            self._table.update(*_key(connection), cleared, when=Attr("failures").exists())

    @contextmanager
    def lease(self, connection: Connection, holder: str, *, patience: float) -> Iterator[None]:
        """Hold one of the connection's slots for a transfer.

        Args:
            connection: whose slot.
            holder: names the transfer; another try of it takes over the slot that a killed one still holds.
            patience: how long to wait for a slot, in seconds.

        Raises:
            ThrottledError: every slot is taken for longer than that.
        """
        give_up, look = self._clock() + patience, _LOOK
        while (slot := self._slot(connection, holder)) is None:
            if self._clock() >= give_up:
                raise ThrottledError(f"connection {connection.name} waits for its concurrency", retry_after=1)
            self._sleep(look * random.uniform(0.5, 1))  # noqa: S311 — jitter, no secret
            look = min(2 * look, _SELDOM)
        try:
            yield
        finally:
            self._table.delete(f"LIMIT#{connection.name}", slot, when=Attr("holder").eq(holder))

    def _slot(self, connection: Connection, holder: str) -> str | None:
        pk, now = f"LIMIT#{connection.name}", self._clock()
        taken = {item["sk"]: item for item in self._table.query(pk, prefix="LEASE#")}
        slots = [f"LEASE#{number:03d}" for number in range(connection.limits.concurrency)]
        random.shuffle(slots)
        mine = [slot for slot, item in taken.items() if item["holder"] == holder]
        free = [slot for slot in slots if slot not in taken or int(taken[slot]["until"]) < int(now * 1000)]
        ours = Attr("holder").not_exists() | Attr("holder").eq(holder) | Attr("until").lt(int(now * 1000))
        for slot in mine or free:
            lease = {
                "pk": pk,
                "sk": slot,
                "holder": holder,
                "until": int((now + LEASE) * 1000),
                "ttl": int(now + 86_400),
            }
            if self._table.put(lease, when=ours):
                return slot
        return None

    def _wait(self, connection: str, why: str, until: int, give_up: float) -> None:
        wait = max(0.0, until / 1000 - self._clock())
        if until / 1000 > give_up:
            raise ThrottledError(f"connection {connection} waits for {why}", retry_after=wait)
        self._sleep(wait)

    def _reserve(self, connection: Connection, item: Item, now_ms: int, give_up: float) -> int | None:
        """Take the next turn, however many want one: return when it is, None if the table has changed meanwhile.

        A turn after ``give_up`` is returned and not taken.
        """
        key, interval = _key(connection.name), max(1, round(1000 / connection.limits.requests_per_second))
        burst = max(BURST_MS - interval, 0)
        tat, latest = int(item.get("tat", 0)), int(give_up * 1000) + burst
        free = Attr("pause_until").not_exists() | Attr("pause_until").lte(now_ms)
        if tat > latest:
            return tat - burst
        if tat < now_ms:  # nobody waits
            same = Attr("tat").eq(tat) if "tat" in item else Attr("tat").not_exists()
            return now_ms if self._table.update(*key, {"tat": now_ms + interval}, when=same & free) else None
        after = self._table.add(*key, "tat", interval, when=Attr("tat").between(now_ms, latest) & free)
        return None if after is None else after - interval - burst

    def _probe(self, connection: str, now_ms: int) -> bool:
        """Be the one request that finds out whether the vendor is back; the breaker is open for all others."""
        due = Attr("open_until").not_exists() | Attr("open_until").lte(now_ms)
        return self._table.update(*_key(connection), {"open_until": now_ms + int(COOL_DOWN * 1000)}, when=due)

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _blocked(item: Item) -> tuple[int, str]:
    """Return until when nobody may call, in milliseconds since the epoch, and what for."""
    reasons = [
        (int(item.get("pause_until", 0)), "the vendor's pause (429)"),
        (int(item.get("open_until", 0)), "the vendor to recover (circuit breaker)"),
    ]
    return max(reasons)


def _key(connection: str) -> tuple[str, str]:
    return f"LIMIT#{connection}", "LIMIT"
