"""Cases in the table: the record, documents, artifacts, questions, revisions; and drops that wait."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from boto3.dynamodb.conditions import Attr, ConditionBase
from pydantic import BaseModel, ConfigDict, Field

from dossier.certificates import forgotten_as
from dossier.errors import Choice, InvalidCaseError, ReferenceConflictError
from dossier.models import CaseId, CaseStatus, Document, OptionValue, Priority, Time, iso, moment, now
from dossier.stores.budgets import Budgets
from dossier.stores.table import Item, Table, case_key
from dossier.troubles import Trouble, clock

SAME_DROP = timedelta(minutes=1)
"""The same bytes dropped under two names within this time are one case: a program saved a file twice."""
KEPT_DROP = 31 * 86_400
"""Seconds for which a waiting drop is recorded: as long as S3 stores the drop."""
LONGEST_SORT_KEY = 1024
"""Longest sort key in DynamoDB, in bytes of UTF-8."""
_TRIES = 5
_FINAL = [status.value for status in CaseStatus if status.final]


_CONNECTIONS = "CONNECTIONS"
_DRAIN = ("STAGE", "DRAIN")


class Stored(BaseModel):
    """Base of models that are read from the table; the table's own keys are ignored."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="ignore", hide_input_in_errors=True)


class CaseRecord(Stored):
    """A case as ``dossier status`` shows it."""

    connection: str
    reference: str
    vendor: str = ""
    status: CaseStatus
    fingerprint: str = ""
    execution_arn: str = ""
    attempt: int = 1
    options: dict[str, OptionValue] = Field(default_factory=dict)
    case_id: str | None = None
    appends_to: str | None = None
    """The vendor case that the caller named, to append to or to collect."""
    reason: str | None = None
    error: str | None = None
    """Name of the error behind ``reason``."""
    note: str | None = None
    """What the case is doing now, for people; during trouble, the trouble."""
    trouble: Trouble | None = None
    """Why a step does not succeed. The trouble of a poll is stored with the wait."""
    review: bool = False
    """A person should check the result: a field's confidence is below the connection's ``review_below``."""
    refused: bool = False
    """Rejected by Accept, before anything was sent to the vendor: the reference is free again."""
    submitted_at: Time
    updated_at: Time
    completed_at: Time | None = None
    waited_from: Time | None = None
    hinted_at: Time | None = None
    """When a delivery about this case arrived while it had no wait."""
    woken: Time | None = None
    """When the last delivery about this case arrived."""
    artifact_bytes: int = 0
    """Bytes of the larger artifacts that were stored; an artifact that is stored again is counted again."""
    unattended_at: Time | None = None
    """When the scheduled check first saw that the case waits without polls."""
    deadline: int | None = None
    """The case's own deadline in seconds, in place of the connection's ``poll.deadline``."""
    priority: Priority = "normal"
    """``low``: the connection's other cases go first."""
    expired_at: Time | None = None
    """When the removal of its records began: it never goes back to work."""
    dismissed_at: Time | None = None
    """When an operator dismissed the failed case: ``dossier redrive`` no longer lists it or redrives it by cause."""
    cancelled_at: Time | None = None
    """When an operator cancelled it."""
    known_files: tuple[str, ...] | None = None
    """After an append, the ids that the vendor's case had before."""
    sent_at: Time | None = None
    """When the last upload began, by the vendor's clock, at the latest."""
    alone_at: Time | None = None
    """When the vendor's case, which Dossier opened, last had certainly only the documents of this record."""
    late: str | None = None
    """A sentence about the deadline, if it passed: the results that existed by then were collected."""
    revision: int = 0
    """The latest collection that differed from the one before; 0 before the first, and in records of version 1."""
    collected_at: Time | None = None
    vendor_status: str | None = None
    stage_id: str | None = None
    assigned_to: str | None = None
    warnings: tuple[str, ...] = ()
    modified: str | None = None
    """The vendor's time of its case's last change, as of the latest collection, by the vendor's clock."""
    read_at: Time | None = None
    """When the vendor answered the latest collection, by its clock, to the second; only if its list dates changes."""
    unfinished: bool = False
    """A part of the case is not finished or could not be read, so the case is collected again later."""
    committed: int | None = None
    """The revision that is being published; a crash cannot undo that."""
    committed_by: str | None = None
    """The collection that publishes it."""
    collected_by: str | None = None
    """The collection of the current revision."""
    trace: str | None = None
    """The header of the trace that the case began in, if traces are linked (``dossier.traces``)."""

    @property
    def id(self) -> CaseId:
        """The case's connection and reference."""
        return CaseId(self.connection, self.reference)

    @property
    def standing(self) -> int:
        """The current revision; a case that version 1 of Dossier completed is at revision 1."""
        return self.revision or int(self.status.completed)


class ArtifactRecord(Stored):
    """An artifact of a case: its source and, once stored, its key and content."""

    index: int
    name: str
    source: str
    content_type: str | None = None
    key: str | None = None
    version_id: str | None = None
    size: int = 0
    sha256: str = ""
    listed: str = ""
    """Digest of the vendor's list entry."""
    etag: str | None = None
    """Storage's ETag of these bytes, to ask whether they have changed."""
    content: str = ""
    """Digest of an API answer without its URLs and instants (``dossier.revisions``)."""
    links: int = 0
    """How often it was unavailable."""
    error: str | None = None
    """Why it could not be downloaded."""
    former: ArtifactRecord | None = None
    """In a later collection: the current revision's file, until this artifact is done, or because its content is the
    same."""

    @property
    def alike(self) -> bool:
        """Whether its bytes are new but its content is not: then it is only published with other changes."""
        return self.key is not None and self.former is not None and self.former.content == self.content != ""

    @property
    def settled(self) -> bool:
        """Whether the artifact is done in its collection: stored or failed."""
        return self.key is not None or self.error is not None


class Collection(Stored):
    """The latest collection, finished or not: what Collect stores besides the artifacts."""

    id: str = ""
    """Its name within the case; empty for the first."""
    at: Time | None = None
    read_at: Time | None = None
    """When the vendor began to answer, by its clock."""
    warnings: tuple[str, ...] = ()
    followed: int = -1
    """The index of the last document that was requested once more."""


class RevisionRecord(Stored):
    """A summary of a revision; ``changes`` as in the event ``Case Updated``."""

    number: int
    status: str
    collected_at: Time | None = None
    changes: dict[str, Any] = Field(default_factory=dict)


class Refresh(Stored):
    """The refreshes of one case."""

    connection: str = ""
    reference: str = ""
    asked: int = 0
    """How often a refresh was requested."""
    seen: int = 0
    """The value of ``asked`` when the last collection began."""
    number: int = 0
    """How many refreshes have ended."""
    execution_arn: str | None = None
    """The execution that runs a refresh now."""
    started_at: Time | None = None
    error: str | None = None
    """Why the last refresh failed."""
    looks: int = 0
    """Collections in a row that found something failed or unfinished."""
    look_at: Time | None = None
    """When to collect the case again without a request."""

    @property
    def id(self) -> CaseId:
        """The case's connection and reference."""
        return CaseId(self.connection, self.reference)

    @property
    def wanted(self) -> bool:
        """Whether a refresh was requested since the last collection began."""
        return self.asked > self.seen


class Doubt(Stored):
    """A question that a step is about to ask: its full text and the possible answers."""

    what: str
    text: str
    choices: tuple[Choice, ...] = ()


class WaitingDrop(Stored):
    """A drop that is not a case yet, and why."""

    reference: str
    """The future case's reference, as derived from the drop's key."""
    why: str
    since: Time


class Erasure(Stored):
    """The erasure of a case, which its tombstone records without naming it."""

    at: Time
    done_at: Time | None = None
    """None while it is not finished."""


class Question(Stored):
    """A question to an operator; ``what`` is ``open`` or ``upload-<batch>``."""

    what: str
    text: str
    token: str
    asked_at: Time
    choices: tuple[Choice, ...] = ()
    """Possible answers from the vendor's list."""


class Case(Stored):
    """A case with all that belongs to it."""

    record: CaseRecord
    documents: tuple[Document, ...] = ()
    artifacts: tuple[ArtifactRecord, ...] = ()
    questions: tuple[Question, ...] = ()
    named: dict[str, str] = Field(default_factory=dict)
    """Ids that an operator gave as answers, by question."""
    said: dict[str, str] = Field(default_factory=dict)
    """Why a job failed according to a delivery, by job id."""
    staged: tuple[ArtifactRecord, ...] = ()
    """Artifacts of a later collection that is under way; those of the current revision stay unchanged meanwhile."""
    refresh: Refresh = Refresh()
    collection: Collection = Collection()
    revisions: tuple[RevisionRecord, ...] = ()

    def collected(self, collection: str) -> tuple[ArtifactRecord, ...]:
        """Return the artifacts of a collection (empty name: the first)."""
        return self.staged if collection else self.artifacts


def conflict(other: CaseRecord, difference: str = "") -> ReferenceConflictError:
    """Return the error for a reference that another case has, with the difference between them."""
    what = f"; {difference}" if difference else ""
    return ReferenceConflictError(
        f"reference {other.reference} belongs to a case with other content (submitted {iso(other.submitted_at)}, "
        f"{other.status.value}){what}: use another reference"
    )


class Cases:
    """The cases in the table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.budgets = Budgets(table)
        self._known: set[str] = set()

    def find(self, case: CaseId) -> Case | None:
        """Return a case with its documents, artifacts and questions, or None."""
        found: dict[str, list[Item]] = {}
        for item in self._table.query(case_key(case)):
            found.setdefault(item["sk"].partition("#")[0], []).append(item)
        if "CASE" not in found:
            return None
        return Case(
            record=_troubled(_record(found["CASE"][0]), next(iter(found.get("WAIT", ())), None)),
            documents=tuple(Document.model_validate_json(each["data"]) for each in found.get("DOC", ())),
            artifacts=_artifacts(found.get("ART", ())),
            staged=_artifacts(found.get("NEW", ())),
            said={each["job_id"]: each["text"] for each in found.get("SAID", ())},
            questions=tuple(Question.model_validate(each) for each in found.get("ASK", ())),
            named={each["what"]: each["id"] for each in found.get("NAMED", ())},
            refresh=Refresh.model_validate(next(iter(found.get("REFRESH", ())), {})),
            collection=next(
                (Collection.model_validate_json(each["data"]) for each in found.get("COLLECTION", ())), Collection()
            ),
            revisions=tuple(RevisionRecord.model_validate_json(each["data"]) for each in found.get("REV", ())),
        )

    def get(self, case: CaseId) -> Case:
        """Return a case.

        Raises:
            InvalidCaseError: there is none.

        """
        stored = self.find(case)
        if stored is None:
            raise InvalidCaseError(f"there is no case {case.reference} at connection {case.connection}")
        return stored

    def record(self, case: CaseId) -> CaseRecord:
        """Return a case's record alone, whose cost does not depend on the number of documents and artifacts.

        Raises:
            InvalidCaseError: there is none.

        """
        found = self.find_record(case)
        if found is None:
            raise InvalidCaseError(f"there is no case {case.reference} at connection {case.connection}")
        return found

    def find_record(self, case: CaseId) -> CaseRecord | None:
        """Return a case's record alone, or None."""
        item = self._table.get(case_key(case), "CASE")
        return None if item is None else _record(item)

    def document(self, case: CaseId, index: int) -> Document | None:
        """Return one document of a case, or None."""
        item = self._table.get(case_key(case), _document_key(index))
        return None if item is None else Document.model_validate_json(item["data"])

    def records(self, names: Iterable[CaseId]) -> Iterator[CaseRecord]:
        """Yield the records of these cases that exist; in no order."""
        for item in self._table.get_many((case_key(each), "CASE") for each in names):
            yield _record(item)

    def draining_now(self) -> datetime | None:
        """Return what ``draining`` does, for callers who may only read many items at once."""
        return next((moment(item["since"]) for item in self._table.get_many([_DRAIN])), None)

    def artifact(self, case: CaseId, index: int, *, collection: str = "") -> ArtifactRecord | None:
        """Return one artifact of a collection by its index, or None."""
        item = self._table.get(case_key(case), _artifact_key(collection, index))
        return None if item is None else ArtifactRecord.model_validate_json(item["data"])

    def collection(self, case: CaseId) -> Collection:
        """Return a case's latest collection; an empty one before the first."""
        item = self._table.get(case_key(case), "COLLECTION")
        return Collection() if item is None else Collection.model_validate_json(item["data"])

    def troubled(self, record: CaseRecord) -> CaseRecord:
        """Return a record whose note is the trouble of its polls, if there is any."""
        if record.status not in {CaseStatus.WAITING, CaseStatus.PROCESSING}:
            return record
        return _troubled(record, self._table.get(case_key(record.id), "WAIT"))

    def all_troubled(self, records: Sequence[CaseRecord]) -> list[CaseRecord]:
        """Return records as ``troubled`` does, with one read for a hundred of them."""
        waiting = [each for each in records if each.status in {CaseStatus.WAITING, CaseStatus.PROCESSING}]
        found = {item["pk"]: item for item in self._table.get_many((case_key(each.id), "WAIT") for each in waiting)}
        return [_troubled(each, found.get(case_key(each.id))) for each in records]

    def newest(
        self,
        connection: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        page: int | None = None,
    ) -> Iterator[CaseRecord]:
        """Yield a connection's cases, latest submitted first; only those submitted from ``since`` to ``until``.

        With ``page``, one request reads so many of them: the first ones come soon, and all of them later.
        """
        for item in self._table.index(f"CASES#{connection}", since=since, until=until, newest=True, page=page):
            yield _record(item)

    def statuses(self, connection: str, *, since: datetime | None = None) -> Iterator[str]:
        """Yield the status of each of a connection's cases, latest submitted first, to be counted."""
        for item in self._table.index(f"CASES#{connection}", since=since, newest=True, only="status"):
            yield str(item["status"])

    def claim(self, record: CaseRecord, *, resume: bool = False) -> CaseRecord | None:
        """Claim the record's reference for its execution.

        Returns:
            None if the reference is claimed now, or was claimed by this same execution; else the record of the
            execution that has the case.

        Args:
            record: the case to store.
            resume: take over a failed case with the same content.

        Raises:
            ReferenceConflictError: the reference belongs to a case with other content.
            InvalidCaseError: ``resume`` without a failed case.

        """
        item = _item(record)
        if record.connection not in self._known:
            self.note(record.connection)
        free = Attr("pk").not_exists() | Attr("refused").eq(True)
        found = self._table.get(item["pk"], "CASE") if resume else self._table.put_or_get(item, when=free)
        if found is None:
            if resume:
                raise InvalidCaseError(f"there is no case {record.reference} to redrive")
            return None
        other = _record(found)
        if other.execution_arn == record.execution_arn:
            return None
        if other.fingerprint != record.fingerprint:
            raise conflict(other)
        if not resume:
            return other
        changes = {
            "execution_arn": record.execution_arn,
            "attempt": other.attempt + 1,
            "status": CaseStatus.ACCEPTED.value,
            "updated_at": record.updated_at,
            "reason": None,
            "error": None,
            "note": None,
            "trouble": None,
            "completed_at": None,
            "refused": None,
            "dismissed_at": None,
            "late": None,
            "cancelled_at": None,
            "deadline": record.deadline,
            "priority": _priority(record),
        }
        failed = Attr("status").eq(CaseStatus.FAILED.value) & Attr("execution_arn").eq(other.execution_arn)
        failed &= Attr("expired_at").not_exists() & Attr("committed").not_exists()  # removed, or published, just now
        now_there = self._table.update_or_get(item["pk"], "CASE", changes, when=failed)
        if now_there is None:
            return None
        other = _record(now_there or found)
        # The AWS client repeats a write whose answer was lost: then the case is the caller's already.
        return None if other.execution_arn == record.execution_arn else other

    def connections(self) -> dict[str, datetime | None]:
        """Return every connection that ever had a case, with the time since when the settings lack it, or None."""
        gone = {item["sk"]: item.get("gone_since") for item in self._table.query(_CONNECTIONS)}
        return {name: moment(since) if since else None for name, since in gone.items()}

    def note(self, connection: str) -> None:
        """Record that a connection exists: after it is removed from the settings, its cases must still be found."""
        here = Attr("pk").not_exists() | Attr("gone_since").exists()
        self._table.put({"pk": _CONNECTIONS, "sk": connection}, when=here)
        self._known.add(connection)

    def gone(self, connection: str, since: datetime) -> None:
        """Record since when a connection is missing from the settings."""
        self._table.update(_CONNECTIONS, connection, {"gone_since": since})

    def draining(self) -> datetime | None:
        """Return since when the stage is draining, so that no new case starts; None if it is not."""
        pk, sk = _DRAIN
        item = next(self._table.query(pk, prefix=sk), None)  # a query: users of the CLI may do no other read
        return None if item is None else moment(item["since"])

    def require_open(self) -> None:
        """Check that new cases may start.

        Raises:
            InvalidCaseError: the stage is draining; says since when and what to do.

        """
        if since := self.draining():
            raise InvalidCaseError(
                f"this deployment has been draining since {iso(since)} and starts no new cases: submit it again after "
                "`dossier drain --stop`, or to another stage"
            )

    def drain(self, since: datetime | None) -> None:
        """Begin to drain the stage, so that no new case starts; None ends it."""
        pk, sk = _DRAIN
        if since is None:
            self._table.delete(pk, sk)
        else:
            self._table.put({"pk": pk, "sk": sk, "since": since}, when=Attr("pk").not_exists())

    def erased(self, case: CaseId) -> Erasure | None:
        """Return the erasure of a case of that reference, unless it was submitted again on purpose since; or None."""
        pk, digest = f"FORGOTTEN#{case.connection}", forgotten_as(case)
        item = next(iter(self._table.query(pk, prefix=digest)), None)
        return None if item is None or item.get("again_at") else Erasure.model_validate(item)

    def again(self, case: CaseId) -> None:
        """Record that an erased case's reference is submitted again on purpose."""
        again = {"again_at": now()}
        self._table.update(f"FORGOTTEN#{case.connection}", forgotten_as(case), again)

    def refuse(self, record: CaseRecord) -> None:
        """Store a case that Accept rejected, unless the reference belongs to one that was accepted."""
        free = Attr("pk").not_exists() | Attr("refused").eq(True)
        self._table.put(_item(record), when=free)

    def continue_upload(self, case: CaseId, *, note: str | None = None) -> None:
        """Set a case to ``uploading``, unless a question of another of its uploads is open.

        Uploads of one case run beside each other: one asks while the next begins. The question is stored before the
        status is set, so reading the questions after the status was set finds each that the status would hide.
        """
        open_status = CaseStatus.NEEDS_ATTENTION
        uploading = {"status": CaseStatus.UPLOADING, "note": note}
        if self._change(case, uploading, unless=(*_FINAL, open_status.value)):
            return
        stored = self.find(case)
        if stored is None or stored.record.status is not open_status:
            return  # it has ended
        if not stored.questions:
            self.change(case, status=CaseStatus.UPLOADING, note=note, reason=None)
            stored = self.get(case)
        if stored.questions:
            self.change(case, status=open_status, reason=stored.questions[0].text)

    def change(self, case: CaseId, **changes: Any) -> bool:
        """Set attributes of a case that has not ended; return False if it has (a finished case never goes back).

        A new status or note clears earlier trouble.
        """
        return self._change(case, changes, unless=_FINAL)

    def learn(self, case: CaseId, **facts: Any) -> None:
        """Set what the vendor's answer says about a case, even if the case has ended.

        A function goes on when its execution is stopped: what its request created at the vendor must not be lost.
        """
        self._change(case, facts, unless=())

    def _change(self, case: CaseId, changes: dict[str, Any], *, unless: Sequence[str]) -> bool:
        if {"note", "status"} & changes.keys():
            changes.setdefault("trouble", None)
        changes = {key: value.value if isinstance(value, CaseStatus) else value for key, value in changes.items()}
        changes["updated_at"] = now()
        allowed: ConditionBase = Attr("pk").exists()
        if unless:
            allowed &= ~Attr("status").is_in(list(unless))
        return self._table.update(case_key(case), "CASE", changes, when=allowed)

    def mark(self, case: CaseId, **marks: datetime) -> None:
        """Set attributes of a case that may have ended, without a change of ``updated_at``."""
        self._table.update(case_key(case), "CASE", marks)

    def dismiss(self, record: CaseRecord, at: datetime) -> bool:
        """Record that an operator dismissed a failed case; return False if it was redriven meanwhile."""
        failed = Attr("status").eq(CaseStatus.FAILED.value) & Attr("execution_arn").eq(record.execution_arn)
        return self._table.update(case_key(record.id), "CASE", {"dismissed_at": at}, when=failed)

    def put_documents(self, case: CaseId, documents: Iterable[Document], *, fresh: bool) -> None:
        """Store documents; with ``fresh`` only new ones, so that a step that runs twice loses no vendor id."""
        for document in documents:
            item = _document_item(case, document)
            self._table.put(item, when=Attr("pk").not_exists() if fresh else None)

    def note_documents(self, case: CaseId, documents: Iterable[Document]) -> None:
        """Store what a poll has learnt of documents that are still stored: a poll may outlive its case's erasure.

        Another poll may have a later answer: what is finished stays finished.
        """
        for document in documents:
            stored: ConditionBase = Attr("pk").exists()
            when = stored if document.finished else stored & Attr("finished").not_exists()
            self._table.put(_document_item(case, document), when=when)

    def put_artifact(self, case: CaseId, artifact: ArtifactRecord, *, collection: str = "") -> None:
        """Store an artifact of a collection."""
        self._put_data(case, _artifact_key(collection, artifact.index), artifact)

    def add_bytes(self, case: CaseId, size: int) -> int:
        """Add a stored artifact's bytes to the case's count; return the new count."""
        item = case_key(case), "CASE"
        return self._table.add(*item, "artifact_bytes", size, when=Attr("pk").exists()) or 0

    def drop_artifacts(self, case: CaseId, indices: Iterable[int], *, collection: str = "") -> None:
        """Delete artifacts of a collection from the table."""
        for index in indices:
            self._table.delete(case_key(case), _artifact_key(collection, index))

    def put_collection(self, case: CaseId, collection: Collection) -> None:
        """Store a collection."""
        self._put_data(case, "COLLECTION", collection)

    def put_revision(self, case: CaseId, revision: RevisionRecord) -> None:
        """Store a summary of a revision."""
        self._put_data(case, f"REV#{revision.number:05d}", revision)

    def commit(self, case: CaseId, number: int, by: str, *, ended: bool) -> bool:
        """Claim a revision for a collection to publish; return False if another one published or claimed it.

        Args:
            case: its name.
            number: the revision; the one before it has to be current.
            by: the collection.
            ended: whether the case has ended, as it has when a refresh publishes.

        """
        free = Attr("committed").not_exists() | (Attr("committed").eq(number) & Attr("committed_by").eq(by))
        before: ConditionBase = Attr("revision").eq(number - 1)
        if number <= 2:  # version 1 stored no number
            before = before | Attr("revision").not_exists() | (Attr("revision").eq(0) & Attr("status").is_in(_FINAL))
        final = Attr("status").is_in(_FINAL)
        changes = {"committed": number, "committed_by": by}
        when = free & before & (final if ended else ~final & Attr("cancelled_at").not_exists())
        return self._table.update(case_key(case), "CASE", changes, when=when)

    def published(self, case: CaseId, number: int, **changes: Any) -> None:
        """Record that a committed revision is published, with the case's new attributes."""
        changes = {**changes, "revision": number, "committed": None, "committed_by": None, "updated_at": now()}
        mine = Attr("committed").eq(number)
        self._table.update(case_key(case), "CASE", changes, when=mine)

    def abandon(self, case: CaseId, number: int) -> None:
        """Note that a committed revision cannot be published any more: another collection makes it anew."""
        gone = {"committed": None, "committed_by": None}
        self._table.update(case_key(case), "CASE", gone, when=Attr("committed").eq(number))

    def collected_as_of(self, case: CaseId, modified: str | None, read_at: datetime | None) -> None:
        """Record the vendor's time of last change and of reading, for a collection without differences."""
        self._table.update(case_key(case), "CASE", {"modified": modified, "read_at": read_at})

    def _put_data(self, case: CaseId, sk: str, value: BaseModel) -> None:
        data = value.model_dump_json(exclude_defaults=True)
        self._table.put({"pk": case_key(case), "sk": sk, "data": data})

    def say(self, case: CaseId, job_id: str, text: str) -> None:
        """Store why one of a case's jobs failed according to a delivery. It is only shown to people."""
        changed = Attr("text").not_exists() | Attr("text").ne(text)
        said, sk = {"job_id": job_id, "text": text}, f"SAID#{job_id}"
        if len(sk.encode()) > LONGEST_SORT_KEY:
            sk = f"SAID#{hashlib.sha256(job_id.encode()).hexdigest()}"
        self._table.update(case_key(case), sk, said, when=changed)

    def first_drop(self, connection: str, digest: str, key: str, landed_at: datetime) -> str | None:
        """Claim a dropped file's content for its key; return another key with that content from the same minute.

        A file that arrives later claims the content again: the same file may be sent twice on purpose.
        """
        place = f"DROP#{connection}", digest
        for _ in range(_TRIES):
            found = self._table.get(*place)
            apart = found is None or abs(landed_at - moment(found["landed_at"])) > SAME_DROP
            if found is not None and not apart and found["key"] != key:
                return str(found["key"])
            same = Attr("pk").not_exists() if found is None else Attr("landed_at").eq(found["landed_at"])
            changes = {"key": key, "landed_at": landed_at, "ttl": int(landed_at.timestamp()) + 86_400}
            if self._table.update(*place, changes, when=same):
                return None
        return None

    def wonder(self, case: CaseId, doubt: Doubt) -> None:
        """Store a question before it is asked."""
        self._put_data(case, f"DOUBT#{doubt.what}", doubt)

    def name(self, case: CaseId, what: str, vendor_id: str | None) -> None:
        """Store the id that an operator gave as the answer to a question; None removes a wrong one."""
        pk, sk = case_key(case), f"NAMED#{what}"
        if vendor_id is None:
            self._table.delete(pk, sk)
        else:
            self._table.put({"pk": pk, "sk": sk, "what": what, "id": vendor_id})

    def doubt(self, case: CaseId, what: str) -> Doubt | None:
        """Return a question that is not asked yet, or None."""
        found = self._table.query(case_key(case), prefix=f"DOUBT#{what}")
        return next((Doubt.model_validate_json(each["data"]) for each in found if each["sk"] == f"DOUBT#{what}"), None)

    def drop_waits(self, connection: str, what: str, drop: WaitingDrop, landed: datetime) -> bool:
        """Record that a drop (folder or file) waits; return False if a later state of it is recorded.

        Args:
            connection: the drop's connection.
            what: the folder, or the file's name.
            drop: its reference and reason.
            landed: when the latest of its objects arrived; a state that was recorded for a later one stays.

        """
        open_ones = {"gsi_pk": f"DROPS#{connection}", "gsi_sk": drop.since}
        changes = {**drop.model_dump(), **open_ones, "landed": landed, "ttl": int(landed.timestamp()) + KEPT_DROP}
        later = Attr("landed").lt(iso(landed)) | (Attr("landed").eq(iso(landed)) & Attr("gsi_pk").exists())
        return self._table.update(f"INBOX#{connection}", what, changes, when=Attr("landed").not_exists() | later)

    def waiting_drop(self, connection: str, what: str) -> WaitingDrop | None:
        """Return a waiting drop (folder or file), or None."""
        item = self._table.get(f"INBOX#{connection}", what)
        return None if item is None or "gsi_pk" not in item else WaitingDrop.model_validate(item)

    def drop_ends(self, connection: str, what: str, landed: datetime) -> None:
        """Record that a drop (folder or file) no longer waits, so that a late message cannot restore it."""
        changes = {"gsi_pk": None, "gsi_sk": None, "landed": landed, "ttl": int(now().timestamp()) + 86_400}
        later = Attr("landed").not_exists() | Attr("landed").lte(iso(landed))
        self._table.update(f"INBOX#{connection}", what, changes, when=later)

    def waiting_drops(
        self,
        connection: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        page: int | None = None,
    ) -> Iterator[CaseRecord]:
        """Yield a connection's drops that wait for files, latest first, as records with that status."""
        for item in self._table.index(f"DROPS#{connection}", since=since, until=until, newest=True, page=page):
            drop = WaitingDrop.model_validate(item)
            yield CaseRecord(
                connection=connection,
                reference=drop.reference,
                status=CaseStatus.WAITING_FOR_FILES,
                reason=drop.why,
                submitted_at=drop.since,
                updated_at=item["landed"],
            )

    def ask(self, case: CaseId, question: Question) -> None:
        """Store a question to an operator."""
        item = {"pk": case_key(case), "sk": f"ASK#{question.what}", **question.model_dump(mode="json")}
        self._table.put(item)

    def answered(self, case: CaseId, what: str) -> None:
        """Remove a question."""
        for kind in ("ASK", "DOUBT"):
            self._table.delete(case_key(case), f"{kind}#{what}")


def _document_key(index: int) -> str:
    return f"DOC#{index:05d}"


def _document_item(case: CaseId, document: Document) -> Item:
    return {
        "pk": case_key(case),
        "sk": _document_key(document.index),
        "data": document.model_dump_json(exclude_defaults=True),
        "finished": document.finished or None,
    }


def _artifact_key(collection: str, index: int) -> str:
    return f"{'NEW' if collection else 'ART'}#{index:05d}"


def _artifacts(items: Iterable[Item]) -> tuple[ArtifactRecord, ...]:
    return tuple(ArtifactRecord.model_validate_json(each["data"]) for each in items)


def _record(item: Item) -> CaseRecord:
    record = CaseRecord.model_validate({**item, "options": json.loads(item.get("options", "{}"))})
    return record.model_copy(update={"note": record.trouble.text}) if record.trouble else record


def _troubled(record: CaseRecord, waiting: Item | None) -> CaseRecord:
    """Return a record with the trouble of its wait and the time of the next poll as the note."""
    if waiting is None or record.status.final or not waiting.get("trouble"):
        return record
    if waiting["trouble"]["kind"].startswith("paused "):  # it ends when an operator says so
        return record.model_copy(update={"note": waiting["trouble"]["text"]})
    at = clock(moment(waiting["next_at"]), now(), seconds=True)
    return record.model_copy(update={"note": f"{waiting['trouble']['text']}. Next attempt {at}"})


def _item(record: CaseRecord) -> Item:
    return {
        "pk": case_key(record.id),
        "sk": "CASE",
        "gsi_pk": f"CASES#{record.connection}",
        "gsi_sk": record.submitted_at,
        **record.model_dump(mode="json", exclude={"options"}),
        "options": json.dumps(record.options),
        "priority": _priority(record),
    }


def _priority(record: CaseRecord) -> Priority | None:
    """Return a case's priority as the table has it: the normal one is not stored."""
    return None if record.priority == "normal" else record.priority


def pick(documents: Sequence[Document], indices: Iterable[int]) -> list[Document]:
    """Return the documents with the given indices, in that order."""
    by_index = {document.index: document for document in documents}
    return [by_index[index] for index in indices]
