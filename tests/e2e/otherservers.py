"""The three vendors' APIs once more, from the guides alone, and unlike the sandbox wherever a guide leaves freedom.

Nothing here comes from ``local/sandbox`` or from Dossier. Every call is journalled; whatever a guide does not allow is
refused and kept in ``complaints``. How a vendor treats a document, or an Ombudsman case, goes by a word in its name
(``plan``); what an account answers instead of working goes by ``Account.faults``.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import itertools
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from tests.e2e.otherwire import KEY_HEADERS, Answer, Call, Dropped, Misuse, Sent, Server

BUCKET = "other bucket"
REPORT = "Résumé - отчёт.pdf"
"""Each Docsumo case that is processed has two generated files of this one name, with other bytes."""
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Plan:
    """How a vendor treats objects with the plan's word in their name.

    Attributes:
        seconds: until it is processed.
        fails: whether that ends badly.
        loses: how many answers to its create or upload are lost, the work done.
        before_answer: called with the new ids before the upload is answered.
        expires: whether the first link to each file of the case is refused.
        serves: how storage answers the first tries of each file (``ODD``), in order.
        listed_as: what becomes of the name of a file.

    """

    seconds: float = 0.3
    fails: bool = False
    loses: int = 0
    before_answer: Callable[[dict[str, str]], None] | None = None
    expires: bool = False
    serves: tuple[str, ...] = ()
    listed_as: Callable[[str], str] = str


@dataclass(frozen=True, slots=True)
class Fault:
    """An account's single answer to an operation in place of its work; ``seconds`` delays a working answer."""

    operation: str
    status: int | None = None
    headers: Callable[[], dict[str, str]] = dict
    seconds: float = 0.0


@dataclass(slots=True)
class Account:
    """An account at a vendor: its prefix, its key (``also`` is good beside it, if any) and what belongs to it.

    Its vendor's clock is ``off`` by that many seconds; with a ``zone`` its times are local ones, that far from UTC,
    without an offset.
    """

    name: str
    vendor: str
    prefix: str
    key: str
    also: str | None = None
    lists_evidence: bool = False
    off: float = 0.0
    zone: float | None = None
    faults: list[Fault] = field(default_factory=list)


@dataclass(slots=True)
class Paper:
    """A document at a vendor."""

    id: str
    sent: Sent
    plan: Plan
    job: str = ""
    began: float | None = field(default_factory=time.time)
    created: float = field(default_factory=time.time)

    @property
    def state(self) -> str:
        """``waiting``, ``early`` and ``late`` in its work, ``good`` or ``bad`` at its end."""
        if self.began is None:
            return "waiting"
        passed = time.time() - self.began
        if passed >= self.plan.seconds:
            return "bad" if self.plan.fails else "good"
        return "early" if passed < self.plan.seconds / 2 else "late"

    @property
    def ended(self) -> bool:
        """Whether it is processed."""
        return self.state in {"good", "bad"}


@dataclass(slots=True)
class Folder:
    """A case at Docsumo or the Ombudsman."""

    id: str
    reference: str
    papers: list[Paper] = field(default_factory=list)
    files: dict[str, Sent] = field(default_factory=dict)
    created: float = field(default_factory=time.time)
    triggered: float | None = None
    assessed_at: float | None = None
    title: str | None = None
    stage: str | None = None
    refused_links: set[str] = field(default_factory=set)
    served: dict[str, int] = field(default_factory=dict)
    """How often each file was asked for."""


OCTETS = {"Content-Type": "binary/octet-stream"}
ODD: dict[str, Callable[[bytes], Answer]] = {
    "whole": lambda body: (200, body, OCTETS),
    "part": lambda body: (206, body[:100], {**OCTETS, "Content-Range": f"bytes 0-99/{len(body)}"}),
    "nothing": lambda _: (204, b"", OCTETS),
    "gone": lambda _: (404, b"there is no such file", OCTETS),
    "400": lambda _: (400, b"<Error><Code>ExpiredToken</Code></Error>", {"Content-Type": "application/xml"}),
    "stored gzip": lambda body: (
        200,
        body,
        {**OCTETS, "x-goog-hash": f"md5={_md5(gzip.compress(body))}", "x-goog-stored-content-encoding": "gzip"},
    ),
}
"""Storage's possible answers to a good link."""


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


class OtherVendors:
    """Both servers: the APIs on one port, Docsumo's storage on another."""

    def __init__(self, *accounts: Account) -> None:
        self.accounts = {account.name: account for account in accounts}
        self.journal: list[Call] = []
        self.fetched: list[Call] = []
        self.complaints: list[str] = []
        self._plans: dict[str, Plan] = {}
        self._lost: dict[str, int] = {}
        self._lock = threading.RLock()
        self._api = Server(self._answer, self.journal)
        self._storage = Server(self._serve, self.fetched)
        self.storage_host = f"127.0.0.1:{self._storage.port}"
        vendors: dict[str, type[_Vendor]] = {"docustack": DocuStack, "docsumo": Docsumo, "ombudsman": Ombudsman}
        self.desks = {account.name: vendors[account.vendor](self, account) for account in accounts}

    def close(self) -> None:
        """Stop both servers."""
        self._api.close()
        self._storage.close()

    def url(self, account: str) -> str:
        """Return an account's base URL."""
        return f"http://127.0.0.1:{self._api.port}{self.accounts[account].prefix}"

    def plan(self, word: str, **how: Any) -> None:
        """Set how everything with this word in its name is treated."""
        with self._lock:
            self._plans[word] = replace(self._plans.get(word, Plan()), **how)

    def planned(self, name: str) -> Plan:
        """Return the plan of a name."""
        with self._lock:
            return next((plan for word, plan in self._plans.items() if word in name), Plan())

    def calls(self, account: str, operation: str | None = None) -> list[Call]:
        """Return the calls of an account, in order."""
        return [call for call in list(self.journal) if call.account == account and operation in {None, call.operation}]

    def effects(self, kind: str, account: str | None = None) -> list[dict[str, Any]]:
        """Return the effects of one kind (``case_created``, ``document_uploaded``…)."""
        return [
            effect
            for call in list(self.journal)
            for effect in call.effects
            if effect["kind"] == kind and account in {None, call.account}
        ]

    def uploads(self, word: str) -> list[dict[str, Any]]:
        """Return the documents that arrived with a word in their name."""
        return [each for each in self.effects("document_uploaded") if word in each["name"]]

    def loses(self, what: str, plan: Plan) -> bool:
        """Whether the answer about something is to be lost now."""
        with self._lock:
            self._lost[what] = self._lost.get(what, 0) + 1
            return self._lost[what] <= plan.loses

    def _answer(self, call: Call) -> Answer:
        account = next((each for each in self.accounts.values() if call.path.startswith(f"{each.prefix}/api/")), None)
        if account is None:
            return self._complain(call, "a path of nobody", 404)
        call.account, call.path = account.name, call.path.removeprefix(account.prefix)
        try:
            return self.desks[account.name].answer(call)
        except Misuse as misuse:
            return self._complain(call, str(misuse), 400)

    def _complain(self, call: Call, why: str, status: int) -> Answer:
        self.complaints.append(f"{call.method} {call.account}{call.path}: {why}")
        return status, {"message": why, "detail": why}, {}

    def _serve(self, call: Call) -> Answer:
        """Storage: serves exactly the signed path, and accepts no key."""
        if keys := [name for name in KEY_HEADERS if name in call.headers]:
            return self._complain(call, f"storage was sent {keys}", 400)
        for desk in self.desks.values():
            if (
                isinstance(desk, Docsumo)
                and (found := desk.links.get(call.path))
                and call.query[:1] == [("sig", found[2])]
            ):
                folder, file_id, _ = found
                if folder.papers[0].plan.expires and file_id not in folder.refused_links:
                    folder.refused_links.add(file_id)
                    return 403, b"<Error><Code>ExpiredToken</Code></Error>", {"Content-Type": "application/xml"}
                with self._lock:
                    tried = folder.served[file_id] = folder.served.get(file_id, 0) + 1
                odd = folder.papers[0].plan.serves[tried - 1 : tried]
                return ODD[odd[0] if odd else "whole"](folder.files[file_id].body)
        return self._complain(call, "no such signed link", 404)


class _Vendor(ABC):
    """The common parts of the three: the key, faults, lost answers."""

    key_header = "x-api-key"

    def __init__(self, others: OtherVendors, account: Account) -> None:
        self.others, self.account = others, account
        self.lock = threading.RLock()
        self.numbers = itertools.count(41)

    def answer(self, call: Call) -> Answer:
        """Answer a call."""
        call.operation = self.operation(call)
        if call.operation == "?":
            raise Misuse("no such endpoint")
        if call.headers.get(self.key_header, "") not in {self.account.key, self.account.also}:
            return 401, self.unauthorized(call.headers.get(self.key_header, "")), {}
        with self.lock:
            fault = next((each for each in self.account.faults if each.operation == call.operation), None)
            if fault:
                self.account.faults.remove(fault)
        if fault and fault.status:
            return fault.status, b"<html>not now</html>", {"Content-Type": "text/html", **fault.headers()}
        if fault:
            time.sleep(fault.seconds)
        with self.lock:
            status, body, headers = getattr(self, call.operation)(call)
        for effect in call.effects:
            plan = self.others.planned(effect["name"])
            if plan.before_answer:
                plan.before_answer(effect)
            if self.others.loses(f"{effect['kind']} {effect['name']}", plan):
                raise Dropped
        return status, body, headers

    @abstractmethod
    def operation(self, call: Call) -> str:
        """Return the name of the method that answers, ``?`` for none."""

    @abstractmethod
    def unauthorized(self, key: str) -> dict[str, Any]:
        """Return the body of a 401."""

    def time(self, moment: float) -> str:
        """Write a time as the account's vendor does."""
        if self.account.zone is None:
            return _iso(moment + self.account.off)
        return _iso(moment + self.account.off + self.account.zone).removesuffix("+00:00")

    def listed(self, paper: Paper) -> str:
        """Return the name under which a document is listed."""
        return paper.plan.listed_as(paper.sent.name)

    def paper(self, call: Call, sent: Sent, id_: str, **more: str) -> Paper:
        """Accept a document."""
        paper = Paper(id_, sent, self.others.planned(sent.name), job=more.get("job_id", ""))
        digest = {"name": sent.name, "sha256": sent.sha256, "document_id": id_}
        call.effects.append({"kind": "document_uploaded", **digest, **more})
        return paper


class DocuStack(_Vendor):
    """DocuStack: its list is under ``data.items``, and its pipeline has its own statuses."""

    def __init__(self, others: OtherVendors, account: Account) -> None:
        super().__init__(others, account)
        self.papers: dict[str, Paper] = {}

    def operation(self, call: Call) -> str:
        """Return the name of the method that answers."""
        match (call.method, *call.segments):
            case ("POST", "api", "v1", "documents", "upload"):
                return "upload"
            case ("GET", "api", "v1", "documents"):
                return "listing"
            case ("GET", "api", "v1", "documents", _, "status"):
                return "status"
            case ("GET", "api", "v1", "documents", _):
                return "document"
        return "?"

    def unauthorized(self, key: str) -> dict[str, Any]:
        """Return the body of a 401, by the guide."""
        return {"detail": "Invalid or missing API key"}

    def upload(self, call: Call) -> Answer:
        """Take one file."""
        call.parameters()
        call.form("schema_id", "organization_id", files="file")
        if len(call.files) != 1 or call.fields != {"schema_id": "sch_other", "organization_id": "org_other"}:
            raise Misuse(f"upload of {len(call.files)} files with {call.fields}")
        job = f"job={uuid.uuid4().hex[:12]}+"
        paper = self.paper(call, call.files[0], f"d:{uuid.uuid4().hex[:16]}", job_id=job)
        self.papers[paper.id] = paper
        return 202, {"document_id": paper.id, "job_id": job, "queue": {"position": 3}}, {}

    def listing(self, call: Call) -> Answer:
        """List the documents, newest first."""
        call.parameters()
        items = [
            {"id": each.id, "filename": self.listed(each), "uploaded_at": self.time(each.created), "job_id": each.job}
            for each in sorted(self.papers.values(), key=lambda each: -each.created)
        ]
        return 200, {"data": {"items": items}, "pagination": {"total": len(items), "offset": 0}}, {}

    def status(self, call: Call) -> Answer:
        """Return the state of a document."""
        paper = self._find(call)
        if paper is None:
            return 404, {"detail": "Not Found"}, {}
        body = {"document_id": paper.id, "status": self._word(paper), "extraction_progress": None, "eta_seconds": 1.5}
        return 200, body, {}

    def document(self, call: Call) -> Answer:
        """Give a document with its values."""
        paper = self._find(call)
        if paper is None:
            return 404, {"detail": "Not Found"}, {}
        body: dict[str, Any] = {"id": paper.id, "name": paper.sent.name, "status": self._word(paper), "pages": 1}
        if paper.state == "bad":
            return 200, {**body, "error_message": "page 1 cannot be read", "field_values": None}, {}
        values = [
            {"field_key": "total", "field_name": "Total", "value": "4,200.00", "confidence": 0.5, "was_inferred": True},
            {
                "field_key": "payee",
                "field_name": "Zahlungsempfänger",
                "value": None,
                "manually_edited": True,
                "box": [1],
            },
        ]
        return 200, {**body, "field_values": values if paper.ended else []}, {}

    def _find(self, call: Call) -> Paper | None:
        call.parameters()
        return self.papers.get(call.segments[3])

    def _word(self, paper: Paper) -> str:
        return {"early": "queued", "late": "ocr_running", "good": "completed", "bad": "failed"}[paper.state]


class Docsumo(_Vendor):
    """Docsumo: done by its stage, totals under ``pagination``, a file search that finds more than it was asked for."""

    def __init__(self, others: OtherVendors, account: Account) -> None:
        super().__init__(others, account)
        self.folders: dict[str, Folder] = {}
        self.links: dict[str, tuple[Folder, str, str]] = {}

    def operation(self, call: Call) -> str:
        """Return the name of the method that answers."""
        match (call.method, *call.segments):
            case ("POST", "api", "v1", "upload-service", "agents", "casetype", "case"):
                return "upload"
            case ("GET", "api", "v1", "external", "agents", "casetype__other", "cases"):
                return "listing"
            case ("PATCH", "api", "v1", "external", "agents", "casetype__other", "case", _):
                return "update"
            case ("GET", "api", "v1", "chatot", "cases", _, "files"):
                return "files"
            case ("GET", "api", "v1", "chatot", "cases", _, "chat", "artifacts", _, "url"):
                return "link"
        return "?"

    def unauthorized(self, key: str) -> dict[str, Any]:
        """Return the body of a 401, which repeats the key."""
        return {"status_code": 401, "message": f"No such key: {key}", "error_code": "UNAUTHORIZED"}

    def stranger(self, *names: str) -> str:
        """Make a case as somebody else does, processed and in its stage; return its id."""
        sent = [Sent("files", name, f"%PDF- {name}".encode()) for name in names]
        call = Call(time.monotonic(), self.account.name, "-", "", [], {}, b"", files=sent)
        call.fields = {"casetype_id": "casetype__other"}
        with self.lock:
            return self._take(call).id

    def upload(self, call: Call) -> Answer:
        """Create a case, or append to one."""
        call.parameters()
        call.form("casetype_id", optional=("trigger_workflow", "case_id"), files="files")
        if call.fields["casetype_id"] != "casetype__other":
            raise Misuse(f"case type {call.fields['casetype_id']}")
        if call.fields.get("trigger_workflow", "true") not in {"true", "false"}:
            raise Misuse(f"trigger_workflow {call.fields['trigger_workflow']}")
        if call.fields.get("case_id", "") not in {"", *self.folders}:
            return 404, {"status": "fail", "status_code": 404, "message": "case not found"}, {}
        folder = self._take(call)
        documents = [
            {"doc_id": each.id, "filename": self.listed(each), "status": "uploaded", "pages": None}
            for each in folder.papers[-len(call.files) :]
        ]
        data = {"case_id": folder.id, "casetype_id": "casetype__other", "documents": documents, "owner": {"id": 7}}
        return 201, {"status": "success", "status_code": 201, "message": "ok", "data": data}, {}

    def _take(self, call: Call) -> Folder:
        folder = self.folders.get(call.fields.get("case_id", ""))
        if folder is None:
            folder = Folder(f"case__{uuid.uuid4().hex}", call.files[0].name)
            self.folders[folder.id] = folder
        for sent in call.files:
            folder.files[f"f{next(self.numbers):024x}"] = sent
            paper = self.paper(call, sent, f"doc__{next(self.numbers):08x}", case_id=folder.id)
            folder.papers.append(replace(paper, began=None))
        if call.fields.get("trigger_workflow", "true") == "true":
            folder.triggered = time.time()
            for each in folder.papers:
                each.began = each.began or folder.triggered
        return folder

    def listing(self, call: Call) -> Answer:
        """List the case type's cases."""
        asked = call.parameters("limit", "offset", "sort_by")
        limit, offset = int(asked.get("limit", "20")), int(asked.get("offset", "0"))
        key, _, direction = asked.get("sort_by", "created_date.desc").partition(".")
        if not 0 <= limit <= 100 or key not in {"created_date", "modified_date"} or direction not in {"asc", "desc"}:
            raise Misuse(f"list of {asked}")
        cases = [self._entry(each) for each in self.folders.values()]
        cases.sort(key=lambda each: str(each[key]), reverse=direction == "desc")
        pagination = {"total": len(cases), "limit": limit, "offset": offset}
        data = {"cases": cases[offset : offset + limit], "pagination": pagination}
        return 200, {"status": "success", "status_code": 200, "data": data}, {}

    def _entry(self, folder: Folder) -> dict[str, Any]:
        ended = all(each.ended for each in folder.papers)
        spoilt = ended and all(each.state == "bad" for each in folder.papers)
        modified = [each.began + each.plan.seconds for each in folder.papers if each.began and each.ended]
        return {
            "case_id": folder.id,
            "case_name": folder.title or folder.reference,
            "stage_id": folder.stage or ("stage__filed" if ended and not spoilt else "stage__desk"),
            "status": "erred" if spoilt else "in_somebodys_hands",
            "created_date": self.time(folder.created),
            "modified_date": self.time(max([folder.created, *modified])),
            "assigned_to": None,
            "priority": 2,
        }

    def update(self, call: Call) -> Answer:
        """Set what may be set."""
        changes, folder = call.json(), self.folders.get(call.segments[-1])
        if not changes or not changes.keys() <= {"stage_id", "assigned_to", "case_name"}:
            raise Misuse(f"update of {changes}")
        if folder is None:
            return 404, {"status": "fail", "status_code": 404, "message": "case not found"}, {}
        folder.title = changes.get("case_name", folder.title)
        folder.stage = changes.get("stage_id", folder.stage)
        data = {"case_id": folder.id, **changes}
        return 200, {"status": "success", "status_code": 200, "message": "updated", "data": data}, {}

    def files(self, call: Call) -> Answer:
        """Find files: all of the case's, whatever ``q`` says."""
        if "q" not in call.parameters("q"):
            raise Misuse("a search without q")
        folder = self.folders.get(call.segments[4])
        if folder is None:
            return 404, {"status": "fail", "status_code": 404, "message": "case not found"}, {}
        if all(each.ended for each in folder.papers) and not any(each.name == REPORT for each in folder.files.values()):
            for number, name in enumerate((REPORT, "notes of the workflow.txt", REPORT)):
                body = f"%PDF- generated {number} for {folder.id}".encode() * 500
                folder.files[f"f{next(self.numbers):024x}"] = Sent("", name, body)
        words = {"waiting": "new", "early": "processing", "late": "processing", "good": "fine", "bad": "erred"}
        states = {each.sent.name: words[each.state] for each in folder.papers}
        names = {each.sent.name: self.listed(each) for each in folder.papers}
        found: list[dict[str, Any]] = [
            {
                "id": id_,
                "filename": names.get(each.name, each.name),
                "status": states.get(each.name, "fine"),
                "tags": [],
            }
            for id_, each in folder.files.items()
        ]
        return 200, found, {}

    def link(self, call: Call) -> Answer:
        """Sign a link for a file."""
        folder, file_id = self.folders.get(call.segments[4]), call.segments[7]
        if call.parameters("download") != {"download": "true"}:
            raise Misuse("a link that is no download")
        if folder is None or file_id not in folder.files:
            return 404, {"status": "fail", "status_code": 404, "message": "file not found"}, {}
        name, signature = folder.files[file_id].name, uuid.uuid4().hex
        path = f"/{quote(BUCKET)}/{folder.id}/artifacts//{signature[:8]}_{quote(name)}%2e/../{file_id}"
        self.links[path] = (folder, file_id, signature)
        data = {"filename": f"../../{name}", "url": f"http://{self.others.storage_host}{path}?sig={signature}&e=1%2F2"}
        return 200, {"status": "success", "status_code": 200, "message": "ok", "data": data}, {}


class Ombudsman(_Vendor):
    """The Ombudsman: POST answers 200 or 201, messages are lists, and a case lists its evidence once processed."""

    def __init__(self, others: OtherVendors, account: Account) -> None:
        super().__init__(others, account)
        self.folders: dict[str, Folder] = {}

    def operation(self, call: Call) -> str:
        """Return the name of the method that answers."""
        match (call.method, *call.segments):
            case ("POST", "api", "partner", "v1", "cases"):
                return "create"
            case ("POST", "api", "partner", "v1", "cases", _, "evidence"):
                return "upload"
            case ("GET", "api", "partner", "v1", "cases", _, "evidence", _):
                return "evidence"
            case ("POST", "api", "partner", "v1", "cases", _, "process"):
                return "process"
            case ("GET", "api", "partner", "v1", "cases", _):
                return "case"
        return "?"

    def unauthorized(self, key: str) -> dict[str, Any]:
        """Return the body of a 401, which repeats the key."""
        return {"statusCode": 401, "message": ["Unauthorized", key], "error": "Unauthorized"}

    def stranger(self, reference: str, *names: str) -> str:
        """Make a case as somebody else does, processed; return its id."""
        call = Call(time.monotonic(), self.account.name, "-", "", [], {}, b"")
        folder = Folder(str(uuid.uuid4()), reference, triggered=time.time() - 60)
        for name in names:
            paper = self.paper(call, Sent("file", name, name.encode()), str(uuid.uuid4()), case_id=folder.id)
            folder.papers.append(replace(paper, created=time.time() - 120, began=time.time() - 120))
        with self.lock:
            self.folders[folder.id] = folder
        return folder.id

    def create(self, call: Call) -> Answer:
        """Create a case."""
        given = call.json()
        known = {"external_case_id", "ombudsman", "case_type_id", "case_title", "case_initiated_date"}
        if not {"external_case_id", "ombudsman"} <= given.keys() <= known or given["ombudsman"] != "other_tenant":
            raise Misuse(f"create of {given}")
        folder = Folder(str(uuid.uuid4()), given["external_case_id"], title=given.get("case_title"))
        self.folders[folder.id] = folder
        call.effects.append({"kind": "case_created", "name": folder.reference, "case_id": folder.id})
        return self._posted(), self._shown(folder), {}

    def upload(self, call: Call) -> Answer:
        """Take one document."""
        folder = self.folders.get(call.segments[4])
        if folder is None:
            return self._missing("case")
        call.form(files="file")
        if len(call.files) != 1:
            raise Misuse(f"{len(call.files)} files at once")
        paper = self.paper(call, call.files[0], str(uuid.uuid4()), case_id=folder.id)
        folder.papers.append(paper)
        return self._posted(), self._paper(folder, paper), {}

    def evidence(self, call: Call) -> Answer:
        """Give one document."""
        folder = self.folders.get(call.segments[4])
        paper = next((each for each in folder.papers if each.id == call.segments[6]), None) if folder else None
        return (200, self._paper(folder, paper), {}) if folder and paper else self._missing("document")

    def process(self, call: Call) -> Answer:
        """Begin the assessment."""
        folder = self.folders.get(call.segments[4])
        if folder is None:
            return self._missing("case")
        if call.body:
            raise Misuse("process takes no body")
        if not all(each.ended for each in folder.papers):
            message = ["Cannot process case: documents are still being processed"]
            return 400, {"statusCode": 400, "message": message, "error": "Bad Request"}, {}
        if self._status(folder) == "processing":
            raise Misuse("processed twice at once")
        folder.triggered = time.time()
        call.effects.append({"kind": "assessment_started", "name": folder.reference, "case_id": folder.id})
        return self._posted(), {"case_id": folder.id, "status": "processing", "queue": "ai"}, {}

    def case(self, call: Call) -> Answer:
        """Give a case."""
        call.parameters()
        folder = self.folders.get(call.segments[4])
        return (200, self._shown(folder), {}) if folder else self._missing("case")

    def _posted(self) -> int:
        return 200 + next(self.numbers) % 2

    def _missing(self, what: str) -> Answer:
        return 404, {"statusCode": 404, "message": [f"{what} not found"], "error": "Not Found"}, {}

    def _status(self, folder: Folder) -> str:
        if folder.triggered is None:
            return "created"
        plan = self.others.planned(folder.reference)
        if time.time() - folder.triggered < plan.seconds:
            return "processing"
        return "error" if plan.fails else "processed"

    def _shown(self, folder: Folder) -> dict[str, Any]:
        status = self._status(folder)
        done = status == "processed"
        listed = folder.papers if done or self.account.lists_evidence else []
        timeline = [
            {
                "timeline_id": str(uuid.uuid4()),
                "title": "It began",
                "description": None,
                "timeline_date": "2024-02-29T00:00:00Z",
                "documents": [{"document_id": each.id} for each in folder.papers[:1]],
            }
        ]
        ended = (folder.triggered or 0) + self.others.planned(folder.reference).seconds
        return {
            "case_id": folder.id,
            "external_case_id": folder.reference,
            "status": status,
            "case_title": f"AI: {folder.reference}" if done else folder.title,
            "case_summary": "It concerns “£142”." if done else None,
            "case_specific_fields": "- Claimant: Zoë: Ünal\n- Reference: Not found" if done else None,
            "processing_started_at": None,
            "processing_completed_at": self.time(ended) if done else None,
            "chronology": timeline if done else [],
            "evidence": [self._paper(folder, each) for each in listed],
            "sla": {"hours": 4},
        }

    def _paper(self, folder: Folder, paper: Paper) -> dict[str, Any]:
        words = {"early": "pending_processing", "late": "virus_scan", "good": "processing_complete"}
        good = paper.state == "good"
        return {
            "document_id": paper.id,
            "case_id": folder.id,
            "status": words.get(paper.state, "processing_failed"),
            "uploaded_at": self.time(paper.created),
            "title": f"About {paper.sent.name}" if good else None,
            "short_description": "A letter." if good else None,
            "summary": "# A letter" if good else None,
            "case_insights": "- One: two\n- Three" if good else None,
            "event_date": "2025-07-15T00:00:00.000Z" if good else None,
            "claimant_support_score": 7 if good else None,
            "defendant_support_score": None,
            "ocr": "v9",
        }


def in_seconds(seconds: int) -> Callable[[], dict[str, str]]:
    """Return the header of a pause, as a number."""
    return lambda: {"Retry-After": str(seconds)}


def as_date(seconds: int) -> Callable[[], dict[str, str]]:
    """Return the header of a pause, as an HTTP date (RFC 9110, section 5.6.7)."""
    return lambda: {"Retry-After": formatdate(time.time() + seconds, usegmt=True)}


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
