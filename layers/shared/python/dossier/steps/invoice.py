"""Invoice: every page that a vendor should bill for a month, with its case; and the account's unexplained entries."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from dossier.errors import DossierError
from dossier.models import Document, iso, now
from dossier.settings import Connection
from dossier.steps.compare import SETTLED, was_erased
from dossier.steps.context import Context
from dossier.stores.cases import Case
from dossier.stores.intents import Intents

LONGEST_STAY = timedelta(days=100)
"""How long before the month a case may have been submitted: questions wait, and a deadline may be 90 days away."""
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Line:
    """A document that the vendor has, or may have (``in_doubt``: the answer to its upload was lost)."""

    reference: str
    case_id: str | None
    document: str
    document_id: str | None
    pages: int | None
    """None if the number is unknown."""
    at: datetime
    """When it was uploaded, as far as is known: by the vendor's clock, or when the case was submitted."""
    status: str | None
    in_doubt: bool = False

    @property
    def billed(self) -> int:
        """Its pages; an unknown number counts as one."""
        return 1 if self.pages is None else self.pages


@dataclass(frozen=True, slots=True)
class Unexplained:
    """An entry of the account's list that no case here has created or collected."""

    id: str
    created: str


def lines(connection: str, begin: datetime, end: datetime, *, context: Context) -> list[Line]:
    """Return the documents that a connection's cases uploaded from ``begin`` to before ``end``, oldest first."""
    cases, intents = context.cases, context.intents
    records = list(cases.newest(connection, since=begin - LONGEST_STAY, until=end))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda each: cases.find(each.id), records)
        listed = [line for case in found if case is not None for line in _lines(case, intents)]
    return sorted((each for each in listed if begin <= each.at < end), key=lambda each: (each.at, each.reference))


def _lines(case: Case, intents: Intents) -> Iterator[Line]:
    record = case.record
    sent = [each for each in case.documents if each.key or each.ref]  # others were at the vendor before
    doubts = set(intents.open(record.id)) if not all(map(_is_sent, sent)) else set()
    for each in sent:
        if _is_sent(each) or doubts:
            yield Line(
                reference=record.reference,
                case_id=record.case_id,
                document=each.name,
                document_id=each.document_id or each.job_id,
                pages=each.pages,
                at=record.sent_at or record.submitted_at,
                status=each.status,
                in_doubt=not _is_sent(each),
            )


def _is_sent(document: Document) -> bool:
    return bool(document.document_id or document.job_id)


def unexplained(
    connection: Connection,
    begin: datetime,
    end: datetime,
    *,
    context: Context,
    at: datetime | None = None,
) -> tuple[list[Unexplained], str | None]:
    """Return the account's unexplained entries of that time; and why the list was not read, or None.

    ``at`` stands in for the clock in tests.
    """
    vendor, intents = context.vendor_of(connection), context.intents
    if not vendor.lists:
        return [], f"{vendor.name} has no list, so what nobody submitted here cannot be seen"
    try:
        flow = vendor.created(begin, intents.recorded(connection.name, begin - SETTLED))
        created = context.transport.run(flow, vendor=vendor)
    except DossierError as error:
        return [], f"the list of the account could not be read: {error}"
    until = min(end, (at or now()) - SETTLED)
    found = [
        Unexplained(name, iso(at))
        for name, at in created.items()
        if begin <= at < until
        and not intents.references(connection.name, name)
        and not was_erased(connection.name, name, context)
    ]
    return sorted(found, key=lambda each: (each.created, each.id)), None
