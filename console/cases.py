"""The list of cases: filters, counts by status, pages that a cursor continues."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, islice
from typing import Any
from urllib.parse import urlencode

from botocore.exceptions import BotoCoreError, ClientError
from starlette.requests import Request
from starlette.responses import Response

from cli.deliveries import moment_of
from cli.errors import BadUsageError, CommandError
from cli.status import statuses_of
from console.desk import Desk, first
from console.words import UNDER_WAY
from dossier.errors import DossierError
from dossier.models import REFERENCE, CaseId, CaseStatus, now
from dossier.steps.listing import CURSOR, cursor, newest
from dossier.stores.cases import CaseRecord
from dossier.stores.limiter import Hold

SHOWN = 50
"""Cases of a page."""
MOST_LOOKED_AT = 3000
"""The most cases that are searched for one page; the next page continues from there."""
_AT_ONCE = 8
"""Connections whose first pages are read at once."""
READ_AT_ONCE = 500
"""Cases of a connection that one request reads if a filter may exclude most of them."""
OLDEST = 60
"""Seconds after which a first page that nobody has looked at is read anew before it is shown."""
MOST_COUNTED = 50_000
"""Cases of a connection that are counted, latest first."""
PERIODS = {"": "Any time", "1h": "Last hour", "24h": "Last 24 hours", "7d": "Last 7 days", "30d": "Last 30 days"}


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of the list. They are in the URL, so that a user can bookmark or share it."""

    connection: str | None = None
    status: str | None = None
    since: str | None = None
    text: str | None = None
    review: bool = False
    after: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Filters:
        """Read a query or a form.

        Raises:
            BadUsageError: a status, a time or a cursor is invalid.

        """
        made = cls(
            connection=first(given, "connection"),
            status=first(given, "status"),
            since=first(given, "since"),
            text=first(given, "text"),
            review=given.get("review") == "on",
            after=first(given, "after"),
        )
        if made.after is not None and not CURSOR.fullmatch(made.after):
            raise BadUsageError("this address has an invalid cursor", fix="begin at the first page")
        statuses_of(made.status)
        made.begin()
        return made

    def begin(self) -> datetime | None:
        """Return the time since which cases are listed."""
        return moment_of(self.since) if self.since else None

    def wanted(self) -> set[CaseStatus]:
        """Return the statuses that are listed; empty for all."""
        return set(statuses_of(self.status))

    @property
    def narrow(self) -> bool:
        """Whether the filters leave out cases of the period."""
        return bool(self.status or self.text or self.review)

    def matches(self, record: CaseRecord) -> bool:
        """Return whether a case is listed."""
        wanted = self.wanted()
        if (wanted and record.status not in wanted) or (self.review and not record.review):
            return False
        if self.text is None:
            return True
        words = (record.reference, record.case_id, record.reason, record.note, record.error)
        return any(self.text.casefold() in word.casefold() for word in words if word)

    def query(self, **changes: object) -> str:
        """Return the address's query, with changes."""
        values = {name: getattr(self, name) for name in ("connection", "status", "since", "text", "after")}
        values |= {"review": "on" if self.review else None, **changes}
        return urlencode({name: value for name, value in values.items() if value})


@dataclass(frozen=True, slots=True)
class Found:
    """A page of cases; ``after`` is the cursor of the next one, None at the end; ``looked`` at that many cases."""

    records: list[CaseRecord]
    after: str | None
    looked: int


def find(
    desk: Desk, filters: Filters, names: Sequence[str], *, limit: int = SHOWN, most: int = MOST_LOOKED_AT
) -> Found:
    """Return the cases that match, latest submitted first, after the cursor.

    Drops that wait for files are not cases yet: they are read if they are asked for, which saves the list a query for
    each connection.
    """
    page = READ_AT_ONCE if filters.narrow else limit + 1
    drops = CaseStatus.WAITING_FOR_FILES in filters.wanted()
    latest = _newest(desk, names, since=filters.begin(), after=filters.after, drops=drops, page=page)
    records, looked, last = list(_named(desk, names, filters)), 0, None
    known = {each.id for each in records}
    for record in islice(latest, most):
        looked, last = looked + 1, record
        if record.id not in known and filters.matches(record):
            records.append(record)
            if len(records) >= limit:
                break
    more = last is not None and next(latest, None) is not None
    return Found(records, cursor(last) if last is not None and more else None, looked)


def _newest(desk: Desk, names: Sequence[str], **settings: Any) -> Iterator[CaseRecord]:
    """Yield the cases of several connections, whose first pages are read in parallel, one request each."""

    def first_read(name: str) -> Iterator[CaseRecord]:
        found = newest([name], context=desk.app, **settings)
        return chain(list(islice(found, 1)), found)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        sources = list(pool.map(first_read, names))
    return heapq.merge(*sources, key=cursor, reverse=True)


def _named(desk: Desk, names: Sequence[str], filters: Filters) -> Iterable[CaseRecord]:
    """Yield the cases whose reference is the text, which come first however old they are."""
    if filters.text and not filters.after and REFERENCE.fullmatch(filters.text):
        found = desk.app.cases.records(CaseId(name, filters.text) for name in names)
        wanted, begin = replace(filters, text=None), filters.begin()
        yield from (each for each in found if wanted.matches(each) and (begin is None or each.submitted_at >= begin))


@dataclass(frozen=True, slots=True)
class Listed:
    """Everything that the page reads from AWS, so that a cached page needs no request."""

    found: Found
    records: list[CaseRecord]
    """The cases of ``found``, each with the trouble of its polls."""
    connections: list[str]
    paused: dict[str, Hold]


def read(desk: Desk, filters: Filters) -> Listed:
    """Read the page's data."""
    names = desk.connections()
    found = find(desk, filters, names if filters.connection is None else desk.where.with_cases(filters.connection))
    return Listed(found, desk.app.cases.all_troubled(found.records), names, desk.app.limiter.paused())


def index(desk: Desk, request: Request) -> Response:
    """Return the page."""
    filters = Filters.of(request.query_params)
    if filters.narrow or filters.after:
        listed, fresh = read(desk, filters), True
    else:
        listed, fresh = desk.lists.soon(_key(filters), lambda: read(desk, filters), most=OLDEST)
    counts = count(desk, filters) if request.query_params.get("count") else counted_last(desk, filters)
    return desk.page(
        request,
        "cases.html",
        filters=filters,
        shown_fresh=fresh,
        records=listed.records,
        after=listed.found.after,
        looked=listed.found.looked,
        periods=PERIODS,
        connections=listed.connections,
        holds=[hold.text(name, now()) for name, hold in listed.paused.items()],
        paused=listed.paused,
        views=views(filters, counts),
        fresh=bool(request.query_params.get("count")),
    )


def warm(desk: Desk) -> None:
    """Read the first page in advance; an error only shows when somebody opens it."""
    with suppress(DossierError, CommandError, ClientError, BotoCoreError):
        desk.lists.get(_key(Filters()), lambda: read(desk, Filters()))


def shortcuts(desk: Desk, request: Request) -> Response:
    """Return the views with their counts, which the page loads after it is shown."""
    filters = Filters.of(request.query_params)
    counts = count(desk, filters)
    return desk.page(request, "views.html", filters=filters, views=views(filters, counts), fresh=True)


def counted_last(desk: Desk, filters: Filters) -> Counter[str] | None:
    """Return the counts of the last read, however old; None before the first."""
    return None if filters.text else desk.counts.last(_key(filters))


def count(desk: Desk, filters: Filters) -> Counter[str] | None:
    """Return how many cases there are of each status, of the connection and the period of the filters.

    None with a text: only a look at every case could count those that have it.
    """
    if filters.text:
        return None

    def read() -> Counter[str]:
        names = desk.where.with_cases(filters.connection)
        since, cases = filters.begin(), desk.app.cases
        found = (islice(cases.statuses(name, since=since), MOST_COUNTED) for name in names)
        counted = Counter(status for statuses in found for status in statuses)
        drops = sum(1 for name in names for _ in cases.waiting_drops(name, since=since))
        return counted + Counter({CaseStatus.WAITING_FOR_FILES: drops})

    return desk.counts.get(_key(filters), read)


def _key(filters: Filters) -> object:
    return filters.connection, filters.since


@dataclass(frozen=True, slots=True)
class View:
    """A filter by status above the list, with the number of its cases if they were counted."""

    name: str
    query: str
    here: bool
    number: int | None


def views(filters: Filters, counts: Counter[str] | None) -> list[View]:
    """Return the views; each keeps the connection, the period and the text."""
    chosen: dict[str, tuple[CaseStatus, ...]] = {
        "All": (),
        "Needs attention": (CaseStatus.NEEDS_ATTENTION,),
        "Under way": UNDER_WAY,
        "Failed": (CaseStatus.FAILED,),
        "With failures": (CaseStatus.COMPLETED_WITH_FAILURES,),
        "Completed": (CaseStatus.COMPLETED, CaseStatus.UPLOADED),
        "Cancelled": (CaseStatus.CANCELLED,),
        "Waiting for files": (CaseStatus.WAITING_FOR_FILES,),
    }
    made = []
    for name, statuses in chosen.items():
        words = ",".join(each.value for each in statuses)
        wanted = statuses or set(counts or ()) - {CaseStatus.WAITING_FOR_FILES}
        number = None if counts is None else sum(counts[each] for each in wanted)
        here = filters.wanted() == set(statuses) and not filters.review
        made.append(View(name, filters.query(status=words, review=None, after=None), here, number))
    review = filters.query(status=None, review="on", after=None)
    return [*made, View("To review", review, filters.review, None)]
