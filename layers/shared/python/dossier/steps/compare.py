"""Compare: what the vendors' accounts list, with what is recorded here. What nobody here knows of was paid for, too."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dossier.errors import DossierError
from dossier.models import now
from dossier.settings import Connection
from dossier.steps.work import Desk

REACH = timedelta(hours=3)
"""How far back an account's list is read: a comparison that fails is made up for by the next two."""
SETTLED = timedelta(minutes=30)
"""How long what was created is left alone: its answer may be on its way, lost and looked up, or told by a delivery."""
LONGEST = 90.0
"""Seconds after which no other account is read: the next comparison begins with another one."""


@dataclass(slots=True)
class Compared:
    """What was found, by connection."""

    unknown: dict[str, list[str]] = field(default_factory=dict)
    """Ids of what the account has and no case here has made or collected; an empty list where all is known."""
    unread: dict[str, str] = field(default_factory=dict)
    """Why an account's list could not be read."""


def compare(connections: Iterable[str], *, desk: Desk, at: datetime | None = None) -> Compared:
    """Read the list of each account that has one; ``at`` stands in for the clock in tests."""
    found, began, at = Compared(), time.monotonic(), at or now()
    names = sorted(connections)
    start = at.hour % max(1, len(names))
    for name in names[start:] + names[:start]:
        connection = desk.connection_of(name)
        if not desk.vendor_of(connection.vendor).lists:
            continue
        if time.monotonic() - began > LONGEST:
            found.unread[name] = "the other accounts took too long"
            continue
        try:
            found.unknown[name] = _unknown(connection, desk, at)
        except DossierError as error:
            found.unread[name] = str(error)
    return found


def _unknown(connection: Connection, desk: Desk, at: datetime) -> list[str]:
    vendor, since = desk.vendor_of(connection.vendor), at - REACH
    # An id is recorded after it was created, so a little further back tells of all that is listed.
    recorded = desk.intents.recorded(connection.name, since - SETTLED)
    created = desk.transport.run(vendor.created(connection, since, recorded), vendor=vendor, connection=connection)
    return sorted(name for name, when in created.items() if since <= when <= at - SETTLED and name not in recorded)
