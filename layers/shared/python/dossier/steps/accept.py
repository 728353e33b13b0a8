"""Accept: is this a case, and is it new? Reads every document once, claims the reference, keeps the documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from pydantic import BaseModel

from dossier import media
from dossier.errors import InvalidCaseError
from dossier.models import (
    AS_S3,
    BY_REFERENCE,
    CaseInput,
    CaseStatus,
    Document,
    DocumentInput,
    Phase,
    fingerprint,
    iso,
    now,
)
from dossier.names import safe_name, unique_names
from dossier.ports import CaseView, Vendor
from dossier.settings import Connection
from dossier.steps.sources import check_sources
from dossier.stores.cases import CaseRecord, Cases
from dossier.stores.intents import Intents
from dossier.stores.objects import Facts, Objects, folder, split_uri


class Accepted(BaseModel):
    """What the state machine needs to know: where to go, and how many requests there will be."""

    connection: str
    reference: str
    outcome: Literal["new", "collect", "duplicate"]
    execution_arn: str
    opens: bool
    phases: list[Phase]
    uploads: list[int]
    at_once: int
    deadline: float


@dataclass(frozen=True, slots=True)
class Examined:
    """A case whose documents were read: ``facts`` tell of each (None for one that the vendor reads itself)."""

    view: CaseView
    sources: tuple[tuple[str, str | None], ...]
    facts: tuple[Facts | None, ...]
    fingerprint: str
    """What makes it that case: connection, reference and content."""


def accept(
    data: object,
    execution_arn: str,
    *,
    cases: Cases,
    objects: Objects,
    intents: Intents,
    connection_of: Callable[[str], Connection],
    vendor_of: Callable[[str], Vendor],
) -> Accepted:
    """Validate a case, claim its reference for this execution, and keep its documents under the case's folder.

    Raises:
        InvalidCaseError: says what to mend; ``ReferenceConflictError`` for a reference with other content.

    """
    case = CaseInput.parse(data)
    if case.drop and case.drop.refused:
        raise InvalidCaseError(case.drop.refused)
    if since := cases.draining():
        raise InvalidCaseError(
            f"this deployment is drained since {since}, and nothing new starts: submit it again once that is over "
            "(`dossier drain --stop`), or to another stage"
        )
    connection = connection_of(case.connection)
    vendor = vendor_of(connection.vendor)
    found = examine(case, objects=objects, connection=connection, vendor=vendor)
    view, documents = found.view, found.view.documents
    at = iso(now())
    record = CaseRecord(
        connection=case.connection,
        reference=case.reference,
        vendor=vendor.name,
        status=CaseStatus.ACCEPTED,
        fingerprint=found.fingerprint,
        execution_arn=execution_arn,
        options=case.options,
        case_id=case.case_id,
        appends_to=case.case_id,
        submitted_at=at,
        updated_at=at,
    )
    other = cases.claim(record, resume=case.resume)
    if other is None:
        for document, given, (_, uri), fact in zip(documents, case.documents, found.sources, found.facts, strict=True):
            if uri and fact:
                objects.copy(uri, document.key, fact, document.content_type, version_id=given.version_id)
        cases.put_documents(case.connection, case.reference, documents, fresh=True)
        if not documents and case.case_id:
            # deliveries about it wake this case
            intents.own(case.connection, case.reference, [case.case_id], collected=True)
    outcome = "duplicate" if other else "new" if documents else "collect"
    return Accepted(
        connection=case.connection,
        reference=case.reference,
        outcome=outcome,
        execution_arn=other.execution_arn if other else execution_arn,
        opens=vendor.opens_case and case.case_id is None,
        phases=list(vendor.phases if documents else vendor.phases[-1:]),
        uploads=list(range(len(vendor.batches(view)))) if documents else [],
        at_once=vendor.uploads_at_once(view),
        deadline=connection.poll.deadline,
    )


def examine(case: CaseInput, *, objects: Objects, connection: Connection, vendor: Vendor) -> Examined:
    """Read every document of a case once, check it, and compute the fingerprint that names its execution.

    Raises:
        InvalidCaseError: says what to mend.

    """
    check_sources(case, bucket=objects.bucket, connection=connection)
    schemes = _references(case, connection, vendor)
    sources = tuple(_source(each, schemes) for each in case.documents)
    names = [safe_name(name) for name, _ in sources]
    facts = tuple(
        objects.inspect(uri, version_id=given.version_id, most=vendor.max_document_bytes) if uri else None
        for given, (_, uri) in zip(case.documents, sources, strict=True)
    )
    documents = _documents(case, names, facts, vendor)
    view = CaseView(connection, case.reference, case.options, case.case_id, documents)
    vendor.validate(view)
    contents = [(each.name, each.sha256 or each.ref or "") for each in documents]
    return Examined(view, sources, facts, fingerprint(case, contents))


def _references(case: CaseInput, connection: Connection, vendor: Vendor) -> tuple[str, ...]:
    """Return how a document's URI begins that the vendor reads itself."""
    if not vendor.accepts_references:
        return ()
    web = ("https://", "http://") if connection.allow_insecure else ("https://",)
    return (*web, "s3://") if case.options.get(BY_REFERENCE) == AS_S3 else web


def _source(document: DocumentInput, references: tuple[str, ...]) -> tuple[str, str | None]:
    """Return a document's name, and the URI that Dossier reads it from (None if the vendor reads it itself)."""
    if document.uri.startswith("s3://") or not document.uri.startswith(references):
        _, key = split_uri(document.uri)
    else:
        key = document.uri.partition("?")[0]
    name = document.name or PurePosixPath(key).name
    return name, None if document.uri.startswith(references) else document.uri


def _documents(
    case: CaseInput, names: Sequence[str], facts: Sequence[Facts | None], vendor: Vendor
) -> tuple[Document, ...]:
    prefix = f"{folder(case.connection, case.reference)}documents/"
    documents = []
    for index, (name, stored, fact) in enumerate(zip(names, unique_names(names), facts, strict=True)):
        if fact is None:
            documents.append(Document(index=index, name=name, key="", ref=case.documents[index].uri))
            continue
        kind = media.sniff(fact.head, name)
        _check(name, kind, fact.size, vendor)
        documents.append(
            Document(
                index=index,
                name=name,
                key=prefix + stored,
                size=fact.size,
                sha256=fact.sha256,
                content_type=kind,
            )
        )
    return tuple(documents)


def _check(name: str, kind: str, size: int, vendor: Vendor) -> None:
    if size == 0:
        raise InvalidCaseError(f"document {name} is empty: submit a file with content")
    if size > vendor.max_document_bytes:
        limit = vendor.max_document_bytes / 1_000_000
        raise InvalidCaseError(f"document {name} has {size:,} bytes: {vendor.name} takes at most {limit:g} MB a file")
    if kind not in vendor.media_types:
        known = ", ".join(sorted(media.label(each) for each in vendor.media_types))
        what = f"a {media.label(kind)} file" if kind != media.UNKNOWN else "of an unknown type"
        raise InvalidCaseError(f"document {name} is {what}: {vendor.name} reads {known}")
