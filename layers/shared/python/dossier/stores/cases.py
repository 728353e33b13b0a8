"""Cases as stored: the record, its documents, artifacts and questions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from boto3.dynamodb.conditions import Attr
from pydantic import BaseModel, ConfigDict, Field

from dossier.errors import InvalidCaseError, ReferenceConflictError
from dossier.models import CaseStatus, Document, OptionValue, iso, moment, now
from dossier.stores.table import Item, Table, case_key
from dossier.troubles import Trouble, clock

SAME_DROP = timedelta(minutes=1)
"""How far apart the same bytes may land under two names and be one case: a program that saves a file twice."""
_TRIES = 5
_FINAL = [status.value for status in CaseStatus if status.final]


_CONNECTIONS = "CONNECTIONS"
_DRAIN = ("STAGE", "DRAIN")


class Stored(BaseModel):
    """Base of what is read back from the table; keys that belong to the table itself are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


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
    """The vendor case that the caller named: documents are appended to it, or it is only collected."""
    reason: str | None = None
    error: str | None = None
    """Name of the error behind ``reason``."""
    note: str | None = None
    """What is going on right now, for people: the trouble, while there is one."""
    trouble: Trouble | None = None
    """What keeps a step from getting on. What keeps a poll from it is stored with the wait."""
    review: bool = False
    """A person should look at the result: a field's confidence is below the connection's ``review_below``."""
    refused: bool = False
    """Ended by Accept, before anything was sent to the vendor: the reference is free again."""
    submitted_at: str
    updated_at: str
    completed_at: str | None = None
    waited_from: str | None = None
    hinted_at: str | None = None
    """When a delivery about this case came that no wait was there to take."""
    woken: str | None = None
    """When a delivery about this case came last."""
    artifact_bytes: int = 0
    """Bytes of the larger artifacts that were stored; one that came again is counted again."""
    unattended_at: str | None = None
    """When the scheduled check first found that it waits and nobody polls it."""


class ArtifactRecord(Stored):
    """An artifact of a case: where it comes from and, once stored, what it is."""

    index: int
    name: str
    source: str
    content_type: str | None = None
    key: str | None = None
    size: int = 0
    sha256: str = ""


class Question(Stored):
    """What only an operator can answer; ``what`` is ``open`` or ``upload-<batch>``."""

    what: str
    text: str
    token: str
    asked_at: str


class Case(Stored):
    """A case with all that belongs to it."""

    record: CaseRecord
    documents: tuple[Document, ...] = ()
    artifacts: tuple[ArtifactRecord, ...] = ()
    questions: tuple[Question, ...] = ()
    said: dict[str, str] = Field(default_factory=dict)
    """Why a job failed, by its id, as a delivery says."""


class Cases:
    """The cases in the table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._known: set[str] = set()

    def find(self, connection: str, reference: str) -> Case | None:
        """Return a case with its documents, artifacts and questions, or None."""
        record, documents, artifacts, questions, said, waiting = None, [], [], [], {}, None
        for item in self._table.query(case_key(connection, reference)):
            kind = item["sk"].partition("#")[0]
            if kind == "CASE":
                record = _record(item)
            elif kind == "DOC":
                documents.append(Document.model_validate_json(item["data"]))
            elif kind == "ART":
                artifacts.append(ArtifactRecord.model_validate_json(item["data"]))
            elif kind == "ASK":
                questions.append(Question.model_validate(item))
            elif kind == "SAID":
                said[item["job_id"]] = item["text"]
            elif kind == "WAIT":
                waiting = item
        if record is None:
            return None
        return Case(
            record=_troubled(record, waiting),
            documents=tuple(documents),
            artifacts=tuple(artifacts),
            questions=tuple(questions),
            said=said,
        )

    def get(self, connection: str, reference: str) -> Case:
        """Return a case.

        Raises:
            InvalidCaseError: there is none.

        """
        case = self.find(connection, reference)
        if case is None:
            raise InvalidCaseError(f"there is no case {reference} at connection {connection}")
        return case

    def record(self, connection: str, reference: str) -> CaseRecord:
        """Return a case's record alone, which costs the same however many documents and artifacts the case has.

        Raises:
            InvalidCaseError: there is none.

        """
        item = self._table.get(case_key(connection, reference), "CASE")
        if item is None:
            raise InvalidCaseError(f"there is no case {reference} at connection {connection}")
        return _record(item)

    def artifact(self, connection: str, reference: str, index: int) -> ArtifactRecord | None:
        """Return one artifact of a case, or None if it has none of that number."""
        item = self._table.get(case_key(connection, reference), f"ART#{index:05d}")
        return None if item is None else ArtifactRecord.model_validate_json(item["data"])

    def troubled(self, record: CaseRecord) -> CaseRecord:
        """Return a record whose note says what keeps its polls from getting on, if anything does."""
        if record.status not in {CaseStatus.WAITING, CaseStatus.PROCESSING}:
            return record
        return _troubled(record, self._table.get(case_key(record.connection, record.reference), "WAIT"))

    def newest(self, connection: str, *, since: str | None = None, until: str | None = None) -> Iterator[CaseRecord]:
        """Yield the cases of a connection, the latest submitted first; those submitted in between only, if given."""
        for item in self._table.index(f"CASES#{connection}", since=since, until=until, newest=True):
            yield _record(item)

    def claim(self, record: CaseRecord, *, resume: bool = False) -> CaseRecord | None:
        """Claim the record's reference for its execution.

        Returns None if it is claimed now (or was before, by this same execution), else the record of the execution
        that has the case already.

        Args:
            record: the case as it is to be stored.
            resume: takes over a failed case with the same content.

        Raises:
            ReferenceConflictError: the reference belongs to a case with other content.
            InvalidCaseError: ``resume`` without a failed case.

        """
        item = _item(record)
        if record.connection not in self._known:
            self.note(record.connection)
        free = Attr("pk").not_exists() | Attr("refused").eq(True)
        if not resume and self._table.put(item, when=free):
            return None
        found = self._table.get(item["pk"], "CASE")
        if found is None:
            if resume:
                raise InvalidCaseError(f"there is no case {record.reference} to send back to work")
            return self.claim(record)
        other = _record(found)
        if other.execution_arn == record.execution_arn:
            return None
        if other.fingerprint != record.fingerprint:
            raise ReferenceConflictError(
                f"reference {record.reference} belongs to a case with other content (submitted {other.submitted_at}, "
                f"{other.status.value}): use another reference"
            )
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
        }
        failed = Attr("status").eq(CaseStatus.FAILED.value) & Attr("execution_arn").eq(other.execution_arn)
        failed &= Attr("expired_at").not_exists()  # its records are being removed
        if self._table.update(item["pk"], "CASE", changes, when=failed):
            return None
        return _record(self._table.get(item["pk"], "CASE") or found)

    def connections(self) -> dict[str, str | None]:
        """Return the connections that ever had a case, and since when each is missing from the settings, if it is."""
        return {item["sk"]: item.get("gone_since") for item in self._table.query(_CONNECTIONS)}

    def note(self, connection: str) -> None:
        """Remember that there is a connection: once it is removed, nothing else knows of its cases."""
        here = Attr("pk").not_exists() | Attr("gone_since").exists()
        self._table.put({"pk": _CONNECTIONS, "sk": connection}, when=here)
        self._known.add(connection)

    def gone(self, connection: str, since: str) -> None:
        """Note since when a connection is missing from the settings."""
        self._table.update(_CONNECTIONS, connection, {"gone_since": since})

    def draining(self) -> str | None:
        """Return since when nothing new starts in this stage; None if it does."""
        item = self._table.get(*_DRAIN)
        return None if item is None else str(item["since"])

    def drain(self, since: str | None) -> None:
        """Let nothing new start from now on; None lets it start again."""
        pk, sk = _DRAIN
        if since is None:
            self._table.delete(pk, sk)
        else:
            self._table.put({"pk": pk, "sk": sk, "since": since}, when=Attr("pk").not_exists())

    def refuse(self, record: CaseRecord) -> None:
        """Store a case that Accept refused, unless the reference belongs to a case that was not."""
        free = Attr("pk").not_exists() | Attr("refused").eq(True)
        self._table.put(_item(record), when=free)

    def change(self, connection: str, reference: str, **changes: Any) -> bool:
        """Set attributes of a case that has not ended; return False if it has (a finished case never goes back).

        A new status or note is the end of the trouble before.
        """
        if {"note", "status"} & changes.keys():
            changes.setdefault("trouble", None)
        changes = {key: value.value if isinstance(value, CaseStatus) else value for key, value in changes.items()}
        changes["updated_at"] = iso(now())
        unended = Attr("pk").exists() & ~Attr("status").is_in(_FINAL)
        return self._table.update(case_key(connection, reference), "CASE", changes, when=unended)

    def mark(self, connection: str, reference: str, **marks: str) -> None:
        """Set attributes that do not change how a case stands, whether or not it has ended; its times stay."""
        self._table.update(case_key(connection, reference), "CASE", marks)

    def put_documents(self, connection: str, reference: str, documents: Iterable[Document], *, fresh: bool) -> None:
        """Store documents; with ``fresh`` only those not stored yet, so that a step that runs twice loses no id."""
        for document in documents:
            item = {
                "pk": case_key(connection, reference),
                "sk": f"DOC#{document.index:05d}",
                "data": document.model_dump_json(exclude_defaults=True),
            }
            self._table.put(item, when=Attr("pk").not_exists() if fresh else None)

    def put_artifact(self, connection: str, reference: str, artifact: ArtifactRecord) -> None:
        """Store an artifact."""
        item = {
            "pk": case_key(connection, reference),
            "sk": f"ART#{artifact.index:05d}",
            "data": artifact.model_dump_json(exclude_defaults=True),
        }
        self._table.put(item)

    def add_bytes(self, connection: str, reference: str, size: int) -> int:
        """Count the bytes of an artifact that is stored; return how many were counted so far."""
        item = case_key(connection, reference), "CASE"
        return self._table.add(*item, "artifact_bytes", size, when=Attr("pk").exists()) or 0

    def drop_artifacts(self, connection: str, reference: str, indices: Iterable[int]) -> None:
        """Forget artifacts that are no longer listed."""
        for index in indices:
            self._table.delete(case_key(connection, reference), f"ART#{index:05d}")

    def say(self, connection: str, reference: str, job_id: str, text: str) -> None:
        """Store why one of a case's jobs failed, as a delivery says: for people, it changes nothing."""
        changed = Attr("text").not_exists() | Attr("text").ne(text)
        said = {"job_id": job_id, "text": text}
        self._table.update(case_key(connection, reference), f"SAID#{job_id}", said, when=changed)

    def first_drop(self, connection: str, digest: str, key: str, landed_at: str) -> str | None:
        """Claim a dropped file's content for its key; return the other key that has it, landed within a minute of it.

        One that lands later claims it anew: the same file may well be sent again.
        """
        place = f"DROP#{connection}", digest
        for _ in range(_TRIES):
            found = self._table.get(*place)
            apart = found is None or abs(moment(landed_at) - moment(found["landed_at"])) > SAME_DROP
            if found is not None and not apart and found["key"] != key:
                return str(found["key"])
            same = Attr("pk").not_exists() if found is None else Attr("landed_at").eq(found["landed_at"])
            changes = {"key": key, "landed_at": landed_at, "ttl": int(moment(landed_at).timestamp()) + 86_400}
            if self._table.update(*place, changes, when=same):
                return None
        return None

    def ask(self, connection: str, reference: str, question: Question) -> None:
        """Store a question to an operator."""
        item = {"pk": case_key(connection, reference), "sk": f"ASK#{question.what}", **question.model_dump()}
        self._table.put(item)

    def answered(self, connection: str, reference: str, what: str) -> None:
        """Remove a question."""
        self._table.delete(case_key(connection, reference), f"ASK#{what}")


def _record(item: Item) -> CaseRecord:
    record = CaseRecord.model_validate({**item, "options": json.loads(item.get("options", "{}"))})
    return record.model_copy(update={"note": record.trouble.text}) if record.trouble else record


def _troubled(record: CaseRecord, waiting: Item | None) -> CaseRecord:
    """Return a record with the trouble of its wait as the note, and when the vendor is asked next."""
    if waiting is None or record.status.final or not waiting.get("trouble"):
        return record
    at = clock(moment(waiting["next_at"]), now(), seconds=True)
    return record.model_copy(update={"note": f"{waiting['trouble']['text']}. Next attempt {at}"})


def _item(record: CaseRecord) -> Item:
    return {
        "pk": case_key(record.connection, record.reference),
        "sk": "CASE",
        "gsi_pk": f"CASES#{record.connection}",
        "gsi_sk": record.submitted_at,
        **record.model_dump(mode="json", exclude={"options"}),
        "options": json.dumps(record.options),
    }


def pick(documents: Sequence[Document], indices: Iterable[int]) -> list[Document]:
    """Return the documents with the given indices, in that order."""
    by_index = {document.index: document for document in documents}
    return [by_index[index] for index in indices]
