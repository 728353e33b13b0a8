"""Look up an upload whose answer was lost in the account's list of documents.

The guide does not document the list (``GET /api/v1/documents`` appears only in its authentication example). A bare
array and an envelope are both accepted, and only the list's own times say how it is ordered (``dossier.lost``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dossier.alike import Pairs, pair
from dossier.errors import Choice
from dossier.lost import Candidate, Entry, Fit, choice, fit, is_new, labels
from dossier.models import Document
from dossier.ports import Intent, Seen
from dossier.stamps import Stamp
from dossier.values import as_text
from dossier.vendors.docustack.answers import first_id

ROUND = (10, 25)
"""Usual page sizes: a list without a total whose length is a multiple of one may have more pages."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A document in the account's list; ``label`` is its id, or a stand-in for an unusable one."""

    label: str
    name: str | None = None
    ref: str | None = None
    created: Stamp | None = None
    job_id: str | None = None

    @property
    def entry(self) -> Entry:
        """The document as an entry for ``dossier.lost``."""
        return Entry(self.label, self.created)

    @property
    def names(self) -> tuple[str, ...]:
        """Its name, and the last part of its reference's path."""
        refs = (self.ref.partition("?")[0].rstrip("/").rpartition("/")[2],) if self.ref else ()
        return tuple(each for each in (self.name, *refs) if each)


@dataclass(frozen=True, slots=True)
class Listing:
    """The documents that were listed; ``whole`` is False if there are, or may be, more pages.

    ``next_offset`` is where the next page begins, if the answer contains its paging.
    """

    documents: tuple[Listed, ...]
    whole: bool
    next_offset: int | None = None

    def __add__(self, page: Listing) -> Listing:
        """Return this listing with one more page; a document on both pages is counted once."""
        known = {each.label for each in self.documents}
        fresh = tuple(each for each in page.documents if each.label not in known)
        return Listing(self.documents + fresh, page.whole, page.next_offset)

    @property
    def entries(self) -> list[Entry]:
        """The documents as entries for ``dossier.lost``."""
        return [each.entry for each in self.documents]

    @property
    def seen(self) -> Seen:
        """The listing as the state of the list before an upload."""
        stamps = [each.created for each in self.documents]
        dated = None not in stamps and len({each.zoned for each in stamps if each}) == 1
        return Seen(tuple(each.label for each in self.documents), whole=self.whole, dated=dated)


def read_listing(answer: object) -> Listing | None:
    """Read the list's answer; None if it contains no list."""
    envelope: Mapping[str, Any] = answer if isinstance(answer, dict) else {}
    entries = entries_of(answer)
    if entries is None:
        return None
    objects = [each for each in entries if isinstance(each, dict)]
    names = labels(each.get("document_id") or each.get("id") for each in objects)
    documents = tuple(_listed(each, label) for each, label in zip(objects, names, strict=True))
    return Listing(documents, *_paging(envelope, len(entries)))


def entries_of(answer: object) -> Sequence[Any] | None:
    """Return the list in an answer, undecoded; None if it contains no list."""
    return answer if isinstance(answer, list) else _list_in(answer if isinstance(answer, dict) else {})


def candidate(listed: Listed, document: Document, intent: Intent, entries: Sequence[Entry]) -> Candidate:
    """Return a suspect as a candidate for a document's upload, by its reference or the name that fits best."""
    new = is_new(listed.entry, entries, intent)
    if listed.ref is not None and listed.ref == document.ref:
        return Candidate(listed.label, listed.names, Fit.SAME, new=new, created=listed.created)
    fits = [fit([document.name], [each]) for each in listed.names]
    likest = min(fits, key=list(Fit).index, default=Fit.EMPTY)
    return Candidate(listed.label, listed.names, likest, new=new, created=listed.created)


def job_choice(job_id: str, listed: Sequence[Listed]) -> Choice:
    """Return the choice that an operator sees for a batch's job."""
    mine = [each for each in listed if each.job_id == job_id]
    return choice(job_id, [name for each in mine for name in each.names[:1]], mine[0].created)


def pair_all(documents: Sequence[Document], listed: Sequence[Listed]) -> Pairs:
    """Match the documents of a batch with the listed ones: by reference, then by name."""
    by_ref: dict[int, int] = {}
    for place, document in enumerate(documents):
        refs = (
            other
            for other, each in enumerate(listed)
            if document.ref is not None and each.ref == document.ref and other not in by_ref.values()
        )
        if (other := next(refs, None)) is not None:
            by_ref[place] = other
    left = [place for place in range(len(documents)) if place not in by_ref]
    free = [other for other in range(len(listed)) if other not in by_ref.values()]
    names = [listed[other].names for other in free]
    pairs = pair([documents[place].name for place in left], [each[0] if each else None for each in names])
    found = {left[place]: free[other] for place, other in pairs.found.items()}
    return Pairs(by_ref | found, pairs.exact, frozenset(free[other] for other in pairs.unsure))


def _list_in(envelope: Mapping[str, Any]) -> Sequence[Any] | None:
    for key in ("documents", "items", "data", "results"):
        value = envelope.get(key)
        if isinstance(value, list):
            return value
        if isinstance(value, dict) and (inner := _list_in(value)) is not None:
            return inner
    return None


def _listed(entry: Mapping[str, Any], label: str) -> Listed:
    return Listed(
        label=label,
        name=as_text(entry.get("name")) or as_text(entry.get("filename")),
        ref=as_text(entry.get("ref")),
        created=Stamp.of(entry.get("created_at")) or Stamp.of(entry.get("uploaded_at")),
        job_id=first_id(entry, "job_id"),
    )


def _paging(envelope: Mapping[str, Any], count: int) -> tuple[bool, int | None]:
    """Return whether the list ends with this page, and the offset of the next page if the answer gives one."""
    page = envelope.get("pagination")
    paging = {**envelope, **page} if isinstance(page, dict) else envelope
    offset = _count(paging.get("offset"))
    end = (offset or 0) + count
    total = next((found for key in ("total", "total_count") if (found := _count(paging.get(key))) is not None), None)
    more = paging.get("has_more") or any(paging.get(key) for key in ("next", "next_cursor", "next_page"))
    cut = bool(count) and any(count % each == 0 for each in ROUND)
    whole = not more and (total <= end if total is not None else not cut)
    return whole, end if offset is not None and count and not whole else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
