"""Docsumo's case API, by its integration guide.

An upload triggers a case's workflow; otherwise documents stay ``new``. A processed case has two generated artifacts
beside the uploaded files: ``extraction.json`` and ``summary.pdf``. A file whose name contains ``unreadable`` ends as
``erred``. When an operator moves a case to another stage, it gets a new PDF named after the stage.

Webhooks: one when a workflow ends, one when an operator (not the API's PATCH) moves a case.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.sandbox import clock, generate, samples, shapes, storage, strictly
from local.sandbox.calls import INVALID, Call, Dialect, Refused, routes
from local.sandbox.context import Context
from local.sandbox.state import Record, Table
from local.sandbox.strictly import SentFile

EXTRACTION = "extraction.json"
KINDS = ("pdf", "png", "jpeg", "tiff")
SORTS = ("created_date.asc", "created_date.desc", "modified_date.asc", "modified_date.desc")


class Document(BaseModel):
    """An uploaded file; ``ready`` is the end of its workflow, None if none was triggered."""

    id: str
    filename: str
    sha256: str
    size: int
    ready: float | None = None

    def status(self, now: float) -> str:
        """Return the document's status."""
        if self.ready is None or now < self.ready:
            return "new"
        return "erred" if generate.fails(self.filename) else "processed"


class File(BaseModel):
    """A file of a case, uploaded or generated; ``place`` is its path in storage; ``made_up`` bytes are not stored.

    When the workflow runs again, its files supersede the earlier generated ones.
    """

    id: str
    filename: str
    created: float
    place: str
    sha256: str
    size: int
    document: str = ""
    made_up: bool = False
    superseded: bool = False
    listed_at: float = 0.0


class Case(Record):
    """A case; ``stage`` is the one that somebody set, empty while it follows its workflow."""

    casetype: str
    name: str
    created: float
    modified: float
    assigned_to: str | None = None
    stage: str = ""
    documents: list[Document] = Field(default_factory=list)
    files: list[File] = Field(default_factory=list)
    generated_for: int = 0
    listed_at: float = 0.0
    edits: dict[str, str] = Field(default_factory=dict)
    """Fields that an operator has corrected, in every document that has them."""

    def triggered(self) -> list[float]:
        """Return the time at which each triggered document is ready."""
        return [document.ready for document in self.documents if document.ready is not None]

    def status(self, now: float) -> str:
        """Return ``new`` while documents wait for a trigger, ``processing``, or ``processed``."""
        if any(now < ready for ready in self.triggered()):
            return "processing"
        return "processed" if self.documents and len(self.triggered()) == len(self.documents) else "new"

    def stage_id(self, now: float) -> str:
        """Return the stage that somebody set, or that the workflow has reached."""
        stages = {"new": "stage__intake", "processing": "stage__extraction", "processed": "stage__review"}
        return self.stage or stages[self.status(now)]

    def modified_date(self, now: float) -> float:
        """Return the time of the last change, by somebody or by the workflow."""
        return max([self.modified, *(ready for ready in self.triggered() if ready <= now)])


def refuse(refused: Refused) -> Response:
    """Return a rejection in the form of Docsumo's public API."""
    status = refused.status or 400
    code = HTTPStatus(status).phrase.upper().replace(" ", "_")
    body = {"status": "fail", "status_code": status, "message": refused.message, "error_code": code}
    return JSONResponse(body, status_code=status, headers=refused.headers)


DIALECT = Dialect(
    vendor="docsumo",
    key_headers=("x-api-key", "apikey"),
    wrong_key="Invalid or missing API key",
    too_many="Too many requests",
    refuse=refuse,
)


class Docsumo:
    """The cases of the Docsumo account and the operations on them."""

    def __init__(self, context: Context) -> None:
        self._context, self._account = context, context.accounts.docsumo
        self._cases = Table(context.store, "docsumo/case", Case)
        context.on_reset.append(self._cases.clear)
        context.webhooks.speaks("docsumo", self.words)

    def routes(self) -> list[Route]:
        """Return the API's routes."""
        files = "/api/v1/chatot/cases/{case_id}"
        agents = "/api/v1/external/agents/{casetype_id}"
        operations = [
            ("POST", "/api/v1/upload-service/agents/casetype/case", "upload", self.upload),
            ("GET", f"{agents}/cases", "list", self.list_cases),
            ("PATCH", f"{agents}/case/{{case_id}}", "update", self.update),
            ("GET", f"{files}/files", "files", self.search),
            ("GET", f"{files}/chat/artifacts/{{file_id}}/url", "artifact_url", self.artifact_url),
        ]
        return routes(self._context, DIALECT, operations)

    async def upload(self, call: Call) -> Response:
        """Create a case with the uploaded files, or append them to one, and trigger the workflow unless disabled."""
        strictly.query(call.request)
        form = await strictly.form(
            call.request, required=("casetype_id",), optional=("case_id", "trigger_workflow"), files="files"
        )
        casetype, trigger = form.fields["casetype_id"], form.fields.get("trigger_workflow", "true")
        if trigger not in ("true", "false"):
            raise Refused(INVALID, "trigger_workflow must be true or false", field="trigger_workflow")
        self._check_casetype(casetype)
        for sent in form.files["files"]:
            if sent.kind not in KINDS:
                raise Refused(INVALID, f"Unsupported file type: {sent.name}", field="files")
        appends = "case_id" in form.fields
        case = (
            self._case(form.fields["case_id"], casetype)
            if appends
            else self._create(call, casetype, form.files["files"])
        )
        documents = [self._add(call, case, sent) for sent in form.files["files"]]
        case.modified = self._context.now()
        if trigger == "true":
            self._trigger(call, case)
        self._cases.save(case)
        return JSONResponse(
            {
                "status": "success",
                "status_code": 200,
                "message": "File successfully appended to case" if appends else "File upload successful",
                "data": {
                    "case_id": case.id,
                    "casetype_id": casetype,
                    "documents": [
                        {"doc_id": document.id, "filename": document.filename, "status": "uploaded"}
                        for document in documents
                    ],
                },
            }
        )

    def _create(self, call: Call, casetype: str, files: list[SentFile]) -> Case:
        now = self._context.now()
        case = Case(
            id=shapes.identifier(f"case__{uuid.uuid4().hex}", self._context.keeper.now.id_shape),
            casetype=casetype,
            name=files[0].name,
            created=now,
            modified=now,
            listed_at=self._context.manners.listed_at("docsumo"),
        )
        call.effect("case_created", case_id=case.id)
        return case

    def _add(self, call: Call, case: Case, sent: SentFile) -> Document:
        sha256 = self._context.store.put(sent.content)
        name, listed_at = self._context.manners.name("docsumo", sent.name), 0.0
        if case.documents:  # a new case is listed late as a whole
            listed_at = self._context.manners.listed_at("docsumo")
        id_ = shapes.identifier(f"doc__{uuid.uuid4().hex[:8]}", self._context.keeper.now.id_shape)
        document = Document(id=id_, filename=name, sha256=sha256, size=len(sent.content))
        case.documents.append(document)
        self._add_file(case, name, sha256, len(sent.content), document=document.id, listed_at=listed_at)
        call.effect(
            "document_uploaded",
            case_id=case.id,
            document_id=document.id,
            name=sent.name,
            sha256=sha256,
            size=len(sent.content),
        )
        return document

    def _add_file(self, case: Case, filename: str, sha256: str, size: int, **more: Any) -> File:
        token = uuid.uuid4().hex
        place = f"/storage/{self._account.bucket}/{case.id}/artifacts//{token[:8]}_{quote(filename, safe='')}"
        created = self._context.now()
        file = File(id=token[8:], filename=filename, created=created, place=place, sha256=sha256, size=size, **more)
        case.files.append(file)
        return file

    def _trigger(self, call: Call, case: Case) -> None:
        """Run the workflow for every document that was not triggered yet."""
        ready = self._context.ready_at()
        for document in case.documents:
            if document.ready is None:
                document.ready = ready
        case.stage = ""
        self._context.webhooks.announce("docsumo", "case_processed", case.id, due=ready)
        call.effect("workflow_triggered", case_id=case.id, ready=ready)

    async def list_cases(self, call: Call) -> Response:
        """List one page of the cases of a case type, filtered and sorted."""
        self._check_casetype(call.parameter("casetype_id"))
        lists, shape = ("stage_id", "assigned_to"), self._context.keeper.now.array_shape
        names = tuple(f"{each}[]" for each in lists) if shape == "brackets" else lists
        given = strictly.query(call.request, single=("limit", "offset", "sort_by"), repeated=names)
        asked = shapes.listed(given, lists, shape)
        limit = strictly.whole_number(asked, "limit", default=20, least=0, most=100)
        offset = strictly.whole_number(asked, "offset", default=0, least=0, most=10**9)
        sort = asked.get("sort_by", ["created_date.desc"])[0]
        if sort not in SORTS:
            raise Refused(INVALID, f"sort_by must be one of {', '.join(SORTS)}", field="sort_by", where="query")
        now = self._context.now()
        found = [
            case
            for case in self._cases
            if case.casetype == call.parameter("casetype_id")
            and case.listed_at <= now
            and ("stage_id" not in asked or case.stage_id(now) in asked["stage_id"])
            and ("assigned_to" not in asked or case.assigned_to in asked["assigned_to"])
        ]
        by_created = sort.startswith("created_date")
        found.sort(
            key=lambda case: case.created if by_created else case.modified_date(now), reverse=sort.endswith(".desc")
        )
        page = [self._listed(case, now) for case in found[offset : offset + limit]]
        return JSONResponse(
            {"status": "success", "status_code": 200, "data": {"cases": page, "total_count": len(found)}}
        )

    async def update(self, call: Call) -> Response:
        """Change a case's stage, assignee or name."""
        strictly.query(call.request)
        case = self._case(call.parameter("case_id"), call.parameter("casetype_id"))
        body = await strictly.json_object(call.request)
        changes = strictly.text_fields(body, required=(), optional=("stage_id", "assigned_to", "case_name"))
        if not changes:
            raise Refused(INVALID, "Nothing to update")
        self._check_stage(changes.get("stage_id", self._account.stages[0]))
        case.stage = changes.get("stage_id", case.stage)
        case.assigned_to = changes.get("assigned_to", case.assigned_to)
        case.name = changes.get("case_name", case.name)
        case.modified = self._context.now()
        self._cases.save(case)
        call.effect("case_updated", case_id=case.id, **changes)
        now = self._context.now()
        listed = self._listed(case, now)
        names = ("case_id", "case_name", "stage_id", "assigned_to", "modified_date")
        return JSONResponse(
            {
                "status": "success",
                "status_code": 200,
                "message": "Case updated successfully",
                "data": {"casetype_id": case.casetype, **{name: listed[name] for name in names}},
            }
        )

    async def search(self, call: Call) -> Response:
        """Search the files of a case by a part of their name; the answer is a JSON array."""
        asked = strictly.query(call.request, single=("q",))
        case = self._case(call.parameter("case_id"))
        wanted = asked.get("q", [""])[0].lower()
        return JSONResponse(
            [
                {
                    "id": file.id,
                    "filename": file.filename,
                    "status": self._file_status(case, file),
                    "created_at": self._context.manners.seconds("docsumo", file.created),
                }
                for file in self._files(case)
                if wanted in file.filename.lower() and file.listed_at <= self._context.now()
            ]
        )

    async def artifact_url(self, call: Call) -> Response:
        """Sign a URL for a file of a case."""
        asked = strictly.query(call.request, single=("download",))
        if asked.get("download", ["true"])[0] not in ("true", "false"):
            raise Refused(INVALID, "download must be true or false", field="download", where="query")
        case = self._case(call.parameter("case_id"))
        file = next((file for file in self._files(case) if file.id == call.parameter("file_id")), None)
        if file is None:
            raise Refused(404, "File not found")
        expires = int(self._context.now() + self._context.keeper.now.url_seconds)
        host = str(call.request.base_url.replace(path="")).rstrip("/")
        url = f"{host}{file.place}?{storage.sign(self._account.webhook_secret, file.place, expires)}"
        call.effect("url_signed", case_id=case.id, file_id=file.id)
        return JSONResponse(
            {
                "status": "success",
                "status_code": 200,
                "message": "Download URL generated",
                "data": {"filename": file.filename, "url": url},
            }
        )

    def words(self, event: str, subject: str, forged: bool) -> dict[str, Any] | None:
        """Return the body of a webhook about a case; a forged one claims that the case is processed."""
        case, now = self._cases.get(subject), self._context.now()
        if case is None:
            raise LookupError(subject)
        if event == "case_processed" and not forged and case.status(now) == "processing":
            return None
        listed = self._listed(case, now)
        if forged:
            listed |= {"status": "processed", "stage_id": "stage__review"}
        documents = [
            {"doc_id": each.id, "filename": each.filename, "status": "processed" if forged else each.status(now)}
            for each in case.documents
        ]
        return {"event": event, "casetype_id": case.casetype, **listed, "documents": documents}

    def find_file(self, place: str) -> File | None:
        """Return the file at a place in storage, superseded or not."""
        case = next((found for part in place.split("/") if (found := self._cases.get(part)) is not None), None)
        return next((file for file in case.files if file.place == place), None) if case else None

    def all_files(self) -> list[tuple[str, File]]:
        """Return every current file with its case's id."""
        return [(case.id, file) for case in self._cases for file in self._files(case)]

    def move(self, case_id: str, stage_id: str, assigned_to: str | None = None) -> dict[str, Any]:
        """Move a case to a stage as an operator does: generate a new PDF, and send the webhook."""
        case = self._case(case_id)
        self._check_stage(stage_id)
        now = self._context.now()
        case.stage, case.modified = stage_id, now
        case.assigned_to = assigned_to or case.assigned_to
        content = samples.pdf([f"Case {case.id}", f"Moved to {stage_id} at {clock.seconds(now)}"])
        self._supersede(case, f"{stage_id}.pdf")
        self._add_file(case, f"{stage_id}.pdf", self._context.store.put(content), len(content))
        self._cases.save(case)
        self._context.webhooks.announce("docsumo", "case_stage_changed", case.id, due=now)
        return self._listed(case, now)

    def edit(
        self, case_id: str, *, assigned_to: str | None = None, name: str | None = None, fields: Mapping[str, str]
    ) -> dict[str, Any]:
        """Assign or rename a case, or correct its fields, as an operator does; the id of ``extraction.json`` stays."""
        case, now = self._case(case_id), self._context.now()
        case.assigned_to, case.name = assigned_to or case.assigned_to, name or case.name
        case.edits |= fields
        for file in self._files(case) if fields else ():
            if file.filename == EXTRACTION and not file.document:
                content = _extraction(case)
                file.sha256, file.size = self._context.store.put(content), len(content)
        return self._changed(case, now)

    def put_file(self, case_id: str, filename: str, content: bytes) -> File:
        """Add a file as an operator does; it replaces the case's file of that name, if there is one."""
        case, now = self._case(case_id), self._context.now()
        for old in self._files(case):
            old.superseded = old.superseded or old.filename == filename
        file = self._add_file(case, filename, self._context.store.put(content), len(content))
        self._changed(case, now)
        return file

    def remove_file(self, case_id: str, file_id: str) -> None:
        """Remove a file of a case as an operator does."""
        case, now = self._case(case_id), self._context.now()
        file = next((each for each in self._files(case) if each.id == file_id), None)
        if file is None:
            raise Refused(404, "File not found")
        file.superseded = True
        self._changed(case, now)

    def _changed(self, case: Case, now: float) -> dict[str, Any]:
        case.modified = now
        self._cases.save(case)
        self._context.webhooks.announce("docsumo", "case_updated", case.id, due=now)
        return self._listed(case, now)

    def add_made_up(self, case_id: str, filename: str, size: int) -> File:
        """Add an artifact of any size; its bytes are generated when it is served."""
        case = self._case(case_id)
        digest = hashlib.sha256()
        for chunk in storage.made_up(filename, size):
            digest.update(chunk)
        file = self._add_file(case, filename, digest.hexdigest(), size, made_up=True)
        self._cases.save(case)
        return file

    def _files(self, case: Case) -> list[File]:
        """Return a case's current files; generate the due ones first."""
        now = self._context.now()
        if case.status(now) == "processed" and case.generated_for != len(case.documents):
            self._generate(case, max(case.triggered()))
        return [file for file in case.files if not file.superseded]

    def _generate(self, case: Case, at: float) -> None:
        lines = [f"Case {case.id}", *(f"{each.filename}: {each.status(at)}" for each in case.documents)]
        made = {EXTRACTION: _extraction(case), "summary.pdf": samples.pdf(["Case summary", *lines])}
        for filename, content in made.items():
            self._supersede(case, filename)
            self._add_file(case, filename, self._context.store.put(content), len(content)).created = at
        case.generated_for = len(case.documents)
        self._cases.save(case)

    def _supersede(self, case: Case, filename: str) -> None:
        for file in case.files:
            file.superseded = file.superseded or (file.filename == filename and not file.document)

    def _listed(self, case: Case, now: float) -> dict[str, Any]:
        stamp = self._context.manners.seconds
        return {
            "case_id": case.id,
            "case_name": case.name,
            "stage_id": case.stage_id(now),
            "status": case.status(now),
            "created_date": stamp("docsumo", case.created),
            "modified_date": stamp("docsumo", case.modified_date(now)),
            "assigned_to": case.assigned_to,
        }

    def _file_status(self, case: Case, file: File) -> str:
        document = next((each for each in case.documents if each.id == file.document), None)
        return document.status(self._context.now()) if document else "processed"

    def _case(self, case_id: str, casetype: str | None = None) -> Case:
        self._check_casetype(casetype or self._account.casetypes[0])
        case = self._cases.get(case_id)
        if case is None or casetype not in (None, case.casetype):
            raise Refused(404, "Case not found")
        return case

    def _check_casetype(self, casetype: str) -> None:
        if casetype not in self._account.casetypes:
            raise Refused(404, "Case type not found")

    def _check_stage(self, stage_id: str) -> None:
        if stage_id not in self._account.stages:
            raise Refused(INVALID, f"Unknown stage {stage_id}", field="stage_id")


def _extraction(case: Case) -> bytes:
    documents = [_extracted(each, case.edits) for each in case.documents]
    return json.dumps({"case_id": case.id, "documents": documents}, indent=2).encode()


def _extracted(document: Document, edits: Mapping[str, str]) -> dict[str, Any]:
    failed = generate.fails(document.filename)
    return {
        "doc_id": document.id,
        "filename": document.filename,
        "sha256": document.sha256,
        "size": document.size,
        "status": "erred" if failed else "processed",
        "fields": {}
        if failed
        else {each["field_key"]: each["value"] for each in generate.invoice_fields(document.sha256)} | dict(edits),
    }
