"""Accept: check a submission, claim its reference, copy its documents. Each document is read once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import unquote

from pydantic import BaseModel

from dossier import media, traces
from dossier.errors import InvalidCaseError, ReferenceConflictError
from dossier.layout import document_key
from dossier.models import (
    AS_S3,
    BY_REFERENCE,
    CaseId,
    CaseInput,
    CaseStatus,
    Document,
    DocumentInput,
    Phase,
    iso,
    now,
)
from dossier.names import proper_names, safe_name, unique_names
from dossier.ports import CaseView, Vendor
from dossier.questions import BUDGET
from dossier.settings import Connection
from dossier.steps.context import Context
from dossier.steps.differences import differences
from dossier.steps.identity import check_reserved, fingerprint
from dossier.steps.refresh import REFRESH, RESUMED, begin, pending
from dossier.steps.sources import check_sources, together
from dossier.stores.cases import CaseRecord, Cases, Doubt, Erasure, conflict
from dossier.stores.intents import Intents
from dossier.stores.objects import Facts, Objects, split_uri

MIB = 1 << 20


class Accepted(BaseModel):
    """The step's output for the state machine: the next state, and the upload requests."""

    connection: str
    reference: str
    outcome: Literal["new", "collect", "duplicate", "refresh", "publish"]
    execution_arn: str
    opens: bool
    phases: list[Phase]
    uploads: list[int]
    at_once: int
    deadline: float
    asks: bool = False
    """An operator has to allow the case first, because it is over the connection's budget."""
    collection: str = ""
    """The collection's name within the case; empty for the first."""


@dataclass(frozen=True, slots=True)
class Takes:
    """What an account accepts: what its vendor is known to accept, extended by the connection's settings."""

    vendor: str
    types: frozenset[str]
    most: int
    """Largest document, in bytes."""

    @classmethod
    def by(cls, vendor: Vendor, connection: Connection) -> Takes:
        """Return what a connection's account accepts."""
        most = vendor.max_document_bytes if connection.max_document_bytes is None else connection.max_document_bytes
        return cls(vendor.name, vendor.media_types | {*connection.media_types}, most)

    @property
    def labels(self) -> list[str]:
        """The types' names for people."""
        return [each if media.label(each) == "unknown" else media.label(each) for each in self.types]


@dataclass(frozen=True, slots=True)
class Examined:
    """A case whose documents were read, with the facts of each (None for one that the vendor reads itself)."""

    view: CaseView
    sources: tuple[tuple[str, str | None], ...]
    facts: tuple[Facts | None, ...]
    fingerprint: str
    """Fingerprint: identifies the case by connection, reference and content."""


def accept(data: object, execution_arn: str, *, context: Context) -> Accepted:
    """Validate a case, claim its reference for this execution, and copy its documents to the case's folder.

    Raises:
        InvalidCaseError: says what to fix; ``ReferenceConflictError`` if the reference has other content.

    """
    cases, objects, intents = context.cases, context.objects, context.intents
    case = CaseInput.parse(data)
    if case.drop and case.drop.refused:
        raise InvalidCaseError(case.drop.refused)
    cases.require_open()
    if case.refresh is None:
        check_reserved(case)
    else:
        return _refreshed(case, case.refresh, execution_arn, context=context)
    _check_erased(case, cases)
    connection = context.connection_of(case.connection)
    vendor = context.vendor_of(connection)
    found = examine(case, objects=objects, connection=connection, vendor=vendor)
    view, documents = found.view, found.view.documents
    at = now()
    warnings = [f"{each.name} {each.warning}" for each in documents if each.warning]
    record = CaseRecord(
        connection=case.connection,
        reference=case.reference,
        vendor=vendor.name,
        status=CaseStatus.ACCEPTED,
        fingerprint=found.fingerprint,
        execution_arn=execution_arn,
        options=case.options,
        case_id=case.case_id,
        note="; ".join(warnings)[:1000] or None,
        appends_to=case.case_id,
        deadline=case.deadline,
        priority=case.priority,
        trace=traces.current(),
        submitted_at=at,
        updated_at=at,
    )
    collects = [*case.document_ids] or ([case.case_id] if case.case_id and not documents else [])
    _check_owners(case, intents)
    _check_former(case, connection, cases)
    try:
        other = cases.claim(record, resume=case.resume)
    except ReferenceConflictError:
        known = cases.find(case.id)
        if known is None:
            raise
        raise conflict(known.record, differences(case, view.documents, known)) from None
    if other is None:
        sent = documents if case.documents else ()
        kept = []
        for document, given, (_, uri), fact in zip(sent, case.documents, found.sources, found.facts, strict=True):
            version_id = None
            if uri and fact:
                version_id = objects.copy(uri, document.key, fact, document.content_type, version_id=given.version_id)
            kept.append(document.model_copy(update={"version_id": version_id}))
        cases.put_documents(case.id, kept if case.documents else documents, fresh=True)
        # Deliveries about these ids wake this case.
        if case.case_id:
            intents.relate(case.id, case.case_id)
        if collects:
            intents.own(case.id, collects, collected=True)
    outcome = "duplicate" if other else "new" if case.documents else "collect"
    collection = ""
    if case.resume:  # a redriven case that has a revision collects the next one
        record = cases.get(case.id).record
        collection = f"{RESUMED}{record.attempt}" if record.revision else ""
    return Accepted(
        connection=case.connection,
        reference=case.reference,
        outcome=outcome,
        execution_arn=other.execution_arn if other else execution_arn,
        opens=vendor.opens_case and case.case_id is None,
        phases=list(vendor.phases if documents else vendor.phases[-1:]),
        uploads=list(range(len(vendor.batches(view)))) if case.documents else [],
        at_once=vendor.uploads_at_once(view),
        deadline=case.deadline or connection.poll.deadline,
        asks=other is None and bool(case.documents) and _over_budget(case, documents, connection, cases),
        collection=collection,
    )


def _refreshed(case: CaseInput, number: int, execution_arn: str, *, context: Context) -> Accepted:
    """Begin to collect an ended case again, or continue an interrupted publication."""
    found = begin(case.id, number, execution_arn, context=context)
    broken_off = found is not None and pending(found)
    return Accepted(
        connection=case.connection,
        reference=case.reference,
        outcome="duplicate" if found is None else "publish" if broken_off else "refresh",
        execution_arn=execution_arn,
        opens=False,
        phases=[],
        uploads=[],
        at_once=1,
        deadline=0,
        collection=f"{REFRESH}{number}",
    )


def examine(case: CaseInput, *, objects: Objects, connection: Connection, vendor: Vendor) -> Examined:
    """Read every document of a case once, check it, and compute the fingerprint that names its execution.

    Raises:
        InvalidCaseError: names every wrong document and what to fix.

    """
    check_sources(case, bucket=objects.bucket, connection=connection)
    most = Takes.by(vendor, connection).most
    facts: list[Facts | None] = []
    problems: list[str] = []
    for given, (_, uri) in zip(case.documents, sources_of(case, connection, vendor), strict=True):
        try:
            facts.append(objects.inspect(uri, version_id=given.version_id, most=most) if uri else None)
        except InvalidCaseError as error:
            facts.append(None)
            problems.append(str(error))
    return judge(case, facts, connection=connection, vendor=vendor, problems=problems)


def sources_of(case: CaseInput, connection: Connection, vendor: Vendor) -> tuple[tuple[str, str | None], ...]:
    """Return each document's name, and the URI that Dossier reads it from (None if the vendor reads it itself).

    Raises:
        InvalidCaseError: names every document whose URI neither Dossier nor the vendor can read.

    """
    schemes: tuple[str, ...] = ()  # of URIs that the vendor reads itself
    if vendor.accepts_references:
        schemes = ("https://", "http://") if connection.allow_insecure else ("https://",)
        schemes += ("s3://",) if case.options.get(BY_REFERENCE) == AS_S3 else ()
    found, problems = [], []
    for each in case.documents:
        try:
            found.append(_source(each, schemes, vendor))
        except InvalidCaseError as error:
            problems.append(str(error))
    if problems:
        raise InvalidCaseError(together(problems))
    return tuple(found)


def judge(
    case: CaseInput,
    facts: Sequence[Facts | None],
    *,
    connection: Connection,
    vendor: Vendor,
    problems: Sequence[str] = (),
) -> Examined:
    """Check a case's documents against what its vendor accepts, before anything is sent.

    Args:
        case: the input.
        facts: the facts of each document; None for one that the vendor reads itself, or that could not be read.
        connection: the case's.
        vendor: the connection's.
        problems: the errors of documents that could not be read.

    Raises:
        InvalidCaseError: names every wrong document and what to fix.

    """
    sources = sources_of(case, connection, vendor)
    names = [name for name, _ in sources]
    documents = _documents(case, names, facts, Takes.by(vendor, connection), problems)
    view = CaseView(connection, case.reference, case.options, case.case_id, documents)
    if case.document_ids:
        documents = _collected(case, vendor)
        view = replace(view, documents=documents)
        names = [each.name for each in documents]
    vendor.validate(view)
    contents = [(safe_name(name), each.sha256 or each.ref or "") for name, each in zip(names, documents, strict=True)]
    return Examined(view, sources, tuple(facts), fingerprint(case, contents))


def _source(document: DocumentInput, references: tuple[str, ...], vendor: Vendor) -> tuple[str, str | None]:
    """Return a document's name, and the URI that Dossier reads it from (None if the vendor reads it itself)."""
    if document.uri.startswith(("https://", "http://")) and not document.uri.startswith(references or ("s3://",)):
        why = "reads no URLs" if not references else "only reads URLs that begin with https://"
        raise InvalidCaseError(
            f"document {document.uri.partition('?')[0]}: {vendor.name} {why}: download the file and submit it, or put "
            "it into S3 and write s3://bucket/key"
        )
    if not document.uri.startswith("s3://") and document.uri.startswith(references):
        return document.name or name_of(document.uri), None
    _, key = split_uri(document.uri)
    return document.name or PurePosixPath(key).name, None if document.uri.startswith(references) else document.uri


def _over_budget(case: CaseInput, documents: Sequence[Document], connection: Connection, cases: Cases) -> bool:
    """Count a case, or store the question to an operator if it is over the connection's budget."""
    budget = connection.budget
    if not budget.limited or (case.resume and BUDGET in cases.get(case.id).named):
        return False
    pages = pages_of(documents)
    over = cases.budgets.spend(case.id, pages, budget)
    if over:
        cost = f", about ${pages * budget.price_per_page:,.2f} at the vendor" if budget.price_per_page else ""
        has = f"{pages:,} {'page' if pages == 1 else 'pages'}{cost}"
        text = f"the case is over the budget of connection {case.connection}: {'; '.join(over)}. It has {has}. "
        cases.wonder(case.id, Doubt(what=BUDGET, text=f"{text}Nothing was sent to the vendor"))
    return bool(over)


def pages_of(documents: Iterable[Document]) -> int:
    """Return the pages of documents; a document whose number is unknown counts as one."""
    return sum(1 if each.pages is None else each.pages for each in documents)


def _check_erased(case: CaseInput, cases: Cases) -> None:
    """Reject the reference of a case that was erased, so that nothing is paid for twice by mistake.

    Raises:
        InvalidCaseError: says how to submit it all the same.

    """
    erased = None if case.resume else cases.erased(case.id)
    if erased is None:
        return
    if problem := still_erased(case, erased):
        raise InvalidCaseError(problem)
    cases.again(case.id)


def still_erased(case: CaseInput, erased: Erasure) -> str | None:
    """Return why a case whose reference was erased is rejected; None if it is submitted again on purpose."""
    name = f"case {case.reference} of connection {case.connection}"
    if erased.done_at is None:
        return f"{name} is being erased since {iso(erased.at)}: finish that first (dossier forget {case.reference})"
    if case.again:
        return None
    return (
        f"{name} was erased at {iso(erased.done_at)}, and the vendor would bill it again: use another reference, or "
        'submit it with --again ("again": true in the input)'
    )


def _check_former(case: CaseInput, connection: Connection, cases: Cases) -> None:
    """Reject a reference that has a case at a connection that this one was renamed from, or split off.

    Raises:
        ReferenceConflictError: names the connection and what to do.

    """
    for name in () if case.resume else connection.formerly:
        there = cases.find_record(CaseId(name, case.reference))
        if there is not None and not there.refused:
            raise ReferenceConflictError(
                f"reference {case.reference} was submitted to connection {name} before ({iso(there.submitted_at)}, "
                f"{there.status.value}), whose cases {case.connection} has taken over: see `dossier status "
                f"{case.reference} --connection {name}`, or use another reference to send it again"
            )


def _check_owners(case: CaseInput, intents: Intents) -> None:
    """Reject documents at the vendor that belong to another case.

    Raises:
        InvalidCaseError: names the document and the case.

    """
    for each in case.document_ids:
        owner = intents.owner(case.connection, each)
        if owner not in {None, case.reference}:
            raise InvalidCaseError(f"document {each} belongs to case {owner}: see that case")


def _collected(case: CaseInput, vendor: Vendor) -> tuple[Document, ...]:
    """Return documents that are already at the vendor and are only collected."""
    if "results" in vendor.phases:
        raise InvalidCaseError(f"{vendor.name} has cases: give a case_id to collect, not document_ids")
    ids = enumerate(dict.fromkeys(case.document_ids))
    return tuple(Document(index=index, name=id_, key="", document_id=id_) for index, id_ in ids)


def name_of(url: str) -> str:
    """Return a document's name from its URL: the last part of the path, percent-decoded, or else the host."""
    host, _, path = url.partition("?")[0].partition("#")[0].partition("://")[2].partition("/")
    return unquote(PurePosixPath(path).name) or host.rpartition("@")[2] or "document"


def _documents(
    case: CaseInput, names: Sequence[str], facts: Sequence[Facts | None], takes: Takes, problems: Sequence[str]
) -> tuple[Document, ...]:
    """Return the documents with the caller's names, made unique, and keys of safe characters.

    Raises:
        InvalidCaseError: names every wrong document, after the given ``problems``.

    """
    documents, wrong = [], [*problems]
    for index, (name, stored, fact) in enumerate(zip(proper_names(names), unique_names(names), facts, strict=True)):
        if fact is None:
            documents.append(Document(index=index, name=name, key="", ref=case.documents[index].uri))
            continue
        kind = media.sniff(fact.head, name, fact.tail)
        wrong += _problem(name, kind, fact, takes)
        documents.append(
            Document(
                index=index,
                name=name,
                key=document_key(case.id, stored),
                size=fact.size,
                sha256=fact.sha256,
                content_type=kind,
                pages=fact.pages,
                warning=media.trouble(kind, fact.head, fact.tail),
            )
        )
    if wrong:
        raise InvalidCaseError(together(wrong), problems=wrong)
    return tuple(documents)


def _problem(name: str, kind: str, fact: Facts, takes: Takes) -> list[str]:
    """Return what is wrong with a document, or an empty list."""
    if fact.size == 0:
        return [f"document {name} is empty: submit a file with content"]
    if fact.size > takes.most:
        has, most = mebibytes(fact.size), mebibytes(takes.most)
        if has == most:
            has, most = f"{fact.size:,} bytes", f"{takes.most:,} bytes ({most})"
        return [
            f"document {name} has {has}: {takes.vendor} takes at most {most} a file (if your account takes more, "
            "set max_document_bytes of the connection)"
        ]
    if kind not in takes.types:
        known = ", ".join(sorted(takes.labels))
        return [f"document {name} is {media.described(kind, fact.head)}: {takes.vendor} reads {known}"]
    return []


def mebibytes(number: int) -> str:
    """Return a size for people: in MiB, as limits are given, or in bytes if it is small."""
    if number < MIB // 10:
        return f"{number:,} bytes"
    return f"{number / MIB:.1f}".removesuffix(".0") + " MiB"
