"""Sweep: sends the messages of waits whose time has come, and again those of waits that nobody polls.

A wait that is overdue has lost its message (a killed function, a dead letter), or its message is still queued: under
load most are. The queue itself says how many it holds. As long as it holds as many as there are waits whose time has
come none is lost, and the sweep adds none. If it holds fewer, so many messages are missing, and they are sent for the
waits whose last message was sent the longest ago. Numbers of SQS are approximate, and stale messages count in them. So
a wait that has not been polled for an hour gets a new message in any case, then after two hours, after four, and so on.
Hence the queue never holds much more than one message for each wait, however long it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from dossier.models import moment, now
from dossier.stores.waits import Wait, Waits

GRACE = timedelta(seconds=60)
"""How long after its time a poll may be late before its message may be lost."""
LEAD = timedelta(seconds=60)
"""How long before its time a message is sent that SQS could not hold back so long: until the next sweep."""
LOST = timedelta(hours=1)
"""How long after it was sent a message counts as lost, whatever the queue holds; twice as long after each new one."""
BACKLOG, SELDOM = 1000, 10
"""A queue with more messages than this is looked at every ten minutes: to read all of its waits costs."""
MOST = 500
"""Most messages that one sweep sends for a connection: the others' turn comes within its time too."""


def sweep(connections: Iterable[str], *, waits: Waits) -> int:
    """Send what is missing on the connections' poll queues; return how many messages were lost."""
    return sum(_sweep(connection, waits) for connection in connections)


def _sweep(connection: str, waits: Waits) -> int:
    at, queued = now(), waits.queued(connection)
    if queued > BACKLOG and at.minute % SELDOM:
        return 0
    unsent: list[Wait] = []
    overdue: list[Wait] = []
    ready = 0
    for wait in waits.due(connection, at + LEAD):
        if wait.sent_at is None:
            unsent.append(wait)
            continue
        due = moment(wait.next_at)
        ready += due <= at
        if due <= at - GRACE:
            overdue.append(wait)
    for wait in unsent[:MOST]:
        waits.resend(wait)
    missing = min(ready - queued, MOST)
    lost = 0
    for place, wait in enumerate(sorted(overdue, key=_sent_at)):
        age, patience = at - moment(_sent_at(wait)), 2 ** min(wait.resent, 10)
        if (age >= GRACE * patience and place < missing) or (age >= LOST * patience and lost < MOST):
            lost += waits.resend(wait)
    return lost


def _sent_at(wait: Wait) -> str:
    return wait.sent_at or wait.next_at
