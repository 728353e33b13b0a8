"""Sweep: finds waits that nobody polls (a lost message, a killed function) and polls them again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from dossier.models import now
from dossier.stores.waits import Waits

GRACE = timedelta(seconds=60)
"""How long after its time a poll may be late before it counts as lost."""


def sweep(connections: Iterable[str], *, waits: Waits) -> int:
    """Send the poll message again of every wait that is overdue; return how many there were."""
    swept = 0
    for connection in connections:
        for wait in waits.due(connection, now() - GRACE):
            waits.resend(wait)
            swept += 1
    return swept
