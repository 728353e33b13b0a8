"""Waits: cases that wait for a vendor, and the delayed messages that drive their polls.

A wait has at most one current message on its way; messages with an older ``seq`` are ignored, and the sweep may send
one again that it considers lost. If the next poll is further away than SQS delays a message, the sweep sends the
message when it is due.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from boto3.dynamodb.conditions import Attr, ConditionBase
from pydantic import Field

from dossier.models import CaseId, Phase, Priority, Time, iso, now
from dossier.stores.cases import Stored
from dossier.stores.queues import LONGEST_DELAY, Queues, poll_queue
from dossier.stores.table import Item, Table, case_key, plain
from dossier.troubles import Trouble

MOST_EXTENDED = 3600
"""Most seconds by which our own pauses move a deadline; the state machine times out later than that."""
EARLY = timedelta(seconds=1)
"""How much earlier than planned a message may arrive: SQS delays by whole seconds."""
MOST_HINTS = 100
"""Hinted ids that are stored; a wait with more is polled as a whole."""


class Row(Stored):
    """Stray answers in a row to one request (``dossier.errors.StrayAnswerError``), in the vendor's form."""

    count: int
    since: Time


class Wait(Stored):
    """A case that waits: its task token, the time of the next poll, the deadline."""

    connection: str
    reference: str
    phase: Phase
    token: str
    seq: int
    attempts: int = 0
    """Polls that the vendor has answered."""
    troubles: int = 0
    """Polls in a row that the vendor has not answered."""
    next_at: Time
    deadline: Time
    started_at: Time
    polled_at: Time | None = None
    """When the last poll was made."""
    refused_at: Time | None = None
    """Since when the vendor rejects the API key, if it does."""
    asked: int | None = None
    """How far an unfinished poll has come: the last document's index, or the offset in a list."""
    hints: tuple[str, ...] = ()
    """Vendor ids that deliveries named since the last poll; they are polled first."""
    regular_at: Time | None = None
    """When the whole case is polled next, if ``next_at`` is only for ``hints``."""
    rows: dict[str, Row] = Field(default_factory=dict)
    """Stray answers in a row, by the index of a document, or ``case``."""
    trouble: Trouble | None = None
    extended: int = 0
    """Seconds by which our own pauses have moved the deadline."""
    held: int = 0
    """Seconds by which an operator's pauses have moved the deadline (``dossier pause``)."""
    attempt: int = 0
    """The case's attempt that waits; 0 in waits of earlier versions."""
    priority: Priority | None = None
    """``low`` if the case's is; the normal one is not stored."""
    sent_at: Time | None = None
    """When the message for ``seq`` was last sent, or its delay ends; None: not sent yet."""
    resent: int = 0
    """How often the sweep has sent the message again."""
    kind: str | None = None
    """The kind of wait under which its duration is learned (``stores.timings``); None: nothing is learned from it."""
    plan: tuple[int, ...] = ()
    """The plan: when to poll, in seconds after ``started_at``; empty: the intervals grow."""
    called: bool | None = None
    """Whether the vendor calls, by what was learned (``schedule.calls``); False is not stored."""
    seen_at: Time | None = None
    """When the vendor last said that it has not finished."""
    woken_at: Time | None = None
    """When a delivery last moved the next poll to now."""
    trace: str | None = None
    """The header of the case's trace, if traces are linked (``dossier.traces``)."""

    @property
    def id(self) -> CaseId:
        """The case's connection and reference."""
        return CaseId(self.connection, self.reference)


class HeldStep(Stored):
    """A step that waits for ``dossier resume``: ``what`` names its state (and batch or part), ``token`` its task."""

    connection: str
    reference: str
    what: str
    token: str
    since: Time

    @property
    def id(self) -> CaseId:
        """The case's connection and reference."""
        return CaseId(self.connection, self.reference)

    @property
    def name(self) -> str:
        """Its name within the case; two executions of a case may be held at the same state."""
        return f"{self.what}#{hashlib.sha256(self.token.encode()).hexdigest()[:12]}"


class Waits:
    """Waits in the table and their messages on the connections' poll queues."""

    def __init__(self, table: Table, queues: Queues) -> None:
        self._table = table
        self._queues = queues

    def find(self, case: CaseId) -> Wait | None:
        """Return a case's wait, or None."""
        item = self._table.get(case_key(case), "WAIT")
        return None if item is None else _wait(item)

    def start(
        self,
        case: CaseId,
        *,
        phase: Phase,
        token: str,
        first: float,
        deadline: float,
        attempt: int = 0,
        priority: Priority = "normal",
        kind: str | None = None,
        plan: Sequence[int] = (),
        called: bool = False,
        woken: bool = False,
        trace: str | None = None,
    ) -> None:
        """Store a wait (replacing one with a dead token) and send its first message.

        A wait of the same ``attempt`` and phase is the same wait, whose state timed out during an operator's pause: it
        keeps its beginning and its deadline.

        Args:
            case: whose wait.
            phase: what it waits for.
            token: the state machine's task token.
            first: seconds until the first poll, unless ``plan`` says when.
            deadline: seconds until the wait ends.
            attempt: the case's attempt.
            priority: the case's.
            kind: under which its duration is learned.
            plan: when to poll, in seconds from now (``schedule.plan``).
            called: whether the vendor calls (``schedule.calls``).
            woken: whether a delivery came before, so that ``first`` counts in any case.
            trace: the header of the case's trace.

        """
        at = now()
        old = self.find(case)
        same = old if old and attempt and (old.attempt, old.phase) == (attempt, phase) else None
        ends = same.deadline if same else at + timedelta(seconds=deadline)
        if plan and same is None and not woken:
            first = plan[0]
        left = (ends - at).total_seconds()
        first = max(0.0, left) if first > left else first  # a plan knows nothing of the case's own deadline
        next_at = at + timedelta(seconds=first)
        wait = Wait(
            connection=case.connection,
            reference=case.reference,
            phase=phase,
            token=token,
            seq=max(int(at.timestamp()), old.seq + 1 if old else 0),  # above any message of an earlier wait
            next_at=next_at,
            deadline=ends,
            started_at=same.started_at if same else at,
            extended=same.extended if same else 0,
            held=same.held if same else 0,
            attempts=same.attempts if same else 0,
            attempt=attempt,
            priority=None if priority == "normal" else priority,
            sent_at=_sent(next_at, first),
            kind=kind,
            plan=tuple(plan),
            called=called or None,
            seen_at=same.seen_at if same else None,
            woken_at=at if woken else None,
            trace=trace,
        )
        self._table.put(_item(wait))
        self._send(wait, first)

    def postpone(self, wait: Wait, delay: float, **changes: Any) -> bool:
        """Set the next poll to ``delay`` seconds from now; return False if the wait has changed since it was read.

        Args:
            wait: as it was read; its hints are cleared.
            delay: seconds.
            changes: other attributes to set.

        """
        kept = {"deadline": wait.deadline, "held": wait.held}
        changes = {"polled_at": now(), "hints": None, "regular_at": None, **kept, **changes}
        return self._move(wait, delay, changes, write=self._set)

    def nudge(
        self, wait: Wait, ids: Collection[str] | None = None, *, after: float = 0.0, delivered: bool = True
    ) -> bool:
        """Move the next poll to now, or some seconds later; return False if the wait has changed since it was read.

        Args:
            wait: as it was read.
            ids: vendor ids of the documents or jobs to poll; None: the whole case. A poll of single ids does not move
                the regular poll.
            after: seconds.
            delivered: whether a delivery is the reason.

        """
        hints, woken = sorted({*wait.hints, *(ids or ())}), {"woken_at": now()} if delivered else {}
        if ids is None or len(hints) > MOST_HINTS:
            changes: Item = {"hints": None, "regular_at": None, "asked": None}
        else:
            changes = {"hints": hints, "regular_at": wait.regular_at or wait.next_at}
        # Deliveries in one millisecond write the same, and make one poll: a repeated write is left to the sweep.
        return self._move(wait, after, {**changes, **woken}, write=self._update)

    def resend(self, wait: Wait) -> bool:
        """Send the message of a wait again; return False if another sweep did, or the wait has changed."""
        left = max(0.0, (wait.next_at - now()).total_seconds())
        sent = {"sent_at": _sent(wait.next_at, left) or now(), "resent": wait.resent + (wait.sent_at is not None)}
        if not self._set(wait, sent, when=_unchanged(wait)):
            return False
        self._send(wait, left)
        return True

    def requeue(self, wait: Wait, after: float, *, once: bool = False) -> None:
        """Send the message of a wait again, ``after`` seconds later; its ``seq`` and ``next_at`` stay.

        Args:
            wait: as it was read.
            after: seconds.
            once: whether the wait notes it, so that of all copies of its message only one comes back. SQS may deliver a
                message twice, and botocore send it twice. Each copy that comes back may be copied again.

        """
        if once and not self._note_sent(wait, now() + timedelta(seconds=after)):
            return
        self._send(wait, after)

    def _note_sent(self, wait: Wait, at: datetime) -> bool:
        """Note when the delay of a wait's message ends; return False if another message is on its way."""
        if wait.sent_at is not None and wait.sent_at > now() + EARLY:
            return False
        return self._update(wait, {"sent_at": at}, when=_unchanged(wait))

    def queued(self, connection: str) -> int:
        """Return about how many poll messages of a connection are visible or in flight."""
        return self._queues.depth(poll_queue(connection))

    def end(self, wait: Wait) -> bool:
        """Delete a wait whose token was answered or is dead; a newer wait of the case stays.

        Return False if there was nothing to delete: of two polls at once, only one ends a wait.
        """
        return self._table.delete(case_key(wait.id), "WAIT", when=Attr("token").eq(wait.token))

    def hold(self, step: HeldStep) -> None:
        """Store a step that waits for ``dossier resume``."""
        shown = {"gsi_pk": f"HELD#{step.connection}", "gsi_sk": step.since}
        key = {"pk": case_key(step.id), "sk": f"HELD#{step.name}"}
        self._table.put({**key, **shown, **step.model_dump()})

    def held_step(self, case: CaseId, name: str) -> HeldStep | None:
        """Return a case's held step by its name, or None."""
        item = self._table.get(case_key(case), f"HELD#{name}")
        return None if item is None else HeldStep.model_validate(item)

    def held_steps(self, connection: str) -> Iterator[HeldStep]:
        """Yield a connection's held steps, the oldest first."""
        for item in self._table.index(f"HELD#{connection}"):
            yield HeldStep.model_validate(item)

    def steps_of(self, case: CaseId) -> Iterator[HeldStep]:
        """Yield a case's held steps."""
        for item in self._table.query(case_key(case), prefix="HELD#"):
            yield HeldStep.model_validate(item)

    def release(self, step: HeldStep) -> None:
        """Send the message that resumes a held step."""
        body = {"connection": step.connection, "reference": step.reference, "held": step.name}
        self._queues.send(poll_queue(step.connection), body)

    def end_step(self, step: HeldStep) -> None:
        """Delete a held step whose token was answered or is dead."""
        self._table.delete(case_key(step.id), f"HELD#{step.name}")

    def due(self, connection: str, until: datetime) -> Iterator[Wait]:
        """Yield a connection's waits whose next poll is at or before ``until``, longest due first."""
        for item in self._table.index(f"WAITS#{connection}", until=until):
            yield _wait(item)

    def waiting(self, connection: str) -> Iterator[Wait]:
        """Yield a connection's waits, longest due first."""
        for item in self._table.index(f"WAITS#{connection}"):
            yield _wait(item)

    def _move(self, wait: Wait, delay: float, changes: Mapping[str, Any], *, write: Callable[..., bool]) -> bool:
        next_at = now() + timedelta(seconds=delay)
        sent_at = _sent(next_at, delay)
        moved = {"seq": wait.seq + 1, "next_at": next_at, "gsi_sk": next_at, "sent_at": sent_at, "resent": None}
        moved |= _stored(changes)
        mine = Attr("seq").eq(wait.seq) & Attr("token").eq(wait.token)
        if not write(wait, moved, when=mine):
            return False
        if sent_at is not None:
            self._send(wait.model_copy(update={"seq": wait.seq + 1, "next_at": next_at}), delay)
        return True

    def _update(self, wait: Wait, changes: Item, *, when: ConditionBase) -> bool:
        return self._table.update(case_key(wait.id), "WAIT", changes, when=when)

    def _set(self, wait: Wait, changes: Item, *, when: ConditionBase) -> bool:
        """Change a wait; return False if ``when`` did not hold.

        The AWS client repeats a write whose answer was lost, and then ``when`` does not hold any more: the wait is as
        the first write has made it, and its message is still to be sent.
        """
        found = self._table.update_or_get(case_key(wait.id), "WAIT", changes, when=when)
        if found is None:
            return True
        made = {"seq": wait.seq, "token": wait.token, **changes}
        return all(found.get(name) == plain(value) for name, value in made.items())

    def _send(self, wait: Wait, delay: float) -> None:
        body = {"connection": wait.connection, "reference": wait.reference, "seq": wait.seq}
        self._queues.send(poll_queue(wait.connection), body, after=delay, group=wait.priority, trace=wait.trace)


def _unchanged(wait: Wait) -> ConditionBase:
    """Return the condition that nobody has moved a wait or sent its message since it was read."""
    unsent = Attr("sent_at").not_exists() if wait.sent_at is None else Attr("sent_at").eq(iso(wait.sent_at))
    return Attr("seq").eq(wait.seq) & Attr("token").eq(wait.token) & unsent


def _sent(next_at: datetime, delay: float) -> datetime | None:
    """Return when the delay of a message that is sent now ends; None if SQS cannot delay a message that long."""
    return next_at if math.ceil(delay) <= LONGEST_DELAY else None


def _stored(changes: Mapping[str, Any]) -> Item:
    """Return attributes as the table stores them: empty ones are removed."""
    given = Wait.model_construct(**changes).model_dump(include=set(changes), warnings=False)
    return {name: value or None if isinstance(value, tuple | list | dict) else value for name, value in given.items()}


def _item(wait: Wait) -> Item:
    return {
        "pk": case_key(wait.id),
        "sk": "WAIT",
        "gsi_pk": f"WAITS#{wait.connection}",
        "gsi_sk": wait.next_at,
        **_stored(dict(wait)),
    }


def _wait(item: Item) -> Wait:
    return Wait.model_validate({**item, "seq": int(item["seq"])})
