"""DocuStack's operations for ``dossier vendor``: list documents, show one with its fields, send a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from dossier.errors import InvalidCaseError
from dossier.http import Flow
from dossier.lost import usable
from dossier.models import Document
from dossier.operations import Answer, Argument, File, Operation, Table, Values
from dossier.replies import read, read_object
from dossier.vendors.docustack import lookup, requests
from dossier.vendors.docustack.answers import first_id, problem
from dossier.vendors.docustack.batch import read_batch
from dossier.vendors.docustack.results import read_fields
from dossier.vendors.docustack.settings import DocuStackConnection, schemes

PAGES = 20
"""Most pages of the list that are read to look up jobs."""
_DOCUMENTS = ("DOCUMENT ID", "NAME", "STATUS", "CREATED")
_FIELDS = ("KEY", "NAME", "VALUE", "CONFIDENCE", "INFERRED", "EDITED")
_BATCH = ("REFERENCE", "NAME", "DOCUMENT ID", "REJECTED")


def _documents(connection: DocuStackConnection, given: Values) -> Flow[Answer | File]:  # noqa: ARG001 — an operation's signature
    request = requests.listing()
    answer = read(request, (yield request))
    rows = tuple(
        (
            first_id(each, "document_id", "id"),
            each.get("name", each.get("filename")),
            each.get("status"),
            each.get("created_at", each.get("uploaded_at")),
        )
        for each in lookup.entries_of(answer) or ()
        if isinstance(each, dict)
    )
    listing = lookup.read_listing(answer)
    cut = listing is not None and not listing.whole
    facts = (("note", f"DocuStack lists {len(rows)} and may have more"),) if cut else ()
    return Answer(answer, facts, (Table(_DOCUMENTS, rows),))


def _document(connection: DocuStackConnection, given: Values) -> Flow[Answer | File]:  # noqa: ARG001 — see ``_documents``
    request = requests.document(given["document_id"])
    answer = read_object(request, (yield request))
    facts = (
        ("document id", first_id(answer, "id", "document_id")),
        ("name", answer.get("name")),
        ("status", answer.get("status")),
        ("error", problem(answer)),
    )
    rows = tuple(
        (each.key, each.name, each.value, each.confidence, _yes(each.inferred), _yes(each.edited))
        for each in read_fields(answer.get("field_values"))
    )
    return Answer(answer, facts, (Table(_FIELDS, rows),))


def _batch(connection: DocuStackConnection, given: Values) -> Flow[Answer | File]:
    documents = _referred(given["ref"], given["name"], schemes(connection))
    request = requests.batch(connection, documents)
    answer = read(request, (yield request))
    uploaded = read_batch(answer, documents)
    rows = tuple(
        (_bare(each.ref), each.name, uploaded.document_ids.get(each.index), uploaded.failures.get(each.index))
        for each in documents
    )
    ids = [uploaded.job_id] if uploaded.job_id else [*uploaded.document_ids.values()]
    then = f"dossier collect {connection.name} {' '.join(ids)}" if ids else None
    return Answer(answer, (("job id", uploaded.job_id), ("to collect it", then)), (Table(_BATCH, rows),))


def jobs(connection: DocuStackConnection) -> Flow[Mapping[str, list[str]]]:  # noqa: ARG001 — the list is the account's
    """Return the documents of each job (a batch is one job), as far as the account's list shows them."""
    found: dict[str, list[str]] = {}
    listing = lookup.Listing((), whole=False, next_offset=0)
    for _ in range(PAGES):
        request = requests.listing(listing.next_offset or 0)
        page = lookup.read_listing(read(request, (yield request)))
        if page is None:
            break
        before, listing = listing, listing + page
        if listing.next_offset is None or len(listing.documents) == len(before.documents):
            break
    for each in listing.documents:
        if each.job_id is not None and usable(each.label):
            found.setdefault(each.job_id, []).append(each.label)
    return found


def _referred(refs: Sequence[str], names: Sequence[str], known: tuple[str, ...]) -> list[Document]:
    if names and len(names) != len(refs):
        raise InvalidCaseError(f"{len(names)} names for {len(refs)} references: give one for each, or none")
    wrong = next((each for each in refs if not each.lower().startswith(known)), None)
    if wrong is not None:
        raise InvalidCaseError(f"{_bare(wrong)}: DocuStack reads references that begin with https:// or s3://")
    return [
        Document(index=index, name=name or PurePosixPath(_bare(ref)).name, key="", ref=ref)
        for index, (ref, name) in enumerate(zip(refs, names or [""] * len(refs), strict=True))
    ]


def _bare(ref: str | None) -> str:
    """Return a reference without its query, which may contain a signature."""
    try:
        return urlsplit(ref or "")._replace(query="", fragment="").geturl()
    except ValueError:
        return (ref or "").partition("?")[0]


def _yes(value: bool) -> str:
    return "yes" if value else ""


OPERATIONS = (
    Operation("documents", "the account's documents, as far as DocuStack lists them", _documents),
    Operation(
        "document", "a document with its field values", _document, (Argument("document_id", "the document's id"),)
    ),
    Operation(
        "batch",
        "submits documents by reference, outside of any case: each call is billed anew",
        _batch,
        (
            Argument("ref", "https:// or s3://, read by DocuStack itself", many=True),
            Argument("name", "a document's name, one for each reference", option=True, many=True),
        ),
    ),
)
