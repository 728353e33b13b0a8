"""Compare: check the vendors' lists against the cases here.

An unknown case at the vendor was paid for, so it is reported. A case that has changed since it was collected is
collected again, so that an update arrives even if its delivery was lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cmp_to_key
from itertools import islice

from dossier.errors import DossierError
from dossier.models import CaseId, CaseStatus, now
from dossier.ports import Vendor
from dossier.settings import Connection
from dossier.stamps import Stamp
from dossier.steps.context import Context
from dossier.steps.identity import stranger_reference
from dossier.steps.refresh import ask, start
from dossier.stores.cases import CaseRecord

REACH = timedelta(hours=3)
"""How far back an account's list is read, so that the next two comparisons make up for a failed one."""
SETTLED = timedelta(minutes=30)
"""Age below which an entry is ignored: its answer may be on its way, lost and looked up, or named by a delivery."""
AHEAD = timedelta(hours=1)
"""How far a time of change may be ahead of the vendor's own web server. A later one is a mistake and has no order: any
other time in its place is a change."""
QUARTER = timedelta(minutes=15)
MOST_AGAIN = 200
"""Most cases of one connection that a comparison collects again: each is an execution."""
LONGEST = 90.0
"""Seconds after which no further account is read; the next comparison begins with another one."""


@dataclass(slots=True)
class Compared:
    """The findings, by connection."""

    unknown: dict[str, list[str]] = field(default_factory=dict)
    """Ids in the account that no case here created or collected."""
    unread: dict[str, str] = field(default_factory=dict)
    """Why an account's list could not be read."""
    again: dict[str, list[str]] = field(default_factory=dict)
    """References of cases that are collected again, because the vendor changed them or a refresh is due."""


def compare(connections: Iterable[str], *, context: Context, at: datetime | None = None) -> Compared:
    """Read the list of each account that has one; ``at`` stands in for the clock in tests."""
    found, began, at = Compared(), time.monotonic(), at or now()
    names = sorted(connections)
    first = at.hour % max(1, len(names))

    def spent() -> bool:
        return time.monotonic() - began > LONGEST

    for name in names[first:] + names[:first]:
        connection = context.connection_of(name)
        vendor = context.vendor_of(connection)
        if (hold := context.limiter.held(name)) is not None:
            found.unread[name] = hold.text(name, at)
            continue
        due = list(islice(context.refreshes.due(name, at), MOST_AGAIN))
        for each in due:
            start(each.id, each, context=context)
        again = [each.reference for each in due]
        if vendor.lists and spent():
            found.unread[name] = "the other accounts took too long"
        elif vendor.lists:
            try:
                found.unknown[name] = _unknown(connection, context, at)
                again += _changed(connection, context, spent) if vendor.dates_changes else []
            except DossierError as error:
                found.unread[name] = str(error)
        if again:
            found.again[name] = again
    return found


def _changed(connection: Connection, context: Context, spent: Callable[[], bool]) -> list[str]:
    """Request a refresh of the cases that the account's list dates as changed since their collection; return which.

    Cases beyond the time or the number of one comparison are left to the next one.
    """
    name, vendor, again = connection.name, context.vendor_of(connection), list[str]()
    flow = vendor.changed(context.refreshes.compared(name))
    changed = context.transport.run(flow, vendor=vendor)

    def order(one: tuple[str, str], other: tuple[str, str]) -> int:
        return int(vendor.later(one[1], other[1]) is True) - int(vendor.later(other[1], one[1]) is True)

    for case_id, at in sorted(changed.cases.items(), key=cmp_to_key(order)):
        if spent() or len(again) >= MOST_AGAIN:
            left = {each: mark if vendor.later(at, mark) else at for each, mark in changed.seen.items()}
            context.refreshes.compared_to(name, left)
            return again
        for reference in context.intents.references(name, case_id):
            behind = _is_behind(context.cases.find_record(CaseId(name, reference)), at, vendor)
            if behind and ask(CaseId(name, reference), context=context):
                again.append(reference)
    context.refreshes.compared_to(name, changed.seen)
    return again


def _is_behind(record: CaseRecord | None, at: str, vendor: Vendor) -> bool:
    """Whether a case was, or is being, collected before its vendor changed it. A waiting case is collected later."""
    if record is None or record.refused or record.status is CaseStatus.CANCELLED:
        return False
    if not (record.status.final or record.status is CaseStatus.DOWNLOADING):
        return False
    if record.modified is None:
        return True
    changed = Stamp.of(record.modified)
    read = Stamp(record.read_at, zoned=True) if record.read_at else None
    if at == record.modified:
        return changed is not None and read is not None and _in_that_second(changed, read)
    ahead = changed is not None and read is not None and changed.zoned and changed.at > read.at + AHEAD
    return ahead or vendor.later(at, record.modified) is not False


def _in_that_second(changed: Stamp, read: Stamp) -> bool:
    """Whether a case was read in the same second as its change, after which another one may have followed.

    Of a time without a zone only the minutes and seconds can be compared: zones differ by quarters of an hour.
    """
    since = read.at - changed.at
    if changed.zoned:
        return -AHEAD <= since <= timedelta(0)
    return since % QUARTER < timedelta(seconds=1) or since % QUARTER > QUARTER - timedelta(seconds=5)


def _unknown(connection: Connection, context: Context, at: datetime) -> list[str]:
    vendor, since = context.vendor_of(connection), at - REACH
    # An id is recorded after it was created, so records are read from a little earlier on.
    recorded = context.intents.recorded(connection.name, since - SETTLED)
    created = context.transport.run(vendor.created(since, recorded), vendor=vendor)
    unknown = (name for name, when in created.items() if since <= when <= at - SETTLED and name not in recorded)
    return sorted(name for name in unknown if not was_erased(connection.name, name, context))


def was_erased(connection: str, vendor_id: str, context: Context) -> bool:
    """Whether the case that had an id of the vendor was erased (``dossier forget``): the vendor still has it."""
    return context.cases.erased(CaseId(connection, stranger_reference(vendor_id))) is not None
