"""Models of the table, the queues and time below the waiting room. Everything above is the real code."""

from __future__ import annotations

import bisect
import heapq
import itertools
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from boto3.dynamodb.conditions import AttributeBase, ConditionBase

from dossier.models import whole
from dossier.stores.table import plain

Item = dict[str, Any]
BEGIN = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)


class Clock:
    """The time, which only passes when a test moves it."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> datetime:
        """Return the time, as ``dossier.models.now`` does."""
        return whole(BEGIN + timedelta(seconds=self.at))

    def seconds(self) -> float:
        """Return the time, as ``time.time`` does."""
        return BEGIN.timestamp() + self.at

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.at += seconds


class MemoryTable:
    """``dossier.stores.table.Table`` over a dict, with a count of its writes."""

    def __init__(self) -> None:
        self._items: dict[str, dict[str, Item]] = {}
        self._index: dict[str, list[tuple[str, str, str]]] = {}
        self.calls: Counter[str] = Counter()

    def get(self, pk: str, sk: str) -> Item | None:
        """Return an item, or None."""
        self.calls["read"] += 1
        found = self._items.get(pk, {}).get(sk)
        return None if found is None else dict(found)

    def put(self, item: Mapping[str, Any], *, when: ConditionBase | None = None) -> bool:
        """Write an item if ``when`` holds."""
        clean = {name: plain(value) for name, value in item.items() if value is not None}
        return self._write(clean["pk"], clean["sk"], when, lambda _: clean)

    def update(self, pk: str, sk: str, changes: Mapping[str, Any], *, when: ConditionBase | None = None) -> bool:
        """Set attributes, if ``when`` holds (without one: if the item exists)."""

        def changed(old: Item) -> Item:
            both = {"pk": pk, "sk": sk, **old, **changes}
            return {name: plain(value) for name, value in both.items() if value is not None}

        if when is None and sk not in self._items.get(pk, {}):
            self.calls["write"] += 1
            return False
        return self._write(pk, sk, when, changed)

    def put_or_get(self, item: Mapping[str, Any], *, when: ConditionBase) -> Item | None:
        """Write an item if ``when`` holds; or return the one that is there."""
        return None if self.put(item, when=when) else self._found(item["pk"], item["sk"])

    def update_or_get(self, pk: str, sk: str, changes: Mapping[str, Any], *, when: ConditionBase) -> Item | None:
        """Set attributes if ``when`` holds; or return the item as it is."""
        return None if self.update(pk, sk, changes, when=when) else self._found(pk, sk)

    def updated(self, pk: str, sk: str, changes: Mapping[str, Any], *, when: ConditionBase) -> Item:
        """Set attributes, if ``when`` holds, and return the item."""
        self.update(pk, sk, changes, when=when)
        return self._found(pk, sk)

    def _found(self, pk: str, sk: str) -> Item:
        return dict(self._items.get(pk, {}).get(sk, {}))

    def add(self, pk: str, sk: str, name: str, number: int, *, when: ConditionBase) -> int | None:
        """Add to a number of an item."""
        done = self._write(pk, sk, when, lambda old: {"pk": pk, "sk": sk, **old, name: old.get(name, 0) + number})
        return self._items[pk][sk][name] if done else None

    def delete(self, pk: str, sk: str, *, when: ConditionBase | None = None) -> bool:
        """Delete an item if ``when`` holds."""
        return self._write(pk, sk, when, lambda _: None)

    def query(self, pk: str, *, prefix: str | None = None) -> Iterator[Item]:
        """Yield the items of a partition."""
        self.calls["read"] += 1
        for sk, item in sorted(self._items.get(pk, {}).items()):
            if prefix is None or sk.startswith(prefix):
                yield dict(item)

    def index(
        self, pk: str, *, since: datetime | None = None, until: datetime | None = None, newest: bool = False
    ) -> Iterator[Item]:
        """Yield the items under ``pk`` of the index, by its sort key."""
        listed = self._index.get(pk, [])
        begin = 0 if since is None else bisect.bisect_left(listed, (plain(since), "", ""))
        end = len(listed) if until is None else bisect.bisect_right(listed, (plain(until), "\U0010ffff", ""))
        wanted = listed[begin:end]
        for place, (_, item_pk, sk) in enumerate(wanted[::-1] if newest else wanted):
            self.calls["read"] += place % 500 == 0
            yield dict(self._items[item_pk][sk])

    def _write(self, pk: str, sk: str, when: ConditionBase | None, change: Any) -> bool:
        self.calls["write"] += 1
        old = self._items.get(pk, {}).get(sk, {})
        if when is not None and not holds(when, old):
            return False
        new = change(old)
        self._unlist(old)
        if new is None:
            self._items.get(pk, {}).pop(sk, None)
        else:
            self._items.setdefault(pk, {})[sk] = new
            if "gsi_pk" in new:
                bisect.insort(self._index.setdefault(new["gsi_pk"], []), (new["gsi_sk"], pk, sk))
        return True

    def _unlist(self, old: Item) -> None:
        if "gsi_pk" in old:
            listed, entry = self._index[old["gsi_pk"]], (old["gsi_sk"], old["pk"], old["sk"])
            del listed[bisect.bisect_left(listed, entry)]


def holds(condition: ConditionBase, item: Item) -> bool:
    """Whether a condition of boto3's holds for an item (DynamoDB: one on a missing attribute does not)."""
    text = condition.get_expression()
    operator, values = text["operator"], text["values"]
    if operator == "AND":
        return holds(values[0], item) and holds(values[1], item)
    if operator == "OR":
        return holds(values[0], item) or holds(values[1], item)
    if operator == "NOT":
        return not holds(values[0], item)
    there = values[0].name in item
    if operator in {"attribute_exists", "attribute_not_exists"}:
        return there == (operator == "attribute_exists")
    if not there:
        return operator == "<>"
    found, wanted = item[values[0].name], [each for each in values[1:] if not isinstance(each, AttributeBase)]
    return {
        "=": lambda: found == wanted[0],
        "<>": lambda: found != wanted[0],
        "<": lambda: found < wanted[0],
        "<=": lambda: found <= wanted[0],
        ">": lambda: found > wanted[0],
        ">=": lambda: found >= wanted[0],
        "BETWEEN": lambda: wanted[0] <= found <= wanted[1],
        "IN": lambda: found in wanted[0],
    }[operator]()


class MemoryQueues:
    """``dossier.stores.queues.Queues`` for one poll queue that behaves like a standard queue of SQS.

    A message is delayed up to 900 s, invisible while it is worked on, and comes again if that fails. Its place among
    those that are visible is not exactly that of its time.
    """

    def __init__(self, clock: Clock, *, lose: float, seed: int) -> None:
        self._clock, self._lose, self._dice = clock, lose, random.Random(seed)
        self._numbers = itertools.count()
        self._held: list[tuple[float, int, Item]] = []
        self._in_flight = 0
        self.sent = 0

    def send(
        self,
        name: str,
        message: Mapping[str, Any],
        *,
        after: float = 0,
        group: str | None = None,
        trace: str | None = None,
    ) -> None:
        """Queue a message; some are lost."""
        del name
        self.sent += 1
        if self._dice.random() < self._lose:
            return
        visible = self._clock.at + min(900, max(0, after)) + self._dice.uniform(0, 0.5)
        heapq.heappush(self._held, (visible, next(self._numbers), dict(message)))

    def depth(self, name: str) -> int:
        """Return how many messages are visible or in flight."""
        del name
        return self._in_flight + sum(visible <= self._clock.at for visible, *_ in self._held)

    def next_at(self) -> float | None:
        """Return when the next message is visible."""
        return self._held[0][0] if self._held else None

    def take(self) -> Item:
        """Receive the next message."""
        self._in_flight += 1
        return heapq.heappop(self._held)[2]

    def done(self, message: Item, *, failed: bool = False) -> None:
        """Delete a message, or have it come again after its visibility timeout."""
        self._in_flight -= 1
        if failed:
            heapq.heappush(self._held, (self._clock.at + 150, next(self._numbers), message))

    def __len__(self) -> int:
        """Return how many messages there are, delayed ones too."""
        return len(self._held) + self._in_flight
