"""Publish: result, manifest, event, final status; and the same for a case that failed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping

from dossier.errors import CaseFailedError, InvalidCaseError, tree
from dossier.models import INBOX, REFUSED_DROPS, CaseInput, CaseStatus, Drop, iso, now
from dossier.names import safe_name
from dossier.result import ArtifactResult, DocumentResult, FieldValue, Result
from dossier.settings import Connection
from dossier.steps.download import room
from dossier.steps.kept import Kept
from dossier.steps.work import Desk
from dossier.stores.cases import Case, CaseRecord
from dossier.stores.events import DetailType, Events
from dossier.stores.objects import folder
from dossier.stores.waits import Waits

SCHEMA_VERSION = "1"
LONGEST_KEY = 1024
"""Longest key of an object, in bytes of UTF-8."""
_REFUSALS = {error.__name__ for error in tree(InvalidCaseError)}


def publish(connection: str, reference: str, *, desk: Desk, events: Events) -> dict[str, str]:
    """Publish a collected case; return its status and where its result is.

    Raises:
        CaseFailedError: the vendor failed the case; everything is published all the same.
        ConfigurationError: its artifacts have more bytes together than ``limits.case_bytes``.

    """
    job = desk.load(connection, reference)
    room(job)
    raw = RawAnswers(desk, connection, reference)
    result = job.vendor.read_result(job.view, Kept(raw, job.case.artifacts, desk.objects))
    if result.status != "failed":
        with job.telling():
            job.run(job.vendor.finish(job.view))
    result = _complete(result, job.case, job.connection)
    failed = CaseFailedError.__name__ if result.status == "failed" else None
    _write(result, job.case, raw, desk=desk, events=events, error=failed)
    if failed:
        raise CaseFailedError(result.reason or f"{job.vendor.name} failed the case")
    prefix = folder(connection, reference)
    return {"status": result.status, "result": f"{prefix}result.json", "manifest": f"{prefix}manifest.json"}


def fail(
    case_input: object,
    execution_arn: str,
    error: str,
    cause: str,
    *,
    desk: Desk,
    events: Events,
    waits: Waits,
) -> dict[str, str]:
    """Write down that a case failed, and why; return ``{"error", "reason"}`` for the state machine.

    The reference's case is left alone if it belongs to another execution (a conflict, a duplicate) or has ended.
    """
    reason = reason_of(cause) or error
    answer = {"error": error, "reason": reason}
    try:
        submitted = CaseInput.parse(case_input)
    except CaseFailedError:
        return answer  # not even a connection and a reference to write it under
    if submitted.drop and error in _REFUSALS:
        _tell_the_dropper(submitted.drop, reason, desk)
    names = (submitted.connection, submitted.reference)
    case = desk.cases.find(*names)
    if case is None or (case.record.refused and case.record.execution_arn != execution_arn):
        # What is stored can always be failed, whatever became of its connection; this is not stored yet.
        vendor = case.record.vendor if case else ""
        try:
            vendor = desk.connection_of(submitted.connection).vendor
        except CaseFailedError:
            if case is None:
                return answer  # a connection that there never was has no cases
        desk.cases.refuse(_refusal(submitted, vendor, execution_arn))
        case = desk.cases.find(*names)
    if case is None or case.record.execution_arn != execution_arn or case.record.status.final:
        return answer
    result = _failed(case, reason)
    wait = waits.find(*names)
    if wait:
        waits.end(wait)
    for question in case.questions:  # its token is dead with the execution
        desk.cases.answered(*names, question.what)
    _write(result, case, RawAnswers(desk, *names), desk=desk, events=events, error=error)
    return answer


class RawAnswers(Mapping[str, bytes]):
    """The raw answers kept under a case's ``vendor/`` folder, by the name that the request gave."""

    def __init__(self, desk: Desk, connection: str, reference: str) -> None:
        self._objects = desk.objects
        self._prefix = f"{folder(connection, reference)}vendor/"
        self._stats = {each.key: each for each in desk.objects.stats(self._prefix)}
        self._names = [key.removeprefix(self._prefix).removesuffix(".json") for key in self._stats]
        self._digests: dict[str, str] = {}

    def __getitem__(self, what: str) -> bytes:
        key = f"{self._prefix}{safe_name(what)}.json"
        body = self._objects.read(key) if key in self._stats else None
        if body is None:
            raise KeyError(what)
        self._digests[key] = hashlib.sha256(body).hexdigest()
        return body

    def __contains__(self, what: object) -> bool:
        return safe_name(str(what)) in self._names  # the way of Mapping itself would read it

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def files(self) -> Iterator[dict[str, object]]:
        """Yield the manifest's entry of each answer that is there now; what the result was made of is read once."""
        for found in self._objects.stats(self._prefix):
            key, sha256 = found.key, self._digests.get(found.key)
            if sha256 is None or found != self._stats[key]:  # it was not read, or it is another one by now
                sha256 = self._objects.facts_of(key).sha256
            what = key.rpartition("/")[2].removesuffix(".json")
            yield {"key": key, "size": found.size, "sha256": sha256, "source": f"vendor:{what}"}


def _complete(result: Result, case: Case, connection: Connection | None) -> Result:
    """Fill in what every result has: identity, artifacts, times, the mark for review."""
    record = case.record
    fields = [*result.fields, *(field for document in result.documents for field in document.fields)]
    for field in fields:
        field.review = connection is not None and _wants_review(field, connection)
    artifacts = [
        ArtifactResult(name=each.name, key=each.key, size=each.size, sha256=each.sha256)
        for each in case.artifacts
        if each.key
    ]
    return result.model_copy(
        update={
            "connection": record.connection,
            "vendor": record.vendor,
            "reference": record.reference,
            "case_id": record.case_id,
            "warnings": [
                *(f"{each.name} {each.warning}" for each in case.documents if each.warning),
                *result.warnings,
            ],
            "review": any(field.review for field in fields),
            "artifacts": artifacts,
            "submitted_at": record.submitted_at,
            "completed_at": iso(now()),
        }
    )


def _wants_review(field: FieldValue, connection: Connection) -> bool:
    """Whether a person should look at a field; the vendor's folder has marked one whose confidence cannot be read."""
    if connection.review_below is None:
        return False
    if field.confidence is None:
        return field.review or connection.review_missing
    return field.confidence < connection.review_below


def _failed(case: Case, reason: str) -> Result:
    documents = [
        DocumentResult(document_id=each.document_id, name=each.name, status=each.status, error=each.error)
        for each in case.documents
    ]
    return _complete(Result(status="failed", reason=reason, documents=documents), case, None)


def _tell_the_dropper(drop: Drop, reason: str, desk: Desk) -> None:
    """Write down beside the inbox why a drop was refused: it may be no case, or its reference another one's."""
    key = REFUSED_DROPS + drop.key.removeprefix(INBOX) + ".txt"
    if len(key.encode()) > LONGEST_KEY:
        key = f"{REFUSED_DROPS}{hashlib.sha256(drop.key.encode()).hexdigest()}.txt"
    shown = "".join(each if each.isprintable() else "?" for each in drop.key)
    desk.objects.write(key, f"{iso(now())} {shown} was refused: {reason}\n".encode(), "text/plain; charset=utf-8")


def _refusal(submitted: CaseInput, vendor: str, execution_arn: str) -> CaseRecord:
    at = iso(now())
    return CaseRecord(
        connection=submitted.connection,
        reference=submitted.reference,
        vendor=vendor,
        status=CaseStatus.ACCEPTED,
        execution_arn=execution_arn,
        options=submitted.options,
        refused=True,
        submitted_at=at,
        updated_at=at,
    )


def _write(
    result: Result, case: Case, raw: RawAnswers, *, desk: Desk, events: Events, error: str | None = None
) -> None:
    """Write result, manifest, event, then the final status: dying in between, the whole is done again."""
    record, prefix = case.record, folder(result.connection, result.reference)
    body = (json.dumps(result.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n").encode()
    desk.objects.write(f"{prefix}result.json", body)
    desk.objects.write_json(f"{prefix}manifest.json", _manifest(case, body, raw))
    kind: DetailType = "Case Failed" if result.status == "failed" else "Case Completed"
    detail = {
        "connection": result.connection,
        "reference": result.reference,
        "vendor": result.vendor,
        "case_id": result.case_id,
        "status": result.status,
        "reason": result.reason,
        "review": result.review,
        "bucket": desk.objects.bucket,
        "result": f"{prefix}result.json",
        "manifest": f"{prefix}manifest.json",
    }
    events.put(kind, detail)
    untouched = not record.case_id and record.attempt == 1 and not any(each.document_id for each in case.documents)
    refused = result.status == "failed" and record.status is CaseStatus.ACCEPTED and untouched
    desk.cases.change(
        result.connection,
        result.reference,
        status=CaseStatus(result.status),
        reason=result.reason,
        error=error,
        note=None,
        review=result.review or None,
        completed_at=result.completed_at,
        refused=refused or None,
    )


def _manifest(case: Case, result: bytes, raw: RawAnswers) -> dict[str, object]:
    record = case.record
    prefix = folder(record.connection, record.reference)
    files: list[dict[str, object]] = [
        {"key": each.key, "size": each.size, "sha256": each.sha256, "source": "caller"}
        for each in case.documents
        if each.key
    ]
    files += [
        {"key": each.key, "size": each.size, "sha256": each.sha256, "source": f"artifact:{each.source}"}
        for each in case.artifacts
        if each.key
    ]
    files += raw.files()
    digest = hashlib.sha256(result).hexdigest()
    files.append({"key": f"{prefix}result.json", "size": len(result), "sha256": digest, "source": "dossier"})
    return {
        "schema_version": SCHEMA_VERSION,
        "connection": record.connection,
        "reference": record.reference,
        "files": files,
    }


def reason_of(cause: str) -> str:
    """Return the one line in a Step Functions cause, which for a Lambda function is JSON with ``errorMessage``."""
    try:
        value = json.loads(cause)
    except ValueError:
        return " ".join(cause.split())[:1000]
    message = value.get("errorMessage") if isinstance(value, dict) else None
    return " ".join(str(message if message is not None else cause).split())[:1000]
