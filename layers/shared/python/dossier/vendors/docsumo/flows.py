"""Docsumo's operations that serve the adapter and ``dossier vendor`` alike: list, find, search, update."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, get_args

from dossier.errors import InvalidCaseError, MalformedAnswerError
from dossier.http import Flow
from dossier.vendors.docsumo import replies, requests
from dossier.vendors.docsumo.replies import Entry, File
from dossier.vendors.docsumo.requests import LARGEST_PAGE, SortBy
from dossier.vendors.docsumo.settings import DocsumoConnection

CLOCK_ALLOWANCE = timedelta(seconds=120)
"""How far the vendor's clock may be from ours."""

MOST_PAGES = 1000
"""Most pages of a list that are read: one that is longer than any account, or that has no end, is no list."""
_STALE_PAGES = 2
"""Pages in a row without anything new after which a list counts as walked, whatever total it claims."""


def list_cases(
    connection: DocsumoConnection,
    *,
    limit: int | None = None,
    offset: int = 0,
    stage_id: Sequence[str] = (),
    assigned_to: Sequence[str] = (),
    sort_by: SortBy = "created_date.asc",
) -> Flow[list[dict[str, Any]]]:
    """Return the case type's cases from the ``offset``-th on as the vendor lists them, each once, at most ``limit``.

    In the default order cases that arrive meanwhile come last, so none is skipped. In a ``.desc`` order those that
    arrive meanwhile are left out; in a ``modified_date`` order a case that changes meanwhile may be.

    Raises:
        InvalidCaseError: ``limit``, ``offset`` or ``sort_by`` is not what the API takes; besides
            ``dossier.replies.read``'s.

    Source: guide 1.B.

    """
    if limit is not None and limit < 1:
        raise InvalidCaseError(f"limit is {limit}: use 1 or more")
    if offset < 0:
        raise InvalidCaseError(f"offset is {offset}: use 0 or more")
    if sort_by not in get_args(SortBy):
        raise InvalidCaseError(f'sort_by is "{sort_by}": use one of {", ".join(get_args(SortBy))}')
    entries = yield from walk(
        connection,
        sort_by=sort_by,
        page=min(limit or LARGEST_PAGE, LARGEST_PAGE),
        offset=offset,
        stage_id=stage_id,
        assigned_to=assigned_to,
        enough=lambda found: limit is not None and len(found) >= limit,
    )
    return [each.raw for each in entries[:limit]]


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
) -> Flow[list[Entry]]:
    """Return the list's cases from ``offset`` on, page by page, each once, until ``enough`` of them or its end.

    Raises:
        MalformedAnswerError: it has not ended after ``MOST_PAGES``; besides ``dossier.replies.read``'s.

    """
    found: dict[str, Entry] = {}
    stale = 0
    for _ in range(MOST_PAGES):
        request = requests.list_cases(
            connection,
            limit=page,
            offset=offset,
            sort_by=sort_by,
            stage_id=stage_id,
            assigned_to=assigned_to,
            keep=keep,
        )
        answer = replies.page(request, (yield request))
        before = len(found)
        for each in answer.entries:
            found.setdefault(each.case_id or json.dumps(each.raw, sort_keys=True), each)
        offset += answer.size
        stale = 0 if len(found) > before else stale + 1
        # A total below what was already seen says nothing (the list shrank, or it counts something else).
        told = answer.total is not None and answer.total >= offset
        ended = offset == answer.total if told else answer.size < page
        if not answer.size or ended or stale == _STALE_PAGES or (found and enough(list(found.values()))):
            return list(found.values())
    raise MalformedAnswerError(f"the vendor's list of cases has not ended after {MOST_PAGES} pages")


def find_cases(
    connection: DocsumoConnection, wanted: Collection[str], *, since: datetime | None, keep: str | None = None
) -> Flow[dict[str, Entry]]:
    """Return the wanted cases that the list has, by id, with as few requests as possible.

    Args:
        connection: the account and case type.
        wanted: case ids.
        since: the earliest time at which one of them can have changed last, or None if it can be any time; the list
            is read, latest change first, no further than that.
        keep: name under which the last page (the one with the case, if one case is wanted) is kept.

    """
    missing = set(wanted)
    earliest = since and since - CLOCK_ALLOWANCE

    def enough(found: Sequence[Entry]) -> bool:
        missing.difference_update(each.case_id for each in found if each.case_id)
        return not missing or (earliest is not None and _before(found[-1].modified, earliest))

    entries = yield from walk(connection, sort_by="modified_date.desc", enough=enough, keep=keep)
    return {each.case_id: each for each in entries if each.case_id and each.case_id in wanted}


def created_since(connection: DocsumoConnection, at: datetime) -> Flow[list[Entry]]:
    """Return the cases that were created since ``at``, less the clock allowance; one without a usable date counts."""
    earliest = at - CLOCK_ALLOWANCE
    entries = yield from walk(
        connection, sort_by="created_date.desc", enough=lambda found: _before(found[-1].created, earliest)
    )
    return [each for each in entries if not _before(each.created, earliest)]


def search_files(case_id: str, *, query: str = "", keep: str | None = None) -> Flow[list[File]]:
    """Return the files of a case that the vendor's search finds (guide 2, step 1)."""
    request = requests.search_files(case_id, query=query, keep=keep)
    return replies.files(request, (yield request))


def update_case(
    connection: DocsumoConnection,
    case_id: str,
    *,
    stage_id: str | None = None,
    assigned_to: str | None = None,
    case_name: str | None = None,
    keep: str | None = None,
) -> Flow[dict[str, Any]]:
    """Set a case's stage, assignee or name; return the vendor's answer. What is None stays as it is (guide 1.D).

    Raises:
        InvalidCaseError: nothing is to be set; besides ``dossier.replies.read``'s.

    """
    given = {"stage_id": stage_id, "assigned_to": assigned_to, "case_name": case_name}
    changes = {key: value for key, value in given.items() if value is not None}
    if not changes:
        raise InvalidCaseError("nothing to update: give stage_id, assigned_to or case_name")
    request = requests.update_case(connection, case_id, changes, keep=keep)
    return replies.answer(request, (yield request))


def _before(date: datetime | None, limit: datetime) -> bool:
    return date is not None and date < limit
