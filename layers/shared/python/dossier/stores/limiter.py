"""What a connection's account allows, shared by every function: rate, pauses, a circuit breaker, leases.

Connections that name the same ``account`` share all of it, for a vendor counts by key.

The rate is the generic cell rate algorithm: one number, the time at which the next request would be on schedule
(``tat``, milliseconds since the epoch). A request may run ahead of the schedule by a burst of one second. Those who
have to wait a moment take their turn first and then sleep until it comes: each costs the table the same, however many
wait. Whose turn is further away than a moment leaves, and comes back later: nobody pays for waiting by the second.

The breaker opens after ``TRIP`` failures in a row and stays open for a cool-down that grows, up to a quarter of a
minute; then one request is let through as a probe, while the others wait for what becomes of it. Each success closes
it.

A lease is one of a connection's ``limits.concurrency`` slots. It expires by itself, so that a killed function leaks
nothing.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from boto3.dynamodb.conditions import Attr

from dossier.errors import ThrottledError
from dossier.settings import Connection
from dossier.stores.table import Item, Table

BURST_MS = 1000
TRIP = 12
"""Failures in a row after which a connection's breaker opens."""
COOL_DOWN = 5.0
LONGEST_COOL_DOWN = 15.0
"""First and longest time, in seconds, that a breaker stays open before it lets a probe through: for as long a vendor
that is back is left alone, and as often one that is not back is asked."""
LONGEST_TURN = 20.0
"""Longest that a request waits for its turn, in seconds, where a connection's requests are further apart than the
caller's patience."""
SPREAD = 5.0
"""Seconds over which those come back who have no turn or slot, so that they do not all come at once."""
LEASE = 900.0
"""Seconds after which a lease that was not given back is free again: as long as a function may run."""
SLOW = 2.0
"""Seconds from which on a request was long enough for others to open a breaker meanwhile."""
_LOOK, _SELDOM = 0.25, 4.0
"""Seconds until a waiting transfer looks for a slot again; it doubles, so that many waiters leave the table alone."""


@dataclass(frozen=True, slots=True)
class Block:
    """Why nobody may call a connection's vendor now."""

    why: str
    """``pause`` or ``breaker``, as in ``ThrottledError``."""
    seconds: float
    """How much longer."""
    since: datetime | None = None
    """Since when the vendor fails, if it does, and how: ``failure``."""
    failure: str | None = None
    first: bool = False
    """Whether whoever asked is to come back first: the others may leave it some time to find out."""


class Limiter:
    """Takes turns and keeps pauses, breakers and leases of all connections."""

    def __init__(
        self, table: Table, *, clock: Callable[[], float] = time.time, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._table = table
        self._clock = clock
        self._sleep = sleep
        self._failing: set[str] = set()
        """Accounts whose last known state has failures: a success of theirs has to be written down."""
        self._took: dict[str, float] = {}
        """When each account's last turn was taken: what became of it since then is not known."""
        self._accounts: dict[str, str] = {}
        """What each connection that was met is limited as."""

    def take(self, connection: Connection, *, patience: float) -> None:
        """Wait for a connection's turn to make one request, at most ``patience`` seconds.

        Raises:
            ThrottledError: its turn is later than that: the rate, the vendor's pause, or an open breaker.
        """
        # A flow of several requests would never get on if it gave up before its second turn. Two polls run at once at
        # least (SQS), and neither is to come in vain.
        apart = min(2.5 / connection.limits.requests_per_second, LONGEST_TURN)
        give_up = self._clock() + max(patience, apart)
        turn: int | None = None
        while True:
            item = self._table.get(*_key(self._account(connection))) or {}
            now_ms, failures = self._now(), int(item.get("failures", 0))
            self._took[self._account(connection)] = self._clock()
            if failures:
                self._failing.add(self._account(connection))
            ready_at, why = _blocked(item)
            if ready_at > now_ms:
                self._wait(connection.name, why, ready_at, give_up)
                turn = None  # a turn that came meanwhile is gone
                continue
            if failures >= TRIP:
                if self._probe(connection, now_ms):
                    return
            else:
                turn = turn or self._reserve(connection, item, now_ms, give_up)
                if turn is not None and turn <= now_ms:
                    return
                if turn is not None:
                    self._wait(connection.name, "turn", turn, give_up)

    def pause(self, connection: Connection | str, seconds: float) -> None:
        """Stop every worker of a connection for ``seconds``; a longer pause that is under way stays."""
        until = int((self._clock() + seconds) * 1000)
        shorter = Attr("pause_until").not_exists() | Attr("pause_until").lt(until)
        self._table.update(*_key(self._account(connection)), {"pause_until": until}, when=shorter)

    def paused_for(self, connection: Connection | str) -> float:
        """Return how long nobody may call, in seconds: a pause or an open breaker; 0 without one."""
        item = self._table.get(*_key(self._account(connection))) or {}
        return max(0.0, (_blocked(item)[0] - self._now()) / 1000)

    def block(self, connection: Connection | str) -> Block | None:
        """Return why nobody may call now, None if everybody may. One of those who ask is to come back first."""
        account = self._account(connection)
        item = self._table.get(*_key(account)) or {}
        ready_at, why = _blocked(item)
        left = (ready_at - self._now()) / 1000
        if left <= 0:
            return None
        failing = int(item.get("failing_since", 0))
        return Block(
            why=why,
            seconds=left,
            since=datetime.fromtimestamp(failing / 1000, UTC) if failing else None,
            failure=item.get("failure"),
            first=int(item.get("first", 0)) != ready_at and self._be_first(account, ready_at),
        )

    def _be_first(self, account: str, ready_at: int) -> bool:
        unclaimed = Attr("first").not_exists() | Attr("first").ne(ready_at)
        return self._table.update(*_key(account), {"first": ready_at}, when=unclaimed)

    def failed(self, connection: Connection | str, failure: str | None = None) -> None:
        """Note that a request of a connection got no usable answer; ``TRIP`` of them in a row open its breaker."""
        self._failing.add(self._account(connection))
        item = self._table.get(*_key(self._account(connection))) or {}
        failures = int(item.get("failures", 0)) + 1
        since = item.get("failing_since", self._now()) if failures > 1 else self._now()
        changes: Item = {"failures": failures, "failing_since": since, "failure": failure}
        if failures >= TRIP:
            cool_down = min(COOL_DOWN * 2 ** min(failures - TRIP, 10), LONGEST_COOL_DOWN)
            changes["open_until"] = self._now() + int(cool_down * 1000)
        same = Attr("failures").eq(failures - 1) if "failures" in item else Attr("failures").not_exists()
        self._table.update(*_key(self._account(connection)), changes, when=same)

    def succeeded(self, connection: Connection | str) -> None:
        """Note that a connection's vendor answers: a breaker closes, failures before it no longer count.

        Others may have failed while a request took its time, so a slow one is written down though no failure is known.
        """
        account = self._account(connection)
        slow = self._clock() - self._took.get(account, self._clock()) > SLOW
        if slow or account in self._failing:
            self._failing.discard(account)
            cleared: Item = {"failures": None, "open_until": None, "failing_since": None, "failure": None}
            self._table.update(*_key(account), cleared, when=Attr("failures").exists())

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
        holder = holder if connection.account is None else f"{connection.name}/{holder}"
        while (slot := self._slot(connection, holder)) is None:
            if self._clock() >= give_up:
                text = f"connection {connection.name} waits for one of its {connection.limits.concurrency} slots"
                raise ThrottledError(f"{text} (limits.concurrency)", retry_after=_spread(1), why="slot")
            self._sleep(look * random.uniform(0.5, 1))  # noqa: S311 — jitter, no secret
            look = min(2 * look, _SELDOM)
        try:
            yield
        finally:
            self._table.delete(_key(self._account(connection))[0], slot, when=Attr("holder").eq(holder))

    def _slot(self, connection: Connection, holder: str) -> str | None:
        pk, now = _key(self._account(connection))[0], self._clock()
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
            text = f"connection {connection} waits for {_WHAT[why]}"
            if why == "turn":
                raise ThrottledError(text, retry_after=_spread(wait), why=why)
            at = datetime.fromtimestamp(until / 1000, UTC)
            raise ThrottledError(f"{text}: the next request is made at {at:%H:%M:%S} UTC", retry_after=wait, why=why)
        self._sleep(wait)

    def _reserve(self, connection: Connection, item: Item, now_ms: int, give_up: float) -> int | None:
        """Take the next turn, however many want one: return when it is, None if the table has changed meanwhile.

        A turn after ``give_up`` is returned and not taken.
        """
        key, interval = _key(self._account(connection)), max(1, round(1000 / connection.limits.requests_per_second))
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

    def _probe(self, connection: Connection, now_ms: int) -> bool:
        """Be the one request that finds out whether the vendor is back; the breaker is open for all others."""
        due = Attr("open_until").not_exists() | Attr("open_until").lte(now_ms)
        until = now_ms + int(COOL_DOWN * 1000)
        return self._table.update(*_key(self._account(connection)), {"open_until": until}, when=due)

    def _account(self, connection: Connection | str) -> str:
        """Return what a connection is limited as; by name alone, as it was when it last took a turn."""
        if isinstance(connection, str):
            return self._accounts.get(connection, connection)
        self._accounts[connection.name] = connection.limited_as
        return connection.limited_as

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _blocked(item: Item) -> tuple[int, str]:
    """Return until when nobody may call, in milliseconds since the epoch, and what for."""
    reasons = [
        (int(item.get("pause_until", 0)), "pause"),
        (int(item.get("open_until", 0)), "breaker"),
    ]
    return max(reasons)


_WHAT = {
    "pause": "the vendor's pause (429)",
    "breaker": "the vendor to recover (circuit breaker)",
    "turn": "its turn (limits.requests_per_second)",
}


def _spread(seconds: float) -> float:
    return seconds + random.uniform(0, SPREAD)  # noqa: S311 — jitter, no secret


def _key(account: str) -> tuple[str, str]:
    return f"LIMIT#{account}", "LIMIT"
