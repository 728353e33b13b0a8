"""Finding an upload whose answer was lost, in the account's list of documents.

The list's shape is undocumented (``GET /api/v1/documents`` appears only in the guide's authentication example): a bare
array or an envelope are both read, newest first is assumed nowhere but where a page is visibly cut.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dossier.models import Document
from dossier.ports import Intent
from dossier.replies import instant
from dossier.vendors.docustack.answers import first_id, text

ALLOWANCE = timedelta(seconds=120)
"""How far the vendor's clock may be behind ours."""
PAGE_SIZES = frozenset({10, 20, 25, 50, 100, 200, 250, 500, 1000})
"""Usual sizes of a page: a list of exactly so many, without a total, may be the first page of a longer one."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A document in the account's list."""

    document_id: str
    name: str | None = None
    ref: str | None = None
    created_at: datetime | None = None
    job_id: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What was listed; ``whole`` unless an answer shows that there are, or may be, more pages.

    ``next_offset`` is where the next page begins, where the answer itself tells its paging.
    """

    documents: tuple[Listed, ...]
    whole: bool
    next_offset: int | None = None

    def __add__(self, page: Listing) -> Listing:
        """Return this listing with one more page; a document that moved to the next page counts once."""
        known = {each.document_id for each in self.documents}
        fresh = tuple(each for each in page.documents if each.document_id not in known)
        return Listing(self.documents + fresh, page.whole, page.next_offset)

    def proves_absence(self, since: datetime) -> bool:
        """Whether a document created at or after ``since`` would certainly be in it."""
        if self.whole:
            return True
        times = [each.created_at for each in self.documents if each.created_at is not None]
        newest_first = len(times) == len(self.documents) and times == sorted(times, reverse=True)
        return newest_first and bool(times) and times[-1] < since


def read_listing(answer: object) -> Listing | None:
    """Read the list's answer; None if no list is in it."""
    envelope: Mapping[str, Any] = answer if isinstance(answer, dict) else {}
    entries = entries_of(answer)
    if entries is None:
        return None
    documents = tuple(listed for entry in entries if isinstance(entry, dict) and (listed := _listed(entry)))
    return Listing(documents, *_paging(envelope, len(entries)))


def entries_of(answer: object) -> Sequence[Any] | None:
    """Return what a list's answer lists, as it is; None if no list is in it."""
    return answer if isinstance(answer, list) else _list_in(answer if isinstance(answer, dict) else {})


def candidates(listing: Listing, document: Document, intent: Intent, taken: frozenset[str]) -> list[Listed]:
    """Return the listed documents that may be ``document``'s upload: its name, not known before, not too old."""
    oldest = intent.at - ALLOWANCE
    return [
        each
        for each in listing.documents
        if _same(each, document)
        and each.document_id not in intent.known
        and each.document_id not in taken
        and (each.created_at is None or each.created_at >= oldest)
    ]


def _same(listed: Listed, document: Document) -> bool:
    if listed.ref is not None and document.ref is not None:
        return listed.ref == document.ref
    return listed.name is not None and _normal(listed.name) == _normal(document.name)


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _list_in(envelope: Mapping[str, Any]) -> Sequence[Any] | None:
    for key in ("documents", "items", "data", "results"):
        value = envelope.get(key)
        if isinstance(value, list):
            return value
        if isinstance(value, dict) and (inner := _list_in(value)) is not None:
            return inner
    return None


def _listed(entry: Mapping[str, Any]) -> Listed | None:
    document_id = first_id(entry, "document_id", "id")
    if document_id is None:
        return None
    return Listed(
        document_id=document_id,
        name=text(entry.get("name")) or text(entry.get("filename")),
        ref=text(entry.get("ref")),
        created_at=instant(entry.get("created_at")) or instant(entry.get("uploaded_at")),
        job_id=first_id(entry, "job_id"),
    )


def _paging(envelope: Mapping[str, Any], count: int) -> tuple[bool, int | None]:
    """Return whether the list ends with this page, and else where the next one begins, if that is told."""
    page = envelope.get("pagination")
    told = {**envelope, **page} if isinstance(page, dict) else envelope
    offset = _count(told.get("offset"))
    end = (offset or 0) + count
    total = next((found for key in ("total", "total_count") if (found := _count(told.get(key))) is not None), None)
    more = told.get("has_more") or any(told.get(key) for key in ("next", "next_cursor", "next_page"))
    whole = not more and (total <= end if total is not None else count not in PAGE_SIZES)
    return whole, end if offset is not None and count and not whole else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
