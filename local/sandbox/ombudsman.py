"""The Ombudsman partner API, by its integration guide.

A document goes ``pending_processing`` → ``processing`` → ``processing_complete``, or ``processing_failed`` if its name
contains ``unreadable``. A case with failed documents is still assessed, but if all of them failed, the assessment ends
in ``error``. There are no webhooks, no list and no look-up by the caller's reference.
"""

import datetime
import uuid
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.sandbox import generate, shapes, strictly
from local.sandbox.calls import INVALID, Call, Dialect, Refused, routes
from local.sandbox.context import Context
from local.sandbox.state import Record, Table

KINDS = ("pdf", "docx", "png", "jpeg", "tiff", "gif")
PENDING_SHARE = 0.3
NOT_A_UUID = "Validation failed (uuid is expected)"
NOT_READY = "Cannot process case: documents are still being processed"
FOUND_BY_AI = (
    "title",
    "short_description",
    "summary",
    "case_insights",
    "event_date",
    "event_date_start",
    "event_date_end",
    "claimant_support_score",
    "defendant_support_score",
)


class Document(BaseModel):
    """A piece of evidence."""

    id: str
    name: str
    sha256: str
    size: int
    created: float
    ready: float
    external_id: str | None = None
    listed_at: float = 0.0

    def status(self, now: float) -> str:
        """Return the document's status."""
        if now >= self.ready:
            return "processing_failed" if generate.fails(self.name) else "processing_complete"
        pending = now < self.created + PENDING_SHARE * (self.ready - self.created)
        return "pending_processing" if pending else "processing"


class Case(Record):
    """A case; its first ``assessed_count`` documents are ``assessed`` at that time, None before ``/process``."""

    external_id: str
    case_type: str | None
    title: str | None
    created: float
    updated: float
    assessed: float | None = None
    assessed_count: int = 0
    documents: list[Document] = Field(default_factory=list)

    def status(self, now: float) -> str:
        """Return the case's status."""
        if self.assessed is None:
            return "created"
        if now < self.assessed:
            return "processing"
        return "processed" if self.readable() else "error"

    def readable(self) -> list[Document]:
        """Return the documents that the assessment uses."""
        return [each for each in self.documents[: self.assessed_count] if not generate.fails(each.name)]


def refuse(refused: Refused) -> Response:
    """Return a rejection in the guide's form; its framework lists the errors of fields."""
    status = refused.status or 400
    body: dict[str, Any] = {"statusCode": status, "message": refused.message}
    if refused.status == INVALID:
        body = {"statusCode": status, "message": [refused.message], "error": HTTPStatus(status).phrase}
    return JSONResponse(body, status_code=status, headers=refused.headers)


DIALECT = Dialect(
    vendor="ombudsman",
    key_headers=("x-api-key",),
    wrong_key="Unauthorized",
    too_many="ThrottlerException: Too Many Requests",
    refuse=refuse,
)


class Ombudsman:
    """The cases of the partner account and the operations on them."""

    def __init__(self, context: Context) -> None:
        self._context, self._account = context, context.accounts.ombudsman
        self._cases = Table(context.store, "ombudsman/case", Case)
        context.on_reset.append(self._cases.clear)

    def routes(self) -> list[Route]:
        """Return the API's routes."""
        cases = "/api/partner/v1/cases"
        operations = [
            ("POST", cases, "create", self.create),
            ("GET", f"{cases}/{{case_id}}", "case", self.case),
            ("POST", f"{cases}/{{case_id}}/evidence", "upload", self.upload),
            ("GET", f"{cases}/{{case_id}}/evidence/{{document_id}}", "evidence", self.evidence),
            ("POST", f"{cases}/{{case_id}}/process", "process", self.process),
        ]
        return routes(self._context, DIALECT, operations)

    async def create(self, call: Call) -> Response:
        """Create a case."""
        strictly.query(call.request)
        body = strictly.text_fields(
            await strictly.json_object(call.request),
            required=("external_case_id", "ombudsman"),
            optional=("case_type_id", "case_title", "case_initiated_date"),
        )
        case_type = body.get("case_type_id")
        _check_date(body.get("case_initiated_date"))
        if case_type is not None:
            _check_uuid(case_type)
        if body["ombudsman"] != self._account.tenant:
            raise Refused(400, "Unknown ombudsman")
        if case_type is not None and case_type.lower() not in self._account.case_types:
            raise Refused(400, "Unknown case_type_id")
        now = self._context.now()
        case = Case(
            id=str(uuid.uuid4()),
            external_id=body["external_case_id"],
            case_type=case_type and case_type.lower(),
            title=body.get("case_title"),
            created=now,
            updated=now,
        )
        self._cases.save(case)
        call.effect("case_created", case_id=case.id, external_case_id=case.external_id)
        return JSONResponse(self._shown(case), status_code=201)

    async def case(self, call: Call) -> Response:
        """Return a case with its chronology and evidence."""
        strictly.query(call.request)
        return JSONResponse(self._shown(self._case(call)))

    async def upload(self, call: Call) -> Response:
        """Accept one document as evidence and begin to process it."""
        strictly.query(call.request)
        case = self._case(call)
        form = await strictly.form(call.request, required=(), optional=("external_document_id",), files="file")
        now = self._context.now()
        if case.status(now) == "processing":
            raise Refused(400, "Cannot add evidence: case is being processed")
        if len(form.files["file"]) != 1:
            raise Refused(400, "Unexpected field - file")
        sent = form.files["file"][0]
        if sent.kind not in KINDS:
            raise Refused(400, "Validation failed (expected type is PDF, DOCX or an image)")
        document = Document(
            id=str(uuid.uuid4()),
            name=self._context.manners.name("ombudsman", sent.name),
            sha256=self._context.store.put(sent.content),
            size=len(sent.content),
            created=now,
            ready=self._context.ready_at(),
            external_id=form.fields.get("external_document_id"),
            listed_at=self._context.manners.listed_at("ombudsman"),
        )
        case.documents.append(document)
        case.updated = now
        self._cases.save(case)
        details = {"document_id": document.id, "name": sent.name, "sha256": document.sha256, "size": document.size}
        call.effect("document_uploaded", case_id=case.id, **details, ready=document.ready)
        return JSONResponse(self._shown_document(case, document), status_code=201)

    async def evidence(self, call: Call) -> Response:
        """Return one piece of evidence."""
        strictly.query(call.request)
        case = self._case(call)
        _check_uuid(call.parameter("document_id"))
        document = next((each for each in case.documents if each.id == call.parameter("document_id").lower()), None)
        if document is None:
            raise Refused(404, "Document not found")
        return JSONResponse(self._shown_document(case, document))

    async def process(self, call: Call) -> Response:
        """Begin the assessment of a case, if all its documents are processed."""
        strictly.query(call.request)
        case, now = self._case(call), self._context.now()
        if not case.documents:
            raise Refused(400, "Cannot process case: no documents")
        if any(now < document.ready for document in case.documents):
            raise Refused(400, NOT_READY)
        if case.status(now) == "processing" or len(case.documents) == case.assessed_count:
            raise Refused(400, f"Cannot process case: case is {case.status(now)}")
        settings = self._context.keeper.now
        seconds = settings.seconds if settings.assessment_seconds is None else settings.assessment_seconds
        case.assessed, case.assessed_count, case.updated = now + self._context.drawn(seconds), len(case.documents), now
        self._cases.save(case)
        call.effect("assessment_started", case_id=case.id, ready=case.assessed)
        return JSONResponse({"case_id": case.id, "status": "processing"})

    def _case(self, call: Call) -> Case:
        _check_uuid(call.parameter("case_id"))
        case = self._cases.get(call.parameter("case_id").lower())
        if case is None:
            raise Refused(404, "Case not found")
        return case

    def _shown(self, case: Case) -> dict[str, Any]:
        now, who, shape = self._context.now(), _parties(case), self._context.keeper.now.markdown_shape
        processed = case.status(now) == "processed"
        ended = case.assessed if case.assessed is not None and now >= case.assessed else None
        return {
            "case_id": case.id,
            "external_case_id": case.external_id,
            "ombudsman": self._account.tenant,
            "case_type_id": case.case_type,
            "case_type_name": self._account.case_types.get(case.case_type or ""),
            "status": case.status(now),
            "case_title": f"{who['claimant']} v {who['respondent']}: disputed charge" if processed else case.title,
            "case_summary": _summary(case, who) if processed else None,
            "case_specific_fields": shapes.markdown(generate.case_specific_fields(who), shape) if processed else None,
            "processing_started_at": None,
            "processing_completed_at": self._context.manners.millis("ombudsman", ended) if ended is not None else None,
            "created_at": self._context.manners.millis("ombudsman", case.created),
            "updated_at": self._context.manners.millis("ombudsman", max(case.updated, ended or 0)),
            "chronology": _chronology(case, who) if processed else [],
            "evidence": [self._shown_document(case, each) for each in case.documents if each.listed_at <= now],
        }

    def _shown_document(self, case: Case, document: Document) -> dict[str, Any]:
        status = document.status(self._context.now())
        found: dict[str, Any] = dict.fromkeys(FOUND_BY_AI)
        if status == "processing_complete":
            found = generate.evidence(document.sha256, document.name, document.size, _parties(case))
        return {
            "document_id": document.id,
            "case_id": case.id,
            "external_document_id": document.external_id,
            "status": status,
            "uploaded_at": self._context.manners.millis("ombudsman", document.created),
            **found,
        }


def _parties(case: Case) -> dict[str, str]:
    return generate.parties(case.documents[0].sha256 if case.documents else case.external_id)


def _summary(case: Case, who: dict[str, str]) -> str:
    return (
        f"This case concerns a dispute between {who['claimant']} and {who['respondent']} over £{who['amount']}, "
        f"assessed by {len(case.readable())} of {len(case.documents)} documents."
    )


def _chronology(case: Case, who: dict[str, str]) -> list[dict[str, Any]]:
    """Return one event for each document, oldest first."""
    events = []
    for document in case.readable():
        title, description = generate.event(document.sha256, who)
        found = generate.evidence(document.sha256, document.name, document.size, who)
        events.append(
            {
                "timeline_id": str(uuid.uuid5(uuid.UUID(case.id), document.id)),
                "title": title,
                "description": description,
                "timeline_date": found["event_date"],
                "documents": [{"document_id": document.id, "external_document_id": document.external_id}],
                "is_ai_generated": True,
            }
        )
    return sorted(events, key=lambda each: str(each["timeline_date"]))


def _check_uuid(text: str) -> None:
    if not strictly.UUID.fullmatch(text):
        raise Refused(400, NOT_A_UUID)


def _check_date(text: str | None) -> None:
    try:
        datetime.datetime.fromisoformat(text or "2025-01-15")
    except ValueError as error:
        message = "case_initiated_date must be a valid ISO 8601 date string"
        raise Refused(INVALID, message, field="case_initiated_date") from error
