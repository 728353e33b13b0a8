"""Limits of a connection's account, shared by every function: rate, pauses, breaker, leases.

Connections with the same ``account`` share all limits, because a vendor counts by key.

The rate uses the generic cell rate algorithm: one number is the time at which the next request would be on schedule
(``tat``, milliseconds since the epoch). A request may run ahead of the schedule by a burst of one second. A caller
reserves its turn first and then sleeps until it comes, so each costs the table the same however many wait. A caller
whose turn is too far away leaves and comes back later, so that no function is paid for long waits.

The breaker opens after ``TRIP`` failures in a row. It stays open for a cool-down that grows to 15 seconds; then one
request passes as a probe while the others wait for its outcome. Any success closes the breaker.

A lease is one of a connection's ``limits.concurrency`` slots. It expires, so that a killed function leaks nothing.

A bulk poll serves many waits of a connection. While one runs, others of its kind leave its waits to it
(``bulk``): each would read and postpone the same ones.

An operator's pause (``dossier pause``) is a ``Hold``. It is stored by connection, not by account, and blocks every call
until an operator ends it. The last holds are kept, because a wait's deadline moves by them.

Cases of low priority (those of a batch) come behind the others: they leave half of the burst and one slot free, so that
a case that is submitted by hand gets its turn at once. To make progress beside any number of other cases, they always
get one turn in ``SHARE``, and one transfer in ``SLOT_EVERY`` seconds.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from boto3.dynamodb.conditions import Attr, ConditionBase

from dossier.errors import PausedError, ThrottledError
from dossier.models import iso, moment
from dossier.settings import Connection
from dossier.stores.table import Item, Table
from dossier.troubles import clock

BURST_MS = 1000
TRIP = 12
"""Failures in a row after which a connection's breaker opens."""
COOL_DOWN = 5.0
LONGEST_COOL_DOWN = 15.0
"""First and longest time, in seconds, that a breaker stays open before it lets a probe pass."""
LONGEST_TURN = 20.0
"""Longest wait for a turn, in seconds, if a connection's requests are further apart than the caller's patience."""
SPREAD = 5.0
"""Seconds over which callers without a turn or slot come back, so that they do not all come at once."""
LEASE = 900.0
"""Seconds after which a lease expires: the longest time that a function may run."""
BULK = 120
"""Seconds after which a bulk poll counts as dead: the timeout of its function (``infra/waiting_room.py``)."""
SLOW = 2.0
"""If a request takes more seconds than this, other requests may have opened the breaker meanwhile."""
MOST_HOLDS = 100
"""Most ended holds of a connection that are kept."""
_BULK = "bulk_"
"""Prefix of the attributes with the start times of bulk polls."""
_PAUSED = "PAUSED"
"""The key in the index of the connections that an operator has paused."""
SHARE = 10
"""One turn in so many goes to cases of low priority, however many others wait."""
SLOT_EVERY = 30.0
"""Seconds after which a case of low priority may take the last free slot."""
SHARE_PATIENCE = 2.0
"""Longest wait for low priority's share of turns, in seconds: longer than the queue of the others."""
JUST_READ = 0.5
"""Seconds for which the item that was read of an account serves the next turns."""
_LOOK, _SELDOM = 0.25, 4.0
"""Seconds until a transfer looks for a slot again: the first and the longest interval; it doubles each time."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A time in which an operator has paused a connection; ``until`` is None while it lasts."""

    since: datetime
    by: str
    reason: str
    until: datetime | None = None

    def text(self, connection: str, at: datetime) -> str:
        """Return the hold in one line for people."""
        since = clock(self.since, at)
        return f"{connection} is paused since {since} by {self.by}: {self.reason} (`dossier resume {connection}`)"

    def overlap(self, since: datetime, at: datetime) -> float:
        """Return how many seconds of the hold lie between ``since`` and ``at``."""
        ended = self.until or at
        return max(0.0, (min(ended, at) - max(self.since, since)).total_seconds())


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a connection's limits."""

    hold: Hold | None
    """The operator's pause, if there is one."""
    block: Block | None
    """The vendor's pause or the breaker, if there is one."""
    failures: int = 0
    """Failures in a row."""
    failing_since: datetime | None = None
    failure: str | None = None
    ahead: float = 0.0
    """Seconds by which the reserved turns are ahead of the clock."""
    holds: tuple[Hold, ...] = ()
    """The ended holds, oldest first."""
    bulk: Mapping[str, float] = field(default_factory=dict)
    """For how many seconds bulk polls of the connection have run, by their kind."""

    @property
    def rate_used(self) -> int:
        """Percentage of the connection's rate that is taken now: 100 if calls wait for their turn."""
        return min(100, round(100 * self.ahead * 1000 / BURST_MS))

    def held(self, since: datetime, at: datetime) -> int:
        """Return how many seconds between ``since`` and ``at`` the connection was paused by an operator."""
        every = (*self.holds, *([self.hold] if self.hold else []))
        return round(sum(each.overlap(since, at) for each in every))


@dataclass(frozen=True, slots=True)
class Block:
    """Why a connection's vendor may not be called now."""

    why: str
    """``pause``, ``breaker`` or ``paused``, as in ``ThrottledError``."""
    seconds: float
    """Seconds until the block ends."""
    since: datetime | None = None
    """Since when the vendor fails, if it does; ``failure`` says how."""
    failure: str | None = None
    first: bool = False
    """Whether this caller is the one that tries again first; the others come back later."""


class Limiter:
    """Turns, pauses, breakers and leases of all connections, in the table."""

    def __init__(
        self, table: Table, *, clock: Callable[[], float] = time.time, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._table = table
        self._clock = clock
        self._sleep = sleep
        self._failing: set[str] = set()
        """Accounts whose last known state has failures: their next success has to be stored."""
        self._read: dict[str, tuple[float, Item]] = {}
        """Each account's item as it was read a moment ago, or as the last turn left it, for the next turn."""
        self._took: dict[str, float] = {}
        """When each account's last turn was taken; the state in the table may have changed since."""
        self._accounts: dict[str, str] = {}
        """The account of each known connection."""
        self._low = False
        """Whether turns and slots are left to others (``behind``)."""

    def behind(self) -> Limiter:
        """Return the limiter for cases of low priority, which leave turns and slots to the others."""
        other = copy(self)
        other._low = True
        return other

    def take(self, connection: Connection, *, patience: float) -> None:
        """Wait for a connection's turn to make one request, at most ``patience`` seconds.

        Raises:
            ThrottledError: its turn comes later because of the rate, the vendor's pause, or an open breaker.
            PausedError: an operator has paused the connection.
        """
        # A flow of several requests would never end if it gave up before its second turn. At least two polls run at
        # once (SQS), and each of them should get its turn.
        apart = min(2.5 / connection.limits.requests_per_second, LONGEST_TURN)
        give_up = self._clock() + max(patience, apart)
        turn: int | None = None
        share = not self._low
        while True:
            read_at, item = self._latest(self._account(connection))
            if (hold := self._hold(connection, item)) is not None:
                raise PausedError(hold.text(connection.name, self._at()))
            now_ms, failures = self._now(), int(item.get("failures", 0))
            self._took[self._account(connection)] = self._clock()
            if failures:
                self._failing.add(self._account(connection))
            ready_at, why = _blocked(item)
            if ready_at > now_ms:
                self._wait(connection.name, why, ready_at, give_up)
                turn = None  # a turn that passed meanwhile is lost
                continue
            if failures >= TRIP:
                if self._probe(connection, now_ms):
                    return
            else:
                if not share and (ready_at := _quiet_at(connection, item)) > now_ms:
                    every = SHARE / connection.limits.requests_per_second
                    share = self._share(connection, item, now_ms, "low_at", every)
                    if not share:
                        self._wait(connection.name, "turn", ready_at, give_up)
                        continue
                    give_up = max(give_up, self._clock() + SHARE_PATIENCE)
                turn = turn or self._reserve(connection, item, now_ms, give_up)
                if turn is not None and turn <= now_ms:
                    self._read[self._account(connection)] = read_at, item
                    return
                if turn is not None:
                    self._wait(connection.name, "turn", turn, give_up)

    def pause(self, connection: Connection | str, seconds: float) -> None:
        """Stop all calls of a connection for ``seconds``; a longer pause stays."""
        until = int((self._clock() + seconds) * 1000)
        shorter = Attr("pause_until").not_exists() | Attr("pause_until").lt(until)
        self._table.update(*_key(self._account(connection)), {"pause_until": until}, when=shorter)

    def hold(self, connection: str, *, by: str, reason: str) -> Hold:
        """Pause a connection by an operator's order; return the hold. One that lasts already keeps its beginning."""
        key, operator = _key(connection), {"held_by": by, "held_why": reason}
        shown = {"gsi_pk": _PAUSED, "gsi_sk": connection}
        began = self._at()
        begun = {"held_since": began, **operator, **shown}
        if not self._table.update(*key, begun, when=Attr("held_since").not_exists()):
            self._table.update(*key, operator, when=Attr("held_since").exists())
        found = _hold_of(self._table.get(*key) or {})
        return found or Hold(began, by, reason, until=self._at())  # it was released meanwhile

    def release(self, connection: str) -> Hold | None:
        """End an operator's pause; return the hold that ended, or None if there was none."""
        key = _key(connection)
        item = self._table.get(*key) or {}
        hold = _hold_of(item)
        if hold is None:
            return None
        until = self._at()
        ended = {"since": iso(hold.since), "by": hold.by, "reason": hold.reason, "until": iso(until)}
        kept = [*item.get("holds", ()), ended]
        gone = {"held_since": None, "held_by": None, "held_why": None, "gsi_pk": None, "gsi_sk": None}
        changes: Item = {**gone, "holds": kept[-MOST_HOLDS:]}
        same = Attr("held_since").eq(iso(hold.since))
        found = self._table.update_or_get(*key, changes, when=same)
        # The AWS client repeats a write whose answer was lost: then the pause is among those that have ended.
        mine = found is None or ended in found.get("holds", ())
        return replace(hold, until=until) if mine else None

    def held(self, connection: str) -> Hold | None:
        """Return the operator's pause of a connection, or None."""
        return _hold_of(self._table.get(*_key(connection)) or {})

    def paused(self) -> dict[str, Hold]:
        """Return every connection that an operator has paused, with the hold; eventually consistent."""
        found = ((item["gsi_sk"], _hold_of(item)) for item in self._table.index(_PAUSED))
        return {name: hold for name, hold in found if hold is not None}

    def standing(self, connection: Connection | str) -> Standing:
        """Return the state of a connection's limits, without a claim on the next request."""
        account, now_ms = self._account(connection), self._now()
        name = connection if isinstance(connection, str) else connection.name
        item = self._table.get(*_key(account)) or {}
        self._read[account] = self._clock(), item
        own = item if account == name else self._table.get(*_key(name)) or {}
        ready_at, why = _blocked(item)
        failing = int(item.get("failing_since", 0))
        since = datetime.fromtimestamp(failing / 1000, UTC) if failing else None
        left = (ready_at - now_ms) / 1000
        return Standing(
            hold=_hold_of(own),
            block=Block(why, left, since, item.get("failure")) if left > 0 else None,
            failures=int(item.get("failures", 0)),
            failing_since=since,
            failure=item.get("failure"),
            ahead=max(0.0, (int(item.get("tat", 0)) - now_ms) / 1000),
            holds=tuple(_holds_of(own)),
            bulk=_bulk_of(own, now_ms),
        )

    def paused_for(self, connection: Connection | str) -> float:
        """Return the seconds until a pause or an open breaker ends; 0 without one."""
        item = self._table.get(*_key(self._account(connection))) or {}
        return max(0.0, (_blocked(item)[0] - self._now()) / 1000)

    def block(self, connection: Connection | str) -> Block | None:
        """Return why the vendor may not be called now, or None. One of the callers gets ``first``."""
        account = self._account(connection)
        item = self._table.get(*_key(account)) or {}
        ready_at, why = _blocked(item)
        left = (ready_at - self._now()) / 1000
        if left <= 0:
            return None
        failing = int(item.get("failing_since", 0))
        unclaimed = Attr("first").not_exists() | Attr("first").ne(ready_at)
        return Block(
            why=why,
            seconds=left,
            since=datetime.fromtimestamp(failing / 1000, UTC) if failing else None,
            failure=item.get("failure"),
            first=int(item.get("first", 0)) != ready_at
            and self._table.update(*_key(account), {"first": ready_at}, when=unclaimed),
        )

    def failed(self, connection: Connection | str, failure: str | None = None) -> None:
        """Count a request without a usable answer; ``TRIP`` of them in a row open the connection's breaker."""
        self._failing.add(self._account(connection))
        self._read.pop(self._account(connection), None)
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
        """Note that a connection's vendor answers: the breaker closes, and earlier failures no longer count.

        A slow request is stored even without a known failure: others may have failed meanwhile.
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
            holder: names the transfer; a new try takes over the slot of a killed one.
            patience: how long to wait for a slot, in seconds.

        Raises:
            ThrottledError: every slot is taken for longer than ``patience``.
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

    @contextmanager
    def bulk(self, connection: str, kind: str) -> Iterator[bool]:
        """Yield whether this is the connection's only bulk poll of its kind, which it then is until it ends."""
        key, name, began = _key(connection), f"{_BULK}{kind}", self._now()
        free = Attr(name).not_exists() | Attr(name).lte(began - BULK * 1000)
        mine = self._table.update(*key, {name: began}, when=free)
        try:
            yield mine
        finally:
            if mine:
                self._table.update(*key, {name: None}, when=Attr(name).eq(began))

    def _latest(self, account: str) -> tuple[float, Item]:
        """Return when an account's item was read, and the item: what was read a moment ago serves the next turn.

        A turn is only reserved if rate and pauses have not changed since.
        """
        at, item = self._read.pop(account, (0.0, {}))
        if self._clock() - at < JUST_READ:
            return at, item
        return self._clock(), self._table.get(*_key(account)) or {}

    def _hold(self, connection: Connection, item: Item) -> Hold | None:
        """Return the operator's pause of a connection; ``item`` is its account's."""
        own = item if self._account(connection) == connection.name else self._table.get(*_key(connection.name)) or {}
        return _hold_of(own)

    def _slot(self, connection: Connection, holder: str) -> str | None:
        pk, now = _key(self._account(connection))[0], self._clock()
        taken = {item["sk"]: item for item in self._table.query(pk, prefix="LEASE#")}
        slots = [f"LEASE#{number:03d}" for number in range(connection.limits.concurrency)]
        random.shuffle(slots)
        mine = [slot for slot, item in taken.items() if item["holder"] == holder]
        free = [slot for slot in slots if slot not in taken or int(taken[slot]["until"]) < int(now * 1000)]
        if self._low and not mine and len(free) == 1 < len(slots) and not self._last_slot(connection):
            return None
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

    def _last_slot(self, connection: Connection) -> bool:
        """Return whether a case of low priority may take the last free slot now."""
        item = self._table.get(*_key(self._account(connection))) or {}
        return self._share(connection, item, self._now(), "low_slot_at", SLOT_EVERY)

    def _share(self, connection: Connection, item: Item, now_ms: int, name: str, every: float) -> bool:
        """Claim what low priority gets each ``every`` seconds, however busy the connection is."""
        before = now_ms - round(every * 1000)
        if int(item.get(name, 0)) > before:
            return False
        due = Attr(name).not_exists() | Attr(name).lte(before)
        return self._table.update(*_key(self._account(connection)), {name: now_ms}, when=due)

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
        """Reserve the next turn; return its time in milliseconds, or None if the table has changed meanwhile.

        ``item`` is then as the table has it. A turn after ``give_up`` is returned without reserving it.
        """
        key, interval = _key(self._account(connection)), max(1, round(1000 / connection.limits.requests_per_second))
        burst = max(BURST_MS - interval, 0)
        tat, latest = int(item.get("tat", 0)), int(give_up * 1000) + burst
        free: ConditionBase = Attr("pause_until").not_exists() | Attr("pause_until").lte(now_ms)
        if self._account(connection) == connection.name:
            free = free & Attr("held_since").not_exists()
        if tat > latest:
            return tat - burst
        if tat < now_ms:  # no other caller waits
            same = Attr("tat").eq(tat) if "tat" in item else Attr("tat").not_exists()
            if not self._table.update(*key, {"tat": now_ms + interval}, when=same & free):
                return None
            item["tat"] = now_ms + interval
            return now_ms
        after = self._table.add(*key, "tat", interval, when=Attr("tat").between(now_ms, latest) & free)
        if after is None:
            return None
        item["tat"] = after
        return after - interval - burst

    def _probe(self, connection: Connection, now_ms: int) -> bool:
        """Claim the probe: the one request that shows whether the vendor is back; the breaker stays open for others."""
        due = Attr("open_until").not_exists() | Attr("open_until").lte(now_ms)
        until = now_ms + int(COOL_DOWN * 1000)
        return self._table.update(*_key(self._account(connection)), {"open_until": until}, when=due)

    def _account(self, connection: Connection | str) -> str:
        """Return a connection's account; for a name, the account that it last took a turn with."""
        if isinstance(connection, str):
            return self._accounts.get(connection, connection)
        self._accounts[connection.name] = connection.limited_as
        return connection.limited_as

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _at(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _hold_of(item: Item) -> Hold | None:
    return Hold(moment(item["held_since"]), item["held_by"], item["held_why"]) if "held_since" in item else None


def _holds_of(item: Item) -> Iterable[Hold]:
    return (
        Hold(moment(each["since"]), each["by"], each["reason"], moment(each["until"])) for each in item.get("holds", ())
    )


def _bulk_of(item: Item, now_ms: int) -> dict[str, float]:
    ran = {name: (now_ms - int(item[name])) / 1000 for name in item if name.startswith(_BULK)}
    return {name.removeprefix(_BULK): seconds for name, seconds in ran.items() if seconds < BULK}


def _quiet_at(connection: Connection, item: Item) -> int:
    """Return from when half of the burst is free, in milliseconds since the epoch."""
    interval = max(1, round(1000 / connection.limits.requests_per_second))
    return int(item.get("tat", 0)) - max(BURST_MS - interval, 0) // 2


def _blocked(item: Item) -> tuple[int, str]:
    """Return until when the vendor may not be called, in milliseconds since the epoch, and why."""
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
