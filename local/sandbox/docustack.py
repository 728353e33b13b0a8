"""DocuStack's documents API, by its developer documentation.

The guide names two statuses, ``completed`` and ``failed``; before, a document is ``queued`` and then ``processing``. A
file whose name contains ``unreadable`` fails, and so does a batch reference that cannot be read. There is no event for
a failed document: ``job_completed`` counts it, and ``job_failed`` means that all documents of a job failed.

The sandbox downloads a batch's http(s) references to this machine; it treats others (``s3://``, the internet) as read.
"""

import asyncio
import hashlib
import ipaddress
import secrets
from typing import Any
from urllib.parse import urlsplit

import httpx
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.sandbox import generate, shapes, strictly
from local.sandbox.calls import INVALID, Call, Dialect, Refused, routes
from local.sandbox.context import Context
from local.sandbox.state import Record, Table

KINDS = ("pdf", "jpeg", "tiff")
ID_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
QUEUED_SHARE = 0.2


class Document(Record):
    """A document; ``unread`` until a batch's reference is read, ``error`` if that failed."""

    job: str
    name: str
    schema_id: str
    organization: str
    sha256: str
    created: float
    ready: float
    ref: str = ""
    unread: bool = False
    error: str = ""
    listed_at: float = 0.0

    def progress(self, now: float) -> int:
        """Return the progress of the extraction in percent."""
        if self.done(now):
            return 40 if self.status(now) == "failed" else 100
        return min(99, int(100 * (now - self.created) / max(0.001, self.ready - self.created)))

    def done(self, now: float) -> bool:
        """Return whether the status is final."""
        return bool(self.error) or (now >= self.ready and not self.unread)

    def status(self, now: float) -> str:
        """Return the document's status."""
        if self.done(now):
            return "failed" if self.error or generate.fails(self.name) else "completed"
        return "queued" if now < self.created + QUEUED_SHARE * (self.ready - self.created) else "processing"

    def fields(self, now: float) -> list[dict[str, Any]]:
        """Return the extracted fields; none until the document is completed."""
        return generate.invoice_fields(self.sha256) if self.status(now) == "completed" else []


class Job(Record):
    """The documents of one request."""

    organization: str
    documents: list[str]


def refuse(refused: Refused) -> Response:
    """Return a rejection: the guide shows ``{"detail": "…"}``, and its framework lists errors of fields."""
    status = refused.status or 422
    detail: Any = refused.message
    if refused.status == INVALID and refused.field:
        detail = [{"type": "value_error", "loc": [refused.where, refused.field], "msg": refused.message}]
    return JSONResponse({"detail": detail}, status_code=status, headers=refused.headers)


DIALECT = Dialect(
    vendor="docustack",
    key_headers=("x-api-key",),
    wrong_key="Invalid or missing API key",
    too_many="Rate limit exceeded",
    refuse=refuse,
)


class DocuStack:
    """The documents of the DocuStack account and the operations on them."""

    def __init__(self, context: Context) -> None:
        self._context, self._account = context, context.accounts.docustack
        self._documents = Table(context.store, "docustack/document", Document)
        self._jobs = Table(context.store, "docustack/job", Job)
        self._reading: set[asyncio.Task[None]] = set()
        context.on_reset += [self._documents.clear, self._jobs.clear]
        context.on_start.append(self._read_on)
        context.webhooks.speaks("docustack", self.words)

    def routes(self) -> list[Route]:
        """Return the API's routes."""
        documents = "/api/v1/documents"
        operations = [
            ("POST", f"{documents}/upload", "upload", self.upload),
            ("POST", f"{documents}/batch", "batch", self.batch),
            ("GET", documents, "list", self.list_documents),
            ("GET", f"{documents}/{{document_id}}/status", "status", self.status),
            ("GET", f"{documents}/{{document_id}}", "document", self.document),
        ]
        return routes(self._context, DIALECT, operations)

    async def upload(self, call: Call) -> Response:
        """Accept one document and begin its extraction."""
        strictly.query(call.request)
        form = await strictly.form(call.request, required=("schema_id", "organization_id"), optional=(), files="file")
        if len(form.files["file"]) != 1:
            raise Refused(INVALID, "Exactly one file is expected", field="file")
        self._check_ids(form.fields)
        sent = form.files["file"][0]
        if sent.kind not in KINDS:
            raise Refused(415, "Unsupported file type: PDF, JPEG or TIFF is expected")
        sha256 = self._context.store.put(sent.content)
        job = self._job(form.fields["organization_id"])
        document = self._add(job, form.fields, name=sent.name, sha256=sha256)
        details = {"document_id": document.id, "job_id": job.id, "name": sent.name, "sha256": sha256}
        call.effect("document_uploaded", **details, size=len(sent.content), ready=document.ready)
        self._announce(job)
        return JSONResponse({"document_id": document.id, "job_id": job.id})

    async def batch(self, call: Call) -> Response:
        """Accept the valid references to documents as one job."""
        strictly.query(call.request)
        body = await strictly.json_object(call.request)
        listed = body.pop("documents", None)
        fields = strictly.text_fields(body, required=("schema_id", "organization_id"), optional=())
        self._check_ids(fields)
        if not isinstance(listed, list) or not listed:
            raise Refused(INVALID, "documents must be a non-empty list", field="documents")
        faults = [_fault(each) for each in listed]
        if all(faults):
            raise Refused(INVALID, "; ".join(fault for fault in faults if fault), field="documents")
        job = self._job(fields["organization_id"])
        taken = [self._take(call, job, fields, each) for each, fault in zip(listed, faults, strict=True) if not fault]
        self._announce(job)
        self._read_on()
        now = self._context.now()
        return JSONResponse(
            {
                "job_id": job.id,
                "documents": [
                    {"document_id": each.id, "ref": each.ref, "name": each.name, "status": each.status(now)}
                    for each in taken
                ],
                "errors": [
                    {"index": index, "document": each, "detail": fault}
                    for index, (each, fault) in enumerate(zip(listed, faults, strict=True))
                    if fault
                ],
            },
            status_code=202,
        )

    def _take(self, call: Call, job: Job, fields: dict[str, str], listed: dict[str, str]) -> Document:
        ref = listed["ref"]
        name = listed.get("name") or urlsplit(ref).path.rpartition("/")[2]
        sha256 = hashlib.sha256(ref.encode()).hexdigest()
        document = self._add(job, fields, name=name, sha256=sha256, ref=ref, unread=_is_here(ref))
        call.effect("document_uploaded", document_id=document.id, job_id=job.id, name=name, ref=ref.partition("?")[0])
        return document

    async def list_documents(self, call: Call) -> Response:
        """List the documents, newest first."""
        asked = strictly.query(call.request, single=("limit", "offset"))
        limit = strictly.whole_number(asked, "limit", default=100, least=1, most=100)
        offset = strictly.whole_number(asked, "offset", default=0, least=0, most=10**9)
        now, every = self._context.now(), list(self._documents)[::-1]
        newest = [each for each in every if each.listed_at <= now]
        page = [
            {
                "id": each.id,
                "name": each.name,
                "status": each.status(now),
                "job_id": each.job,
                "schema_id": each.schema_id,
                "organization_id": each.organization,
                "created_at": self._context.manners.seconds("docustack", each.created),
            }
            for each in newest[offset : offset + limit]
        ]
        return JSONResponse({"documents": page, "total": len(newest), "limit": limit, "offset": offset})

    async def status(self, call: Call) -> Response:
        """Return a document's status and progress."""
        strictly.query(call.request)
        document, now = self._document(call), self._context.now()
        return JSONResponse(
            {
                "document_id": document.id,
                "status": document.status(now),
                "extraction_progress": document.progress(now),
                "fields_extracted": len(document.fields(now)),
            }
        )

    async def document(self, call: Call) -> Response:
        """Return a document with its fields."""
        strictly.query(call.request)
        document, now = self._document(call), self._context.now()
        body = {"id": document.id, "name": document.name, "status": document.status(now)}
        error = {"error_message": document.error or "The text cannot be read"} if body["status"] == "failed" else {}
        shape = self._context.keeper.now.confidence_shape
        fields = [shapes.confidence(each, shape) for each in document.fields(now)]
        return JSONResponse({**body, **error, "field_values": fields})

    def words(self, event: str, subject: str, forged: bool) -> dict[str, Any] | None:
        """Return the body of a webhook about a document or a job; a forged one claims that it is completed."""
        now, document = self._context.now(), self._documents.get(subject)
        if document is not None and event == "document_completed":
            if not forged and document.status(now) != "completed":
                return None
            return {
                "event": event,
                "document_id": document.id,
                "job_id": document.job,
                "organization_id": document.organization,
                "schema_id": document.schema_id,
                "processed_at": self._context.manners.seconds("docustack", now if forged else document.ready),
            }
        job = self._jobs.get(subject)
        if job is None:
            raise LookupError(subject)
        return self._job_words(job, now, forged=forged)

    def _job_words(self, job: Job, now: float, *, forged: bool) -> dict[str, Any] | None:
        documents = [each for each in map(self._documents.get, job.documents) if each]
        if not forged and not all(each.done(now) for each in documents):
            return None
        failed = 0 if forged else sum(each.status(now) == "failed" for each in documents)
        head = {"job_id": job.id, "organization_id": job.organization, "document_count": len(documents)}
        if failed == len(documents):
            tail = {
                "failed_count": failed,
                "error_message": "No document could be read",
                "failed_at": self._context.manners.seconds("docustack", now),
            }
            return {"event": "job_failed", **head, **tail}
        counts = {"processed_count": len(documents) - failed, "failed_count": failed}
        return {
            "event": "job_completed",
            **head,
            **counts,
            "completed_at": self._context.manners.seconds("docustack", now),
        }

    def _job(self, organization: str) -> Job:
        id_ = shapes.identifier(_new_id(), self._context.keeper.now.id_shape)
        return Job(id=id_, organization=organization, documents=[])

    def _add(self, job: Job, fields: dict[str, str], *, name: str, sha256: str, **more: Any) -> Document:
        document = Document(
            id=shapes.identifier(_new_id(), self._context.keeper.now.id_shape),
            job=job.id,
            name=self._context.manners.name("docustack", name),
            schema_id=fields["schema_id"],
            organization=job.organization,
            sha256=sha256,
            created=self._context.now(),
            ready=self._context.ready_at(),
            listed_at=self._context.manners.listed_at("docustack"),
            **more,
        )
        job.documents.append(document.id)
        self._jobs.save(job)
        return self._documents.save(document)

    def _announce(self, job: Job) -> None:
        documents = [each for each in map(self._documents.get, job.documents) if each]
        for document in documents:
            if not generate.fails(document.name) and not document.unread:
                self._announce_document(document)
        self._context.webhooks.announce("docustack", "job_finished", job.id, due=max(each.ready for each in documents))

    def _announce_document(self, document: Document) -> None:
        self._context.webhooks.announce("docustack", "document_completed", document.id, due=document.ready)

    def _read_on(self) -> None:
        """Read the references that are still unread."""
        if self._reading:
            return
        task = asyncio.get_running_loop().create_task(self._read_all())
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _read_all(self) -> None:
        async with httpx.AsyncClient(timeout=10.0, trust_env=False) as client:
            while unread := [document for document in self._documents if document.unread]:
                for document in unread:
                    await self._read(client, document)
                    self._context.store.commit()

    async def _read(self, client: httpx.AsyncClient, document: Document) -> None:
        try:
            answer = await client.get(document.ref)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            document.error = f"The reference could not be read: {type(error).__name__}"
        else:
            if answer.status_code != 200:
                document.error = f"The reference could not be read: HTTP {answer.status_code}"
            elif strictly.kind_of(answer.content) not in KINDS:
                document.error = "Unsupported file type"
            else:
                document.sha256 = self._context.store.put(answer.content)
        document.unread = False
        self._documents.save(document)
        if not document.error and not generate.fails(document.name):
            self._announce_document(document)

    def _document(self, call: Call) -> Document:
        document = self._documents.get(call.parameter("document_id"))
        if document is None:
            raise Refused(404, "Document not found")
        return document

    def _check_ids(self, fields: dict[str, str]) -> None:
        if fields["schema_id"] not in self._account.schemas:
            raise Refused(404, "Schema not found")
        if fields["organization_id"] not in self._account.organizations:
            raise Refused(404, "Organization not found")


def _new_id() -> str:
    return "c" + "".join(secrets.choice(ID_ALPHABET) for _ in range(19))


def _fault(listed: object) -> str:
    """Return why a batch's document is invalid, or an empty text."""
    if not isinstance(listed, dict) or not set(listed) <= {"ref", "name"} or not isinstance(listed.get("ref"), str):
        return "ref is required, and only name beside it"
    if not isinstance(listed.get("name", ""), str):
        return "name must be a string"
    try:
        parts = urlsplit(listed["ref"])
    except ValueError:
        return "ref is not a URL"
    if parts.scheme not in ("https", "s3") and not (parts.scheme == "http" and _is_here(listed["ref"])):
        return "ref must be an https:// or s3:// URL"
    return "" if parts.hostname and parts.path.strip("/") else "ref names no document"


def _is_here(ref: str) -> bool:
    """Return whether a reference points at this machine."""
    host = (urlsplit(ref).hostname or "") if ref.startswith("http") else ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
