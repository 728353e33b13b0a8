"""Timings: how long a connection's vendor took for waits of a kind, one small item for each kind.

A kind is a phase, a number of documents and a size, both in coarse steps. An item holds the newest
``schedule.MOST`` spans; one conditional write adds a span. Each function caches an item for ``REMEMBERED``, once it is
enough to plan from. If another function has added a span since, the write returns the item, and is repeated once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from boto3.dynamodb.conditions import Attr

from dossier.models import Phase, now
from dossier.schedule import FEWEST, MOST, Span
from dossier.stores.cases import Case
from dossier.stores.table import Item, Table

REMEMBERED = timedelta(seconds=300)
"""How long a function caches an item with all ``schedule.MOST`` spans; with fewer, proportionally shorter, because each
further span changes the plan more."""
KEPT = timedelta(days=90)
"""Time after the last wait of a kind after which its item expires."""
TRIES = 2
"""Tries to add a span: the first may build on what was cached, the second builds on what is there."""
MEBIBYTE = 1 << 20


def kind_of(phase: Phase, case: Case) -> str | None:
    """Return the kind of a case's wait; None if its duration says nothing about the next one's.

    That is so if the vendor had the documents before: the case is only collected, or was redriven.
    """
    if not case.documents or case.record.attempt > 1:
        return None
    size = sum(each.size for each in case.documents) // MEBIBYTE
    return f"{phase}-{len(case.documents).bit_length()}-{(size.bit_length() + 1) // 2}"


class Timings:
    """The spans of each kind, in the table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._known: dict[tuple[str, str], tuple[datetime, int, tuple[Span, ...]]] = {}

    def spans(self, connection: str, kind: str) -> tuple[Span, ...]:
        """Return how long the vendor took before, the newest last.

        What is enough to plan from is at most ``REMEMBERED`` old.
        """
        return self._read(connection, kind)[1]

    def note(self, connection: str, kind: str, span: Span) -> None:
        """Add a span; of several at the same moment, some are lost."""
        count, before = self._read(connection, kind)
        for _ in range(TRIES):
            spans = (*before, span)[-MOST:]
            item = {"pk": f"TIMES#{connection}", "sk": kind, "count": count + 1, "spans": _written(spans)}
            same = Attr("count").eq(count) if count else Attr("count").not_exists()
            found = self._table.put_or_get({**item, "ttl": int((now() + KEPT).timestamp())}, when=same)
            if found is None or found.get("spans") == item["spans"]:  # the AWS client repeats a write
                self._known[connection, kind] = (now(), count + 1, spans)
                return
            count, before = self._remember(connection, kind, found)

    def _read(self, connection: str, kind: str) -> tuple[int, tuple[Span, ...]]:
        """Return how many spans were ever noted, and the newest."""
        known = self._known.get((connection, kind))
        if known is None or known[1] < FEWEST or now() - known[0] > REMEMBERED * min(1.0, known[1] / MOST):
            return self._remember(connection, kind, self._table.get(f"TIMES#{connection}", kind) or {})
        return known[1:]

    def _remember(self, connection: str, kind: str, item: Item) -> tuple[int, tuple[Span, ...]]:
        count, spans = int(item.get("count", 0)), _spans(str(item.get("spans", "")))
        self._known[connection, kind] = (now(), count, spans)
        return count, spans


def _written(spans: Sequence[Span]) -> str:
    """Return spans as text: ``after-by``, with ``!`` if a delivery ended the wait, and no ``by`` if it ended late."""
    return " ".join(
        f"{each.after:.4g}-{'' if each.by is None else f'{each.by:.4g}'}{'!' if each.delivered else ''}"
        for each in spans
    )


def _spans(text: str) -> tuple[Span, ...]:
    found = []
    for each in text.split():
        after, _, by = each.removesuffix("!").partition("-")
        found.append(Span(float(after), float(by) if by else None, each.endswith("!")))
    return tuple(found)
