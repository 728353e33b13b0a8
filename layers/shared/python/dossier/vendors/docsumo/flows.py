"""Docsumo's operations for the adapter and ``dossier vendor``: list, look up, search, update."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, get_args

from dossier.clocks import dates
from dossier.errors import InvalidCaseError, MalformedAnswerError
from dossier.http import Flow
from dossier.lost import proves, reaches_back
from dossier.models import iso, now
from dossier.ports import Intent, Seen, never
from dossier.replies import read_object
from dossier.stamps import Stamp, by_our_clock, newest_first
from dossier.vendors.docsumo import answers, requests
from dossier.vendors.docsumo.answers import Entry, File
from dossier.vendors.docsumo.requests import LARGEST_PAGE, SortBy
from dossier.vendors.docsumo.settings import DocsumoConnection

MOST_CHANGED, RECENT = 20_000, 1_000
"""Most entries that one comparison reads, latest change first: after an earlier comparison, and for the first one."""
LOOKED_FOR = 5_000
"""Most entries, latest change first, that are searched for a case without a record here."""
LOST_PAGES = 20
"""Most pages that one look-up of a lost upload reads; if it needs more, it asks an operator."""
MOST_PAGES = 1000
"""Most pages of a list that are read. No account has more, so a longer list has no end."""
_STALE_PAGES = 2
"""After this many pages in a row without a new entry the list has ended, whatever total it claims."""
_AHEAD = 10
"""Latest changes that each comparison looks at once more."""
LAGS = timedelta(minutes=2)
"""How long after a change the list may not have it yet."""
_ZONES = timedelta(hours=14)
"""How far the clocks of the zones are ahead of UTC, at most."""
_ODD = 10
"""One in this many entries may have a time far in the future, by mistake, without hiding the others."""


@dataclass(frozen=True, slots=True)
class Walked:
    """The entries that were read; ``whole`` if the vendor reports that there are no more.

    ``total`` is the number of all entries, or None if the vendor does not report it.
    """

    entries: list[Entry]
    whole: bool
    total: int | None = None


@dataclass(slots=True)
class Place:
    """How far a list was read: the next offset, and whether the search has ended."""

    offset: int = 0
    ended: bool = False
    answered: list[datetime] = field(default_factory=list)
    """When its pages were answered, by the vendor's clock."""


def list_page(
    connection: DocsumoConnection,
    *,
    limit: int | None = None,
    offset: int = 0,
    stage_id: Sequence[str] = (),
    assigned_to: Sequence[str] = (),
    sort_by: SortBy = "created_date.asc",
) -> Flow[Walked]:
    """Return the case type's cases from ``offset`` on in the vendor's order, each once, at most ``limit``.

    With ``limit`` 0 only the total is returned.

    In the default order new cases come last, so none is skipped. A ``.desc`` order leaves out cases that arrive during
    the walk; a ``modified_date`` order may leave out cases that change during it.

    Raises:
        InvalidCaseError: the API does not accept ``limit``, ``offset`` or ``sort_by``; also the errors of
            ``dossier.replies.read``.

    Source: guide 1.B.

    """
    if limit is not None and limit < 0:
        raise InvalidCaseError(f"limit is {limit}: use 0 or more")
    if offset < 0:
        raise InvalidCaseError(f"offset is {offset}: use 0 or more")
    if sort_by not in get_args(SortBy):
        raise InvalidCaseError(f'sort_by is "{sort_by}": use one of {", ".join(get_args(SortBy))}')
    found = yield from walk(
        connection,
        sort_by=sort_by,
        page=LARGEST_PAGE if limit is None else min(limit, LARGEST_PAGE),
        offset=offset,
        stage_id=stage_id,
        assigned_to=assigned_to,
        enough=lambda found: limit is not None and len(found) >= limit,
    )
    return Walked(found.entries[:limit], found.whole, found.total)


def walk(
    connection: DocsumoConnection,
    *,
    sort_by: SortBy,
    enough: Callable[[Sequence[Entry]], bool],
    page: int = LARGEST_PAGE,
    offset: int = 0,
    stage_id: Sequence[str] = (),
    assigned_to: Sequence[str] = (),
    keep: str | None = None,
    own: str | None = None,
    place: Place | None = None,
) -> Flow[Walked]:
    """Return the list's cases from ``offset`` on, page by page, each once, until ``enough`` of them or the end.

    ``place`` records how far the list was read.

    Raises:
        MalformedAnswerError: the list has not ended after ``MOST_PAGES``; also the errors of ``dossier.replies.read``.

    """
    walked = yield from _walk(
        connection,
        sort_by=sort_by,
        enough=enough,
        page=page,
        offset=offset,
        stage_id=stage_id,
        assigned_to=assigned_to,
        keep=keep,
        own=own,
        place=place,
    )
    if walked is None:
        raise MalformedAnswerError(f"the vendor's list of cases has not ended after {MOST_PAGES} pages")
    return walked


def _walk(
    connection: DocsumoConnection,
    *,
    sort_by: SortBy,
    enough: Callable[[Sequence[Entry]], bool],
    page: int = LARGEST_PAGE,
    offset: int = 0,
    stage_id: Sequence[str] = (),
    assigned_to: Sequence[str] = (),
    keep: str | None = None,
    own: str | None = None,
    sure: bool = False,
    shared: bool = False,
    place: Place | None = None,
) -> Flow[Walked | None]:
    """Read the list as ``walk`` does; return None if it has not ended after the most pages.

    With ``sure``, a page with fewer entries than asked for does not end the list: the vendor's pages may be smaller.
    """
    found: dict[str, Entry] = {}
    stale = 0
    for _ in range(LOST_PAGES if sure else MOST_PAGES):
        request = requests.list_cases(
            connection,
            limit=page,
            offset=offset,
            sort_by=sort_by,
            stage_id=stage_id,
            assigned_to=assigned_to,
            keep=keep,
            own=own,
            shared=shared,
        )
        reply = yield request
        answer = answers.page(request, reply)
        before = len(found)
        for each in answer.entries:
            found.setdefault(each.case_id or json.dumps(each.raw, sort_keys=True), each)
        offset += answer.size
        stale = 0 if len(found) > before else stale + 1
        # A total below the number already read is ignored (the list shrank, or the total counts something else).
        usable = answer.total is not None and answer.total >= offset
        ended = offset == answer.total if usable else answer.size < page and not (sure and answer.size)
        over = not answer.size or ended or stale == _STALE_PAGES
        if place is not None:
            place.offset, place.ended = offset, over
            place.answered += dates([reply.headers])
        if over or (found and enough(list(found.values()))):
            return Walked(list(found.values()), whole=not answer.size or ended, total=answer.total)
    return None


def find_cases(
    connection: DocsumoConnection,
    wanted: Collection[str],
    *,
    since: datetime | None,
    keep: str | None = None,
    place: Place | None = None,
    spent: Callable[[], bool] = never,
) -> Flow[dict[str, Entry]]:
    """Return the wanted cases that are in the list, by id, with as few requests as possible.

    Args:
        connection: the account and case type.
        wanted: case ids.
        since: the earliest time, by our clock, of their last change; None if unknown. The list, latest change first,
            is read no further back than that.
        keep: name under which the entry is stored, if one case is wanted.
        place: where to begin; records how far the list was read.
        spent: whether to leave the rest of the list for another call.

    """
    missing, reached = set(wanted), place or Place()
    age = None if since is None else max(now() - since, timedelta())

    def enough(found: Sequence[Entry]) -> bool:
        missing.difference_update(each.case_id for each in found if each.case_id)
        reached.ended = reached.ended or not missing or _past(found, age)
        return reached.ended or spent()

    own = next(iter(wanted), None) if keep else None
    found = yield from walk(
        connection,
        sort_by="modified_date.desc",
        enough=enough,
        offset=reached.offset,
        keep=keep,
        own=own,
        place=reached,
    )
    return {each.case_id: each for each in found.entries if each.case_id and each.case_id in wanted}


def having(connection: DocsumoConnection, wanted: Collection[str]) -> Flow[frozenset[str]]:
    """Return which of the wanted cases are among the latest ``LOOKED_FOR`` changes of the list, in one walk.

    That is far enough: a delivery means that its case has changed recently.
    """

    def listed(found: Sequence[Entry]) -> frozenset[str]:
        return frozenset(wanted) & {each.case_id for each in found if each.case_id}

    def enough(found: Sequence[Entry]) -> bool:
        return len(listed(found)) == len(wanted) or len(found) >= LOOKED_FOR

    walked = yield from walk(connection, sort_by="modified_date.desc", enough=enough)
    return listed(walked.entries)


def changed(
    connection: DocsumoConnection, since: Stamp | None, place: Place
) -> Flow[tuple[dict[str, str], str | None]]:
    """Return the cases that the list dates as changed at ``since`` or later, the latest ``RECENT`` without it.

    Returns them with where the next look begins: the case that is listed after the first ``_AHEAD``, because changes of
    the same seconds may be listed later (``not_ahead`` for more than these); None if there are no more. ``place``
    records how far the list was read, and when.
    """

    def enough(found: Sequence[Entry]) -> bool:
        last = found[-1].modified
        past = since is not None and last is not None and last.before(since)
        return past or len(found) >= (MOST_CHANGED if since else RECENT)

    walked = yield from walk(connection, sort_by="modified_date.desc", enough=enough, place=place)
    dated = [(str(each.case_id), each.modified, each.raw) for each in walked.entries if each.case_id and each.modified]
    dated = [each for each in dated if since is None or not each[1].before(since)]
    dates = {case_id: str(raw.get("modified_date")) for case_id, _, raw in dated}
    return dates, [*dates.values()][_AHEAD] if len(dates) > _AHEAD else None


def not_ahead(mark: str, listed_at: datetime | None) -> str | None:
    """Return a time of change, at most ``LAGS`` before its list was read, by the vendor's clock.

    Entries may be dated in the future by mistake; however many there are, they must hide no change. None for such a
    time without a zone, because it cannot be compared with the vendor's clock.
    """
    stamp = Stamp.of(mark)
    if stamp is None or listed_at is None:
        return mark
    if not stamp.zoned:
        return mark if stamp.at <= listed_at + _ZONES else None
    latest = listed_at - LAGS
    return mark if stamp.at <= latest else iso(latest)


def _past(found: Sequence[Entry], age: timedelta | None) -> bool:
    """Whether a list, latest change first, was read past every change within ``age`` by the vendor's clock."""
    if age is None:
        return False
    # The vendor's clock is no earlier than its latest entry, and runs as fast as ours.
    stamps = [each.modified for each in found]
    latest, last = stamps[len(stamps) // _ODD], stamps[-1]
    return newest_first(stamps) and bool(latest and last and last.before(latest.less(age)))


def newest(connection: DocsumoConnection) -> Flow[Seen]:
    """Return the first page of the list, latest created first (one request)."""
    request = requests.list_cases(connection, limit=LARGEST_PAGE, sort_by="created_date.desc")
    answer = answers.page(request, (yield request))
    stamps = [each.created for each in answer.entries]
    dated = None not in stamps and len({each.zoned for each in stamps if each}) == 1
    whole = not answer.size or answer.total == answer.size
    return Seen(tuple(each.entry.id for each in answers.labelled(answer.entries)), whole=whole, dated=dated)


def look_back(connection: DocsumoConnection, intent: Intent) -> Flow[tuple[list[answers.Labelled], bool]]:
    """Read the list, latest created first, until it covers everything that a request can have made.

    Returns:
        the entries, and whether they cover everything.

    """

    def enough(found: Sequence[Entry]) -> bool:
        return reaches_back([each.entry for each in answers.labelled(found)], intent)

    walked = yield from _walk(connection, sort_by="created_date.desc", enough=enough, sure=True, shared=intent.settled)
    if walked is None:
        return [], False
    found = answers.labelled(walked.entries)
    return found, proves([each.entry for each in found], intent, whole=walked.whole)


def created_since(
    connection: DocsumoConnection, since: datetime, recorded: Mapping[str, datetime]
) -> Flow[dict[str, datetime]]:
    """Return the cases created since then with their times by our clock; entries without a usable date are left out."""

    def times(found: Sequence[Entry]) -> dict[str, datetime]:
        return by_our_clock([(each.case_id, each.created) for each in found], recorded)

    def enough(found: Sequence[Entry]) -> bool:
        last = found[-1].case_id
        return last is not None and times(found).get(last, since) < since

    walked = yield from walk(connection, sort_by="created_date.desc", enough=enough)
    return {case_id: at for case_id, at in times(walked.entries).items() if at >= since}


def search_files(case_id: str, *, query: str = "", keep: str | None = None, shared: bool = False) -> Flow[list[File]]:
    """Return the files that the vendor's search lists for a case (guide 2, step 1)."""
    request = requests.search_files(case_id, query=query, keep=keep, shared=shared)
    return answers.files(request, (yield request))


def update_case(
    connection: DocsumoConnection,
    case_id: str,
    *,
    stage_id: str | None = None,
    assigned_to: str | None = None,
    case_name: str | None = None,
    keep: str | None = None,
) -> Flow[dict[str, Any]]:
    """Set a case's stage, assignee or name; return the vendor's answer. None leaves a value unchanged (guide 1.D).

    Raises:
        InvalidCaseError: every value is None; also the errors of ``dossier.replies.read``.

    """
    given = {"stage_id": stage_id, "assigned_to": assigned_to, "case_name": case_name}
    changes = {key: value for key, value in given.items() if value is not None}
    if not changes:
        raise InvalidCaseError("nothing to update: give stage_id, assigned_to or case_name")
    request = requests.update_case(connection, case_id, changes, keep=keep)
    return read_object(request, (yield request))
