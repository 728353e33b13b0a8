"""The waiting room: who waits for a vendor, and the delayed messages that drive the polling."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from boto3.dynamodb.conditions import Attr

from dossier.models import Phase, iso, now
from dossier.stores.cases import Stored
from dossier.stores.queues import Queues, poll_queue
from dossier.stores.table import Item, Table, case_key


class Wait(Stored):
    """A case that waits: the task token to answer, when to ask the vendor next, until when."""

    connection: str
    reference: str
    phase: Phase
    token: str
    seq: int
    attempts: int = 0
    """Polls that the vendor has answered."""
    troubles: int = 0
    """Polls in a row that it has not."""
    next_at: str
    deadline: str
    started_at: str
    polled_at: str | None = None
    """When a poll served it last."""
    refused_at: str | None = None
    """Since when the vendor refuses the key, if it does."""


class Waits:
    """Waits in the table and their messages on the connections' poll queues."""

    def __init__(self, table: Table, queues: Queues) -> None:
        self._table = table
        self._queues = queues

    def find(self, connection: str, reference: str) -> Wait | None:
        """Return the wait of a case, or None if it does not wait."""
        item = self._table.get(case_key(connection, reference), "WAIT")
        return None if item is None else _wait(item)

    def start(
        self, connection: str, reference: str, *, phase: Phase, token: str, first: float, deadline: float
    ) -> None:
        """Store a wait (in place of one whose token is dead) and send its first message, after ``first`` seconds."""
        at = now()
        old = self.find(connection, reference)
        wait = Wait(
            connection=connection,
            reference=reference,
            phase=phase,
            token=token,
            seq=max(int(at.timestamp()), old.seq + 1 if old else 0),  # above any message of an earlier wait
            next_at=iso(at + timedelta(seconds=first)),
            deadline=iso(at + timedelta(seconds=deadline)),
            started_at=iso(at),
        )
        self._table.put(_item(wait))
        self._send(wait, first)

    def postpone(
        self, wait: Wait, delay: float, *, answered: bool | None = None, refused_at: str | None = None
    ) -> bool:
        """Set when to ask next, ``delay`` seconds from now; return False if somebody else moved the wait meanwhile.

        ``answered`` tells whether the vendor was asked and has answered (None: it was not asked); ``refused_at`` as in
        ``Wait``.
        """
        changes: Item = {"polled_at": iso(now())}
        if answered is not None:
            troubles = 0 if answered else wait.troubles + 1
            changes |= {"attempts": wait.attempts + answered, "troubles": troubles, "refused_at": refused_at}
        return self._move(wait, delay, changes)

    def nudge(self, wait: Wait) -> bool:
        """Move the next poll to now."""
        return self._move(wait, 0.0, {})

    def resend(self, wait: Wait) -> None:
        """Send the message of a wait again (the sweep: nobody polls it)."""
        self._send(wait, 0.0)

    def end(self, wait: Wait) -> None:
        """Delete a wait whose token was answered or is dead; a newer wait of the case stays."""
        self._table.delete(case_key(wait.connection, wait.reference), "WAIT", when=Attr("token").eq(wait.token))

    def due(self, connection: str, until: datetime) -> Iterator[Wait]:
        """Yield the waits of a connection whose next poll is at or before ``until``, the longest due first."""
        for item in self._table.index(f"WAITS#{connection}", until=iso(until)):
            yield _wait(item)

    def waiting(self, connection: str) -> Iterator[Wait]:
        """Yield every wait of a connection, the longest due first."""
        for item in self._table.index(f"WAITS#{connection}"):
            yield _wait(item)

    def _move(self, wait: Wait, delay: float, changes: Item) -> bool:
        next_at = iso(now() + timedelta(seconds=delay))
        moved = {"seq": wait.seq + 1, "next_at": next_at, "gsi_sk": next_at, **changes}
        mine = Attr("seq").eq(wait.seq) & Attr("token").eq(wait.token)
        if not self._table.update(case_key(wait.connection, wait.reference), "WAIT", moved, when=mine):
            return False
        self._send(wait.model_copy(update={"seq": wait.seq + 1, "next_at": next_at}), delay)
        return True

    def _send(self, wait: Wait, delay: float) -> None:
        body = {"connection": wait.connection, "reference": wait.reference, "seq": wait.seq}
        self._queues.send(poll_queue(wait.connection), body, after=delay)


def _item(wait: Wait) -> Item:
    return {
        "pk": case_key(wait.connection, wait.reference),
        "sk": "WAIT",
        "gsi_pk": f"WAITS#{wait.connection}",
        "gsi_sk": wait.next_at,
        **wait.model_dump(),
    }


def _wait(item: Item) -> Wait:
    counts = {name: int(item.get(name, 0)) for name in ("seq", "attempts", "troubles")}
    return Wait.model_validate({**item, **counts})
