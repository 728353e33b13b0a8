"""Sweep: send the messages of waits that are due, and resend lost ones.

An overdue wait has lost its message (a killed function, a dead letter), or its message is still queued, as most are
under load. If the queue holds at least as many messages as there are due waits, none is lost, and the sweep sends
none. If it holds fewer, the difference is missing, and messages are sent for the waits whose last message is oldest.
The numbers of SQS are approximate and include stale messages. So a wait that was not polled for an hour gets a new
message in any case, then after two hours, four, and so on. The queue never holds much more than one message per wait.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from dossier.models import now
from dossier.steps.context import Context
from dossier.steps.hold import release_all
from dossier.stores.waits import Wait

GRACE = timedelta(seconds=60)
"""How late a poll may be before its message may be lost."""
LEAD = timedelta(seconds=60)
"""A first message, too far ahead for SQS's delay before, is sent this long before it is due (the next sweep)."""
LOST = timedelta(hours=1)
"""Age at which a message counts as lost, whatever the queue holds; it doubles with each new message."""
BACKLOG, SELDOM = 1000, 10
"""A queue with more messages than this is only checked every ten minutes: reading all its waits costs money."""
MOST = 500
"""Most messages that one sweep sends for a connection, so that there is time for the other connections."""


def sweep(connections: Iterable[str], *, context: Context) -> int:
    """Send the missing messages of the connections' poll queues; return how many polls were lost.

    It also resumes held steps whose connection was resumed.
    """
    names = list(connections)
    release_all(names, context=context)
    return sum(_sweep(connection, context) for connection in names)


def _sweep(connection: str, context: Context) -> int:
    at, waits = now(), context.waits
    queued = waits.queued(connection)
    if queued > BACKLOG and at.minute % SELDOM:
        return 0
    unsent: list[Wait] = []
    overdue: list[Wait] = []
    ready = 0
    for wait in waits.due(connection, at + LEAD):
        if wait.sent_at is None:
            unsent.append(wait)
            continue
        ready += wait.next_at <= at
        if wait.next_at <= at - GRACE:
            overdue.append(wait)
    for wait in unsent[:MOST]:
        waits.resend(wait)
    missing = min(ready - queued, MOST)
    lost = 0
    for place, wait in enumerate(sorted(overdue, key=_sent_at)):
        age, patience = at - _sent_at(wait), 2 ** min(wait.resent, 10)
        if (age >= GRACE * patience and place < missing) or (age >= LOST * patience and lost < MOST):
            lost += waits.resend(wait)
    return lost


def _sent_at(wait: Wait) -> datetime:
    return wait.sent_at or wait.next_at
